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

/** `value` with `tail` after it. Room is left behind a value that grows, so that a log written by APPEND costs what is
 *  appended and not what is there already. What was visible before is never written over: only the free end is, and only
 *  by the value that was stored last, which is why a value with room behind it must not be shared (`copyString`). */
export function append(value: StringValue, tail: Uint8Array): StringValue {
  const { bytes } = value
  const length = bytes.length + tail.length
  const end = bytes.byteOffset + bytes.length
  if (value.raw && end + tail.length <= bytes.buffer.byteLength) {
    const grown = Buffer.from(bytes.buffer, bytes.byteOffset, length)
    grown.set(tail, bytes.length)
    return { type: 'string', bytes: grown, raw: true }
  }
  const room = Buffer.allocUnsafeSlow(length < PREALLOCATE ? length * 2 : length + PREALLOCATE)
  room.set(bytes, 0)
  room.set(tail, bytes.length)
  return { type: 'string', bytes: room.subarray(0, length), raw: true }
}

/** Room left behind a grown string: as much again, up to this. */
const PREALLOCATE = 1024 * 1024

/** `bytes` with `patch` written over it at `offset`; what lies between the old end and `offset` becomes zero. */
export function overwrite(bytes: Uint8Array, offset: number, patch: Uint8Array): StringValue {
  const patched = Buffer.allocUnsafeSlow(Math.max(bytes.length, offset + patch.length))
  patched.set(bytes, 0)
  if (offset > bytes.length) patched.fill(0, bytes.length, offset)
  patched.set(patch, offset)
  return { type: 'string', bytes: patched, raw: true }
}

/** An independent copy. */
export function copyString(value: StringValue): StringValue {
  if (!value.raw) return value
  const bytes = Buffer.allocUnsafeSlow(value.bytes.length)
  bytes.set(value.bytes)
  return { type: 'string', bytes, raw: true }
}

/** Where GETRANGE's `start` and `end` (inclusive, negative from the end) lie in a string: [from, to). Empty when nothing is left. */
export function rangeOf(length: number, start: number, end: number): { from: number; to: number } {
  const from = start < 0 ? Math.max(0, length + start) : start
  const to = Math.min(end < 0 ? Math.max(0, length + end) : end, length - 1) + 1
  return { from, to: Math.max(from, to) }
}
