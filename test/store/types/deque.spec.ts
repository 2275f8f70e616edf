/** The ring behind large lists, against a plain array. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Deque } from '../../../store/types/deque.ts'

const place = fc.nat({ max: 1000 })
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('insert' as const), place }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('remove' as const), place }) },
  fc.record({ type: fc.constant('keep' as const), place: fc.integer({ min: 2, max: 9 }) }),
)

describe('a deque', () => {
  it('is what an array would be, and so is its copy', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const deque = new Deque<number>()
        let model: number[] = []
        let copied: { readonly copy: Deque<number>; readonly model: readonly number[] } | undefined
        for (const [i, { type, place }] of steps.entries()) {
          if (i === 100) copied = { copy: deque.copy(), model: [...model] }
          if (type === 'insert') {
            const at = place % (model.length + 1)
            deque.insert(at, i)
            model.splice(at, 0, i)
          } else if (type === 'remove' && model.length > 0) {
            deque.remove(place % model.length)
            model.splice(place % model.length, 1)
          } else if (type === 'keep') {
            deque.keep((item) => item % place !== 0)
            model = model.filter((item) => item % place !== 0)
          }
          assert.equal(deque.size, model.length)
        }
        const contents = (of: Deque<number>): number[] => Array.from({ length: of.size }, (_, i) => of.at(i))
        assert.deepEqual(contents(deque), model)
        if (copied !== undefined) assert.deepEqual(contents(copied.copy), copied.model)
      }),
    )
  })
})
