/** The entries of one database: where they lie, how they are found, what they hold. Small strings and packed collections lie in the
 *  arena with their keys, everything else on a shelf. Here nobody decides whether an entry is still alive or who is told of a change: the keyspace does.
 *
 *  An entry is named by its address, which is good until the next change. `find` makes an entry the current one of the table, and
 *  what changes an entry may only be called for the current one. */

import { assert } from '../lib/base/assert.ts'
import { copy, copyOf, copyShort, SHORT } from '../lib/base/copy.ts'
import { Key } from '../lib/base/key.ts'
import { type Address, Arena, byteIndex, wordIndex } from './arena.ts'
import type { CutPart } from './cut.ts'
import { Deadlines } from './deadlines.ts'
import {
  EXPIRES,
  entrySize,
  FLAG_BITS,
  FLAG_MASK,
  FLAGS,
  KEY_LENGTH,
  KIND_MASK,
  KIND_SHIFT,
  keyOffset,
  OUTSIDE,
  RAW,
  SHARED,
  STAMP,
  VALUE,
} from './entry.ts'
import { borrow, type Collection, kindOf, typeOfKind } from './kind.ts'
import { Lent } from './lent.ts'
import { weightOf } from './memory.ts'
import { Shelf } from './shelf.ts'
import { positionOf, Table } from './table.ts'
import { growingString, longer } from './types/string.ts'
import type { StringValue, Value } from './value.ts'

/** Strings and packed collections up to this length, in bytes, lie in the arena. Longer strings are worth a Buffer of their own (some 200 bytes), which replies can
 *  refer to instead of copying it. */
export const LONGEST_INSIDE = 4096

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

/** What an entry takes of the table's pages, in bytes: a hash and an address, and as much again for pages that are not full. */
const PLACES = 16

export class Entries {
  readonly arena = new Arena()
  readonly table = new Table(this.arena)
  /** What changes now is stamped with this; it begins at 1 and moves on with every cut. */
  epoch = 1
  /** The cuts that have not come to their end here. */
  readonly cuts: CutPart[] = []
  #isRetired = false
  readonly #shelf = new Shelf<Value>()
  /** Packed collections that commands have asked for, to change them. */
  readonly #lent = new Lent()
  readonly #deadlines = new Deadlines(this.arena)
  readonly #view: View = { type: 'string', bytes: NOTHING, data: undefined, start: 0, end: 0 }

  get size(): number {
    return this.table.size
  }

  /** Bytes in use: in the arena, and an estimate of what lies outside. */
  get weight(): number {
    return this.arena.used + this.#shelf.weight
  }

  /** Bytes of an entry with its value, and its share of the table. */
  weightOf(at: Address): number {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    const block = this.arena.roomFor(this.#sizeOf(at)) + PLACES
    return (words[i + FLAGS]! & OUTSIDE) === 0 ? block : block + this.#shelf.weightOf(words[i + VALUE]!)
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
    return this.table.find(key.slot(), key.hash(), key)
  }

  /** The entry at a place below `expiring`. */
  withDeadline(place: number): Address {
    return this.#deadlines.entryAt(place)
  }

  /** Unix milliseconds; 0 = never. */
  expireAt(at: Address): number {
    return this.#deadlines.of(at)
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

  /** Points `key` at the key where it lies: until the keyspace changes. */
  borrowKey(at: Address, key: Key): Key {
    const start = this.#keyStart(at)
    return key.set(this.arena.bytesAt(at), start, start + this.#keyLength(at), this.arena.dataAt(at))
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

  /** The value. A string may be kept: where it lies in the arena it is a copy. A collection is only to be looked at, until its entry
   *  changes. */
  value(at: Address): Value {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    const flags = words[i + FLAGS]!
    if ((flags & OUTSIDE) !== 0) {
      words[i + FLAGS] = flags | SHARED
      return this.#shelf.at(words[i + VALUE]!)
    }
    if ((flags & KIND_MASK) !== 0) return this.#lent.find(at) ?? this.#borrow(at)
    const start = this.#valueStart(at)
    return {
      type: 'string',
      bytes: copyOf(this.arena.bytesAt(at), start, start + words[i + VALUE]!),
      raw: (flags & RAW) !== 0,
    }
  }

  /** A value that lies outside the arena, only to be looked at now; undefined for others. */
  outside(at: Address): Value | undefined {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    return (words[i + FLAGS]! & OUTSIDE) === 0 ? undefined : this.#shelf.at(words[i + VALUE]!)
  }

  /** `lend` and `access` in one step, where that can be: of what lies outside and has no deadline. Undefined for others. */
  lendLasting(at: Address, clock: Clock): Value | undefined {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    const flags = words[i + FLAGS]!
    if ((flags & (OUTSIDE | EXPIRES)) !== OUTSIDE) return undefined
    words[i + FLAGS] = ((flags | SHARED) & FLAG_MASK) | (clock << FLAG_BITS)
    return this.#shelf.at(words[i + VALUE]!)
  }

  /** As `value`, but a collection may be changed in place; then call `settle`. */
  lend(at: Address): Value {
    if ((this.arena.wordsAt(at)[wordIndex(at) + FLAGS]! & KIND_MASK) === 0) return this.value(at)
    const known = this.#lent.find(at)
    if (known !== undefined) return known
    const value = this.#borrow(at)
    this.#lent.add(at, value)
    return value
  }

  #borrow(at: Address): Collection {
    const flags = this.arena.wordsAt(at)[wordIndex(at) + FLAGS]!
    return borrow((flags & KIND_MASK) >>> KIND_SHIFT, this.arena.bytesAt(at), this.#valueStart(at), this.#blockEnd(at))
  }

  /** Where the bytes of a value that lies inside begin. */
  #valueStart(at: Address): number {
    return this.#keyStart(at) + this.#keyLength(at)
  }

  #blockEnd(at: Address): number {
    return byteIndex(at) + this.arena.roomFor(this.#sizeOf(at))
  }

  /** Where the value lies. `mayKeep`: a string that has a Buffer of its own will not be written into afterwards. */
  view(at: Address, mayKeep = true): View {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    const flags = words[i + FLAGS]!
    if ((flags & OUTSIDE) !== 0) {
      if (mayKeep) words[i + FLAGS] = flags | SHARED
      return this.#viewOutside(this.#shelf.at(words[i + VALUE]!))
    }
    const view = this.#view
    view.type = (flags & KIND_MASK) === 0 ? 'string' : typeOfKind((flags & KIND_MASK) >>> KIND_SHIFT)
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
    if (value.type !== 'string' && value.type !== 'stream') {
      // What it borrows may be what goes now.
      value.detach()
      if ((value.packed?.size ?? Number.POSITIVE_INFINITY) <= LONGEST_INSIDE) {
        this.#putPacked(key, old, value, expireAt, clock)
        return
      }
    }
    const kept = this.#shelf.add(value, weightOf(value))
    // Who brought a string may have it still, or have got it from somebody who has.
    const at = this.#shape(key, old, value.type === 'string' ? OUTSIDE | SHARED : OUTSIDE, 0, expireAt, clock)
    this.arena.wordsAt(at)[wordIndex(at) + VALUE] = kept
  }

  #putPacked(key: Key, old: Address, value: Collection, expireAt: number, clock: Clock): Address {
    const packed = value.packed!
    const at = this.#shape(key, old, kindOf(value) << KIND_SHIFT, packed.size, expireAt, clock)
    this.arena.wordsAt(at)[wordIndex(at) + VALUE] = packed.size
    packed.copyTo(this.arena.bytesAt(at), this.#valueStart(at))
    return at
  }

  /** The value of the current entry was changed in place: what of it lies outside is weighed anew, and goes to where it belongs when
   *  it has become smaller or larger than what lies there. */
  settle(key: Key, at: Address): void {
    this.change(key, at)
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    const flags = words[i + FLAGS]!
    if ((flags & OUTSIDE) !== 0) return this.#settleOutside(key, at)
    if ((flags & KIND_MASK) === 0) return
    const value = this.#lent.find(at)
    assert(value !== undefined, 'a collection was changed that nobody had asked for')
    const { packed } = value
    // In place, and as long as before: the same kind then, for who changes the kind needs other bytes.
    if (packed?.isBorrowed === true && packed.size === words[i + VALUE]) return
    if (packed === undefined || packed.size > LONGEST_INSIDE)
      return this.put(key, at, value, this.expireAt(at), this.accessedAt(at))
    const now = this.#reshape(key, at, (flags & EXPIRES) | (kindOf(value) << KIND_SHIFT), packed.size)
    if (!packed.isBorrowed) packed.copyTo(this.arena.bytesAt(now), this.#valueStart(now))
    this.#moveTo(value, now)
  }

  #settleOutside(key: Key, at: Address): void {
    const number = this.arena.wordsAt(at)[wordIndex(at) + VALUE]!
    const value = this.#shelf.at(number)
    if (value.type === 'string') return
    // Not as soon as it fits: what grows and shrinks around the limit shall not move each time.
    if (value.type === 'stream' || (value.packed?.size ?? Number.POSITIVE_INFINITY) > LONGEST_INSIDE / 2)
      return this.#shelf.weigh(number, value.weight)
    const now = this.#putPacked(key, at, value, this.expireAt(at), this.accessedAt(at))
    this.#moveTo(value, now)
    this.#lent.add(now, value)
  }

  /** Points a collection to its bytes in the arena. */
  #moveTo(value: Collection, at: Address): void {
    value.packed!.moveTo(this.arena.bytesAt(at), this.#valueStart(at), this.#blockEnd(at))
  }

  /** Makes the string of the current entry one that may be written into, and one that is at least `to` bytes long: what is new is
   *  zero. Its bytes [from, to) may then be written until the keyspace changes. */
  edit(key: Key, at: Address, from: number, to: number): View {
    this.change(key, at)
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    const flags = words[i + FLAGS]!
    if ((flags & OUTSIDE) !== 0) return this.#editOutside(at, from, to)
    const length = words[i + VALUE]!
    if (to > LONGEST_INSIDE) {
      const start = this.#valueStart(at)
      const value = growingString(this.arena.bytesAt(at).subarray(start, start + length), to)
      this.put(key, at, value, this.expireAt(at), this.accessedAt(at))
      const now = this.find(key)
      this.arena.wordsAt(now)[wordIndex(now) + FLAGS]! &= ~SHARED
      return this.view(now, false)
    }
    const now = this.#reshape(key, at, flags | RAW, Math.max(length, to))
    const view = this.view(now, false)
    if (to > length) view.bytes.fill(0, view.start + length, view.end)
    return view
  }

  #editOutside(at: Address, from: number, to: number): View {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    const number = words[i + VALUE]!
    const value = this.#shelf.at(number) as StringValue // `edit` is for strings
    const { length } = value.bytes
    const isFree = (words[i + FLAGS]! & SHARED) === 0 || from >= length
    const stays = isFree && to <= (value.room ?? value.bytes).length
    const edited = stays ? longer(value, to) : growingString(value.bytes, to)
    if (!stays) words[i + FLAGS]! &= ~SHARED
    if (edited !== value) {
      this.#shelf.set(number, edited)
      this.#shelf.weigh(number, weightOf(edited))
    }
    return this.#viewOutside(edited)
  }

  /** Stores the string bytes[start, end), which is copied; `data`: the memory behind `bytes`. */
  putBytes(
    key: Key,
    old: Address,
    bytes: Buffer,
    start: number,
    end: number,
    raw: boolean,
    expireAt: number,
    clock: Clock,
    data?: DataView,
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
    if (data !== undefined && length <= SHORT) copyShort(data, start, end, this.arena.dataAt(at), to)
    else copy(bytes, start, end, this.arena.bytesAt(at), to)
  }

  /** Sets or, with 0, removes a deadline. */
  setExpireAt(key: Key, at: Address, expireAt: number): void {
    const words = this.arena.wordsAt(at)
    const i = wordIndex(at)
    const flags = words[i + FLAGS]!
    this.change(key, at)
    const now = this.#reshape(key, at, expireAt === 0 ? flags & ~EXPIRES : flags | EXPIRES, words[i + VALUE]!)
    if (expireAt !== 0) this.#deadlines.set(now, expireAt)
  }

  /** Removes the current entry, which is that of `key`. */
  remove(key: Key, at: Address): void {
    this.change(key, at)
    this.table.remove(key.slot(), key.hash())
    this.#deadlines.unlist(at)
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
      this.#deadlines.list(at, allFlags)
    } else {
      this.change(key, old)
      if (this.#fits(old, allFlags, size)) this.#dropValue(old)
      else {
        at = this.#lay(key, allFlags, size)
        this.table.move(at)
        this.#deadlines.relist(old, at, allFlags)
        this.#release(old)
      }
    }
    const i = wordIndex(at) + FLAGS
    this.arena.wordsAt(at)[i] = allFlags | (clock << FLAG_BITS)
    if (expireAt !== 0) this.#deadlines.set(at, expireAt)
    return at
  }

  /** Gives the current entry other flags (without the time of its last access) and, where its value lies inside, another length of it;
   *  what of the value there is room for stays. Returns its address. */
  #reshape(key: Key, old: Address, flags: number, value: number): Address {
    const before = this.arena.wordsAt(old)
    const i = wordIndex(old)
    const kept = flags & FLAG_MASK
    const clock = this.accessedAt(old)
    let at = old
    if (!this.#fits(old, kept, entrySize(kept, before[i + KEY_LENGTH]!, value))) {
      at = this.#lay(key, kept, entrySize(kept, before[i + KEY_LENGTH]!, value))
      if ((kept & OUTSIDE) === 0) {
        const start = this.#valueStart(old)
        const end = start + Math.min(before[i + VALUE]!, value)
        copy(this.arena.bytesAt(old), start, end, this.arena.bytesAt(at), this.#valueStart(at))
      }
      this.table.move(at)
      this.#deadlines.relist(old, at, kept)
      if ((kept & EXPIRES) !== 0) this.#deadlines.set(at, this.expireAt(old))
    }
    const size = this.#sizeOf(old)
    const words = this.arena.wordsAt(at)
    words[wordIndex(at) + FLAGS] = kept | (clock << FLAG_BITS)
    words[wordIndex(at) + VALUE] = value
    if (at === old) return at
    const lent = (kept & KIND_MASK) === 0 ? undefined : this.#lent.find(old)
    if (lent !== undefined) {
      this.#lent.move(old, at)
      if (lent.packed?.isBorrowed === true) this.#moveTo(lent, at)
    }
    this.arena.free(old, size)
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
    const to = (i << 2) + keyOffset(flags)
    if (key.length <= SHORT) copyShort(key.data, key.start, key.end, this.arena.dataAt(at), to)
    else copy(key.bytes, key.start, key.end, this.arena.bytesAt(at), to)
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
    const flags = words[i + FLAGS]!
    if ((flags & OUTSIDE) !== 0) this.#shelf.remove(words[i + VALUE]!)
    else if ((flags & KIND_MASK) !== 0) this.#lent.end(at)
  }

  #release(at: Address): void {
    this.#dropValue(at)
    this.arena.free(at, this.#sizeOf(at))
  }
}
