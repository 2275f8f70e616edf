/** A cut as an RDB file: in slices, while the data goes on changing. */
import assert from 'node:assert/strict'
import { keyFromText } from '../../lib/base/key.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { Keyspace } from '../../store/keyspace.ts'
import { CutWriter } from '../../store/rdb/cut-writer.ts'
import { RdbReader } from '../../store/rdb/reader.ts'
import { stringOf } from '../../store/types/string.ts'
import { LARGE_KINDS, type LargeKind, pictureOf } from './large-values.ts'

/** A clock that moves on by so much whenever it is looked at. */
const clock = (step: number): (() => number) => {
  let now = 0
  return () => (now += step)
}

function keyspaceWith(kind: LargeKind, values: number, elements: number): Keyspace {
  const keyspace = new Keyspace({ databases: 1 })
  for (let i = 0; i < values; i++) {
    keyspace.databases[0]!.write(keyFromText(`large:${i}`), kind.make(elements), 0)
    keyspace.databases[0]!.write(keyFromText(`string:${i}`), stringOf(Buffer.from('v')), 0)
  }
  return keyspace
}

describe('a dump of a cut', () => {
  for (const kind of LARGE_KINDS) {
    it(`has a large ${kind.type} as it was, whatever happens to it between its slices`, () => {
      const keyspace = keyspaceWith(kind, 3, 20_000)
      const db = keyspace.databases[0]!
      const expected = pictureOf(kind.make(20_000))
      const random = seededRandom(11)
      const writer = new CutWriter(keyspace.openCut(), { aux: [], compress: false }, clock(300))
      const reader = new RdbReader()
      const found: string[] = []
      for (let slice = 0; !writer.isDone; slice++) {
        for (const chunk of writer.slice())
          for (const item of reader.feed(chunk)) {
            if (item.type !== 'key' || item.value.type === 'string') continue
            assert.deepEqual(pictureOf(item.value), expected)
            found.push(item.key.latin1Slice())
          }
        const key = keyFromText(`large:${slice % 3}`)
        const value = db.readForWrite(key)!
        for (let i = 0; i < 10; i++) kind.change(value, random)
        db.changed(key)
      }
      assert.ok(reader.done)
      assert.deepEqual(found.sort(), ['large:0', 'large:1', 'large:2'])
    })

    it(`is made in slices of bounded size, however large a ${kind.type} is`, () => {
      const keyspace = keyspaceWith(kind, 1, 100_000)
      const writer = new CutWriter(keyspace.openCut(), { aux: [], compress: false }, clock(100))
      const sizes: number[] = []
      while (!writer.isDone) sizes.push(writer.slice().reduce((sum, { length }) => sum + length, 0))
      assert.ok(sizes.length > 20)
      assert.ok(Math.max(...sizes) < 128 * 1024, `a slice of ${Math.max(...sizes)} bytes`)
    })
  }

  it('has a large value that is removed before its turn, and one that is removed while it is written', () => {
    for (const kind of LARGE_KINDS) {
      const keyspace = keyspaceWith(kind, 4, 20_000)
      const writer = new CutWriter(keyspace.openCut(), { aux: [], compress: false }, clock(300))
      const chunks = writer.slice().concat(writer.slice())
      keyspace.flushAll()
      while (!writer.isDone) chunks.push(...writer.slice())
      const reader = new RdbReader()
      const items = chunks.flatMap((chunk) => [...reader.feed(chunk)]).filter((item) => item.type === 'key')
      assert.equal(items.length, 8)
      const expected = pictureOf(kind.make(20_000))
      for (const { value } of items) if (value.type !== 'string') assert.deepEqual(pictureOf(value), expected)
    }
  })
})
