/** What a key can hold. The other types arrive as further members of the union. */
import { assert, unreachable } from '../lib/base/assert.ts'
import { parseInt64 } from '../lib/base/bytes.ts'
import type { HashValue } from './types/hash.ts'
import type { ListValue } from './types/list.ts'
import type { SetValue } from './types/set.ts'
import type { StreamValue } from './types/stream.ts'
import type { ZSetValue } from './types/zset.ts'

/** A byte string. Who gets one from the store may keep `bytes`: they are not written into afterwards. */
export interface StringValue {
  readonly type: 'string'
  readonly bytes: Buffer
  /** It was changed in place (APPEND, SETRANGE): OBJECT ENCODING says raw whatever its length. */
  readonly raw: boolean
  /** The memory that `bytes` begins and in which it may grow: only the store knows of it. */
  readonly room?: Buffer
}

export type Value = StringValue | ListValue | StreamValue | HashValue | SetValue | ZSetValue
export type ValueType = Value['type']

/** The name TYPE answers. */
export const typeName = (value: Value): string => value.type

/** The name OBJECT ENCODING answers; of strings: int for a canonical 64-bit integer, embstr up to 44 bytes, else raw. */
export function encodingName(value: Value): string {
  if (value.type !== 'string') return value.encoding
  const { bytes } = value
  if (value.raw) return 'raw'
  if (bytes.length <= 20 && parseInt64(bytes) !== undefined) return 'int'
  return bytes.length <= 44 ? 'embstr' : 'raw'
}

/** What weighs more than this takes several turns of the event loop to write. */
const LARGE = 64 * 1024

/** Whether a value takes long to write. */
export const isLarge = (value: Value): boolean => value.type !== 'string' && value.weight > LARGE

/** A large value as it is now, whatever is changed afterwards, where that costs next to nothing: a copy that shares what stays as it is. */
export const freeze = (value: Value): Value | undefined =>
  value.type === 'list' && isLarge(value) ? value.copy() : undefined

/** A value in parts of moderate size, to be put together again by `extend`; one that cannot be divided is its own only part. */
export const partsOf = (value: Value): Iterable<Value> => (value.type === 'list' ? value.parts() : [value])

/** Adds another part to a value. */
export function extend(value: Value, part: Value): void {
  assert(value.type === 'list' && part.type === 'list', `a ${value.type} is not written in parts`)
  value.concat(part)
}

/** A value for another key: the two may change independently. */
export function copyValue(value: Value): Value {
  switch (value.type) {
    case 'string':
      return { type: 'string', bytes: value.bytes, raw: value.raw }
    case 'hash':
    case 'list':
    case 'set':
    case 'stream':
    case 'zset':
      return value.copy()
    default:
      return unreachable(value)
  }
}
