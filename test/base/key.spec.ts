/** Keys as ranges of other people's bytes. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Key, keyFromText, keyOf } from '../../lib/base/key.ts'
import { slotOf } from '../../lib/base/slot.ts'

/** Braces are not rare in it: hash tags, and what only looks like one. */
const name = fc
  .array(fc.oneof(fc.constantFrom(0x7b, 0x7d, 0x61), fc.integer({ min: 0, max: 255 })), { maxLength: 40 })
  .map((bytes) => Buffer.from(bytes))

describe('a key', () => {
  it('has the slot of its bytes, and a hash that depends on nothing else', () => {
    fc.assert(
      fc.property(name, name, name, (bytes, before, after) => {
        const inside = new Key(Buffer.concat([before, bytes, after]), before.length, before.length + bytes.length)
        assert.equal(inside.slot(), slotOf(bytes))
        assert.equal(inside.hash(), keyOf(bytes).hash())
      }),
    )
  })

  it('has another hash than other keys', () => {
    const hashes = new Set(Array.from({ length: 10_000 }, (_, i) => keyFromText(`{tag}${i}`).hash()))
    assert.ok(hashes.size > 9990, `${hashes.size} hashes of 10000 keys`)
  })

  it('is another key once it points elsewhere', () => {
    const key = keyFromText('one')
    const [slot, hash] = [key.slot(), key.hash()]
    key.set(Buffer.from('other'), 0, 5)
    assert.equal(key.slot(), slotOf(Buffer.from('other')))
    assert.notEqual(key.hash(), hash)
    key.set(Buffer.from('one'), 0, 3)
    assert.deepEqual([key.slot(), key.hash()], [slot, hash])
  })
})
