/** Bitmaps and bit fields: what a real server answers. */
import fc from 'fast-check'
import { Differential, type Request, requests, someInteger, someKey, someValue } from '../support/differential.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const bit = fc.constantFrom('0', '1', '2', '-1', 'x')
const near = fc.integer({ min: -1, max: 200 })
const offset = fc.oneof({ weight: 5, arbitrary: near }, fc.constantFrom('4294967296', '4294967295999', 'x', '-9'))
const index = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -30, max: 30 }) }, someInteger)
const unit = fc.constantFrom('BIT', 'byte', 'foo')
const width = fc.constantFrom('u1', 'i1', 'u5', 'i8', 'u8', 'i16', 'u63', 'i64', 'u64', 'i65', 'i0', 'x8', 'u')
const field = fc.oneof(fc.integer({ min: 0, max: 80 }), fc.constantFrom('#0', '#1', '#7', '-1', '#-1', '#x', 'x'))
// Not the very lowest: there C's arithmetic overflows, and SAT ends at the wrong limit.
const operand = fc.oneof(
  fc.constantFrom('0', '1', '-1', '100', '255', '-129', '9223372036854775807'),
  someInteger.filter((text) => !/^-92233720368/.test(String(text))),
)
const overflow = fc.constantFrom('WRAP', 'sat', 'FAIL', 'foo')

const BITMAPS = requests([
  ['set', someKey, someValue],
  ['setbit', someKey, near, fc.constantFrom('0', '1')],
  ['setbit', someKey, near, fc.constantFrom('0', '1')],
  ['setbit', someKey, fc.oneof(near, fc.constantFrom('4294967296', 'x', '-9')), bit],
  ['getbit', someKey, offset],
  ['bitcount', someKey],
  ['bitcount', someKey, index, index],
  ['bitcount', someKey, index, index, unit],
  ['bitcount', someKey, index],
  ['bitpos', someKey, bit],
  ['bitpos', someKey, bit, index],
  ['bitpos', someKey, bit, index, index],
  ['bitpos', someKey, bit, index, index, unit],
  ['bitpos', someKey, bit, index, index, unit, unit],
  ['bitop', fc.constantFrom('AND', 'or', 'XOR', 'nand'), someKey, someKey, someKey],
  ['bitop', fc.constantFrom('not', 'and'), someKey, someKey],
  ['bitop', 'not', someKey, someKey, someKey],
  ['bitfield', someKey, 'GET', width, field],
  ['bitfield', someKey, 'SET', width, field, operand],
  ['bitfield', someKey, 'incrby', width, field, operand],
  ['bitfield', someKey, 'overflow', overflow, 'incrby', width, field, operand, 'get', 'u8', '0'],
  ['bitfield', someKey, 'overflow', overflow, 'set', width, field, operand, 'GET', 'i64', '#0'],
  ['bitfield', someKey, 'get', 'u8'],
  ['bitfield_ro', someKey, 'GET', width, field],
  ['bitfield_ro', someKey, 'SET', 'u8', '0', '1'],
  ['get', someKey],
])

describeBeside('bitmaps', function () {
  this.timeout(60_000)
  let pair: Differential

  before(async () => {
    pair = await Differential.start()
  })
  after(stopEverything)

  it('answer any sequence of requests as redis-server does', () =>
    fc.assert(
      fc.asyncProperty(fc.array(BITMAPS, { minLength: 1, maxLength: 60 }), fc.constantFrom(2, 3), (all, resp) =>
        pair.compare(all as Request[], resp as 2 | 3),
      ),
      { numRuns: 150 },
    ))
})
