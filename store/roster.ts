/** A set of things that can be drawn from at random and walked while it changes. */

/** Which slots of its members a roster keeps their places in: one thing may stand in several rosters. */
export type Place<T> = { [K in keyof T]-?: T[K] extends number ? K : never }[keyof T]

/** Members lie in one array without holes; each knows its place, so adding, removing and drawing take constant time.
 *  What leaves is replaced by the last member. That only ever moves a member down, which is why a walk from the end to
 *  the beginning meets every member that was there all the time, whatever comes and goes meanwhile. */
export class Roster<T extends Record<P, number>, P extends string & Place<T>> {
  readonly #place: P
  readonly #members: T[] = []

  constructor(place: P) {
    this.#place = place
  }

  get size(): number {
    return this.#members.length
  }

  /** Adds what is not a member yet. */
  add(member: T): void {
    member[this.#place] = this.#members.length as T[P]
    this.#members.push(member)
  }

  /** Removes a member. */
  remove(member: T): void {
    const last = this.#members.pop()!
    if (last === member) return
    const place = member[this.#place]
    this.#members[place] = last
    last[this.#place] = place
  }

  /** The member at a place below `size`. Walk down: see above. */
  at(place: number): T {
    return this.#members[place]!
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#members[Symbol.iterator]()
  }
}
