/** What replicas are told of a command: its effect, in a form that does not depend on when and where it is carried out. */
import fc from 'fast-check'
import { Differential, requests, someKey, someValue } from '../support/differential.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const option = fc.constantFrom('NX', 'XX', 'GET', 'KEEPTTL')
const condition = fc.constantFrom('nx', 'XX', 'GT', 'lt')

const WRITES = requests([
  ['set', someKey, someValue],
  ['SET', someKey, someValue, option],
  ['set', someKey, someValue, option, option],
  ['set', someKey, someValue, 'EX', '4000', option],
  ['set', someKey, someValue, 'PX', '4000000'],
  ['set', someKey, someValue, 'EXAT', '4000000000'],
  ['set', someKey, someValue, 'PXAT', '1'],
  ['setex', someKey, '4000', someValue],
  ['psetex', someKey, '4000000', someValue],
  ['setnx', someKey, someValue],
  ['getset', someKey, someValue],
  ['getdel', someKey],
  ['getex', someKey],
  ['getex', someKey, 'EX', '4000'],
  ['getex', someKey, 'EXAT', '1'],
  ['getex', someKey, 'PERSIST'],
  ['mset', someKey, someValue, someKey, someValue],
  ['msetnx', someKey, someValue],
  ['incr', someKey],
  ['incrbyfloat', someKey, '1.5'],
  ['append', someKey, someValue],
  ['setrange', someKey, '3', someValue],
  ['get', someKey],
  ['del', someKey, someKey],
  ['unlink', someKey],
  ['rename', someKey, someKey],
  ['copy', someKey, someKey, 'REPLACE'],
  ['move', someKey, '1'],
  ['select', fc.constantFrom('0', '1')],
  ['expire', someKey, '4000'],
  ['expire', someKey, '4000', fc.constantFrom('NX', 'xx')],
  ['pexpire', someKey, '4000000'],
  ['expireat', someKey, fc.constantFrom('4000000000', '4100000000'), condition],
  ['expireat', someKey, '4000000000'],
  ['expire', someKey, '-1'],
  ['pexpireat', someKey, '1', condition],
  ['persist', someKey],
  ['touch', someKey],
  ['exists', someKey],
])

describeBeside('replicas of ours are told what replicas of redis-server 7.0 are', function () {
  this.timeout(60_000)
  let both: Differential
  before(async () => {
    both = await Differential.start()
  })
  after(stopEverything)

  it('of strings and keys', () =>
    fc.assert(
      fc.asyncProperty(fc.array(WRITES, { minLength: 30, maxLength: 60, size: 'max' }), (all) =>
        both.compareStreams(all),
      ),
      { numRuns: 60 },
    ))

  it('of transactions: several effects are one, a single effect is not wrapped', () =>
    both.compareStreams([
      ['MULTI'],
      ['SET', 'a', '1', 'EX', '4000'],
      ['INCR', 'b'],
      ['GET', 'a'],
      ['EXEC'],
      ['MULTI'],
      ['INCR', 'b'],
      ['EXEC'],
      ['MULTI'],
      ['GET', 'b'],
      ['EXEC'],
      ['SET', 'a', '1', 'PXAT', '1'],
      ['GET', 'a'],
      ['SET', 'a', '1', 'PXAT', '1'],
      ['INCR', 'a'],
    ]))
})
