/** Large values in parts: as they were when they were frozen, whatever happens between one part and the next. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { keyFromText } from '../../lib/base/key.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { type Frozen, freeze } from '../../store/frozen.ts'
import { Keyspace } from '../../store/keyspace.ts'
import { dumpValue, loadDump } from '../../store/rdb/dump.ts'
import { DEFAULT_LIMITS } from '../../store/rdb/types.ts'
import type { FieldDeadlines } from '../../store/types/field-deadlines.ts'
import { HashValue } from '../../store/types/hash.ts'
import type { Walk } from '../../store/types/walk.ts'
import type { Value } from '../../store/value.ts'
import { LARGE_KINDS, pictureOf } from './large-values.ts'
import { assertSound, stringValue } from './rdb-values.ts'

/** Elements of a value at first; no part has more bytes than this. */
const SIZE = 4000
const MODERATE = 256 * 1024

/** A frozen value, what it must be, and what is known of it so far: read as a start reads records. */
class Reading {
  readonly #frozen: Frozen
  readonly #expected: unknown
  readonly #parts: Iterator<Value>
  #whole: Value | undefined
  #count = 0
  isOver = false

  constructor(frozen: Frozen, expected: unknown) {
    this.#frozen = frozen
    this.#expected = expected
    this.#parts = frozen.parts[Symbol.iterator]()
  }

  get #deadlines(): FieldDeadlines | undefined {
    return this.#frozen.known?.type === 'hash' ? this.#frozen.known.deadlines : undefined
  }

  step(): void {
    const { done, value: part } = this.#parts.next()
    this.isOver = done === true
    if (done === true) return
    assert.ok(part.type !== 'string')
    assert.ok(part.weight < MODERATE, `a part of ${part.weight} bytes`)
    assertSound(part)
    if (part.type === 'hash') assert.equal(part.deadlines, this.#count === 0 ? this.#deadlines : undefined)
    this.#count += part.type === 'list' || part.type === 'stream' ? part.nodeCount : part.size
    this.#whole = loadDump(dumpValue(part, false), DEFAULT_LIMITS, this.#whole)
  }

  finish(): void {
    while (!this.isOver) this.step()
    assertSound(this.#whole!)
    if (this.#whole?.type === 'hash') this.#whole.deadlines = this.#deadlines
    assert.deepEqual(pictureOf(this.#whole!), this.#expected)
    assert.equal(this.#count, this.#frozen.count)
  }
}

describe('a large value that is frozen', () => {
  for (const kind of LARGE_KINDS)
    it(`comes in parts that are the ${kind.type} as it was, while it changes, and several times at once`, () => {
      fc.assert(
        fc.property(fc.integer(), (seed) => {
          const random = seededRandom(seed)
          const value = kind.make(SIZE)
          const open = new Set<Walk>()
          const readings: Reading[] = []
          for (let round = 0; round < 30; round++) {
            const frozen = readings.length < 4 && random.below(4) === 0 ? freeze(value, open) : undefined
            if (frozen !== undefined) readings.push(new Reading(frozen, pictureOf(value)))
            // Few changes and a part, or so many that they make parts themselves.
            const changes = random.below(10) === 0 ? 3000 : random.below(60)
            for (let i = 0; i < changes; i++) kind.change(value, random)
            if (readings.length > 0) readings[random.below(readings.length)]!.step()
          }
          for (const reading of readings) reading.finish()
          assert.equal(open.size, 0)
          assertSound(value)
        }),
        { numRuns: 8 },
      )
    })

  it('is whole when all of it is removed before it is read, and when it grows again meanwhile', () => {
    for (const kind of LARGE_KINDS) {
      const random = seededRandom(7)
      const value = kind.make(SIZE)
      const reading = new Reading(freeze(value, new Set())!, pictureOf(value))
      reading.step()
      if (value.type === 'list') value.drop('left', SIZE)
      else if (value.type === 'zset') for (const [member] of value.entries()) value.remove(member)
      else if (value.type === 'stream') value.trim({ keep: { length: 0 }, approximate: false, limit: 0 })
      else if (value.type === 'set') while (value.size > 0) value.removeAt(0)
      else if (value.type === 'hash') for (const [field] of value) value.delete(keyFromText(field.latin1Slice()))
      for (let i = 0; i < SIZE; i++) kind.change(value, random)
      reading.finish()
    }
  })

  it('is none when it is small, a string or packed', () => {
    const packed = new HashValue()
    const limits = { hashMaxListpackEntries: 2, hashMaxListpackValue: 100_000 }
    packed.set(keyFromText('field'), Buffer.alloc(100_000), limits)
    for (const value of [stringValue(Buffer.alloc(100_000)), packed]) assert.equal(freeze(value, new Set()), undefined)
    for (const kind of LARGE_KINDS) assert.equal(freeze(kind.make(300), new Set()), undefined)
  })

  it('is given nothing any more once the cut has ended', () => {
    const before = Buffer.alloc(50, 'a')
    const after = Buffer.alloc(50, 'b')
    const fields = Array.from({ length: SIZE }, (_, i) => keyFromText(`field ${i}`))
    /** What the parts have when all fields are changed before they are read. */
    const found = (isOpen: boolean): Set<string> => {
      const hash = new HashValue()
      for (const field of fields) hash.set(field, before, DEFAULT_LIMITS)
      const keyspace = new Keyspace({ databases: 1 })
      keyspace.databases[0]!.write(keyFromText('key'), hash, 0)
      const cut = keyspace.openCut()
      const frozen = cut.read(100)[0]?.value
      assert.ok(frozen?.type === 'frozen')
      if (!isOpen) cut.abandon()
      for (const field of fields) hash.set(field, after, DEFAULT_LIMITS)
      const values = new Set<string>()
      for (const part of frozen.parts)
        if (part.type === 'hash') for (const [, value] of part) values.add(value.latin1Slice())
      return values
    }
    assert.deepEqual(found(true), new Set([before.latin1Slice()]))
    assert.deepEqual(found(false), new Set([after.latin1Slice()]))
  })
})
