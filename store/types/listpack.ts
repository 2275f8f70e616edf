/** Listpack: a sequence of byte strings in one buffer, byte for byte as Redis lays it out (reference section 10): u32 LE total,
 *  u16 LE count, entries, 0xFF. Text that is the canonical decimal of a 64-bit integer is kept as that integer. */
import { parseInt64, parseInteger } from '../../lib/base/bytes.ts'
import { integerBytes } from './string.ts'

/** Packed bytes from elsewhere that are not what they claim to be. */
export class PackedError extends Error {}

/** Where elements are written as bulk strings: a client's reply. */
export interface BulkSink {
  /** From a range that may change afterwards. */
  bulkRange(bytes: Uint8Array, start: number, end: number): void
}

const HEADER = 6
const END = 0xff
/** A count that the header cannot hold: walk to know. */
const UNKNOWN = 0xffff
const EMPTY = Buffer.from([HEADER + 1, 0, 0, 0, 0, 0, END])

/** First bytes of an entry from which on the form changes; what is below is a 7-bit integer. */
const STRING_6 = 0x80
const INTEGER_13 = 0xc0
const STRING_12 = 0xe0
const STRING_32 = 0xf0
const INTEGER_16 = 0xf1
const INTEGER_24 = 0xf2
const INTEGER_32 = 0xf3
const INTEGER_64 = 0xf4

/** Entries are named by their offset, which holds until something before them changes; -1 is no entry. */
export class Listpack {
  /** The listpack, then room for it to grow. */
  #room: Buffer
  #size: number
  #count: number

  private constructor(room: Buffer, size: number, count: number) {
    this.#room = room
    this.#size = size
    this.#count = count
  }

  static empty(): Listpack {
    return new Listpack(Buffer.from(EMPTY), EMPTY.length, 0)
  }

  /** A listpack made elsewhere; the bytes now belong to it. Throws PackedError unless they are one to the last bit. */
  static from(bytes: Buffer): Listpack {
    return new Listpack(bytes, bytes.length, checkedCount(bytes))
  }

  /** Exactly the listpack's bytes, as they are until it changes. */
  get bytes(): Buffer {
    return this.#room.subarray(0, this.#size)
  }

  /** Length of `bytes`. */
  get size(): number {
    return this.#size
  }

  /** Number of entries. */
  get count(): number {
    return this.#count
  }

  copy(): Listpack {
    return new Listpack(Buffer.from(this.bytes), this.#size, this.#count)
  }

  first(): number {
    return this.#count === 0 ? -1 : HEADER
  }

  last(): number {
    return this.prev(this.#size - 1)
  }

  next(at: number): number {
    const after = this.#after(at)
    return this.#room[after] === END ? -1 : after
  }

  prev(at: number): number {
    return at === HEADER ? -1 : entryBefore(this.#room, at)
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
    let at = this.#size - 1
    for (let i = this.#count; i > place; i--) at = entryBefore(this.#room, at)
    return at
  }

  /** A copy of the element, integers as decimal text. */
  get(at: number): Buffer {
    const integer = this.integer(at)
    if (integer !== undefined) return integerBytes(integer)
    const start = at + headLength(this.#room[at]!)
    return Buffer.from(this.#room.subarray(start, start + stringLength(this.#room, at)))
  }

  /** As `get`, as text: one character a byte. */
  text(at: number): string {
    const integer = this.integer(at)
    if (integer !== undefined) return String(integer)
    const start = at + headLength(this.#room[at]!)
    return this.#room.latin1Slice(start, start + stringLength(this.#room, at))
  }

  /** The element where it is kept as an integer; a bigint when a number would not be exact. */
  integer(at: number): number | bigint | undefined {
    return isString(this.#room[at]!) ? undefined : readInteger(this.#room, at)
  }

  /** Bytes of the element. */
  length(at: number): number {
    const integer = this.integer(at)
    return integer === undefined ? stringLength(this.#room, at) : String(integer).length
  }

  /** Writes the element as a bulk string. */
  put(at: number, out: BulkSink): void {
    const integer = this.integer(at)
    if (integer === undefined) {
      const start = at + headLength(this.#room[at]!)
      out.bulkRange(this.#room, start, start + stringLength(this.#room, at))
    } else {
      const text = integerBytes(integer)
      out.bulkRange(text, 0, text.length)
    }
  }

  equals(at: number, bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    if (isString(this.#room[at]!)) return this.#equalsString(at, bytes, start, end)
    const integer = canonicalInteger(bytes, start, end)
    return integer !== undefined && integer === readInteger(this.#room, at)
  }

  /** The first entry with these bytes among every `step`-th from `at` on: with pairs, step 2 looks at the first ones. */
  find(bytes: Uint8Array, start = 0, end = bytes.length, at = this.first(), step = 1): number {
    const integer = canonicalInteger(bytes, start, end)
    while (at >= 0) {
      const found = isString(this.#room[at]!)
        ? this.#equalsString(at, bytes, start, end)
        : integer !== undefined && integer === readInteger(this.#room, at)
      if (found) return at
      for (let i = 0; i < step && at >= 0; i++) at = this.next(at)
    }
    return -1
  }

  /** Adds at the end; returns the new entry, as all that follow. */
  append(bytes: Uint8Array, start = 0, end = bytes.length): number {
    return this.insertBefore(this.#size - 1, bytes, start, end)
  }

  prepend(bytes: Uint8Array, start = 0, end = bytes.length): number {
    return this.insertBefore(HEADER, bytes, start, end)
  }

  insertBefore(at: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
    return this.#splice(at, 0, 0, bytes, start, end)
  }

  replace(at: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
    return this.#splice(at, 1, this.#after(at) - at, bytes, start, end)
  }

  /** Removes `n` entries, or those there are; returns the entry that follows. */
  delete(at: number, n = 1): number {
    let after = at
    let removed = 0
    for (; removed < n && this.#room[after] !== END; removed++) after = this.#after(after)
    this.#room.copyWithin(at, after, this.#size)
    this.#resized(this.#size - (after - at), this.#count - removed)
    return this.#room[at] === END ? -1 : at
  }

  #after(at: number): number {
    const length = dataLength(this.#room, at)
    return at + length + backLength(length)
  }

  #equalsString(at: number, bytes: Uint8Array, start: number, end: number): boolean {
    const room = this.#room
    if (stringLength(room, at) !== end - start) return false
    let from = at + headLength(room[at]!)
    for (let i = start; i < end; i++) if (room[from++] !== bytes[i]) return false
    return true
  }

  /** An entry instead of `replaced` ones that take `removed` bytes. */
  #splice(at: number, replaced: number, removed: number, bytes: Uint8Array, start: number, end: number): number {
    const head = encodeHead(bytes, start, end)
    const body = isString(HEAD[0]!) ? end - start : 0
    const added = head + body + backLength(head + body)
    const size = this.#size + added - removed
    this.#open(at, removed, added)
    const room = this.#room
    for (let i = 0; i < head; i++) room[at + i] = HEAD[i]!
    copyBytes(room, at + head, bytes, start, start + body)
    writeBack(room, at + head + body, head + body)
    this.#resized(size, this.#count + 1 - replaced)
    return at
  }

  /** Makes `added` bytes of room at an offset where there were `removed`. A listpack that grows gets a quarter more than
   *  it needs, so that appending takes constant time on average. */
  #open(at: number, removed: number, added: number): void {
    const size = this.#size + added - removed
    if (size <= this.#room.length) {
      if (at + removed === this.#size - 1) this.#room[at + added] = END
      else if (added !== removed) this.#room.copyWithin(at + added, at + removed, this.#size)
      return
    }
    const room = Buffer.allocUnsafeSlow(size + (size >> 2))
    this.#room.copy(room, 0, 0, at)
    this.#room.copy(room, at + added, at + removed, this.#size)
    this.#room = room
  }

  #resized(size: number, count: number): void {
    this.#size = size
    this.#count = count
    const room = this.#room
    room[0] = size
    room[1] = size >>> 8
    room[2] = size >>> 16
    room[3] = size >>> 24
    const known = Math.min(count, UNKNOWN)
    room[4] = known
    room[5] = known >>> 8
  }
}

/** The integer whose decimal text this is, when it is kept instead of it. */
export function canonicalInteger(bytes: Uint8Array, start: number, end: number): number | bigint | undefined {
  const length = end - start
  if (length === 0 || length > 20 || bytes[start]! > 0x39) return undefined
  return parseInteger(bytes, start, end) ?? (length > 15 ? parseInt64(bytes, start, end) : undefined)
}

const isString = (first: number): boolean =>
  first >= STRING_6 && (first < INTEGER_13 || (first >= STRING_12 && first <= STRING_32))

/** Bytes before a string's own. */
const headLength = (first: number): number => (first < INTEGER_13 ? 1 : first < STRING_32 ? 2 : 5)

function stringLength(room: Buffer, at: number): number {
  const first = room[at]!
  if (first < INTEGER_13) return first & 0x3f
  if (first < STRING_32) return ((first & 0x0f) << 8) | room[at + 1]!
  return room.readUInt32LE(at + 1)
}

/** Bytes of an entry without its length at the end. */
function dataLength(room: Buffer, at: number): number {
  const first = room[at]!
  if (first < STRING_6) return 1
  if (isString(first)) return headLength(first) + stringLength(room, at)
  switch (first) {
    case INTEGER_16:
      return 3
    case INTEGER_24:
      return 4
    case INTEGER_32:
      return 5
    case INTEGER_64:
      return 9
    default:
      return 2
  }
}

function readInteger(room: Buffer, at: number): number | bigint {
  const first = room[at]!
  if (first < STRING_6) return first
  switch (first) {
    case INTEGER_16:
      return room.readInt16LE(at + 1)
    case INTEGER_24:
      return room.readIntLE(at + 1, 3)
    case INTEGER_32:
      return room.readInt32LE(at + 1)
    case INTEGER_64:
      return readInt64(room, at + 1)
    default: // 13 bits, the sign in the highest
      return ((((first & 0x1f) << 8) | room[at + 1]!) << 19) >> 19
  }
}

/** A 64-bit integer: a number where that is exact. */
export function readInt64(bytes: Buffer, at: number): number | bigint {
  const number = bytes.readInt32LE(at + 4) * 2 ** 32 + bytes.readUInt32LE(at)
  return Number.isSafeInteger(number) ? number : bytes.readBigInt64LE(at)
}

/** What stands before the bytes of a string, or all of an integer. */
const HEAD = Buffer.alloc(9)

/** Fills HEAD for an element; returns its length. */
function encodeHead(bytes: Uint8Array, start: number, end: number): number {
  const integer = canonicalInteger(bytes, start, end)
  if (integer !== undefined) return encodeInteger(integer)
  const length = end - start
  if (length < 64) {
    HEAD[0] = STRING_6 | length
    return 1
  }
  if (length < 4096) {
    HEAD[0] = STRING_12 | (length >> 8)
    HEAD[1] = length
    return 2
  }
  HEAD[0] = STRING_32
  HEAD.writeUInt32LE(length, 1)
  return 5
}

function encodeInteger(value: number | bigint): number {
  if (typeof value === 'bigint' || value < -(2 ** 31) || value >= 2 ** 31) {
    HEAD[0] = INTEGER_64
    HEAD.writeBigInt64LE(BigInt(value), 1)
    return 9
  }
  if (value >= 0 && value < 128) {
    HEAD[0] = value
    return 1
  }
  if (value >= -4096 && value < 4096) {
    HEAD[0] = INTEGER_13 | ((value >> 8) & 0x1f)
    HEAD[1] = value
    return 2
  }
  const width = value >= -0x8000 && value < 0x8000 ? 2 : value >= -0x80_0000 && value < 0x80_0000 ? 3 : 4
  HEAD[0] = INTEGER_16 + width - 2
  HEAD.writeIntLE(value, 1, width)
  return 1 + width
}

/** Bytes that an entry's length takes at its end. The odd limits are the real server's. */
function backLength(length: number): number {
  if (length <= 127) return 1
  if (length < 16_383) return 2
  if (length < 2_097_151) return 3
  return length < 268_435_455 ? 4 : 5
}

/** Seven bits a byte, the highest first; all but the first byte have the top bit set, so that it can be read backwards. */
function writeBack(room: Buffer, at: number, length: number): void {
  let rest = length
  for (let i = at + backLength(length) - 1; i > at; i--) {
    room[i] = (rest & 0x7f) | 0x80
    rest = Math.floor(rest / 128)
  }
  room[at] = rest
}

/** The entry that ends where this one begins. */
function entryBefore(room: Buffer, at: number): number {
  let end = at - 1
  let length = room[end]! & 0x7f
  for (let scale = 128; room[end]! & 0x80; scale *= 128) length += (room[--end]! & 0x7f) * scale
  return end - length
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
