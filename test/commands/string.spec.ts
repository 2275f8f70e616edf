/** Strings: what a real server answers, and what replicas are told. */
import fc from 'fast-check'
import { Differential, requests, someInteger, someKey, someValue } from '../support/differential.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const seconds = fc.oneof(
  fc.constantFrom<string>('0', '-1', '100', '5000', '9223372036854775', '9223372036854775807'),
  someInteger,
)
const farSeconds = fc.constantFrom('100', '5000')
const option = fc.constantFrom('NX', 'xx', 'GET', 'KEEPTTL', 'EX', 'PX', 'PERSIST', 'foo', '100')

const STRINGS = requests([
  ['get', someKey],
  ['set', someKey, someValue],
  ['set', someKey, someValue],
  ['set', someKey, someValue, option],
  ['set', someKey, someValue, option, option],
  ['set', someKey, someValue, option, 'ex', farSeconds],
  ['set', someKey, someValue, 'EX', farSeconds, option],
  ['set', someKey, someValue, 'px', fc.constantFrom('200000', '0', '-5', 'x', '9223372036854775807')],
  ['set', someKey, someValue, 'EXAT', fc.constantFrom('1', '4000000000', '9223372036854775', '9223372036854776')],
  ['set', someKey, someValue, 'pxat', fc.constantFrom('1', '4000000000000')],
  ['setnx', someKey, someValue],
  ['setex', someKey, fc.constantFrom('100', '0', '-1', 'x', '9223372036854776'), someValue],
  ['psetex', someKey, fc.constantFrom('100000', '0', '-1', 'x', '9223372036854775807'), someValue],
  ['getset', someKey, someValue],
  ['getdel', someKey],
  ['getex', someKey],
  ['getex', someKey, option],
  ['getex', someKey, 'EX', farSeconds],
  ['getex', someKey, 'PXAT', fc.constantFrom('1', '4000000000000', '0')],
  ['mget', someKey, someKey, someKey],
  ['mset', someKey, someValue, someKey, someValue],
  ['mset', someKey, someValue, someKey],
  ['msetnx', someKey, someValue, someKey, someValue],
  ['append', someKey, someValue],
  ['append', someKey, someValue],
  ['strlen', someKey],
  [
    'setrange',
    someKey,
    fc.oneof(
      fc.integer({ min: -1, max: 40 }),
      someInteger.filter((i) => !/^\d{10,18}$/.test(String(i))),
    ),
    someValue,
  ],
  ['getrange', someKey, someInteger, someInteger],
  ['substr', someKey, fc.integer({ min: -12, max: 12 }), fc.integer({ min: -12, max: 12 })],
  ['ttl', someKey],
  ['object', 'encoding', someKey],
  ['object', 'refcount', someKey],
])

const COUNTERS = requests([
  ['set', someKey, someInteger],
  ['incr', someKey],
  ['decr', someKey],
  ['incrby', someKey, someInteger],
  ['decrby', someKey, someInteger],
  ['get', someKey],
  ['object', 'encoding', someKey],
  ['expire', someKey, seconds],
  ['ttl', someKey],
])

const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), maxLength: 12 })
const LCS = requests([
  ['set', someKey, letters],
  ['lcs', someKey, someKey],
  ['lcs', someKey, someKey, 'LEN'],
  ['lcs', someKey, someKey, 'idx'],
  ['lcs', someKey, someKey, 'IDX', 'WITHMATCHLEN'],
  ['lcs', someKey, someKey, 'IDX', 'MINMATCHLEN', someInteger],
  ['lcs', someKey, someKey, 'IDX', 'MINMATCHLEN', '2', 'WITHMATCHLEN'],
  ['lcs', someKey, someKey, 'LEN', 'IDX'],
  ['lcs', someKey, someKey, 'MINMATCHLEN'],
])

/** Decimal text of all sizes, and what else C's strtold takes. */
const someFloat = fc.oneof(
  fc.double({ noNaN: true }).map(String),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((x) => x.toFixed(6)),
  fc.integer({ min: -1000, max: 1000 }).map((x) => String(x / 100)),
  fc
    .tuple(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), fc.integer({ min: -40, max: 40 }))
    .map(([m, e]) => `${m}e${e}`),
  fc.constantFrom(
    ...['0.1', '3.0e3', '-0', '.5', '5.', '1e-30', '1e4931', '-1e4932', '1e4933', '1e-4940', '1e-4951', '1e-5000'],
    ...[
      'inf',
      '-Infinity',
      'nan',
      '0x1p3',
      '0xA.8',
      '-0x.8p1',
      '0x',
      '1e',
      'e5',
      '.',
      '',
      ' 1',
      '1 ',
      '+2.5',
      '--1',
      '1,5',
    ],
    ...[
      '9223372036854775807',
      '18446744073709551615.5',
      '0.00000000000000000499',
      '0.000000000000000005',
      '1e99999999999',
    ],
  ),
)

const FLOATS = requests([
  ['set', someKey, someFloat],
  ['incrbyfloat', someKey, someFloat],
  ['incrbyfloat', someKey, someFloat],
  ['incrbyfloat', someKey, someFloat],
  ['del', someKey],
])

describeBeside('string commands answer like redis-server 7.0', function () {
  this.timeout(60_000)
  let both: Differential
  before(async () => {
    both = await Differential.start()
  })
  after(stopEverything)

  it('whole values, ranges, options', () => both.agree(STRINGS, 120))
  it('integers', () => both.agree(COUNTERS, 60))
  it('floats, in 64-bit extended precision', () => both.agree(FLOATS, 120))
  it('LCS', () => both.agree(LCS, 50))

  it('refuses to grow a string beyond proto-max-bulk-len', () =>
    both.compare([
      ['SETRANGE', 'k', '536870912', 'x'],
      ['SET', 'k', 'v'],
      ['SETRANGE', 'k', '536870911', 'xy'],
      ['SETRANGE', 'k', '9223372036854775806', 'x'],
      ['CONFIG', 'SET', 'proto-max-bulk-len', '1048576'],
      ['SET', 'k', 'x'.repeat(1_048_576)],
      ['APPEND', 'k', 'y'],
      ['CONFIG', 'SET', 'proto-max-bulk-len', '536870912'],
    ]))

  it('refuses an LCS that needs too much memory', () =>
    both.compare([
      ['MSET', 'a', 'x'.repeat(12_000), 'b', 'x'.repeat(12_000)],
      ['LCS', 'a', 'b', 'LEN'],
    ]))
})
