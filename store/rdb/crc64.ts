/** CRC-64 "Jones", the checksum of RDB files and DUMP payloads: reflected, initial value and final xor 0. */

/** The polynomial 0xad93d23594c935a9, reflected: 0x95ac9329ac4bc9b5. */
const POLY_HIGH = 0x95ac9329
const POLY_LOW = 0xac4bc9b5

/** Tables for eight bytes at a time: row k, at k * 256, is the effect of a byte that k more bytes follow. The halves are
 *  apart because JavaScript has no fast 64-bit integer: 1000 MB/s this way, 18 MB/s with bigint. */
const HIGH = new Uint32Array(8 * 256)
const LOW = new Uint32Array(8 * 256)

for (let byte = 0; byte < 256; byte++) {
  let high = 0
  let low = byte
  for (let bit = 0; bit < 8; bit++) {
    const odd = low & 1
    low = (low >>> 1) | (high << 31)
    high >>>= 1
    if (odd) {
      low ^= POLY_LOW
      high ^= POLY_HIGH
    }
  }
  HIGH[byte] = high
  LOW[byte] = low
}
for (let i = 256; i < 8 * 256; i++) {
  const high = HIGH[i - 256]!
  const low = LOW[i - 256]!
  LOW[i] = ((low >>> 8) | (high << 24)) ^ LOW[low & 0xff]!
  HIGH[i] = (high >>> 8) ^ HIGH[low & 0xff]!
}

/** A running checksum: "123456789" gives 0xe9c6d914c4b8d9ca. */
export class Crc64 {
  high = 0
  low = 0

  /** Takes in bytes[start, end). */
  update(bytes: Uint8Array, start = 0, end = bytes.length): this {
    let { high, low } = this
    let i = start
    for (; i + 8 <= end; i += 8) {
      low ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
      high ^= bytes[i + 4]! | (bytes[i + 5]! << 8) | (bytes[i + 6]! << 16) | (bytes[i + 7]! << 24)
      const a = 1792 + (low & 0xff)
      const b = 1536 + ((low >>> 8) & 0xff)
      const c = 1280 + ((low >>> 16) & 0xff)
      const d = 1024 + (low >>> 24)
      const e = 768 + (high & 0xff)
      const f = 512 + ((high >>> 8) & 0xff)
      const g = 256 + ((high >>> 16) & 0xff)
      const h = high >>> 24
      low = LOW[a]! ^ LOW[b]! ^ LOW[c]! ^ LOW[d]! ^ LOW[e]! ^ LOW[f]! ^ LOW[g]! ^ LOW[h]!
      high = HIGH[a]! ^ HIGH[b]! ^ HIGH[c]! ^ HIGH[d]! ^ HIGH[e]! ^ HIGH[f]! ^ HIGH[g]! ^ HIGH[h]!
    }
    for (; i < end; i++) {
      const index = (low ^ bytes[i]!) & 0xff
      low = ((low >>> 8) | (high << 24)) ^ LOW[index]!
      high = (high >>> 8) ^ HIGH[index]!
    }
    this.high = high >>> 0
    this.low = low >>> 0
    return this
  }

  /** The eight bytes as they stand in a file: little-endian. */
  bytes(): Buffer {
    const bytes = Buffer.allocUnsafe(8)
    this.writeTo(bytes, 0)
    return bytes
  }

  /** Writes the eight bytes at an offset. */
  writeTo(target: Buffer, at: number): void {
    target.writeUInt32LE(this.low, at)
    target.writeUInt32LE(this.high, at + 4)
  }

  /** Whether they stand there. */
  standsAt(bytes: Buffer, at: number): boolean {
    return bytes.readUInt32LE(at) === this.low && bytes.readUInt32LE(at + 4) === this.high
  }
}
