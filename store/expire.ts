/** Active expiry: keys whose time has come go away even if nobody asks for them again. */
import { monotonicMicros } from '../lib/base/clock.ts'
import type { Keyspace } from './keyspace.ts'

/** Keys looked at between two looks at the clock. A key costs some 15 ns, one that is removed 0.7 us: below half a
 *  millisecond in all. */
const SAMPLE = 512
/** A database in which no more than this share of a sample was due is left alone until the next cycle. */
const WORTHWHILE = 0.1

/** Removes due keys for at most `budgetMs` (exceeded by one sample at most) and returns how many. Each database is worked on as
 *  long as it pays, from where the last cycle left it, so that every key has its turn however many there are; the
 *  database to begin with changes from call to call, so that one with much to do does not starve the others.
 *  Does nothing while keys may not be removed. */
export function activeExpireCycle(
  keyspace: Keyspace,
  budgetMs: number,
  micros: () => number = monotonicMicros,
): number {
  if (keyspace.expiry !== 'remove') return 0
  const { databases } = keyspace
  const deadline = micros() + budgetMs * 1000
  let total = 0
  for (let i = 0; i < databases.length; i++) {
    const db = databases[keyspace.sweepFrom]!
    keyspace.sweepFrom = (keyspace.sweepFrom + 1) % databases.length
    for (let pays = db.timedHashes > 0; pays; ) {
      const sampled = Math.min(SAMPLE, db.timedHashes)
      pays = db.sweepFields(SAMPLE) > sampled * WORTHWHILE
      if (micros() >= deadline) return total
    }
    for (let pays = true; pays && db.expiring > 0; ) {
      const sampled = Math.min(SAMPLE, db.expiring)
      const removed = db.sweep(SAMPLE)
      total += removed
      pays = removed > sampled * WORTHWHILE
      if (micros() >= deadline) return total
    }
  }
  return total
}
