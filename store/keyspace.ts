/** The data: numbered databases, and what they have in common. All changes pass through here, so this is where dirtiness is counted,
 *  deadlines are judged, watchers are told, and what has changed since the last checkpoint is known. */
import { assert } from '../lib/base/assert.ts'
import type { Millis } from '../lib/base/brand.ts'
import type { Key } from '../lib/base/key.ts'
import type { ArenaReport } from './arena.ts'
import { Cut } from './cut.ts'
import { Database } from './database.ts'
import type { Frequency } from './frequency.ts'

export type { Database, KeepTtl } from './database.ts'
export { MOST_WARMED } from './table.ts'

/** What has become of a key. `joined`: its stream has a new consumer. `thinned`: fields of a hash were removed by a command that is not
 *  known for it. `lapsed`: fields of a hash were removed because their time had come; `emptied`: and with the last of them the key. `replaced`: with all of its database, by a flush or a swap. `missed`: a read did not find it; only told
 *  of while `tellMisses` is set. */
export type Touch =
  | 'created'
  | 'changed'
  | 'joined'
  | 'thinned'
  | 'lapsed'
  | 'emptied'
  | 'removed'
  | 'expired'
  | 'evicted'
  | 'replaced'
  | 'missed'

/** What the keyspace tells the node around it. Keys are borrowed. */
export interface KeyspaceHooks {
  /** A key was created, changed or removed: watchers, tracking and keyspace events want to know. */
  touched(db: number, key: Key, what: Touch): void
  /** A key was removed because its time had come, or because memory was short: replicas must be told (DEL). Called after the removal. */
  expired(db: number, key: Key): void
  /** Fields (latin1) of a hash were removed because their time had come: replicas must be told (HDEL). */
  fieldsExpired?(db: number, key: Key, fields: readonly string[]): void
  /** All keys of all databases were exchanged for others, which nobody is told one by one. */
  exchanged?(): void
  /** The keys (latin1) of which somebody wants to hear when all keys of a database change at once: `touched` is called for those of
   *  them that are there, before or after. */
  awaited?(db: number): Iterable<string>
}

/** Whether reads may remove what is past its deadline. A replica must not (its primary sends DEL), nor a node whose
 *  replication offset has to stand still. */
export type ExpiryMode = 'remove' | 'hide' | 'ignore'

export interface KeyspaceStats {
  hits: number
  misses: number
  expired: number
  evicted: number
}

export class Keyspace {
  readonly databases: readonly Database[]
  readonly stats: KeyspaceStats = { hits: 0, misses: 0, expired: 0, evicted: 0 }
  hooks: KeyspaceHooks = { touched() {}, expired() {} }
  expiry: ExpiryMode = 'remove'
  /** Undefined: entries note when they were used last, and not how often. */
  lfu: Frequency | undefined
  /** Who reads or writes now leaves no access times behind (CLIENT NO-TOUCH). */
  untouched = false
  /** Reads that find nothing are told of too. */
  tellMisses = false
  /** The time by which deadlines are judged; the server sets it once a batch. */
  now: Millis = 0 as Millis
  /** Changes since the beginning: a command that moved it has changed data. */
  dirty = 0
  /** Sources of the function libraries, in the order in which they were loaded. Only ever replaced as a whole, so that who has read
   *  them sees whether they are others now. */
  libraries: readonly Buffer[] = []
  /** The database the next active expire cycle begins with. */
  sweepFrom = 0
  #checkpointing = false

  constructor(options: { databases: number }) {
    this.databases = Array.from({ length: options.databases }, (_, i) => new Database(this, i))
  }

  /** CONFIG RESETSTAT. */
  resetStats(): void {
    const { stats } = this
    stats.hits = stats.misses = stats.expired = stats.evicted = 0
  }

  /** Removes all keys of all databases; returns how many there were. */
  flushAll(): number {
    return this.databases.reduce((sum, db) => sum + db.flush(), 0)
  }

  /** Exchanges all data with another keyspace of as many databases. */
  exchangeWith(other: Keyspace): void {
    for (const [i, db] of this.databases.entries()) db.swapWith(other.databases[i]!)
    this.hooks.exchanged?.()
  }

  /** Keys in all databases, those past their deadline but not yet removed included. */
  get size(): number {
    return this.databases.reduce((sum, db) => sum + db.size, 0)
  }

  /** Bytes of keys and values that are in use (see `Database.memory`). */
  get weight(): number {
    let sum = 0
    for (const db of this.databases) sum += db.weight
    return sum
  }

  /** Memory of keys and values, in bytes. */
  get memory(): ArenaReport {
    const reports = this.databases.map((db) => db.memory)
    return {
      used: reports.reduce((sum, { used }) => sum + used, 0),
      held: reports.reduce((sum, { held }) => sum + held, 0),
    }
  }

  /** The keyspace as it is now. Several cuts can be open at once; each must be read to its end or ended. */
  openCut(): Cut {
    return new Cut(
      this.databases.map((db) => db.scope(undefined)),
      true,
      { commit() {}, abandon() {} },
    )
  }

  /** As `openCut`, for a checkpoint: only what has changed since the last one that was committed, if that is known and not `whole` is
   *  asked for; `isWhole` of the cut says so. It is not known before the first checkpoint, nor when a database was flushed or
   *  swapped. Only one can be open at a time. */
  openCheckpoint(whole = false): Cut {
    assert(!this.#checkpointing, 'one checkpoint at a time')
    this.#checkpointing = true
    const { databases } = this
    const changes = databases.map((db) => db.changes)
    const isWhole = whole || changes.includes(undefined)
    const scopes = databases.map((db) => db.scope(isWhole ? undefined : db.changes))
    const cut = new Cut(scopes, isWhole, {
      commit: () => {
        this.#checkpointing = false
      },
      abandon: () => {
        this.#checkpointing = false
        for (const [i, db] of databases.entries()) db.forgetCheckpoint(changes[i])
      },
    })
    for (const db of databases) db.noteChanges()
    return cut
  }

  /** All that is here now is what the last checkpoint holds: it was loaded from there. */
  markDurable(): void {
    this.openCheckpoint(true).commit()
  }
}
