/** The append-only file: the stream in segments, and checkpoints that make the older ones unnecessary. It decides when a checkpoint
 *  is worth it, and writes one at a time beside everything else. */
import { sweep, writeCheckpoint } from '../../store/checkpoint.ts'
import type { Disk } from '../../store/disk.ts'
import { Journal, type SyncPolicy } from '../../store/journal.ts'
import type { Keyspace } from '../../store/keyspace.ts'
import type { Records } from '../../store/level.ts'
import type { Commit } from '../../store/record.ts'
import type { Segment, SegmentHead, Segments } from '../../store/segments.ts'
import type { Log } from '../base/log.ts'
import type { ConfigValues } from '../config.ts'
import type { ReplicationStream, StreamKeeper } from '../replication/stream.ts'
import { PersistenceError } from './error.ts'
import { type Found, readStore, type Store, type Target } from './start.ts'

export interface AppendFileParts {
  readonly config: { readonly values: ConfigValues }
  readonly log: Log
  readonly stream: ReplicationStream
  readonly keyspace: Pick<Keyspace, 'openCheckpoint' | 'libraries'>
  /** A clock that never goes back, in microseconds. */
  readonly micros: () => number
  /** Something of that kind kept a turn waiting, for so many microseconds: for LATENCY. */
  readonly spike: (event: string, micros: number) => void
  readonly segments: Segments
  readonly journal: Journal
  readonly records: Records
  /** The checkpoint that counts. */
  readonly commit: Commit | undefined
  /** Where the stream goes on. When the checkpoint that counts is of another, the whole data set has still to be written. */
  readonly chain: number
  /** The highest generation any record has. */
  readonly generation: number
  /** Records there are, and how many of them are garbage; what an unfinished checkpoint has left is infinitely much. */
  readonly recordCount: number
  readonly garbage: number
  /** Bytes of the records, about. */
  readonly bytes: number
}

/** A segment that has grown so long is followed by another. */
const SEGMENT_BYTES = 32 * 1024 * 1024
/** Replicas that lack more than this get a snapshot instead. */
const MAX_RESUME_BYTES = 64 * 1024 * 1024
/** A replica that cannot write so much gives its file up, and writes its whole data set when it can. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** How long a checkpoint keeps the main thread at a time. */
const SLICE_MICROS = 1000
/** Changes are not left in segments alone for longer than this. */
const CHECKPOINT_EVERY_US = 3600e6
/** One that the growth of the stream makes due is put off until so many times as long has passed as the last one took: the clients of a
 *  busy node want the processor, too. But not until the stream has grown so many times as much, all of which a start has to carry out. */
const REST_FACTOR = 9
const GROWTH_LIMIT = 4
/** After a failure the next attempt waits so long, unless it is asked for. */
const RETRY_AFTER_US = 60e6
/** Garbage is not worth a sweep below so many records. */
const MIN_GARBAGE = 10_000

/** The store becomes the stream's keeper, from the stream's present offset on. Throws PersistenceError. */
export function goOnWith(
  { segments, records, folder, bytes }: Store,
  commit: Commit | undefined,
  { chain, generation, recordCount, garbage }: Omit<Found, 'history'>,
  parts: Pick<AppendFileParts, 'config' | 'log' | 'stream' | 'keyspace' | 'micros' | 'spike'>,
): AppendFile {
  const { config, log, stream, micros, spike } = parts
  let file: AppendFile | undefined
  const policy = (): SyncPolicy => config.values.appendfsync
  const journal = new Journal({
    segments,
    log,
    policy,
    now: () => micros() / 1000,
    waited(what, ms) {
      if (what === 'sync') return spike('aof-fsync-always', ms * 1000)
      const beside = journal.pendingSyncs > 0 ? 'pending-fsync' : file?.isRunning === true ? 'active-child' : 'alone'
      spike(`aof-write-${beside}`, ms * 1000)
      spike('aof-write', ms * 1000)
    },
  })
  journal.begin({ chain, ...stream.history })
  if (journal.failure !== undefined)
    throw new PersistenceError(`Fatal error: can't write to ${folder}: ${journal.failure}.`)
  file = new AppendFile({
    ...parts,
    segments,
    journal,
    records,
    commit,
    chain,
    generation,
    recordCount,
    garbage,
    bytes,
  })
  stream.keeper = file
  return file
}

export class AppendFile implements StreamKeeper {
  readonly #parts: AppendFileParts
  #chain: number
  #commit: Commit | undefined
  #generation: number
  #recordCount: number
  /** Records written since the last sweep: no more of them than these have made others garbage. */
  #unswept: number
  /** Bytes that the last checkpoint wrote of what had changed. */
  #changedBytes = 0
  #wanted: 'no' | 'asked' | 'whole'
  #running: Promise<void> | undefined
  #startedAt = 0
  #endedAt: number
  #isClosed = false
  /** Bytes of the checkpoint that counts, about. */
  baseBytes: number
  #lastMicros = -1
  /** For INFO. */
  lastSucceeded = true
  checkpoints = 0
  failures = 0

  constructor(parts: AppendFileParts) {
    this.#parts = parts
    this.#chain = parts.chain
    this.#commit = parts.commit
    this.#generation = parts.generation
    this.#recordCount = parts.recordCount
    this.#unswept = parts.garbage
    this.baseBytes = parts.bytes
    this.#wanted = parts.commit?.chain === parts.chain ? 'no' : 'whole'
    this.#endedAt = parts.micros()
  }

  get journal(): Journal {
    return this.#parts.journal
  }

  /** A checkpoint is being written. */
  get isRunning(): boolean {
    return this.#running !== undefined
  }

  /** Resolves when none is being written. */
  async settled(): Promise<void> {
    await this.#running
  }

  /** One will be. */
  get isWanted(): boolean {
    return this.#wanted !== 'no'
  }

  /** Seconds it has taken so far; -1 without one. */
  get currentSeconds(): number {
    return this.isRunning ? Math.floor((this.#parts.micros() - this.#startedAt) / 1e6) : -1
  }

  /** Seconds the last one took; -1 without one. */
  get lastSeconds(): number {
    return Math.floor(this.#lastMicros / 1e6)
  }

  /** Bytes of the stream that a start would have to carry out again. */
  get replayBytes(): number {
    const { segments, stream } = this.#parts
    const from = this.#commit?.chain === this.#chain ? this.#commit.offset : segments.ofChain(this.#chain)[0]?.offset
    return from === undefined ? 0 : stream.offset - from
  }

  // --- the stream ------------------------------------------------------------------------------------------------------

  get fsynced(): number {
    const { journal, segments } = this.#parts
    const isWhole = this.#commit?.chain === this.#chain && journal.failure === undefined
    return isWhole ? segments.synced : -1
  }

  append(parts: readonly Buffer[]): void {
    const { journal, segments } = this.#parts
    journal.append(parts)
    // Our primary goes on writing although our disk refuses: what waits must not grow for ever.
    if (journal.waitingBytes > MAX_WAITING_BYTES && this.#parts.stream.isFollowing) return this.replaced()
    if (segments.lastLength >= SEGMENT_BYTES && journal.failure === undefined) journal.begin(this.#head)
  }

  renamed(): void {
    this.#parts.journal.begin(this.#head)
  }

  /** What is on the disk is the data set that was; until the new one is there, a start finds the old one. */
  replaced(): void {
    this.#chain++
    this.#parts.journal.begin(this.#head, { forget: true })
    this.#wanted = 'whole'
  }

  has(from: number): boolean {
    const { segments, stream, journal } = this.#parts
    return (
      journal.failure === undefined &&
      stream.offset - from <= MAX_RESUME_BYTES &&
      segments.has(this.#chain, from) &&
      segments.end === stream.offset
    )
  }

  read(from: number, to: number): AsyncIterable<Buffer> {
    return this.#parts.segments.read(this.#chain, from, to)
  }

  get #head(): SegmentHead {
    return { chain: this.#chain, ...this.#parts.stream.history }
  }

  // --- checkpoints -----------------------------------------------------------------------------------------------------

  /** Asks for a checkpoint (BGREWRITEAOF). */
  request(): void {
    if (this.#wanted === 'no') this.#wanted = 'asked'
  }

  /** Whether a checkpoint is to begin now. */
  isDue(): boolean {
    if (this.#running !== undefined || this.#isClosed || this.#parts.journal.failure !== undefined) return false
    const { config, micros, log } = this.#parts
    const rested = micros() - this.#endedAt
    if (!this.lastSucceeded && rested < RETRY_AFTER_US && this.#wanted !== 'asked') return false
    if (this.#wanted !== 'no') return true
    const { autoAofRewritePercentage, autoAofRewriteMinSize } = config.values
    // A checkpoint costs what has changed, not what there is. That can be more than the stream has grown by, for a value is written as a
    // whole: so the growth is measured by what the last one wrote.
    const growth = (this.#changedBytes * autoAofRewritePercentage) / 100
    const due = Math.max(1, autoAofRewriteMinSize, growth)
    const limit = rested < REST_FACTOR * this.#lastMicros ? GROWTH_LIMIT * due : due
    if (autoAofRewritePercentage > 0 && this.replayBytes >= limit) {
      log.notice(`Starting automatic checkpoint after ${this.replayBytes} bytes of the stream`)
      return true
    }
    return rested >= CHECKPOINT_EVERY_US && this.replayBytes > 0
  }

  /** Begins a checkpoint of the data set as it is now. The stream must have been flushed. */
  start(): Promise<void> {
    this.#startedAt = this.#parts.micros()
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      this.#endedAt = this.#parts.micros()
      this.#lastMicros = this.#endedAt - this.#startedAt
    })
    return this.#running
  }

  async #run(): Promise<void> {
    const { log, journal } = this.#parts
    const wanted = this.#wanted
    this.#wanted = 'no'
    try {
      journal.begin(this.#head)
      if (journal.failure !== undefined) throw new Error(journal.failure)
      const count = await this.#write(wanted === 'whole')
      this.lastSucceeded = true
      this.failures = 0
      this.checkpoints++
      log.notice(`Background AOF rewrite finished successfully: checkpoint of ${count} records`)
    } catch (failure) {
      if (this.#isClosed) return
      // What a checkpoint has left unfinished must not be taken for part of a later one.
      this.#unswept = Number.POSITIVE_INFINITY
      if (this.#wanted === 'no' && wanted === 'whole') this.#wanted = 'whole'
      this.lastSucceeded = false
      this.failures++
      log.warning(`Background AOF rewrite terminated with error: ${(failure as Error).message}`)
    }
  }

  async #write(whole: boolean): Promise<number> {
    const { records, config, keyspace, micros, stream } = this.#parts
    const chain = this.#chain
    const cut = keyspace.openCheckpoint(whole || this.#commit === undefined)
    const generation = ++this.#generation
    const oldest = cut.isWhole ? generation : (this.#commit?.oldest ?? generation)
    const commit = { ...stream.history, chain, generation, oldest, libraries: keyspace.libraries }
    try {
      if (this.#unswept === Number.POSITIVE_INFINITY && this.#commit !== undefined) await this.#sweep(this.#commit)
    } catch (failure) {
      cut.abandon()
      throw failure
    }
    const written = await writeCheckpoint(records, cut, commit, {
      durable: config.values.appendfsync !== 'no',
      sliceMicros: SLICE_MICROS,
      micros,
      goOn: () => !this.#isClosed && this.#chain === chain,
    })
    this.#commit = commit
    this.#changedBytes = cut.isWhole ? 0 : written.bytes
    this.#recordCount += written.records
    this.#unswept += cut.isWhole ? this.#recordCount : written.records
    this.#dropSegments(commit)
    if (this.#unswept > Math.max(MIN_GARBAGE, this.#recordCount / 2)) await this.#sweep(commit)
    this.baseBytes = await records.size()
    return written.records
  }

  async #sweep(commit: Commit): Promise<void> {
    this.#recordCount = await sweep(this.#parts.records, commit)
    this.#unswept = 0
  }

  /** Segments before the checkpoint are only kept for replicas that lack their bytes: as many as the backlog would have. */
  #dropSegments(commit: Commit): void {
    const { segments, stream, config } = this.#parts
    const from = Math.min(commit.offset, stream.offset - config.values.replBacklogSize)
    const isWanted = (segment: Segment): boolean =>
      segment.chain > commit.chain || (segment.chain === commit.chain && segment.end > from)
    segments.keepOnly(isWanted)
  }

  // --- the end ---------------------------------------------------------------------------------------------------------

  /** Everything is on the disk when this returns. Throws when it cannot be. */
  flush(): void {
    this.#parts.journal.flush()
  }

  /** Gives all that the file holds to `target`; no checkpoint may be under way. Throws PersistenceError. */
  readAgain(disk: Disk, target: Target): Promise<void> {
    const commit = this.#commit
    if (commit?.chain !== this.#chain) throw new PersistenceError('the whole data set was not written yet')
    return readStore(disk, this.#parts, commit, target)
  }

  /** Ends a checkpoint that is being written, and lets go of the files. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#running
    await this.#parts.journal.close()
    await this.#parts.records.close()
  }
}
