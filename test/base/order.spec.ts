/** The order of numbers against a stable sort by comparing. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ascending } from '../../lib/base/order.ts'

const compared = (values: readonly number[]): number[] =>
  values.map((_, i) => i).sort((a, b) => (values[a]! < values[b]! ? -1 : values[a]! > values[b]! ? 1 : a - b))

const number = fc.oneof(
  fc.double({ noNaN: true }),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.MIN_VALUE, -Number.MIN_VALUE),
)

describe('the order of numbers', () => {
  it('is ascending, and equal ones keep theirs, however few or many there are', () => {
    fc.assert(
      fc.property(fc.array(number), fc.constantFrom(1, 1000), (some, times) => {
        const values = Array.from({ length: times }, (_, i) => some.map((one) => one + (i % 3))).flat()
        assert.deepEqual([...ascending(Float64Array.from(values))], compared(values))
      }),
      { numRuns: 50 },
    )
  })
})
