/** Sorted sets: what a real server answers, and what replicas are told. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Differential, type Request, requests, someInteger, someKey, someValue } from '../support/differential.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { encode } from '../support/resp.ts'
import { describeBeside } from '../support/tools.ts'

/** Few, so that they are found again. */
const member = fc.oneof(
  fc.constantFrom('a', 'b', 'c', 'd', 'ab', '1', '-3', '10', 'x'.repeat(64), 'x'.repeat(65)),
  someValue,
)
const score = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -3, max: 3 }).map(String) },
  { weight: 2, arbitrary: fc.double({ noNaN: true }).map(String) },
  fc.constantFrom('0.1', '-2.5', '1e300', '1e-300', '5e-324', '-0', '+5', '.5', '5.', '0x1.8p3', '123456789012345678'),
  fc.constantFrom(
    'inf',
    '-inf',
    '+Infinity',
    'nan',
    '1e400',
    '-1e400',
    '1e-400',
    ' 1',
    '1 ',
    '',
    'x',
    '0x',
    '1e',
    '1,5',
  ),
)
const bound = fc.oneof(
  fc.integer({ min: -3, max: 3 }).map(String),
  fc.integer({ min: -3, max: 3 }).map((i) => `(${i}`),
  fc.constantFrom('-inf', '+inf', '(inf', '(-inf', '0.1', '(1e400', '', '(', ' 1', '1 ', '((1', 'x', 'nan'),
)
const lexBound = fc.oneof(
  fc.constantFrom('-', '+', '[a', '(a', '[b', '(b', '(ab', '[d', '[', '(', '', 'a', '-a', '++', '[1', '(10'),
  member.map((text) => `[${String(text)}`),
)
const index = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: -6, max: 6 }) }, someInteger)
const count = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: -1, max: 4 }) }, someInteger)
const addOption = fc.constantFrom('NX', 'xx', 'GT', 'lt', 'CH', 'incr', 'CH', 'foo')
const rangeOption = fc.constantFrom('WITHSCORES', 'rev', 'BYSCORE', 'foo')
const numkeys = fc.constantFrom('1', '2', '3', '0', '-1', 'x', '9223372036854775807')

const SETUP = [
  ['zadd', someKey, score, member],
  ['zadd', someKey, score, member, score, member, score, member],
  ['zadd', someKey, '1', 'a', '2', 'b', '3', 'c', '3', 'd', '-1.5', '7'],
  ['zadd', someKey, '0', 'a', '0', 'b', '0', 'c', '0', 'd', '0', 'ab', '0', '1', '0', '10'],
]

const MEMBERS = requests([
  ...SETUP,
  ['zadd', someKey, addOption, score, member],
  ['zadd', someKey, addOption, addOption, score, member, score, member],
  ['zadd', someKey, 'XX', 'GT', 'CH', score, member],
  ['zadd', someKey, 'INCR', addOption, score, member],
  ['zadd', someKey, score, member, score],
  ['zincrby', someKey, score, member],
  ['zrem', someKey, member, member],
  ['zscore', someKey, member],
  ['zmscore', someKey, member, member, member],
  ['zcard', someKey],
  ['zrange', someKey, '0', '-1', 'WITHSCORES'],
  ['zrange', someKey, '0', '-1', 'WITHSCORES'],
  ['zrandmember', someKey, fc.constantFrom('0', '100', '9223372036854775807', 'x', '-9223372036854775808')],
  ['zrandmember', someKey, '100', fc.constantFrom('WITHSCORES', 'foo')],
  ['zrandmember', someKey, fc.constantFrom('4611686018427387904', '-9223372036854775808'), 'WITHSCORES'],
  ['zscan', someKey, fc.constantFrom('0', 'x', ''), 'COUNT', '1000', 'MATCH', fc.constantFrom('*', '[ab]*', '1')],
  ['zscan', someKey, '0', fc.constantFrom('COUNT', 'foo'), fc.constantFrom('0', '-1', 'x')],
  ['type', someKey],
  ['object', 'encoding', someKey],
  ['set', someKey, member],
  ['del', someKey],
  ['rename', someKey, someKey],
  ['copy', someKey, someKey],
  ['dump', someKey],
])

const RANGES = requests([
  ...SETUP,
  ['zrange', someKey, index, index],
  ['zrange', someKey, index, index, rangeOption],
  ['zrange', someKey, bound, bound, 'BYSCORE'],
  ['zrange', someKey, bound, bound, 'BYSCORE', 'REV', 'WITHSCORES'],
  ['zrange', someKey, bound, bound, 'BYSCORE', 'LIMIT', count, count],
  ['zrange', someKey, bound, bound, rangeOption, 'LIMIT', count, count, rangeOption],
  ['zrevrange', someKey, index, index],
  ['zrevrange', someKey, index, index, 'WITHSCORES'],
  ['zrangebyscore', someKey, bound, bound],
  ['zrangebyscore', someKey, bound, bound, 'WITHSCORES', 'limit', count, count],
  ['zrevrangebyscore', someKey, bound, bound, 'withscores'],
  ['zrevrangebyscore', someKey, bound, bound, 'LIMIT', count, count],
  ['zrevrangebyscore', someKey, bound, bound, rangeOption],
  ['zcount', someKey, bound, bound],
  ['zrangestore', someKey, someKey, index, index],
  ['zrangestore', someKey, someKey, bound, bound, 'BYSCORE', rangeOption],
  ['zrangestore', someKey, someKey, bound, bound, 'BYSCORE', 'LIMIT', count, count],
  ['zremrangebyscore', someKey, bound, bound],
  ['zremrangebyrank', someKey, index, index],
  ['zpopmin', someKey],
  ['zpopmax', someKey],
  ['zpopmin', someKey, count],
  ['zpopmax', someKey, count],
  ['zmpop', '1', someKey, fc.constantFrom('MIN', 'max', 'foo')],
  ['zmpop', numkeys, someKey, someKey, 'MAX'],
  ['zmpop', '2', someKey, someKey, 'min', 'COUNT', count],
  ['zmpop', '1', someKey, 'MIN', 'count', '2', 'COUNT', '2'],
  ['set', someKey, member],
  ['object', 'encoding', someKey],
  ['dump', someKey],
])

/** The order of members means something only where all scores are equal. */
const LEX = requests([
  ['zadd', someKey, '0', member, '0', member, '0', member],
  ['zrangebylex', someKey, lexBound, lexBound],
  ['zrangebylex', someKey, lexBound, lexBound, 'LIMIT', count, count],
  ['zrevrangebylex', someKey, lexBound, lexBound, 'LIMIT', count, count],
  ['zrange', someKey, lexBound, lexBound, 'BYLEX', rangeOption],
  ['zrange', someKey, lexBound, lexBound, 'REV', 'bylex'],
  ['zrange', someKey, lexBound, lexBound, 'BYLEX', 'bylex'],
  ['zlexcount', someKey, lexBound, lexBound],
  ['zremrangebylex', someKey, lexBound, lexBound],
  ['zrangestore', someKey, someKey, lexBound, lexBound, 'BYLEX'],
  ['zrange', someKey, '0', '-1'],
])

const weight = fc.oneof({ weight: 3, arbitrary: fc.constantFrom('1', '2', '-1', '0.1', '0') }, score)
const aggregate = fc.constantFrom('SUM', 'min', 'MAX', 'foo')
const combination = fc.constantFrom('zunion', 'zinter', 'zdiff', 'zintercard')
const combinationStore = fc.constantFrom('zunionstore', 'zinterstore', 'zdiffstore')

const COMBINATIONS = requests([
  ...SETUP,
  ['sadd', someKey, fc.constantFrom('a', 'b', 'zz'), fc.constantFrom('c', '10'), fc.constantFrom('1', '-3')],
  [combination, '2', someKey, someKey],
  [combination, '2', someKey, someKey, 'WITHSCORES'],
  [combination, '3', someKey, someKey, someKey, 'WITHSCORES', 'AGGREGATE', aggregate],
  [combination, '2', someKey, someKey, 'WEIGHTS', weight, weight, 'WITHSCORES'],
  [combination, '2', someKey, someKey, 'WEIGHTS', weight],
  [combination, numkeys, someKey, someKey],
  ['zintercard', '2', someKey, someKey, 'LIMIT', count],
  [combinationStore, someKey, '2', someKey, someKey],
  [combinationStore, someKey, '3', someKey, someKey, someKey, 'AGGREGATE', aggregate],
  [combinationStore, someKey, '2', someKey, someKey, 'weights', weight, weight, 'aggregate', aggregate],
  [combinationStore, someKey, '1', someKey, 'WITHSCORES'],
  [combinationStore, someKey, numkeys, someKey, someKey],
  ['zrange', someKey, '0', '-1', 'WITHSCORES'],
  ['object', 'encoding', someKey],
  ['set', someKey, member],
  ['debug', 'digest-value', someKey],
])

describeBeside('sorted set commands answer like redis-server 7.0', function () {
  this.timeout(60_000)
  let both: Differential
  before(async () => {
    both = await Differential.start({ rdbcompression: 'no' })
  })
  after(stopEverything)

  const agree = (one: fc.Arbitrary<Request>, numRuns: number): Promise<void> =>
    fc.assert(
      fc.asyncProperty(
        fc.array(one, { minLength: 40, maxLength: 80, size: 'max' }),
        fc.constantFrom(2, 3),
        fc.constantFrom('0', '3', '128'),
        (all, protocol, entries) =>
          both.compare([['CONFIG', 'SET', 'zset-max-listpack-entries', entries], ...all], protocol as 2 | 3),
      ),
      { numRuns },
    )

  it('and tell replicas the same', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(MEMBERS, RANGES), { minLength: 20, maxLength: 60, size: 'max' }), (all) =>
        both.compareStreams(all),
      ),
      { numRuns: 40 },
    ))

  it('and of combinations', () =>
    fc.assert(
      fc.asyncProperty(fc.array(COMBINATIONS, { minLength: 20, maxLength: 60, size: 'max' }), (all) =>
        both.compareStreams(all),
      ),
      { numRuns: 40 },
    ))

  it('members and scores', () => agree(MEMBERS, 100))
  it('ranges and pops', () => agree(RANGES, 100))
  it('ranges of members', () => agree(LEX, 50))
  it('combinations', () => agree(COMBINATIONS, 100))

  it('ranks, with their scores as 7.2 tells them', () => {
    const ours = new InProcess().connect()
    ours.call('ZADD', 'z', '1', 'a', '2.5', 'b')
    assert.deepEqual(ours.call('ZRANK', 'z', 'b'), 1)
    assert.deepEqual(ours.call('ZRANK', 'z', 'b', 'WITHSCORE'), [1, '2.5'])
    assert.deepEqual(ours.call('ZREVRANK', 'z', 'b', 'withscore'), [0, '2.5'])
    assert.equal(ours.call('ZRANK', 'z', 'x'), null)
    assert.equal(ours.raw(encode(['ZRANK', 'z', 'x', 'WITHSCORE'])).latin1Slice(), '*-1\r\n')
    assert.equal(ours.outcome('ZRANK', 'z', 'a', 'foo'), 'ERR syntax error')
    assert.equal(ours.outcome('ZRANK', 'z', 'a', 'WITHSCORE', 'x'), "ERR wrong number of arguments for 'zrank' command")
  })

  it('draws members at random', () => {
    const ours = new InProcess().connect()
    for (const size of [5, 500]) {
      ours.call('DEL', 'z')
      for (let i = 0; i < size; i++) ours.call('ZADD', 'z', i, `m${i}`)
      const drawn = ours.call('ZRANDMEMBER', 'z', 4) as string[]
      assert.equal(new Set(drawn).size, 4)
      const pairs = ours.call('ZRANDMEMBER', 'z', -20, 'WITHSCORES') as string[]
      assert.equal(pairs.length, 40)
      for (let i = 0; i < pairs.length; i += 2) assert.equal(pairs[i], `m${pairs[i + 1]}`)
      assert.match(ours.call('ZRANDMEMBER', 'z') as string, /^m\d+$/)
    }
  })

  it('at the limits that Redis ships with', async () => {
    const many = Array.from({ length: 128 }, (_, i) => [String((i * 37) % 128), `m${i}`]).flat()
    await both.compare([
      ['CONFIG', 'SET', 'zset-max-listpack-entries', '128'],
      ['ZADD', 'z', ...many],
      ['OBJECT', 'ENCODING', 'z'],
      ['DUMP', 'z'],
      ['ZINCRBY', 'z', '-200.5', 'm127'],
      ['OBJECT', 'ENCODING', 'z'],
      ['ZADD', 'z', '5', 'one more'],
      ['OBJECT', 'ENCODING', 'z'],
      ['ZREM', 'z', 'one more'],
      ['OBJECT', 'ENCODING', 'z'],
      ['ZUNIONSTORE', 'z', '1', 'z'],
      ['OBJECT', 'ENCODING', 'z'],
      ['ZRANGE', 'z', '0', '-1', 'WITHSCORES'],
      ['DEBUG', 'DIGEST-VALUE', 'z'],
    ])
  })
})
