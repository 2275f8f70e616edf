/** A list of addresses (or other 32-bit numbers) without holes, in no particular order: adding, removing and drawing by place take
 *  constant time, and it never pauses to grow. Whoever is on it remembers its place. */

const CHUNK_BITS = 12
const CHUNK_MASK = (1 << CHUNK_BITS) - 1
/** The first chunk begins with this, and doubles: most lists are short. */
const FIRST = 16

export class Roll {
  readonly #chunks: Int32Array[] = []
  size = 0

  /** Adds an address; returns its place. */
  add(at: number): number {
    const place = this.size++
    if (place >>> CHUNK_BITS === this.#chunks.length)
      this.#chunks.push(new Int32Array(place === 0 ? FIRST : 1 << CHUNK_BITS))
    else if (place === this.#chunks[0]!.length && place <= CHUNK_MASK) this.#enlargeFirst()
    this.#chunks[place >>> CHUNK_BITS]![place & CHUNK_MASK] = at
    return place
  }

  #enlargeFirst(): void {
    const first = this.#chunks[0]!
    this.#chunks[0] = new Int32Array(first.length * 2)
    this.#chunks[0].set(first)
  }

  /** The address at a place below `size`. */
  at(place: number): number {
    return this.#chunks[place >>> CHUNK_BITS]![place & CHUNK_MASK]!
  }

  /** What stands at a place has moved. */
  set(place: number, at: number): void {
    this.#chunks[place >>> CHUNK_BITS]![place & CHUNK_MASK] = at
  }

  /** Removes what stands at a place: the last one takes it. Returns that one, which must remember the place; 0 when nobody moved. */
  remove(place: number): number {
    const last = this.at(--this.size)
    if ((this.size & CHUNK_MASK) === 0 && this.#chunks.length > (this.size >>> CHUNK_BITS) + 1) this.#chunks.pop()
    if (place === this.size) return 0
    this.set(place, last)
    return last
  }

  /** Removes the last one and returns it. */
  pop(): number {
    const last = this.at(this.size - 1)
    this.remove(this.size - 1)
    return last
  }
}
