/** How much memory a value takes that does not lie in the arena: an estimate, known at once. */
import { BUFFER } from './types/weight.ts'
import type { Value } from './value.ts'

/** Bytes of a value, without its key. */
export const weightOf = (value: Value): number =>
  value.type === 'string' ? BUFFER + (value.room ?? value.bytes).length : value.weight
