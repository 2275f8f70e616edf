/** Intersection, union and difference of sets. */
import { SetValue } from '../../store/types/set.ts'
import type { Key } from '../base/key.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { INT64_MAX, integerWithin, positiveInteger } from './args.ts'
import { type ArgumentDoc, allKeys, type Command, countedKeys, family, twoKeys } from './define.ts'
import { KEYS } from './docs.ts'
import { asSet, replyMember, replyMembers, set } from './set.ts'

/** The sets at the keys; undefined where there is none. */
type Sets = readonly (SetValue | undefined)[]

const DESTINATION: ArgumentDoc = { name: 'destination', type: 'key', keySpec: 0 }
const INTERSECTION_COMPLEXITY =
  'O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.'
const COMPLEXITY = 'O(N) where N is the total number of elements in all given sets.'

/** A command that answers with the result. */
const answering = (row: Pick<Command, 'name' | 'summary' | 'complexity' | 'run'>): Command =>
  set({
    ...row,
    arity: -2,
    flags: ['readonly'],
    keys: allKeys('RO', 'access'),
    since: '1.0.0',
    tips: ['nondeterministic_output_order'],
    arguments: [KEYS],
  })

/** A command that stores the result. `keyFlag`: what key specifications say of the destination. */
const storing = (
  row: Pick<Command, 'name' | 'summary' | 'complexity'>,
  keyFlag: 'RW' | 'OW',
  combine: (call: Call, sets: Sets) => SetValue,
): Command =>
  set({
    ...row,
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: twoKeys([keyFlag, 'update'], ['RO', 'access'], -1),
    since: '1.0.0',
    arguments: [DESTINATION, { ...KEYS, keySpec: 1 }],
    run(call, argv) {
      const result = combine(call, readSets(call, argv, 2, argv.count))
      if (result.size === 0) call.db.remove(argv.key(1))
      else call.db.write(argv.key(1), result, 0)
      call.reply.integer(result.size)
    },
  })

export const setAlgebraCommands = family(
  answering({
    name: 'sdiff',
    summary: 'Subtract multiple sets',
    complexity: COMPLEXITY,
    run(call, argv) {
      const members = difference(call, readSets(call, argv, 1, argv.count))
      replyFound(call, members instanceof SetValue ? members.keys() : members)
    },
  }),
  storing(
    {
      name: 'sdiffstore',
      summary: 'Subtract multiple sets and store the resulting set in a key',
      complexity: COMPLEXITY,
    },
    'OW',
    (call, sets) => {
      const members = difference(call, sets)
      return members instanceof SetValue ? members : setOf(call, members)
    },
  ),
  answering({
    name: 'sinter',
    summary: 'Intersect multiple sets',
    complexity: INTERSECTION_COMPLEXITY,
    run: (call, argv) => replyFound(call, intersection(readSets(call, argv, 1, argv.count))),
  }),
  set({
    name: 'sintercard',
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    keys: countedKeys(1, 'RO', 'access'),
    since: '7.0.0',
    summary: 'Intersect multiple sets and return the cardinality of the result',
    complexity: INTERSECTION_COMPLEXITY,
    arguments: [
      { name: 'numkeys', type: 'integer' },
      KEYS,
      { name: 'limit', type: 'integer', token: 'LIMIT', optional: true },
    ],
    run: countIntersection,
  }),
  storing(
    {
      name: 'sinterstore',
      summary: 'Intersect multiple sets and store the resulting set in a key',
      complexity: INTERSECTION_COMPLEXITY,
    },
    'RW',
    (call, sets) => setOf(call, intersection(sets)),
  ),
  answering({
    name: 'sunion',
    summary: 'Add multiple sets',
    complexity: COMPLEXITY,
    run(call, argv) {
      const members = union(call, readSets(call, argv, 1, argv.count))
      replyMembers(call.reply, members.size, members.keys())
    },
  }),
  storing(
    { name: 'sunionstore', summary: 'Add multiple sets and store the resulting set in a key', complexity: COMPLEXITY },
    'OW',
    union,
  ),
)

/** The sets at arguments [from, to). Throws WRONG_TYPE, whatever else is missing. */
const readSets = ({ db }: Call, argv: Argv, from: number, to: number): Sets =>
  Array.from({ length: to - from }, (_, i) => asSet(db.read(argv.key(from + i))))

/** Answers with members that are found one after the other. */
function replyFound({ reply }: Call, members: Iterable<Key>): void {
  const mark = reply.length
  let count = 0
  for (const member of members) {
    replyMember(reply, member)
    count++
  }
  reply.setFrom(mark, count)
}

function setOf({ server }: Call, members: Iterable<Key>): SetValue {
  const result = new SetValue()
  for (const member of members) result.add(member, server.config.values)
  return result
}

function union({ server }: Call, sets: Sets): SetValue {
  const result = new SetValue()
  for (const one of sets) for (const member of one?.keys() ?? []) result.add(member, server.config.values)
  return result
}

/** The members of the smallest set that are in all others. */
function* intersection(sets: Sets): Generator<Key> {
  const present = sets.filter((one) => one !== undefined)
  if (present.length < sets.length) return
  const [smallest, ...others] = present.sort((a, b) => a.size - b.size)
  for (const member of smallest?.keys() ?? []) if (others.every((one) => one.has(member))) yield member
}

/** Each member of the first set is looked up in the others; unless those are so small that it takes less to remove their members
 *  from a copy. (A real server weighs it just so, and that such a copy is stored shows in its encoding.) */
function difference(call: Call, sets: Sets): SetValue | Iterable<Key> {
  const [first, ...rest] = sets
  if (first === undefined) return []
  const others = rest.filter((one) => one !== undefined)
  const total = others.reduce((sum, one) => sum + one.size, first.size)
  if (Math.floor((first.size * (others.length + 1)) / 2) > total) {
    const result = setOf(call, first.keys())
    for (const other of others) for (const member of other.keys()) result.remove(member)
    return result
  }
  // In a large set a member is sooner found.
  others.sort((a, b) => b.size - a.size)
  return remaining(first, others)
}

function* remaining(first: SetValue, others: readonly SetValue[]): Generator<Key> {
  for (const member of first.keys()) if (!others.some((one) => one.has(member))) yield member
}

function countIntersection(call: Call, argv: Argv): void {
  const keys = integerWithin(argv, 1, 1n, INT64_MAX, 'numkeys should be greater than 0')
  if (keys > argv.count - 2) throw fail("Number of keys can't be greater than number of args")
  let limit = 0
  for (let i = 2 + keys; i < argv.count; i += 2) {
    if (argv.word(i) !== 'limit' || i + 1 >= argv.count) throw SYNTAX
    limit = positiveInteger(argv, i + 1, "LIMIT can't be negative")
  }
  let count = 0
  for (const _ of intersection(readSets(call, argv, 2, 2 + keys))) if (++count === limit) break
  call.reply.integer(count)
}
