/** Sets against a Set, in all their forms. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { keyFromText } from '../../../lib/base/key.ts'
import { Intset } from '../../../store/types/intset.ts'
import { Listpack, PackedError } from '../../../store/types/listpack.ts'
import { DEFAULT_SET_LIMITS, SetValue } from '../../../store/types/set.ts'

const integer = fc.oneof(
  fc.integer({ min: -8, max: 8 }).map(String),
  fc.bigInt({ min: 2n ** 63n - 2n, max: 2n ** 63n + 1n }).map(String),
)
const text = fc.oneof(
  fc.constantFrom('', '007', '-0', 'x'.repeat(64), 'x'.repeat(65)),
  fc.string({ unit: 'binary-ascii', maxLength: 3 }),
)
const changes = (member: fc.Arbitrary<string>): fc.Arbitrary<[string, boolean][]> =>
  fc.array(fc.tuple(member, fc.boolean()), { maxLength: 60, size: 'max' })

function check(set: SetValue, model: ReadonlySet<string>): void {
  assert.equal(set.size, model.size)
  assert.deepEqual(new Set(set), model)
  assert.deepEqual(
    Array.from({ length: set.size }, (_, place) => set.at(place).text()),
    [...set],
  )
  assert.deepEqual(
    Array.from(set.keys(), (key) => key.text()),
    [...set],
  )
  for (const member of model) {
    assert.ok(set.has(member))
    assert.ok(set.has(keyFromText(member)))
  }
  checkDrawing(set.copy())
}

/** Taken out by their places, the members are all different and none is left. */
function checkDrawing(set: SetValue): void {
  const { size } = set
  const drawn = new Set<string>()
  while (set.size > 0) {
    const place = set.size >> 1
    drawn.add(set.at(place).text())
    set.removeAt(place)
  }
  assert.equal(drawn.size, size)
}

describe('a set', () => {
  const isInteger = (member: string): boolean => /^(0|-?[1-9]\d*)$/.test(member) && BigInt(member) < 2n ** 63n

  it('holds what a Set would, integers or not, and so do its copy and what is read from its bytes', () => {
    fc.assert(
      fc.property(
        fc.oneof(changes(integer), changes(text), changes(fc.oneof({ weight: 9, arbitrary: integer }, text))),
        fc.constantFrom(0, 5, 512),
        (changes, setMaxIntsetEntries) => {
          const set = new SetValue()
          const model = new Set<string>()
          let isIntset = true
          for (const [member, add] of changes) {
            if (add) {
              assert.equal(set.add(keyFromText(member), { setMaxIntsetEntries }), !model.has(member))
              model.add(member)
              isIntset &&= isInteger(member) && model.size <= setMaxIntsetEntries
            } else assert.equal(set.remove(keyFromText(member)), model.delete(member))
            assert.equal(set.has(member), model.has(member))
          }
          assert.equal(set.encoding, isIntset ? 'intset' : 'hashtable')
          check(set, model)
          check(set.copy(), model)
          if (set.packedBytes !== undefined) check(SetValue.fromPacked(Buffer.from(set.packedBytes)), model)
        },
      ),
      { numRuns: 400 },
    )
  })

  it('grows past every limit with all its members', () => {
    const set = new SetValue()
    const model = new Set<string>()
    for (let i = 0; i < 600; i++) {
      const member = i < 100 ? String(i) : `m${i}`
      set.add(member, DEFAULT_SET_LIMITS)
      model.add(member)
      if (i === 99 || i === 100 || i === 127 || i === 128) check(set, model)
    }
    check(set, model)
    for (const member of model) assert.ok(set.remove(member))
    assert.equal(set.size, 0)
  })

  it('leaves a copy alone, and the other way round', () => {
    for (const member of ['1', 'a', 'x'.repeat(65)]) {
      const set = new SetValue()
      set.add(member, DEFAULT_SET_LIMITS)
      const copy = set.copy()
      set.remove(member)
      copy.add('2', DEFAULT_SET_LIMITS)
      assert.deepEqual([...set], [])
      assert.deepEqual(new Set(copy), new Set([member, '2']))
    }
  })

  it('is read from an intset or a listpack, whichever it is, and refuses members that come twice', () => {
    const integers = Intset.empty()
    for (const value of [3, 1, 2 ** 40]) integers.add(value)
    assert.deepEqual([...SetValue.fromPacked(integers.bytes)], ['1', '3', String(2 ** 40)])
    const pack = Listpack.empty()
    for (const member of ['b', '1', 'a']) pack.append(Buffer.from(member))
    assert.deepEqual([...SetValue.fromPacked(Buffer.from(pack.bytes))], ['b', '1', 'a'])
    pack.append(Buffer.from('b'))
    assert.throws(() => SetValue.fromPacked(pack.bytes), PackedError)
  })
})
