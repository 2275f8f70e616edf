/** Union, intersection and difference of sorted sets; sets count as sorted sets whose scores are all 1. */
import { Members } from '../../store/types/members.ts'
import { keyOfText } from '../../store/types/names.ts'
import type { Visit } from '../../store/types/ranked.ts'
import { ranking } from '../../store/types/ranking.ts'
import type { Value } from '../../store/value.ts'
import { fail, SYNTAX, WRONG_TYPE } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { clamp, int64, positiveInteger } from './args.ts'
import { type ArgumentDoc, type Command, countedKeys, family, type KeyPositions, keysAfterCount } from './define.ts'
import { KEYS, option, word } from './docs.ts'
import { double, openMembers, sortedSet, storeMembers } from './zset-args.ts'

type Operation = 'union' | 'inter' | 'diff'

const NUMKEYS: ArgumentDoc = { name: 'numkeys', type: 'integer' }
const WEIGHTING: readonly ArgumentDoc[] = [
  { name: 'weight', type: 'integer', token: 'WEIGHTS', optional: true, multiple: true },
  {
    name: 'aggregate',
    type: 'oneof',
    token: 'AGGREGATE',
    optional: true,
    arguments: [word('SUM'), word('MIN'), word('MAX')],
  },
]
const weighting = (operation: Operation): readonly ArgumentDoc[] => (operation === 'diff' ? [] : WEIGHTING)

const COST: Readonly<Record<Operation, string>> = {
  union:
    'O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.',
  inter:
    'O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.',
  diff: 'O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.',
}

const READ_KEYS = countedKeys(1, 'RO', 'access')
const STORE_KEYS: KeyPositions = {
  first: 1,
  last: 1,
  step: 1,
  find(argv) {
    const sources = keysAfterCount(argv, 2)
    // Without those the destination is no key either: the command refuses itself wherever it is sent.
    return sources.length === 0 ? [] : [1, ...sources]
  },
  specs: [
    { flags: ['OW', 'update'], begin: 1, last: 0, step: 1 },
    { flags: ['RO', 'access'], begin: 2, counted: true },
  ],
}

const combine = (name: string, operation: Operation, summary: string): Command =>
  sortedSet({
    name,
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    keys: READ_KEYS,
    since: '6.2.0',
    summary,
    complexity: COST[operation],
    arguments: [NUMKEYS, KEYS, ...weighting(operation), option('WITHSCORES')],
    run: (call, argv) => returnCombined(call, argv, operation),
  })

const combineAndStore = (row: Pick<Command, 'name' | 'since' | 'summary' | 'complexity'>, operation: Operation) =>
  sortedSet({
    arity: -4,
    flags: ['write', 'denyoom', 'movablekeys'],
    keys: STORE_KEYS,
    arguments: [
      { name: 'destination', type: 'key', keySpec: 0 },
      NUMKEYS,
      { ...KEYS, keySpec: 1 },
      ...weighting(operation),
    ],
    run: (call, argv) => storeCombined(call, argv, operation),
    ...row,
  })

export const zsetCombineCommands = family(
  combine('zdiff', 'diff', 'Subtract multiple sorted sets'),
  combineAndStore(
    {
      name: 'zdiffstore',
      since: '6.2.0',
      summary: 'Subtract multiple sorted sets and store the resulting sorted set in a new key',
      complexity: COST.diff,
    },
    'diff',
  ),
  combine('zinter', 'inter', 'Intersect multiple sorted sets'),
  sortedSet({
    name: 'zintercard',
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    keys: READ_KEYS,
    since: '7.0.0',
    summary: 'Intersect multiple sorted sets and return the cardinality of the result',
    complexity:
      'O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.',
    arguments: [NUMKEYS, KEYS, { name: 'limit', type: 'integer', token: 'LIMIT', optional: true }],
    run: countIntersection,
  }),
  combineAndStore(
    {
      name: 'zinterstore',
      since: '2.0.0',
      summary: 'Intersect multiple sorted sets and store the resulting sorted set in a new key',
      complexity: COST.inter,
    },
    'inter',
  ),
  combine('zunion', 'union', 'Add multiple sorted sets'),
  combineAndStore(
    {
      name: 'zunionstore',
      since: '2.0.0',
      summary: 'Add multiple sorted sets and store the resulting sorted set in a new key',
      complexity: COST.union.replace('O(M*log(M))', 'O(M log(M))'),
    },
    'union',
  ),
)

/** One of the sets that are combined. */
interface Input {
  readonly size: number
  score(member: string): number | undefined
  visit(visit: Visit): void
  weight: number
}

type Aggregate = (a: number, b: number) => number

/** Infinities of both signs, or one of them with the weight 0, add up to 0. */
const orZero = (score: number): number => (Number.isNaN(score) ? 0 : score)

/** The second score when it is better than the first: one that is no number never is, nor is minus zero better than
 *  zero. */
const better =
  (isBetter: (b: number, a: number) => boolean): Aggregate =>
  (a, b) =>
    isBetter(b, a) ? b : a

const AGGREGATES: ReadonlyMap<string, Aggregate> = new Map<string, Aggregate>([
  ['sum', (a, b) => orZero(a + b)],
  ['min', better((b, a) => b < a)],
  ['max', better((b, a) => b > a)],
])

interface Request {
  readonly inputs: readonly Input[]
  readonly aggregate: Aggregate
  readonly withScores: boolean
  /** ZINTERCARD: as many are enough. */
  readonly limit: number
}

/** What the command is called for: it decides which options there are. */
type Purpose = 'return' | 'store' | 'count'

/** Reads the arguments, from the number of keys at `at`. */
function readRequest(call: Call, argv: Argv, at: number, operation: Operation, purpose: Purpose): Request {
  const keyCount = clamp(int64(argv, at))
  if (keyCount < 1) throw fail(`at least 1 input key is needed for '${call.entry.fullName}' command`)
  const end = at + 1 + keyCount
  if (end > argv.count) throw SYNTAX
  const inputs = Array.from({ length: keyCount }, (_, i) => inputOf(call.db.read(argv.key(at + 1 + i))))
  let aggregate: Aggregate = AGGREGATES.get('sum')!
  let withScores = false
  let limit = 0
  for (let i = end; i < argv.count; i++) {
    const name = argv.word(i)
    const left = argv.count - i - 1
    if (name === 'weights' && operation !== 'diff' && purpose !== 'count' && left >= keyCount)
      for (const input of inputs) input.weight = double(argv, ++i, NOT_A_WEIGHT)
    else if (name === 'aggregate' && operation !== 'diff' && purpose !== 'count' && left > 0)
      aggregate = AGGREGATES.get(argv.word(++i)) ?? noSuch()
    else if (name === 'withscores' && purpose === 'return') withScores = true
    else if (name === 'limit' && purpose === 'count' && left > 0)
      limit = positiveInteger(argv, ++i, "LIMIT can't be negative")
    else throw SYNTAX
  }
  return { inputs, aggregate, withScores, limit }
}

const NOT_A_WEIGHT = fail('weight value is not a float')

function noSuch(): never {
  throw SYNTAX
}

function inputOf(value: Value | undefined): Input {
  switch (value?.type) {
    case undefined:
      return { size: 0, score: () => undefined, visit() {}, weight: 1 }
    case 'zset':
      return {
        size: value.size,
        score: (member) => value.score(member),
        visit: (visit) => value.visit(0, value.size, false, visit),
        weight: 1,
      }
    case 'set':
      return {
        size: value.size,
        score: (member) => (value.has(member) ? 1 : undefined),
        visit(visit) {
          for (const member of value) visit(member, 1)
        },
        weight: 1,
      }
    default:
      throw WRONG_TYPE
  }
}

const weighted = (input: Input, score: number): number => orZero(input.weight * score)

/** Small sets first: it saves work, and decides in which order scores add up, as on a real server. */
const bySize = (inputs: readonly Input[]): readonly Input[] => inputs.toSorted((a, b) => a.size - b.size)

/** The members of the result, with their scores. */
type Operate = (request: Request) => Members

const OPERATIONS: Readonly<Record<Operation, Operate>> = {
  union({ inputs, aggregate }) {
    const result = new Members()
    for (const input of bySize(inputs))
      input.visit((member, score) => {
        const key = keyOfText(member)
        const own = weighted(input, score)
        const place = result.find(key)
        if (place < 0) result.addScored(key, own)
        else result.setScore(place, aggregate(result.score(place), own))
      })
    return result
  },
  inter(request) {
    const result = new Members()
    intersect(request, (member, score) => result.addScored(keyOfText(member), score))
    return result
  },
  diff({ inputs: [first, ...others] }) {
    const result = new Members()
    first!.visit((member, score) => {
      if (others.every((other) => other.score(member) === undefined)) result.addScored(keyOfText(member), score)
    })
    return result
  },
}

/** Visits what all sets have. */
function intersect({ inputs, aggregate }: Request, visit: Visit): void {
  const [smallest, ...others] = bySize(inputs)
  smallest!.visit((member, score) => {
    let total = weighted(smallest!, score)
    for (const other of others) {
      const found = other.score(member)
      if (found === undefined) return
      total = aggregate(total, other.weight * found)
    }
    visit(member, total)
  })
}

function returnCombined(call: Call, argv: Argv, operation: Operation): void {
  const request = readRequest(call, argv, 1, operation, 'return')
  const members = OPERATIONS[operation](request)
  const put = openMembers(call.reply, members.size, request.withScores ? 'withScores' : 'members')
  for (const place of ranking(members)) put(members.text(place), members.score(place))
}

function storeCombined(call: Call, argv: Argv, operation: Operation): void {
  storeMembers(call, argv.key(1), OPERATIONS[operation](readRequest(call, argv, 2, operation, 'store')))
}

function countIntersection(call: Call, argv: Argv): void {
  const request = readRequest(call, argv, 1, 'inter', 'count')
  const most = request.limit === 0 ? Number.POSITIVE_INFINITY : request.limit
  let count = 0
  intersect(request, () => {
    if (count < most) count++
  })
  call.reply.integer(count)
}
