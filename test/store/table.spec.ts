/** The table against a plain map: what is found, how many there are of each slot, and what a walk meets while all this changes. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { keyOf } from '../../lib/base/key.ts'
import { type Random, seededRandom } from '../../lib/base/random.ts'
import { type Address, Arena, byteIndex, wordIndex } from '../../store/arena.ts'
import { entrySize, FLAGS, KEY_LENGTH, keyOffset } from '../../store/entry.ts'
import { END, type Position, positionOf, Table } from '../../store/table.ts'

interface Named {
  readonly slot: number
  readonly hash: number
  readonly bytes: Buffer
}

/** Entries that are nothing but keys. */
class Keys {
  readonly arena = new Arena()
  readonly table = new Table(this.arena)
  readonly all = new Map<string, Named>()
  epoch = 1

  add(key: Named): void {
    const { slot, hash, bytes } = key
    const at = this.arena.allocate(entrySize(0, bytes.length, 0))
    const words = this.arena.wordsAt(at)
    words[wordIndex(at) + FLAGS] = 0
    words[wordIndex(at) + KEY_LENGTH] = bytes.length
    this.arena.bytesAt(at).set(bytes, byteIndex(at) + keyOffset(0))
    this.table.insert(slot, hash, at)
    this.table.stamp(slot, this.epoch)
    this.all.set(bytes.latin1Slice(), key)
  }

  find({ slot, hash, bytes }: Named): Address {
    return this.table.find(slot, hash, keyOf(bytes))
  }

  remove(key: Named): void {
    const at = this.find(key)
    this.table.remove(key.slot, key.hash)
    this.arena.free(at, entrySize(0, key.bytes.length, 0))
    this.all.delete(key.bytes.latin1Slice())
  }

  name(at: Address): string {
    const from = byteIndex(at) + keyOffset(0)
    const length = this.arena.wordsAt(at)[wordIndex(at) + KEY_LENGTH]!
    return this.arena.bytesAt(at).latin1Slice(from, from + length)
  }

  walk(from: Position, to: Position, since = 0): string[] {
    const found: Address[] = []
    for (let position = from; position < to; ) position = this.table.collect(position, to, since, found)
    return found.map((at) => this.name(at))
  }

  pick(random: Random): Named | undefined {
    let left = random.below(Math.max(1, this.all.size))
    for (const key of this.all.values()) if (left-- === 0) return key
    return undefined
  }
}

/** Keys in a few slots; `bits`: how much of their hashes differs, 0 for keys that only the comparison of bytes can tell apart. */
function keyMaker(random: Random, slots: number, bits: number): () => Named {
  let serial = 0
  return () => ({
    slot: random.below(slots) * 1000,
    hash: bits === 0 ? 7 : (random.below(2 ** 32) & (-1 << (32 - bits))) | 0,
    bytes: Buffer.from(`${'k'.repeat(random.below(random.below(20) === 0 ? 200 : 12))}${serial++}`),
  })
}

describe('the table', () => {
  it('finds what a map finds, while it grows and shrinks', () => {
    const world = fc.record({
      seed: fc.integer(),
      slots: fc.integer({ min: 1, max: 4 }),
      bits: fc.constantFrom(0, 3, 12, 32),
      waves: fc.array(fc.record({ steps: fc.integer({ min: 1, max: 700 }), growth: fc.double({ min: 0, max: 1 }) }), {
        maxLength: 5,
      }),
    })
    fc.assert(
      fc.property(world, ({ seed, slots, bits, waves }) => {
        const random = seededRandom(seed)
        const make = keyMaker(random, slots, bits)
        const keys = new Keys()
        for (const { steps, growth } of waves) {
          for (let i = 0; i < steps; i++) {
            if (random.float() < growth) keys.add(make())
            else {
              const key = keys.pick(random)
              if (key !== undefined) keys.remove(key)
            }
          }
          assert.equal(keys.table.size, keys.all.size)
          for (const [name, key] of keys.all) assert.equal(keys.name(keys.find(key)), name)
          for (let i = 0; i < 20; i++) assert.equal(keys.find(make()), 0)
          assert.deepEqual(keys.walk(0, END).sort(), [...keys.all.keys()].sort())
          for (let slot = 0; slot < slots * 1000; slot += 1000) {
            const inSlot = [...keys.all].filter(([, key]) => key.slot === slot).map(([name]) => name)
            assert.equal(keys.table.countInSlot(slot), inSlot.length)
            assert.deepEqual(keys.walk(positionOf(slot, 0), positionOf(slot + 1, 0)).sort(), inSlot.sort())
          }
        }
        for (const key of [...keys.all.values()]) keys.remove(key)
        assert.equal(keys.arena.report.used, 0, 'nothing is left of pages and directories')
      }),
      { numRuns: 60 },
    )
  })

  it('is walked once past every key that stays, and never past one twice', () => {
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom(1, 3), fc.constantFrom(3, 32), (seed, slots, bits) => {
        const random = seededRandom(seed)
        const make = keyMaker(random, slots, bits)
        const keys = new Keys()
        for (let i = 0; i < 300; i++) keys.add(make())
        const staying = new Set(keys.all.keys())
        const met: string[] = []
        const growing = random.float()
        for (let position: Position = 0; position < END; ) {
          const found: Address[] = []
          position = keys.table.collect(position, END, 0, found)
          met.push(...found.map((at) => keys.name(at)))
          for (let i = random.below(60); i > 0; i--) {
            const key = keys.pick(random)
            if (random.float() < growing) keys.add(make())
            else if (key !== undefined) {
              staying.delete(key.bytes.latin1Slice())
              keys.remove(key)
            }
          }
        }
        assert.equal(new Set(met).size, met.length)
        for (const name of staying) assert.ok(met.includes(name), name)
      }),
      { numRuns: 60 },
    )
  })

  it('leaves out pages in which nothing has changed', () => {
    const random = seededRandom(1)
    const make = keyMaker(random, 4, 32)
    const keys = new Keys()
    for (let i = 0; i < 2000; i++) keys.add(make())
    keys.epoch = 2
    assert.deepEqual(keys.walk(0, END, 1), [])
    const key = keys.pick(random)!
    keys.find(key)
    keys.table.stamp(key.slot, 2)
    const found = keys.walk(0, END, 1)
    assert.ok(found.includes(key.bytes.latin1Slice()))
    assert.ok(found.length <= 16)
  })

  it('draws all keys alike', () => {
    const random = seededRandom(3)
    const make = keyMaker(random, 4, 32)
    const keys = new Keys()
    for (let i = 0; i < 100; i++) keys.add(make())
    const drawn = new Map<string, number>()
    for (let i = 0; i < 40_000; i++) {
      const name = keys.name(keys.table.draw(random.float))
      drawn.set(name, (drawn.get(name) ?? 0) + 1)
    }
    assert.equal(drawn.size, 100)
    for (const [name, times] of drawn) assert.ok(times > 280 && times < 540, `${name}: ${times}`)
  })

  it('draws something even from a source that is not random', () => {
    const keys = new Keys()
    keys.add(keyMaker(seededRandom(1), 1, 32)())
    assert.notEqual(
      keys.table.draw(() => 0.999),
      0,
    )
  })
})
