/** WATCH: which clients want their transaction to fail when which key changes. */
import type { Database } from '../../store/keyspace.ts'
import { type Key, keyFromText } from '../base/key.ts'
import type { Client } from './client.ts'

/** One key of one client. */
export interface WatchedKey {
  readonly db: Database
  /** Latin1 text of the key. */
  readonly name: string
  /** It was there when WATCH was called. One that was not, or was past its deadline, may be removed without any
   *  consequence: that changes nothing the client could have seen. */
  readonly existed: boolean
}

export class Watches {
  /** Watchers by database number, then by key: nothing is allocated to find that nobody watches. */
  readonly #byDatabase: (Map<string, Set<Client>> | undefined)[] = []
  #count = 0

  /** Keys that are watched, each client's own. */
  get count(): number {
    return this.#count
  }

  /** Adds a key to what a client watches; watching it twice is watching it once. */
  watch(client: Client, db: Database, key: Key): void {
    const name = key.text()
    client.watched ??= []
    if (client.watched.some((watched) => watched.db === db && watched.name === name)) return
    client.watched.push({ db, name, existed: db.has(key) })
    this.#count++
    let watchers = this.#byDatabase[db.index]
    if (watchers === undefined) {
      watchers = new Map()
      this.#byDatabase[db.index] = watchers
    }
    const clients = watchers.get(name)
    if (clients === undefined) watchers.set(name, new Set([client]))
    else clients.add(client)
  }

  /** A key was created, changed or removed: called for every change of the data. */
  touched(db: number, key: Key): void {
    if (this.#count === 0) return
    const name = key.text()
    const clients = this.#byDatabase[db]?.get(name)
    if (clients === undefined) return
    for (const client of clients) {
      const watched = client.watched?.find((one) => one.db.index === db && one.name === name)
      if (watched?.existed === false && !watched.db.has(key)) continue
      client.watchBroken = true
    }
  }

  /** The keys of a database that are watched. */
  names(db: number): Iterable<string> {
    return this.#byDatabase[db]?.keys() ?? []
  }

  /** Whether EXEC must refuse: a watched key was touched, or its time has come since WATCH though nobody removed it yet. */
  broken(client: Client): boolean {
    if (client.watchBroken) return true
    return client.watched?.some(({ db, name, existed }) => existed && !db.has(keyFromText(name))) === true
  }

  /** Ends all watching of a client. */
  forget(client: Client): void {
    client.watchBroken = false
    const { watched } = client
    if (watched === undefined) return
    client.watched = undefined
    this.#count -= watched.length
    for (const { db, name } of watched) {
      const watchers = this.#byDatabase[db.index]
      const clients = watchers?.get(name)
      clients?.delete(client)
      if (clients?.size === 0) watchers?.delete(name)
    }
  }
}
