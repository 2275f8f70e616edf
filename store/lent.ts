/** Packed collections in the hands of commands: objects over bytes in the arena which may have changed, and the store has to be told. Those
 *  used last are kept, so that who writes to one collection again and again finds the object of before. */
import type { Address } from './arena.ts'
import type { Collection } from './kind.ts'

/** A command changes two at once (SMOVE, LMOVE); more are kept because it costs nothing. */
const MOST = 4

export class Lent {
  readonly #at = new Int32Array(MOST)
  readonly #values: (Collection | undefined)[] = new Array(MOST).fill(undefined)
  #next = 0

  /** The object over the entry at an address, which counts as used last from now on. */
  find(at: Address): Collection | undefined {
    for (let i = 0; i < MOST; i++) if (this.#at[i] === at) return this.#use(i)
    return undefined
  }

  #use(i: number): Collection | undefined {
    const last = (this.#next + MOST - 1) % MOST
    const value = this.#values[i]
    if (i === last) return value
    const at = this.#at[i]!
    this.#at[i] = this.#at[last]!
    this.#values[i] = this.#values[last]
    this.#at[last] = at
    this.#values[last] = value
    return value
  }

  add(at: Address, value: Collection): void {
    const i = this.#next
    this.#next = (i + 1) % MOST
    this.#at[i] = at
    this.#values[i] = value
  }

  /** An entry has moved, with its bytes. */
  move(from: Address, to: Address): void {
    const i = this.#at.indexOf(from)
    if (i >= 0) this.#at[i] = to
  }

  /** An entry goes. Whoever still has the object keeps what was in it. */
  end(at: Address): void {
    const i = this.#at.indexOf(at)
    if (i < 0) return
    this.#values[i]!.detach()
    this.#at[i] = 0
    this.#values[i] = undefined
  }
}
