/** Zipmap: how small hashes were packed before Redis 2.6 (reference section 11): u8 count, pairs, 0xFF. A pair is a length and a
 *  field, a length, a byte that says how many are free behind the value, and the value. We only ever read one. */
import { PackedError } from '../types/listpack.ts'

const END = 0xff
/** A length that takes four more bytes; as a count: more than the byte can hold. */
const LONG = 0xfe

/** Fields with their values, borrowed from `bytes`. Throws PackedError, at the latest after the last of them, unless the bytes are
 *  a zipmap. */
export function* zipmapPairs(bytes: Buffer): Generator<readonly [field: Buffer, value: Buffer]> {
  const end = bytes.length - 1
  if (end < 1 || bytes[end] !== END) throw new PackedError('zipmap frame')
  let count = 0
  for (let at = 1; at < end; count++) {
    const field = textAt(bytes, at, end, 0)
    const value = textAt(bytes, field.end, end, 1)
    yield [field.bytes, value.bytes]
    at = value.end
  }
  if (bytes[0]! < LONG && bytes[0] !== count) throw new PackedError('zipmap count')
}

/** The text whose length is at an offset, and where what follows it begins. Of a value `gap` is 1: between its length and itself
 *  stands the number of free bytes behind it. */
function textAt(bytes: Buffer, at: number, end: number, gap: 0 | 1): { bytes: Buffer; end: number } {
  const first = bytes[at]!
  const start = at + (first === LONG ? 5 : 1) + gap
  if (first === END || start > end) throw new PackedError('zipmap entry')
  const length = first === LONG ? bytes.readUInt32LE(at + 1) : first
  const free = gap === 0 ? 0 : bytes[start - 1]!
  const after = start + length + free
  if (after > end) throw new PackedError('zipmap entry')
  return { bytes: bytes.subarray(start, start + length), end: after }
}
