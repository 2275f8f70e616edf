/** Taking the lowest or highest members from sorted sets, at once or as soon as there are any. */
import type { ZSetValue } from '../../store/types/zset.ts'
import type { Key } from '../base/key.ts'
import { SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { positiveInteger } from './args.ts'
import { type Command, family, firstKey } from './define.ts'
import { KEY } from './docs.ts'
import { blockingPop, POP_FLAGS, popSeveral, type TwoEnded } from './pop.ts'
import { type Arrangement, membersRemoved, replyRanks, sortedSet, zsetForWrite } from './zset-args.ts'

type End = 'min' | 'max'

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

const SORTED_SETS: TwoEnded<ZSetValue, End> = {
  type: 'zset',
  ends: ['min', 'max'],
  row: sortedSet,
  forWrite: zsetForWrite,
  popWithName,
}

const waitingPop = (name: string, end: End, which: string): Command =>
  blockingPop(SORTED_SETS, end, {
    name,
    flags: ['write', 'noscript', 'blocking', 'fast'],
    since: '5.0.0',
    summary: `Remove and return the member with the ${which} score from one or more sorted sets, or block until one is available`,
    complexity: 'O(log(N)) with N being the number of elements in the sorted set.',
  })

export const zsetPopCommands = family(
  waitingPop('bzpopmax', 'max', 'highest'),
  waitingPop('bzpopmin', 'min', 'lowest'),
  ...popSeveral(
    SORTED_SETS,
    'zmpop',
    'O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.',
    {
      now: 'Remove and return members with scores in a sorted set',
      blocking: 'Remove and return members with scores in a sorted set or block until one is available',
    },
  ),
  pop('zpopmax', 'max', 'highest'),
  pop('zpopmin', 'min', 'lowest'),
)

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
