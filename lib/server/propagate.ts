/** After a write: its effects go to the stream, in order, wrapped in MULTI/EXEC when one action had several. */
import { encodeRequest } from '../resp/argv.ts'

/** The stream as this file sees it (`lib/replication/stream.ts`). */
export interface StreamSink {
  /** Nobody reads the stream: nothing needs to be written. */
  readonly idle: boolean
  /** One command as RESP; `db` decides whether a SELECT goes before it. */
  append(db: number, bytes: Buffer, start: number, end: number): void
  /** What was appended so far is copied: it was borrowed from a read buffer. */
  settle(): void
}

/** Used again from unit to unit: a plain write must not cost an object. */
interface Effect {
  db: number
  bytes: Buffer
  start: number
  end: number
}

const MULTI = encodeRequest(['MULTI'])
const EXEC = encodeRequest(['EXEC'])

export class Propagation {
  readonly #stream: StreamSink
  readonly #effects: Effect[] = []
  #count = 0
  #depth = 0
  /** Effects are dropped: a script has asked for it (`redis.set_repl`). */
  muted = false

  constructor(stream: StreamSink) {
    this.#stream = stream
  }

  /** Whether anybody reads: otherwise effects need not be built. */
  get wanted(): boolean {
    return !this.#stream.idle
  }

  /** Opens a unit: the effects until its `end` happen together. Units nest (a command inside EXEC). */
  begin(): void {
    this.#depth++
  }

  /** One effect. The bytes are only borrowed until `settle`. */
  add(db: number, bytes: Buffer, start = 0, end = bytes.length): void {
    if (this.muted || this.#stream.idle) return
    if (this.#depth === 0) return this.#stream.append(db, bytes, start, end)
    const effect = this.#effects[this.#count++]
    if (effect === undefined) {
      this.#effects.push({ db, bytes, start, end })
      return
    }
    effect.db = db
    effect.bytes = bytes
    effect.start = start
    effect.end = end
  }

  end(): void {
    if (--this.#depth > 0 || this.#count === 0) return
    const count = this.#count
    this.#count = 0
    const { db } = this.#effects[0]!
    const last = this.#effects[count - 1]!.db
    if (count > 1) this.#stream.append(db, MULTI, 0, MULTI.length)
    for (let i = 0; i < count; i++) {
      const effect = this.#effects[i]!
      this.#stream.append(effect.db, effect.bytes, effect.start, effect.end)
      effect.bytes = MULTI
    }
    // A command may have been in another database than the first: its end belongs where the last one was.
    if (count > 1) this.#stream.append(last, EXEC, 0, EXEC.length)
    if (this.#effects.length > MANY) this.#effects.length = MANY
  }

  /** The read buffer that effects stand in is about to change. */
  settle(): void {
    this.#stream.settle()
  }
}

/** A unit with more effects is rare: its objects are not kept. */
const MANY = 64
