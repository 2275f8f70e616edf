/** Where encoded data is written to: chunks of moderate size, ready for a socket, with the checksum of them all. */
import { own, parseInteger } from '../../lib/base/bytes.ts'
import { Crc64 } from './crc64.ts'
import { lzfCompress } from './lzf.ts'

/** Chunks begin small, for the sake of DUMP, and grow to this size. */
const CHUNK = 64 * 1024
const FIRST_CHUNK = 256
/** Strings from here on become chunks of their own instead of being copied. */
const LARGE = 16 * 1024
/** The longest text that may be a 32-bit integer: "-2147483648". */
export const MAX_INT32_TEXT = 11
/** Shorter strings are not worth compressing; so a real server judges. */
export const MIN_COMPRESSED = 21

export class Sink {
  readonly #compress: boolean
  #chunk: Buffer = Buffer.allocUnsafe(FIRST_CHUNK)
  #at = 0
  /** #chunk[#taken, #at) has not been handed out. */
  #taken = 0
  #finished: Buffer[] = []
  #finishedBytes = 0
  readonly #crc = new Crc64()

  /** `compress`: rdbcompression. */
  constructor(compress: boolean) {
    this.#compress = compress
  }

  /** Bytes waiting to be taken. */
  get pending(): number {
    return this.#finishedBytes + this.#at - this.#taken
  }

  /** Hands out what was written since the last time. Large strings are references: their owner must not write into them. */
  take(): Buffer[] {
    this.#close()
    const chunks = this.#finished
    this.#finished = []
    this.#finishedBytes = 0
    return chunks
  }

  /** CRC64 of all bytes written so far. */
  checksum(): Buffer {
    this.#close()
    return this.#crc.bytes()
  }

  u8(value: number): void {
    this.#room(1)
    this.#chunk[this.#at++] = value
  }

  u16(value: number): void {
    this.#room(2)
    this.#at = this.#chunk.writeUInt16LE(value, this.#at)
  }

  /** Eight bytes, signed, little-endian. */
  i64(value: number): void {
    this.#room(8)
    this.#at = this.#chunk.writeBigInt64LE(BigInt(value), this.#at)
  }

  /** Eight bytes, IEEE 754, little-endian. */
  f64(value: number): void {
    this.#room(8)
    this.#at = this.#chunk.writeDoubleLE(value, this.#at)
  }

  bytes(bytes: Uint8Array): void {
    if (bytes.length >= LARGE) {
      this.#close()
      this.#finish(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
      return
    }
    this.#room(bytes.length)
    this.#chunk.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** A length, or another unsigned integer, in its shortest form. */
  length(value: number | bigint): void {
    this.#room(9)
    if (typeof value === 'bigint' || value > 0xffff_ffff) {
      this.#chunk[this.#at] = 0x81
      this.#at = this.#chunk.writeBigUInt64BE(BigInt(value), this.#at + 1)
    } else if (value >= 0x4000) {
      this.#chunk[this.#at] = 0x80
      this.#at = this.#chunk.writeUInt32BE(value, this.#at + 1)
    } else if (value >= 0x40) this.#at = this.#chunk.writeUInt16BE(0x4000 | value, this.#at)
    else this.#chunk[this.#at++] = value
  }

  /** A string as a real server would write it: as an integer if it is the text of one, compressed if that pays, or plain. */
  string(bytes: Uint8Array): void {
    if (bytes.length <= MAX_INT32_TEXT && this.#integer(bytes)) return
    if (this.#compress && bytes.length >= MIN_COMPRESSED) {
      const compressed = lzfCompress(bytes)
      if (compressed !== undefined) {
        this.u8(0xc3)
        this.length(compressed.length)
        this.length(bytes.length)
        this.bytes(compressed)
        return
      }
    }
    this.length(bytes.length)
    this.bytes(bytes)
  }

  /** As `string`, for bytes that may change afterwards. */
  stringCopy(bytes: Uint8Array): void {
    this.string(bytes.length < LARGE ? bytes : own(bytes))
  }

  /** Writes the canonical text of a 32-bit integer as that integer; false when it is none. */
  #integer(text: Uint8Array): boolean {
    const value = parseInteger(text)
    if (value === undefined || value !== (value | 0)) return false
    this.#room(5)
    if (value === (value << 24) >> 24) {
      this.#chunk[this.#at] = 0xc0
      this.#at = this.#chunk.writeInt8(value, this.#at + 1)
    } else if (value === (value << 16) >> 16) {
      this.#chunk[this.#at] = 0xc1
      this.#at = this.#chunk.writeInt16LE(value, this.#at + 1)
    } else {
      this.#chunk[this.#at] = 0xc2
      this.#at = this.#chunk.writeInt32LE(value, this.#at + 1)
    }
    return true
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#chunk.length) return
    this.#close()
    this.#chunk = Buffer.allocUnsafe(Math.max(bytes, Math.min(this.#chunk.length * 8, CHUNK)))
    this.#at = 0
    this.#taken = 0
  }

  /** Ends the part written since the last one was handed out. */
  #close(): void {
    if (this.#at === this.#taken) return
    this.#finish(this.#chunk.subarray(this.#taken, this.#at))
    this.#taken = this.#at
  }

  #finish(part: Buffer): void {
    this.#crc.update(part)
    this.#finished.push(part)
    this.#finishedBytes += part.length
  }
}
