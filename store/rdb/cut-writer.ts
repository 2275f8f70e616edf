/** A cut as an RDB file, written a slice at a time while the data changes: for full synchronisations and for BGSAVE. */
import { monotonicMicros } from '../../lib/base/clock.ts'
import type { Cut } from '../cut.ts'
import { type RdbOptions, RdbWriter } from './writer.ts'

/** How long one slice keeps the main thread. Every turn of the event loop has one: what is longer adds to each client's wait, what is
 *  much shorter is spent on the turns. */
const SLICE_MICROS = 1000
/** Entries between two looks at the clock. */
const STEP = 16

export class CutWriter {
  readonly #cut: Pick<Cut, 'read' | 'abandon'>
  readonly #out: RdbWriter
  readonly #micros: () => number
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

  /** The next bytes. All that was read of the cut is in them, so the data may change afterwards. */
  slice(): Buffer[] {
    const until = this.#micros() + SLICE_MICROS
    do {
      const entries = this.#cut.read(STEP)
      for (const { db, key, value, expireAt } of entries)
        if (value !== undefined) this.#out.entry({ db, key, value, expireAt })
      this.#isDone = entries.length === 0
    } while (!this.#isDone && this.#micros() < until)
    if (this.#isDone) this.#out.end()
    return this.#out.take()
  }

  /** Nobody wants the rest. */
  abandon(): void {
    this.#cut.abandon()
  }
}
