/** Objects that are known by a small number: what entries in the arena hold instead of a reference. The shelf knows what each weighs. */
import { Roll } from './roll.ts'

const CHUNK_BITS = 10
const CHUNK_MASK = (1 << CHUNK_BITS) - 1

export class Shelf<T> {
  /** In chunks, so that it never pauses to grow. */
  readonly #chunks: (T | undefined)[][] = []
  /** What each weighed last. */
  readonly #weights: number[][] = []
  readonly #free = new Roll()
  #end = 0
  /** Bytes of all together. */
  weight = 0

  /** Puts an object up that weighs so many bytes; returns its number. */
  add(object: T, weight: number): number {
    const number = this.#free.size > 0 ? this.#free.pop() : this.#end++
    if (number >>> CHUNK_BITS === this.#chunks.length) {
      this.#chunks.push([])
      this.#weights.push([])
    }
    this.#chunks[number >>> CHUNK_BITS]![number & CHUNK_MASK] = object
    this.#weights[number >>> CHUNK_BITS]![number & CHUNK_MASK] = 0
    this.weigh(number, weight)
    return number
  }

  at(number: number): T {
    return this.#chunks[number >>> CHUNK_BITS]![number & CHUNK_MASK]!
  }

  set(number: number, object: T): void {
    this.#chunks[number >>> CHUNK_BITS]![number & CHUNK_MASK] = object
  }

  /** An object has changed: it weighs so many bytes now. */
  weigh(number: number, weight: number): void {
    const weights = this.#weights[number >>> CHUNK_BITS]!
    this.weight += weight - weights[number & CHUNK_MASK]!
    weights[number & CHUNK_MASK] = weight
  }

  weightOf(number: number): number {
    return this.#weights[number >>> CHUNK_BITS]![number & CHUNK_MASK]!
  }

  remove(number: number): void {
    this.weigh(number, 0)
    this.#chunks[number >>> CHUNK_BITS]![number & CHUNK_MASK] = undefined
    this.#free.add(number)
  }
}
