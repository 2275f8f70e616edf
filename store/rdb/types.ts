/** How each type of value is written: a row for each type byte of the format. What has no `read` is known by name only and refused. */
import { own } from '../../lib/base/bytes.ts'
import type { Value } from '../value.ts'
import type { Sink } from './sink.ts'
import { type Decoding, RdbError, type Source, UnsupportedTypeError } from './source.ts'

interface TypeRow {
  readonly code: number
  /** As an error message should call it. */
  readonly name: string
  readonly read?: (from: Source) => Decoding<Value>
}

const ROWS: readonly TypeRow[] = [
  {
    code: 0,
    name: 'string',
    *read(from) {
      return { type: 'string', bytes: own(yield* from.string()), raw: false }
    },
  },
  { code: 1, name: 'list' },
  { code: 2, name: 'set' },
  { code: 3, name: 'zset' },
  { code: 4, name: 'hash' },
  { code: 5, name: 'zset' },
  { code: 6, name: 'module value' },
  { code: 7, name: 'module value' },
  { code: 9, name: 'hash' },
  { code: 10, name: 'list' },
  { code: 11, name: 'set' },
  { code: 12, name: 'zset' },
  { code: 13, name: 'hash' },
  { code: 14, name: 'list' },
  { code: 15, name: 'stream' },
  { code: 16, name: 'hash' },
  { code: 17, name: 'zset' },
  { code: 18, name: 'list' },
  { code: 19, name: 'stream' },
  { code: 20, name: 'set' },
  { code: 21, name: 'stream' },
]

const BY_CODE: ReadonlyMap<number, TypeRow> = new Map(ROWS.map((row) => [row.code, row]))

/** Reads the value that follows a type byte; it owns its bytes. Throws RdbError for a type that is unknown, UnsupportedTypeError
 *  for one that we cannot hold. */
export function readValue(from: Source, code: number): Decoding<Value> {
  const row = BY_CODE.get(code)
  if (row === undefined) throw new RdbError(`unknown value type ${code}`)
  if (row.read === undefined) throw new UnsupportedTypeError(`unsupported type ${row.name} (${code})`)
  return row.read(from)
}

/** Writing: the type byte and the body, by type of value. */
export const VALUE_WRITERS: { readonly [T in Value['type']]: ValueWriter<Extract<Value, { type: T }>> } = {
  string: { code: 0, write: (out, value) => out.string(value.bytes) },
}

interface ValueWriter<T extends Value> {
  readonly code: number
  readonly write: (out: Sink, value: T) => void
}
