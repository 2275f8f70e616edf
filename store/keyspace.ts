/** The data: numbered databases, and what they have in common. All changes pass through here, so this is where dirtiness is counted,
 *  deadlines are judged, watchers are told, and what has changed since the last checkpoint is known. */
import { assert } from '../lib/base/assert.ts'
import type { Millis } from '../lib/base/brand.ts'
import type { Key } from '../lib/base/key.ts'
import type { ArenaReport } from './arena.ts'
import { Cut } from './cut.ts'
import { Database } from './database.ts'

export type { Database, KeepTtl } from './database.ts'

/** What the keyspace tells the node around it. Keys are borrowed. */
export interface KeyspaceHooks {
  /** A key was created, changed or removed: watchers and tracking want to know. */
  touched(db: number, key: Key): void
  /** A key was removed because its time had come: replicas must be told (DEL). Called after the removal. */
  expired(db: number, key: Key): void
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
}

export class Keyspace {
  readonly databases: readonly Database[]
  readonly stats: KeyspaceStats = { hits: 0, misses: 0, expired: 0 }
  hooks: KeyspaceHooks = { touched() {}, expired() {} }
  expiry: ExpiryMode = 'remove'
  /** The time by which deadlines are judged; the server sets it once a batch. */
  now: Millis = 0 as Millis
  /** Changes since the beginning: a command that moved it has changed data. */
  dirty = 0
  /** The database the next active expire cycle begins with. */
  sweepFrom = 0
  #checkpointing = false

  constructor(options: { databases: number }) {
    this.databases = Array.from({ length: options.databases }, (_, i) => new Database(this, i))
  }

  /** Removes all keys of all databases; returns how many there were. */
  flushAll(): number {
    return this.databases.reduce((sum, db) => sum + db.flush(), 0)
  }

  /** Keys in all databases, those past their deadline but not yet removed included. */
  get size(): number {
    return this.databases.reduce((sum, db) => sum + db.size, 0)
  }

  /** Memory of keys and of the values that lie with them, in bytes. */
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
