/** Which key goes when memory is short: maxmemory's policies. As Redis does, a few keys are drawn at random and the best of them go,
 *  together with the best of those that were drawn before: a pool of candidates makes up for the smallness of the samples. */
import type { Address } from './arena.ts'
import type { Database } from './database.ts'
import type { Keyspace } from './keyspace.ts'

export type Policy =
  | 'volatile-lru'
  | 'volatile-lfu'
  | 'volatile-random'
  | 'volatile-ttl'
  | 'allkeys-lru'
  | 'allkeys-lfu'
  | 'allkeys-random'
  | 'noeviction'

/** What makes a key go rather than another: it was not used for long, is used seldom, ends soon. */
export type Reason = 'idle' | 'rare' | 'ending'

interface Rule {
  /** Only keys with a deadline. */
  readonly volatile: boolean
  readonly by: Reason | 'random'
}

const RULES: Readonly<Record<Exclude<Policy, 'noeviction'>, Rule>> = {
  'volatile-lru': { volatile: true, by: 'idle' },
  'volatile-lfu': { volatile: true, by: 'rare' },
  'volatile-random': { volatile: true, by: 'random' },
  'volatile-ttl': { volatile: true, by: 'ending' },
  'allkeys-lru': { volatile: false, by: 'idle' },
  'allkeys-lfu': { volatile: false, by: 'rare' },
  'allkeys-random': { volatile: false, by: 'random' },
}

export const isFrequencyPolicy = (policy: Policy): boolean => policy.endsWith('-lfu')

/** A key that may go: the higher its score, the sooner. */
interface Candidate {
  readonly db: Database
  readonly name: string
  readonly score: number
}

/** Candidates that are remembered. */
const POOL = 16

export class Evictor {
  readonly #keyspace: Keyspace
  readonly #float: () => number
  /** By score, the next to go last. */
  readonly #pool: Candidate[] = []
  #pooledFor: Policy = 'noeviction'
  /** The database a random key is drawn from next. */
  #turn = 0
  readonly #drawn: Address[] = []

  constructor(keyspace: Keyspace, float: () => number) {
    this.#keyspace = keyspace
    this.#float = float
  }

  /** Removes the key that the policy would have go, drawn from `samples` keys of each database. False when there is none that may. */
  evict(policy: Policy, samples: number): boolean {
    if (policy === 'noeviction') return false
    const rule = RULES[policy]
    if (policy !== this.#pooledFor) this.#pool.length = 0
    this.#pooledFor = policy
    return rule.by === 'random' ? this.#evictAny(rule.volatile) : this.#evictBest(rule.volatile, rule.by, samples)
  }

  /** Databases take turns. */
  #evictAny(volatile: boolean): boolean {
    const { databases } = this.#keyspace
    for (let i = 0; i < databases.length; i++) {
      const db = databases[this.#turn++ % databases.length]!
      if ((volatile ? db.expiring : db.size) > 0) return db.evict(db.nameAt(this.#draw(db, volatile, 1)[0]!), volatile)
    }
    return false
  }

  #evictBest(volatile: boolean, by: Reason, samples: number): boolean {
    for (;;) {
      let drawn = 0
      for (const db of this.#keyspace.databases) {
        const most = Math.min(samples, volatile ? db.expiring : db.size)
        if (most > 0) for (const at of this.#draw(db, volatile, most)) this.#consider(db, at, by)
        drawn += most
      }
      if (drawn === 0) return false
      for (let best = this.#pool.pop(); best !== undefined; best = this.#pool.pop())
        if (best.db.evict(best.name, volatile)) return true
    }
  }

  #draw(db: Database, volatile: boolean, most: number): readonly Address[] {
    this.#drawn.length = 0
    db.draw(volatile, most, this.#float, this.#drawn)
    return this.#drawn
  }

  /** Keeps a key in mind if it is better than others. */
  #consider(db: Database, at: Address, by: Reason): void {
    const pool = this.#pool
    const score = db.reasonToGo(at, by)
    if (pool.length === POOL && score <= pool[0]!.score) return
    const name = db.nameAt(at)
    if (pool.some((known) => known.name === name && known.db === db)) return
    if (pool.length === POOL) pool.shift()
    let place = pool.length
    while (place > 0 && pool[place - 1]!.score > score) place--
    pool.splice(place, 0, { db, name, score })
  }
}
