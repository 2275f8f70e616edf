/** Taking elements from the ends of lists, at once or as soon as there are any. */
import type { ListValue, Side } from '../../store/types/list.ts'
import type { Key } from '../base/key.ts'
import { wrongArity } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { positiveInteger } from './args.ts'
import { type Command, family, firstKey } from './define.ts'
import { KEY } from './docs.ts'
import { list, listForWrite, removedFrom } from './list.ts'
import { blockingPop, POP_FLAGS, popSeveral, type TwoEnded } from './pop.ts'

/** LEFT or RIGHT. */
export const SIDES: readonly [Side, Side] = ['left', 'right']

const pop = (name: string, end: Side, which: string): Command =>
  list({
    name,
    arity: -2,
    flags: ['write', 'fast'],
    keys: firstKey(...POP_FLAGS),
    since: '1.0.0',
    summary: `Remove and get the ${which} elements in a list`,
    complexity: 'O(N) where N is the number of elements returned',
    arguments: [KEY, { name: 'count', type: 'integer', since: '6.2.0', optional: true }],
    run: (call, argv) => popOne(call, argv, end),
  })

const LISTS: TwoEnded<ListValue, Side> = { type: 'list', ends: SIDES, row: list, forWrite: listForWrite, popWithName }

const waitingPop = (name: string, end: Side, which: string): Command =>
  blockingPop(LISTS, end, {
    name,
    flags: ['write', 'noscript', 'blocking'],
    since: '2.0.0',
    summary: `Remove and get the ${which} element in a list, or block until one is available`,
    complexity: 'O(N) where N is the number of provided keys.',
  })

export const listPopCommands = family(
  waitingPop('blpop', 'left', 'first'),
  waitingPop('brpop', 'right', 'last'),
  ...popSeveral(
    LISTS,
    'lmpop',
    'O(N+M) where N is the number of provided keys and M is the number of elements returned.',
    { now: 'Pop elements from a list', blocking: 'Pop elements from a list, or block until one is available' },
  ),
  pop('lpop', 'left', 'first'),
  pop('rpop', 'right', 'last'),
)

/** The index of the element at an end. */
export const endIndex = (end: Side): number => (end === 'left' ? 0 : -1)

function popOne(call: Call, argv: Argv, end: Side): void {
  const { db, reply, entry } = call
  if (argv.count > 3) throw wrongArity(entry.fullName)
  const count = argv.count === 3 ? positiveInteger(argv, 2) : undefined
  const key = argv.key(1)
  const value = listForWrite(db, key)
  if (count === undefined) {
    if (value === undefined) return reply.nil()
    value.pop(end, reply)
    removedFrom(call, key, value, 1)
  } else if (value === undefined) reply.nilArray()
  else popUpTo(call, key, value, end, count)
}

/** Pops up to `count` elements and replies with them; returns how many. */
function popUpTo(call: Call, key: Key, value: ListValue, end: Side, count: number): number {
  const popped = Math.min(count, value.size)
  call.reply.array(popped)
  value.put(call.reply, endIndex(end), popped, end === 'left' ? 1 : -1)
  value.drop(end, popped)
  if (popped > 0) removedFrom(call, key, value, popped)
  return popped
}

function popWithName(call: Call, key: Key, value: ListValue, end: Side, count: number | undefined): void {
  const { reply } = call
  const name = key.own()
  const command = end === 'left' ? 'LPOP' : 'RPOP'
  reply.array(2)
  reply.bulk(name)
  if (count === undefined) {
    value.pop(end, reply)
    removedFrom(call, key, value, 1)
    call.propagate([command, name])
  } else {
    const popped = popUpTo(call, key, value, end, count)
    call.propagate([command, name, String(popped)])
  }
}
