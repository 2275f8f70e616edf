/** Looking ahead in a pipeline. To find a key takes three or four words that lie far from each other, and with many keys the processor has
 *  to wait for most of them. The requests that come next are at hand already: what their keys need is read for several at once. */
import { type Database, MOST_WARMED } from '../../store/keyspace.ts'
import type { Key } from '../base/key.ts'
import { Ahead, type RequestParser } from '../resp/parser.ts'

/** Longer arguments are seldom keys. */
const LONGEST_KEY = 256
/** The entries of fewer keys the processor has at hand. */
const WORTH_KEYS = 4096

export class LookAhead {
  readonly #ahead = new Ahead(MOST_WARMED)
  readonly #keys: Key[] = []

  /** Takes the next requests of a pipeline, and warms their first arguments: as good as always these are keys. A pipeline that
   *  begins with the same key twice is one for that key, which is at hand. */
  at(db: Database, parser: RequestParser): void {
    const { argvs } = this.#ahead
    const requests = parser.lookAhead(this.#ahead)
    if (requests < 2 || db.size < WORTH_KEYS) return
    const keys = this.#keys
    let count = 0
    for (let i = 0; i < requests; i++) {
      const argv = argvs[i]!
      if (argv.count < 2 || argv.length(1) > LONGEST_KEY) continue
      const key = argv.key(1)
      if (count === 1 && isSame(key, keys[0]!)) return
      keys[count++] = key
    }
    if (count > 1) db.warm(keys, count)
  }
}

const isSame = (one: Key, other: Key): boolean => one.slot() === other.slot() && one.hash() === other.hash()
