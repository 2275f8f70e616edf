/** SORT: what a real server answers and stores. */
import fc from 'fast-check'
import { Beside } from '../support/beside-redis.ts'
import { Differential, type Request, requests } from '../support/differential.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const number = fc.constantFrom('1', '2', '10', '-3', '1.5', '1e2', ' 4', 'inf', '0x10', '')
const name = fc.constantFrom('a', 'b', 'B', 'ab', '10', '9', '\u00ff')
const element = fc.oneof({ weight: 3, arbitrary: number }, { weight: 1, arbitrary: name })
const LISTS = ['list', 'names', 'text', 'missing']
const ORDERED = [...LISTS, 'zset']
const ordering: readonly Request[] = [['ASC'], ['desc'], ['foo'], ['STORE']]
const alphabetically: readonly Request[] = [['ALPHA'], ['alpha']]
const limit = fc.tuple(
  fc.constantFrom('limit', 'LIMIT'),
  fc.integer({ min: -2, max: 4 }),
  fc.constantFrom('-1', '0', '2', '9', 'x'),
)
const get = fc.tuple(
  fc.constantFrom('get', 'GET'),
  fc.constantFrom('#', 'w_*', 'h_*->f', 'h_*->', 'h*->g', 'none', '*', '->*'),
)
const by = fc.constantFrom<Request>(['BY', 'w_*'], ['by', 'h_*->f'], ['BY', 'missing_*'], ['BY', '#'], ['by', 'none'])

const form = (
  keys: readonly string[],
  how: fc.Arbitrary<Request>,
  options: fc.Arbitrary<Request>,
): fc.Arbitrary<Request> =>
  fc
    .tuple(
      fc.constantFrom('SORT', 'sort', 'SORT_RO'),
      fc.constantFrom(...keys),
      how,
      fc.array(options, { maxLength: 3 }),
    )
    .map(([command, from, order, rest]) => [command, from, ...order, ...rest.flat()])
const plain = fc.constant<Request>([])

/** The order of what weighs the same is not left to chance, except in a set or sorted set, and when only a part of the elements is sorted. */
const sorting = fc.oneof(
  form([...ORDERED, 'set'], plain, fc.oneof(fc.constantFrom(...ordering, ...alphabetically), limit, get)),
  form(ORDERED, by, fc.oneof(fc.constantFrom(...ordering), limit, get)),
  form(LISTS, by, fc.oneof(fc.constantFrom(...ordering, ...alphabetically), get)),
  form(['set'], fc.constant(['BY', 'w_*']), fc.oneof(fc.constantFrom(...ordering), limit, get)),
)
const storing = fc
  .tuple(sorting, fc.constantFrom('stored', 'list', 'text'))
  .map(([request, to]) => [...request, 'STORE', to])
const storingSet = fc
  .constantFrom('ASC', 'DESC')
  .map((order): Request => ['SORT', 'set', 'BY', 'nosort', order, 'STORE', 'stored'])

const FILL = requests([
  ['rpush', 'list', element, element, element],
  ['rpush', 'names', name, name],
  ['sadd', 'set', element, element, element],
  ['zadd', 'zset', '1', element, '2', element, '3', element],
  ['hset', fc.constantFrom('h_1', 'h_10', 'h_a', 'h1'), fc.constantFrom('f', 'g'), number],
  ['set', fc.constantFrom('w_1', 'w_2', 'w_10', 'w_a', 'w_', 'text'), element],
  ['del', fc.constantFrom('list', 'names', 'set', 'zset')],
  ['lrange', 'stored', '0', '-1'],
  ['lrange', 'list', '0', '-1'],
  ['type', 'stored'],
  ['SORT', 'list', fc.constantFrom('BY', 'GET', 'LIMIT', 'STORE')],
])

describeBeside('SORT answers as redis-server 7.0 does', function () {
  this.timeout(60_000)
  let both: Differential
  before(async () => {
    both = await Differential.start()
  })
  after(stopEverything)

  const sequence = fc.array(
    fc.oneof(
      { weight: 2, arbitrary: FILL },
      { weight: 2, arbitrary: sorting },
      { weight: 1, arbitrary: storing },
      { weight: 1, arbitrary: storingSet },
    ),
    { minLength: 20, maxLength: 60 },
  )

  for (const protocol of [2, 3] as const)
    it(`whatever it is asked for, in RESP${protocol}`, () =>
      fc.assert(
        fc.asyncProperty(sequence, (all) => both.compare(all, protocol)),
        { numRuns: 60 },
      ))

  it('and tells replicas what it stored', () =>
    fc.assert(
      fc.asyncProperty(sequence, (all) => both.compareStreams(all)),
      { numRuns: 20 },
    ))
})

describeBeside('SORT', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  it('has the keys it names: where it reads and, last named, where it stores', () =>
    beside.session([
      'COMMAND GETKEYS sort a',
      'COMMAND GETKEYS sort a BY store GET store LIMIT store store STORE b',
      'COMMAND GETKEYS sort a STORE b STORE c',
      'COMMAND GETKEYSANDFLAGS sort a STORE b',
      'COMMAND GETKEYS sort_ro a BY w_*',
    ]))
})
