/** Which hashes of a database have fields with deadlines, to be gone through again and again. Who puts one in need not say when it has
 *  lost them: that is found out at its turn. */
export class TimedHashes {
  readonly #names = new Set<string>()
  #turn: IterableIterator<string> | undefined

  get size(): number {
    return this.#names.size
  }

  /** `name`: the key, latin1. */
  add(name: string): void {
    this.#names.add(name)
  }

  delete(name: string): void {
    this.#names.delete(name)
  }

  /** The next one: each has its turn before any has its second. Undefined when there is none. */
  next(): string | undefined {
    const next = this.#turn?.next()
    if (next?.done === false) return next.value
    this.#turn = this.#names.values()
    return this.#turn.next().value
  }
}
