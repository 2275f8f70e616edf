/** Looking ahead in a pipeline. To find a key takes three or four words that lie far from each other, and with many keys the processor has
 *  to wait for most of them. The requests that come next are at hand already: what their keys need is read for several at once. */
import { type Database, MOST_WARMED } from '../../store/keyspace.ts'
import type { Key } from '../base/key.ts'
import type { Argv } from '../resp/argv.ts'
import { Ahead, type RequestParser } from '../resp/parser.ts'

/** Longer arguments are seldom keys. */
const LONGEST_KEY = 256
/** The entries of fewer keys the processor has at hand. */
const WORTH_KEYS = 4096

export class LookAhead {
  readonly #ahead = new Ahead(MOST_WARMED)
  readonly #keys: Key[] = []

  /** Takes the next requests of a pipeline, and warms their first arguments: as good as always these are keys. A pipeline that
   *  begins with the same key twice is one for that key: what it holds may be large, and its members are warmed. */
  at(db: Database, parser: RequestParser): void {
    const { argvs } = this.#ahead
    const requests = parser.lookAhead(this.#ahead)
    if (requests < 2) return
    const first = this.#take(argvs, 1, 2)
    if (first === 2 && isSame(this.#keys[0]!, this.#keys[1]!)) {
      const value = db.manyAt(this.#keys[0]!)
      if (value !== undefined) value.warm(this.#keys, this.#take(argvs, 2, requests))
    } else if (db.size >= WORTH_KEYS) {
      const count = this.#take(argvs, 1, requests)
      if (count > 1) db.warm(this.#keys, count)
    }
  }

  /** An argument of each of the next requests that have one which can be a key; returns how many. */
  #take(argvs: readonly Argv[], argument: number, requests: number): number {
    let count = 0
    for (let i = 0; i < requests; i++) {
      const argv = argvs[i]!
      if (argv.count > argument && argv.length(argument) <= LONGEST_KEY) this.#keys[count++] = argv.key(argument)
    }
    return count
  }
}

const isSame = (one: Key, other: Key): boolean => one.slot() === other.slot() && one.hash() === other.hash()
