/** The data: numbered databases of keys, their values and their deadlines. All changes pass through here, so this is
 *  where dirtiness is counted, slots are indexed and watchers are told. Inside, for now, a Map of latin1 names. */
import type { Millis } from '../lib/base/brand.ts'
import type { Key } from '../lib/base/key.ts'
import { type Member, Roster } from './roster.ts'
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

interface Entry extends Member {
  readonly name: string
  readonly slot: number
  value: Value
  /** Unix milliseconds; 0 = never. */
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
  /** The database the next active expire cycle begins with. */
  sweepFrom = 0

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

/** How often RANDOMKEY draws again after a key that is past its deadline and may not be removed. */
const RANDOM_TRIES = 100

export class Database {
  readonly keyspace: Keyspace
  readonly index: number
  #entries = new Map<string, Entry>()
  #all = new Roster<Entry>('inDatabase')
  /** The keys of each slot. */
  #slots: (Roster<Entry> | undefined)[] = []
  /** The keys that have a deadline. */
  #deadlines = new Roster<Entry>('inDeadlines')
  /** Where `sweep` goes on: it has seen the places from here up. */
  #sweptTo = 0

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

  /** The value of a key, counted as a hit or miss and, if `touch`, as an access. Undefined when missing or past its deadline. */
  read(key: Key, touch = true): Value | undefined {
    const entry = this.#live(key)
    const { stats, now } = this.keyspace
    if (entry === undefined) {
      stats.misses++
      return undefined
    }
    stats.hits++
    if (touch) entry.usedAt = now
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
    return entry !== undefined && !this.#isDue(entry)
  }

  /** Stores a value. `expireAt`: a deadline in Unix milliseconds, 0 for none, or 'keepTtl' to leave it as it is. */
  write(key: Key, value: Value, expireAt: number | KeepTtl): void {
    const { keyspace } = this
    const name = key.text()
    const entry = this.#entries.get(name)
    if (entry === undefined) this.#add(key, value, expireAt === 'keepTtl' ? 0 : expireAt)
    else if (this.#isDue(entry)) {
      // What is overwritten was gone: nothing of it is kept.
      this.#expire(entry)
      this.#add(key, value, expireAt === 'keepTtl' ? 0 : expireAt)
    } else {
      entry.value = value
      entry.usedAt = keyspace.now
      if (expireAt !== 'keepTtl') this.#setDeadline(entry, expireAt)
    }
    keyspace.dirty++
    keyspace.hooks.touched(this.index, name)
  }

  /** The value of a key, got by `readForWrite`, was changed in place: `count` changes. */
  changed(key: Key, count = 1): void {
    this.keyspace.dirty += count
    this.keyspace.hooks.touched(this.index, key.text())
  }

  /** Removes a key; false when there was none (one past its deadline is removed as expired and counts as none). */
  remove(key: Key): boolean {
    const entry = this.#live(key)
    if (entry === undefined) return false
    this.#drop(entry)
    this.keyspace.dirty++
    this.keyspace.hooks.touched(this.index, entry.name)
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
    this.#setDeadline(entry, expireAt)
    this.keyspace.dirty++
    this.keyspace.hooks.touched(this.index, entry.name)
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
    this.#all = new Roster('inDatabase')
    this.#slots = []
    this.#deadlines = new Roster('inDeadlines')
    for (const name of names) hooks.touched(this.index, name)
    this.keyspace.dirty += count
    return count
  }

  /** Exchanges the contents of two databases. */
  swapWith(other: Database): void {
    ;[this.#entries, other.#entries] = [other.#entries, this.#entries]
    ;[this.#all, other.#all] = [other.#all, this.#all]
    ;[this.#slots, other.#slots] = [other.#slots, this.#slots]
    ;[this.#deadlines, other.#deadlines] = [other.#deadlines, this.#deadlines]
    for (const db of [this, other]) for (const name of db.#entries.keys()) this.keyspace.hooks.touched(db.index, name)
    this.keyspace.dirty++
  }

  /** Every key, in no particular order, those past their deadline included (`live` says which are not).
   *  Do not change the database meanwhile. */
  *entries(): Generator<{ key: string; value: Value; expireAt: number; live: boolean }> {
    for (const entry of this.#all)
      yield { key: entry.name, value: entry.value, expireAt: entry.expireAt, live: !this.#isDue(entry) }
  }

  /** A key drawn at random, all alike; undefined when there is none. When almost all are past their deadline and none may be
   *  removed, it can be one of those, as on a real replica. */
  randomKey(float: () => number): string | undefined {
    for (let tries = RANDOM_TRIES; this.#all.size > 0; tries--) {
      const entry = this.#all.at(Math.floor(float() * this.#all.size))
      if (!this.#isDue(entry)) return entry.name
      if (this.keyspace.expiry === 'remove') this.#expire(entry)
      else if (tries === 0) return entry.name
    }
    return undefined
  }

  /** One step of SCAN: about `count` names, those past their deadline included, and the cursor to go on with. 0 begins and
   *  0 ends. Every key that was there from the first step to the last is named at least once. */
  scan(cursor: number, count: number): { next: number; names: string[] } {
    const { size } = this.#all
    const from = cursor === 0 ? size : Math.min(cursor, size)
    const next = Math.max(0, from - count)
    const names: string[] = []
    for (let place = from - 1; place >= next; place--) names.push(this.#all.at(place).name)
    return { next, names }
  }

  /** Number of keys of a slot. */
  countInSlot(slot: number): number {
    return this.#slots[slot]?.size ?? 0
  }

  /** Up to `most` keys of a slot. */
  keysInSlot(slot: number, most = Number.POSITIVE_INFINITY): string[] {
    const names: string[] = []
    for (const { name } of this.#slots[slot] ?? []) {
      if (names.length >= most) break
      names.push(name)
    }
    return names
  }

  /** Looks at up to `most` keys that have a deadline, going on where the last sweep ended, and removes those whose time has
   *  come: returns how many. Every key has its turn before any has its second. */
  sweep(most: number): number {
    let removed = 0
    for (let left = Math.min(most, this.#deadlines.size); left > 0; left--) {
      if (this.#sweptTo === 0 || this.#sweptTo > this.#deadlines.size) this.#sweptTo = this.#deadlines.size
      const entry = this.#deadlines.at(--this.#sweptTo)
      if (!this.#isDue(entry)) continue
      this.#expire(entry)
      removed++
    }
    return removed
  }

  /** The entry unless it is missing or past its deadline; removes it in the latter case if the mode allows. */
  #live(key: Key): Entry | undefined {
    const entry = this.#entries.get(key.text())
    if (entry === undefined || !this.#isDue(entry)) return entry
    if (this.keyspace.expiry === 'remove') this.#expire(entry)
    return undefined
  }

  #isDue(entry: Entry): boolean {
    return entry.expireAt !== 0 && entry.expireAt <= this.keyspace.now && this.keyspace.expiry !== 'ignore'
  }

  /** Removes a key whose deadline has passed; tells the replicas, unless they are told by somebody else. */
  #expire(entry: Entry): void {
    const { keyspace } = this
    this.#drop(entry)
    keyspace.stats.expired++
    keyspace.hooks.touched(this.index, entry.name)
    if (keyspace.expiry === 'remove') keyspace.hooks.expired(this.index, entry.name)
  }

  #add(key: Key, value: Value, expireAt: number): void {
    const slot = key.slot()
    const usedAt = this.keyspace.now
    const entry = { name: key.text(), slot, value, expireAt, usedAt, inDatabase: 0, inSlot: 0, inDeadlines: 0 }
    this.#entries.set(entry.name, entry)
    this.#all.add(entry)
    let inSlot = this.#slots[slot]
    if (inSlot === undefined) {
      inSlot = new Roster('inSlot')
      this.#slots[slot] = inSlot
    }
    inSlot.add(entry)
    if (expireAt !== 0) this.#deadlines.add(entry)
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry.name)
    this.#all.remove(entry)
    const inSlot = this.#slots[entry.slot]!
    inSlot.remove(entry)
    if (inSlot.size === 0) this.#slots[entry.slot] = undefined
    if (entry.expireAt !== 0) this.#deadlines.remove(entry)
  }

  #setDeadline(entry: Entry, expireAt: number): void {
    if (expireAt !== 0 && entry.expireAt === 0) this.#deadlines.add(entry)
    else if (expireAt === 0 && entry.expireAt !== 0) this.#deadlines.remove(entry)
    entry.expireAt = expireAt
  }
}
