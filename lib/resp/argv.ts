/** The arguments of one request: ranges of the read buffer, not objects. Reused from request to request. */
import { parseInteger } from '../base/bytes.ts'
import { dataOf } from '../base/copy.ts'
import { Key } from '../base/key.ts'
import { NOT_INTEGER } from '../errors.ts'

const EMPTY = Buffer.alloc(0)
const CRLF = Buffer.from('\r\n')

export class Argv {
  buffer: Buffer = EMPTY
  /** The memory behind `buffer`. */
  data = dataOf(EMPTY)
  count = 0
  starts: Int32Array
  ends: Int32Array
  /** The whole request in `buffer` as RESP, for the replication stream; rawEnd 0 when it came in the inline form. */
  rawStart = 0
  rawEnd = 0
  readonly #keys: Key[] = []
  #serial = 1

  /** `room`: for how many arguments at first. */
  constructor(room = 16) {
    this.starts = new Int32Array(room)
    this.ends = new Int32Array(room)
  }

  /** Makes room for `count` arguments. */
  reserve(count: number): void {
    if (count <= this.starts.length) return
    const size = Math.max(count, this.starts.length * 2)
    const starts = new Int32Array(size)
    const ends = new Int32Array(size)
    starts.set(this.starts)
    ends.set(this.ends)
    this.starts = starts
    this.ends = ends
  }

  length(i: number): number {
    return this.ends[i]! - this.starts[i]!
  }

  /** Argument `i` as a view of the read buffer: valid during the call only; `own` copies. */
  at(i: number): Buffer {
    return this.buffer.subarray(this.starts[i], this.ends[i])
  }

  /** A copy of argument `i` that may be kept. */
  own(i: number): Buffer {
    const start = this.starts[i]!
    const length = this.ends[i]! - start
    const copy = Buffer.allocUnsafeSlow(length)
    this.buffer.copy(copy, 0, start, start + length)
    return copy
  }

  /** Argument `i` as a key: no allocation; valid until the next request. */
  key(i: number): Key {
    let key = this.#keys[i]
    if (key === undefined) {
      key = new Key(this.buffer, this.starts[i]!, this.ends[i]!, this.data)
      this.#keys[i] = key
    } else if (key.mark !== this.#serial) key.set(this.buffer, this.starts[i]!, this.ends[i]!, this.data)
    key.mark = this.#serial
    return key
  }

  /** The ranges now describe another request: what was computed for the last one is void. */
  renew(): void {
    this.#serial++
  }

  /** Latin1 text: one character a byte. */
  text(i: number): string {
    return this.buffer.latin1Slice(this.starts[i], this.ends[i])
  }

  /** Lowercase text of an option word or subcommand. */
  word(i: number): string {
    return this.text(i).toLowerCase()
  }

  /** A safe integer in Redis's strict form. Throws NOT_INTEGER. */
  integer(i: number): number {
    const value = parseInteger(this.buffer, this.starts[i], this.ends[i])
    if (value === undefined) throw NOT_INTEGER
    return value
  }
}

/** The arguments of a request that was not read from a socket, or that must outlive its read buffer (a queued command). */
export function argvOf(parts: readonly (Buffer | string)[]): Argv {
  const buffers = parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))
  return parseOne(encodeRequest(buffers), buffers.length)
}

/** A copy that may be kept: a long transaction has many. */
export function keepArgv(argv: Argv): Argv {
  const { buffer, count, rawStart, rawEnd } = argv
  if (rawEnd === 0) return argvOf(Array.from({ length: count }, (_, i) => argv.at(i)))
  const kept = new Argv(count)
  kept.buffer = Buffer.from(buffer.subarray(rawStart, rawEnd))
  kept.data = dataOf(kept.buffer)
  kept.count = count
  kept.rawEnd = rawEnd - rawStart
  for (let i = 0; i < count; i++) {
    kept.starts[i] = argv.starts[i]! - rawStart
    kept.ends[i] = argv.ends[i]! - rawStart
  }
  return kept
}

/** A request as RESP: an array of bulk strings. */
export function encodeRequest(parts: readonly (Buffer | string)[]): Buffer {
  const chunks: Buffer[] = [Buffer.from(`*${parts.length}\r\n`, 'latin1')]
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part
    chunks.push(Buffer.from(`$${bytes.length}\r\n`, 'latin1'), bytes, CRLF)
  }
  return Buffer.concat(chunks)
}

/** Lays ranges over what `encodeRequest` made. */
function parseOne(raw: Buffer, count: number): Argv {
  const argv = new Argv(count)
  argv.buffer = raw
  argv.data = dataOf(raw)
  argv.count = count
  argv.rawEnd = raw.length
  let at = raw.indexOf(CRLF) + 2
  for (let i = 0; i < count; i++) {
    const lineEnd = raw.indexOf(CRLF, at)
    const length = Number(raw.latin1Slice(at + 1, lineEnd))
    argv.starts[i] = lineEnd + 2
    argv.ends[i] = lineEnd + 2 + length
    at = lineEnd + 4 + length
  }
  return argv
}
