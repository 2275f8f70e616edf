/** Sorted sets: members added, scored, ranked, removed and looked at one by one. Ranges, pops and combinations of
 *  several sets are in zset-range.ts, zset-pop.ts and zset-combine.ts. */
import { putText } from '../../store/types/names.ts'
import { ZSetValue } from '../../store/types/zset.ts'
import { fail, SYNTAX, wrongArity } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { INT64_MAX, integerWithin } from './args.ts'
import { type Command, family, firstKey } from './define.ts'
import { KEY, option, word } from './docs.ts'
import { draw, drawCount, drawnOf } from './draw.ts'
import { elementScan } from './element-scan.ts'
import {
  double,
  MEMBER,
  MEMBERS,
  membersRemoved,
  openMembers,
  readZSet,
  replyScore,
  sortedSet,
  zsetForWrite,
} from './zset-args.ts'

const rank = (name: string, row: Pick<Command, 'summary'>, fromTop: boolean): Command =>
  sortedSet({
    name,
    arity: -3,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO', 'access'),
    since: '2.0.0',
    complexity: 'O(log(N))',
    arguments: [KEY, MEMBER, option('WITHSCORE', '7.2.0')],
    run: (call, argv) => replyRank(call, argv, fromTop),
    ...row,
  })

export const zsetCommands = family(
  sortedSet({
    name: 'zadd',
    arity: -4,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'update'),
    since: '1.2.0',
    summary: 'Add one or more members to a sorted set, or update its score if it already exists',
    complexity: 'O(log(N)) for each item added, where N is the number of elements in the sorted set.',
    arguments: [
      KEY,
      { name: 'condition', type: 'oneof', since: '3.0.2', optional: true, arguments: [word('NX'), word('XX')] },
      { name: 'comparison', type: 'oneof', since: '6.2.0', optional: true, arguments: [word('GT'), word('LT')] },
      { ...option('CH', '3.0.2'), name: 'change' },
      { ...option('INCR', '3.0.2'), name: 'increment' },
      {
        name: 'score_member',
        type: 'block',
        multiple: true,
        arguments: [{ name: 'score', type: 'double' }, MEMBER],
      },
    ],
    run(call, argv) {
      const { options, at } = readOptions(argv)
      addMembers(call, argv, { scores: readScores(argv, at), membersAt: at + 1, step: 2 }, options)
    },
  }),
  sortedSet({
    name: 'zcard',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO'),
    since: '1.2.0',
    summary: 'Get the number of members in a sorted set',
    complexity: 'O(1)',
    arguments: [KEY],
    run: ({ db, reply }, argv) => reply.integer(readZSet(db, argv.key(1))?.size ?? 0),
  }),
  sortedSet({
    name: 'zincrby',
    arity: 4,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'access', 'update'),
    since: '1.2.0',
    summary: 'Increment the score of a member in a sorted set',
    complexity: 'O(log(N)) where N is the number of elements in the sorted set.',
    arguments: [KEY, { name: 'increment', type: 'integer' }, MEMBER],
    run: (call, argv) => addMembers(call, argv, { scores: readScores(argv, 2), membersAt: 3, step: 2 }, INCREMENT),
  }),
  sortedSet({
    name: 'zmscore',
    arity: -3,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO', 'access'),
    since: '6.2.0',
    summary: 'Get the score associated with the given members in a sorted set',
    complexity: 'O(N) where N is the number of members being requested.',
    arguments: [KEY, MEMBERS],
    run({ db, reply }, argv) {
      const value = readZSet(db, argv.key(1))
      reply.array(argv.count - 2)
      for (let i = 2; i < argv.count; i++) replyScore(reply, value?.score(argv.key(i)))
    },
  }),
  sortedSet({
    name: 'zrandmember',
    arity: -2,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '6.2.0',
    summary: 'Get one or multiple random elements from a sorted set',
    complexity: 'O(N) where N is the number of elements returned',
    tips: ['nondeterministic_output'],
    arguments: [
      KEY,
      {
        name: 'options',
        type: 'block',
        optional: true,
        arguments: [{ name: 'count', type: 'integer' }, option('WITHSCORES')],
      },
    ],
    run: randomMembers,
  }),
  rank('zrank', { summary: 'Determine the index of a member in a sorted set' }, false),
  sortedSet({
    name: 'zrem',
    arity: -3,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'delete'),
    since: '1.2.0',
    summary: 'Remove one or more members from a sorted set',
    complexity:
      'O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.',
    arguments: [KEY, MEMBERS],
    run(call, argv) {
      const key = argv.key(1)
      const value = zsetForWrite(call.db, key)
      let removed = 0
      for (let i = 2; i < argv.count && value !== undefined; i++) if (value.remove(argv.key(i))) removed++
      if (value !== undefined && removed > 0) membersRemoved(call, key, value, removed)
      call.reply.integer(removed)
    },
  }),
  rank(
    'zrevrank',
    { summary: 'Determine the index of a member in a sorted set, with scores ordered from high to low' },
    true,
  ),
  elementScan(
    { name: 'zscan', group: 'sorted-set', summary: 'Incrementally iterate sorted sets elements and associated scores' },
    2,
    ({ db }, argv) => readZSet(db, argv.key(1)),
  ),
  sortedSet({
    name: 'zscore',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO', 'access'),
    since: '1.2.0',
    summary: 'Get the score associated with the given member in a sorted set',
    complexity: 'O(1)',
    arguments: [KEY, MEMBER],
    run: ({ db, reply }, argv) => replyScore(reply, readZSet(db, argv.key(1))?.score(argv.key(2))),
  }),
)

/** What ZADD is asked for besides. */
const ADD_WORDS = ['nx', 'xx', 'gt', 'lt', 'ch', 'incr'] as const
type AddWord = (typeof ADD_WORDS)[number]
export type AddOptions = Readonly<Record<AddWord, boolean>>

export const NO_OPTIONS: AddOptions = { nx: false, xx: false, gt: false, lt: false, ch: false, incr: false }
const INCREMENT: AddOptions = { ...NO_OPTIONS, incr: true }
const isAddWord = (word: string): word is AddWord => (ADD_WORDS as readonly string[]).includes(word)

/** Reads the options; the pairs begin at argument `at`. */
function readOptions(argv: Argv): { options: AddOptions; at: number } {
  let options = NO_OPTIONS
  let at = 2
  // Scores are hardly ever letters: no text is made of them.
  for (; at < argv.count && argv.buffer[argv.starts[at]!]! > 0x39; at++) {
    const name = argv.word(at)
    if (!isAddWord(name)) break
    options = { ...options, [name]: true }
  }
  const { nx, xx, gt, lt, incr } = options
  const words = argv.count - at
  if (words === 0 || words % 2 === 1) throw SYNTAX
  if (nx && xx) throw fail('XX and NX options at the same time are not compatible')
  if ((nx && (gt || lt)) || (gt && lt)) throw fail('GT, LT, and/or NX options at the same time are not compatible')
  if (incr && words > 2) throw fail('INCR option supports a single increment-element pair')
  return { options, at }
}

const NOT_A_NUMBER = fail('resulting score is not a number (NaN)')

/** What is to be added: a score for each of the members, which are every `step`-th argument from `membersAt` on. */
interface Additions {
  readonly scores: readonly number[]
  readonly membersAt: number
  readonly step: number
}

/** The scores of pairs that begin at argument `at`. */
function readScores(argv: Argv, at: number): number[] {
  const scores = [double(argv, at)]
  for (let i = at + 2; i < argv.count; i += 2) scores.push(double(argv, i))
  return scores
}

/** Adds members to the sorted set at argument 1 and replies with their number; with INCR, with the score, or null if it
 *  was left alone. */
export function addMembers(call: Call, argv: Argv, { scores, membersAt, step }: Additions, options: AddOptions): void {
  const { db, reply, server } = call
  const key = argv.key(1)
  const existing = zsetForWrite(db, key)
  const value = existing ?? new ZSetValue()
  let added = 0
  let updated = 0
  let result: number | undefined
  for (let i = 0; i < scores.length; i++) {
    const given = scores[i]!
    const member = argv.key(membersAt + i * step)
    const spot = value.find(member)
    const old = value.scoreAt(spot)
    const score = options.incr && old !== undefined ? old + given : given
    if (Number.isNaN(score)) throw NOT_A_NUMBER
    if (!isWanted(options, old, score)) continue
    result = score
    if (old === undefined) {
      value.add(member, score, server.config.values)
      added++
    } else if (old !== score) {
      value.change(member, spot, score)
      updated++
    }
  }
  if (added + updated > 0) {
    if (existing === undefined) db.write(key, value, 0)
    else db.changed(key, added + updated)
  }
  if (options.incr) replyScore(reply, result)
  else reply.integer(options.ch ? added + updated : added)
}

function isWanted({ nx, xx, gt, lt }: AddOptions, old: number | undefined, score: number): boolean {
  if (old === undefined) return !xx
  return !nx && !(gt && score <= old) && !(lt && score >= old)
}

function replyRank({ db, reply, entry }: Call, argv: Argv, fromTop: boolean): void {
  if (argv.count > 4) throw wrongArity(entry.fullName)
  const withScore = argv.count === 4
  if (withScore && argv.word(3) !== 'withscore') throw SYNTAX
  const value = readZSet(db, argv.key(1))
  const member = argv.key(2)
  const place = value?.rank(member)
  if (value === undefined || place === undefined) return withScore ? reply.nilArray() : reply.nil()
  if (withScore) reply.array(2)
  reply.integer(fromTop ? value.size - 1 - place : place)
  if (withScore) replyScore(reply, value.score(member))
}

/** Half of what a count may be: each member comes with its score. */
const MOST_PAIRS = INT64_MAX / 2n

function randomMembers(call: Call, argv: Argv): void {
  const { db, reply, server } = call
  if (argv.count === 2) return randomMember(call, argv)
  const count = drawCount(argv, 2)
  const withScores = argv.count === 4 && argv.word(3) === 'withscores'
  if (argv.count > 3 && !withScores) throw SYNTAX
  if (withScores) integerWithin(argv, 2, -MOST_PAIRS, MOST_PAIRS, 'value is out of range')
  const value = readZSet(db, argv.key(1))
  if (value === undefined) return reply.array(0)
  const put = openMembers(reply, drawnOf(value.size, count), withScores ? 'withScores' : 'members')
  for (const place of draw(server.random, value.size, count)) value.visitAt(place, put)
}

function randomMember({ db, reply, server }: Call, argv: Argv): void {
  const value = readZSet(db, argv.key(1))
  if (value === undefined) return reply.nil()
  value.visitAt(server.random.below(value.size), (member) => putText(member, reply))
}
