/** Intsets against a sorted array, and against the bytes a real server makes. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type Int64, Intset } from '../../../store/types/intset.ts'
import { PackedError } from '../../../store/types/listpack.ts'

/** Integers that meet each other, at every width. */
const integer: fc.Arbitrary<Int64> = fc
  .oneof(
    fc.bigInt({ min: -10n, max: 10n }),
    fc.bigInt({ min: 2n ** 15n - 3n, max: 2n ** 15n + 3n }),
    fc.bigInt({ min: -(2n ** 31n) - 3n, max: -(2n ** 31n) + 3n }),
    fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
    fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n),
  )
  .map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value))

const contents = (set: Intset): Int64[] => Array.from({ length: set.count }, (_, i) => set.at(i))

describe('an intset', () => {
  it('holds what a sorted array would, and is read back from its bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(integer, fc.boolean()), { maxLength: 80, size: 'max' }), (actions) => {
        const set = Intset.empty()
        const model = new Set<Int64>()
        for (const [value, add] of actions) {
          assert.equal(set.has(value), model.has(value))
          if (add) {
            assert.equal(set.add(value), !model.has(value))
            model.add(value)
          } else assert.equal(set.remove(value), model.delete(value))
        }
        const sorted = [...model].sort((a, b) => (a < b ? -1 : 1))
        assert.deepEqual(contents(set), sorted)
        assert.deepEqual(contents(Intset.from(Buffer.from(set.bytes))), sorted)
        assert.deepEqual(contents(set.copy()), sorted)
      }),
      { numRuns: 300 },
    )
  })

  it('is the bytes that a real server makes: elements are as wide as the widest ever added', () => {
    const set = Intset.empty()
    set.add(1)
    set.add(-2)
    assert.equal(set.bytes.toString('hex'), '0200000002000000feff0100')
    set.add(70_000)
    set.remove(70_000)
    assert.equal(set.bytes.toString('hex'), '0400000002000000feffffff01000000')
  })

  it('refuses other widths, lengths that do not fit, elements out of order or twice', () => {
    for (const hex of [
      '',
      '02000000010000',
      '03000000010000000100',
      '0200000002000000feff',
      '020000000200000001000000',
      '020000000200000001000100',
    ])
      assert.throws(() => Intset.from(Buffer.from(hex, 'hex')), PackedError, hex)
  })
})
