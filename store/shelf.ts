/** Objects that are known by a small number: what entries in the arena hold instead of a reference. */
import { Roll } from './roll.ts'

const CHUNK_BITS = 10
const CHUNK_MASK = (1 << CHUNK_BITS) - 1

export class Shelf<T> {
  /** In chunks, so that it never pauses to grow. */
  readonly #chunks: (T | undefined)[][] = []
  readonly #free = new Roll()
  #end = 0

  /** Puts an object up; returns its number. */
  add(object: T): number {
    const number = this.#free.size > 0 ? this.#free.pop() : this.#end++
    if (number >>> CHUNK_BITS === this.#chunks.length) this.#chunks.push([])
    this.set(number, object)
    return number
  }

  at(number: number): T {
    return this.#chunks[number >>> CHUNK_BITS]![number & CHUNK_MASK]!
  }

  set(number: number, object: T): void {
    this.#chunks[number >>> CHUNK_BITS]![number & CHUNK_MASK] = object
  }

  remove(number: number): void {
    this.#chunks[number >>> CHUNK_BITS]![number & CHUNK_MASK] = undefined
    this.#free.add(number)
  }
}
