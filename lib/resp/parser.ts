/** Request bytes to arguments: RESP arrays and the inline form, pipelined, however the bytes were split. */
import { parseInteger } from '../base/bytes.ts'
import { dataOf } from '../base/copy.ts'
import { Argv } from './argv.ts'
import { splitInline } from './inline.ts'

/** The client broke the protocol: it is told `-ERR <message>` and disconnected. */
export class ProtocolError extends Error {}

export interface ParserLimits {
  /** proto-max-bulk-len, in bytes. */
  maxBulkLength: number
  /** Nobody authenticated yet: small requests only. */
  unauthenticated: boolean
}

const MAX_INLINE = 64 * 1024
const MAX_ARGS = 2 ** 31 - 1
const CR = 0x0d
const LF = 0x0a
const ASTERISK = 0x2a
const DOLLAR = 0x24

/** Bulk strings from here on get a buffer sized for them instead of one that doubles. */
const BIG_ARGUMENT = 32 * 1024

/** Nothing is taken ahead from a larger buffer: what was the last of one client holds its buffer until others have as many requests at
 *  once. */
const MOST_HELD = 256 * 1024

/** Whole requests that a parser has taken before they are asked for. One is enough for many parsers, if one is served at a time. */
export class Ahead {
  readonly argvs: readonly Argv[]
  /** How many of them are requests, and which is the next. */
  count = 0
  next = 0

  constructor(most: number) {
    this.argvs = Array.from({ length: most }, () => new Argv())
  }
}

const NONE_AHEAD = new Ahead(0)

const NOTHING = Buffer.alloc(0)

/** What the last request that came in pieces was put together in, for the next one, whoever's it is: a new buffer for each would be
 *  garbage faster than it is collected. */
let spare: Buffer = NOTHING

/** The spare buffer if it has `least` bytes, or else a new one of `room` bytes. */
function takeBuffer(least: number, room: number): Buffer {
  if (spare.length < least) return Buffer.allocUnsafeSlow(room)
  const taken = spare
  spare = NOTHING
  return taken
}

export class RequestParser {
  /** The request that `next` has found. */
  argv: Argv
  readonly #own = new Argv()
  #ahead = NONE_AHEAD
  readonly #limits: ParserLimits
  /** Bytes not yet taken: #buffer[#at, #end). */
  #buffer: Buffer = NOTHING
  #data = dataOf(this.#buffer)
  #at = 0
  #end = 0
  /** False while #buffer is the socket's chunk: it must be copied before the next one arrives. */
  #owned = true
  #requestStart = 0
  /** Arguments still to come of the current request; 0 between requests. */
  #missing = 0
  /** Length of the bulk string being read; -1 while its header is. */
  #bulk = -1

  constructor(limits: ParserLimits) {
    this.#limits = limits
    this.argv = this.#own
  }

  /** Hands over a chunk; it is only borrowed until `settle`. */
  feed(chunk: Buffer): void {
    const rest = this.#end - this.#keepFrom()
    if (rest === 0) {
      this.#lay(chunk)
      this.#at = 0
      this.#end = chunk.length
      this.#requestStart = 0
      this.#owned = false
      return
    }
    this.#makeRoom(chunk.length)
    chunk.copy(this.#buffer, this.#end)
    this.#end += chunk.length
  }

  /** True when `argv` holds the next whole request, false when more bytes are needed. Throws ProtocolError. */
  next(): boolean {
    const ahead = this.#ahead
    if (ahead.next < ahead.count) {
      this.argv = ahead.argvs[ahead.next++]!
      return true
    }
    this.argv = this.#own
    for (;;) {
      if (this.#missing === 0) {
        if (this.#at >= this.#end) return false
        this.#requestStart = this.#at
        if (this.#whole(this.argv)) return true
        if (this.#buffer[this.#at] !== ASTERISK) {
          const found = this.#inline()
          if (found === undefined) continue
          return found
        }
        if (!this.#header()) return false
        if (this.#missing === 0) continue
      }
      return this.#arguments()
    }
  }

  /** Takes the whole requests that are at hand, up to one that has to be looked at step by step, or as many as there is room for: `next`
   *  will give them out. Those it did not are untaken by `settle`. Returns how many there are. */
  lookAhead(ahead: Ahead): number {
    const { argvs } = ahead
    let count = 0
    if (this.#missing === 0 && this.#buffer.length <= MOST_HELD)
      while (count < argvs.length && this.#at < this.#end) {
        this.#requestStart = this.#at
        if (!this.#whole(argvs[count]!)) break
        count++
      }
    ahead.count = count
    ahead.next = 0
    this.#ahead = ahead
    return count
  }

  /** Whether requests that were taken ahead are still to be given out. */
  get isAhead(): boolean {
    return this.#ahead.next < this.#ahead.count
  }

  /** From here on it is somebody else's. */
  #untake(): void {
    if (this.isAhead) this.#at = this.#keepFrom()
    this.#ahead = NONE_AHEAD
  }

  /** Called when the chunk's requests are taken: what is left of it is copied, the chunk is free. */
  settle(): void {
    this.#untake()
    const from = this.#keepFrom()
    const rest = this.#end - from
    if (rest === 0) {
      this.#at = this.#end = this.#requestStart = 0
      if (this.#owned) this.#release()
      return
    }
    if (this.#owned) return
    const source = this.#buffer
    const room = Math.max(rest * 2, 1024, this.#announced())
    // Not the spare one: who sends half a request and falls silent would hold it.
    this.#lay(Buffer.allocUnsafeSlow(room))
    source.copy(this.#buffer, 0, from, this.#end)
    this.#shift(from)
    this.#owned = true
  }

  /** Whether bytes of further requests are at hand. */
  get hasMore(): boolean {
    return this.#at < this.#end || this.isAhead
  }

  /** Bytes held back for an unfinished request. */
  get pending(): number {
    return this.#end - this.#keepFrom()
  }

  /** Nothing is left in a buffer of ours: others may have it. */
  #release(): void {
    const { length } = this.#buffer
    if (length > spare.length && length <= MOST_HELD) spare = this.#buffer
    this.#lay(NOTHING)
  }

  #lay(buffer: Buffer): void {
    this.#buffer = buffer
    this.#data = dataOf(buffer)
  }

  #keepFrom(): number {
    const { argvs, next } = this.#ahead
    if (this.isAhead) return argvs[next]!.rawStart
    return this.#missing > 0 ? this.#requestStart : this.#at
  }

  /** What the current bulk string still announces, bounded: memory follows bytes that really came. */
  #announced(): number {
    if (this.#bulk < BIG_ARGUMENT) return 0
    const have = this.#end - this.#requestStart
    return Math.min(this.#at - this.#requestStart + this.#bulk + 2, Math.max(have * 4, 1 << 20))
  }

  #makeRoom(extra: number): void {
    const from = this.#keepFrom()
    const rest = this.#end - from
    if (this.#owned && this.#end + extra <= this.#buffer.length) return
    const fits = this.#owned && rest + extra <= this.#buffer.length
    const announced = this.#announced()
    const grown = fits
      ? this.#buffer
      : takeBuffer(Math.max(rest + extra, announced), Math.max((rest + extra) * 2, announced))
    this.#buffer.copy(grown, 0, from, this.#end)
    this.#lay(grown)
    this.#shift(from)
    this.#owned = true
  }

  /** The bytes moved down by `by`: so do all positions. */
  #shift(by: number): void {
    this.#at -= by
    this.#end -= by
    this.#requestStart -= by
    const argv = this.#own
    for (let i = 0; i < argv.count; i++) {
      argv.starts[i]! -= by
      argv.ends[i]! -= by
    }
  }

  /** Takes a request that is here as a whole and announces no lengths of more than four digits, as nearly all are. False, and nothing is
   *  taken, when it is not such a request; then it is looked at step by step. With the fixed replies, the
   *  command table without lists and `isCalm` (dispatch.ts) it took SET at pipeline 100 from 442 to 347 ns (bench/pipeline.ts). */
  #whole(argv: Argv): boolean {
    const buffer = this.#buffer
    const end = this.#end
    let at = this.#at
    if (buffer[at] !== ASTERISK) return false
    let count = buffer[at + 1]! - 0x30
    if (count < 1 || count > 9) return false
    if (buffer[at + 2] === CR) at += 4
    else {
      const digit = buffer[at + 2]! - 0x30
      if (digit < 0 || digit > 9 || buffer[at + 3] !== CR) return false
      count = count * 10 + digit
      at += 5
      if (count > 10 && this.#limits.unauthenticated) return false
      argv.reserve(count)
    }
    const { starts, ends } = argv
    for (let i = 0; i < count; i++) {
      // What lies behind the end is not ours, but reading it does no harm: it is not believed in the end.
      if (at >= end || buffer[at] !== DOLLAR) return false
      let length = buffer[at + 1]! - 0x30
      if (length < 0 || length > 9) return false
      at += 2
      for (let digits = 1; buffer[at] !== CR; digits++, at++) {
        const digit = buffer[at]! - 0x30
        if (!(digit >= 0 && digit <= 9) || digits === 4 || length === 0) return false
        length = length * 10 + digit
      }
      starts[i] = at + 2
      ends[i] = at + 2 + length
      at += length + 4
    }
    if (at > end) return false
    argv.count = count
    this.#at = at
    this.#hand(argv)
    return true
  }

  /** Gives `argv` the request that lies between #requestStart and #at. */
  #hand(argv: Argv): void {
    argv.buffer = this.#buffer
    argv.data = this.#data
    argv.rawStart = this.#requestStart
    argv.rawEnd = this.#at
    argv.renew()
  }

  /** Reads `*<count>`; leaves #missing 0 for an empty request, which is skipped as a real server does. */
  #header(): boolean {
    const count = this.#number('too big mbulk count string', 'invalid multibulk length')
    if (count === undefined) return false
    if (count > MAX_ARGS) throw new ProtocolError('Protocol error: invalid multibulk length')
    if (count > 10 && this.#limits.unauthenticated)
      throw new ProtocolError('Protocol error: unauthenticated multibulk length')
    this.#own.count = 0
    this.#missing = Math.max(0, count)
    this.#bulk = -1
    return true
  }

  #arguments(): boolean {
    const { argv } = this
    while (this.#missing > 0) {
      if (this.#bulk < 0 && !this.#bulkHeader()) return false
      if (this.#end - this.#at < this.#bulk + 2) return false
      const i = argv.count
      argv.reserve(i + 1)
      argv.starts[i] = this.#at
      argv.ends[i] = this.#at + this.#bulk
      argv.count = i + 1
      this.#at += this.#bulk + 2
      this.#bulk = -1
      this.#missing--
    }
    this.#hand(argv)
    return true
  }

  #bulkHeader(): boolean {
    if (this.#at >= this.#end) return false
    const mark = this.#buffer[this.#at]!
    if (mark !== DOLLAR) throw new ProtocolError(`Protocol error: expected '$', got '${String.fromCharCode(mark)}'`)
    const length = this.#number('too big bulk count string', 'invalid bulk length')
    if (length === undefined) return false
    if (length < 0 || length > this.#limits.maxBulkLength)
      throw new ProtocolError('Protocol error: invalid bulk length')
    if (length > 16384 && this.#limits.unauthenticated)
      throw new ProtocolError('Protocol error: unauthenticated bulk length')
    this.#bulk = length
    return true
  }

  /** Reads the number of a `*` or `$` line; undefined when the line is not complete yet. */
  #number(tooLong: string, invalid: string): number | undefined {
    const buffer = this.#buffer
    const at = this.#at + 1
    let i = at
    while (i < this.#end && buffer[i] !== CR) i++
    if (i + 1 >= this.#end) {
      if (this.#end - this.#at > MAX_INLINE) throw new ProtocolError(`Protocol error: ${tooLong}`)
      return undefined
    }
    const value = parseInteger(buffer, at, i)
    if (value === undefined) throw new ProtocolError(`Protocol error: ${invalid}`)
    this.#at = i + 2
    return value
  }

  /** One inline request: true found, false incomplete, undefined an empty line. */
  #inline(): boolean | undefined {
    const newline = this.#buffer.subarray(0, this.#end).indexOf(LF, this.#at)
    if (newline < 0) {
      if (this.#end - this.#at > MAX_INLINE) throw new ProtocolError('Protocol error: too big inline request')
      return false
    }
    const lineEnd = newline > this.#at && this.#buffer[newline - 1] === CR ? newline - 1 : newline
    const words = splitInline(this.#buffer.subarray(this.#at, lineEnd))
    if (words === undefined) throw new ProtocolError('Protocol error: unbalanced quotes in request')
    this.#at = newline + 1
    if (words.length === 0) return undefined
    this.#layWords(words)
    return true
  }

  #layWords(words: readonly Buffer[]): void {
    const { argv } = this
    argv.reserve(words.length)
    argv.buffer = Buffer.concat(words)
    argv.data = dataOf(argv.buffer)
    argv.count = words.length
    let at = 0
    words.forEach((word, i) => {
      argv.starts[i] = at
      at += word.length
      argv.ends[i] = at
    })
    argv.rawStart = argv.rawEnd = 0
    argv.renew()
  }
}
