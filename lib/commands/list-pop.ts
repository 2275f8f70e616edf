/** Taking elements from the ends of lists, at once or as soon as there are any. */
import type { ListValue, Side } from '../../store/types/list.ts'
import type { Key } from '../base/key.ts'
import { SYNTAX, wrongArity } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { INT64_MAX, integerWithin, positiveInteger } from './args.ts'
import { type ArgumentDoc, type Command, countedKeys, family, firstKey, type KeyPositions } from './define.ts'
import { KEY, KEYS, word } from './docs.ts'
import { list, listForWrite, removedFrom } from './list.ts'
import { timeoutSeconds } from './timeout.ts'

const POP_FLAGS = ['RW', 'access', 'delete'] as const
const TIMEOUT: ArgumentDoc = { name: 'timeout', type: 'double' }
/** LEFT or RIGHT. */
export const side = (name: string): ArgumentDoc => ({ name, type: 'oneof', arguments: [word('LEFT'), word('RIGHT')] })
const SEVERAL: readonly ArgumentDoc[] = [
  { name: 'numkeys', type: 'integer' },
  KEYS,
  side('where'),
  { name: 'count', type: 'integer', token: 'COUNT', optional: true },
]
const SEVERAL_COMPLEXITY = 'O(N+M) where N is the number of provided keys and M is the number of elements returned.'
/** All but the timeout at the end. */
const ALL_BUT_LAST: KeyPositions = { first: 1, last: -2, step: 1, flags: POP_FLAGS }

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

const blockingPop = (name: string, end: Side, which: string): Command =>
  list({
    name,
    arity: -3,
    flags: ['write', 'noscript', 'blocking'],
    keys: ALL_BUT_LAST,
    since: '2.0.0',
    summary: `Remove and get the ${which} element in a list, or block until one is available`,
    complexity: 'O(N) where N is the number of provided keys.',
    arguments: [KEYS, TIMEOUT],
    run(call, argv) {
      const last = argv.count - 1
      popOrWait(call, keysFrom(argv, 1, last), end, undefined, timeoutSeconds(argv, last))
    },
  })

export const listPopCommands = family(
  list({
    name: 'blmpop',
    arity: -5,
    flags: ['write', 'blocking', 'movablekeys'],
    keys: countedKeys(2, ...POP_FLAGS),
    since: '7.0.0',
    summary: 'Pop elements from a list, or block until one is available',
    complexity: SEVERAL_COMPLEXITY,
    arguments: [TIMEOUT, ...SEVERAL],
    run(call, argv) {
      const { keys, end, count } = readSeveral(argv, 2)
      popOrWait(call, keys, end, count, timeoutSeconds(argv, 1))
    },
  }),
  blockingPop('blpop', 'left', 'first'),
  blockingPop('brpop', 'right', 'last'),
  list({
    name: 'lmpop',
    arity: -4,
    flags: ['write', 'movablekeys'],
    keys: countedKeys(1, ...POP_FLAGS),
    since: '7.0.0',
    summary: 'Pop elements from a list',
    complexity: SEVERAL_COMPLEXITY,
    arguments: SEVERAL,
    run(call, argv) {
      const { keys, end, count } = readSeveral(argv, 1)
      if (!popFirst(call, keys, end, count)) call.reply.nilArray()
    },
  }),
  pop('lpop', 'left', 'first'),
  pop('rpop', 'right', 'last'),
)

const SIDES: ReadonlySet<string> = new Set(['left', 'right'])
const isSide = (word: string): word is Side => SIDES.has(word)

/** LEFT or RIGHT. Throws SYNTAX. */
export function readSide(argv: Argv, i: number): Side {
  const word = i < argv.count ? argv.word(i) : ''
  if (!isSide(word)) throw SYNTAX
  return word
}

/** Arguments [from, to) as keys. */
const keysFrom = (argv: Argv, from: number, to: number): Key[] =>
  Array.from({ length: to - from }, (_, i) => argv.key(from + i))

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
    value.put(reply, endIndex(end))
    removedFrom(call, key, value, value.drop(end, 1))
  } else if (value === undefined) reply.nilArray()
  else popSeveral(call, key, value, end, count)
}

/** Pops up to `count` elements and replies with them; returns how many. */
function popSeveral(call: Call, key: Key, value: ListValue, end: Side, count: number): number {
  const popped = Math.min(count, value.size)
  call.reply.array(popped)
  value.put(call.reply, endIndex(end), popped, end === 'left' ? 1 : -1)
  value.drop(end, popped)
  if (popped > 0) removedFrom(call, key, value, popped)
  return popped
}

/** LMPOP's arguments, from the number of keys at `at`. */
function readSeveral(argv: Argv, at: number): { keys: Key[]; end: Side; count: number } {
  const keyCount = integerWithin(argv, at, 1n, INT64_MAX, 'numkeys should be greater than 0')
  const sideAt = at + keyCount + 1
  const end = readSide(argv, sideAt)
  let count: number | undefined
  for (let i = sideAt + 1; i < argv.count; i += 2) {
    if (argv.word(i) !== 'count' || count !== undefined || i + 1 === argv.count) throw SYNTAX
    count = integerWithin(argv, i + 1, 1n, INT64_MAX, 'count should be greater than 0')
  }
  return { keys: keysFrom(argv, at + 1, sideAt), end, count: count ?? 1 }
}

/** Pops from the first of the lists there is, and replies with its name and a single element, or `count` of them as an array. False when
 *  there is none. Replicas are told which list it was. */
function popFirst(call: Call, keys: readonly Key[], end: Side, count: number | undefined): boolean {
  for (const key of keys) {
    const value = listForWrite(call.db, key)
    if (value === undefined) continue
    popWithName(call, key, value, end, count)
    return true
  }
  return false
}

function popWithName(call: Call, key: Key, value: ListValue, end: Side, count: number | undefined): void {
  const { reply } = call
  const name = key.own()
  const command = end === 'left' ? 'LPOP' : 'RPOP'
  reply.array(2)
  reply.bulk(name)
  if (count === undefined) {
    value.put(reply, endIndex(end))
    removedFrom(call, key, value, value.drop(end, 1))
    call.propagate([command, name])
  } else {
    const popped = popSeveral(call, key, value, end, count)
    call.propagate([command, name, String(popped)])
  }
}

function popOrWait(call: Call, keys: readonly Key[], end: Side, count: number | undefined, timeoutMs: number): void {
  if (popFirst(call, keys, end, count)) return
  call.server.blockedKeys.wait(
    call,
    keys.map((key) => key.text()),
    {
      timeoutMs,
      timedOut: ({ reply }) => reply.nilArray(),
      serve(waiting, key) {
        const value = waiting.db.readForWrite(key)
        if (value?.type !== 'list') return false
        popWithName(waiting, key, value, end, count)
        return true
      },
    },
  )
}
