/** How values are written: a row for each type of value. Only forms that Redis 7.0 reads. */
import type { Frozen } from '../frozen.ts'
import type { StringValue, Value } from '../value.ts'
import type { Sink } from './sink.ts'
import { writeKnown, writeNodes } from './stream.ts'
import { PACKED } from './types.ts'
import { eachInSteps, STEP, type Writing } from './writing.ts'

export const STRING = 0

const FORMS: { readonly [T in Collection['type']]: Form<Extract<Collection, { type: T }>> } = {
  list: {
    code: 18,
    count: (value) => value.nodeCount,
    *elements(out, value) {
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
    count: (value) => value.size,
    elements: (out, value) =>
      eachInSteps(value, ([field, bytes]) => {
        out.string(field)
        out.string(bytes)
      }),
  },
  set: {
    code: 2,
    // Redis 7.0 knows no packed set of strings.
    packed: { code: 11, bytes: (value) => (value.encoding === 'intset' ? value.packedBytes : undefined) },
    count: (value) => value.size,
    elements: (out, value) => eachInSteps(value, (member) => out.string(Buffer.from(member, 'latin1'))),
  },
  zset: {
    code: 5,
    packed: { code: 17, bytes: (value) => value.packedBytes },
    count: (value) => value.size,
    *elements(out, value) {
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
  stream: { code: 19, count: (value) => value.nodeCount, elements: writeNodes, end: writeKnown },
}

type Collection = Exclude<Value, StringValue>

interface Form<T extends Collection> {
  readonly code: number
  /** The type byte of a value that is packed: then the body is its bytes, as one string. */
  readonly packed?: { readonly code: number; readonly bytes: (value: T) => Buffer | undefined }
  /** The number of elements, which stands before them. */
  readonly count: (value: T) => number
  /** Writes the elements. Those of all parts, one part behind the other, are those of the whole. */
  readonly elements: (out: Sink, value: T) => Writing
  /** Writes what is known of the value beside its elements, behind them. */
  readonly end?: (out: Sink, value: T) => Writing
}

/** The row under the name of a type is for values of that type, which the compiler cannot follow. */
const formOf = <T extends Collection>(type: T['type']): Form<T> => FORMS[type] as Form<T>

interface ValueWriter {
  /** The type byte. */
  readonly code: number
  /** Writes what comes behind the key, or says how to go on with it. */
  readonly write: (out: Sink) => Writing | undefined
}

/** How a value is written. */
export function writerOf(value: Value | Frozen): ValueWriter {
  if (value.type === 'string') return { code: STRING, write: (out) => void out.string(value.bytes) }
  if (value.type === 'frozen') {
    const form = formOf(value.of)
    return { code: form.code, write: (out) => writeParts(out, form, value) }
  }
  const form = formOf(value.type)
  const bytes = form.packed?.bytes(value)
  if (form.packed !== undefined && bytes !== undefined)
    return { code: form.packed.code, write: (out) => void out.stringCopy(bytes) }
  const whole = { count: form.count(value), parts: [value], known: value }
  return { code: form.code, write: (out) => writeParts(out, form, whole) }
}

function* writeParts<T extends Collection>(
  out: Sink,
  { elements, end }: Form<T>,
  { count, parts, known }: Pick<Frozen<T>, 'count' | 'parts' | 'known'>,
): Writing {
  out.length(count)
  for (const part of parts) {
    yield* elements(out, part)
    yield
  }
  if (known !== undefined && end !== undefined) yield* end(out, known)
}
