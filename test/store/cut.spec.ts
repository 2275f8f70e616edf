/** Cuts: whatever is written, removed, flushed or swapped while they are read, they show the keyspace as it was. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Millis } from '../../lib/base/brand.ts'
import { keyFromText } from '../../lib/base/key.ts'
import { type Random, seededRandom } from '../../lib/base/random.ts'
import type { Cut, CutEntry } from '../../store/cut.ts'
import { Keyspace } from '../../store/keyspace.ts'
import { SetValue } from '../../store/types/set.ts'
import { stringOf } from '../../store/types/string.ts'

/** A value as text that says all of it. */
function describeValue(value: NonNullable<CutEntry['value']>): string {
  if (value.type === 'string') return `string ${value.bytes.latin1Slice()}`
  assert.ok(value.type === 'set')
  return `set ${[...value].sort()}`
}

/** A cut hands out whole pages of the table: so many entries, now and then some more. */
const PAGE = 16

/** "db key" to "deadline value". */
type Picture = Map<string, string>

function pictureOf(keyspace: Keyspace): Picture {
  const picture: Picture = new Map()
  for (const db of keyspace.databases)
    for (const { key, value, expireAt } of db.entries())
      picture.set(`${db.index} ${key}`, `${expireAt} ${describeValue(value)}`)
  return picture
}

/** An open cut, what it must show, and what it has shown. */
class Reading {
  readonly cut: Cut
  readonly expected: Picture
  readonly read: Picture = new Map()
  readonly removed = new Set<string>()
  isOver = false

  constructor(cut: Cut, expected: Picture) {
    this.cut = cut
    this.expected = expected
  }

  step(most: number): void {
    const entries = this.cut.read(most)
    assert.ok(entries.length < most + 2 * PAGE, `${entries.length} entries where ${most} were asked for`)
    if (entries.length === 0) this.isOver = true
    for (const { db, key, value, expireAt } of entries) {
      const name = `${db} ${key.latin1Slice()}`
      assert.ok(!this.read.has(name) && !this.removed.has(name), `${name} comes twice`)
      if (value === undefined) this.removed.add(name)
      else this.read.set(name, `${expireAt} ${describeValue(value)}`)
    }
  }

  finish(most: number): void {
    while (!this.isOver) this.step(most)
  }
}

/** Keys of a few slots and of many; few enough that they are often hit again. */
const names = (random: Random): string => `${random.below(3) === 0 ? '{tag}' : ''}${random.below(160)}`

/** Changes something, in one of all the ways there are. */
function act(keyspace: Keyspace, random: Random): void {
  const db = keyspace.databases[random.below(keyspace.databases.length)]!
  const key = keyFromText(names(random))
  const roll = random.below(1000)
  if (roll < 2) db.flush()
  else if (roll < 4) db.swapWith(keyspace.databases[random.below(keyspace.databases.length)]!)
  else if (roll < 420) {
    const size = random.below(30) === 0 ? 5000 : random.below(40)
    db.write(
      key,
      stringOf(Buffer.from(String(random.below(10)).repeat(size))),
      random.below(3) === 0 ? 50 + random.below(400) : 0,
    )
  } else if (roll < 500) db.writeBytes(key, Buffer.from(random.hex(12)), 0, 12, 'keepTtl')
  else if (roll < 540) {
    if ((db.peek(key)?.type ?? 'string') !== 'string') return
    const at = random.below(30) === 0 ? 5000 : random.below(40)
    const { bytes, start } = db.edit(key, at, at + 1)
    bytes[start + at] = 0x61 + random.below(20)
    db.changed(key)
  } else if (roll < 600) {
    const value = db.readForWrite(key)
    const set = value?.type === 'set' ? value : new SetValue()
    set.add(String(random.below(20)), { setMaxIntsetEntries: 4 })
    if (set === value) db.changed(key)
    else db.write(key, set, 0)
  } else if (roll < 850) db.remove(key)
  else if (roll < 930) db.setExpireAt(key, random.below(2) === 0 ? 0 : 100 + random.below(400))
  else if (roll < 960) {
    keyspace.now = (keyspace.now + random.below(20)) as Millis
    db.sweep(5)
  } else db.read(key)
}

describe('a cut', () => {
  it('shows the keyspace as it was, whatever happens while it is read, and several do at once', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 40 }), (seed, most) => {
        const random = seededRandom(seed)
        const keyspace = new Keyspace({ databases: 2 })
        const readings: Reading[] = []
        for (let i = 0; i < 3000; i++) {
          act(keyspace, random)
          const roll = random.below(1000)
          if (roll < 6 && readings.length < 6) readings.push(new Reading(keyspace.openCut(), pictureOf(keyspace)))
          else if (roll < 60) readings[random.below(Math.max(1, readings.length))]?.step(most)
          else if (roll === 999) readings.shift()?.cut.abandon()
        }
        for (const reading of readings) {
          reading.finish(most)
          assert.deepEqual(new Map([...reading.read].sort()), new Map([...reading.expected].sort()))
          reading.cut.commit()
        }
      }),
      { numRuns: 60 },
    )
  })

  it('of a growing keyspace holds what was there, in the order of slots', () => {
    const keyspace = new Keyspace({ databases: 1 })
    const db = keyspace.databases[0]!
    for (let i = 0; i < 1000; i++) db.write(keyFromText(`{${i % 10}}${i}`), stringOf(Buffer.from('v')), 0)
    const cut = keyspace.openCut()
    const slots: number[] = []
    let count = 0
    for (let n = 1000; ; n += 500) {
      const entries = cut.read(100)
      if (entries.length === 0) break
      count += entries.length
      for (const { key } of entries) slots.push(keyFromText(key.latin1Slice()).slot())
      for (let i = n; i < n + 500; i++) db.write(keyFromText(`{${i % 10}}${i}`), stringOf(Buffer.from('v')), 0)
    }
    assert.equal(count, 1000)
    assert.deepEqual(
      slots,
      [...slots].sort((a, b) => a - b),
    )
  })

  it('that nobody reads keeps no more than what was changed', () => {
    const keyspace = new Keyspace({ databases: 1 })
    const db = keyspace.databases[0]!
    for (let i = 0; i < 500; i++) db.write(keyFromText(String(i)), stringOf(Buffer.from('old')), 0)
    const cut = keyspace.openCut()
    for (let round = 0; round < 5; round++)
      for (let i = 0; i < 10; i++) db.write(keyFromText(String(i)), stringOf(Buffer.from('new')), 0)
    const first = cut.read(10).slice(0, 10)
    assert.deepEqual(
      first.map(({ value }) => value && describeValue(value)),
      Array.from({ length: 10 }, () => 'string old'),
    )
    assert.deepEqual(
      first.map(({ key }) => Number(key.latin1Slice())),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    )
    cut.abandon()
  })
})

describe('a checkpoint', () => {
  /** What is on the disk: whole, or brought up to date. */
  function store(disk: Picture, reading: Reading): void {
    if (reading.cut.isWhole) disk.clear()
    for (const name of reading.removed) assert.ok(disk.delete(name) || true)
    for (const [name, value] of reading.read) disk.set(name, value)
  }

  it('brings the last one up to date with what has changed, also after one that failed', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 40 }), (seed, most) => {
        const random = seededRandom(seed)
        const keyspace = new Keyspace({ databases: 2 })
        const disk: Picture = new Map()
        for (let round = 0; round < 12; round++) {
          for (let i = random.below(200); i > 0; i--) act(keyspace, random)
          const reading = new Reading(keyspace.openCheckpoint(random.below(10) === 0), pictureOf(keyspace))
          while (!reading.isOver) {
            for (let i = random.below(4); i > 0; i--) act(keyspace, random)
            reading.step(most)
            if (random.below(200) === 0) break
          }
          if (!reading.isOver || random.below(5) === 0) {
            reading.cut.abandon()
            continue
          }
          store(disk, reading)
          reading.cut.commit()
          assert.deepEqual(new Map([...disk].sort()), new Map([...reading.expected].sort()))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('holds nothing but changes and removals', () => {
    const keyspace = new Keyspace({ databases: 1 })
    const db = keyspace.databases[0]!
    const write = (name: string): void => db.write(keyFromText(name), stringOf(Buffer.from('v')), 0)
    for (const name of ['same', 'changed', 'removed', 'back', 'read']) write(name)
    keyspace.markDurable()
    write('changed')
    db.remove(keyFromText('removed'))
    db.remove(keyFromText('back'))
    write('back')
    db.read(keyFromText('read'))
    const cut = keyspace.openCheckpoint()
    assert.equal(cut.isWhole, false)
    const read = cut.read(100).concat(cut.read(100))
    assert.deepEqual(
      read.map(({ key, value }) => `${key.latin1Slice()} ${value === undefined ? 'gone' : 'there'}`).sort(),
      ['back there', 'changed there', 'removed gone'],
    )
    cut.commit()
    assert.deepEqual(keyspace.openCheckpoint().read(100), [])
  })

  it('is whole at first, when asked, and after a flush or a swap', () => {
    const keyspace = new Keyspace({ databases: 2 })
    const [db, other] = keyspace.databases as [Keyspace['databases'][0], Keyspace['databases'][0]]
    const next = (whole = false): boolean => {
      const cut = keyspace.openCheckpoint(whole)
      cut.commit()
      return cut.isWhole
    }
    assert.deepEqual([next(), next(), next(true), next()], [true, false, true, false])
    db.write(keyFromText('a'), stringOf(Buffer.from('v')), 0)
    assert.equal(next(), false)
    db.flush()
    assert.deepEqual([next(), next()], [true, false])
    db.swapWith(other)
    assert.deepEqual([next(), next()], [true, false])
  })
})
