/** The keyspace against a naive model, and the active expire cycle. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Millis } from '../../lib/base/brand.ts'
import { keyFromText } from '../../lib/base/key.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { slotOf } from '../../lib/base/slot.ts'
import { activeExpireCycle } from '../../store/expire.ts'
import { type ExpiryMode, Keyspace } from '../../store/keyspace.ts'
import { integerBytes, rangeOf, stringOf } from '../../store/types/string.ts'
import { copyValue } from '../../store/value.ts'
import { asString } from '../support/values.ts'

const text = (value: string) => stringOf(Buffer.from(value, 'latin1'))

/** What a database should hold, kept in the plainest way. */
class Model {
  readonly keys = new Map<string, { value: string; expireAt: number }>()
  now = 0

  get(key: string): { value: string; expireAt: number } | undefined {
    const entry = this.keys.get(key)
    return entry !== undefined && (entry.expireAt === 0 || entry.expireAt > this.now) ? entry : undefined
  }
}

type Action = (keyspace: Keyspace, model: Model) => void

const name = fc.constantFrom('a', 'b', '{a}c', '{a}d', 'e', '', '\xff\x00')
const deadline = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 }))

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.tuple(name, fc.string(), fc.oneof(deadline, fc.constant('keepTtl' as const))).map(
    ([key, value, expireAt]): Action =>
      (keyspace, model) => {
        keyspace.databases[0]!.write(keyFromText(key), text(value), expireAt)
        const kept = model.get(key)?.expireAt ?? 0
        model.keys.set(key, {
          value: text(value).bytes.latin1Slice(),
          expireAt: expireAt === 'keepTtl' ? kept : expireAt,
        })
      },
  ),
  name.map(
    (key): Action =>
      (keyspace, model) => {
        assert.equal(keyspace.databases[0]!.remove(keyFromText(key)), model.get(key) !== undefined)
        if (model.get(key) !== undefined || keyspace.expiry === 'remove') model.keys.delete(key)
      },
  ),
  fc.tuple(name, deadline).map(
    ([key, expireAt]): Action =>
      (keyspace, model) => {
        const entry = model.get(key)
        assert.equal(keyspace.databases[0]!.setExpireAt(keyFromText(key), expireAt), entry !== undefined)
        if (entry !== undefined) entry.expireAt = expireAt
      },
  ),
  name.map(
    (key): Action =>
      (keyspace, model) => {
        const db = keyspace.databases[0]!
        const value = db.read(keyFromText(key))
        assert.equal(value && asString(value).bytes.latin1Slice(), model.get(key)?.value)
        assert.equal(db.expireAt(keyFromText(key)), model.get(key)?.expireAt)
      },
  ),
  fc.integer({ min: 1, max: 20 }).map(
    (ms): Action =>
      (keyspace, model) => {
        model.now += ms
        keyspace.now = model.now as Millis
      },
  ),
  fc.integer({ min: 0, max: 3 }).map(
    (most): Action =>
      (keyspace) => {
        if (keyspace.expiry === 'remove') keyspace.databases[0]!.sweep(most)
      },
  ),
  fc.constant<Action>((keyspace, model) => {
    keyspace.databases[0]!.flush()
    model.keys.clear()
  }),
)

function assertSame(keyspace: Keyspace, model: Model): void {
  const db = keyspace.databases[0]!
  const live = [...model.keys.keys()].filter((key) => model.get(key) !== undefined).sort()
  const found = [...db.entries()].filter((entry) => entry.live)
  assert.deepEqual(found.map((entry) => entry.key).sort(), live)
  for (const { key, value, expireAt } of found)
    assert.deepEqual({ value: asString(value).bytes.latin1Slice(), expireAt }, model.get(key))
  const all = [...db.entries()].map((entry) => entry.key)
  assert.equal(db.size, all.length)
  assert.equal(db.expiring, [...db.entries()].filter((entry) => entry.expireAt !== 0).length)
  const { next, keys } = db.scan(0, 1000)
  assert.deepEqual({ next, names: keys.map((key) => key.text()) }, { next: 0, names: all })
  for (const slot of new Set(all.map((key) => slotOf(Buffer.from(key, 'latin1'))))) {
    const inSlot = all.filter((key) => slotOf(Buffer.from(key, 'latin1')) === slot).sort()
    assert.deepEqual(db.keysInSlot(slot).sort(), inSlot)
    assert.equal(db.countInSlot(slot), inSlot.length)
  }
}

describe('the keyspace', () => {
  for (const mode of ['remove', 'hide'] satisfies ExpiryMode[])
    it(`holds what a plain map would hold, with deadlines that ${mode}`, () => {
      fc.assert(
        fc.property(fc.array(action, { maxLength: 60, size: 'max' }), (actions) => {
          const keyspace = new Keyspace({ databases: 1 })
          const model = new Model()
          keyspace.expiry = mode
          for (const act of actions) {
            act(keyspace, model)
            assertSame(keyspace, model)
          }
        }),
      )
    })

  it('tells once of every key whose time has come, and never of others', () => {
    const keyspace = new Keyspace({ databases: 1 })
    const told: string[] = []
    keyspace.hooks = { touched() {}, expired: (_, key) => void told.push(key.text()) }
    const db = keyspace.databases[0]!
    for (const key of ['read', 'overwritten', 'removed', 'swept', 'later'])
      db.write(keyFromText(key), text('v'), key === 'later' ? 20 : 10)
    keyspace.now = 10 as Millis
    assert.equal(db.has(keyFromText('read')), false)
    assert.deepEqual(told, [], 'looking is not reading')
    db.read(keyFromText('read'))
    db.write(keyFromText('overwritten'), text('w'), 'keepTtl')
    db.remove(keyFromText('removed'))
    db.sweep(10)
    assert.deepEqual(told, ['read', 'overwritten', 'removed', 'swept'])
    assert.equal(db.expireAt(keyFromText('overwritten')), 0, 'nothing is kept of what was gone')
    assert.equal(keyspace.stats.expired, 4)
  })

  it('draws all keys alike, however they are spread over slots', () => {
    const db = new Keyspace({ databases: 1 }).databases[0]!
    const names = [...Array.from({ length: 9 }, (_, i) => `{crowded}${i}`), 'alone']
    for (const key of names) db.write(keyFromText(key), text('v'), 0)
    const random = seededRandom(1)
    const drawn = new Map<string, number>()
    for (let i = 0; i < 10_000; i++) {
      const key = db.randomKey(random.float)!
      drawn.set(key, (drawn.get(key) ?? 0) + 1)
    }
    for (const key of names) assert.ok(Math.abs(drawn.get(key)! - 1000) < 150, `${key}: ${drawn.get(key)}`)
  })

  it('draws no key that is past its deadline while there is another', () => {
    const keyspace = new Keyspace({ databases: 1 })
    const db = keyspace.databases[0]!
    for (let i = 0; i < 5; i++) db.write(keyFromText(`due${i}`), text('v'), 10)
    db.write(keyFromText('alive'), text('v'), 0)
    keyspace.now = 10 as Millis
    assert.equal(db.randomKey(seededRandom(1).float), 'alive')
  })
})

describe('the active expire cycle', () => {
  /** Keys of which the first `due` have their time at 10, the others much later. */
  function filled(due: number, others: number, databases = 1): Keyspace {
    const keyspace = new Keyspace({ databases })
    for (const db of keyspace.databases) {
      for (let i = 0; i < others; i++) db.write(keyFromText(`later${i}`), text('v'), 1e12)
      for (let i = 0; i < due; i++) db.write(keyFromText(`due${i}`), text('v'), 10)
    }
    keyspace.now = 10 as Millis
    return keyspace
  }
  const standing = (): number => 0

  /** A clock that moves by as many microseconds whenever it is read. */
  function ticker(micros: number): () => number {
    let now = 0
    return () => {
      now += micros
      return now
    }
  }

  it('removes everything that is due while that pays', () => {
    const keyspace = filled(10_000, 0)
    assert.equal(activeExpireCycle(keyspace, 10, standing), 10_000)
    assert.equal(keyspace.size, 0)
  })

  it('reaches a due key among any number of others, in as many cycles as it takes', () => {
    const keyspace = filled(1, 20_000)
    let cycles = 0
    while (activeExpireCycle(keyspace, 10, standing) === 0) assert.ok(++cycles < 100)
    assert.equal(keyspace.size, 20_000)
  })

  it('ends when its time is over, and goes on there the next time', () => {
    const keyspace = filled(5000, 0)
    const ticking = ticker(600)
    const removed = activeExpireCycle(keyspace, 1, ticking)
    assert.ok(removed > 0 && removed < 5000, String(removed))
    let total = removed
    for (let i = 0; i < 20; i++) total += activeExpireCycle(keyspace, 1, ticking)
    assert.equal(total, 5000)
  })

  it('gives every database its turn, however much there is to do in one', () => {
    const keyspace = filled(100_000, 0, 2)
    const ticking = ticker(600)
    for (let i = 0; i < 4; i++) activeExpireCycle(keyspace, 1, ticking)
    for (const db of keyspace.databases) assert.ok(db.size < 100_000)
  })

  it('removes nothing where only the primary may', () => {
    const keyspace = filled(10, 0)
    keyspace.expiry = 'hide'
    assert.equal(activeExpireCycle(keyspace, 10, standing), 0)
    assert.equal(keyspace.size, 10)
  })
})

describe('a string', () => {
  const key = keyFromText('s')
  /** Short ones lie in the arena, long ones do not; some grow from the one to the other. */
  const length = fc.constantFrom(0, 1, 7, 40, 500, 4090, 4096, 4097, 9000)

  it('is patched anywhere, zeros filling what was not there, and what was read before stays as it was', () => {
    const patches = fc.array(fc.tuple(fc.nat({ max: 9100 }), fc.nat({ max: 120 }), fc.boolean()), { maxLength: 12 })
    fc.assert(
      fc.property(length, patches, (size, steps) => {
        const db = new Keyspace({ databases: 1 }).databases[0]!
        db.write(key, stringOf(Buffer.alloc(size, 'a')), 0)
        let expected = Buffer.alloc(size, 'a')
        const versions: [Buffer, Buffer][] = []
        for (const [i, [place, count, appends]] of steps.entries()) {
          if (i % 3 === 0) versions.push([asString(db.read(key)!).bytes, Buffer.from(expected)])
          const from = appends ? expected.length : place
          const patch = Buffer.alloc(count, 0x62 + i)
          const view = db.edit(key, from, from + count)
          view.bytes.set(patch, view.start + from)
          db.changed(key)
          const after = Buffer.alloc(Math.max(expected.length, from + count))
          after.set(expected)
          after.set(patch, from)
          expected = after
          const { bytes, start, end } = db.look(key)!
          assert.ok(bytes.subarray(start, end).equals(expected))
        }
        for (const [version, then] of versions) assert.ok(version.equals(then))
      }),
    )
  })

  it('that was copied or renamed changes alone', () => {
    fc.assert(
      fc.property(length, (size) => {
        const db = new Keyspace({ databases: 1 }).databases[0]!
        db.edit(key, size, size + 1)
        const before = Buffer.from(asString(db.read(key)!).bytes)
        const [copy, renamed] = [keyFromText('copy'), keyFromText('renamed')]
        db.write(copy, copyValue(db.read(key)!), 0)
        const kept = asString(db.readForWrite(copy)!).bytes
        db.write(renamed, db.readForWrite(copy)!, 0)
        for (const [place, other] of [key, copy, renamed].entries()) {
          const view = db.edit(other, 0, 1)
          view.bytes[view.start] = 1 + place
        }
        assert.ok(kept.equals(before))
        assert.deepEqual(
          [key, copy, renamed].map((other) => asString(db.read(other)!).bytes[0]),
          [1, 2, 3],
        )
      }),
    )
  })

  it('that grows at its end is not copied each time', () => {
    const db = new Keyspace({ databases: 1 }).databases[0]!
    db.edit(key, 0, 100_000)
    const memory = db.look(key)!.bytes.buffer
    for (let size = 100_000; size < 150_000; size += 100) db.edit(key, size, size + 100)
    assert.equal(db.look(key)!.bytes.buffer, memory)
    assert.equal(db.look(key)!.bytes.length, 150_000)
  })

  it('says integers in decimal', () => {
    fc.assert(fc.property(fc.maxSafeInteger(), (n) => assert.equal(integerBytes(n).latin1Slice(), String(n))))
    assert.equal(integerBytes(-(2n ** 63n)).latin1Slice(), '-9223372036854775808')
  })

  it('has ranges that never leave it', () => {
    const position = fc.integer({ min: -50, max: 50 })
    fc.assert(
      fc.property(fc.nat({ max: 20 }), position, position, (length, start, end) => {
        const { from, to } = rangeOf(length, start, end)
        assert.ok(from >= 0 && to >= from && (to <= length || to === from))
      }),
    )
  })
})
