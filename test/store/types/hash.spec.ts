/** Hashes against a Map, on both sides of the limits. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { keyFromText } from '../../../lib/base/key.ts'
import { DEFAULT_HASH_LIMITS, HashValue } from '../../../store/types/hash.ts'
import { Listpack, PackedError } from '../../../store/types/listpack.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const field = fc.oneof(fc.constantFrom('', 'a', 'b', 'c', '1', '-5', '01'), fc.string({ unit: 'binary-ascii' }))
const value = fc.oneof(fc.integer().map(String), fc.string({ unit: 'binary-ascii', maxLength: 12 }))
const change = fc.tuple(field, fc.option(value, { nil: undefined }))
const limits = fc.record({
  hashMaxListpackEntries: fc.constantFrom(0, 3, 512),
  hashMaxListpackValue: fc.constantFrom(4, 64),
})

const contents = (hash: HashValue): [string, string][] =>
  [...hash].map(([field, value]) => [field.latin1Slice(), value.latin1Slice()])

function check(hash: HashValue, model: ReadonlyMap<string, string>): void {
  assert.equal(hash.size, model.size)
  assert.deepEqual(new Map(contents(hash)), model)
  for (const [name, text] of model) {
    const spot = hash.find(keyFromText(name))
    assert.equal(hash.value(spot).latin1Slice(), text)
    assert.equal(hash.valueLength(spot), text.length)
  }
  const places = Array.from({ length: hash.size }, (_, place) => hash.field(hash.spot(place)).latin1Slice())
  assert.deepEqual(
    places,
    contents(hash).map(([name]) => name),
  )
}

describe('a hash', () => {
  it('holds what a map would, packed and plain, and so do its copy and what is read from its bytes', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60, size: 'max' }), limits, (changes, limits) => {
        const hash = new HashValue()
        const model = new Map<string, string>()
        let isPlain = false
        for (const [name, text] of changes) {
          if (text === undefined) assert.equal(hash.delete(keyFromText(name)), model.delete(name))
          else {
            assert.equal(hash.set(keyFromText(name), bytes(text), limits), !model.has(name))
            model.set(name, text)
            const longest = Math.max(name.length, text.length)
            isPlain ||= model.size > limits.hashMaxListpackEntries || longest > limits.hashMaxListpackValue
          }
          assert.equal(hash.find(keyFromText(name)) >= 0, model.has(name))
        }
        assert.equal(hash.encoding, isPlain ? 'hashtable' : 'listpack')
        check(hash, model)
        check(hash.copy(), model)
        if (hash.packedBytes !== undefined) check(HashValue.fromPacked(Buffer.from(hash.packedBytes)), model)
      }),
      { numRuns: 300 },
    )
  })

  it('keeps the order of its fields while it is packed', () => {
    const hash = new HashValue()
    for (const name of ['z', 'a', 'm', 'a']) hash.set(keyFromText(name), bytes('1'), DEFAULT_HASH_LIMITS)
    assert.deepEqual(
      contents(hash).map(([name]) => name),
      ['z', 'a', 'm'],
    )
  })

  it('leaves a copy alone, and the other way round', () => {
    for (const hashMaxListpackEntries of [0, 512]) {
      const limits = { hashMaxListpackEntries, hashMaxListpackValue: 64 }
      const hash = new HashValue()
      hash.set(keyFromText('a'), bytes('1'), limits)
      const copy = hash.copy()
      hash.set(keyFromText('a'), bytes('2'), limits)
      copy.set(keyFromText('b'), bytes('3'), limits)
      assert.deepEqual(contents(hash), [['a', '2']])
      assert.deepEqual(contents(copy), [
        ['a', '1'],
        ['b', '3'],
      ])
    }
  })

  it('refuses a listpack with a field twice or without its value', () => {
    for (const elements of [['a'], ['a', '1', 'b', '2', 'a', '3']]) {
      const pack = Listpack.empty()
      for (const element of elements) pack.append(bytes(element))
      assert.throws(() => HashValue.fromPacked(pack.bytes), PackedError)
    }
  })
})
