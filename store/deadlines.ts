/** The entries of a database that have a deadline: when it is, and who they are. The deadline stands in the entry, and with it its place
 *  in the list of all of them, so that one can be drawn at random and any be taken off in constant time. */
import { type Address, type Arena, wordIndex } from './arena.ts'
import { DEADLINE_HIGH, DEADLINE_LOW, DEADLINE_PLACE, EXPIRES, FLAGS } from './entry.ts'
import { Roll } from './roll.ts'

const HIGH = 2 ** 32

export class Deadlines {
  readonly #arena: Arena
  readonly #roll = new Roll()

  constructor(arena: Arena) {
    this.#arena = arena
  }

  /** How many entries have one. */
  get size(): number {
    return this.#roll.size
  }

  /** The entry at a place below `size`. */
  entryAt(place: number): Address {
    return this.#roll.at(place)
  }

  /** Unix milliseconds; 0 = never. */
  of(at: Address): number {
    const words = this.#arena.wordsAt(at)
    const i = wordIndex(at)
    if ((words[i + FLAGS]! & EXPIRES) === 0) return 0
    return words[i + DEADLINE_HIGH]! * HIGH + (words[i + DEADLINE_LOW]! >>> 0)
  }

  /** Writes the deadline of an entry whose flags say that it has one. */
  set(at: Address, expireAt: number): void {
    const words = this.#arena.wordsAt(at)
    const i = wordIndex(at)
    words[i + DEADLINE_HIGH] = Math.floor(expireAt / HIGH)
    words[i + DEADLINE_LOW] = expireAt | 0
  }

  /** A new entry with these flags: it is listed if it has a deadline. */
  list(at: Address, flags: number): void {
    if ((flags & EXPIRES) !== 0) this.#setPlace(at, this.#roll.add(at))
  }

  /** An entry goes. */
  unlist(at: Address): void {
    const words = this.#arena.wordsAt(at)
    const i = wordIndex(at)
    if ((words[i + FLAGS]! & EXPIRES) === 0) return
    const place = words[i + DEADLINE_PLACE]!
    const moved = this.#roll.remove(place)
    if (moved !== 0) this.#setPlace(moved, place)
  }

  /** An entry has moved, and may have got or lost its deadline: `flags` are its new ones. */
  relist(old: Address, at: Address, flags: number): void {
    const words = this.#arena.wordsAt(old)
    const i = wordIndex(old)
    const had = (words[i + FLAGS]! & EXPIRES) !== 0
    if (!had) return this.list(at, flags)
    if ((flags & EXPIRES) === 0) return this.unlist(old)
    const place = words[i + DEADLINE_PLACE]!
    this.#roll.set(place, at)
    this.#setPlace(at, place)
  }

  #setPlace(at: Address, place: number): void {
    this.#arena.wordsAt(at)[wordIndex(at) + DEADLINE_PLACE] = place
  }
}
