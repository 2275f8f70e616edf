/** How values are written: a row for each type of value. Only forms that Redis 7.0 reads. */
import type { Value } from '../value.ts'
import type { Sink } from './sink.ts'
import { writeStream } from './stream.ts'
import { PACKED } from './types.ts'

const WRITERS: { readonly [T in Value['type']]: ValueWriter<Extract<Value, { type: T }>> } = {
  string: { code: 0, write: (out, value) => out.string(value.bytes) },
  list: {
    code: 18,
    write(out, value) {
      const nodes = [...value.nodes()]
      out.length(nodes.length)
      for (const bytes of nodes) {
        out.length(PACKED)
        out.stringCopy(bytes)
      }
    },
  },
  hash: {
    code: 4,
    packed: { code: 16, bytes: (value) => value.packedBytes },
    write(out, value) {
      out.length(value.size)
      for (const [field, bytes] of value) {
        out.string(field)
        out.string(bytes)
      }
    },
  },
  set: {
    code: 2,
    // Redis 7.0 knows no packed set of strings.
    packed: { code: 11, bytes: (value) => (value.encoding === 'intset' ? value.packedBytes : undefined) },
    write(out, value) {
      out.length(value.size)
      for (const member of value) out.string(Buffer.from(member, 'latin1'))
    },
  },
  zset: {
    code: 5,
    packed: { code: 17, bytes: (value) => value.packedBytes },
    write(out, value) {
      out.length(value.size)
      // From the highest score down, as a real server does.
      value.visit(0, value.size, true, (member, score) => {
        out.string(Buffer.from(member, 'latin1'))
        out.f64(score)
      })
    },
  },
  stream: { code: 19, write: writeStream },
}

interface ValueWriter<T extends Value> {
  readonly code: number
  /** The type byte of a value that is packed: then the body is its bytes, as one string. */
  readonly packed?: { readonly code: number; readonly bytes: (value: T) => Buffer | undefined }
  readonly write: (out: Sink, value: T) => void
}

/** The type byte for a value, and what writes the body. */
export function writerOf<T extends Value>(value: T): ValueWriter<T> {
  // The row under the name of a type is for values of that type, which the compiler cannot follow.
  const row = WRITERS[value.type] as ValueWriter<T>
  const bytes = row.packed?.bytes(value)
  if (row.packed === undefined || bytes === undefined) return row
  return { code: row.packed.code, write: (out) => out.stringCopy(bytes) }
}
