/** Keys of slots that went to another shard: deleted a slice at a time, here and by DEL on our replicas too. Nobody can ask for them
 *  meanwhile, for we redirect; only what may bring new keys into such a slot must wait for the end. */
import { monotonicMicros } from './base/clock.ts'
import { keyFromText } from './base/key.ts'
import { encodeRequest } from './resp/argv.ts'
import type { Server } from './server/server.ts'

const SLICE_MICROS = 1000
/** Keys between two looks at the clock. */
const STEP = 64

type PurgedServer = Pick<Server, 'keyspace' | 'propagation' | 'replication' | 'scripting' | 'host'>

export class SlotPurge {
  readonly #server: PurgedServer
  #slots: number[] = []

  constructor(server: PurgedServer) {
    this.#server = server
  }

  /** These slots are not ours any more. The first of their keys go at the end of the turn. */
  add(slots: readonly number[]): void {
    this.#slots.push(...slots)
    this.#server.host.requestEndTurn()
  }

  /** Deletes for about a millisecond, and asks for another turn while there is more. Not in the middle of a script: it has to find what
   *  it has left. */
  slice(): void {
    if (this.#slots.length === 0 || this.#server.scripting.busy) return
    this.#work(monotonicMicros() + SLICE_MICROS)
    if (this.#slots.length > 0) this.#server.host.requestEndTurn()
  }

  /** Deletes all that is left. */
  finish(): void {
    this.#work(Number.POSITIVE_INFINITY)
  }

  /** Nothing is left to do: all data is about to be replaced. */
  forget(): void {
    this.#slots = []
  }

  #work(until: number): void {
    const { keyspace, propagation } = this.#server
    const db = keyspace.databases[0]!
    while (this.#slots.length > 0) {
      const slot = this.#slots.at(-1)!
      const before = db.countInSlot(slot)
      propagation.begin()
      for (const name of db.keysInSlot(slot, STEP)) this.#delete(name)
      propagation.end()
      // Keys past their deadline cannot be removed while the data has to stand still.
      if (db.countInSlot(slot) === before) this.#slots.pop()
      if (monotonicMicros() >= until) return
    }
  }

  #delete(name: string): void {
    const { keyspace, propagation, replication } = this.#server
    const key = keyFromText(name)
    if (keyspace.databases[0]!.remove(key) && !replication.isReplica)
      propagation.add(0, encodeRequest(['DEL', key.own()]))
  }
}
