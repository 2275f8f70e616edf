/** The keyspace exactly as it was at one instant, read in small slices while writes go on: for a full synchronisation, an RDB file,
 *  a checkpoint. Nothing is copied when it is opened. A cut walks the keys in their order (by slot, then by hash), and whoever is about
 *  to change or remove a key which the cut has not come to yet gives it that key first. So it costs memory only for what changes
 *  before its turn; of a large collection no more than the elements, or the chunks of a list, that change. */
import type { Address } from './arena.ts'
import type { Entries } from './entries.ts'
import { type Frozen, freeze } from './frozen.ts'
import { END, type Position } from './table.ts'
import type { Walk } from './types/walk.ts'
import { copyValue, type Value } from './value.ts'

/** One key as it was. */
export interface CutEntry {
  readonly db: number
  readonly key: Buffer
  /** A collection is only to be looked at before the next change of the keyspace; what is frozen until the cut ends. Undefined: removed
   *  since the last checkpoint. */
  readonly value: Value | Frozen | undefined
  /** Unix milliseconds; 0 = never. */
  readonly expireAt: number
}

/** How the cut ends for those who note what has changed since the last checkpoint. */
export interface CutEnd {
  /** Of the keys of the cut none counts as changed any more. */
  commit(): void
  /** They count as changed still. */
  abandon(): void
}

/** What a cut is to see of one database. */
export interface CutScope {
  readonly db: number
  readonly entries: Entries
  /** Only entries changed after this epoch; 0: all. */
  readonly since: number
  /** Keys that were removed since the last checkpoint and are not there again, latin1. */
  readonly removed: Iterable<string>
}

/** A cut's way through one database. It stays with the entries it began with: what is flushed or swapped away meanwhile is still read. */
export class CutPart {
  readonly #entries: Entries
  readonly #db: number
  readonly #since: number
  readonly #epoch: number
  readonly #given: CutEntry[]
  readonly #walks: Set<Walk>
  readonly #found: Address[] = []
  #position: Position = 0

  /** The entries as they are now; what is given goes to `given`, and to `walks` what is begun. */
  constructor({ entries, db, since }: CutScope, given: CutEntry[], walks: Set<Walk>) {
    this.#entries = entries
    this.#db = db
    this.#since = since
    this.#given = given
    this.#walks = walks
    this.#epoch = entries.epoch++
    entries.cuts.push(this)
  }

  /** An entry is about to change. */
  give(position: Position, at: Address): void {
    if (position >= this.#position && this.#covers(at)) this.#given.push(this.#entry(at, true))
  }

  /** Goes on by at least one page, whose entries go to `out`; false at the end. */
  advance(out: CutEntry[]): boolean {
    if (this.#position >= END) return false
    this.#position = this.#entries.table.collect(this.#position, END, this.#since, this.#found)
    for (const at of this.#found) if (this.#covers(at)) out.push(this.#entry(at, false))
    this.#found.length = 0
    return true
  }

  close(): void {
    this.#entries.leave(this)
  }

  /** Whether an entry is as it was when the cut was opened, and was changed after the last checkpoint. */
  #covers(at: Address): boolean {
    const stamp = this.#entries.stamp(at)
    return stamp <= this.#epoch && stamp > this.#since
  }

  #entry(at: Address, willChange: boolean): CutEntry {
    const value = this.#entries.value(at)
    return {
      db: this.#db,
      key: this.#entries.keyBytes(at),
      value: freeze(value, this.#walks) ?? (willChange ? copyValue(value) : value),
      expireAt: this.#entries.expireAt(at),
    }
  }
}

export class Cut {
  /** All keys are in it, and not only what has changed: nothing recorded before counts any more. */
  readonly isWhole: boolean
  readonly #end: CutEnd
  readonly #removed: Iterator<readonly [db: number, name: string]>
  #removalsLeft = true
  readonly #parts: CutPart[]
  /** What was given, from #at on: copies, which can wait. */
  readonly #given: CutEntry[] = []
  #at = 0
  /** Over large collections that were handed out, or given. */
  readonly #walks = new Set<Walk>()
  #isOpen = true

  constructor(scopes: readonly CutScope[], isWhole: boolean, end: CutEnd) {
    this.isWhole = isWhole
    this.#end = end
    this.#removed = removals(scopes)
    this.#parts = scopes.map((scope) => new CutPart(scope, this.#given, this.#walks))
  }

  /** About `most` entries more, each key once; none at the end. Removed keys come first. A page is handed out whole, even if that
   *  makes more: what is left of it could change before the next call. */
  read(most: number): CutEntry[] {
    const gone = this.#readRemovals(most)
    if (gone.length > 0) return gone
    const entries = this.#readGiven(most)
    while (entries.length < most && this.#parts.length > 0) {
      if (this.#parts[0]!.advance(entries)) continue
      // With a part may go the memory of what was read from it just now.
      if (entries.length > 0) break
      this.#parts.shift()!.close()
    }
    return entries
  }

  /** What was read is safe (the checkpoint is durable). */
  commit(): void {
    this.#close((end) => end.commit())
  }

  /** It is not, or nobody cares. */
  abandon(): void {
    this.#close((end) => end.abandon())
  }

  #readGiven(most: number): CutEntry[] {
    const entries = this.#given.slice(this.#at, this.#at + most)
    this.#at += entries.length
    // What was read is let go in bulk: moving the rest each time would cost more than the reading.
    if (this.#at > this.#given.length / 2) {
      this.#given.splice(0, this.#at)
      this.#at = 0
    }
    return entries
  }

  #readRemovals(most: number): CutEntry[] {
    const entries: CutEntry[] = []
    while (this.#removalsLeft && entries.length < most) {
      const next = this.#removed.next()
      if (next.done === true) this.#removalsLeft = false
      else {
        const [db, name] = next.value
        entries.push({ db, key: Buffer.from(name, 'latin1'), value: undefined, expireAt: 0 })
      }
    }
    return entries
  }

  #close(how: (end: CutEnd) => void): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    for (const part of this.#parts) part.close()
    this.#parts.length = 0
    for (const walk of this.#walks) walk.close()
    how(this.#end)
  }
}

function* removals(scopes: readonly CutScope[]): Generator<readonly [db: number, name: string], void> {
  for (const { db, removed } of scopes) for (const name of removed) yield [db, name]
}
