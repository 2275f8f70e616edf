/** Keys on their way to another node. Moving them takes a while, and meanwhile nobody may touch them: a write would be lost
 *  when the key is deleted here, and a read might answer what the target no longer holds. So requests that name such a key
 *  wait until it is here for certain, or gone for certain. A real server blocks altogether for as long. */
import type { Millis } from '../base/brand.ts'
import { keyIndexes } from '../commands/keys.ts'
import type { CommandEntry } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'
import type { Blocked, Client } from '../server/client.ts'
import type { Server } from '../server/server.ts'
import { LinkPool } from './connection.ts'

/** Names of keys. */
type Names = Pick<ReadonlySet<string>, 'has'>

/** Some keys that are locked together. */
export class KeyLock {
  readonly names: Names
  readonly waiting = new Set<Client>()
  readonly wait: Blocked = {
    kind: 'migrate',
    timeoutAt: 0 as Millis,
    leave: (client) => void this.waiting.delete(client),
  }

  constructor(names: Names) {
    this.names = names
  }
}

const scratch: number[] = []

export class KeyLocks {
  readonly #server: Server
  readonly #locks = new Set<KeyLock>()
  /** The connections over which keys leave. */
  readonly links = new LinkPool()

  constructor(server: Server) {
    this.#server = server
  }

  /** Locks keys, in whatever database keys of these names are. */
  lock(names: Names): KeyLock {
    const lock = new KeyLock(names)
    this.#locks.add(lock)
    return lock
  }

  /** Unlocks them; who waited for them goes on at the end of this turn. */
  release(lock: KeyLock): void {
    this.#locks.delete(lock)
    for (const client of lock.waiting) this.#server.unblock(client)
  }

  /** Whether any key is locked. */
  get any(): boolean {
    return this.#locks.size > 0
  }

  /** Whether a command names a locked key. */
  covers(entry: CommandEntry, argv: Argv): boolean {
    for (const lock of this.#locks) if (reaches(lock, entry, argv)) return true
    return false
  }

  /** The wait a request has to join, or undefined when it touches no locked key. */
  holds(client: Client, entry: CommandEntry, argv: Argv): Blocked | undefined {
    if (this.#locks.size === 0) return undefined
    for (const lock of this.#locks) {
      if (!touches(lock, client, entry, argv)) continue
      lock.waiting.add(client)
      return lock.wait
    }
    return undefined
  }
}

/** Of a transaction every queued command counts, but only when it is carried out. */
function touches(lock: KeyLock, client: Client, entry: CommandEntry, argv: Argv): boolean {
  if (client.multi === undefined) return reaches(lock, entry, argv)
  return entry.fullName === 'exec' && client.multi.queue.some((queued) => reaches(lock, queued.entry, queued.argv))
}

function reaches(lock: KeyLock, entry: CommandEntry, argv: Argv): boolean {
  // FLUSHALL, SWAPDB: they write all keys and name none.
  if (entry.command.keys === undefined) return entry.isWrite
  if (entry.command.keys.channels === true) return false
  const count = keyIndexes(entry, argv, scratch)
  for (let i = 0; i < count; i++) if (lock.names.has(argv.key(scratch[i]!).text())) return true
  return false
}
