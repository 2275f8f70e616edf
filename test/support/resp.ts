/** RESP2 and RESP3 as a test reads and writes them, independent of lib/resp: the server's codec is not judged by itself. */

/** An error reply, with its text as the server wrote it: "MOVED 3300 127.0.0.1:7001". */
export class ReplyError extends Error {}

/** What a reply means. Text is latin1, so that every byte survives; maps are flat arrays in RESP2 and `Map` in RESP3. */
export type Value = string | number | bigint | boolean | null | ReplyError | readonly Value[] | Map<Value, Value>

export type Argument = string | number | Buffer

/** A command as an array of bulk strings; text is sent as latin1. */
export function encode(argv: readonly Argument[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${argv.length}\r\n`)]
  for (const argument of argv) {
    const bytes = Buffer.isBuffer(argument) ? argument : Buffer.from(String(argument), 'latin1')
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'))
  }
  return Buffer.concat(parts)
}

interface Decoded {
  readonly value: Value
  /** Index of the first byte after the reply. */
  readonly end: number
}

type Reader = (bytes: Buffer, at: number, line: string) => Decoded | undefined

/** One row for each type byte; a reader gets the rest of the first line and the index after it. */
const READERS: Readonly<Record<string, Reader>> = {
  '+': (_, end, line) => ({ value: line, end }),
  '-': (_, end, line) => ({ value: new ReplyError(line), end }),
  ':': (_, end, line) => ({ value: Number(line), end }),
  ',': (_, end, line) => ({ value: Number(line), end }),
  '(': (_, end, line) => ({ value: BigInt(line), end }),
  '#': (_, end, line) => ({ value: line === 't', end }),
  _: (_, end) => ({ value: null, end }),
  $: bulk((text) => text),
  '=': bulk((text) => text.slice(4)),
  '!': bulk((text) => new ReplyError(text)),
  '*': aggregate(1, (items) => items),
  '~': aggregate(1, (items) => items),
  '>': aggregate(1, (items) => items),
  '%': aggregate(2, pairs),
}

/** The reply that starts at `at`, or undefined while it is incomplete. Throws on bytes that are no reply. */
export function decode(bytes: Buffer, at: number): Decoded | undefined {
  const newline = bytes.indexOf('\r\n', at)
  if (newline < 0) return undefined
  const reader = READERS[String.fromCharCode(bytes[at]!)]
  if (!reader) throw new Error(`not a reply: ${JSON.stringify(bytes.toString('latin1', at, at + 40))}`)
  return reader(bytes, newline + 2, bytes.toString('latin1', at + 1, newline))
}

function bulk(meaning: (text: string) => Value): Reader {
  return (bytes, at, line) => {
    const length = Number(line)
    if (length < 0) return { value: null, end: at }
    if (bytes.length < at + length + 2) return undefined
    return { value: meaning(bytes.toString('latin1', at, at + length)), end: at + length + 2 }
  }
}

function aggregate(itemsPerEntry: number, meaning: (items: Value[]) => Value): Reader {
  return (bytes, at, line) => {
    if (Number(line) < 0) return { value: null, end: at }
    const items: Value[] = []
    let end = at
    for (let left = Number(line) * itemsPerEntry; left > 0; left--) {
      const item = decode(bytes, end)
      if (!item) return undefined
      items.push(item.value)
      end = item.end
    }
    return { value: meaning(items), end }
  }
}

function pairs(items: Value[]): Map<Value, Value> {
  const map = new Map<Value, Value>()
  for (let i = 0; i < items.length; i += 2) map.set(items[i]!, items[i + 1]!)
  return map
}
