/** ACL LOG: what was refused, to whom, and how often. */
import type { Millis } from '../base/brand.ts'

export interface AclLogEntry {
  readonly reason: 'command' | 'key' | 'channel' | 'auth'
  readonly context: 'toplevel' | 'multi' | 'lua'
  /** The command, key or channel, latin1. */
  readonly object: string
  readonly username: string
  /** The client that did it last, as CLIENT LIST shows it. */
  readonly clientInfo: string
}

interface Logged {
  entry: AclLogEntry
  count: number
  at: Millis
}

/** What happens again within this time is counted, not logged anew. */
const SAME_MS = 60_000

export class AclLog {
  /** Newest first. */
  #entries: Logged[] = []

  add(entry: AclLogEntry, now: Millis, most: number): void {
    const old = this.#entries.find(({ entry: other, at }) => now - at <= SAME_MS && isSame(entry, other))
    if (old !== undefined) this.#entries.splice(this.#entries.indexOf(old), 1)
    this.#entries.unshift({ entry, count: (old?.count ?? 0) + 1, at: now })
    this.trim(most)
  }

  /** acllog-max-len. */
  trim(most: number): void {
    if (this.#entries.length > most) this.#entries.length = most
  }

  newest(count: number): readonly Readonly<Logged>[] {
    return this.#entries.slice(0, count)
  }

  reset(): void {
    this.#entries = []
  }
}

const isSame = (a: AclLogEntry, b: AclLogEntry): boolean =>
  a.reason === b.reason && a.context === b.context && a.object === b.object && a.username === b.username
