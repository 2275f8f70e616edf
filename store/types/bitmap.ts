/** Strings as rows of bits, bit 0 the highest of the first byte; and as rows of integers of 1 to 64 bits. */

const ONES = new Uint8Array(256).map((_, byte) => {
  let count = 0
  for (let rest = byte; rest > 0; rest &= rest - 1) count++
  return count
})

const WORD = 4

/** The bit at `offset`; 0 beyond the end. */
export const bitAt = (bytes: Uint8Array, offset: number): 0 | 1 => {
  const byte = bytes[Math.floor(offset / 8)] ?? 0
  return ((byte >> (7 - (offset % 8))) & 1) as 0 | 1
}

/** The whole words within bytes [from, to) of `bytes`, wherever those lie in memory, and the byte of the first of them. What is before
 *  and behind them is looked at byte by byte; a large bitmap is read four times as fast by words. */
function wordsWithin(bytes: Uint8Array, from: number, to: number): { words: Int32Array; first: number } {
  const misaligned = (bytes.byteOffset + from) % WORD
  const first = Math.min(to, misaligned === 0 ? from : from + WORD - misaligned)
  const count = Math.floor((to - first) / WORD)
  return count === 0
    ? { words: NO_WORDS, first: to }
    : { words: new Int32Array(bytes.buffer, bytes.byteOffset + first, count), first }
}

const NO_WORDS = new Int32Array(0)

/** How many bits of [from, to) are set. */
export function countOnes(bytes: Uint8Array, from: number, to: number): number {
  const { words, first } = wordsWithin(bytes, Math.ceil(from / 8), Math.floor(to / 8))
  let count = 0
  for (let i = 0; i < words.length; i++) count += onesIn(words[i]!)
  const behind = first + words.length * WORD
  for (let i = Math.floor(from / 8); i < first && i * 8 < to; i++) count += ONES[bytes[i]! & maskOf(i, from, to)]!
  for (let i = behind; i * 8 < to; i++) count += ONES[bytes[i]! & maskOf(i, from, to)]!
  return count
}

/** Adds neighbours: pairs of bits, fours, bytes, and by the multiplication all bytes. */
function onesIn(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555)
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** Where in [from, to) the first bit of that value stands; -1 when there is none. */
export function findBit(bytes: Uint8Array, bit: 0 | 1, from: number, to: number): number {
  // Looking for a clear bit in some bytes is looking for a set one in their complement.
  const flip = bit === 1 ? 0 : 0xff
  const { words, first } = wordsWithin(bytes, Math.ceil(from / 8), Math.floor(to / 8))
  for (let i = Math.floor(from / 8); i * 8 < to; i++) {
    if (i === first) i += WORD * countOf(words, bit === 1 ? 0 : -1)
    const candidates = (bytes[i]! ^ flip) & maskOf(i, from, to)
    if (candidates !== 0) return i * 8 + Math.clz32(candidates) - 24
  }
  return -1
}

/** How many words, from the first on, are that one. */
function countOf(words: Int32Array, word: number): number {
  let count = 0
  while (count < words.length && words[count] === word) count++
  return count
}

/** The bits of byte `i` that lie in [from, to). */
function maskOf(i: number, from: number, to: number): number {
  const head = Math.max(0, from - i * 8)
  const tail = Math.max(0, i * 8 + 8 - to)
  return (0xff >> head) & (0xff << tail) & 0xff
}

export type BitOperation = 'and' | 'or' | 'xor' | 'not'

/** The operation over all sources, the shorter ones continued by zeros. `not` takes one source. */
export function combine(operation: BitOperation, sources: readonly Uint8Array[]): Buffer {
  const length = sources.reduce((most, source) => Math.max(most, source.length), 0)
  const result = Buffer.alloc(padded(length))
  const words = asWords(result)
  const [first, ...others] = sources
  if (first !== undefined) result.set(first)
  if (operation === 'not') for (let i = 0; i < words.length; i++) words[i] = ~words[i]!
  for (const source of others) merge(operation, words, asWords(source))
  return result.subarray(0, length)
}

function merge(operation: BitOperation, result: Int32Array, source: Int32Array): void {
  const { length } = source
  if (operation === 'or') for (let i = 0; i < length; i++) result[i]! |= source[i]!
  else if (operation === 'xor') for (let i = 0; i < length; i++) result[i]! ^= source[i]!
  else {
    for (let i = 0; i < length; i++) result[i]! &= source[i]!
    result.fill(0, length)
  }
}

const padded = (length: number): number => Math.ceil(length / WORD) * WORD

/** Bytes as words, the last one filled up with zeros: those bytes themselves where they are so, or a copy. */
function asWords(bytes: Uint8Array): Int32Array {
  const { buffer, byteOffset, length } = bytes
  if (byteOffset % WORD === 0 && length % WORD === 0) return new Int32Array(buffer, byteOffset, length / WORD)
  const copy = Buffer.alloc(padded(length))
  copy.set(bytes)
  return asWords(copy)
}

/** The type of a bit field: i1 to i64, u1 to u63. */
export interface FieldType {
  readonly signed: boolean
  readonly bits: number
}

/** What an integer does that does not clampTo: go round, stop at the limit, or refuse. */
export type Overflow = 'wrap' | 'sat' | 'fail'

/** Reads the field that begins at bit `offset`; what lies beyond the end is zero. */
export function readField(bytes: Uint8Array, offset: number, type: FieldType): bigint {
  let value = 0n
  for (let i = 0; i < type.bits; i++) value = (value << 1n) | BigInt(bitAt(bytes, offset + i))
  return type.signed ? BigInt.asIntN(type.bits, value) : value
}

/** Writes the low bits of `value`; the bytes must reach that far. */
export function writeField(bytes: Uint8Array, offset: number, type: FieldType, value: bigint): void {
  for (let i = 0; i < type.bits; i++) {
    const at = offset + i
    const bit = Number((value >> BigInt(type.bits - 1 - i)) & 1n)
    const mask = 0x80 >> (at % 8)
    const index = Math.floor(at / 8)
    bytes[index] = bit === 1 ? bytes[index]! | mask : bytes[index]! & ~mask
  }
}

/** `value` as the field can hold it; undefined when it does not clampTo and must not be forced. */
export function clampTo(value: bigint, type: FieldType, overflow: Overflow): bigint | undefined {
  const bits = BigInt(type.bits)
  const least = type.signed ? -(1n << (bits - 1n)) : 0n
  const most = type.signed ? (1n << (bits - 1n)) - 1n : (1n << bits) - 1n
  if (value >= least && value <= most) return value
  if (overflow === 'fail') return undefined
  if (overflow === 'sat') return value < least ? least : most
  return type.signed ? BigInt.asIntN(type.bits, value) : BigInt.asUintN(type.bits, value)
}
