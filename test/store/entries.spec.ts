/** The entries of a database against a plain map: values of all sizes, deadlines, access times; and all memory comes back. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { keyFromText } from '../../lib/base/key.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { CLOCK_MASK, Entries, LONGEST_INSIDE } from '../../store/entries.ts'
import { DEFAULT_SET_LIMITS, SetValue } from '../../store/types/set.ts'
import { stringOf } from '../../store/types/string.ts'
import type { Value } from '../../store/value.ts'

interface Held {
  readonly value: Value
  readonly expireAt: number
  readonly clock: number
}

/** Lengths on both sides of every limit there is, most of them small. */
const LENGTHS = [0, 1, 7, 8, 9, 40, 64, 96, 97, 200, 500, 600, LONGEST_INSIDE, LONGEST_INSIDE + 1, 20_000]

describe('entries', () => {
  it('hold what a map holds', () => {
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom(5, 60, 900), (seed, variety) => {
        const random = seededRandom(seed)
        const entries = new Entries()
        const model = new Map<string, Held>()
        const name = (): string =>
          `${random.below(2) === 0 ? '{tag}' : ''}${'k'.repeat(random.below(4))}${random.below(variety)}`
        const deadline = (): number => (random.below(3) === 0 ? 1 + random.below(2 ** 45) : 0)

        for (let i = 0; i < 2500; i++) {
          const text = name()
          const key = keyFromText(text)
          const at = entries.find(key)
          assert.equal(at !== 0, model.has(text))
          const roll = random.below(100)
          const clock = random.below(CLOCK_MASK + 1)
          if (roll < 45) {
            const length = LENGTHS[random.below(LENGTHS.length - (random.below(8) === 0 ? 0 : 3))]!
            const bytes = Buffer.alloc(length, random.below(256))
            const expireAt = deadline()
            if (random.below(2) === 0) entries.putBytes(key, at, bytes, 0, length, false, expireAt, clock)
            else entries.put(key, at, stringOf(bytes), expireAt, clock)
            model.set(text, { value: stringOf(bytes), expireAt, clock })
          } else if (roll < 55) {
            const value = setOf(random.below(40), random.below(3) * 20)
            const expireAt = deadline()
            entries.put(key, at, value.copy(), expireAt, clock)
            model.set(text, { value, expireAt, clock })
          } else if (at !== 0 && roll < 65 && model.get(text)!.value.type === 'set') {
            // What is changed in place is what the store holds from then on, packed or not.
            const value = model.get(text)!.value as SetValue
            const lent = entries.lend(at) as SetValue
            for (const member of setOf(random.below(60), random.below(3) * 20)) {
              const change = random.below(2) === 0 ? 'add' : 'remove'
              for (const set of [value, lent]) set[change](member, DEFAULT_SET_LIMITS)
            }
            entries.settle(key, at)
          } else if (at !== 0 && roll < 70) {
            const expireAt = deadline()
            entries.setExpireAt(key, at, expireAt)
            model.set(text, { ...model.get(text)!, expireAt })
          } else if (at !== 0 && roll < 75) {
            entries.access(at, clock)
            model.set(text, { ...model.get(text)!, clock })
          } else if (at !== 0) {
            entries.remove(key, at)
            model.delete(text)
          }
        }

        assertSame(entries, model)
        for (const text of model.keys()) entries.remove(keyFromText(text), entries.find(keyFromText(text)))
        assert.deepEqual([entries.size, entries.expiring, entries.arena.report.used], [0, 0, 0])
      }),
      { numRuns: 60 },
    )
  })

  it('are stored from the middle of a buffer and seen where they lie', () => {
    const entries = new Entries()
    const key = keyFromText('key')
    const source = Buffer.from('..value..')
    entries.putBytes(key, 0, source, 2, 7, false, 0, 0)
    source.fill(0)
    const { type, bytes, start, end } = entries.view(entries.find(key))
    assert.deepEqual([type, bytes.latin1Slice(start, end)], ['string', 'value'])
  })

  it('of small collections cost what their packed bytes do, and nothing on the JavaScript heap', () => {
    const entries = new Entries()
    const set = setOf(10, 10)
    for (let i = 0; i < 1000; i++) entries.put(keyFromText(`{set}:${i}`), 0, set.copy(), 0, 0)
    const { used } = entries.arena.report
    assert.equal(entries.weight, used)
    assert.ok(used / 1000 < set.packedBytes!.length + 9 + 40, `${used / 1000} bytes for each`)
  })

  it('keep what a command still looks at when its key is removed, overwritten or moves', () => {
    const [one, other] = [keyFromText('one'), keyFromText('another key')]
    const members = [...setOf(20, 8)].sort()
    const contents = (value: Value): string[] => [...(value as SetValue)].sort()
    const entries = new Entries()
    entries.put(one, 0, setOf(20, 8), 0, 0)
    const value = entries.lend(entries.find(one))
    entries.setExpireAt(one, entries.find(one), 99)
    assert.deepEqual(contents(value), members)
    entries.remove(one, entries.find(one))
    entries.put(other, entries.find(other), value, 0, 0)
    entries.put(one, entries.find(one), setOf(20, 9), 0, 0)
    assert.deepEqual(contents(value), members)
    assert.deepEqual(contents(entries.value(entries.find(other))), members)
    // Even if it is stored where it lies.
    entries.put(other, entries.find(other), entries.lend(entries.find(other)), 0, 0)
    assert.deepEqual(contents(entries.value(entries.find(other))), members)
  })

  it('cost no more than forty bytes beyond key and value', () => {
    const entries = new Entries()
    const count = 200_000
    const value = Buffer.alloc(64)
    for (let i = 0; i < count; i++)
      entries.putBytes(keyFromText(`key:${String(i).padStart(12, '0')}`), 0, value, 0, 64, false, 0, 0)
    const { used, held } = entries.arena.report
    assert.ok(used / count < 16 + 64 + 32, `${used / count} bytes used for each`)
    // Of the last segment only what is used costs anything.
    assert.ok((held - 2 ** 22) / count < 16 + 64 + 40, `${held / count} bytes held for each`)
  })
})

/** Integers, or with a width text. */
function setOf(count: number, width: number): SetValue {
  const set = new SetValue()
  for (let i = 0; i < count; i++) set.add(String(i).padStart(width, 'x'), DEFAULT_SET_LIMITS)
  return set
}

function assertSame(entries: Entries, model: ReadonlyMap<string, Held>): void {
  assert.equal(entries.size, model.size)
  for (const [text, { value, expireAt, clock }] of model) {
    const at = entries.find(keyFromText(text))
    assert.notEqual(at, 0, text)
    assert.equal(entries.name(at), text)
    if (value.type === 'string') assert.deepEqual(entries.value(at), value)
    else assert.deepEqual([...(entries.value(at) as SetValue)].sort(), [...(value as SetValue)].sort())
    assert.equal(entries.view(at).type, value.type)
    assert.equal(entries.expireAt(at), expireAt)
    assert.equal(entries.accessedAt(at), clock)
  }
  const withDeadline = Array.from({ length: entries.expiring }, (_, place) => entries.name(entries.withDeadline(place)))
  const expected = [...model].filter(([, { expireAt }]) => expireAt !== 0).map(([text]) => text)
  assert.deepEqual(withDeadline.sort(), expected.sort())
}
