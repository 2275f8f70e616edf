/** Commands from a file, carried out again: as a replica does with its primary's, but that nobody is told. */
import { offset as offsetOf } from '../base/brand.ts'
import { Applier } from '../replication/applier.ts'
import type { Argv } from '../resp/argv.ts'

export class Replay {
  /** The database in which what follows would run. */
  db: number
  readonly #applier: Applier
  #offset: number

  /** Begins at an offset of the stream, in a database. `apply` carries out one command. */
  constructor(offset: number, db: number, apply: (argv: Argv, db: number) => void) {
    this.#offset = offset
    this.db = db
    const replay = this
    const stream = {
      get offset() {
        return offsetOf(replay.#offset)
      },
      relay(_: Uint8Array, start: number, end: number, after: number) {
        replay.#offset += end - start
        replay.db = after
      },
    }
    this.#applier = new Applier({ stream, apply, acknowledge() {}, isAnnotation }, db)
  }

  /** Offset after the last whole command or transaction. */
  get applied(): number {
    return this.#applier.applied
  }

  /** The bytes ended in the middle of a transaction. */
  get isInTransaction(): boolean {
    return this.#applier.isInTransaction
  }

  /** Takes bytes that come next; they are kept. Throws ProtocolError when they are no commands. */
  take(bytes: Buffer): void {
    this.#applier.take(bytes)
  }
}

/** `#TS:1700000000` and the like. */
const isAnnotation = (argv: Argv): boolean => argv.count > 0 && argv.text(0).startsWith('#')
