/** Strings as rows of bits, bit 0 the highest of the first byte; and as rows of integers of 1 to 64 bits. */

const ONES = new Uint8Array(256).map((_, byte) => {
  let count = 0
  for (let rest = byte; rest > 0; rest &= rest - 1) count++
  return count
})

/** The bit at `offset`; 0 beyond the end. */
export const bitAt = (bytes: Uint8Array, offset: number): 0 | 1 => {
  const byte = bytes[Math.floor(offset / 8)] ?? 0
  return ((byte >> (7 - (offset % 8))) & 1) as 0 | 1
}

/** How many bits of [from, to) are set. */
export function countOnes(bytes: Uint8Array, from: number, to: number): number {
  let count = 0
  const firstByte = Math.floor(from / 8)
  const lastByte = Math.floor((to - 1) / 8)
  for (let i = firstByte; i <= lastByte; i++) count += ONES[bytes[i]! & maskOf(i, from, to)]!
  return count
}

/** Where in [from, to) the first bit of that value stands; -1 when there is none. */
export function findBit(bytes: Uint8Array, bit: 0 | 1, from: number, to: number): number {
  // Looking for a clear bit in some bytes is looking for a set one in their complement.
  const flip = bit === 1 ? 0 : 0xff
  const lastByte = Math.floor((to - 1) / 8)
  for (let i = Math.floor(from / 8); i <= lastByte; i++) {
    const candidates = (bytes[i]! ^ flip) & maskOf(i, from, to)
    if (candidates !== 0) return i * 8 + Math.clz32(candidates) - 24
  }
  return -1
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
  const length = Math.max(0, ...sources.map((source) => source.length))
  const result = Buffer.alloc(length)
  const [first, ...others] = sources
  if (first !== undefined) result.set(first)
  if (operation === 'not') for (let i = 0; i < length; i++) result[i] = ~result[i]!
  for (const source of others) merge(operation, result, source)
  return result
}

function merge(operation: BitOperation, result: Buffer, source: Uint8Array): void {
  const { length } = source
  if (operation === 'or') for (let i = 0; i < length; i++) result[i]! |= source[i]!
  else if (operation === 'xor') for (let i = 0; i < length; i++) result[i]! ^= source[i]!
  else for (let i = 0; i < result.length; i++) result[i]! &= source[i] ?? 0
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
