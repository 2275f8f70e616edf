/** Taking the lowest or highest members from sorted sets, at once or as soon as there are any. */
import type { ZSetValue } from '../../store/types/zset.ts'
import type { Key } from '../base/key.ts'
import { SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { INT64_MAX, integerWithin, positiveInteger } from './args.ts'
import { type ArgumentDoc, type Command, countedKeys, family, firstKey } from './define.ts'
import { KEY, KEYS, word } from './docs.ts'
import { timeoutSeconds } from './timeout.ts'
import { type Arrangement, membersRemoved, replyRanks, sortedSet, zsetForWrite } from './zset-args.ts'

type End = 'min' | 'max'

const POP_FLAGS = ['RW', 'access', 'delete'] as const
const TIMEOUT: ArgumentDoc = { name: 'timeout', type: 'double' }
const SEVERAL: readonly ArgumentDoc[] = [
  { name: 'numkeys', type: 'integer' },
  KEYS,
  { name: 'where', type: 'oneof', arguments: [word('MIN'), word('MAX')] },
  { name: 'count', type: 'integer', token: 'COUNT', optional: true },
]
const SEVERAL_COMPLEXITY =
  'O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.'

const pop = (name: string, end: End, which: string): Command =>
  sortedSet({
    name,
    arity: -2,
    flags: ['write', 'fast'],
    keys: firstKey(...POP_FLAGS),
    since: '5.0.0',
    summary: `Remove and return members with the ${which} scores in a sorted set`,
    complexity:
      'O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.',
    arguments: [KEY, { name: 'count', type: 'integer', optional: true }],
    run: (call, argv) => popOne(call, argv, end),
  })

const blockingPop = (name: string, end: End, which: string): Command =>
  sortedSet({
    name,
    arity: -3,
    flags: ['write', 'noscript', 'blocking', 'fast'],
    keys: { first: 1, last: -2, step: 1, flags: POP_FLAGS },
    since: '5.0.0',
    summary: `Remove and return the member with the ${which} score from one or more sorted sets, or block until one is available`,
    complexity: 'O(log(N)) with N being the number of elements in the sorted set.',
    arguments: [KEYS, TIMEOUT],
    run(call, argv) {
      const last = argv.count - 1
      popOrWait(call, keysFrom(argv, 1, last), end, undefined, timeoutSeconds(argv, last))
    },
  })

export const zsetPopCommands = family(
  sortedSet({
    name: 'bzmpop',
    arity: -5,
    flags: ['write', 'blocking', 'movablekeys'],
    keys: countedKeys(2, ...POP_FLAGS),
    since: '7.0.0',
    summary: 'Remove and return members with scores in a sorted set or block until one is available',
    complexity: SEVERAL_COMPLEXITY,
    arguments: [TIMEOUT, ...SEVERAL],
    run(call, argv) {
      const { keys, end, count } = readSeveral(argv, 2)
      popOrWait(call, keys, end, count, timeoutSeconds(argv, 1))
    },
  }),
  blockingPop('bzpopmax', 'max', 'highest'),
  blockingPop('bzpopmin', 'min', 'lowest'),
  sortedSet({
    name: 'zmpop',
    arity: -4,
    flags: ['write', 'movablekeys'],
    keys: countedKeys(1, ...POP_FLAGS),
    since: '7.0.0',
    summary: 'Remove and return members with scores in a sorted set',
    complexity: SEVERAL_COMPLEXITY,
    arguments: SEVERAL,
    run(call, argv) {
      const { keys, end, count } = readSeveral(argv, 1)
      if (!popFirst(call, keys, end, count)) call.reply.nilArray()
    },
  }),
  pop('zpopmax', 'max', 'highest'),
  pop('zpopmin', 'min', 'lowest'),
)

/** Arguments [from, to) as keys. */
const keysFrom = (argv: Argv, from: number, to: number): Key[] =>
  Array.from({ length: to - from }, (_, i) => argv.key(from + i))

/** ZMPOP's arguments, from the number of keys at `at`. */
function readSeveral(argv: Argv, at: number): { keys: Key[]; end: End; count: number } {
  const keyCount = integerWithin(argv, at, 1n, INT64_MAX, 'numkeys should be greater than 0')
  const endAt = at + keyCount + 1
  const end = endAt < argv.count ? argv.word(endAt) : ''
  if (end !== 'min' && end !== 'max') throw SYNTAX
  let count: number | undefined
  for (let i = endAt + 1; i < argv.count; i += 2) {
    if (argv.word(i) !== 'count' || count !== undefined || i + 1 === argv.count) throw SYNTAX
    count = integerWithin(argv, i + 1, 1n, INT64_MAX, 'count should be greater than 0')
  }
  return { keys: keysFrom(argv, at + 1, endAt), end, count: count ?? 1 }
}

function popOne(call: Call, argv: Argv, end: End): void {
  if (argv.count > 3) throw SYNTAX
  const count = argv.count === 3 ? positiveInteger(argv, 2) : undefined
  const key = argv.key(1)
  const value = zsetForWrite(call.db, key)
  if (value === undefined) call.reply.array(0)
  else popMembers(call, key, value, end, count ?? 1, count === undefined ? 'flat' : 'withScores')
}

/** Pops up to `count` members, replies with them and returns how many. */
function popMembers(call: Call, key: Key, value: ZSetValue, end: End, count: number, arrangement: Arrangement): number {
  const { size } = value
  const popped = Math.min(count, size)
  const ranks = end === 'min' ? { from: 0, to: popped } : { from: size - popped, to: size }
  replyRanks(call.reply, value, ranks, end === 'max', arrangement)
  value.removeRange(ranks.from, ranks.to)
  if (popped > 0) membersRemoved(call, key, value, popped)
  return popped
}

/** Pops from the first of the sorted sets there is, and replies with its name too. False when there is none. */
function popFirst(call: Call, keys: readonly Key[], end: End, count: number | undefined): boolean {
  for (const key of keys) {
    const value = zsetForWrite(call.db, key)
    if (value === undefined) continue
    popWithName(call, key, value, end, count)
    return true
  }
  return false
}

/** A single member follows the name; `count` of them are an array of pairs. Replicas are told which sorted set it
 *  was. */
function popWithName(call: Call, key: Key, value: ZSetValue, end: End, count: number | undefined): void {
  const { reply } = call
  const name = key.own()
  const command = end === 'min' ? 'ZPOPMIN' : 'ZPOPMAX'
  reply.array(count === undefined ? 3 : 2)
  reply.bulk(name)
  if (count === undefined) {
    popMembers(call, key, value, end, 1, 'bare')
    call.propagate([command, name])
  } else {
    const popped = popMembers(call, key, value, end, count, 'pairs')
    call.propagate([command, name, String(popped)])
  }
}

function popOrWait(call: Call, keys: readonly Key[], end: End, count: number | undefined, timeoutMs: number): void {
  if (popFirst(call, keys, end, count)) return
  call.server.blockedKeys.wait(
    call,
    keys.map((key) => key.text()),
    {
      timeoutMs,
      timedOut: ({ reply }) => reply.nilArray(),
      serve(waiting, key) {
        const value = waiting.db.readForWrite(key)
        if (value?.type !== 'zset') return false
        popWithName(waiting, key, value, end, count)
        return true
      },
    },
  )
}
