/** LZF, the compression of RDB strings. A control byte below 32 announces that many literals and one more; any other is a copy
 *  from earlier output: length - 2 in the top three bits (7 = more in the next byte), distance - 1 in the other five and the
 *  byte after. */

const MAX_LITERALS = 32
const MAX_DISTANCE = 8192
const MAX_MATCH = 264
/** The most output one byte of input can stand for: a three-byte copy makes 264 bytes. */
export const LZF_MAX_RATIO = MAX_MATCH / 3

/** Expands `input` to exactly `length` bytes; undefined when it is not what LZF makes. */
export function lzfDecompress(input: Uint8Array, length: number): Buffer | undefined {
  if (length > input.length * LZF_MAX_RATIO) return undefined
  const output = Buffer.allocUnsafeSlow(length)
  let from = 0
  let to = 0
  while (from < input.length) {
    const control = input[from++]!
    if (control < MAX_LITERALS) {
      const end = from + control + 1
      if (end > input.length || to + control + 1 > length) return undefined
      while (from < end) output[to++] = input[from++]!
      continue
    }
    let count = (control >> 5) + 2
    if (count === 9) count += input[from++] ?? 0
    const low = input[from++]
    if (low === undefined) return undefined
    let source = to - (((control & 31) << 8) | low) - 1
    if (source < 0 || to + count > length) return undefined
    // Byte by byte: a copy may reach into what it has just written.
    for (; count > 0; count--) output[to++] = output[source++]!
  }
  return to === length ? output : undefined
}

const HASH_BITS = 14
/** Where a three-byte sequence was last seen, as position + #epoch: entries of earlier calls are recognised by being smaller, so that
 *  the table need not be cleared for each string and equal input still gives equal output. */
const lastSeen = new Int32Array(1 << HASH_BITS)
let epoch = 1

/** Where short strings are compressed to: a buffer for each would be garbage at once. */
const scratch = Buffer.allocUnsafeSlow(4096)

/** Compresses, or answers undefined when that would not save at least four bytes (then a real server stores it plain). What it answers is
 *  borrowed until the next call. */
export function lzfCompress(input: Uint8Array): Buffer | undefined {
  const limit = input.length - 4
  if (limit <= 0) return undefined
  if (epoch + input.length > 0x7fff_ffff) {
    lastSeen.fill(0)
    epoch = 1
  }
  const output = limit <= scratch.length ? scratch.subarray(0, limit) : Buffer.allocUnsafeSlow(limit)
  let to = 0
  let literals = 0
  let at = 0
  while (at + 2 < input.length) {
    const hash = hashAt(input, at)
    const source = lastSeen[hash]! - epoch
    lastSeen[hash] = at + epoch
    const count = source < 0 || at - source > MAX_DISTANCE ? 0 : matchLength(input, source, at)
    if (count < 3) {
      at++
      continue
    }
    to = putLiterals(input, literals, at, output, to)
    to = to < 0 ? to : putCopy(count, at - source - 1, output, to)
    if (to < 0) break
    at += count
    literals = at
  }
  epoch += input.length
  to = to < 0 ? to : putLiterals(input, literals, input.length, output, to)
  return to < 0 ? undefined : output.subarray(0, to)
}

function hashAt(input: Uint8Array, at: number): number {
  const three = (input[at]! << 16) | (input[at + 1]! << 8) | input[at + 2]!
  return Math.imul(three, 0x9e3779b1) >>> (32 - HASH_BITS)
}

function matchLength(input: Uint8Array, source: number, at: number): number {
  const most = Math.min(MAX_MATCH, input.length - at)
  let count = 0
  while (count < most && input[source + count] === input[at + count]) count++
  return count
}

/** Writes input[from, end) as runs of literals; the new end of output, or -1 when it is full. */
function putLiterals(input: Uint8Array, from: number, end: number, output: Uint8Array, to: number): number {
  let at = to
  for (let i = from; i < end; ) {
    const run = Math.min(MAX_LITERALS, end - i)
    if (at + run + 1 > output.length) return -1
    output[at++] = run - 1
    for (const stop = i + run; i < stop; i++) output[at++] = input[i]!
  }
  return at
}

/** Writes one copy of `count` bytes; the new end of output, or -1 when it is full. */
function putCopy(count: number, distance: number, output: Uint8Array, to: number): number {
  let at = to
  if (at + 3 > output.length) return -1
  const length = count - 2
  output[at++] = (Math.min(length, 7) << 5) | (distance >> 8)
  if (length >= 7) output[at++] = length - 7
  output[at++] = distance & 0xff
  return at
}
