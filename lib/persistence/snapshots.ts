/** dump.rdb: saved at once or in the background, by command, by rule and at the end; and what INFO tells of it. */
import { join } from 'node:path'
import type { Disk } from '../../store/disk.ts'
import type { Keyspace } from '../../store/keyspace.ts'
import { writeDump, writeDumpNow } from '../../store/rdb/file.ts'
import { type RdbOptions, writeRdb } from '../../store/rdb/writer.ts'
import type { Millis } from '../base/brand.ts'
import type { Log } from '../base/log.ts'
import { reasonOf } from '../base/system-error.ts'
import type { ConfigValues } from '../config.ts'
import { openSnapshot, snapshotOf } from '../replication/dataset.ts'
import type { ReplicationStream } from '../replication/stream.ts'
import { memoryInUse } from '../server/machine.ts'
import { REDIS_VERSION } from '../server/version.ts'

export interface SnapshotParts {
  readonly config: { readonly values: ConfigValues }
  readonly log: Log
  readonly disk: Disk
  readonly keyspace: Keyspace
  readonly stream: ReplicationStream
  readonly now: () => Millis
  readonly pid: number
}

/** A rule is not tried again sooner after a failure. */
const RETRY_MS = 5000

export class Snapshots {
  readonly #parts: SnapshotParts
  /** When the last one succeeded; the start counts. */
  savedAt: Millis
  /** Of those in the background; one that succeeds by command makes good for them. */
  lastSucceeded = true
  saves = 0
  /** Seconds the last one in the background took; -1 without one. */
  lastSeconds = -1
  #startedAt: Millis | undefined
  #triedAt = 0
  #savedDirty: number

  constructor(parts: SnapshotParts) {
    this.#parts = parts
    this.savedAt = parts.now()
    this.#savedDirty = parts.keyspace.dirty
  }

  /** One is being written in the background. */
  get isRunning(): boolean {
    return this.#startedAt !== undefined
  }

  /** Seconds it has taken so far; -1 without one. */
  get currentSeconds(): number {
    return this.#startedAt === undefined ? -1 : Math.floor((this.#parts.now() - this.#startedAt) / 1000)
  }

  /** Changes since the last one. */
  get changes(): number {
    return this.#parts.keyspace.dirty - this.#savedDirty
  }

  /** The data set is what a file says: nothing has changed yet. */
  loaded(): void {
    this.#savedDirty = this.#parts.keyspace.dirty
  }

  /** Writes stop because the last one failed (stop-writes-on-bgsave-error). */
  get forbidsWrites(): boolean {
    const { stopWritesOnBgsaveError, save } = this.#parts.config.values
    return stopWritesOnBgsaveError && save.length > 0 && !this.lastSucceeded
  }

  /** Saves at one go; false, and a line in the log, when that fails. */
  saveNow(): boolean {
    const { disk, keyspace } = this.#parts
    const { dirty } = keyspace
    try {
      const { entries, ...head } = snapshotOf(keyspace)
      writeDumpNow(disk, this.#path, writeRdb(entries, { ...this.#options(), ...head }))
      this.#succeeded(dirty)
      return true
    } catch (failure) {
      this.#failed(failure)
      return false
    }
  }

  /** Saves in the background. The stream must have been flushed: the dump says at which offset it was made. */
  async saveInBackground(): Promise<void> {
    const { disk, keyspace, log, now, pid } = this.#parts
    const { dirty } = keyspace
    const begun = now()
    this.#startedAt = begun
    this.#triedAt = begun
    log.notice(`Background saving started by pid ${pid}`)
    const writer = openSnapshot(keyspace, this.#options())
    try {
      await writeDump(disk, this.#path, writer)
      this.#succeeded(dirty)
      log.notice('Background saving terminated with success')
    } catch (failure) {
      this.lastSucceeded = false
      this.#failed(failure)
      log.warning('Background saving error')
    } finally {
      writer.abandon()
      this.lastSeconds = Math.floor((now() - begun) / 1000)
      this.#startedAt = undefined
    }
  }

  /** Whether a rule asks for a snapshot now. */
  isDue(): boolean {
    const { config, log, now } = this.#parts
    const waited = this.lastSucceeded || now() - this.#triedAt > RETRY_MS
    const { changes } = this
    const rule = config.values.save.find(
      (rule) => changes >= rule.changes && now() - this.savedAt > rule.seconds * 1000 && waited,
    )
    if (rule === undefined) return false
    log.notice(`${rule.changes} changes in ${rule.seconds} seconds. Saving...`)
    return true
  }

  get #path(): string {
    const { dir, dbfilename } = this.#parts.config.values
    return join(dir, dbfilename)
  }

  #options(): Omit<RdbOptions, 'sizes'> {
    const { config, stream, now } = this.#parts
    if (!stream.isFollowing) stream.reselect()
    const { replid, offset, db } = stream.history
    const aux: [string, string][] = [
      ['redis-ver', REDIS_VERSION],
      ['redis-bits', '64'],
      ['ctime', String(Math.floor(now() / 1000))],
      ['used-mem', String(memoryInUse().used)],
    ]
    // Without a backlog the offset stands still while the data changes: it would be a lie.
    if (stream.hasBacklog)
      aux.push(['repl-stream-db', String(db)], ['repl-id', replid], ['repl-offset', String(offset)])
    aux.push(['aof-base', '0'])
    return { aux, compress: config.values.rdbcompression }
  }

  #succeeded(dirty: number): void {
    this.#savedDirty = dirty
    this.savedAt = this.#parts.now()
    this.lastSucceeded = true
    this.saves++
    this.#parts.log.notice('DB saved on disk')
  }

  #failed(failure: unknown): void {
    this.#parts.log.warning(`Write error saving DB on disk: ${reasonOf(failure)}`)
  }
}
