/** Ids of stream entries: milliseconds, and a sequence number within them, both unsigned of 64 bits. */

/** A bigint only where a number would not be exact: then `<` and `===` are right between any two, and fast for those in use. */
export type Uint64 = number | bigint

export interface StreamId {
  readonly ms: Uint64
  readonly seq: Uint64
}

export const UINT64_MAX = 2n ** 64n - 1n
export const MIN_ID: StreamId = { ms: 0, seq: 0 }
export const MAX_ID: StreamId = { ms: UINT64_MAX, seq: UINT64_MAX }
/** Bytes of an id in the form of `writeId`. */
export const ID_SIZE = 16

/** Negative, zero or positive, as for sorting. */
export function compareIds(a: StreamId, b: StreamId): number {
  if (a.ms !== b.ms) return a.ms < b.ms ? -1 : 1
  return a.seq === b.seq ? 0 : a.seq < b.seq ? -1 : 1
}

export const isZero = (id: StreamId): boolean => id.ms === 0 && id.seq === 0

/** As clients see it. */
export const formatId = (id: StreamId): string => `${id.ms}-${id.seq}`

/** Where `writeIdText` writes: used again and again. */
export const ID_TEXT = Buffer.allocUnsafeSlow(41)
const DASH = 0x2d
const ZERO = 0x30

/** The same text to the end of ID_TEXT; returns where it begins. Of a number that is made a string, V8 keeps that for a while: ids come
 *  by the million. */
export function writeIdText({ ms, seq }: StreamId): number {
  const dash = writeDigits(seq, ID_TEXT.length) - 1
  ID_TEXT[dash] = DASH
  return writeDigits(ms, dash)
}

/** Writes decimal digits that end before `end`; returns where they begin. */
function writeDigits(value: Uint64, end: number): number {
  if (typeof value === 'bigint') {
    const text = value.toString()
    return end - ID_TEXT.latin1Write(text, end - text.length)
  }
  let at = end
  let rest = value
  do {
    const tenth = Math.floor(rest / 10)
    ID_TEXT[--at] = ZERO + (rest - tenth * 10)
    rest = tenth
  } while (rest > 0)
  return at
}

/** The id right after; undefined after the greatest. */
export function nextId({ ms, seq }: StreamId): StreamId | undefined {
  if (seq !== UINT64_MAX) return { ms, seq: plus(seq, 1) }
  return ms === UINT64_MAX ? undefined : { ms: plus(ms, 1), seq: 0 }
}

/** The id right before; undefined before 0-0. */
export function previousId({ ms, seq }: StreamId): StreamId | undefined {
  if (seq !== 0) return { ms, seq: plus(seq, -1) }
  return ms === 0 ? undefined : { ms: plus(ms, -1), seq: UINT64_MAX }
}

/** The sum modulo 2^64. */
export function plus(a: Uint64, b: number | bigint): Uint64 {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    if (sum >= 0 && sum <= Number.MAX_SAFE_INTEGER) return sum
  }
  return exact(BigInt.asUintN(64, BigInt(a) + BigInt(b)))
}

/** The difference as the signed 64-bit integer that `plus` undoes. */
export function minus(a: Uint64, b: Uint64): number | bigint {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return exact(BigInt.asIntN(64, BigInt(a) - BigInt(b)))
}

/** A number where that is exact. */
export function exact(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** Two big-endian integers: in this form ids sort as bytes. */
export function writeId(id: StreamId, bytes: Buffer, at = 0): void {
  bytes.writeBigUInt64BE(BigInt(id.ms), at)
  bytes.writeBigUInt64BE(BigInt(id.seq), at + 8)
}

export const readId = (bytes: Buffer, at = 0): StreamId => ({
  ms: exact(bytes.readBigUInt64BE(at)),
  seq: exact(bytes.readBigUInt64BE(at + 8)),
})
