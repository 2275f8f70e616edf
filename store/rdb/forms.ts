/** How values are written: a row for each type of value. Only forms that Redis 7.0 reads. */
import type { Value } from '../value.ts'
import type { Sink } from './sink.ts'
import { writeStream } from './stream.ts'
import { PACKED } from './types.ts'

const WRITERS: { readonly [T in Value['type']]: ValueWriter<Extract<Value, { type: T }>> } = {
  string: { code: 0, write: (out, value) => void out.string(value.bytes) },
  list: {
    code: 18,
    *write(out, value) {
      out.length(value.nodeCount)
      for (const bytes of value.nodes()) {
        out.length(PACKED)
        out.stringCopy(bytes)
        yield
      }
    },
  },
  hash: {
    code: 4,
    packed: { code: 16, bytes: (value) => value.packedBytes },
    *write(out, value) {
      out.length(value.size)
      let left = STEP
      for (const [field, bytes] of value) {
        out.string(field)
        out.string(bytes)
        if (--left > 0) continue
        left = STEP
        yield
      }
    },
  },
  set: {
    code: 2,
    // Redis 7.0 knows no packed set of strings.
    packed: { code: 11, bytes: (value) => (value.encoding === 'intset' ? value.packedBytes : undefined) },
    *write(out, value) {
      out.length(value.size)
      let left = STEP
      for (const member of value) {
        out.string(Buffer.from(member, 'latin1'))
        if (--left > 0) continue
        left = STEP
        yield
      }
    },
  },
  zset: {
    code: 5,
    packed: { code: 17, bytes: (value) => value.packedBytes },
    *write(out, value) {
      out.length(value.size)
      // From the highest score down, as a real server does.
      for (let to = value.size; to > 0; to -= STEP) {
        value.visit(Math.max(0, to - STEP), to, true, (member, score) => {
          out.string(Buffer.from(member, 'latin1'))
          out.f64(score)
        })
        yield
      }
    },
  },
  stream: { code: 19, write: (out, value) => void writeStream(out, value) },
}

/** Elements between two steps of writing. */
const STEP = 64

/** What is left of writing something: each step writes a little more of it, while it stays as it is. */
export type Writing = Iterator<undefined, void>

/** Writes what is left. */
export function finish(writing: Writing | undefined): void {
  while (writing !== undefined && writing.next().done !== true);
}

interface ValueWriter<T extends Value> {
  readonly code: number
  /** The type byte of a value that is packed: then the body is its bytes, as one string. */
  readonly packed?: { readonly code: number; readonly bytes: (value: T) => Buffer | undefined }
  /** Writes the body, or says how to go on with it. */
  readonly write: (out: Sink, value: T) => Writing | undefined
}

/** The type byte for a value, and what writes the body. */
export function writerOf<T extends Value>(value: T): ValueWriter<T> {
  // The row under the name of a type is for values of that type, which the compiler cannot follow.
  const row = WRITERS[value.type] as ValueWriter<T>
  const bytes = row.packed?.bytes(value)
  if (row.packed === undefined || bytes === undefined) return row
  return { code: row.packed.code, write: (out) => void out.stringCopy(bytes) }
}
