/** Byte strings: integers as text, ranges, and growth at the end. */
import type { StringValue } from '../value.ts'

const MINUS = 0x2d
const ZERO = 0x30

/** A value as a client wrote it. The bytes now belong to the store. */
export const stringOf = (bytes: Buffer): StringValue => ({ type: 'string', bytes, raw: false })

/** Where `writeInteger` writes: used again and again. */
export const INTEGER_TEXT = Buffer.allocUnsafeSlow(24)

/** The decimal text of an integer, safe or a bigint within 64 bits, to the end of INTEGER_TEXT; returns where it begins. */
export function writeInteger(value: number | bigint): number {
  let at = INTEGER_TEXT.length
  if (typeof value === 'bigint') {
    const text = value.toString()
    return at - INTEGER_TEXT.write(text, at - text.length, 'latin1')
  }
  let rest = Math.abs(value)
  do {
    const tenth = Math.floor(rest / 10)
    INTEGER_TEXT[--at] = ZERO + (rest - tenth * 10)
    rest = tenth
  } while (rest > 0)
  if (value < 0) INTEGER_TEXT[--at] = MINUS
  return at
}

/** The decimal text of an integer. */
export const integerBytes = (value: number | bigint): Buffer => Buffer.from(INTEGER_TEXT.subarray(writeInteger(value)))

/** A copy of `bytes` that is `length` bytes long, or as long as they are, zeros following them, with room to grow: a log written by APPEND
 *  costs what is appended and not what is there already. */
export function growingString(bytes: Uint8Array, length: number): StringValue {
  const size = Math.max(bytes.length, length)
  const spare = size <= bytes.length ? 0 : Math.max(Math.min(size, PREALLOCATE), size >> 3)
  const room = Buffer.allocUnsafeSlow(size + spare)
  room.set(bytes, 0)
  room.fill(0, bytes.length, size)
  return { type: 'string', bytes: room.subarray(0, size), raw: true, room }
}

/** Room left behind a grown string: as much again, up to this, or an eighth when that is more. */
const PREALLOCATE = 1024 * 1024

/** A string with at least `length` bytes of the room it has; what is new is zero. */
export function longer(value: StringValue, length: number): StringValue {
  if (value.room === undefined || length <= value.bytes.length) return value
  const bytes = value.room.subarray(0, length)
  bytes.fill(0, value.bytes.length)
  return { type: 'string', bytes, raw: true, room: value.room }
}

/** Where GETRANGE's `start` and `end` (inclusive, negative from the end) lie in a string: [from, to). Empty when nothing is left. */
export function rangeOf(length: number, start: number, end: number): { from: number; to: number } {
  const from = start < 0 ? Math.max(0, length + start) : start
  const to = Math.min(end < 0 ? Math.max(0, length + end) : end, length - 1) + 1
  return { from, to: Math.max(from, to) }
}
