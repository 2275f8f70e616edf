/** Values for tests that are about strings only. */
import assert from 'node:assert/strict'
import type { StringValue, Value } from '../../store/value.ts'

/** The value, which has to be a string. */
export function asString(value: Value): StringValue {
  assert.ok(value.type === 'string', `a ${value.type} where a string was expected`)
  return value
}
