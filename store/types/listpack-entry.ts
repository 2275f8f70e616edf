/** One entry of a listpack: encoding and data, then their length once more, so that entries can be walked from either end. The
 *  table is in reference section 10. */
import { parseInt64, parseInteger } from '../../lib/base/bytes.ts'
import { copyShort } from '../../lib/base/copy.ts'

/** First bytes of an entry from which on the form changes; what is below is a 7-bit integer. Of `INTEGER_64` there is only that. */
const STRING_6 = 0x80
const INTEGER_13 = 0xc0
const STRING_12 = 0xe0
const STRING_32 = 0xf0
const INTEGER_16 = 0xf1
const INTEGER_24 = 0xf2
const INTEGER_32 = 0xf3
export const INTEGER_64 = 0xf4

/** Longer text is no 64-bit integer. */
export const LONGEST_INTEGER = 20

/** The integer whose decimal text this is, when it is kept instead of it. */
export function canonicalInteger(bytes: Uint8Array, start: number, end: number): number | bigint | undefined {
  const length = end - start
  if (length === 0 || length > LONGEST_INTEGER || bytes[start]! > 0x39) return undefined
  return parseInteger(bytes, start, end) ?? (length > 15 ? parseInt64(bytes, start, end) : undefined)
}

/** Whether an entry with this first byte is a string; else it is an integer. */
export const isString = (first: number): boolean =>
  first >= STRING_6 && (first < INTEGER_13 || (first >= STRING_12 && first <= STRING_32))

/** Bytes before a string's own, by the first of them. */
export const headLength = (first: number): number => (first < INTEGER_13 ? 1 : first < STRING_32 ? 2 : 5)

/** Bytes of the string of an entry. */
export function stringLength(room: Buffer, at: number): number {
  const first = room[at]!
  if (first < INTEGER_13) return first & 0x3f
  if (first < STRING_32) return ((first & 0x0f) << 8) | room[at + 1]!
  return room.readUInt32LE(at + 1)
}

/** Bytes of an entry without its length at the end. */
export function dataLength(room: Buffer, at: number): number {
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

/** The integer of an entry. */
export function readInteger(room: Buffer, at: number): number | bigint {
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

/** Where `encodeHead` leaves what stands before the bytes of a string, or all of an integer. */
export const HEAD = Buffer.alloc(9)

/** Fills HEAD for an element; returns its length. */
export function encodeHead(bytes: Uint8Array, start: number, end: number): number {
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

/** Bytes of the whole entry of a text that `writeText` can write. */
export function textEntryLength(length: number): number {
  const data = length < 64 ? 1 + length : 2 + length
  return data + backLength(data)
}

/** Writes the whole entry of a text: longer than LONGEST_INTEGER, and not by much longer than SHORT. */
export function writeText(from: DataView, start: number, length: number, to: DataView, at: number): void {
  let text = at + 1
  if (length < 64) to.setUint8(at, STRING_6 | length)
  else {
    to.setUint16(at, (STRING_12 << 8) | length)
    text++
  }
  const end = text + length
  copyShort(from, start, start + length, to, text)
  const data = end - at
  if (data <= 127) to.setUint8(end, data)
  else to.setUint16(end, ((data >> 7) << 8) | 0x80 | (data & 0x7f))
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
export function backLength(length: number): number {
  if (length <= 127) return 1
  if (length < 16_383) return 2
  if (length < 2_097_151) return 3
  return length < 268_435_455 ? 4 : 5
}

/** Seven bits a byte, the highest first; all but the first byte have the top bit set, so that it can be read backwards. */
export function writeBack(room: Buffer, at: number, length: number): void {
  let rest = length
  for (let i = at + backLength(length) - 1; i > at; i--) {
    room[i] = (rest & 0x7f) | 0x80
    rest = Math.floor(rest / 128)
  }
  room[at] = rest
}

/** The entry that ends where this one begins. */
export function entryBefore(room: Buffer, at: number): number {
  let end = at - 1
  let length = room[end]! & 0x7f
  for (let scale = 128; room[end]! & 0x80; scale *= 128) length += (room[--end]! & 0x7f) * scale
  return end - length
}
