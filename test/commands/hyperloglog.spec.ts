/** HyperLogLog: a real server's estimates and, through GET, a real server's bytes. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { murmurHash64 } from '../../lib/base/murmur.ts'
import { Differential, type Request, requests, someValue } from '../support/differential.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const key = fc.constantFrom('a', 'b', 'c', 'other')
const element = fc.oneof(someValue, fc.nat(100_000).map(String))
const many = fc.tuple(fc.nat(100_000), fc.constantFrom(1, 10, 300, 3000))

const LOGS = requests([
  ['pfadd', key, element],
  ['pfadd', key, element, element, element],
  ['pfadd', key],
  ['pfcount', key],
  ['pfcount', key, key],
  ['pfmerge', key, key],
  ['pfmerge', key, key, key],
  ['pfdebug', fc.constantFrom('encoding', 'ToDense', 'foo'), key],
  ['get', key],
  ['set', 'other', fc.constantFrom('', 'HYLL', 'HYLLxxxxxxxxxxxxx', `HYLL\x01${'\0'.repeat(11)}\x7f\xf0`)],
])

/** One PFADD of many elements. */
const BULK: fc.Arbitrary<Request> = fc
  .tuple(key, many)
  .map(([name, [from, count]]) => ['pfadd', name, ...Array.from({ length: count }, (_, i) => `element:${from + i}`)])

describeBeside('HyperLogLog', function () {
  this.timeout(60_000)
  let pair: Differential

  before(async () => {
    pair = await Differential.start()
  })
  after(stopEverything)

  it('hashes as MurmurHash64A does', () => {
    const hash = (text: string): string => {
      const [low, high] = murmurHash64(Buffer.from(text), 0xadc83b19)
      return ((BigInt(high) << 32n) | BigInt(low)).toString(16)
    }
    assert.equal(new Set(['', 'a', 'abcdefg', 'abcdefgh', 'abcdefghi'].map(hash)).size, 5)
  })

  it('tries itself out', () => pair.compare([['PFSELFTEST'], ['PFSELFTEST', 'x']]))

  it('answers and stores what redis-server does', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 6, arbitrary: LOGS }, BULK), { minLength: 1, maxLength: 40 }),
        (all) =>
          pair.compare([
            ...all,
            ...['a', 'b', 'c'].flatMap((name) => [
              ['pfcount', name],
              ['get', name],
            ]),
          ] as Request[]),
      ),
      { numRuns: 60 },
    ))
})
