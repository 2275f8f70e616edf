/** One numbered database: its keys, their values and their deadlines. Every change of the data is made here. */
import { Key, keyFromText } from '../lib/base/key.ts'
import type { Address, ArenaReport } from './arena.ts'
import type { CutScope } from './cut.ts'
import { CLOCK_MASK, type Clock, Entries, type View } from './entries.ts'
import type { Reason } from './evict.ts'
import type { Keyspace, Touch } from './keyspace.ts'
import { END, type Position, positionOf } from './table.ts'
import { TimedHashes } from './timed-hashes.ts'
import type { HashValue } from './types/hash.ts'
import type { SetValue } from './types/set.ts'
import type { Value } from './value.ts'

export type KeepTtl = 'keepTtl'

/** What has changed since the last checkpoint. */
export interface Changes {
  /** The epoch in which that was. */
  readonly since: number
  /** Keys that were removed and are not there again, latin1. */
  readonly removed: Set<string>
}

const NOTHING = Buffer.alloc(0)

/** Fewer members the processor has at hand. */
const WORTH_WARMING = 4096

/** How often RANDOMKEY draws again after a key that is past its deadline and may not be removed. */
const RANDOM_TRIES = 100

export class Database {
  readonly keyspace: Keyspace
  readonly index: number
  #entries = new Entries()
  /** Undefined: nobody knows. */
  #changes: Changes | undefined
  #timedHashes = new TimedHashes()
  /** Where `sweep` goes on: it has seen the places from here up. */
  #sweptTo = 0
  /** What `#clock` said last, and when: dividing is half of noting an access. */
  #clockThen: Clock = 0
  #clockAt = 0

  constructor(keyspace: Keyspace, index: number) {
    this.keyspace = keyspace
    this.index = index
  }

  get size(): number {
    return this.#entries.size
  }

  /** Keys that have a deadline. */
  get expiring(): number {
    return this.#entries.expiring
  }

  /** Memory of keys and values: `used` has an estimate of what lies on the JavaScript heap in it. */
  get memory(): ArenaReport {
    const entries = this.#entries
    const { held, used } = entries.arena.report
    return { used: entries.weight, held: held + entries.weight - used }
  }

  /** Bytes of `memory` that are in use. */
  get weight(): number {
    return this.#entries.weight
  }

  /** Bytes a key takes with its value: an estimate of what lies on the JavaScript heap. Undefined when missing. */
  weightOf(key: Key): number | undefined {
    const at = this.#live(key)
    return at === 0 ? undefined : this.#entries.weightOf(at)
  }

  // --- one key ---------------------------------------------------------------------------------------------------------

  /** Has what it takes to find these keys, at most MOST_WARMED, at hand when they are asked for. Nothing is noticed of it. */
  warm(keys: readonly Key[], count: number): void {
    this.#entries.table.warm(keys, count)
  }

  /** A hash or set of many members, which `warm` does for these what the method above does for keys. */
  manyAt(key: Key): HashValue | SetValue | undefined {
    const at = this.#entries.find(key)
    const value = at === 0 ? undefined : this.#entries.outside(at)
    return (value?.type === 'hash' || value?.type === 'set') && value.size >= WORTH_WARMING ? value : undefined
  }

  /** The value of a key, counted as a hit or miss and, if `touch`, as an access. Undefined when missing or past its deadline. */
  read(key: Key, touch = true): Value | undefined {
    const at = this.#access(key, touch)
    return at === 0 ? undefined : this.#entries.value(at)
  }

  /** As `read`, but the value stays where it is: for commands that make no object of it. */
  view(key: Key, touch = true): View | undefined {
    const at = this.#access(key, touch)
    return at === 0 ? undefined : this.#entries.view(at)
  }

  /** As `view`, for commands that let go of the bytes of a string at once: it may be written into in place afterwards. */
  look(key: Key): View | undefined {
    const at = this.#access(key, true)
    return at === 0 ? undefined : this.#entries.view(at, false)
  }

  /** As `read`, but for a command that will write: neither hits nor misses are counted, unless it `counts` as a reader too. */
  readForWrite(key: Key, counts = false): Value | undefined {
    const { keyspace } = this
    if (!counts && !keyspace.untouched && keyspace.lfu === undefined) {
      const at = this.#entries.find(key)
      const value = at === 0 ? undefined : this.#entries.lendLasting(at, this.#clock())
      if (value !== undefined) return this.#lent(key, at, value)
    }
    const at = counts ? this.#access(key, true) : this.#live(key)
    if (at === 0) return undefined
    this.#use(at)
    return this.#lent(key, at, this.#entries.lend(at))
  }

  /** What may be changed in place from now on must first be given to the cuts that have not come to it. */
  #lent(key: Key, at: Address, value: Value): Value {
    if (value.type !== 'string' && this.#entries.cuts.length > 0) this.#entries.change(key, at)
    return value
  }

  /** As `readForWrite` of a string, but it stays where it is. */
  viewForWrite(key: Key): View | undefined {
    const at = this.#live(key)
    if (at === 0) return undefined
    this.#use(at)
    return this.#entries.view(at, false)
  }

  /** Where the bytes of a string lie, which is made at least `to` bytes long by zeros at its end, or made of zeros if there is none yet:
   *  [from, to) may be written until the keyspace changes. Tell of it by `changed`, unless nothing was. The key must not hold anything
   *  but a string. */
  edit(key: Key, from: number, to: number): View {
    let at = this.#toOverwrite(key)
    if (at === 0) {
      this.#entries.putBytes(key, 0, NOTHING, 0, 0, true, 0, this.#clockFor(0))
      at = this.#entries.find(key)
    }
    return this.#entries.edit(key, at, from, to)
  }

  /** As `read`, without a trace: no statistics, no access time. */
  peek(key: Key): Value | undefined {
    const at = this.#live(key)
    return at === 0 ? undefined : this.#entries.value(at)
  }

  /** Whether the key is there, seen without removing anything or leaving a trace. */
  has(key: Key): boolean {
    const at = this.#entries.find(key)
    return at !== 0 && !this.#isDue(at)
  }

  /** Stores a value. `expireAt`: a deadline in Unix milliseconds, 0 for none, or 'keepTtl' to leave it as it is. */
  write(key: Key, value: Value, expireAt: number | KeepTtl): void {
    const old = this.#toOverwrite(key)
    this.#entries.put(key, old, value, this.#deadline(old, expireAt), this.#clockFor(old))
    if (value.type === 'hash' && value.deadlines !== undefined) this.noteDeadlines(key)
    this.#changed(key, 1, old === 0 ? 'created' : 'changed')
  }

  /** As `write` of the string bytes[start, end), which are copied: faster when `data`, the memory behind them, is at hand. */
  writeBytes(key: Key, bytes: Buffer, start: number, end: number, expireAt: number | KeepTtl, data?: DataView): void {
    const old = this.#toOverwrite(key)
    this.#entries.putBytes(key, old, bytes, start, end, false, this.#deadline(old, expireAt), this.#clockFor(old), data)
    this.#changed(key, 1, old === 0 ? 'created' : 'changed')
  }

  /** The value of a key, got by `readForWrite` or `edit`, was changed in place: `count` changes. */
  changed(key: Key, count = 1, what: 'created' | 'changed' | 'joined' | 'thinned' = 'changed'): void {
    const at = this.#entries.find(key)
    if (at !== 0) this.#entries.settle(key, at)
    this.#changed(key, count, what)
  }

  /** Removes a key; false when there was none (one past its deadline is removed as expired and counts as none). */
  remove(key: Key): boolean {
    const at = this.#live(key)
    if (at === 0) return false
    this.#drop(key, at)
    this.#changed(key, 1, 'removed')
    return true
  }

  /** The deadline: 0 = none, undefined = no such key. */
  expireAt(key: Key): number | undefined {
    const at = this.#live(key)
    return at === 0 ? undefined : this.#entries.expireAt(at)
  }

  /** Sets the deadline (0 removes it); false when there is no such key. */
  setExpireAt(key: Key, expireAt: number): boolean {
    const at = this.#live(key)
    if (at === 0) return false
    this.#entries.setExpireAt(key, at, expireAt)
    this.#changed(key, 1, 'changed')
    return true
  }

  /** Milliseconds since the last access, in whole seconds; undefined when missing. */
  idleMs(key: Key): number | undefined {
    const at = this.#live(key)
    return at === 0 ? undefined : ((this.#clock() - this.#entries.accessedAt(at)) & CLOCK_MASK) * 1000
  }

  /** Pretends the last access was `idleMs` ago (RESTORE IDLETIME); nothing while an LFU policy is in force. */
  setIdle(key: Key, idleMs: number): void {
    const at = this.#entries.find(key)
    if (at === 0 || this.keyspace.lfu !== undefined) return
    const seconds = Math.min(CLOCK_MASK, Math.floor(idleMs / 1000))
    this.#entries.access(at, (this.#clock() - seconds) & CLOCK_MASK)
  }

  /** How often it is used: 0 to 255, as LFU policies count; undefined when missing. */
  frequency(key: Key): number | undefined {
    const at = this.#live(key)
    return at === 0 ? undefined : this.#frequencyAt(at)
  }

  /** Pretends it is used that often (RESTORE FREQ); nothing when no LFU policy is in force. */
  setFrequency(key: Key, counter: number): void {
    const { lfu, now } = this.keyspace
    const at = this.#entries.find(key)
    if (at !== 0 && lfu !== undefined) this.#entries.access(at, lfu.known(now, counter))
  }

  // --- fields with deadlines -------------------------------------------------------------------------------------------

  /** Hashes that have fields with deadlines: no fewer, perhaps. */
  get timedHashes(): number {
    return this.#timedHashes.size
  }

  /** Fields of a hash have been given deadlines. */
  noteDeadlines(key: Key): void {
    this.#timedHashes.add(key.text())
  }

  /** A hash as a command is to see it, without fields whose time has come; undefined: nothing is left of it. On a replica they are only
   *  hidden, and from a command that writes (`toWrite`) not even that. */
  living(key: Key, hash: HashValue, toWrite: boolean): HashValue | undefined {
    const { expiry, now } = this.keyspace
    if (expiry === 'ignore' || hash.deadlines?.mayBeDue(now) !== true) return hash
    if (expiry === 'remove') {
      this.#expireFields(key, hash)
      return hash.size === 0 ? undefined : hash
    }
    if (toWrite) return hash
    const copy = hash.copy()
    copy.expire(now)
    return copy.size === 0 ? undefined : copy
  }

  /** Looks at up to `most` hashes that have fields with deadlines, going on where the last sweep ended, and removes the fields whose
   *  time has come: returns of how many hashes. */
  sweepFields(most: number): number {
    let changed = 0
    for (let left = Math.min(most, this.#timedHashes.size); left > 0; left--) {
      const name = this.#timedHashes.next()
      if (name !== undefined && this.#sweepHash(keyFromText(name))) changed++
    }
    return changed
  }

  #sweepHash(key: Key): boolean {
    const at = this.#live(key)
    const value = at === 0 || this.#entries.view(at, false).type !== 'hash' ? undefined : this.#entries.value(at)
    if (value?.type !== 'hash' || value.deadlines === undefined) {
      this.#timedHashes.delete(key.text())
      return false
    }
    return value.deadlines.mayBeDue(this.keyspace.now) && this.#expireFields(key, value)
  }

  /** Not a change of the data that anybody is to repeat: replicas are told of each field. */
  #expireFields(key: Key, hash: HashValue): boolean {
    const { hooks, now } = this.keyspace
    const at = this.#entries.find(key)
    this.#entries.change(key, at)
    const fields = hash.expire(now)
    if (fields.length === 0) return false
    if (hash.size === 0) this.#drop(key, at)
    else this.#entries.settle(key, at)
    hooks.touched(this.index, key, hash.size === 0 ? 'emptied' : 'lapsed')
    hooks.fieldsExpired?.(this.index, key, fields)
    return true
  }

  // --- eviction (store/evict.ts) ---------------------------------------------------------------------------------------

  /** Adds `most` keys drawn at random to `found`, or of those with a deadline; there must be as many. Good until the next change. */
  draw(volatile: boolean, most: number, float: () => number, found: Address[]): void {
    const entries = this.#entries
    if (!volatile) return entries.table.sample(most, float, found)
    for (let i = 0; i < most; i++) found.push(entries.withDeadline(Math.floor(float() * entries.expiring)))
  }

  /** The higher, the sooner it is to go. */
  reasonToGo(at: Address, by: Reason): number {
    if (by === 'ending') return -this.#entries.expireAt(at)
    return by === 'idle' ? (this.#clock() - this.#entries.accessedAt(at)) & CLOCK_MASK : 255 - this.#frequencyAt(at)
  }

  /** Latin1 text of a key that was drawn. */
  nameAt(at: Address): string {
    return this.#entries.name(at)
  }

  /** Removes a key because memory is short, and tells the replicas; false when it is not there (or, `volatile`, has no deadline). */
  evict(name: string, volatile: boolean): boolean {
    const key = keyFromText(name)
    const at = this.#entries.find(key)
    if (at === 0 || (volatile && this.#entries.expireAt(at) === 0)) return false
    const { keyspace } = this
    this.#drop(key, at)
    keyspace.stats.evicted++
    keyspace.hooks.touched(this.index, key, 'evicted')
    keyspace.hooks.expired(this.index, key)
    return true
  }

  // --- all keys --------------------------------------------------------------------------------------------------------

  /** Removes all keys; returns how many there were. */
  flush(): number {
    const old = this.#entries
    if (old.size === 0) return 0
    this.#entries = new Entries()
    this.#timedHashes = new TimedHashes()
    this.#changes = undefined
    this.#tellOfAll(old)
    old.retire()
    this.keyspace.dirty += old.size
    return old.size
  }

  /** Exchanges the contents of two databases. */
  swapWith(other: Database): void {
    const mine = this.#entries
    const theirs = other.#entries
    this.#entries = theirs
    other.#entries = mine
    const timed = this.#timedHashes
    this.#timedHashes = other.#timedHashes
    other.#timedHashes = timed
    this.#changes = undefined
    other.#changes = undefined
    this.#tellOfAll(mine)
    other.#tellOfAll(theirs)
    this.keyspace.dirty++
  }

  /** Every key, in no particular order, those past their deadline included (`live` says which are not).
   *  Do not change the database meanwhile. */
  *entries(): Generator<{ key: string; value: Value; expireAt: number; live: boolean }> {
    const entries = this.#entries
    for (const at of this.#walk(0, END)) {
      const live = !this.#isDue(at)
      yield { key: entries.name(at), value: entries.value(at), expireAt: entries.expireAt(at), live }
    }
  }

  /** The keys that are not past their deadline, each borrowed until the next. Do not change the keyspace meanwhile. */
  *keys(): Generator<Key> {
    const key = new Key(NOTHING, 0, 0)
    for (const at of this.#walk(0, END)) if (!this.#isDue(at)) yield this.#entries.borrowKey(at, key)
  }

  /** A key drawn at random, all alike; undefined when there is none. When almost all are past their deadline and none may be
   *  removed, it can be one of those, as on a real replica. */
  randomKey(float: () => number): string | undefined {
    const entries = this.#entries
    for (let tries = RANDOM_TRIES; entries.size > 0; tries--) {
      const at = entries.table.draw(float)
      if (!this.#isDue(at)) return entries.name(at)
      if (this.keyspace.expiry === 'remove') this.#expire(entries.key(at))
      else if (tries === 0) return entries.name(at)
    }
    return undefined
  }

  /** One step of SCAN: about `count` keys, those past their deadline included, and the cursor to go on with. 0 begins and
   *  0 ends. Every key that was there from the first step to the last comes exactly once. */
  scan(cursor: number, count: number): { next: number; keys: Key[] } {
    const found: Address[] = []
    let position: Position = Math.min(cursor, END)
    while (position < END && found.length < count) position = this.#entries.table.collect(position, END, 0, found)
    return { next: position < END ? position : 0, keys: found.map((at) => this.#entries.key(at)) }
  }

  /** Number of keys of a slot. */
  countInSlot(slot: number): number {
    return this.#entries.table.countInSlot(slot)
  }

  /** Up to `most` keys of a slot. */
  keysInSlot(slot: number, most = Number.POSITIVE_INFINITY): string[] {
    const names: string[] = []
    for (const at of this.#walk(positionOf(slot, 0), positionOf(slot + 1, 0))) {
      if (names.length >= most) break
      names.push(this.#entries.name(at))
    }
    return names
  }

  /** Looks at up to `most` keys that have a deadline, going on where the last sweep ended, and removes those whose time has
   *  come: returns how many. Every key has its turn before any has its second. */
  sweep(most: number): number {
    const entries = this.#entries
    let removed = 0
    for (let left = Math.min(most, entries.expiring); left > 0; left--) {
      if (this.#sweptTo === 0 || this.#sweptTo > entries.expiring) this.#sweptTo = entries.expiring
      const at = entries.withDeadline(--this.#sweptTo)
      if (!this.#isDue(at)) continue
      this.#expire(entries.key(at))
      removed++
    }
    return removed
  }

  *#walk(from: Position, end: Position): Generator<Address, void> {
    const { table } = this.#entries
    const found: Address[] = []
    for (let position = from; position < end; ) {
      found.length = 0
      position = table.collect(position, end, 0, found)
      yield* found
    }
  }

  // --- checkpoints -----------------------------------------------------------------------------------------------------

  /** For the keyspace's cuts: what has changed since the last checkpoint, if that is known. */
  get changes(): Changes | undefined {
    return this.#changes
  }

  /** What a cut is to see: all, or these changes. */
  scope(changes: Changes | undefined): CutScope {
    const { since, removed } = changes ?? { since: 0, removed: [] }
    return { db: this.index, entries: this.#entries, since, removed }
  }

  /** A checkpoint has been opened: changes are noted from here on. */
  noteChanges(): void {
    this.#changes = { since: this.#entries.epoch - 1, removed: new Set() }
  }

  /** That checkpoint failed: what had changed before it still has. */
  forgetCheckpoint(before: Changes | undefined): void {
    const since = this.#changes
    if (since === undefined || before === undefined) {
      this.#changes = undefined
      return
    }
    for (const name of since.removed) before.removed.add(name)
    for (const name of before.removed) if (this.#entries.find(keyFromText(name)) !== 0) before.removed.delete(name)
    this.#changes = before
  }

  // --- inside ----------------------------------------------------------------------------------------------------------

  #frequencyAt(at: Address): number {
    const { lfu, now } = this.keyspace
    return lfu === undefined ? 0 : lfu.counter(this.#entries.accessedAt(at), now)
  }

  /** Notes that an entry is used. */
  #use(at: Address): void {
    if (!this.keyspace.untouched) this.#entries.access(at, this.#clockFor(at))
  }

  /** What an entry notes that is used now; `at` 0: one that is new. */
  #clockFor(at: Address): Clock {
    const { lfu } = this.keyspace
    if (lfu === undefined) return this.#clock()
    return at === 0 ? lfu.first(this.keyspace.now) : lfu.used(this.#entries.accessedAt(at), this.keyspace.now)
  }

  #clock(): Clock {
    const { now } = this.keyspace
    if (now !== this.#clockAt) {
      this.#clockAt = now
      this.#clockThen = Math.floor(now / 1000) & CLOCK_MASK
    }
    return this.#clockThen
  }

  /** `#live`, with what a reading command leaves behind. */
  #access(key: Key, touch: boolean): Address {
    const at = this.#live(key)
    const { stats } = this.keyspace
    if (at === 0) {
      stats.misses++
      if (this.keyspace.tellMisses) this.keyspace.hooks.touched(this.index, key, 'missed')
      return 0
    }
    stats.hits++
    if (touch) this.#use(at)
    return at
  }

  /** The entry unless it is missing or past its deadline; removes it in the latter case if the mode allows. */
  #live(key: Key): Address {
    const at = this.#entries.find(key)
    if (at === 0 || !this.#isDue(at)) return at
    if (this.keyspace.expiry === 'remove') this.#expire(key)
    return 0
  }

  /** The entry a write replaces. One past its deadline is gone first: nothing of it is kept. */
  #toOverwrite(key: Key): Address {
    const at = this.#entries.find(key)
    if (at !== 0 && !this.#isDue(at)) return at
    if (at !== 0) this.#expire(key)
    const removed = this.#changes?.removed
    if (removed !== undefined && removed.size > 0) removed.delete(key.text())
    return 0
  }

  #deadline(old: Address, expireAt: number | KeepTtl): number {
    if (expireAt !== 'keepTtl') return expireAt
    return old === 0 ? 0 : this.#entries.expireAt(old)
  }

  #isDue(at: Address): boolean {
    const expireAt = this.#entries.expireAt(at)
    return expireAt !== 0 && expireAt <= this.keyspace.now && this.keyspace.expiry !== 'ignore'
  }

  /** Removes a key whose deadline has passed; tells the replicas, unless they are told by somebody else. */
  #expire(key: Key): void {
    const { keyspace } = this
    this.#drop(key, this.#entries.find(key))
    keyspace.stats.expired++
    keyspace.hooks.touched(this.index, key, 'expired')
    if (keyspace.expiry === 'remove') keyspace.hooks.expired(this.index, key)
  }

  #drop(key: Key, at: Address): void {
    this.#entries.remove(key, at)
    this.#changes?.removed.add(key.text())
  }

  #changed(key: Key, count: number, what: Touch): void {
    const { keyspace } = this
    keyspace.dirty += count
    keyspace.hooks.touched(this.index, key, what)
  }

  /** All keys have changed at once: those somebody waits for are told of, if they were or are there. */
  #tellOfAll(before: Entries): void {
    const { hooks } = this.keyspace
    for (const name of hooks.awaited?.(this.index) ?? []) {
      const key = keyFromText(name)
      if (before.find(key) !== 0 || this.#entries.find(key) !== 0) hooks.touched(this.index, key, 'replaced')
    }
  }
}
