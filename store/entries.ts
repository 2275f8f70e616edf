/** The entries of one database: where they lie, how they are found, what they hold. Small strings lie in the arena with their keys,
 *  everything else on a shelf. Here nobody decides whether an entry is still alive or who is told of a change: the keyspace does.
 *
 *  An entry is named by its address, which is good until the next change. `find` makes an entry the current one of the table, and
 *  what changes an entry may only be called for the current one. */
import { Key } from '../lib/base/key.ts'
import { type Address, Arena, wordIndex } from './arena.ts'
import type { CutPart } from './cut.ts'
import {
  DEADLINE_HIGH,
  DEADLINE_LOW,
  DEADLINE_PLACE,
  EXPIRES,
  entrySize,
  FLAG_BITS,
  FLAG_MASK,
  FLAGS,
  KEY_LENGTH,
  keyOffset,
  OUTSIDE,
  RAW,
  STAMP,
  VALUE,
} from './entry.ts'
import { Roll } from './roll.ts'
import { Shelf } from './shelf.ts'
import { positionOf, Table } from './table.ts'
import type { Value } from './value.ts'

/** Strings up to this length, in bytes, lie in the arena. Longer ones are worth a Buffer of their own (some 200 bytes), which replies can
 *  refer to instead of copying it. */
export const LONGEST_INSIDE = 4096

/** From here on a native copy is worth the call. */
const LONG = 96

const HIGH = 2 ** 32

/** Seconds of a clock of 24 bits: as Redis, we know no access that is longer ago than 194 days. */
export type Clock = number
export const CLOCK_MASK = 0xffffff

/** A value where it lies: of a string the bytes, bytes[start, end). Borrowed, until the keyspace changes or the next is asked for. */
export interface View {
  type: Value['type']
  bytes: Buffer
  /** The memory behind `bytes`, where the value lies in the arena; undefined when it has a Buffer of its own. */
  data: DataView | undefined
  start: number
  end: number
}

const NOTHING = Buffer.alloc(0)

export class Entries {
  readonly arena = new Arena()
  readonly table = new Table(this.arena)
  /** What changes now is stamped with this; it begins at 1 and moves on with every cut. */
  epoch = 1
  /** The cuts that have not come to their end here. */
  readonly cuts: CutPart[] = []
  #isRetired = false
  readonly #shelf = new Shelf<Value>()
  readonly #deadlines = new Roll()
  readonly #view: View = { type: 'string', bytes: NOTHING, data: undefined, start: 0, end: 0 }

  get size(): number {
    return this.table.size
  }

  /** How many have a deadline. */
  get expiring(): number {
    return this.#deadlines.size
  }

  /** Nobody uses these entries any more: when the last cut has come to its end here, their memory goes back. */
  retire(): void {
    this.#isRetired = true
    if (this.cuts.length === 0) this.arena.dispose()
  }

  /** A cut has come to its end here. */
  leave(cut: CutPart): void {
    const place = this.cuts.indexOf(cut)
    if (place < 0) return
    this.cuts.splice(place, 1)
    if (this.#isRetired) this.retire()
  }

  // --- looking ---------------------------------------------------------------------------------------------------------

  /** The entry of a key, now the current one; 0 when there is none. */
  find(key: Key): Address {
    return this.table.find(key.slot(), key.hash(), key.bytes, key.start, key.end)
  }

  /** The entry at a place below `expiring`. */
  withDeadline(place: number): Address {
    return this.#deadlines.at(place)
  }

  /** Unix milliseconds; 0 = never. */
  expireAt(at: Address): number {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    if ((words[i + FLAGS]! & EXPIRES) === 0) return 0
    return words[i + DEADLINE_HIGH]! * HIGH + (words[i + DEADLINE_LOW]! >>> 0)
  }

  /** Latin1 text of the key. */
  name(at: Address): string {
    const start = this.#keyStart(at)
    return this.arena.bytesAt(at).latin1Slice(start, start + this.#keyLength(at))
  }

  /** A copy of the key. */
  keyBytes(at: Address): Buffer {
    const start = this.#keyStart(at)
    return copyOf(this.arena.bytesAt(at), start, start + this.#keyLength(at))
  }

  #keyStart(at: Address): number {
    const i = wordIndex(at)
    return (i << 2) + keyOffset(this.arena.wordsAt(at)[i + FLAGS]!)
  }

  #keyLength(at: Address): number {
    return this.arena.wordsAt(at)[wordIndex(at) + KEY_LENGTH]!
  }

  /** A key that may be kept. */
  key(at: Address): Key {
    const bytes = this.keyBytes(at)
    return new Key(bytes, 0, bytes.length)
  }

  /** The value. A string is a copy where it lies in the arena; a collection is the very one. */
  value(at: Address): Value {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    const flags = words[i + FLAGS]!
    if ((flags & OUTSIDE) !== 0) return this.#shelf.at(words[i + VALUE]!)
    const start = (i << 2) + keyOffset(flags) + words[i + KEY_LENGTH]!
    const bytes = this.arena.bytesAt(at)
    const raw = (flags & RAW) !== 0
    return { type: 'string', bytes: copyOf(bytes, start, start + words[i + VALUE]!, raw), raw }
  }

  view(at: Address): View {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    const flags = words[i + FLAGS]!
    if ((flags & OUTSIDE) !== 0) return this.#viewOutside(this.#shelf.at(words[i + VALUE]!))
    const view = this.#view
    view.type = 'string'
    view.bytes = this.arena.bytesAt(at)
    view.data = this.arena.dataAt(at)
    view.start = (i << 2) + keyOffset(flags) + words[i + KEY_LENGTH]!
    view.end = view.start + words[i + VALUE]!
    return view
  }

  #viewOutside(value: Value): View {
    const view = this.#view
    view.type = value.type
    view.bytes = value.type === 'string' ? value.bytes : NOTHING
    view.data = undefined
    view.start = 0
    view.end = view.bytes.length
    return view
  }

  /** The epoch of the last change. */
  stamp(at: Address): number {
    return this.arena.wordsAt(at)[wordIndex(at) + STAMP]!
  }

  /** When it was last accessed. */
  accessedAt(at: Address): Clock {
    return this.arena.wordsAt(at)[wordIndex(at) + FLAGS]! >>> FLAG_BITS
  }

  // --- changing --------------------------------------------------------------------------------------------------------

  /** Notes an access. Not a change: nobody needs to know. */
  access(at: Address, clock: Clock): void {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at) + FLAGS
    words[i] = (words[i]! & FLAG_MASK) | (clock << FLAG_BITS)
  }

  /** To be called before the current entry, which is that of `key`, changes: cuts that have not come to it are given it as it is,
   *  and it counts as changed from now on. */
  change(key: Key, at: Address): void {
    const { epoch } = this
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at) + STAMP
    if (words[i] === epoch) return
    if (this.cuts.length > 0) {
      const position = positionOf(key.slot(), key.hash())
      for (const cut of this.cuts) cut.give(position, at)
    }
    words[i] = epoch
    this.table.stamp(key.slot(), epoch)
  }

  /** Stores a value under a key whose entry is `old` (0: none yet). The value now belongs to the store. */
  put(key: Key, old: Address, value: Value, expireAt: number, clock: Clock): void {
    if (value.type === 'string' && value.bytes.length <= LONGEST_INSIDE) {
      this.putBytes(key, old, value.bytes, 0, value.bytes.length, value.raw, expireAt, clock)
      return
    }
    const kept = this.#shelf.add(value)
    const at = this.#shape(key, old, OUTSIDE, 0, expireAt, clock)
    this.arena.wordsAt(at)[wordIndex(at) + VALUE] = kept
  }

  /** Stores the string bytes[start, end), which is copied. */
  putBytes(
    key: Key,
    old: Address,
    bytes: Buffer,
    start: number,
    end: number,
    raw: boolean,
    expireAt: number,
    clock: Clock,
  ): void {
    const length = end - start
    if (length > LONGEST_INSIDE) {
      const own = Buffer.allocUnsafeSlow(length)
      bytes.copy(own, 0, start, end)
      this.put(key, old, { type: 'string', bytes: own, raw }, expireAt, clock)
      return
    }
    const at = this.#shape(key, old, raw ? RAW : 0, length, expireAt, clock)
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    words[i + VALUE] = length
    const to = (i << 2) + keyOffset(words[i + FLAGS]!) + words[i + KEY_LENGTH]!
    copy(bytes, start, end, this.arena.bytesAt(at), to)
  }

  /** Sets or, with 0, removes a deadline. */
  setExpireAt(key: Key, at: Address, expireAt: number): void {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    const flags = words[i + FLAGS]!
    if ((flags & EXPIRES) !== 0 && expireAt !== 0) {
      this.change(key, at)
      this.#writeDeadline(at, expireAt)
    } else if ((flags & EXPIRES) !== 0 || expireAt !== 0) {
      const value = this.value(at)
      this.put(key, at, value, expireAt, this.accessedAt(at))
    } else this.change(key, at)
  }

  /** Removes the current entry, which is that of `key`. */
  remove(key: Key, at: Address): void {
    this.change(key, at)
    this.table.remove(key.slot(), key.hash())
    this.#unlist(at)
    this.#release(at)
  }

  /** Gives the entry of a key its shape: flags, deadline, room for a value inside. What it held is gone; its key is in place. */
  #shape(key: Key, old: Address, flags: number, room: number, expireAt: number, clock: Clock): Address {
    const allFlags = expireAt === 0 ? flags : flags | EXPIRES
    const size = entrySize(allFlags, key.length, room)
    let at = old
    if (old === 0) {
      at = this.#lay(key, allFlags, size)
      this.table.insert(key.slot(), key.hash(), at)
      this.table.stamp(key.slot(), this.epoch)
      this.#list(at, allFlags)
    } else {
      this.change(key, old)
      if (this.#fits(old, allFlags, size)) this.#dropValue(old)
      else {
        at = this.#lay(key, allFlags, size)
        this.table.move(at)
        this.#relist(old, at, allFlags)
        this.#release(old)
      }
    }
    const i = wordIndex(at) + FLAGS
    this.arena.wordsAt(at)[i] = allFlags | (clock << FLAG_BITS)
    if (expireAt !== 0) this.#writeDeadline(at, expireAt)
    return at
  }

  /** A new block with the key in it, stamped. */
  #lay(key: Key, flags: number, size: number): Address {
    const at = this.arena.allocate(size)
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    words[i + FLAGS] = flags
    words[i + KEY_LENGTH] = key.length
    words[i + STAMP] = this.epoch
    copy(key.bytes, key.start, key.end, this.arena.bytesAt(at), (i << 2) + keyOffset(flags))
    return at
  }

  /** Whether an entry can become one with these flags and this size where it is. */
  #fits(at: Address, flags: number, size: number): boolean {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    return ((words[i + FLAGS]! ^ flags) & EXPIRES) === 0 && this.arena.sameSize(this.#sizeOf(at), size)
  }

  #sizeOf(at: Address): number {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    return entrySize(words[i + FLAGS]!, words[i + KEY_LENGTH]!, words[i + VALUE]!)
  }

  #dropValue(at: Address): void {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    if ((words[i + FLAGS]! & OUTSIDE) !== 0) this.#shelf.remove(words[i + VALUE]!)
  }

  #release(at: Address): void {
    this.#dropValue(at)
    this.arena.free(at, this.#sizeOf(at))
  }

  #writeDeadline(at: Address, expireAt: number): void {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    words[i + DEADLINE_HIGH] = Math.floor(expireAt / HIGH)
    words[i + DEADLINE_LOW] = expireAt | 0
  }

  // --- those with a deadline -------------------------------------------------------------------------------------------

  #list(at: Address, flags: number): void {
    if ((flags & EXPIRES) !== 0) this.#setPlace(at, this.#deadlines.add(at))
  }

  #unlist(at: Address): void {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    if ((words[i + FLAGS]! & EXPIRES) === 0) return
    const place = words[i + DEADLINE_PLACE]!
    const moved = this.#deadlines.remove(place)
    if (moved !== 0) this.#setPlace(moved, place)
  }

  /** An entry has moved, and may have got or lost its deadline. */
  #relist(old: Address, at: Address, flags: number): void {
    const words = this.arena.wordsAt(old)
    const i = wordIndex(old)
    const had = (words[i + FLAGS]! & EXPIRES) !== 0
    if (!had) return this.#list(at, flags)
    if ((flags & EXPIRES) === 0) return this.#unlist(old)
    const place = words[i + DEADLINE_PLACE]!
    this.#deadlines.set(place, at)
    this.#setPlace(at, place)
  }

  #setPlace(at: Address, place: number): void {
    this.arena.wordsAt(at)[wordIndex(at) + DEADLINE_PLACE] = place
  }
}

function copy(from: Buffer, start: number, end: number, to: Buffer, at: number): void {
  if (end - start > LONG) {
    from.copy(to, at, start, end)
    return
  }
  for (let i = start, j = at; i < end; i++, j++) to[j] = from[i]!
}

/** A copy; `alone`: nothing else lies in the memory behind it (see StringValue.raw). */
function copyOf(bytes: Buffer, start: number, end: number, alone = false): Buffer {
  const own = alone ? Buffer.allocUnsafeSlow(end - start) : Buffer.allocUnsafe(end - start)
  copy(bytes, start, end, own, 0)
  return own
}
