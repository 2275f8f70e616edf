/** Records of bytes off the heap: written one after the other into chunks, and named by an address. Who drops records empties
 *  chunks; one that is mostly empty is to be cleared by moving what is left of it. */
import { assert } from '../../lib/base/assert.ts'

/** Where a record lies: the number of its chunk, and where in it in units of 8 bytes. A signed 32-bit integer; 0 is no record. */
export type RecordAddress = number

const OFFSET_BITS = 13
const OFFSET_MASK = (1 << OFFSET_BITS) - 1
const LARGEST_CHUNK = 8 << OFFSET_BITS
const SMALLEST_CHUNK = 1024
/** A record of more bytes has a chunk of its own. */
const LARGEST_SHARED = LARGEST_CHUNK / 4
const MOST_CHUNKS = 2 ** (32 - OFFSET_BITS)

/** Where a record begins in its chunk. */
export const offsetOf = (at: RecordAddress): number => (at & OFFSET_MASK) << 3

/** What a record takes of a chunk. */
export const padded = (size: number): number => (size + 7) & ~7

export interface Chunk {
  readonly bytes: Buffer
  readonly data: DataView
  /** Bytes written, and how many of those were dropped. */
  used: number
  dropped: number
}

export class Records {
  /** By number; that of no chunk is 0. */
  readonly #chunks: (Chunk | undefined)[] = [undefined]
  readonly #freeNumbers: number[] = []
  #current = 0
  #held = 0

  /** Bytes of all chunks. */
  get weight(): number {
    return this.#held
  }

  chunkOf(at: RecordAddress): Chunk {
    return this.#chunks[at >>> OFFSET_BITS]!
  }

  /** Room for a record of `size` bytes. */
  add(size: number): RecordAddress {
    if (size > LARGEST_SHARED) return this.#open(padded(size), size) << OFFSET_BITS
    const current = this.#chunks[this.#current]
    if (current === undefined || current.used + size > current.bytes.length)
      this.#current = this.#open(Math.max(SMALLEST_CHUNK, padded(size), Math.min(this.#held, LARGEST_CHUNK)), 0)
    const chunk = this.#chunks[this.#current]!
    const at = (this.#current << OFFSET_BITS) | (chunk.used >>> 3)
    chunk.used += padded(size)
    return at
  }

  /** Drops a record. True when its chunk is to be cleared: move the other records, each by `add` and `drop`. */
  drop(at: RecordAddress, size: number): boolean {
    const number = at >>> OFFSET_BITS
    const chunk = this.#chunks[number]!
    chunk.dropped += padded(size)
    if (chunk.dropped >= chunk.used) {
      if (number === this.#current) chunk.used = chunk.dropped = 0
      else this.#close(number)
      return false
    }
    return number !== this.#current && chunk.dropped * 2 > chunk.bytes.length
  }

  /** A new chunk of which `used` bytes are written; returns its number. */
  #open(size: number, used: number): number {
    const bytes = Buffer.allocUnsafeSlow(size)
    const number = this.#freeNumbers.pop() ?? this.#chunks.length
    assert(number < MOST_CHUNKS, 'a collection has outgrown its addresses')
    this.#chunks[number] = { bytes, data: new DataView(bytes.buffer), used: padded(used), dropped: 0 }
    this.#held += size
    return number
  }

  #close(number: number): void {
    this.#held -= this.#chunks[number]!.bytes.length
    this.#chunks[number] = undefined
    this.#freeNumbers.push(number)
  }
}
