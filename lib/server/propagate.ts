/** After a write: its effects go to the stream, in order, wrapped in MULTI/EXEC when one action had several. */
import { encodeRequest } from '../resp/argv.ts'

/** The stream as this file sees it (`lib/replication/stream.ts`). */
export interface StreamSink {
  /** Nobody reads the stream: nothing needs to be written. */
  readonly idle: boolean
  /** One command as RESP; `db` decides whether a SELECT goes before it. */
  append(db: number, bytes: Buffer, start: number, end: number): void
}

interface Effect {
  readonly db: number
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

const MULTI = encodeRequest(['MULTI'])
const EXEC = encodeRequest(['EXEC'])

export class Propagation {
  readonly #stream: StreamSink
  readonly #effects: Effect[] = []
  #depth = 0

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

  /** One effect. The bytes are only borrowed until the unit ends, which is before the read buffer changes. */
  add(db: number, bytes: Buffer, start = 0, end = bytes.length): void {
    if (this.#stream.idle) return
    if (this.#depth === 0) this.#stream.append(db, bytes, start, end)
    else this.#effects.push({ db, bytes, start, end })
  }

  end(): void {
    if (--this.#depth > 0 || this.#effects.length === 0) return
    const effects = this.#effects
    const first = effects[0]!
    if (effects.length === 1) this.#stream.append(first.db, first.bytes, first.start, first.end)
    else {
      this.#stream.append(first.db, MULTI, 0, MULTI.length)
      for (const effect of effects) this.#stream.append(effect.db, effect.bytes, effect.start, effect.end)
      this.#stream.append(first.db, EXEC, 0, EXEC.length)
    }
    effects.length = 0
  }
}
