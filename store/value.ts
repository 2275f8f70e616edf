/** What a key can hold. The other types arrive as further members of the union. */
import { unreachable } from '../lib/base/assert.ts'
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
