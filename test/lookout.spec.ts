/** When a node looks out for a request instead of sleeping. */
import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { lookout, patience } from '../lib/lookout.ts'

describe('looking out for a request', () => {
  /** How many requests are not looked out for before the next one that is. */
  const skipped = ({ mayLook }: ReturnType<typeof patience>): number => {
    for (let count = 0; count < 1000; count++) if (mayLook()) return count
    return Number.POSITIVE_INFINITY
  }

  it('is given up for longer after each failure in a row, within bounds, and taken up again with the first success', () => {
    const one = patience(2)
    const seen: number[] = []
    for (const success of [true, true, ...Array<boolean>(9).fill(false), true, true, false, true]) {
      seen.push(skipped(one))
      one.ended(success)
    }
    assert.deepEqual(seen, [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 128, 0, 0, 1])
  })

  it('is not done on a single processor', () => {
    assert.equal(skipped(patience(1)), Number.POSITIVE_INFINITY)
  })

  it('keeps the event loop from sleeping until the request is there', function () {
    if (availableParallelism() === 1) this.skip()
    const { setImmediate } = globalThis
    const due: (() => void)[] = []
    Object.assign(globalThis, { setImmediate: (run: () => void) => due.push(run) })
    try {
      const stats = { reads: 0 }
      const expectRequest = lookout(stats)
      expectRequest()
      expectRequest()
      assert.equal(due.length, 1, 'one look for both')
      stats.reads++
      due.pop()!()
      assert.equal(due.length, 0, 'the request is there')
      expectRequest()
      assert.equal(due.length, 1, 'the next one is expected')
      const begun = performance.now()
      let turns = 0
      for (; due.length > 0; turns++) due.pop()!()
      assert.ok(turns > 0 && performance.now() - begun < 5000, `${turns} turns`)
      expectRequest()
      assert.equal(due.length, 0, 'it was late')
    } finally {
      Object.assign(globalThis, { setImmediate })
    }
  })
})
