/** Replies are written, not built: straight into one output buffer for each batch of requests, in RESP2 or RESP3. A long one is a row of
 *  such buffers: it is never copied to a larger place, and takes its own bytes and no more. */
import { copyShort, SHORT } from '../base/copy.ts'

/** From here on a bulk string is sent from where it lies instead of being copied; it must not change afterwards. */
const LARGE = 32 * 1024
const FIRST_SIZE = 4 * 1024
/** The buffer grows up to this; then it is finished, and another one begun. */
const PART_SIZE = 128 * 1024

const SMALL = 2 ** 31 - 1

const CR = 0x0d
const LF = 0x0a
const CRLF = (CR << 8) | LF

/** The two digits of each number below 100. */
const PAIRS = Uint16Array.from({ length: 100 }, (_, n) => ((0x30 + Math.floor(n / 10)) << 8) | (0x30 + (n % 10)))

/** `+OK` and `$-1`, each with its carriage return. */
const OK = 0x2b4f4b0d
const NIL = 0x242d310d

export class Reply {
  /** RESP3 after HELLO 3. */
  resp3 = false
  /** Whether so many bytes are more than the client may be sent: asked when a part is finished. From then on nothing is kept: the bytes
   *  are counted, and who counts must not send them. */
  isTooLong: ((bytes: number) => boolean) | undefined = undefined
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_SIZE)
  #data = new DataView(this.#buffer.buffer)
  #at = 0
  /** What `take` gave last: replies are often of one length, and then its view serves again. */
  #taken: Buffer = this.#buffer
  /** Finished parts that must leave before #buffer[0, #at). */
  #parts: Buffer[] = []
  #partBytes = 0

  /** Bytes waiting to be taken. */
  get length(): number {
    return this.#partBytes + this.#at
  }

  ok(): void {
    this.#five(OK)
  }

  simple(text: string): void {
    this.#raw(`+${text}\r\n`)
  }

  /** `text` without the leading dash; line ends in it would break the protocol and become blanks. */
  error(text: string): void {
    this.#raw(`-${/[\r\n]/.test(text) ? text.replace(/[\r\n]/g, ' ') : text}\r\n`)
  }

  integer(value: number | bigint): void {
    if (typeof value === 'number' && value >= 0) this.#lengthLine(0x3a, value)
    else this.#raw(`:${value}\r\n`)
  }

  /** A bulk string. Large ones are referenced, not copied: never write into them afterwards. */
  bulk(bytes: Uint8Array): void {
    this.#lengthLine(0x24, bytes.length)
    if (bytes.length >= LARGE) this.#refer(bytes)
    else this.#copy(bytes, 0, bytes.length)
    this.#ensure(2)
    this.#crlf(this.#at)
  }

  /** A bulk string from a range of a buffer that may be reused: always copied, and faster where `data`, a view of the same bytes, is at
   *  hand. */
  bulkRange(bytes: Uint8Array, start: number, end: number, data?: DataView): void {
    this.#lengthLine(0x24, end - start)
    if (data !== undefined && end - start <= SHORT) {
      this.#ensure(end - start)
      copyShort(data, start, end, this.#data, this.#at)
      this.#at += end - start
    } else this.#copy(bytes, start, end)
    this.#ensure(2)
    this.#crlf(this.#at)
  }

  /** A bulk string from text, UTF-8. */
  text(text: string): void {
    if (isShortAscii(text)) this.name(text)
    else this.bulk(Buffer.from(text))
  }

  /** A bulk string from a name, as names are kept: a character is a byte. */
  name(text: string): void {
    if (text.length > SHORT) return this.bulk(Buffer.from(text, 'latin1'))
    this.#lengthLine(0x24, text.length)
    this.#raw(text)
    this.#ensure(2)
    this.#crlf(this.#at)
  }

  /** Null: `$-1` or RESP3 `_`. */
  nil(): void {
    if (this.resp3) this.#raw('_\r\n')
    else this.#five(NIL)
  }

  /** Null where RESP2 has a null array: `*-1` or RESP3 `_`. */
  nilArray(): void {
    this.#raw(this.resp3 ? '_\r\n' : '*-1\r\n')
  }

  /** The head of an array; its `count` elements follow. */
  array(count: number): void {
    this.#lengthLine(0x2a, count)
  }

  /** The head of an array (or, with `set`, a set) whose `count` elements were written since `length` was `mark`: for those that are
   *  counted while they are found. Only within one command. */
  arrayFrom(mark: number, count: number): void {
    this.#headAt(mark, `*${count}\r\n`)
  }

  setFrom(mark: number, count: number): void {
    this.#headAt(mark, `${this.resp3 ? '~' : '*'}${count}\r\n`)
  }

  /** The head of a map of `pairs` pairs; a flat array in RESP2. */
  map(pairs: number): void {
    this.#lengthLine(this.resp3 ? 0x25 : 0x2a, this.resp3 ? pairs : pairs * 2)
  }

  set(count: number): void {
    this.#lengthLine(this.resp3 ? 0x7e : 0x2a, count)
  }

  /** Out-of-band data: `>` in RESP3, an ordinary array in RESP2. */
  push(count: number): void {
    this.#lengthLine(this.resp3 ? 0x3e : 0x2a, count)
  }

  boolean(value: boolean): void {
    if (this.resp3) this.#raw(value ? '#t\r\n' : '#f\r\n')
    else this.integer(value ? 1 : 0)
  }

  /** A double: `,` in RESP3, a bulk string in RESP2; `text` is its decimal form. */
  double(text: string): void {
    if (this.resp3) this.#raw(`,${text}\r\n`)
    else this.text(text)
  }

  /** Text for people: a verbatim string (txt) in RESP3, a bulk string in RESP2. */
  verbatim(text: string): void {
    if (!this.resp3) return this.text(text)
    const bytes = Buffer.from(text)
    this.#raw(`=${bytes.length + 4}\r\ntxt:`)
    this.#copy(bytes, 0, bytes.length)
    this.#ensure(2)
    this.#crlf(this.#at)
  }

  /** Bytes that are RESP already. */
  raw(bytes: Uint8Array): void {
    if (bytes.length >= LARGE) this.#refer(bytes)
    else this.#copy(bytes, 0, bytes.length)
  }

  /** Forgets what was written since `length` was `mark`: for replies that turn out unwanted. Only within one command. */
  rewind(mark: number): void {
    while (this.#partBytes > mark) {
      const part = this.#parts.pop()
      if (part === undefined) break
      this.#partBytes -= part.length
      if (this.#partBytes < mark) {
        // The mark lies inside this part: keep its head.
        this.#parts.push(part.subarray(0, mark - this.#partBytes))
        this.#partBytes = mark
      }
      this.#at = 0
    }
    this.#at = Math.max(0, mark - this.#partBytes)
  }

  /** Hands all bytes to `write`, in order, and starts anew. `write` says whether the buffer may be reused at once:
   *  true when the kernel has taken the bytes. */
  take(write: (bytes: Buffer) => boolean): void {
    const parts = this.#parts
    if (parts.length > 0) {
      this.#parts = []
      this.#partBytes = 0
      for (const part of parts) write(part)
    }
    if (this.#at === 0) return
    if (this.#taken.length !== this.#at) this.#taken = this.#buffer.subarray(0, this.#at)
    const reusable = write(this.#taken)
    this.#at = 0
    if (!reusable || parts.length > 0) this.#renew(FIRST_SIZE)
  }

  /** Puts a line before what was written since the mark. */
  #headAt(mark: number, text: string): void {
    const head = Buffer.from(text)
    this.#ensure(head.length)
    const at = mark - this.#partBytes
    if (at >= 0) {
      this.#buffer.copyWithin(at + head.length, at, this.#at)
      head.copy(this.#buffer, at)
      this.#at += head.length
      return
    }
    let [place, start] = [this.#parts.length, this.#partBytes]
    while (place > 0 && start > mark) start -= this.#parts[--place]!.length
    this.#partBytes += head.length
    const part = this.#parts[place]
    if (part === undefined) return
    const pieces = [part.subarray(0, mark - start), head, part.subarray(mark - start)]
    this.#parts.splice(place, 1, ...pieces.filter(({ length }) => length > 0))
  }

  #ensure(bytes: number): void {
    if (this.#at + bytes > this.#buffer.length) this.#grow(bytes)
  }

  #grow(bytes: number): void {
    const full = this.#buffer
    const used = this.#at
    if (used + bytes > PART_SIZE) {
      this.#finishPart()
      this.#renew(Math.max(PART_SIZE, bytes))
    } else {
      this.#renew(Math.max(full.length * 2, used + bytes))
      full.copy(this.#buffer, 0, 0, used)
    }
  }

  /** What was written so far is a part; the buffer is to be renewed. */
  #finishPart(): void {
    if (this.#at > 0) this.#addPart(this.#buffer.subarray(0, this.#at))
    this.#at = 0
  }

  #addPart(bytes: Buffer): void {
    this.#partBytes += bytes.length
    if (this.isTooLong?.(this.#partBytes)) this.#parts = []
    else this.#parts.push(bytes)
  }

  #renew(size: number): void {
    this.#buffer = this.#taken = Buffer.allocUnsafeSlow(size)
    this.#data = new DataView(this.#buffer.buffer)
  }

  #crlf(at: number): void {
    this.#buffer[at] = CR
    this.#buffer[at + 1] = LF
    this.#at = at + 2
  }

  /** The most common replies have five bytes: four, and a line feed. */
  #five(head: number): void {
    this.#ensure(5)
    this.#data.setInt32(this.#at, head)
    this.#buffer[this.#at + 4] = LF
    this.#at += 5
  }

  /** Short text of bytes: what quotes an argument quotes it as it came. */
  #raw(text: string): void {
    this.#ensure(text.length)
    const buffer = this.#buffer
    const at = this.#at
    for (let i = 0; i < text.length; i++) buffer[at + i] = text.charCodeAt(i)
    this.#at = at + text.length
  }

  /** A mark and a whole number from 0 to 2^53. */
  #lengthLine(mark: number, number: number): void {
    this.#ensure(20)
    const buffer = this.#buffer
    const start = this.#at
    if (number < 10) {
      this.#data.setInt32(start, (mark << 24) | ((0x30 + number) << 16) | CRLF)
      this.#at = start + 4
      return
    }
    if (number < 100) {
      this.#data.setInt32(start, (mark << 24) | (PAIRS[number]! << 8) | CR)
      buffer[start + 4] = LF
      this.#at = start + 5
      return
    }
    buffer[start] = mark
    let end = start + 2
    for (let bound = 10; number >= bound; bound *= 10) end++
    let rest = number
    let at = end - 1
    // Small numbers by 32-bit division, which is a multiplication.
    for (; rest > SMALL; at--) {
      const tenth = Math.floor(rest / 10)
      buffer[at] = 0x30 + (rest - tenth * 10)
      rest = tenth
    }
    let small = rest | 0
    for (; small >= 100; at -= 2) {
      const hundredth = (small / 100) | 0
      this.#data.setUint16(at - 1, PAIRS[small - hundredth * 100]!)
      small = hundredth
    }
    if (small >= 10) this.#data.setUint16(at - 1, PAIRS[small]!)
    else buffer[at] = 0x30 + small
    this.#crlf(end)
  }

  #copy(bytes: Uint8Array, start: number, end: number): void {
    this.#ensure(end - start)
    const buffer = this.#buffer
    let at = this.#at
    // A native copy costs a few hundred nanoseconds to call: below this length the loop is faster.
    if (end - start > 96) buffer.set(bytes.subarray(start, end), at)
    else for (let i = start; i < end; i++) buffer[at++] = bytes[i]!
    this.#at += end - start
  }

  #refer(bytes: Uint8Array): void {
    if (this.#at > 0) {
      this.#finishPart()
      this.#renew(FIRST_SIZE)
    }
    this.#addPart(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  }
}

/** As numbers and ids are, of which there may be many: no buffer is made of each. */
function isShortAscii(text: string): boolean {
  if (text.length > SHORT) return false
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}
