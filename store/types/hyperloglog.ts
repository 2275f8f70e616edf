/** HyperLogLog: how many different elements there were, within 0.81 %, in at most 12 KiB. A string in exactly Redis's
 *  bytes: "HYLL", the encoding, three unused bytes, the cached count, then 16384 registers, dense (6 bits each) or sparse
 *  (run lengths). Source: "New cardinality estimation algorithms for HyperLogLog sketches" (Ertl), and observed bytes. */
import { murmurHash64 } from '../../lib/base/murmur.ts'

export const REGISTERS = 16384
const INDEX_MASK = REGISTERS - 1
/** Bits of the hash that are counted, beyond the 14 that choose the register. */
const COUNTED_BITS = 50
const HEAD = 16
const DENSE_SIZE = HEAD + (REGISTERS * 6) / 8
const SEED = 0xadc83b19
const MAGIC = Buffer.from('HYLL')
const DENSE = 0
const SPARSE = 1

/** Whether a string is one, as far as its head and size tell. */
export function isHyperLogLog(bytes: Uint8Array): boolean {
  if (bytes.length < HEAD || MAGIC.compare(bytes, 0, 4) !== 0 || bytes[4]! > SPARSE) return false
  return bytes[4] === SPARSE || bytes.length === DENSE_SIZE
}

/** What is wrong inside: run lengths that do not add up to all registers. */
export class CorruptHyperLogLog extends Error {}

/** One being read or changed. It works on a copy: `bytes` is the new string. */
export class HyperLogLog {
  bytes: Buffer

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes)
  }

  /** One that has seen nothing: a single run of zeros. */
  static empty(): HyperLogLog {
    const bytes = Buffer.alloc(HEAD + 2)
    MAGIC.copy(bytes)
    bytes[4] = SPARSE
    bytes[HEAD] = 0x40 | ((REGISTERS - 1) >> 8)
    bytes[HEAD + 1] = (REGISTERS - 1) & 0xff
    return new HyperLogLog(bytes)
  }

  get isSparse(): boolean {
    return this.bytes[4] === SPARSE
  }

  /** Adds an element; true when a register grew. `sparseMaxBytes`: from here on it becomes dense. */
  add(element: Uint8Array, sparseMaxBytes: number): boolean {
    const { index, count } = place(element)
    return this.raise(index, count, sparseMaxBytes)
  }

  /** Raises one register to `count` if it is lower. */
  raise(index: number, count: number, sparseMaxBytes: number): boolean {
    if (this.isSparse) {
      const grown = raiseSparse(this.bytes, index, count, sparseMaxBytes)
      if (grown === 'as it is') return false
      if (grown !== 'too large') {
        this.bytes = grown
        return true
      }
      this.makeDense()
    }
    if (denseAt(this.bytes, index) >= count) return false
    setDense(this.bytes, index, count)
    return true
  }

  /** Raises every register of `into` to this one's. */
  mergeInto(into: Uint8Array): void {
    if (this.isSparse)
      for (const { value, from, to } of runs(this.bytes)) {
        if (value > 0) for (let i = from; i < to; i++) into[i] = Math.max(into[i]!, value)
      }
    else for (let i = 0; i < REGISTERS; i++) into[i] = Math.max(into[i]!, denseAt(this.bytes, i))
  }

  makeDense(): void {
    if (!this.isSparse) return
    const dense = Buffer.alloc(DENSE_SIZE)
    this.bytes.copy(dense, 0, 0, HEAD)
    dense[4] = DENSE
    for (const { value, from, to } of runs(this.bytes)) {
      if (value > 0) for (let i = from; i < to; i++) setDense(dense, i, value)
    }
    this.bytes = dense
  }

  /** The count kept from the last time, unless something was added since. */
  get cached(): bigint | undefined {
    return (this.bytes[15]! & 0x80) === 0 ? this.bytes.readBigUInt64LE(8) : undefined
  }

  /** Keeps a count, or with undefined says that the kept one is void. */
  set cached(count: bigint | undefined) {
    if (count === undefined) this.bytes[15]! |= 0x80
    else this.bytes.writeBigUInt64LE(count, 8)
  }
}

/** The register an element belongs to and the value it asks for: one more than the zeros its hash ends with. */
function place(element: Uint8Array): { index: number; count: number } {
  const [low, high] = murmurHash64(element, SEED)
  // The 50 bits behind the index, lowest first: 18 in the low half, 32 in the high one.
  const rest = low >>> 14
  const zeros = rest !== 0 ? trailingZeros(rest) : high !== 0 ? 18 + trailingZeros(high) : COUNTED_BITS
  return { index: low & INDEX_MASK, count: Math.min(zeros, COUNTED_BITS) + 1 }
}

const trailingZeros = (word: number): number => 31 - Math.clz32(word & -word)

// --- dense -----------------------------------------------------------------------------------------------------------

function denseAt(bytes: Uint8Array, index: number): number {
  const at = HEAD + ((index * 6) >> 3)
  const shift = (index * 6) & 7
  return ((bytes[at]! >> shift) | ((bytes[at + 1] ?? 0) << (8 - shift))) & 0x3f
}

function setDense(bytes: Uint8Array, index: number, value: number): void {
  const at = HEAD + ((index * 6) >> 3)
  const shift = (index * 6) & 7
  bytes[at] = (bytes[at]! & ~(0x3f << shift)) | (value << shift)
  if (shift > 2) bytes[at + 1] = (bytes[at + 1]! & ~(0x3f >> (8 - shift))) | (value >> (8 - shift))
}

// --- sparse ----------------------------------------------------------------------------------------------------------
// 00xxxxxx: x+1 zeros. 01xxxxxx yyyyyyyy: xy+1 zeros. 1vvvvvxx: x+1 registers of value v+1.

const MOST_ZEROS = 64
const MOST_SAME = 4
const LARGEST_VALUE = 32

interface Run {
  readonly value: number
  /** Registers [from, to). */
  readonly from: number
  readonly to: number
  /** Where it is written, and in how many bytes. */
  readonly at: number
  readonly size: 1 | 2
}

function* runs(bytes: Uint8Array): Generator<Run> {
  let from = 0
  for (let at = HEAD; at < bytes.length; ) {
    const byte = bytes[at]!
    const size = byte >> 6 === 1 ? 2 : 1
    const length =
      byte & 0x80 ? (byte & 3) + 1 : size === 2 ? (((byte & 0x3f) << 8) | (bytes[at + 1] ?? 0)) + 1 : (byte & 0x3f) + 1
    const to = from + length
    if (to > REGISTERS) throw new CorruptHyperLogLog('runs go beyond the last register')
    yield { value: byte & 0x80 ? ((byte >> 2) & 0x1f) + 1 : 0, from, to, at, size }
    from = to
    at += size
  }
  if (from !== REGISTERS) throw new CorruptHyperLogLog('runs end before the last register')
}

/** The new bytes; or that nothing changes, or that they would not be sparse any more. */
function raiseSparse(bytes: Buffer, index: number, count: number, maxBytes: number): Buffer | 'as it is' | 'too large' {
  if (count > LARGEST_VALUE) return 'too large'
  let before: Run | undefined
  for (const run of runs(bytes)) {
    if (index >= run.to) {
      before = run
      continue
    }
    if (run.value >= count) return 'as it is'
    const parts = Buffer.from([
      ...runBytes(run.value, index - run.from),
      ...runBytes(count, 1),
      ...runBytes(run.value, run.to - index - 1),
    ])
    const grown = Buffer.concat([bytes.subarray(0, run.at), parts, bytes.subarray(run.at + run.size)])
    if (grown.length > bytes.length && grown.length > maxBytes + HEAD) return 'too large'
    return joined(grown, before?.at ?? HEAD)
  }
  throw new CorruptHyperLogLog('a register is missing')
}

function runBytes(value: number, length: number): number[] {
  if (length === 0) return []
  if (value > 0) return [0x80 | ((value - 1) << 2) | (length - 1)]
  return length > MOST_ZEROS ? [0x40 | ((length - 1) >> 8), (length - 1) & 0xff] : [length - 1]
}

/** Neighbouring runs of one value become one, among the few around the change. */
function joined(bytes: Buffer, start: number): Buffer {
  let end = bytes.length
  let at = start
  for (let looks = 5; at < end && looks > 0; looks--) {
    const byte = bytes[at]!
    if ((byte & 0x80) === 0) {
      at += byte >> 6 === 1 ? 2 : 1
      continue
    }
    const next = bytes[at + 1]!
    const length = (byte & 3) + (next & 3) + 2
    if (at + 1 < end && (byte & 0xfc) === (next & 0xfc) && length <= MOST_SAME) {
      bytes[at + 1] = (byte & 0xfc) | (length - 1)
      bytes.copyWithin(at, at + 1, end)
      end--
      continue
    }
    at++
  }
  return bytes.subarray(0, end)
}

// --- counting --------------------------------------------------------------------------------------------------------

/** The estimate for registers given one a byte. */
export function estimate(registers: Uint8Array): bigint {
  const histogram = new Uint32Array(64)
  for (const register of registers) histogram[register]!++
  let z = REGISTERS * tau((REGISTERS - histogram[COUNTED_BITS + 1]!) / REGISTERS)
  for (let j = COUNTED_BITS; j >= 1; j--) z = (z + histogram[j]!) * 0.5
  z += REGISTERS * sigma(histogram[0]! / REGISTERS)
  return BigInt(Math.round((ALPHA * REGISTERS * REGISTERS) / z))
}

const ALPHA = 0.7213475204444817

function sigma(x: number): number {
  if (x === 1) return Number.POSITIVE_INFINITY
  let power = x
  let factor = 1
  let sum = x
  for (;;) {
    power *= power
    const previous = sum
    sum += power * factor
    factor += factor
    if (sum === previous) return sum
  }
}

function tau(x: number): number {
  if (x === 0 || x === 1) return 0
  let root = x
  let factor = 1
  let sum = 1 - x
  for (;;) {
    root = Math.sqrt(root)
    const previous = sum
    factor *= 0.5
    sum -= (1 - root) ** 2 * factor
    if (sum === previous) return sum / 3
  }
}
