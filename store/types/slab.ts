/** Memory of which the chunks of a list are cut, several from one piece. A piece is for the list what a chunk would be for an element: a
 *  buffer for each chunk was a sixth of what LPUSH cost. When all chunks of a piece are gone the collector takes it back. */

/** Pieces grow with the list up to this. */
const LARGEST = 64 * 1024

export class Slab {
  readonly room: Buffer
  /** The memory behind `room`. */
  readonly data: DataView
  #taken = 0

  constructor(size: number) {
    this.room = Buffer.allocUnsafeSlow(size)
    this.data = new DataView(this.room.buffer)
  }

  /** A slab for chunks of `size` bytes of a list that has `held` bytes already. */
  static for(size: number, held: number): Slab {
    return new Slab(size * Math.max(1, Math.floor(Math.min(held, LARGEST) / size)))
  }

  hasRoom(size: number): boolean {
    return this.#taken + size <= this.room.length
  }

  /** Takes `size` bytes; returns where they begin. */
  take(size: number): number {
    const at = this.#taken
    this.#taken += size
    return at
  }
}
