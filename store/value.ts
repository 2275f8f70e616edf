/** What a key can hold. The other types arrive as further members of the union. */
import { parseInt64 } from '../lib/base/bytes.ts'

/** A byte string. `bytes` is never written into after it was stored: readers may keep it. */
export interface StringValue {
  readonly type: 'string'
  readonly bytes: Buffer
  /** It grew in place (APPEND, SETRANGE): OBJECT ENCODING says raw whatever its length. */
  readonly raw: boolean
}

export type Value = StringValue
export type ValueType = Value['type']

/** The name TYPE answers. */
export const typeName = (value: Value): string => value.type

/** The name OBJECT ENCODING answers: int for a canonical 64-bit integer, embstr up to 44 bytes, else raw. */
export function encodingName(value: Value): string {
  const { bytes } = value
  if (value.raw) return 'raw'
  if (bytes.length <= 20 && parseInt64(bytes) !== undefined) return 'int'
  return bytes.length <= 44 ? 'embstr' : 'raw'
}
