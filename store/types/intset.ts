/** Intset: 64-bit integers in ascending order in one buffer, byte for byte as Redis lays it out (reference section 11): u32 LE
 *  width of an element (2, 4, 8), u32 LE count, elements LE. */
import { PackedError } from './listpack.ts'
import { readInt64 } from './listpack-entry.ts'
import { PackedBytes, roomToGrow } from './packed-bytes.ts'

const HEADER = 8

/** A 64-bit integer; a bigint only when a number would not be exact. */
export type Int64 = number | bigint

export class Intset extends PackedBytes {
  #width: number
  #count: number

  private constructor(room: Buffer, width: number, count: number) {
    super(room, 0, 0, room.length)
    this.#width = width
    this.#count = count
  }

  static empty(): Intset {
    const set = new Intset(roomToGrow(HEADER), 2, 0)
    set.#writeHeader()
    return set
  }

  /** An intset made elsewhere; the bytes now belong to it. Throws PackedError unless they are one, its elements ascending. */
  static from(bytes: Buffer): Intset {
    if (bytes.length < HEADER) throw new PackedError('intset header')
    const width = bytes.readUInt32LE(0)
    const count = bytes.readUInt32LE(4)
    if (!(width === 2 || width === 4 || width === 8) || HEADER + count * width !== bytes.length)
      throw new PackedError('intset header')
    const set = new Intset(bytes, width, count)
    for (let i = 1; i < count; i++) if (set.at(i - 1) >= set.at(i)) throw new PackedError('intset order')
    return set
  }

  /** The intset that begins at `start` in memory of the store, where it may grow up to `limit`. It is one, and not a large one. */
  static borrow(room: Buffer, start: number, limit: number): Intset {
    const set = new Intset(room, room[start]!, room[start + 4]! | (room[start + 5]! << 8))
    set.moveTo(room, start, limit)
    return set
  }

  /** Length of `bytes`. */
  override get size(): number {
    return HEADER + this.#count * this.#width
  }

  /** Number of elements. */
  get count(): number {
    return this.#count
  }

  copy(): Intset {
    return new Intset(Buffer.from(this.bytes), this.#width, this.#count)
  }

  /** The element of an index below `count`. */
  at(index: number): Int64 {
    return readElement(this.room, this.start, this.#width, index)
  }

  has(value: Int64): boolean {
    const place = this.#place(value)
    return place < this.#count && this.at(place) === value
  }

  /** False when it is there already. */
  add(value: Int64): boolean {
    const place = this.#place(value)
    if (place < this.#count && this.at(place) === value) return false
    this.#reserve(this.#count + 1, Math.max(this.#width, widthOf(value)))
    const at = this.start + HEADER + place * this.#width
    this.room.copyWithin(at + this.#width, at, this.start + this.size)
    writeElement(this.room, this.start, this.#width, place, value)
    this.#count++
    this.#writeHeader()
    return true
  }

  /** False when it is not there. Elements never become narrower again. */
  remove(value: Int64): boolean {
    const place = this.#place(value)
    if (place === this.#count || this.at(place) !== value) return false
    const at = this.start + HEADER + place * this.#width
    this.room.copyWithin(at, at + this.#width, this.start + this.size)
    this.#count--
    this.#writeHeader()
    return true
  }

  /** Index of the first element that is not less. */
  #place(value: Int64): number {
    let low = 0
    let high = this.#count
    // What is added often comes in ascending order.
    if (high > 0 && this.at(high - 1) < value) return high
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.at(middle) < value) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Room for `count` elements of a width. */
  #reserve(count: number, width: number): void {
    const size = HEADER + count * width
    if (width === this.#width && this.start + size <= this.limit) return
    const room = roomToGrow(size)
    if (width === this.#width) this.copyTo(room, 0)
    else for (let i = 0; i < this.#count; i++) writeElement(room, 0, width, i, this.at(i))
    this.settle(room)
    this.#width = width
  }

  #writeHeader(): void {
    this.room.writeUInt32LE(this.#width, this.start)
    this.room.writeUInt32LE(this.#count, this.start + 4)
  }
}

const within = (value: Int64, limit: number): boolean => value >= -limit && value < limit
const widthOf = (value: Int64): number => (within(value, 2 ** 15) ? 2 : within(value, 2 ** 31) ? 4 : 8)

function readElement(room: Buffer, start: number, width: number, index: number): Int64 {
  const at = start + HEADER + index * width
  if (width === 2) return room.readInt16LE(at)
  return width === 4 ? room.readInt32LE(at) : readInt64(room, at)
}

function writeElement(room: Buffer, start: number, width: number, index: number, value: Int64): void {
  const at = start + HEADER + index * width
  if (width === 8) room.writeBigInt64LE(BigInt(value), at)
  else room.writeIntLE(Number(value), at, width)
}
