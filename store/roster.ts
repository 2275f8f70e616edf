/** A set that can be drawn from at random and walked while it changes. */

/** What stands in rosters: one place for each roster it can be in. */
export interface Member {
  inDatabase: number
  inSlot: number
  inDeadlines: number
}

/** Members lie in one array without holes and know their places, so adding, removing and drawing take constant time.
 *  Who leaves is replaced by the last member. That only ever moves a member down, which is why a walk from the end to the
 *  beginning meets every member that was there all the time, whatever comes and goes meanwhile. */
export class Roster<T extends Member> {
  readonly #place: keyof Member
  readonly #members: T[] = []

  constructor(place: keyof Member) {
    this.#place = place
  }

  get size(): number {
    return this.#members.length
  }

  /** Adds what is not a member yet. */
  add(member: T): void {
    member[this.#place] = this.#members.length
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

  /** The member at a place below `size`. */
  at(place: number): T {
    return this.#members[place]!
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#members[Symbol.iterator]()
  }
}
