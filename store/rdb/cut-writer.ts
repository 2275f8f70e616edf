/** A cut as an RDB file, written a slice at a time while the data changes: for full synchronisations and for BGSAVE. */
import { monotonicMicros } from '../../lib/base/clock.ts'
import type { Cut } from '../cut.ts'
import { type FrozenEntry, type RdbOptions, RdbWriter } from './writer.ts'
import type { Writing } from './writing.ts'

/** How long one slice keeps the main thread. Every turn of the event loop has one: what is longer adds to each client's wait, what is
 *  much shorter is spent on the turns. */
const SLICE_MICROS = 1000
/** Entries between two looks at the clock. */
const STEP = 16

export class CutWriter {
  readonly #cut: Pick<Cut, 'read' | 'abandon'>
  readonly #out: RdbWriter
  readonly #micros: () => number
  /** What takes long: written before more is read. */
  readonly #large: FrozenEntry[] = []
  #writing: Writing | undefined
  #isDone = false

  /** The cut is the writer's from here on. */
  constructor(cut: Pick<Cut, 'read' | 'abandon'>, options: RdbOptions, micros: () => number = monotonicMicros) {
    this.#cut = cut
    this.#out = new RdbWriter(options)
    this.#micros = micros
  }

  /** The last slice was taken. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** The next bytes. The data may change afterwards. */
  slice(): Buffer[] {
    const until = this.#micros() + SLICE_MICROS
    do this.#step()
    while (!this.#isDone && this.#micros() < until)
    return this.#out.take()
  }

  #step(): void {
    if (this.#writing !== undefined) {
      if (this.#writing.next().done === true) this.#writing = undefined
      return
    }
    const next = this.#large.shift()
    if (next === undefined) this.#read()
    else this.#writing = this.#out.begin(next)
  }

  #read(): void {
    const entries = this.#cut.read(STEP)
    for (const { db, key, value, expireAt } of entries) {
      if (value === undefined) continue
      if (value.type === 'frozen') this.#large.push({ db, key, value, expireAt })
      else this.#out.entry({ db, key, value, expireAt })
    }
    if (entries.length > 0) return
    this.#isDone = true
    this.#out.end()
  }

  /** Nobody wants the rest. */
  abandon(): void {
    this.#cut.abandon()
  }
}
