/** Short copies: every byte, and no other. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { copyShort } from '../../lib/base/copy.ts'

describe('a short copy', () => {
  it('moves exactly the bytes asked for, from anywhere to anywhere', () => {
    const place = fc.nat({ max: 20 })
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 220, maxLength: 220 }),
        place,
        fc.nat({ max: 200 }),
        place,
        (bytes, start, length, at) => {
          const target = new Uint8Array(240).fill(0xee)
          const expected = Uint8Array.from(target)
          expected.set(bytes.subarray(start, start + length), at)
          copyShort(new DataView(bytes.buffer), start, start + length, new DataView(target.buffer), at)
          assert.deepEqual(target, expected)
        },
      ),
    )
  })
})
