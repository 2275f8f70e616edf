/** Holding clients back: CLIENT PAUSE, and the primary's side of a manual failover. Reasons overlap; the strictest holds. */
import type { Millis } from '../base/brand.ts'
import type { CommandEntry } from '../commands/table.ts'
import type { Blocked, Client } from './client.ts'
import type { Server } from './server.ts'

/** `write` holds back only what could change data, here or on replicas (PUBLISH). */
export type PauseMode = 'all' | 'write'
export type PauseReason = 'command' | 'failover'

interface Term {
  readonly mode: PauseMode
  /** Unix milliseconds. */
  readonly until: Millis
}

export class Pause {
  readonly #server: Server
  readonly #terms = new Map<PauseReason, Term>()
  /** The strictest mode in force: all that the hot path looks at. */
  #mode: PauseMode | undefined
  readonly #held = new Set<Client>()
  readonly #wait: Blocked = {
    kind: 'pause',
    timeoutAt: 0 as Millis,
    leave: (client) => void this.#held.delete(client),
  }

  constructor(server: Server) {
    this.#server = server
  }

  /** Undefined while nobody is held back. In either mode the data stands still: nothing expires, nothing is evicted. */
  get mode(): PauseMode | undefined {
    return this.#mode
  }

  /** Clients that are being held back. */
  get held(): number {
    return this.#held.size
  }

  /** Holds clients back until then. A reason given again is extended and made stricter, never cut short. */
  pause(mode: PauseMode, until: Millis, reason: PauseReason = 'command'): void {
    const old = this.#terms.get(reason)
    this.#terms.set(reason, {
      mode: old?.mode === 'all' ? 'all' : mode,
      until: Math.max(until, old?.until ?? 0) as Millis,
    })
    this.#settle()
  }

  /** Takes a reason back. */
  resume(reason: PauseReason = 'command'): void {
    if (this.#terms.delete(reason)) this.#settle()
  }

  /** A manual failover begins: writes wait, so that the replica can catch up with an offset that stands still. */
  pauseForFailover(until: Millis): void {
    this.pause('write', until, 'failover')
  }

  resumeFailover(): void {
    this.resume('failover')
  }

  /** Ends what has lasted long enough; called by the cron. */
  expire(now: Millis): void {
    if (this.#mode === undefined) return
    for (const [reason, term] of this.#terms) if (term.until <= now) this.#terms.delete(reason)
    this.#settle()
  }

  /** The wait a request has to join, or undefined when it may go on. */
  holds(client: Client, entry: CommandEntry): Blocked | undefined {
    if (this.#mode === undefined) return undefined
    this.expire(this.#server.now)
    if (this.#mode === undefined || (this.#mode === 'write' && !mayReplicate(client, entry))) return undefined
    this.#held.add(client)
    return this.#wait
  }

  #settle(): void {
    const modes = [...this.#terms.values()].map((term) => term.mode)
    const mode = modes.includes('all') ? 'all' : modes[0]
    if (mode === this.#mode) return
    this.#mode = mode
    // Whoever is still held back by what remains comes back by itself: its request is checked again.
    for (const client of [...this.#held]) this.#server.unblock(client)
  }
}

const reaches = (entry: CommandEntry): boolean => entry.isWrite || entry.command.flags.includes('may_replicate')

function mayReplicate(client: Client, entry: CommandEntry): boolean {
  if (reaches(entry)) return true
  return entry.fullName === 'exec' && client.multi?.queue.some((queued) => reaches(queued.entry)) === true
}
