/** The start: what is on the disk becomes the data set and the stream's history. Whatever cannot be understood is reported and left
 *  as it is; only what a crash leaves of a last write is cut off. */
import { join } from 'node:path'
import { sweep } from '../../store/checkpoint.ts'
import { type Disk, slicesOf } from '../../store/disk.ts'
import { openRecords, type Records, RecordsError } from '../../store/level.ts'
import { type LoadReport, loadRecords } from '../../store/load.ts'
import type { Limits } from '../../store/rdb/types.ts'
import { type Commit, RecordError, type RecordReader } from '../../store/record.ts'
import { HEAD_LENGTH, type Segment, SegmentError, Segments } from '../../store/segments.ts'
import type { Value } from '../../store/value.ts'
import type { Log } from '../base/log.ts'
import { reasonOf } from '../base/system-error.ts'
import type { History } from '../replication/stream.ts'
import type { Argv } from '../resp/argv.ts'
import { ProtocolError } from '../resp/parser.ts'
import { PersistenceError } from './error.ts'
import { Replay } from './replay.ts'

/** What the start fills. */
export interface Target {
  readonly log: Log
  /** How far collections stay packed. */
  readonly limits: Limits
  /** aof-load-truncated. */
  readonly acceptsTorn: boolean
  /** Both throw when there is no such database. */
  readonly put: (db: number, key: Buffer, value: Value, expireAt: number) => void
  /** Takes what a record says; it is borrowed. */
  readonly take: (record: RecordReader) => void
  readonly apply: (argv: Argv, db: number) => void
  /** The sources of the function libraries. */
  readonly setLibraries: (sources: readonly Buffer[]) => void
  /** What was put so far is what the checkpoint holds. */
  readonly loaded: () => void
}

/** The folder of the append-only file, opened for this process alone. */
export interface Store {
  readonly folder: string
  readonly segments: Segments
  readonly records: Records
  readonly commit: Commit | undefined
  /** Of the records, about. */
  readonly bytes: number
}

/** What was found in a store. */
export interface Found {
  /** Where the stream stands. */
  readonly history: History
  readonly chain: number
  /** As AppendFile wants to know it. */
  readonly generation: number
  readonly recordCount: number
  readonly garbage: number
}

const CHECKPOINT = 'checkpoint'

/** Opens the store in `folder`, or makes one. Throws PersistenceError. */
export async function openStore(disk: Disk, folder: string): Promise<Store> {
  let records: Records | undefined
  try {
    disk.makeFolder(folder)
    const segments = new Segments(folder, disk)
    const path = join(folder, CHECKPOINT)
    records = await openRecords(path, segments.all.length === 0)
    const commit = await records.commit()
    if (commit === undefined && segments.all.length > 0)
      throw new SegmentError(`${path} is empty, but there are segments of the stream beside it`)
    if (commit === undefined) await sweep(records, NOTHING)
    return { folder, segments, records, commit, bytes: await records.size() }
  } catch (cause) {
    await records?.close()
    throw explained(folder, cause)
  }
}

/** No record counts. */
const NOTHING: Commit = {
  generation: 0,
  oldest: 1,
  libraries: [],
  chain: 1,
  offset: 0,
  replid: '',
  replid2: '',
  secondOffset: -1,
  db: 0,
}

/** A store without keys, in which the stream begins with `history`. */
export async function beginStore({ records, folder }: Store, history: History): Promise<Commit> {
  const commit = { ...NOTHING, ...history }
  try {
    await records.setCommit(commit)
  } catch (cause) {
    throw explained(folder, cause)
  }
  return commit
}

/** Loads the checkpoint and carries out the stream after it; then cuts off what a crash has left unfinished. Throws PersistenceError,
 *  and then nothing on the disk has changed. */
export async function loadStore(disk: Disk, store: Store, commit: Commit, target: Target): Promise<Found> {
  const { segments, folder } = store
  try {
    const { keys, garbage, highest, replay } = await read(disk, store, commit, target)
    const end = replay.applied
    if (segments.all.some(({ chain }) => chain > commit.chain))
      target.log.warning(
        'The data set of the last full synchronization was not on the disk yet: the one before it was loaded',
      )
    segments.goOn(commit.chain, end)
    const { replid, replid2, secondOffset } = segments.all.at(-1) ?? commit
    return {
      history: { replid, replid2, secondOffset, offset: end, db: replay.db },
      chain: commit.chain,
      generation: highest,
      recordCount: keys + garbage,
      garbage: highest > commit.generation ? Number.POSITIVE_INFINITY : garbage,
    }
  } catch (cause) {
    throw explained(folder, cause)
  }
}

/** As `loadStore` of a store that is in use: nothing is cut off. */
export async function readStore(disk: Disk, store: Readable, commit: Commit, target: Target): Promise<void> {
  try {
    await read(disk, store, commit, target)
  } catch (cause) {
    throw explained(store.segments.folder, cause)
  }
}

type Readable = Pick<Store, 'segments' | 'records'>

async function read(
  disk: Disk,
  { segments, records }: Readable,
  commit: Commit,
  target: Target,
): Promise<LoadReport & { readonly replay: Replay }> {
  const report = await loadRecords(records, commit, target.take)
  target.setLibraries(commit.libraries.map((source) => Buffer.from(source)))
  target.loaded()
  const replay = new Replay(commit.offset, commit.db, target.apply)
  await replaySegments(disk, segments, commit, replay, target)
  return { ...report, replay }
}

// --- the stream ----------------------------------------------------------------------------------------------------------

async function replaySegments(
  disk: Disk,
  segments: Segments,
  commit: Commit,
  replay: Replay,
  target: Target,
): Promise<void> {
  const { chain } = commit
  const mark = segments.markOf(chain)
  const needed = segments.ofChain(chain).filter(({ offset }) => offset >= commit.offset)
  // One was begun before the checkpoint was committed; only that of a new store may not have been.
  const isMissing = needed.length === 0 ? commit.generation > 0 : needed[0]!.offset !== commit.offset
  if (isMissing)
    throw new SegmentError(
      `The segment of the stream that follows the checkpoint, at offset ${commit.offset}, is missing in ${segments.folder}: restore the folder from a copy`,
    )
  for (const segment of needed) {
    if (segment.offset !== replay.applied) {
      // The last write before a crash may have been lost even if the segment behind it was begun.
      if (replay.applied < mark) throw damage(segment, 'the segment before it is missing or too short')
      return torn(segment, replay, target)
    }
    try {
      for await (const bytes of segments.read(chain, segment.offset, segment.end)) replay.take(bytes)
    } catch (cause) {
      if (!(cause instanceof ProtocolError)) throw cause
      const isLost = replay.applied >= mark && (await isBlank(disk, segment, replay.applied))
      if (!isLost) throw damage(segment, `${cause.message}, behind byte ${placeOf(segment, replay.applied)}`)
    }
    if (replay.applied === segment.end) continue
    const isLast = segment === needed.at(-1)
    if (replay.applied < mark)
      throw damage(segment, `a command is not whole at byte ${placeOf(segment, replay.applied)}`)
    if (isLast) return torn(segment, replay, target)
  }
  if (replay.applied < mark)
    target.log.warning(`The append only file ends ${mark - replay.applied} bytes before what was once on the disk`)
}

/** Where an offset of the stream is in the file. */
const placeOf = (segment: Segment, offset: number): number => HEAD_LENGTH + offset - segment.offset

/** Space that a file system had given to the file, but not yet filled when the power went. */
async function isBlank(disk: Disk, segment: Segment, from: number): Promise<boolean> {
  for await (const bytes of slicesOf(disk, segment.path, placeOf(segment, from)))
    if (bytes.some((byte) => byte !== 0)) return false
  return true
}

const damage = ({ path }: Segment, why: string): SegmentError =>
  new SegmentError(
    `Bad file format reading the append only file ${path}: ${why}. It was left as it is: restore the folder from a copy, or make a backup and use redis-check-aof --fix ${path}, which cuts off everything from there on`,
  )

function torn({ path }: Segment, replay: Replay, { log, acceptsTorn }: Target): void {
  if (!acceptsTorn)
    throw new SegmentError(
      `Unexpected end of file reading the append only file ${path}. You can: 1) Make a backup of your AOF file, then use redis-check-aof --fix ${path}. 2) Alternatively you can set the 'aof-load-truncated' configuration option to yes and restart the server`,
    )
  if (replay.isInTransaction) log.warning(`Revert incomplete MULTI/EXEC transaction in AOF file ${path}`)
  log.warning(`!!! Warning: short read while loading the AOF file ${path}!!!`)
  log.warning(`!!! Truncating the AOF ${path} at stream offset ${replay.applied} !!!`)
  log.warning(`AOF ${path} loaded anyway because aof-load-truncated is enabled`)
}

// --- what to say ---------------------------------------------------------------------------------------------------------

function explained(folder: string, cause: unknown): unknown {
  const path = join(folder, CHECKPOINT)
  if (cause instanceof SegmentError)
    return new PersistenceError(`Fatal error loading the DB: ${cause.message}.`, { cause })
  if (cause instanceof RecordsError && cause.isTaken)
    return new PersistenceError(`Fatal error loading the DB: ${folder} is already used by another process.`, { cause })
  if (cause instanceof RecordsError || cause instanceof RecordError)
    return new PersistenceError(
      `Fatal error loading the DB: the checkpoint in ${path} cannot be read: ${cause.message}. Nothing was changed. Restore ${folder} from a copy, or move it away and start this node as an empty replica, which takes the data from its primary.`,
      { cause },
    )
  if ((cause as NodeJS.ErrnoException).code === undefined) return cause
  return new PersistenceError(`Fatal error: can't open the append only file in ${folder}: ${reasonOf(cause)}.`, {
    cause,
  })
}
