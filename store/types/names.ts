/** A set of names that is drawn from at random and walked while it changes, however large. A name is a byte string as latin1
 *  text, one character a byte: the cheapest thing that JavaScript can hash and compare. */
import type { BulkSink } from './listpack.ts'
import { NAME } from './weight.ts'

/** Names lie in one array without holes, and a map knows their places: adding, finding, removing and drawing take constant
 *  time. Who leaves is replaced by the last. That only ever moves a name down, which is why a walk from the end to the
 *  beginning meets every name that was there all the time, whatever comes and goes meanwhile. */
export class Names {
  readonly #names: string[] = []
  readonly #places = new Map<string, number>()
  #characters = 0

  /** Bytes in memory, an estimate. */
  get weight(): number {
    return this.#names.length * NAME + this.#characters
  }

  get size(): number {
    return this.#names.length
  }

  /** The name at a place below `size`. */
  at(place: number): string {
    return this.#names[place]!
  }

  /** The place of a name, which holds until one is removed; -1 when it is not there. */
  place(name: string): number {
    return this.#places.get(name) ?? -1
  }

  /** Adds a name that is not there yet, at the end. */
  add(name: string): void {
    this.#places.set(name, this.#names.length)
    this.#names.push(name)
    this.#characters += name.length
  }

  /** Removes the name at a place, which the last name then takes. */
  remove(place: number): void {
    const name = this.#names[place]!
    this.#places.delete(name)
    this.#characters -= name.length
    const last = this.#names.pop()!
    if (place === this.#names.length) return
    this.#names[place] = last
    this.#places.set(last, place)
  }

  copy(): Names {
    const names = new Names()
    for (const name of this.#names) names.add(name)
    return names
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#names[Symbol.iterator]()
  }
}

/** One step of a walk over `size` places: those below `from`, down to `next`, which is the cursor to go on with. 0 begins and
 *  0 ends. */
export function scanStep(size: number, cursor: number, count: number): { from: number; next: number } {
  const from = cursor === 0 ? size : Math.min(cursor, size)
  return { from, next: Math.max(0, from - count) }
}

const scratch = Buffer.allocUnsafeSlow(1024)

/** Writes latin1 text as a bulk string. */
export function putText(text: string, out: BulkSink): void {
  if (text.length <= scratch.length) out.bulkRange(scratch, 0, scratch.latin1Write(text))
  else out.bulkRange(Buffer.from(text, 'latin1'), 0, text.length)
}
