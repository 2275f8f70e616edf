/** The bytes of a packed collection: in a buffer of their own, or borrowed from where the store keeps them (a block of the arena),
 *  in which they are looked at and changed in place. What no longer fits there goes on in a buffer of its own; the store takes
 *  it from there when it is told of the change. */

/** Up to this size a buffer that grows is cut from Node's pool, and generously: it is there for one command, until the store has the
 *  bytes. A buffer of its own would cost more than the command, and growing in small steps would leave ten times the garbage. */
const SHORT_LIVED = 1024
const LEAST = 256

/** Room for `size` bytes, and for more: adding at the end takes constant time on average. */
export const roomToGrow = (size: number): Buffer =>
  size <= SHORT_LIVED ? Buffer.allocUnsafe(Math.max(LEAST, size * 2)) : Buffer.allocUnsafeSlow(size + (size >> 2))

/** A view of memory that is worth one: none of a buffer that is there for one command. */
const dataBehind = (room: Buffer): DataView | undefined =>
  room.length <= SHORT_LIVED ? undefined : new DataView(room.buffer, room.byteOffset, room.length)

export abstract class PackedBytes {
  protected room: Buffer
  /** The memory behind `room`, where a view of it is at hand. */
  protected data: DataView | undefined
  /** Where in `room` the bytes begin, and [floor, limit) of what may be written. */
  protected start: number
  protected floor: number
  protected limit: number
  #isBorrowed = false

  /** `data`: the memory behind `room`, if there is a view of it. */
  constructor(room: Buffer, start: number, floor: number, limit: number, data = dataBehind(room)) {
    this.room = room
    this.data = data
    this.start = start
    this.floor = floor
    this.limit = limit
  }

  /** How many bytes there are. */
  abstract readonly size: number

  /** Exactly the bytes, as they are until they change. */
  get bytes(): Buffer {
    return this.room.subarray(this.start, this.start + this.size)
  }

  /** How many bytes before the first are free. */
  protected get slack(): number {
    return this.start - this.floor
  }

  /** The bytes lie in memory that the store may take back. */
  get isBorrowed(): boolean {
    return this.#isBorrowed
  }

  /** Goes on with the same bytes where the store has put them: at `start`, with room up to `limit`. */
  moveTo(room: Buffer, start: number, limit: number): void {
    this.room = room
    this.data = undefined
    this.start = start
    this.floor = start
    this.limit = limit
    this.#isBorrowed = true
  }

  /** Makes borrowed bytes its own: the store is about to take them back. */
  detach(): void {
    if (this.#isBorrowed) this.settle(Buffer.from(this.bytes))
  }

  /** Goes on in a buffer of its own. */
  protected settle(room: Buffer, start = 0): void {
    this.room = room
    this.data = dataBehind(room)
    this.start = start
    this.floor = 0
    this.limit = room.length
    this.#isBorrowed = false
  }

  /** Copies the bytes to a place that has room for them. */
  copyTo(target: Buffer, at: number): void {
    this.room.copy(target, at, this.start, this.start + this.size)
  }
}
