/** Listpack: a sequence of byte strings in one buffer, byte for byte as Redis lays it out (reference section 10): u32 LE total,
 *  u16 LE count, entries, 0xFF. Text that is the canonical decimal of a 64-bit integer is kept as that integer. */
import { SHORT } from '../../lib/base/copy.ts'
import {
  backLength,
  canonicalInteger,
  dataLength,
  encodeHead,
  entryBefore,
  HEAD,
  headLength,
  INTEGER_64,
  isString,
  LONGEST_INTEGER,
  readInteger,
  stringLength,
  textEntryLength,
  writeBack,
  writeText,
} from './listpack-entry.ts'
import { PackedBytes, roomToGrow } from './packed-bytes.ts'
import type { Slab } from './slab.ts'
import { integerBytes } from './string.ts'

/** Packed bytes from elsewhere that are not what they claim to be. */
export class PackedError extends Error {}

/** Where elements are written as bulk strings: a client's reply. */
export interface BulkSink {
  /** From a range that may change afterwards; `data`: the memory behind `bytes`, where that is at hand. */
  bulkRange(bytes: Buffer, start: number, end: number, data?: DataView): void
}

const HEADER = 6
/** Where an entry is put in that is to be the first. */
export const BEGINNING = HEADER
const END = 0xff
/** A count that the header cannot hold: walk to know. */
const UNKNOWN = 0xffff
const EMPTY: readonly number[] = [HEADER + 1, 0, 0, 0, 0, 0, END]

/** Entries are named by their offset, which holds until something before them changes; -1 is no entry. */
export class Listpack extends PackedBytes {
  #size: number
  #count: number
  /** Who may change it, where several have it (see ListValue). */
  owner = 0
  /** What it was cut from. */
  slab: Slab | undefined

  private constructor(
    room: Buffer,
    size: number,
    count: number,
    start = 0,
    floor = 0,
    limit = room.length,
    data?: DataView,
  ) {
    super(room, start, floor, limit, data)
    this.#size = size
    this.#count = count
  }

  static empty(): Listpack {
    return Listpack.#emptyAt(roomToGrow(EMPTY.length), 0, 0)
  }

  /** An empty one with room for `expected` bytes from a slab. `fromEnd`: it is going to grow at its beginning. */
  static cut(slab: Slab, expected: number, fromEnd: boolean): Listpack {
    const { room, data } = slab
    const floor = slab.take(expected)
    const limit = floor + expected
    const pack = Listpack.#emptyAt(room, fromEnd ? limit - EMPTY.length : floor, floor, limit, data)
    pack.slab = slab
    return pack
  }

  static #emptyAt(room: Buffer, start: number, floor: number, limit?: number, data?: DataView): Listpack {
    for (let i = 0; i < EMPTY.length; i++) room[start + i] = EMPTY[i]!
    return new Listpack(room, EMPTY.length, 0, start, floor, limit, data)
  }

  /** A listpack made elsewhere; the bytes now belong to it. Throws PackedError unless they are one to the last bit. */
  static from(bytes: Buffer): Listpack {
    return new Listpack(bytes, bytes.length, checkedCount(bytes))
  }

  /** The listpack that begins at `start` in memory of the store, where it may grow up to `limit`. It is one, and not a large one. */
  static borrow(room: Buffer, start: number, limit: number): Listpack {
    const size = room[start]! | (room[start + 1]! << 8) | (room[start + 2]! << 16)
    const pack = new Listpack(room, size, room[start + 4]! | (room[start + 5]! << 8))
    pack.moveTo(room, start, limit)
    return pack
  }

  /** Length of `bytes`. */
  override get size(): number {
    return this.#size
  }

  /** Number of entries. */
  get count(): number {
    return this.#count
  }

  copy(): Listpack {
    return new Listpack(Buffer.from(this.bytes), this.#size, this.#count)
  }

  /** A copy that has as much room to grow. */
  copyToChange(): Listpack {
    const { floor, start, limit } = this
    const room = Buffer.allocUnsafeSlow(limit - floor)
    this.copyTo(room, start - floor)
    return new Listpack(room, this.#size, this.#count, start - floor)
  }

  first(): number {
    return this.#count === 0 ? -1 : HEADER
  }

  /** Where an entry is put in that is to be the last. */
  get end(): number {
    return this.#size - 1
  }

  last(): number {
    return this.prev(this.#size - 1)
  }

  next(at: number): number {
    const after = this.#after(at)
    return this.room[this.start + after] === END ? -1 : after
  }

  prev(at: number): number {
    return at === HEADER ? -1 : entryBefore(this.room, this.start + at) - this.start
  }

  /** The entry of an index; negative counts from the end. */
  seek(index: number): number {
    const place = index < 0 ? this.#count + index : index
    if (place < 0 || place >= this.#count) return -1
    if (place < this.#count / 2) {
      let at = HEADER
      for (let i = 0; i < place; i++) at = this.#after(at)
      return at
    }
    let at = this.start + this.#size - 1
    for (let i = this.#count; i > place; i--) at = entryBefore(this.room, at)
    return at - this.start
  }

  /** A copy of the element, integers as decimal text. */
  get(at: number): Buffer {
    const integer = this.integer(at)
    if (integer !== undefined) return integerBytes(integer)
    const start = this.#textStart(at)
    return Buffer.from(this.room.subarray(start, start + this.#textLength(at)))
  }

  /** As `get`, as text: one character a byte. */
  text(at: number): string {
    const integer = this.integer(at)
    if (integer !== undefined) return String(integer)
    const start = this.#textStart(at)
    return this.room.latin1Slice(start, start + this.#textLength(at))
  }

  /** The element where it is kept as an integer; a bigint when a number would not be exact. */
  integer(at: number): number | bigint | undefined {
    const { room } = this
    const place = this.start + at
    return isString(room[place]!) ? undefined : readInteger(room, place)
  }

  /** Bytes of the element. */
  length(at: number): number {
    const integer = this.integer(at)
    return integer === undefined ? this.#textLength(at) : String(integer).length
  }

  /** Writes the element as a bulk string. */
  put(at: number, out: BulkSink): void {
    const { room } = this
    const place = this.start + at
    const first = room[place]!
    if (isString(first)) {
      const start = place + headLength(first)
      out.bulkRange(room, start, start + stringLength(room, place), this.data)
    } else {
      const text = integerBytes(readInteger(room, place))
      out.bulkRange(text, 0, text.length)
    }
  }

  /** Writes the first element as a bulk string, and removes it. There must be one. */
  shift(out: BulkSink): void {
    this.put(HEADER, out)
    this.delete(HEADER)
  }

  /** As `shift`, the last one. */
  pop(out: BulkSink): void {
    const at = this.last()
    this.put(at, out)
    this.room[this.start + at] = END
    this.#resized(at + 1, this.#count - 1)
  }

  equals(at: number, bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    const { room } = this
    const place = this.start + at
    if (isString(room[place]!)) return equalsString(room, place, bytes, start, end)
    const integer = canonicalInteger(bytes, start, end)
    return integer !== undefined && integer === readInteger(room, place)
  }

  /** The first entry with these bytes among every `step`-th from `at` on: with pairs, step 2 looks at the first ones. */
  find(bytes: Uint8Array, start = 0, end = bytes.length, at = this.first(), step = 1): number {
    if (at < 0) return -1
    const integer = canonicalInteger(bytes, start, end)
    const { room } = this
    let place = this.start + at
    while (room[place] !== END) {
      const found = isString(room[place]!)
        ? equalsString(room, place, bytes, start, end)
        : integer !== undefined && integer === readInteger(room, place)
      if (found) return place - this.start
      for (let i = 0; i < step && room[place] !== END; i++) place = entryAfter(room, place)
    }
    return -1
  }

  /** Adds at the end; returns the new entry, as all that follow. */
  append(bytes: Uint8Array, start = 0, end = bytes.length, data?: DataView): number {
    return this.insertBefore(this.#size - 1, bytes, start, end, data)
  }

  prepend(bytes: Uint8Array, start = 0, end = bytes.length, data?: DataView): number {
    return this.insertBefore(HEADER, bytes, start, end, data)
  }

  /** `data`, if it is at hand: the memory behind `bytes`. */
  insertBefore(at: number, bytes: Uint8Array, start = 0, end = bytes.length, data?: DataView): number {
    const length = end - start
    return data !== undefined && this.data !== undefined && length > LONGEST_INTEGER && length <= SHORT
      ? this.#insertText(at, data, start, length)
      : this.#splice(at, 0, 0, bytes, start, end)
  }

  replace(at: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
    return this.#splice(at, 1, this.#after(at) - at, bytes, start, end)
  }

  /** Removes `n` entries, or those there are; returns the entry that follows. */
  delete(at: number, n = 1): number {
    const { room } = this
    const place = this.start + at
    let after = place
    let removed = 0
    for (; removed < n && room[after] !== END; removed++) after = entryAfter(room, after)
    if (room[after] === END) room[place] = END
    else if (at === HEADER && !this.isBorrowed) this.start += after - place
    else room.copyWithin(place, after, this.start + this.#size)
    this.#resized(this.#size - (after - place), this.#count - removed)
    return room[this.start + at] === END ? -1 : at
  }

  #after(at: number): number {
    return entryAfter(this.room, this.start + at) - this.start
  }

  /** Where in `room` the bytes of a string begin. */
  #textStart(at: number): number {
    const place = this.start + at
    return place + headLength(this.room[place]!)
  }

  #textLength(at: number): number {
    return stringLength(this.room, this.start + at)
  }

  /** As `#splice` of a text of moderate length, in few steps: most of what LPUSH does. */
  #insertText(at: number, from: DataView, start: number, length: number): number {
    const added = textEntryLength(length)
    const size = this.#size + added
    this.#open(at, 0, added)
    writeText(from, start, length, this.data!, this.start + at)
    this.#resized(size, this.#count + 1)
    return at
  }

  /** An entry instead of `replaced` ones that take `removed` bytes. */
  #splice(at: number, replaced: number, removed: number, bytes: Uint8Array, start: number, end: number): number {
    const head = encodeHead(bytes, start, end)
    const body = isString(HEAD[0]!) ? end - start : 0
    const added = head + body + backLength(head + body)
    const size = this.#size + added - removed
    this.#open(at, removed, added)
    const { room } = this
    const place = this.start + at
    for (let i = 0; i < head; i++) room[place + i] = HEAD[i]!
    copyBytes(room, place + head, bytes, start, start + body)
    writeBack(room, place + head + body, head + body)
    this.#resized(size, this.#count + 1 - replaced)
    return at
  }

  /** Makes `added` bytes of room at an offset where there were `removed`. */
  #open(at: number, removed: number, added: number): void {
    const { room, start } = this
    const isBeginning = at === HEADER && removed === 0
    if (isBeginning && added <= this.slack) {
      this.start -= added
      return
    }
    const size = this.#size + added - removed
    const from = start + at
    const end = start + this.#size
    if (start + size <= this.limit) {
      if (from + removed === end - 1) room[from + added] = END
      else if (added !== removed) room.copyWithin(from + added, from + removed, end)
      return
    }
    const larger = roomToGrow(size)
    // Who grows at the beginning will go on with that.
    const first = isBeginning ? larger.length - size : 0
    room.copy(larger, first, start, from)
    room.copy(larger, first + at + added, from + removed, end)
    this.settle(larger, first)
  }

  #resized(size: number, count: number): void {
    this.#size = size
    this.#count = count
    const { room, start, data } = this
    if (data !== undefined) {
      data.setUint32(start, size, true)
      data.setUint16(start + 4, Math.min(count, UNKNOWN), true)
      return
    }
    room[start] = size
    room[start + 1] = size >>> 8
    room[start + 2] = size >>> 16
    room[start + 3] = size >>> 24
    const known = Math.min(count, UNKNOWN)
    room[start + 4] = known
    room[start + 5] = known >>> 8
  }
}

/** The entry that follows, or END. */
function entryAfter(room: Buffer, at: number): number {
  const length = dataLength(room, at)
  return at + length + backLength(length)
}

function equalsString(room: Buffer, at: number, bytes: Uint8Array, start: number, end: number): boolean {
  if (stringLength(room, at) !== end - start) return false
  let from = at + headLength(room[at]!)
  for (let i = start; i < end; i++) if (room[from++] !== bytes[i]) return false
  return true
}

/** A native copy costs more than a short loop. */
function copyBytes(room: Buffer, at: number, bytes: Uint8Array, start: number, end: number): void {
  if (end - start > 64) room.set(bytes.subarray(start, end), at)
  else for (let i = start; i < end; i++) room[at++] = bytes[i]!
}

/** The number of entries, when all of it is as it must be. */
function checkedCount(bytes: Buffer): number {
  const end = bytes.length - 1
  if (end < HEADER || bytes.readUInt32LE(0) !== bytes.length || bytes[end] !== END)
    throw new PackedError('listpack frame')
  let count = 0
  let at = HEADER
  for (; at < end; count++) {
    const length = checkedLength(bytes, at, end)
    at += length
    writeBack(HEAD, 0, length)
    for (let i = 0; i < backLength(length); i++) if (bytes[at++] !== HEAD[i]) throw new PackedError('listpack entry')
  }
  if (at > end) throw new PackedError('listpack entry')
  const claimed = bytes.readUInt16LE(4)
  if (claimed !== count && claimed !== UNKNOWN) throw new PackedError('listpack count')
  return count
}

function checkedLength(bytes: Buffer, at: number, end: number): number {
  const first = bytes[at]!
  if (first > INTEGER_64 || (isString(first) && at + headLength(first) > end)) throw new PackedError('listpack entry')
  return dataLength(bytes, at)
}
