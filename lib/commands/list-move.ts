/** Moving an element from one list to another, at once or as soon as there is one. */
import { ListValue, type Side } from '../../store/types/list.ts'
import { type Key, keyOf } from '../base/key.ts'
import type { Argv } from '../resp/argv.ts'
import { mayWait } from '../server/blocked-keys.ts'
import type { Call } from '../server/call.ts'
import { type ArgumentDoc, family, twoKeys } from './define.ts'
import { addedTo, fillOf, list, listForWrite, removedFrom } from './list.ts'
import { endIndex, SIDES } from './list-pop.ts'
import { endDoc, readEnd } from './pop.ts'
import { timeoutSeconds } from './timeout.ts'

const KEYS = twoKeys(['RW', 'access', 'delete'], ['RW', 'insert'])
const LISTS: readonly ArgumentDoc[] = [
  { name: 'source', type: 'key', keySpec: 0 },
  { name: 'destination', type: 'key', keySpec: 1 },
]
const END_DOCS: readonly ArgumentDoc[] = [endDoc('wherefrom', SIDES), endDoc('whereto', SIDES)]
const TIMEOUT: ArgumentDoc = { name: 'timeout', type: 'double' }

export const listMoveCommands = family(
  list({
    name: 'blmove',
    arity: 6,
    flags: ['write', 'denyoom', 'noscript', 'blocking'],
    keys: KEYS,
    since: '6.2.0',
    summary: 'Pop an element from a list, push it to another list and return it; or block until one is available',
    complexity: 'O(1)',
    arguments: [...LISTS, ...END_DOCS, TIMEOUT],
    run: (call, argv) => moveOrWait(call, argv, readEnds(argv), timeoutSeconds(argv, 5)),
  }),
  list({
    name: 'brpoplpush',
    arity: 4,
    flags: ['write', 'denyoom', 'noscript', 'blocking'],
    keys: KEYS,
    since: '2.2.0',
    summary: 'Pop an element from a list, push it to another list and return it; or block until one is available',
    complexity: 'O(1)',
    deprecated: { since: '6.2.0', replacedBy: '`BLMOVE` with the `RIGHT` and `LEFT` arguments' },
    arguments: [...LISTS, TIMEOUT],
    run: (call, argv) => moveOrWait(call, argv, RIGHT_TO_LEFT, timeoutSeconds(argv, 3)),
  }),
  list({
    name: 'lmove',
    arity: 5,
    flags: ['write', 'denyoom'],
    keys: KEYS,
    since: '6.2.0',
    summary: 'Pop an element from a list, push it to another list and return it',
    complexity: 'O(1)',
    arguments: [...LISTS, ...END_DOCS],
    run: (call, argv) => moveAtOnce(call, argv, readEnds(argv)),
  }),
  list({
    name: 'rpoplpush',
    arity: 3,
    flags: ['write', 'denyoom'],
    keys: KEYS,
    since: '1.2.0',
    summary: 'Remove the last element in a list, prepend it to another list and return it',
    complexity: 'O(1)',
    deprecated: { since: '6.2.0', replacedBy: '`LMOVE` with the `RIGHT` and `LEFT` arguments' },
    arguments: LISTS,
    run: (call, argv) => moveAtOnce(call, argv, RIGHT_TO_LEFT),
  }),
)

interface Ends {
  readonly from: Side
  readonly to: Side
}

/** The only way of the older commands. */
const RIGHT_TO_LEFT: Ends = { from: 'right', to: 'left' }

const readEnds = (argv: Argv): Ends => ({ from: readEnd(SIDES, argv, 3), to: readEnd(SIDES, argv, 4) })

function moveAtOnce(call: Call, argv: Argv, ends: Ends): void {
  const key = argv.key(1)
  const source = listForWrite(call.db, key)
  if (source === undefined) call.reply.nil()
  else move(call, key, source, argv.key(2), ends)
}

/** Replicas are told of a move at once, by the command that does not wait. */
function moveOrWait(call: Call, argv: Argv, ends: Ends, timeoutMs: number): void {
  const key = argv.key(1)
  const source = listForWrite(call.db, key)
  const names = [key.own(), argv.own(2)] as const
  const isMove = ends !== RIGHT_TO_LEFT
  if (source !== undefined) {
    move(call, key, source, argv.key(2), ends)
    return call.propagate(isMove ? ['LMOVE', ...names, argv.own(3), argv.own(4)] : ['RPOPLPUSH', ...names])
  }
  if (!mayWait(call)) return call.reply.nil()
  call.server.blockedKeys.wait(call, [key.text()], {
    timeoutMs,
    timedOut: ({ reply }) => reply.nilArray(),
    serve(waiting, ready) {
      const value = waiting.db.readForWrite(ready)
      if (value?.type !== 'list') return false
      move(waiting, ready, value, keyOf(names[1]), ends)
      waiting.propagate(isMove ? ['LMOVE', ...names, ends.from, ends.to] : ['RPOPLPUSH', ...names])
      return true
    },
  })
}

/** Moves one element and replies with it. Both lists may be the same. */
function move(call: Call, from: Key, source: ListValue, to: Key, ends: Ends): void {
  const target = listForWrite(call.db, to)
  const element = source.get(endIndex(ends.from))!
  const value = target ?? new ListValue()
  source.drop(ends.from, 1)
  value.push(ends.to, fillOf(call), element)
  addedTo(call, to, value, target === undefined, 1)
  removedFrom(call, from, source, 1)
  call.reply.bulk(element)
}
