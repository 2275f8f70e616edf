/** Reply bytes to values, for clients: RESP2 and RESP3, however the bytes were split. */

/** An error reply; `message` is its text without the dash. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError'
}

/** What a server answers. Bulk strings are Buffers, status lines strings, RESP3 maps arrays of pairs laid flat (as RESP2
 *  has them); errors inside arrays are values, not throws. */
export type ReplyValue = string | number | bigint | boolean | null | Buffer | ReplyError | readonly ReplyValue[]

/** Out-of-band data of RESP3. */
export class Push {
  readonly items: readonly ReplyValue[]
  constructor(items: readonly ReplyValue[]) {
    this.items = items
  }
}

const MAX_DEPTH = 64

export class ReplyDecoder {
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0

  feed(chunk: Buffer): void {
    this.#buffer = this.#at === this.#buffer.length ? chunk : Buffer.concat([this.#buffer.subarray(this.#at), chunk])
    this.#at = 0
  }

  /** The next whole reply, or undefined when bytes are missing. Throws on bytes that are no reply. */
  next(): ReplyValue | Push | undefined {
    const start = this.#at
    const value = this.#value(0)
    if (value === undefined) this.#at = start
    return value
  }

  #value(depth: number): ReplyValue | Push | undefined {
    if (depth > MAX_DEPTH) throw new Error('reply is nested too deeply')
    const line = this.#line()
    if (line === undefined) return undefined
    const rest = line.slice(1)
    switch (line[0]) {
      case '+':
        return rest
      case '-':
        return new ReplyError(rest)
      case ':':
        return integer(rest)
      case '(':
        return BigInt(rest)
      case '#':
        return rest === 't'
      case ',':
        return rest === 'inf' ? Number.POSITIVE_INFINITY : rest === '-inf' ? Number.NEGATIVE_INFINITY : Number(rest)
      case '_':
        return null
      case '$':
      case '=':
      case '!':
        return this.#bulk(line[0], Number(rest))
      case '*':
      case '~':
        return this.#items(Number(rest), depth)
      case '%':
        return this.#items(Number(rest) * 2, depth)
      case '>': {
        const items = this.#items(Number(rest), depth)
        return items === undefined ? undefined : new Push(items ?? [])
      }
      default:
        throw new Error(`not a reply: ${JSON.stringify(line.slice(0, 40))}`)
    }
  }

  #line(): string | undefined {
    const end = this.#buffer.indexOf('\r\n', this.#at, 'latin1')
    if (end < 0) return undefined
    const line = this.#buffer.utf8Slice(this.#at, end)
    this.#at = end + 2
    return line
  }

  #bulk(kind: string, length: number): ReplyValue | undefined {
    if (length < 0) return null
    if (this.#buffer.length < this.#at + length + 2) return undefined
    const bytes = Buffer.from(this.#buffer.subarray(this.#at, this.#at + length))
    this.#at += length + 2
    if (kind === '!') return new ReplyError(bytes.toString())
    // A verbatim string begins with its format and a colon.
    return kind === '=' ? bytes.subarray(4) : bytes
  }

  #items(count: number, depth: number): ReplyValue[] | null | undefined {
    if (count < 0) return null
    const items: ReplyValue[] = []
    for (let i = 0; i < count; i++) {
      const item = this.#value(depth + 1)
      if (item === undefined) return undefined
      if (item instanceof Push) i--
      else items.push(item)
    }
    return items
  }
}

function integer(text: string): number | bigint {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}
