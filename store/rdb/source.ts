/** Where encoded data is read from: chunks as they come from a socket, of whatever size. What reads it is written as if all bytes
 *  were there; it yields when they are not yet, and goes on at the same place when they have come. */
import { Key } from '../../lib/base/key.ts'
import { readInt64 } from '../types/listpack-entry.ts'
import { exact } from '../types/stream-id.ts'
import { Crc64 } from './crc64.ts'
import { LZF_MAX_RATIO, lzfDecompress } from './lzf.ts'

/** The data is not what the format allows, or more than we can take; the message says what. */
export class RdbError extends Error {}

/** The data is sound, but of a type of value that we cannot hold. */
export class UnsupportedTypeError extends RdbError {}

/** A collection without elements. It is sound, but no key can hold one. */
export class EmptyValueError extends RdbError {}

/** A read in progress: each yield waits for more bytes. */
export type Decoding<T> = Generator<undefined, T, undefined>

/** proto-max-bulk-len cannot be raised beyond what one Buffer holds. */
const MAX_STRING = 0xffff_ffff

/** The special strings, by the low six bits of their first byte. */
const INT8 = 0
const INT16 = 1
const INT32 = 2
const LZF = 3

/** What `#head` found. */
const SPECIAL = -1

export class Source {
  /** Chunks after the one being read begin at #next. Not shifted one by one: a long string may come in very many. */
  #chunks: Buffer[] = []
  #next = 0
  #chunk: Buffer = Buffer.alloc(0)
  #at = 0
  /** Unread bytes of all chunks. */
  #available = 0
  readonly #crc = new Crc64()
  /** #chunk[0, #summed) is in #crc already. */
  #summed = 0
  /** Kind of the special string whose first byte `#head` has just read. */
  #special = 0

  /** Adds a chunk. It is kept until it is read: nobody may write into it any more. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#available += chunk.length
  }

  /** Bytes that have come and have not been read. */
  get available(): number {
    return this.#available
  }

  /** What has not been read, and is not wanted any more here. */
  rest(): Buffer {
    return Buffer.concat([this.#chunk.subarray(this.#at), ...this.#chunks.slice(this.#next)])
  }

  /** CRC64 of all bytes read so far. */
  checksum(): Buffer {
    this.#crc.update(this.#chunk, this.#summed, this.#at)
    this.#summed = this.#at
    return this.#crc.bytes()
  }

  *u8(): Decoding<number> {
    while (this.#available === 0) yield
    return this.#byte()
  }

  /** The next `length` bytes, borrowed from the chunk when they lie in one. Memory follows what really comes, not `length`. */
  *bytes(length: number): Decoding<Buffer> {
    while (this.#available < length) yield
    if (this.#at === this.#chunk.length && length > 0) this.#advance()
    const end = this.#at + length
    if (end > this.#chunk.length) return this.#gather(length)
    const bytes = this.#chunk.subarray(this.#at, end)
    this.#at = end
    this.#available -= length
    return bytes
  }

  /** Eight bytes, signed, little-endian. Throws beyond 2^53. */
  *i64(): Decoding<number> {
    return safe(readInt64(yield* this.bytes(8), 0))
  }

  /** A length: 6, 14, 32 or 64 bits. Throws when it is a special string, or beyond 2^53. */
  *length(): Decoding<number> {
    return safe(yield* this.uint64())
  }

  /** An unsigned integer that is written as a length; a bigint where a number would not be exact. */
  *uint64(): Decoding<number | bigint> {
    const value = yield* this.#head()
    if (value === SPECIAL) throw new RdbError(`special string ${this.#special} where a length belongs`)
    return value
  }

  /** A string, also one that was written as an integer or compressed; borrowed as `bytes` are. */
  *string(): Decoding<Buffer> {
    const length = yield* this.#head()
    if (length === SPECIAL) return yield* this.#specialString(this.#special)
    if (length > MAX_STRING) throw new RdbError(`string of ${length} bytes`)
    return yield* this.bytes(Number(length))
  }

  /** The next string, borrowed, when it is short and lies in the chunk, as most do: a generator for each would cost more than its bytes.
   *  Undefined when not; then nothing is read, and `string` is the way. */
  shortString(): Key | undefined {
    const chunk = this.#chunk
    const first = chunk[this.#at]
    if (first === undefined || first >= 0x80) return undefined
    const start = this.#at + (first < 0x40 ? 1 : 2)
    const end = start + (first < 0x40 ? first : ((first & 0x3f) << 8) | chunk[start - 1]!)
    if (end > chunk.length) return undefined
    this.#available -= end - this.#at
    this.#at = end
    return new Key(chunk, start, end)
  }

  *#head(): Decoding<number | bigint> {
    while (this.#available === 0) yield
    const first = this.#byte()
    const low = first & 0x3f
    if (first < 0x40) return low
    if (first < 0x80) return (low << 8) | (yield* this.u8())
    if (first === 0x80) return (yield* this.bytes(4)).readUInt32BE(0)
    if (first === 0x81) return exact((yield* this.bytes(8)).readBigUInt64BE(0))
    if (first < 0xc0) throw new RdbError(`length starts with byte ${first}`)
    this.#special = low
    return SPECIAL
  }

  *#specialString(kind: number): Decoding<Buffer> {
    if (kind === INT8) return decimal((yield* this.bytes(1)).readInt8(0))
    if (kind === INT16) return decimal((yield* this.bytes(2)).readInt16LE(0))
    if (kind === INT32) return decimal((yield* this.bytes(4)).readInt32LE(0))
    if (kind !== LZF) throw new RdbError(`unknown string encoding ${kind}`)
    const compressed = yield* this.length()
    const length = yield* this.length()
    if (Math.max(compressed, length) > MAX_STRING || length > compressed * LZF_MAX_RATIO)
      throw new RdbError(`compressed string of ${length} bytes in ${compressed}`)
    const bytes = lzfDecompress(yield* this.bytes(compressed), length)
    if (bytes === undefined) throw new RdbError('invalid LZF compressed string')
    return bytes
  }

  /** One byte that is known to be there. */
  #byte(): number {
    if (this.#at === this.#chunk.length) this.#advance()
    this.#available--
    return this.#chunk[this.#at++]!
  }

  #advance(): void {
    this.#crc.update(this.#chunk, this.#summed)
    this.#chunk = this.#chunks[this.#next++]!
    if (this.#next === this.#chunks.length) {
      this.#chunks = []
      this.#next = 0
    }
    this.#at = 0
    this.#summed = 0
  }

  #gather(length: number): Buffer {
    const gathered = Buffer.allocUnsafe(length)
    for (let filled = 0; filled < length; ) {
      if (this.#at === this.#chunk.length) this.#advance()
      const copied = this.#chunk.copy(gathered, filled, this.#at, this.#at + length - filled)
      this.#at += copied
      filled += copied
    }
    this.#available -= length
    return gathered
  }
}

/** Runs a read over bytes that are all there; undefined when they end too early. */
export function decodeWhole<T>(decoding: Decoding<T>): T | undefined {
  const step = decoding.next()
  return step.done === true ? step.value : undefined
}

const decimal = (value: number): Buffer => Buffer.from(String(value), 'latin1')

function safe(value: number | bigint): number {
  if (typeof value === 'bigint') throw new RdbError(`integer ${value}`)
  return value
}
