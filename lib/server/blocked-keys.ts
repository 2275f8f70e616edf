/** Clients that wait for data at keys (BLPOP, BZPOPMIN, XREAD ...): who waits where, and who is served when a key is ready.
 *  A key becomes ready while a command runs, but nobody is served before that command, or its whole transaction, is over:
 *  then keys in the order in which they became ready, and at each key the client that came first. */
import type { Cluster } from '../../bus/state.ts'
import type { Database } from '../../store/keyspace.ts'
import type { Millis } from '../base/brand.ts'
import { type Key, keyFromText } from '../base/key.ts'
import type { CommandEntry } from '../commands/table.ts'
import { type Argv, keepArgv } from '../resp/argv.ts'
import type { Call } from './call.ts'
import type { Client } from './client.ts'
import { serveBlocked } from './dispatch.ts'
import { routeBlocked } from './route.ts'
import type { Server } from './server.ts'

/** What a blocking command waits with. */
export interface KeyWait {
  /** 0 = for ever. */
  readonly timeoutMs: number
  /** A key was written: takes what it now holds, replies and calls `propagate`; or false when there is still nothing for this
   *  client (another type, taken by others). A ClientError it throws is the client's reply and ends the wait too. `call` is
   *  the waiting client's; it and the key are valid during the call only. */
  readonly serve: (call: Call, key: Key) => boolean
  /** Writes the reply when time is up. */
  readonly timedOut: (client: Client) => void
  /** It wants to hear of a key's removal too: `serve` then finds no key. */
  readonly unblockOnDelete?: boolean
}

interface Waiter {
  readonly client: Client
  readonly entry: CommandEntry
  readonly argv: Argv
  readonly db: Database
  /** Latin1 names. */
  readonly keys: readonly string[]
  readonly wait: KeyWait
}

/** Whether a client may be kept waiting: not inside a transaction, and our primary never. A blocking command then answers at
 *  once what it would answer when time is up. */
export const mayWait = ({ client }: Call): boolean => client.multi === undefined && !client.primary

export class BlockedKeys {
  readonly #server: Server
  readonly #waiters = new Set<Waiter>()
  /** Waiters by database number and key, first come first. */
  readonly #byDatabase: (Map<string, Set<Waiter>> | undefined)[] = []
  /** Keys to be served, in order. */
  readonly #ready = new Map<string, { readonly db: Database; readonly name: string }>()
  /** Waiters that want to hear of removals. */
  #awaitingRemoval = 0

  constructor(server: Server) {
    this.#server = server
  }

  /** Lets the calling client wait at keys (latin1 names; one named twice counts once), or tells it that time is up when it
   *  may not wait. */
  wait(call: Call, keys: readonly string[], wait: KeyWait): void {
    const { client, entry, argv, db } = call
    if (!mayWait(call)) return wait.timedOut(client)
    const waiter: Waiter = { client, entry, argv: keepArgv(argv), db, keys, wait }
    this.#waiters.add(waiter)
    if (wait.unblockOnDelete === true) this.#awaitingRemoval++
    for (const name of keys) this.#at(db, name).add(waiter)
    this.#server.block(client, {
      kind: 'key',
      timeoutAt: (wait.timeoutMs === 0 ? 0 : call.now + wait.timeoutMs) as Millis,
      timedOut: wait.timedOut,
      leave: () => this.#leave(waiter),
    })
  }

  /** A key was created, changed or removed: called for every change of the data. */
  touched(index: number, key: Key): void {
    if (this.#waiters.size === 0 || this.#byDatabase[index]?.has(key.text()) !== true) return
    const name = key.text()
    const db = this.#server.keyspace.databases[index]!
    if (this.#awaitingRemoval > 0 || db.has(key)) this.#ready.set(`${index} ${name}`, { db, name })
  }

  /** The keys of a database at which clients wait. */
  names(index: number): Iterable<string> {
    return this.#byDatabase[index]?.keys() ?? []
  }

  /** Serves who waits at keys that have become ready. What that changes (BLMOVE) can make further keys ready: they go to the
   *  end of the line. To be called between commands. */
  serveReady(): void {
    if (this.#server.scripting.busy) return
    if (this.#ready.size === 0) return
    for (const [id, { db, name }] of this.#ready) {
      this.#ready.delete(id)
      this.#serve(db, name)
    }
  }

  /** A slot may have gone elsewhere meanwhile: its clients are told where to, and wait no longer. */
  redirectMoved(cluster: Readonly<Cluster>): void {
    for (const { client, entry, keys } of this.#waiters) {
      // One request, one slot.
      const error = routeBlocked(cluster, keyFromText(keys[0]!).slot(), client, entry.isReadonly)
      if (error === undefined) continue
      this.#server.answerLate(client, () => this.#server.replyError(client, error))
      this.#server.unblock(client)
    }
  }

  #serve(db: Database, name: string): void {
    const key = keyFromText(name)
    for (const { client, entry, argv, wait } of this.#byDatabase[db.index]?.get(name) ?? []) {
      if (!db.has(key)) {
        if (this.#awaitingRemoval === 0) return
        if (wait.unblockOnDelete !== true) continue
      }
      if (serveBlocked(this.#server, client, entry, argv, (call) => wait.serve(call, key))) this.#server.unblock(client)
    }
  }

  #at(db: Database, name: string): Set<Waiter> {
    this.#byDatabase[db.index] ??= new Map()
    const names = this.#byDatabase[db.index]!
    const waiters = names.get(name) ?? new Set()
    names.set(name, waiters)
    return waiters
  }

  #leave(waiter: Waiter): void {
    this.#waiters.delete(waiter)
    if (waiter.wait.unblockOnDelete === true) this.#awaitingRemoval--
    const names = this.#byDatabase[waiter.db.index]
    for (const name of waiter.keys) {
      const waiters = names?.get(name)
      waiters?.delete(waiter)
      if (waiters?.size === 0) names?.delete(name)
    }
  }
}
