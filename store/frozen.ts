/** Large values as they were at one instant, to be written in slices while they go on changing. Lists and streams are copied, which share
 *  their chunks and nodes with the copy; hashes, sets and sorted sets are walked over. What is packed is written whole. */
import { HashValue } from './types/hash.ts'
import type { Members } from './types/members.ts'
import { SetValue } from './types/set.ts'
import type { Walk } from './types/walk.ts'
import { ZSetValue } from './types/zset.ts'
import type { StringValue, Value } from './value.ts'

export interface Frozen<T extends Value = Exclude<Value, StringValue>> {
  readonly type: 'frozen'
  /** The type of the value. */
  readonly of: T['type']
  /** How many elements there are in all parts together; of a list or a stream, how many nodes. */
  readonly count: number
  /** Values of that type and of moderate size, which together are the value. To be gone through once. */
  readonly parts: Iterable<T>
  /** Has what is known of a hash (deadlines) or a stream (ids, groups) beside the elements. So has the first part. */
  readonly known: T | undefined
}

/** What weighs more than this, in bytes, takes several turns of the event loop to write. */
const LARGE = 64 * 1024

/** A value as it is now, whatever is changed afterwards; undefined when it is small or packed. Costs next to nothing, but for deadlines of
 *  fields and for what is pending in groups, which are copied. `open` has the walks that are not over: whoever loses interest closes them. */
export function freeze(value: Value, open: Set<Walk>): Frozen | undefined {
  if (value.type === 'string' || value.weight <= LARGE) return undefined
  const type = 'frozen'
  switch (value.type) {
    case 'list':
    case 'stream': {
      const copy = value.copy()
      return { type, of: value.type, count: copy.nodeCount, parts: copy.parts(), known: copy }
    }
    default: {
      const walk = value.walk(open)
      const known = value.type === 'hash' ? emptied(value) : undefined
      return walk && { type, of: value.type, count: walk.count, parts: partsOf(walk, value.type, known), known }
    }
  }
}

/** What is known of a hash. */
function emptied({ deadlines }: HashValue): HashValue {
  const known = new HashValue()
  known.deadlines = deadlines?.copy()
  return known
}

function* partsOf(walk: Walk, type: keyof typeof PART_OF, known: HashValue | undefined): Generator<Part> {
  let deadlines = known?.deadlines
  for (let members = walk.next(); members !== undefined; members = walk.next()) {
    const part = PART_OF[type](members)
    if (part.type === 'hash') part.deadlines = deadlines
    deadlines = undefined
    yield part
  }
}

type Part = HashValue | SetValue | ZSetValue

/** A value of the members of one part. */
const PART_OF: { readonly [T in Part['type']]: (members: Members) => Part } = {
  hash: (members) => new HashValue(members),
  set: (members) => new SetValue(members),
  zset: (members) => ZSetValue.of(members),
}
