/** The primary's stream, carried out: command after command, whole transactions at once, and every byte passed on as it came. */
import type { Argv } from '../resp/argv.ts'
import { keepArgv } from '../resp/argv.ts'
import { ProtocolError, RequestParser } from '../resp/parser.ts'
import { setsDeadlines } from './hash-deadlines.ts'
import type { ReplicationStream } from './stream.ts'

export interface ApplierParts {
  /** Where the bytes go that are carried out. */
  readonly stream: Pick<ReplicationStream, 'offset' | 'relay'>
  /** Carries out one command in a database; `argv` is borrowed. Its reply goes nowhere, its errors are its own affair. */
  readonly apply: (argv: Argv, db: number) => void
  /** The primary wants to know how far we are. */
  readonly acknowledge: () => void
  /** What to make of a line that is no request: true passes over it. Without this there may be none. */
  readonly isAnnotation?: (argv: Argv) => boolean
}

/** Commands about the stream itself, none of which reaches `apply`. */
type Control = 'multi' | 'exec' | 'select' | 'replconf' | 'ping'
const CONTROLS: ReadonlySet<string> = new Set<Control>(['multi', 'exec', 'select', 'replconf', 'ping'])
const isControl = (name: string): name is Control => CONTROLS.has(name)
const SHORTEST = 4
const LONGEST = 8

export class Applier {
  readonly #parts: ApplierParts
  /** What a primary sends has passed its own limits. */
  readonly #parser = new RequestParser({ maxBulkLength: Number.MAX_SAFE_INTEGER, unauthenticated: false })
  #db: number
  /** Commands of a transaction that has not ended: readers must never see half of one. */
  #transaction: Argv[] | undefined
  /** Bytes received that were not passed on yet, and how many they are. */
  #unsent: Buffer[] = []
  #received: number
  /** How much of the stream is carried out. Between MULTI and EXEC it stands still, so that who resumes gets all of it again. */
  #applied: number

  /** `db`: the database the stream's next command runs in. */
  constructor(parts: ApplierParts, db: number) {
    this.#parts = parts
    this.#db = db
    this.#received = this.#applied = parts.stream.offset
  }

  /** Bytes of the stream that have arrived, carried out or not. */
  get received(): number {
    return this.#received
  }

  /** How much of the stream is carried out. */
  get applied(): number {
    return this.#applied
  }

  /** It is in the middle of a transaction. */
  get isInTransaction(): boolean {
    return this.#transaction !== undefined
  }

  /** Takes bytes of the stream; the chunk is kept. Throws ProtocolError when they are no commands. */
  take(chunk: Buffer): void {
    this.#unsent.push(chunk)
    this.#received += chunk.length
    this.#parser.feed(chunk)
    try {
      while (this.#parser.next()) {
        this.#command(this.#parser.argv)
        this.#advance()
      }
    } finally {
      this.#parser.settle()
    }
    this.#advance()
    this.#passOn()
  }

  #command(argv: Argv): void {
    if (argv.rawEnd === 0 && this.#parts.isAnnotation?.(argv)) return
    if (argv.rawEnd === 0) throw new ProtocolError('inline request in the stream of the primary')
    const length = argv.length(0)
    const name = length >= SHORTEST && length <= LONGEST ? argv.word(0) : ''
    if (isControl(name) && !(name === 'replconf' && setsDeadlines(argv))) this.#control(name, argv)
    else if (this.#transaction === undefined) this.#parts.apply(argv, this.#db)
    else this.#transaction.push(keepArgv(argv))
  }

  #control(name: Control, argv: Argv): void {
    if (name === 'multi') this.#transaction = []
    else if (name === 'exec') this.#execute()
    else if (name === 'select') this.#select(argv)
    else if (name === 'replconf' && argv.count > 1 && argv.word(1) === 'getack') {
      // What is told does not count the question itself.
      this.#passOn()
      this.#parts.acknowledge()
    }
  }

  #select(argv: Argv): void {
    if (this.#transaction !== undefined) this.#transaction.push(keepArgv(argv))
    else if (argv.count > 1) this.#db = argv.integer(1)
  }

  #execute(): void {
    const commands = this.#transaction ?? []
    this.#transaction = undefined
    for (const argv of commands) {
      if (argv.word(0) === 'select') this.#select(argv)
      else this.#parts.apply(argv, this.#db)
    }
  }

  /** Everything parsed so far is done, bare newlines between commands included. */
  #advance(): void {
    if (this.#transaction === undefined) this.#applied = this.#received - this.#parser.pending
  }

  /** Passes the bytes of what is done on to our own replicas. */
  #passOn(): void {
    const { stream } = this.#parts
    let left = this.#applied - stream.offset
    let done = 0
    while (left > 0) {
      const chunk = this.#unsent[done]!
      const length = Math.min(left, chunk.length)
      stream.relay(chunk, 0, length, this.#db)
      left -= length
      if (length < chunk.length) this.#unsent[done] = chunk.subarray(length)
      else done++
    }
    if (done > 0) this.#unsent.splice(0, done)
  }
}
