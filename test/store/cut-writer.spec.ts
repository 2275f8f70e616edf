/** A cut as an RDB file: in slices, while the data goes on changing. */
import assert from 'node:assert/strict'
import { keyFromText } from '../../lib/base/key.ts'
import { Keyspace } from '../../store/keyspace.ts'
import { CutWriter } from '../../store/rdb/cut-writer.ts'
import { RdbReader } from '../../store/rdb/reader.ts'
import { ListValue } from '../../store/types/list.ts'
import { stringOf } from '../../store/types/string.ts'

/** A clock that moves on by so much whenever it is looked at. */
const clock = (step: number): (() => number) => {
  let now = 0
  return () => (now += step)
}

function keyspaceWith(lists: number, elements: number): Keyspace {
  const keyspace = new Keyspace({ databases: 1 })
  for (let i = 0; i < lists; i++) {
    const list = new ListValue()
    for (let n = 0; n < elements; n++) list.push('right', -2, Buffer.from(`element ${n}`))
    keyspace.databases[0]!.write(keyFromText(`list:${i}`), list, 0)
    keyspace.databases[0]!.write(keyFromText(`string:${i}`), stringOf(Buffer.from('v')), 0)
  }
  return keyspace
}

describe('a dump of a cut', () => {
  it('has large lists as they were, whatever happens to them between its slices', () => {
    const keyspace = keyspaceWith(3, 20_000)
    const db = keyspace.databases[0]!
    const writer = new CutWriter(keyspace.openCut(), { aux: [], compress: false }, clock(300))
    const reader = new RdbReader()
    const found = new Map<string, number>()
    for (let slice = 0; !writer.isDone; slice++) {
      for (const chunk of writer.slice())
        for (const item of reader.feed(chunk)) {
          if (item.type !== 'key' || item.value.type !== 'list') continue
          const elements = [...item.value].map((one) => one.latin1Slice())
          assert.deepEqual(
            elements,
            elements.map((_, n) => `element ${n}`),
          )
          found.set(item.key.latin1Slice(), elements.length)
        }
      const key = keyFromText(`list:${slice % 3}`)
      const list = db.readForWrite(key)
      assert.ok(list?.type === 'list')
      list.set(slice * 7, -2, Buffer.from('changed'))
      list.push('left', -2, Buffer.from('new'))
      list.drop('right', 50)
      db.changed(key)
    }
    assert.ok(reader.done)
    assert.deepEqual(
      [...found].sort(),
      [0, 1, 2].map((i) => [`list:${i}`, 20_000]),
    )
  })

  it('is made in slices of bounded size, however large a list is', () => {
    const writer = new CutWriter(keyspaceWith(1, 200_000).openCut(), { aux: [], compress: false }, clock(100))
    const sizes: number[] = []
    while (!writer.isDone) sizes.push(writer.slice().reduce((sum, { length }) => sum + length, 0))
    assert.ok(sizes.length > 20)
    assert.ok(Math.max(...sizes) < 128 * 1024, `a slice of ${Math.max(...sizes)} bytes`)
  })
})
