/** Lists: what a real server answers, and what replicas are told. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Differential, type Request, requests, someInteger, someKey, someValue } from '../support/differential.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

/** Few, so that they are found again. */
const element = fc.oneof(fc.constantFrom('a', 'b', '1', '-3', 'x'.repeat(3000)), someValue)
const index = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: -6, max: 6 }) }, someInteger)
const side = fc.constantFrom('LEFT', 'right', 'Left', 'up')
const count = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: -1, max: 4 }) }, someInteger)
const numkeys = fc.constantFrom('1', '2', '3', '0', '-1', 'x', '9223372036854775807')
const timeout = fc.constantFrom('0.001', '-1', '1e30', 'inf', 'nan', 'x', '')
const option = fc.constantFrom('RANK', 'count', 'MAXLEN', 'foo')

const LISTS = requests([
  ['lpush', someKey, element],
  ['lpush', someKey, element, element, element],
  ['rpush', someKey, element, element],
  ['rpush', someKey, element, element, element, element, element, element],
  ['lpushx', someKey, element],
  ['rpushx', someKey, element, element],
  ['llen', someKey],
  ['lindex', someKey, index],
  ['lrange', someKey, index, index],
  ['lrange', someKey, '0', '-1'],
  ['lrange', someKey, '0', '-1'],
  ['linsert', someKey, fc.constantFrom('BEFORE', 'after', 'under'), element, element],
  ['lset', someKey, index, element],
  ['lrem', someKey, count, element],
  ['ltrim', someKey, index, index],
  ['lpos', someKey, element],
  ['lpos', someKey, element, option, count],
  ['lpos', someKey, element, option, count, option, count, option, count],
  ['type', someKey],
  ['object', 'encoding', someKey],
  ['set', someKey, element],
  ['del', someKey],
  ['rename', someKey, someKey],
  ['copy', someKey, someKey],
])

const POPS = [
  ['lpop', someKey],
  ['rpop', someKey],
  ['lpop', someKey, count],
  ['rpop', someKey, count],
  ['lmpop', '1', someKey, side],
  ['lmpop', numkeys, someKey, someKey, side],
  ['lmpop', '2', someKey, someKey, side, 'COUNT', count],
  ['lmpop', '1', someKey, side, 'count', '2', 'COUNT', '2'],
  ['lmove', someKey, someKey, side, side],
  ['lmove', someKey, someKey, 'LEFT', 'RIGHT'],
  ['rpoplpush', someKey, someKey],
]

/** Those that wait only do so when all keys are missing; in a transaction they never do. */
const WAITING = [
  ['blpop', someKey, someKey, timeout],
  ['BRPOP', someKey, timeout],
  ['blmpop', timeout, '2', someKey, someKey, side],
  ['blmpop', timeout, numkeys, someKey, side, 'COUNT', count],
  ['blmove', someKey, someKey, side, side, timeout],
  ['BRPOPLPUSH', someKey, someKey, timeout],
]

const FILL = [
  ['lpush', someKey, element],
  ['rpush', someKey, element, element, element],
  ['lrange', someKey, '0', '-1'],
  ['exists', someKey],
  ['set', someKey, element],
]
const ALL = fc.oneof({ weight: 2, arbitrary: LISTS }, requests([...POPS, ...FILL]))

/** Nothing waits inside a transaction. */
const inTransaction = (inner: readonly Request[]): readonly Request[] => [['MULTI'], ...inner, ['EXEC']]

describeBeside('lists answer as redis-server 7.0 does', function () {
  this.timeout(60_000)
  let both: Differential
  before(async () => {
    both = await Differential.start()
  })
  after(stopEverything)

  for (const protocol of [2, 3] as const)
    it(`whatever is done to them, in RESP${protocol}`, () =>
      fc.assert(
        fc.asyncProperty(fc.array(ALL, { minLength: 20, maxLength: 60 }), (sequence) =>
          both.compare(sequence, protocol),
        ),
        { numRuns: 60 },
      ))

  for (const protocol of [2, 3] as const)
    it(`in transactions, where nobody is kept waiting, in RESP${protocol}`, () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(requests([...WAITING, ...POPS, ...FILL]), { minLength: 10, maxLength: 40 }),
          (sequence) => both.compare(inTransaction(sequence), protocol),
        ),
        { numRuns: 60 },
      ))

  it('and tell replicas the same', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(ALL, requests([...WAITING, ...POPS, ...FILL])), { minLength: 10, maxLength: 40 }),
        (sequence) => both.compareStreams(inTransaction(sequence)),
      ),
      { numRuns: 40 },
    ))

  for (const size of ['-1', '-5', '3', '0'])
    it(`with list-max-listpack-size ${size}`, () =>
      fc.assert(
        fc.asyncProperty(fc.array(ALL, { minLength: 20, maxLength: 60 }), (sequence) =>
          both.compare([['CONFIG', 'SET', 'list-max-listpack-size', size], ...sequence]),
        ),
        { numRuns: 15 },
      ))
})

describe('LMOVE', () => {
  it('changes a list and makes another, whatever collections were used since', () => {
    const node = new InProcess().connect()
    node.call('RPUSH', 'from', 'a', 'b', 'c')
    for (const other of ['x', 'y', 'z']) node.call('RPUSH', other, '1')
    assert.equal(node.call('LMOVE', 'from', 'to', 'RIGHT', 'LEFT'), 'c')
    assert.equal(node.call('LMOVE', 'from', 'to', 'RIGHT', 'LEFT'), 'b')
    assert.deepEqual(node.call('LRANGE', 'to', 0, -1), ['b', 'c'])
  })
})
