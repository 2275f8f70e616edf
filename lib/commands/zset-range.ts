/** Ranges of sorted sets, by rank, by score or by the order of members: returned, counted, stored, removed. */
import { Members } from '../../store/types/members.ts'
import { keyOfText } from '../../store/types/names.ts'
import type { ZSetValue } from '../../store/types/zset.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { indexRange, position } from './args.ts'
import { type ArgumentDoc, type Command, family, firstKey } from './define.ts'
import { KEY, option, word } from './docs.ts'
import {
  type Interval,
  memberInterval,
  membersRemoved,
  NO_RANKS,
  type Ranks,
  ranksWithin,
  readZSet,
  replyRanks,
  scoreInterval,
  sortedSet,
  storeMembers,
  zsetForWrite,
} from './zset-args.ts'

type By = 'rank' | 'score' | 'member'

const LIMIT: ArgumentDoc = {
  name: 'offset_count',
  type: 'block',
  token: 'LIMIT',
  optional: true,
  arguments: [
    { name: 'offset', type: 'integer' },
    { name: 'count', type: 'integer' },
  ],
}
const WITH_SCORES = option('WITHSCORES')
const SORT_BY: ArgumentDoc = {
  name: 'sortby',
  type: 'oneof',
  optional: true,
  arguments: [word('BYSCORE'), word('BYLEX')],
}

const RANGE_COST = 'O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements'
const INTERVAL_COST = `${RANGE_COST} being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).`

/** Arguments of these types between the key and the options. */
const bounds = (type: 'string' | 'double' | 'integer', first: string, second: string): readonly ArgumentDoc[] => [
  KEY,
  { name: first, type },
  { name: second, type },
]

/** A row that returns a range of one kind in one direction; it has a newer form. */
const range = (
  row: Pick<Command, 'name' | 'since' | 'summary' | 'complexity' | 'arguments'>,
  by: By,
  reversed: boolean,
  newer: string,
): Command =>
  sortedSet({
    arity: -4,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    deprecated: { since: '6.2.0', replacedBy: `\`ZRANGE\` with the ${newer}` },
    run: (call, argv) => returnRange(call, argv, { by, reversed }),
    ...row,
  })

const count = (row: Pick<Command, 'name' | 'since' | 'summary' | 'arguments'>, by: By): Command =>
  sortedSet({
    arity: 4,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO', 'access'),
    complexity: 'O(log(N)) with N being the number of elements in the sorted set.',
    run(call, argv) {
      const { from, to } = readRanks(argv, 2, by)(readZSet(call.db, argv.key(1)))
      call.reply.integer(to - from)
    },
    ...row,
  })

const remove = (row: Pick<Command, 'name' | 'since' | 'summary' | 'arguments'>, by: By): Command =>
  sortedSet({
    arity: 4,
    flags: ['write'],
    keys: firstKey('RW', 'delete'),
    complexity: `${RANGE_COST} removed by the operation.`,
    run: (call, argv) => removeRange(call, argv, by),
    ...row,
  })

export const zsetRangeCommands = family(
  count(
    {
      name: 'zcount',
      since: '2.0.0',
      summary: 'Count the members in a sorted set with scores within the given values',
      arguments: bounds('double', 'min', 'max'),
    },
    'score',
  ),
  count(
    {
      name: 'zlexcount',
      since: '2.8.9',
      summary: 'Count the number of members in a sorted set between a given lexicographical range',
      arguments: bounds('string', 'min', 'max'),
    },
    'member',
  ),
  sortedSet({
    name: 'zrange',
    arity: -4,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '1.2.0',
    summary: 'Return a range of members in a sorted set',
    complexity: `${RANGE_COST} returned.`,
    arguments: [
      ...bounds('string', 'start', 'stop'),
      { ...SORT_BY, since: '6.2.0' },
      option('REV', '6.2.0'),
      { ...LIMIT, since: '6.2.0' },
      WITH_SCORES,
    ],
    run: (call, argv) => returnRange(call, argv, {}),
  }),
  range(
    {
      name: 'zrangebylex',
      since: '2.8.9',
      summary: 'Return a range of members in a sorted set, by lexicographical range',
      complexity: INTERVAL_COST,
      arguments: [...bounds('string', 'min', 'max'), LIMIT],
    },
    'member',
    false,
    '`BYLEX` argument',
  ),
  range(
    {
      name: 'zrangebyscore',
      since: '1.0.5',
      summary: 'Return a range of members in a sorted set, by score',
      complexity: INTERVAL_COST,
      arguments: [...bounds('double', 'min', 'max'), option('WITHSCORES', '2.0.0'), LIMIT],
    },
    'score',
    false,
    '`BYSCORE` argument',
  ),
  sortedSet({
    name: 'zrangestore',
    arity: -5,
    flags: ['write', 'denyoom'],
    keys: {
      first: 1,
      last: 2,
      step: 1,
      specs: [
        { flags: ['OW', 'update'], begin: 1, last: 0, step: 1 },
        { flags: ['RO', 'access'], begin: 2, last: 0, step: 1 },
      ],
    },
    since: '6.2.0',
    summary: 'Store a range of members from sorted set into another key',
    complexity: `${RANGE_COST} stored into the destination key.`,
    arguments: [
      { name: 'dst', type: 'key', keySpec: 0 },
      { name: 'src', type: 'key', keySpec: 1 },
      { name: 'min', type: 'string' },
      { name: 'max', type: 'string' },
      SORT_BY,
      option('REV'),
      LIMIT,
    ],
    run: storeRange,
  }),
  remove(
    {
      name: 'zremrangebylex',
      since: '2.8.9',
      summary: 'Remove all members in a sorted set between the given lexicographical range',
      arguments: bounds('string', 'min', 'max'),
    },
    'member',
  ),
  remove(
    {
      name: 'zremrangebyrank',
      since: '2.0.0',
      summary: 'Remove all members in a sorted set within the given indexes',
      arguments: bounds('integer', 'start', 'stop'),
    },
    'rank',
  ),
  remove(
    {
      name: 'zremrangebyscore',
      since: '1.2.0',
      summary: 'Remove all members in a sorted set within the given scores',
      arguments: bounds('double', 'min', 'max'),
    },
    'score',
  ),
  range(
    {
      name: 'zrevrange',
      since: '1.2.0',
      summary: 'Return a range of members in a sorted set, by index, with scores ordered from high to low',
      complexity: `${RANGE_COST} returned.`,
      arguments: [...bounds('integer', 'start', 'stop'), WITH_SCORES],
    },
    'rank',
    true,
    '`REV` argument',
  ),
  range(
    {
      name: 'zrevrangebylex',
      since: '2.8.9',
      summary:
        'Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower strings.',
      complexity: INTERVAL_COST,
      arguments: [...bounds('string', 'max', 'min'), LIMIT],
    },
    'member',
    true,
    '`REV` and `BYLEX` arguments',
  ),
  range(
    {
      name: 'zrevrangebyscore',
      since: '2.2.0',
      summary: 'Return a range of members in a sorted set, by score, with scores ordered from high to low',
      complexity: INTERVAL_COST,
      arguments: [...bounds('double', 'max', 'min'), WITH_SCORES, LIMIT],
    },
    'score',
    true,
    '`REV` and `BYSCORE` arguments',
  ),
)

/** Where a range lies in a sorted set, which may be missing. */
type Locate = (value: ZSetValue | undefined) => Ranks

const INTERVALS: Readonly<Record<Exclude<By, 'rank'>, (argv: Argv, min: number, max: number) => Interval>> = {
  score: scoreInterval,
  member: memberInterval,
}

/** Reads the two bounds at argument `at`, in descending order if `reversed`. */
function readRanks(argv: Argv, at: number, by: By, reversed = false): Locate {
  if (by !== 'rank') {
    const [min, max] = reversed ? [at + 1, at] : [at, at + 1]
    const interval = INTERVALS[by](argv, min, max)
    return (value) => (value === undefined ? NO_RANKS : ranksWithin(value, interval))
  }
  const start = position(argv, at)
  const stop = position(argv, at + 1)
  return (value) => {
    const size = value?.size ?? 0
    const { from, to } = indexRange(size, start, stop)
    return reversed ? { from: size - to, to: size - from } : { from, to }
  }
}

interface RangeOptions {
  readonly by: By
  readonly reversed: boolean
  readonly withScores: boolean
  readonly offset: number
  /** -1: all. */
  readonly limit: number
}

/** What the name of a command has decided already. */
type Decided = Partial<Pick<RangeOptions, 'by' | 'reversed'>>

/** Reads the options from argument `from` on. */
function readOptions(argv: Argv, from: number, decided: Decided, forStore: boolean): RangeOptions {
  let { by, reversed }: Decided = decided
  let withScores = false
  let offset = 0
  let limit = -1
  for (let i = from; i < argv.count; i++) {
    const name = argv.word(i)
    if (name === 'withscores' && !forStore) withScores = true
    else if (name === 'limit' && i + 2 < argv.count) {
      offset = position(argv, ++i)
      limit = position(argv, ++i)
    } else if (name === 'rev' && reversed === undefined) reversed = true
    else if (name === 'byscore' && by === undefined) by = 'score'
    else if (name === 'bylex' && by === undefined) by = 'member'
    else throw SYNTAX
  }
  by ??= 'rank'
  if (limit !== -1 && by === 'rank')
    throw fail('syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX')
  if (withScores && by === 'member') throw fail('syntax error, WITHSCORES not supported in combination with BYLEX')
  return { by, reversed: reversed ?? false, withScores, offset, limit }
}

/** The part of a range that LIMIT leaves. */
function limited({ from, to }: Ranks, { by, reversed, offset, limit }: RangeOptions): Ranks {
  if (by === 'rank') return { from, to }
  const skip = offset < 0 ? to - from : Math.min(offset, to - from)
  const rest = to - from - skip
  const taken = limit < 0 ? rest : Math.min(limit, rest)
  return reversed ? { from: to - skip - taken, to: to - skip } : { from: from + skip, to: from + skip + taken }
}

/** The range that a command asks for whose key is argument `at`, with its options. */
function findRange({ db }: Call, argv: Argv, at: number, decided: Decided, forStore: boolean) {
  const options = readOptions(argv, at + 3, decided, forStore)
  const locate = readRanks(argv, at + 1, options.by, options.reversed)
  const value = readZSet(db, argv.key(at))
  return { value, options, ranks: limited(locate(value), options) }
}

function returnRange(call: Call, argv: Argv, decided: Decided): void {
  const { value, options, ranks } = findRange(call, argv, 1, decided, false)
  replyRanks(call.reply, value, ranks, options.reversed, options.withScores ? 'withScores' : 'members')
}

function storeRange(call: Call, argv: Argv): void {
  const { value, ranks } = findRange(call, argv, 2, {}, true)
  const members = new Members()
  value?.visit(ranks.from, ranks.to, false, (member, score) => members.addScored(keyOfText(member), score))
  storeMembers(call, argv.key(1), members)
}

function removeRange(call: Call, argv: Argv, by: By): void {
  const locate = readRanks(argv, 2, by)
  const key = argv.key(1)
  const value = zsetForWrite(call.db, key)
  const { from, to } = locate(value)
  if (value !== undefined && from < to) {
    value.removeRange(from, to)
    membersRemoved(call, key, value, to - from)
  }
  call.reply.integer(to - from)
}
