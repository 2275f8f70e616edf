/** Things in order of their stream ids: sorted chunks, so that a change moves a chunk's worth and not all. */
import { compareIds, type StreamId } from './stream-id.ts'

interface Identified {
  readonly id: StreamId
}

/** A chunk that grows beyond this is cut in two. */
const CHUNK = 256

export class PendingList<T extends Identified> {
  /** None is empty. */
  readonly #chunks: T[][] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): T | undefined {
    return this.#chunks[0]?.[0]
  }

  get last(): T | undefined {
    return this.#chunks.at(-1)?.at(-1)
  }

  get(id: StreamId): T | undefined {
    const { chunk, place, found } = this.#find(id)
    return found ? chunk[place] : undefined
  }

  /** Adds a thing whose id is not there yet. What is new comes last as a rule. */
  add(thing: T): void {
    this.#size++
    if (this.last === undefined || compareIds(thing.id, this.last.id) > 0) return this.#append(thing)
    const { index, chunk, place } = this.#find(thing.id)
    chunk.splice(place, 0, thing)
    if (chunk.length > CHUNK) this.#chunks.splice(index + 1, 0, chunk.splice(CHUNK / 2))
  }

  /** Removes and returns the thing of an id. */
  delete(id: StreamId): T | undefined {
    const { index, chunk, place, found } = this.#find(id)
    if (!found) return undefined
    const [thing] = chunk.splice(place, 1)
    if (chunk.length === 0) this.#chunks.splice(index, 1)
    this.#size--
    return thing
  }

  /** From the first id that is not less on, in order. Do not change the list meanwhile. */
  *from(id: StreamId): Generator<T> {
    let { index, place } = this.#find(id)
    for (; index < this.#chunks.length; index++, place = 0) {
      const chunk = this.#chunks[index]!
      for (; place < chunk.length; place++) yield chunk[place]!
    }
  }

  *[Symbol.iterator](): Generator<T> {
    for (const chunk of this.#chunks) yield* chunk
  }

  #append(thing: T): void {
    const tail = this.#chunks.at(-1)
    if (tail === undefined || tail.length >= CHUNK) this.#chunks.push([thing])
    else tail.push(thing)
  }

  /** Where an id is or belongs: its chunk, and the place of the first thing in it that is not less. */
  #find(id: StreamId): { index: number; chunk: T[]; place: number; found: boolean } {
    const index = lowest(this.#chunks.length, (i) => compareIds(this.#chunks[i]!.at(-1)!.id, id) >= 0)
    const chunk = this.#chunks[index] ?? []
    const place = lowest(chunk.length, (i) => compareIds(chunk[i]!.id, id) >= 0)
    return { index, chunk, place, found: place < chunk.length && compareIds(chunk[place]!.id, id) === 0 }
  }
}

/** The lowest index below `count` for which a claim holds that holds for all above it too; else `count`. */
export function lowest(count: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, count]
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}
