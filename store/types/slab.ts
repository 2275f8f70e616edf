/** Memory of which the chunks of a list are cut, several from one piece. A piece is for the list what a chunk would be for an element: a
 *  buffer for each chunk was a sixth of what LPUSH cost. When all chunks of a piece are gone the collector takes it back. */

/** Pieces grow with the list up to this. */
const LARGEST = 64 * 1024

/** The collector counts the memory of buffers as its own, and while its heap is small it marks all of that anew for every 16 MB that a list
 *  grows, on other threads too: a fifth of what LPUSH cost. Shared memory it does not count. So that it still comes for pieces nobody uses
 *  any more, one of so many is memory it counts: of eight, and of more in a list that holds more than eight times as much as this. Then
 *  what waits to be collected may be as much as the list holds. Small lists, which one piece would hold, have only counted ones: shared
 *  memory is zeroed, which makes all of it resident. */
const STEP = 16 * 1024 * 1024
const COUNTED = 8

/** Pieces made for large lists since the last of those that was counted. */
let uncounted = 0

function pieceOf(size: number, held: number): Buffer {
  if (held >= LARGEST) {
    if (++uncounted < Math.max(COUNTED, held / STEP)) return Buffer.from(new SharedArrayBuffer(size))
    uncounted = 0
  }
  return Buffer.allocUnsafeSlow(size)
}

export class Slab {
  readonly room: Buffer
  /** The memory behind `room`. */
  readonly data: DataView
  #taken = 0
  /** Pieces taken that were not given back. */
  #inUse = 0

  /** `held`: bytes the list has already. */
  constructor(size: number, held = 0) {
    this.room = pieceOf(size, held)
    this.data = new DataView(this.room.buffer)
  }

  /** A slab for chunks of `size` bytes of a list that has `held` bytes already. */
  static for(size: number, held: number): Slab {
    const chunks = Math.max(1, Math.floor(Math.min(held, LARGEST) / size))
    return new Slab(size * chunks, held)
  }

  hasRoom(size: number): boolean {
    return this.#taken + size <= this.room.length
  }

  /** Takes `size` bytes; returns where they begin. */
  take(size: number): number {
    const at = this.#taken
    this.#taken += size
    this.#inUse++
    return at
  }

  /** Gives a piece back, of which nobody knows any more. True when it was the last: then the slab is as good as new. */
  give(): boolean {
    if (--this.#inUse > 0) return false
    this.#taken = 0
    return true
  }
}
