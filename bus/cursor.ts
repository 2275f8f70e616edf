/** Cursors over one frame: a `Reader` that never looks past its end and a `Writer` that fills its buffer exactly.
 *  Both advance field by field in wire order, so that a codec reads like the table in the specification. */
import { assert } from '../lib/base/assert.ts'
import { type Epoch, ID_LENGTH, type NodeId, type Offset } from '../lib/base/brand.ts'

/** What a reader throws when the bytes are not what they should be. The codec catches it; nobody else sees it.
 *  The text completes the sentence "Received invalid ping packet ...". */
export class Malformed extends Error {}

/** Above this the high half of a 64-bit field would make the whole exceed 2^53 - 1. */
const HIGHEST_SAFE_HALF = 0x1fffff
const TWO_TO_32 = 2 ** 32

/** Reads big-endian fields. Byte fields are views: they borrow the buffer. Throws `Malformed`. */
export class Reader {
  private readonly buffer: Buffer
  private position = 0

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  /** All bytes, read or not. */
  get size(): number {
    return this.buffer.length
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.buffer.length - this.position
  }

  u8(): number {
    return this.buffer.readUInt8(this.take(1))
  }

  u16(): number {
    return this.buffer.readUInt16BE(this.take(2))
  }

  u32(): number {
    return this.buffer.readUInt32BE(this.take(4))
  }

  /** A 64-bit field as a number. Real counters stay far below 2^53; what does not is a broken or hostile sender,
   *  and an epoch near 2^64 would be the last epoch the cluster ever had. */
  u64(): number {
    const high = this.u32()
    const low = this.u32()
    if (high > HIGHEST_SAFE_HALF) throw new Malformed('with a 64-bit field beyond 2^53')
    return high * TWO_TO_32 + low
  }

  epoch(): Epoch {
    return this.u64() as Epoch
  }

  offset(): Offset {
    return this.u64() as Offset
  }

  /** 40 characters of [0-9a-z], checked on the bytes so that a bad id costs no string. */
  id(): NodeId {
    const start = this.take(ID_LENGTH)
    if (!isIdAt(this.buffer, start)) throw new Malformed('with a node id that is not 40 characters of [0-9a-z]')
    return this.buffer.latin1Slice(start, start + ID_LENGTH) as NodeId
  }

  /** An id, or undefined for 40 zero bytes. */
  idOrNone(): NodeId | undefined {
    const end = this.position + ID_LENGTH
    if (this.left >= ID_LENGTH && isZero(this.buffer, this.position, end)) {
      this.position = end
      return undefined
    }
    return this.id()
  }

  /** Text in a field of fixed width, padded with NUL. It goes into nodes.conf and replies, where a blank or a line
   *  end would forge another field: only visible ASCII passes. */
  text(width: number): string {
    const start = this.take(width)
    let end = start
    for (const limit = start + width; this.buffer[end] !== 0; end++) {
      if (end === limit - 1) throw new Malformed('with a text that does not end')
      if (this.buffer[end]! <= 0x20 || this.buffer[end]! > 0x7e) throw new Malformed('with a text that is not ASCII')
    }
    return end === start ? '' : this.buffer.latin1Slice(start, end)
  }

  bytes(length: number): Buffer {
    const start = this.take(length)
    return this.buffer.subarray(start, start + length)
  }

  skip(length: number): void {
    this.take(length)
  }

  private take(length: number): number {
    const start = this.position
    if (length > this.buffer.length - start) throw new Malformed(`that ends before its content (${start} + ${length})`)
    this.position = start + length
    return start
  }
}

function isIdAt(buffer: Buffer, start: number): boolean {
  for (let i = start; i < start + ID_LENGTH; i++) {
    const c = buffer[i]!
    if (!((c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x7a))) return false
  }
  return true
}

function isZero(buffer: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (buffer[i] !== 0) return false
  return true
}

/** Writes big-endian fields into a zeroed buffer of known size, so that padding is a matter of skipping. What does not
 *  fit its field is our own bug and throws. */
export class Writer {
  readonly buffer: Buffer
  private position = 0

  constructor(size: number) {
    this.buffer = Buffer.alloc(size)
  }

  /** Bytes not written yet. */
  get left(): number {
    return this.buffer.length - this.position
  }

  u8(value: number): void {
    this.position = this.buffer.writeUInt8(value, this.position)
  }

  u16(value: number): void {
    this.position = this.buffer.writeUInt16BE(value, this.position)
  }

  u32(value: number): void {
    this.position = this.buffer.writeUInt32BE(value, this.position)
  }

  u64(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, `${value} in a 64-bit field`)
    this.u32(Math.floor(value / TWO_TO_32))
    this.u32(value % TWO_TO_32)
  }

  /** 40 characters, or 40 zero bytes for none. */
  id(id: string | undefined): void {
    assert(id === undefined || id.length === ID_LENGTH, `id ${id}`)
    if (id !== undefined) this.buffer.latin1Write(id, this.position)
    this.position += ID_LENGTH
  }

  /** Text in a field of fixed width, at least one NUL after it. */
  text(text: string, width: number): void {
    assert(text.length < width, `text ${JSON.stringify(text)} in a field of ${width} bytes`)
    if (text.length > 0) this.buffer.latin1Write(text, this.position)
    this.position += width
  }

  bytes(bytes: Uint8Array): void {
    assert(bytes.length <= this.left, `${bytes.length} bytes where ${this.left} are left`)
    this.buffer.set(bytes, this.position)
    this.position += bytes.length
  }

  skip(length: number): void {
    this.position += length
  }
}
