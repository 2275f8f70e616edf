/** The stream's way to the disk: a turn is appended before its replies leave, and synced as appendfsync says. A disk that refuses is a
 *  state, not an end: what could not be written is kept and tried again, and until then nobody is told that it was. */
import type { Log } from '../lib/base/log.ts'
import { reasonOf } from '../lib/base/system-error.ts'
import type { SegmentHead, Segments } from './segments.ts'

export type SyncPolicy = 'always' | 'everysec' | 'no'

export interface JournalParts {
  readonly segments: Segments
  readonly log: Log
  /** appendfsync, as it is now. */
  readonly policy: () => SyncPolicy
  /** A clock that never goes back, in milliseconds. */
  readonly now: () => number
  /** Is told for how many milliseconds a turn had to wait while it was written, or synced. */
  readonly waited?: (what: 'write' | 'sync', ms: number) => void
}

const SYNC_EVERY_MS = 1000
/** With everysec no more than this may be lost: a sync that takes longer makes writers wait for the disk. */
const SYNC_PATIENCE_MS = 2000
/** How often the log repeats that the disk refuses. */
const COMPLAIN_EVERY_MS = 30_000

export class Journal {
  readonly #parts: JournalParts
  /** What waits for the disk: bytes, and the heads of segments to be begun between them. Empty but for a failure. */
  #waiting: (Uint8Array | SegmentHead)[] = []
  #waitingBytes = 0
  #failure: string | undefined
  #complainedAt = Number.NEGATIVE_INFINITY
  /** The sync that is under way in the background, and since when. */
  #syncing: { readonly since: number; readonly done: Promise<void> } | undefined
  #syncedAt: number
  #delayed = 0
  #closed = false

  constructor(parts: JournalParts) {
    this.#parts = parts
    this.#syncedAt = parts.now()
  }

  /** Why the disk refuses, in strerror's words; undefined: it does not. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** Writes up to this offset may be acknowledged. */
  get safe(): number {
    const { segments, policy } = this.#parts
    return policy() === 'always' ? segments.synced : segments.end
  }

  /** Bytes that could not be written yet. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Syncs under way in the background. */
  get pendingSyncs(): number {
    return this.#syncing === undefined ? 0 : 1
  }

  /** How often writers had to wait for a sync. */
  get delayedSyncs(): number {
    return this.#delayed
  }

  /** Appends what a turn has added to the stream. The bytes are borrowed: those that have to wait are copied. */
  append(parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      this.#waiting.push(part)
      this.#waitingBytes += part.length
    }
    this.#write()
    for (let i = Math.max(0, this.#waiting.length - parts.length); i < this.#waiting.length; i++) {
      const item = this.#waiting[i]!
      if (item instanceof Uint8Array) this.#waiting[i] = Buffer.from(item)
    }
  }

  /** What is appended from now on goes to a segment with this head. `forget`: what waits belongs to a chain that is over. */
  begin(head: SegmentHead, how: { readonly forget: boolean } = { forget: false }): void {
    if (how.forget) {
      this.#waiting = []
      this.#waitingBytes = 0
    }
    this.#waiting.push(head)
    this.#write()
  }

  /** Called every now and then: tries again what failed, syncs in the background. */
  tick(): void {
    if (this.#failure !== undefined) this.#write()
    const { policy, now, segments } = this.#parts
    const isDue = policy() === 'everysec' && now() - this.#syncedAt >= SYNC_EVERY_MS
    if (isDue && this.#syncing === undefined && segments.synced < segments.end)
      this.#syncing = { since: now(), done: this.#syncInBackground() }
  }

  /** All that was appended is on the disk when this returns. Throws when it cannot be. */
  flush(): void {
    this.#write()
    if (this.#failure !== undefined) throw new Error(this.#failure)
    this.#parts.segments.syncNow()
  }

  /** Lets go of the files; what the disk refused until now is lost. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#syncing?.done
    this.#parts.segments.close()
  }

  /** Writes what waits, in order; at the first refusal the rest stays. */
  #write(): void {
    if (this.#closed) return
    const { segments, policy, now, waited } = this.#parts
    const begun = now()
    try {
      while (this.#waiting.length > 0) this.#writeSome()
      const written = now()
      waited?.('write', written - begun)
      if (policy() === 'always') {
        segments.syncNow()
        waited?.('sync', now() - written)
      } else if (policy() === 'everysec') this.#waitForSlowSync()
      this.#recovered()
    } catch (failure) {
      this.#failed(failure)
    }
  }

  #writeSome(): void {
    const { segments } = this.#parts
    const first = this.#waiting[0]!
    if (!(first instanceof Uint8Array)) {
      segments.begin(first)
      this.#waiting.shift()
      return
    }
    const next = this.#waiting.findIndex((item) => !(item instanceof Uint8Array))
    const parts = this.#waiting.slice(0, next < 0 ? this.#waiting.length : next) as Uint8Array[]
    segments.append(parts)
    this.#waiting.splice(0, parts.length)
    for (const part of parts) this.#waitingBytes -= part.length
  }

  #waitForSlowSync(): void {
    const { log, now, segments } = this.#parts
    if (this.#syncing === undefined || now() - this.#syncing.since < SYNC_PATIENCE_MS) return
    this.#delayed++
    log.notice(
      'Asynchronous AOF fsync is taking too long (disk is busy?). Waiting for it, so that no more than two seconds of writes are at risk; this may slow down the server.',
    )
    segments.syncNow()
  }

  async #syncInBackground(): Promise<void> {
    try {
      await this.#parts.segments.sync()
      this.#syncedAt = this.#parts.now()
    } catch (failure) {
      if (!this.#closed) this.#failed(failure)
    } finally {
      this.#syncing = undefined
    }
  }

  #failed(failure: unknown): void {
    const { log, now } = this.#parts
    // What is no answer of the system is a bug of ours, and is not to be tried again and again.
    if ((failure as NodeJS.ErrnoException).code === undefined) throw failure
    const isNew = this.#failure === undefined
    this.#failure = reasonOf(failure)
    if (!isNew && now() - this.#complainedAt < COMPLAIN_EVERY_MS) return
    this.#complainedAt = now()
    log.warning(`Error writing to the AOF file: ${this.#failure}`)
  }

  #recovered(): void {
    const { policy, segments, log } = this.#parts
    if (this.#failure === undefined) return
    // A sync that failed is only made good by one that succeeds.
    if (policy() === 'everysec') segments.syncNow()
    this.#failure = undefined
    log.warning('AOF write error looks solved, the server can write again.')
  }
}
