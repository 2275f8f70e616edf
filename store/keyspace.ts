/** The data: numbered databases of keys, their values and their deadlines. All changes pass through here, so this is
 *  where dirtiness is counted, slots are indexed and watchers are told. Inside, for now, a Map of latin1 names. */
import type { Millis } from '../lib/base/brand.ts'
import { SLOT_COUNT } from '../lib/base/brand.ts'
import type { Key } from '../lib/base/key.ts'
import type { Value } from './value.ts'

/** What the keyspace tells the node around it. */
export interface KeyspaceHooks {
  /** A key was created, changed or removed: watchers and tracking want to know. */
  touched(db: number, key: string): void
  /** A key was removed because its time had come: replicas must be told (DEL). Called after the removal. */
  expired(db: number, key: string): void
}

/** Whether reads may remove what is past its deadline. A replica must not (its primary sends DEL), nor a node whose
 *  replication offset has to stand still. */
export type ExpiryMode = 'remove' | 'hide' | 'ignore'

interface Entry {
  value: Value
  /** 0 = never. */
  expireAt: number
  /** Last access, for OBJECT IDLETIME: Unix milliseconds. */
  usedAt: number
}

export type KeepTtl = 'keepTtl'

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
}

export class Database {
  readonly keyspace: Keyspace
  readonly index: number
  #entries = new Map<string, Entry>()
  /** Names of keys that have a deadline: what the active cycle samples. */
  #deadlines = new Set<string>()
  /** The names of each slot: a key never changes its slot, so a walk over slots is a scan that survives any change. */
  #slots: (Set<string> | undefined)[] = []

  constructor(keyspace: Keyspace, index: number) {
    this.keyspace = keyspace
    this.index = index
  }

  get size(): number {
    return this.#entries.size
  }

  /** Keys that have a deadline. */
  get expiring(): number {
    return this.#deadlines.size
  }

  /** The value of a key, counted as an access. Undefined when missing or past its deadline. */
  read(key: Key): Value | undefined {
    const entry = this.#live(key)
    const { stats, now } = this.keyspace
    if (entry === undefined) {
      stats.misses++
      return undefined
    }
    stats.hits++
    entry.usedAt = now
    return entry.value
  }

  /** As `read`, but for a command that will write: neither hits nor misses are counted. */
  readForWrite(key: Key): Value | undefined {
    const entry = this.#live(key)
    if (entry !== undefined) entry.usedAt = this.keyspace.now
    return entry?.value
  }

  /** As `read`, without a trace: no statistics, no access time. */
  peek(key: Key): Value | undefined {
    return this.#live(key)?.value
  }

  /** Whether the key is there, seen without removing anything or leaving a trace. */
  has(key: Key): boolean {
    const entry = this.#entries.get(key.text())
    return entry !== undefined && !this.#due(entry)
  }

  /** Stores a value. `expireAt`: a deadline in Unix milliseconds, 0 for none, or 'keepTtl' to leave it as it is. */
  write(key: Key, value: Value, expireAt: number | KeepTtl): void {
    const name = key.text()
    const { keyspace } = this
    const entry = this.#entries.get(name)
    if (entry === undefined) {
      const deadline = expireAt === 'keepTtl' ? 0 : expireAt
      this.#entries.set(name, { value, expireAt: deadline, usedAt: keyspace.now })
      if (deadline !== 0) this.#deadlines.add(name)
      this.#indexed(key).add(name)
    } else {
      entry.value = value
      entry.usedAt = keyspace.now
      if (expireAt !== 'keepTtl') this.#setDeadline(name, entry, expireAt)
    }
    keyspace.dirty++
    keyspace.hooks.touched(this.index, name)
  }

  /** Removes a key; false when there was none (one past its deadline is removed as expired and counts as none). */
  remove(key: Key): boolean {
    if (this.#live(key) === undefined) return false
    this.#drop(key.text(), key)
    this.keyspace.dirty++
    this.keyspace.hooks.touched(this.index, key.text())
    return true
  }

  /** The deadline: 0 = none, undefined = no such key. */
  expireAt(key: Key): number | undefined {
    return this.#live(key)?.expireAt
  }

  /** Sets the deadline (0 removes it); false when there is no such key. */
  setExpireAt(key: Key, expireAt: number): boolean {
    const entry = this.#live(key)
    if (entry === undefined) return false
    this.#setDeadline(key.text(), entry, expireAt)
    this.keyspace.dirty++
    this.keyspace.hooks.touched(this.index, key.text())
    return true
  }

  /** Milliseconds since the last access; undefined when missing. */
  idleMs(key: Key): number | undefined {
    const entry = this.#live(key)
    return entry === undefined ? undefined : Math.max(0, this.keyspace.now - entry.usedAt)
  }

  /** Pretends the last access was `idleMs` ago (RESTORE IDLETIME). */
  setIdle(key: Key, idleMs: number): void {
    const entry = this.#entries.get(key.text())
    if (entry !== undefined) entry.usedAt = this.keyspace.now - idleMs
  }

  /** Removes all keys; returns how many there were. */
  flush(): number {
    const count = this.#entries.size
    const { hooks } = this.keyspace
    const names = this.#entries.keys()
    this.#entries = new Map()
    this.#deadlines = new Set()
    this.#slots = []
    for (const name of names) hooks.touched(this.index, name)
    this.keyspace.dirty += count
    return count
  }

  /** Exchanges the contents of two databases. */
  swapWith(other: Database): void {
    ;[this.#entries, other.#entries] = [other.#entries, this.#entries]
    ;[this.#deadlines, other.#deadlines] = [other.#deadlines, this.#deadlines]
    ;[this.#slots, other.#slots] = [other.#slots, this.#slots]
    for (const db of [this, other]) for (const name of db.#entries.keys()) this.keyspace.hooks.touched(db.index, name)
    this.keyspace.dirty++
  }

  /** Every key, in no particular order, those past their deadline included (`live` says which are not).
   *  Do not change the database meanwhile. */
  *entries(): Generator<{ key: string; value: Value; expireAt: number; live: boolean }> {
    for (const [key, entry] of this.#entries)
      yield { key, value: entry.value, expireAt: entry.expireAt, live: !this.#due(entry) }
  }

  /** A random live key, or undefined when there is none. Keys of crowded slots are drawn less often. */
  randomKey(float: () => number): string | undefined {
    const start = Math.floor(float() * SLOT_COUNT)
    for (let i = 0; i < SLOT_COUNT && this.#entries.size > 0; i++) {
      const names = this.#slots[(start + i) % SLOT_COUNT]
      if (names === undefined) continue
      const alive = [...names].filter((name) => !this.#due(this.#entries.get(name)!))
      if (alive.length > 0) return alive[Math.floor(float() * alive.length)]
    }
    return undefined
  }

  /** One step of SCAN: the names of whole slots from `cursor` on until there are at least `count`, and the next cursor,
   *  0 at the end. Names past their deadline are included. */
  scan(cursor: number, count: number): { next: number; names: string[] } {
    const names: string[] = []
    for (let slot = cursor; slot < SLOT_COUNT; slot++) {
      if (names.length >= count) return { next: slot, names }
      for (const name of this.#slots[slot] ?? []) names.push(name)
    }
    return { next: 0, names }
  }

  /** Number of keys of a slot. */
  countInSlot(slot: number): number {
    return this.#slots[slot]?.size ?? 0
  }

  /** Up to `most` keys of a slot. */
  keysInSlot(slot: number, most = Number.POSITIVE_INFINITY): string[] {
    const names: string[] = []
    for (const name of this.#slots[slot] ?? []) {
      if (names.length >= most) break
      names.push(name)
    }
    return names
  }

  /** The active cycle's sample: up to `most` names of keys that have a deadline, oldest entries first. */
  *deadlines(most: number): Generator<{ key: string; expireAt: number }> {
    let left = most
    for (const key of this.#deadlines) {
      if (left-- <= 0) return
      yield { key, expireAt: this.#entries.get(key)!.expireAt }
    }
  }

  /** The entry unless it is missing or past its deadline; removes it in the latter case if the mode allows. */
  #live(key: Key): Entry | undefined {
    const entry = this.#entries.get(key.text())
    if (entry === undefined || !this.#due(entry)) return entry
    if (this.keyspace.expiry === 'remove') this.#expire(key.text(), key)
    return undefined
  }

  /** Removes a key whose deadline passed and tells the replicas. */
  #expire(name: string, key: Key): void {
    this.#drop(name, key)
    this.keyspace.stats.expired++
    this.keyspace.hooks.touched(this.index, name)
    this.keyspace.hooks.expired(this.index, name)
  }

  #due(entry: Entry): boolean {
    return entry.expireAt !== 0 && entry.expireAt <= this.keyspace.now && this.keyspace.expiry !== 'ignore'
  }

  #drop(name: string, key: Key): void {
    this.#entries.delete(name)
    this.#deadlines.delete(name)
    const slot = key.slot()
    const names = this.#slots[slot]
    names?.delete(name)
    if (names?.size === 0) this.#slots[slot] = undefined
  }

  #setDeadline(name: string, entry: Entry, expireAt: number): void {
    if (expireAt === 0) {
      if (entry.expireAt !== 0) this.#deadlines.delete(name)
    } else if (entry.expireAt === 0) this.#deadlines.add(name)
    entry.expireAt = expireAt
  }

  #indexed(key: Key): Set<string> {
    const slot = key.slot()
    let names = this.#slots[slot]
    if (names === undefined) {
      names = new Set()
      this.#slots[slot] = names
    }
    return names
  }
}
