/** Members of large collections, against a plain map, and what they take of memory when they come and go. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { keyFromText } from '../../../lib/base/key.ts'
import { Members } from '../../../store/types/members.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Sets what belongs to a member, which is added if it is none yet. */
function set(members: Members, name: string, rest: string): void {
  const place = members.find(keyFromText(name))
  if (place < 0) members.add(keyFromText(name), bytes(rest))
  else members.setRest(place, bytes(rest), 0, rest.length)
}

function remove(members: Members, name: string): boolean {
  const place = members.find(keyFromText(name))
  if (place >= 0) members.remove(place)
  return place >= 0
}

function agrees(members: Members, model: ReadonlyMap<string, string>): void {
  assert.equal(members.size, model.size)
  for (const [name, rest] of model) {
    const place = members.find(keyFromText(name))
    assert.equal(members.text(place), name)
    assert.equal(members.ownRest(place).latin1Slice(), rest)
    assert.equal(members.restLength(place), rest.length)
  }
  assert.deepEqual(new Set(members), new Set(model.keys()))
}

/** Few, so that they meet; some are longer than a chunk may be. */
const name = fc.oneof(
  { weight: 9, arbitrary: fc.nat(400).map((i) => `m${i}`) },
  { weight: 1, arbitrary: fc.constantFrom('', '\xff\x00', 'x'.repeat(300), 'y'.repeat(20_000)) },
)
const rest = fc.oneof(
  { weight: 9, arbitrary: fc.nat(60).map((length) => 'v'.repeat(length)) },
  { weight: 1, arbitrary: fc.constantFrom('w'.repeat(1000), 'w'.repeat(30_000)) },
)
const change = fc.tuple(name, fc.option(rest, { nil: undefined, freq: 3 }))

describe('members of a large collection', () => {
  it('are what a map would hold, and so is their copy', () =>
    fc.assert(
      fc.property(fc.array(change, { maxLength: 1500, size: 'max' }), (changes) => {
        const members = new Members()
        const model = new Map<string, string>()
        for (const [name, rest] of changes) {
          if (rest === undefined) assert.equal(remove(members, name), model.delete(name))
          else {
            set(members, name, rest)
            model.set(name, rest)
          }
        }
        agrees(members, model)
        const copy = members.copy()
        for (const name of model.keys()) remove(members, name)
        assert.equal(members.size, 0)
        agrees(copy, model)
      }),
      { numRuns: 60 },
    ))

  it('are found among a hundred thousand, while these come and while they go', () => {
    const members = new Members()
    const count = 100_000
    for (let i = 0; i < count; i++) members.addScored(keyFromText(`member:${i}`), i)
    for (let i = 0; i < count; i++) assert.equal(members.score(members.find(keyFromText(`member:${i}`))), i)
    for (let i = 0; i < count; i += 2) assert.ok(remove(members, `member:${i}`))
    for (let i = 0; i < count; i++) {
      const place = members.find(keyFromText(`member:${i}`))
      assert.equal(place < 0 ? -1 : members.score(place), i % 2 === 0 ? -1 : i)
    }
  })

  it('give their memory back when they go, whoever of them stays', () => {
    const members = new Members()
    const name = (i: number): string => `a member with some text that takes room:${i}`
    for (let i = 0; i < 20_000; i++) members.add(keyFromText(name(i)))
    const full = members.weight
    for (let i = 0; i < 20_000; i++) if (i % 20 !== 0) remove(members, name(i))
    assert.ok(members.weight < full / 4, `${members.weight} of ${full} bytes`)
    for (let i = 0; i < 20_000; i += 20) assert.equal(members.text(members.find(keyFromText(name(i)))), name(i))
  })

  it('take no more memory the more often they are exchanged for others', () => {
    const members = new Members()
    for (let i = 0; i < 1000; i++) members.add(keyFromText(`member:${i}`), bytes('v'.repeat(i % 100)))
    const { weight } = members
    for (let i = 1000; i < 50_000; i++) {
      remove(members, `member:${i - 1000}`)
      members.add(keyFromText(`member:${i}`), bytes('v'.repeat(i % 100)))
    }
    assert.ok(members.weight < weight * 3, `${members.weight} instead of ${weight} bytes`)
  })

  it('compare as their bytes do', () =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), fc.string({ unit: 'binary-ascii' }), (one, other) => {
        const members = new Members()
        members.add(keyFromText(one))
        const order = Math.sign(members.compare(0, keyFromText(other)))
        assert.equal(order, Buffer.compare(bytes(one), bytes(other)))
      }),
    ))
})
