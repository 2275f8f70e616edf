/** Sorted sets, against a plain map. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Listpack, PackedError } from '../../../store/types/listpack.ts'
import { cutBefore } from '../../../store/types/ranked.ts'
import { type ZSetLimits, ZSetValue } from '../../../store/types/zset.ts'

type Model = Map<string, number>
type Action = (zset: ZSetValue, model: Model, limits: ZSetLimits) => void

const limits = (entries: number): ZSetLimits => ({ zsetMaxListpackEntries: entries, zsetMaxListpackValue: 20 })
const SMALL = limits(10)
const NEVER_PACKED = limits(0)

/** Few, so that they meet; bytes of all kinds. */
const member = fc.oneof(
  fc.integer({ min: 0, max: 300 }).map(String),
  fc.constantFrom('', '\xff', '\x00', 'ab', 'abc', 'B', '007', 'x'.repeat(20)),
  { weight: 1, arbitrary: fc.constant('a member that is too long to be packed') },
)
const score = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ noNaN: true }), fc.constantFrom(2 ** 62, 2 ** 63))

function set([name, value]: [string, number]): Action {
  return (zset, model, most) => {
    zset.set(name, value, most)
    // As a real server does: zero is not told from minus zero.
    if (model.get(name) !== value) model.set(name, value)
  }
}

const remove =
  (name: string): Action =>
  (zset, model) =>
    assert.equal(zset.remove(name), model.delete(name))

function removeRange([from, length]: [number, number]): Action {
  return (zset, model) => {
    const [start, end] = [Math.min(from, model.size), Math.min(from + length, model.size)]
    for (const [name] of sorted(model).slice(start, end)) model.delete(name)
    zset.removeRange(start, end)
  }
}

const sorted = (model: Model): [string, number][] =>
  [...model].sort(([m, s], [n, t]) => (s < t || (s === t && m < n) ? -1 : 1))

/** Minus zero is zero when it has been packed. */
const plain = (entries: Iterable<readonly [string, number]>): [string, number][] =>
  Array.from(entries, ([name, value]) => [name, value + 0])

function agrees(zset: ZSetValue, model: Model): void {
  const expected = plain(sorted(model))
  assert.equal(zset.size, expected.length)
  assert.deepEqual(plain(zset.entries()), expected)
  const reversed: [string, number][] = []
  zset.visit(0, zset.size, true, (name, value) => reversed.push([name, value]))
  assert.deepEqual(plain(reversed), expected.toReversed())
  for (const [place, [name, value]] of expected.entries()) {
    assert.equal(zset.score(name)! + 0, value)
    assert.equal(zset.rank(name), place)
  }
}

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(member, score).map(set) },
  { weight: 3, arbitrary: member.map(remove) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(40), fc.nat(6)).map(removeRange) },
)

describe('a sorted set', () => {
  for (const [name, most] of [
    ['small', limits(1000)],
    ['growing', SMALL],
    ['large', NEVER_PACKED],
  ] as const)
    it(`agrees with a map and a sort (${name})`, () =>
      fc.assert(
        fc.property(fc.array(action, { maxLength: 300, size: 'max' }), (actions) => {
          const zset = new ZSetValue()
          const model: Model = new Map()
          for (const act of actions) act(zset, model, most)
          agrees(zset, model)
          agrees(zset.copy(), model)
          if (zset.packedBytes !== undefined) agrees(ZSetValue.fromPacked(Buffer.from(zset.packedBytes)), model)
        }),
        { numRuns: 100 },
      ))

  it('of many thousand members keeps order and ranks while they come and go', () => {
    const zset = new ZSetValue()
    const model: Model = new Map()
    let seed = 1
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
      return (seed >>> 8) % below
    }
    for (let i = 0; i < 30_000; i++) set([`m${random(8000)}`, random(2000)])(zset, model, SMALL)
    agrees(zset, model)
    for (let i = 0; i < 30_000; i++) remove(`m${random(8000)}`)(zset, model, SMALL)
    agrees(zset, model)
    removeRange([0, model.size])(zset, model, SMALL)
    agrees(zset, model)
  })

  it('counts what comes before any place', () => {
    const zset = new ZSetValue()
    for (let i = 0; i < 1000; i++) zset.set(`m${i}`, Math.floor(i / 10), NEVER_PACKED)
    assert.equal(zset.count({ score: 50, tie: () => false }), 500)
    assert.equal(zset.count({ score: 50, tie: () => true }), 510)
    assert.equal(zset.count(cutBefore(50, 'm503')), 503)
    assert.equal(zset.count({ score: -1, tie: () => true }), 0)
    assert.equal(zset.count({ score: Number.POSITIVE_INFINITY, tie: () => true }), 1000)
  })

  it('is a listpack up to the limits', () => {
    const zset = new ZSetValue()
    for (let i = 0; i < 10; i++) zset.set(`m${i}`, i, SMALL)
    assert.equal(zset.encoding, 'listpack')
    zset.set('m3', 0.5, SMALL)
    assert.equal(zset.encoding, 'listpack')
    zset.set('m10', 0, SMALL)
    assert.equal(zset.encoding, 'skiplist')
    assert.equal(zset.packedBytes, undefined)
  })

  it('is walked in steps while it changes: who stays is met', () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(member, fc.boolean())), fc.integer({ min: 1, max: 7 }), (changes, count) => {
        const zset = new ZSetValue()
        for (let i = 0; i < 40; i++) zset.set(`stays${i}`, i % 7, NEVER_PACKED)
        for (const [name] of changes) zset.set(name, 1, NEVER_PACKED)
        const met = new Set<string>()
        let cursor = 0
        do {
          const { next, elements } = zset.scan(cursor, count)
          for (let i = 0; i < elements.length; i += 2) met.add(elements[i]!.latin1Slice())
          cursor = next
          const [name, comes] = changes.pop() ?? ['', false]
          if (comes) zset.set(`${name} new`, 2, NEVER_PACKED)
          else zset.remove(name)
          zset.set(`stays${changes.length % 40}`, changes.length, NEVER_PACKED)
        } while (cursor !== 0)
        for (let i = 0; i < 40; i++) assert.ok(met.has(`stays${i}`))
      }),
    ))

  it('refuses packed bytes that are none of a sorted set', () => {
    const packed = (...elements: string[]): Buffer => {
      const pack = Listpack.empty()
      for (const element of elements) pack.append(Buffer.from(element))
      return pack.bytes
    }
    assert.equal(ZSetValue.fromPacked(packed('a', '-inf', 'b', '1.5', 'c', '1.5')).size, 3)
    for (const elements of [
      ['a'],
      ['a', 'x'],
      ['a', 'nan'],
      ['a', '1', 'a', '2'],
      ['b', '1', 'a', '1'],
      ['a', '2', 'b', '1'],
    ])
      assert.throws(() => ZSetValue.fromPacked(packed(...elements)), PackedError, elements.join())
  })
})
