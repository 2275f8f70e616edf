/** How much memory a key takes: estimates, for MEMORY USAGE. */
import { unreachable } from '../lib/base/assert.ts'
import type { Value } from './value.ts'

/** The places of an entry in the table, its slot's list and their growth. */
const ENTRY = 96
/** A place among the keys that have a deadline. */
const DEADLINE = 16
/** A Buffer and what it stands on. */
const BYTES = 120

/** Bytes of a key with its value. */
export function sizeOf(keyLength: number, value: Value, expires: boolean): number {
  return ENTRY + keyLength + (expires ? DEADLINE : 0) + valueSize(value)
}

function valueSize(value: Value): number {
  switch (value.type) {
    case 'string':
      return BYTES + value.bytes.length
    default:
      return unreachable(value.type)
  }
}
