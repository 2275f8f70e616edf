/** What the node keeps on the disk: the append-only file, dump.rdb, or nothing, as the configuration says. The rest of the node asks
 *  here whether it may write, and says when a turn has ended. */
import { join } from 'node:path'
import { type Disk, disk as realDisk } from '../store/disk.ts'
import { type Foreign, findForeign, ImportError } from '../store/import.ts'
import type { Database, Keyspace } from '../store/keyspace.ts'
import type { Commit } from '../store/record.ts'
import type { Millis } from './base/brand.ts'
import { monotonicMicros, wallClock } from './base/clock.ts'
import { keyOf } from './base/key.ts'
import type { Log } from './base/log.ts'
import type { Random } from './base/random.ts'
import type { Config } from './config.ts'
import { ClientError, fail } from './errors.ts'
import { type AppendFile, goOnWith } from './persistence/append-file.ts'
import { PersistenceError } from './persistence/error.ts'
import { loadForeign } from './persistence/foreign.ts'
import { type PersistenceRows, persistenceRows } from './persistence/info.ts'
import { reload } from './persistence/reload.ts'
import { Snapshots } from './persistence/snapshots.ts'
import { beginStore, type Found, loadStore, openStore, type Store, type Target } from './persistence/start.ts'
import type { Replication } from './replication/role.ts'
import type { History } from './replication/stream.ts'
import type { Argv } from './resp/argv.ts'

/** What persistence asks of the server. */
export interface PersistenceServer {
  loading: boolean
  /** Effects go nowhere while it is muted. */
  readonly propagation: { muted: boolean }
  /** Events that took long. */
  readonly latency: { note(event: string, micros: number): void }
  /** Makes the keyspace know the time. */
  refreshClock(): void
  /** Carries out a command of a file, in a database. */
  apply(argv: Argv, db: number): void
  /** What was counted while the data set was loaded is nobody's traffic. */
  forgetStats(): void
}

export interface PersistenceParts {
  readonly config: Config
  readonly log: Log
  readonly keyspace: Keyspace
  readonly replication: Replication
  readonly random: Random
  /** The server is built after this. */
  readonly server: () => PersistenceServer
  readonly pid: number
  readonly disk?: Disk
  readonly now?: () => Millis
  readonly micros?: () => number
}

/** How a node ends: as the rules say, or as SHUTDOWN was told. */
export type SaveAtEnd = 'by rules' | 'save' | 'nosave'

export class Persistence {
  readonly snapshots: Snapshots
  readonly #parts: PersistenceParts
  readonly #disk: Disk
  readonly #now: () => Millis
  readonly #micros: () => number
  #file: AppendFile | undefined
  /** The append-only file is being opened: CONFIG SET appendonly yes. */
  #opening = false
  #saveWanted = false
  #saveScheduled = false
  #isReadyToEnd = false
  #loadedKeys = 0
  #expiredKeys = 0

  constructor(parts: PersistenceParts) {
    this.#parts = parts
    this.#disk = parts.disk ?? realDisk
    this.#now = parts.now ?? wallClock
    this.#micros = parts.micros ?? monotonicMicros
    const { config, log, keyspace, replication, pid } = parts
    this.snapshots = new Snapshots({
      config,
      log,
      disk: this.#disk,
      keyspace,
      stream: replication.stream,
      now: this.#now,
      pid,
    })
  }

  /** The append-only file, while it is in use. */
  get file(): AppendFile | undefined {
    return this.#file
  }

  // --- the start -------------------------------------------------------------------------------------------------------

  /** Loads what is on the disk. Throws PersistenceError; then nothing there has changed. */
  async open(): Promise<void> {
    const { config, log, keyspace } = this.#parts
    const server = this.#parts.server()
    const begun = this.#micros()
    server.loading = true
    server.refreshClock()
    try {
      const source = config.values.appendonly ? await this.#openFile() : await this.#loadDump()
      if (source !== undefined) {
        const seconds = ((this.#micros() - begun) / 1e6).toFixed(3)
        log.notice(`DB loaded from ${source === 'dump' ? 'disk' : 'append only file'}: ${seconds} seconds`)
      }
    } finally {
      server.loading = false
      server.refreshClock()
      server.forgetStats()
      this.snapshots.loaded()
    }
    this.#loadedKeys = keyspace.size
    config.onChange(['appendonly'], (values) => {
      if (values.appendonly) void this.#enable()
      else void this.#disable()
      return undefined
    })
  }

  async #loadDump(): Promise<Foreign['type'] | undefined> {
    const { config, replication, random } = this.#parts
    // `save ""` without an append-only file: nothing on the disk is looked at.
    if (config.values.save.length === 0) return undefined
    const foreign = this.#findForeign(false)
    if (foreign === undefined) return undefined
    const { history } = await this.#import(foreign)
    if (history !== undefined) replication.stream.restore(history, random.hex(40))
    return foreign.type
  }

  async #openFile(): Promise<Foreign['type'] | 'store' | undefined> {
    const { replication, random } = this.#parts
    const { stream } = replication
    const store = await openStore(this.#disk, this.#folder)
    try {
      if (store.commit !== undefined) {
        const found = await loadStore(this.#disk, store, store.commit, this.#target)
        stream.restore(found.history, random.hex(40))
        this.#file = this.#begin(store, store.commit, found)
        return 'store'
      }
      const foreign = this.#findForeign(true)
      const history = foreign === undefined ? undefined : (await this.#import(foreign)).history
      if (history === undefined) stream.open(random.hex(40))
      else stream.restore(history, random.hex(40))
      if (foreign === undefined) {
        const commit = await beginStore(store, stream.history)
        this.#file = this.#begin(store, commit, EMPTY)
        return undefined
      }
      this.#file = this.#begin(store, undefined, EMPTY)
      await this.#secure(foreign)
      return foreign.type
    } catch (failure) {
      await (this.#file?.close() ?? store.records.close())
      this.#file = undefined
      throw failure
    }
  }

  /** What was imported is in the store before anybody is answered. */
  async #secure(foreign: Foreign): Promise<void> {
    const file = this.#file!
    await file.start()
    if (!file.lastSucceeded)
      throw new PersistenceError(`Fatal error: the data set in ${foreign.files.join(', ')} cannot be stored.`)
    this.#parts.log.notice(
      `Imported ${this.#parts.keyspace.size} keys from ${foreign.files.join(', ')}: from now on ${this.#folder} counts, and these files are not read again`,
    )
  }

  #begin(store: Store, commit: Commit | undefined, found: Omit<Found, 'history'>): AppendFile {
    const { config, log, replication, keyspace, server } = this.#parts
    const { stream } = replication
    const spike = (event: string, micros: number): void => server().latency.note(event, micros)
    return goOnWith(store, commit, found, { config, log, stream, keyspace, micros: this.#micros, spike })
  }

  get #folder(): string {
    const { dir, appenddirname } = this.#parts.config.values
    return join(dir, appenddirname)
  }

  #findForeign(appendOnly: boolean): Foreign | undefined {
    const { values } = this.#parts.config
    try {
      return findForeign(this.#disk, values.dir, values, appendOnly)
    } catch (cause) {
      if (!(cause instanceof ImportError)) throw cause
      throw new PersistenceError(`Fatal error loading the DB: ${cause.message}. Nothing was changed.`, { cause })
    }
  }

  /** A primary drops keys whose time has come; a replica is told by its primary. */
  async #import(foreign: Foreign): Promise<{ readonly history: History | undefined }> {
    const { config } = this.#parts
    const now = this.#now()
    const isPrimary = config.values.replicaof === undefined && !config.values.clusterEnabled
    const isDue = (expireAt: number): boolean => isPrimary && expireAt !== 0 && expireAt <= now
    const report = await loadForeign(this.#disk, foreign, this.#target, isDue)
    this.#expiredKeys = report.expired
    return report
  }

  get #target(): Target {
    const { config, log, keyspace, server } = this.#parts
    return {
      log,
      limits: config.values,
      acceptsTorn: config.values.aofLoadTruncated,
      put: (db, key, value, expireAt) => this.#database(db).write(keyOf(key), value, expireAt),
      take: (record) => {
        const { db, key, bytes, data, start, end, expireAt } = record
        if (record.isString) this.#database(db).writeBytes(key, bytes, start, end, expireAt, data)
        else this.#database(db).write(key, record.value(config.values), expireAt)
      },
      apply: (argv, db) => server().apply(argv, db),
      setLibraries: (sources) => {
        keyspace.libraries = sources
      },
      loaded: () => keyspace.markDurable(),
    }
  }

  #database(index: number): Database {
    const { databases } = this.#parts.keyspace
    const db = databases[index]
    if (db !== undefined) return db
    throw new PersistenceError(
      `Fatal error loading the DB: there is a key in database ${index}, and the configuration allows ${databases.length} databases.`,
    )
  }

  // --- while it runs ---------------------------------------------------------------------------------------------------

  /** Why no command that writes is accepted now: it could not be kept. */
  get refusal(): ClientError | undefined {
    if (this.snapshots.forbidsWrites) return SNAPSHOT_FAILED
    const failure = this.#file?.journal.failure
    return failure === undefined ? undefined : new ClientError(`MISCONF Errors writing to the AOF file: ${failure}`)
  }

  /** Writes beyond this offset of the stream must not be acknowledged; undefined: all may be. */
  get unsafeFrom(): number | undefined {
    const journal = this.#file?.journal
    return journal?.failure === undefined ? undefined : journal.safe
  }

  /** The end of a turn, after the stream has been flushed: what was asked for begins here, where data and stream agree. */
  endTurn(): void {
    if (this.#parts.server().loading) return
    if (this.#saveWanted && !this.snapshots.isRunning) {
      this.#saveWanted = false
      void this.snapshots.saveInBackground()
    }
    if (this.#file?.isWanted && !this.snapshots.isRunning && this.#file.isDue()) void this.#file.start()
  }

  /** Ten times a second, before the end of a turn. */
  tick(): void {
    this.#file?.journal.tick()
    if (this.isSaving || this.isRewriting) return
    if (this.#saveScheduled || this.snapshots.isDue()) {
      this.#saveScheduled = false
      this.#saveWanted = true
    } else if (this.#file?.isDue()) this.#file.request()
  }

  get isSaving(): boolean {
    return this.#saveWanted || this.snapshots.isRunning
  }

  get isRewriting(): boolean {
    return this.#opening || this.#file?.isRunning === true || this.#file?.isWanted === true
  }

  /** SAVE. False when that fails. Throws a ClientError when another one is being written. */
  saveNow(): boolean {
    if (this.isSaving) throw fail('Background save already in progress')
    return this.snapshots.saveNow()
  }

  /** BGSAVE: the reply. Throws a ClientError. The turn has to be ended. */
  save(schedule: boolean): string {
    if (this.isSaving) throw fail('Background save already in progress')
    if (!this.isRewriting) {
      this.#saveWanted = true
      return 'Background saving started'
    }
    if (!schedule)
      throw fail(
        "Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
      )
    this.#saveScheduled = true
    return 'Background saving scheduled'
  }

  /** BGREWRITEAOF: the reply. Throws a ClientError. The turn has to be ended. */
  rewrite(): string {
    if (this.isRewriting) throw fail('Background append only file rewriting already in progress')
    if (this.#file === undefined) void this.#storeOnce()
    else this.#file.request()
    return this.isSaving
      ? 'Background append only file rewriting scheduled'
      : 'Background append only file rewriting started'
  }

  /** INFO's section "Persistence", but for its first lines. */
  rows(loading: boolean): PersistenceRows {
    return persistenceRows(this, {
      loading,
      loadedKeys: this.#loadedKeys,
      expiredKeys: this.#expiredKeys,
      saveScheduled: this.#saveScheduled,
    })
  }

  /** DEBUG LOADAOF. Throws PersistenceError; then the data set is as it was. */
  async reload(): Promise<void> {
    const { log, keyspace, replication, server } = this.#parts
    const file = this.#file
    if (file === undefined) throw new PersistenceError('the append only file is off')
    const flush = (): boolean => {
      replication.flush()
      return this.#isFlushed(file)
    }
    await reload(file, { disk: this.#disk, keyspace, target: this.#target, flush, server: server() })
    log.warning('Append Only File loaded by DEBUG LOADAOF')
  }

  // --- CONFIG SET appendonly -------------------------------------------------------------------------------------------

  /** BGREWRITEAOF without an append-only file: the data set as it is now is stored, for a start with one. */
  async #storeOnce(): Promise<void> {
    const { config, replication } = this.#parts
    await this.#enable(() => true)
    const file = this.#file
    if (file === undefined) return
    replication.flush()
    await file.start()
    if (!config.values.appendonly) await this.#disable()
  }

  async #enable(isWanted = (): boolean => this.#parts.config.values.appendonly): Promise<void> {
    if (this.#file !== undefined || this.#opening) return
    const { log, replication, random } = this.#parts
    this.#opening = true
    try {
      const store = await openStore(this.#disk, this.#folder)
      if (!isWanted()) return void (await store.records.close())
      replication.stream.open(random.hex(40))
      replication.flush()
      const chain = Math.max(store.commit?.chain ?? 0, ...store.segments.all.map((segment) => segment.chain)) + 1
      const generation = store.commit?.generation ?? 0
      // What else is in there is not known, and none of it will count: the first sweep finds out.
      const unknown = { chain, generation, recordCount: 0, garbage: Number.POSITIVE_INFINITY }
      this.#file = this.#begin(store, store.commit, unknown)
    } catch (failure) {
      log.warning(`AOF was enabled but can't be opened: ${(failure as Error).message}`)
    } finally {
      this.#opening = false
    }
  }

  async #disable(): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    this.#parts.replication.flush()
    this.#file = undefined
    this.#parts.replication.stream.keeper = undefined
    await this.#letGo(file)
  }

  // --- the end ---------------------------------------------------------------------------------------------------------

  /** Puts everything on the disk that belongs there. False when that fails; the log says why. Once it is done, it is not done again. */
  prepareToEnd(how: SaveAtEnd): boolean {
    if (this.#isReadyToEnd) return true
    const { log, config, replication } = this.#parts
    replication.flush()
    if (this.#file !== undefined) {
      log.notice('Calling fsync() on the AOF file.')
      if (!this.#isFlushed(this.#file)) return false
    }
    if (how === 'save' || (how === 'by rules' && config.values.save.length > 0)) {
      log.notice('Saving the final RDB snapshot before exiting.')
      if (!this.snapshots.saveNow()) {
        log.warning("Error trying to save the DB, can't exit.")
        return false
      }
    }
    this.#isReadyToEnd = true
    return true
  }

  /** Closes the files. */
  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (file !== undefined) await this.#letGo(file)
  }

  async #letGo(file: AppendFile): Promise<void> {
    this.#isFlushed(file)
    await file.close()
  }

  #isFlushed(file: AppendFile): boolean {
    try {
      file.flush()
      return true
    } catch (failure) {
      this.#parts.log.warning(`Fail to fsync the AOF file: ${(failure as Error).message}.`)
      return false
    }
  }
}

/** A store that was just made. */
const EMPTY = { chain: 1, generation: 0, recordCount: 0, garbage: 0 }

const SNAPSHOT_FAILED = new ClientError(
  "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
)
