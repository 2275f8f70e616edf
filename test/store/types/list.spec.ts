/** Lists, against a plain array. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ListValue, type Side } from '../../../store/types/list.ts'
import type { BulkSink } from '../../../store/types/listpack.ts'
import { Listpack } from '../../../store/types/listpack.ts'
import { BUFFER } from '../../../store/types/weight.ts'

type Action = (list: ListValue, model: Buffer[], fill: number) => void

/** Few values, so that they meet; some are large enough to fill a chunk by a few, or alone. */
const element = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', '7', '-1', '', 'longer than a few bytes') },
  { weight: 1, arbitrary: fc.constantFrom('x'.repeat(1000), 'y'.repeat(3000), 'z'.repeat(9000)) },
)
const bytes = element.map((text) => Buffer.from(text))
const side = fc.constantFrom<Side>('left', 'right')
const index = fc.integer({ min: -30, max: 30 })
const count = fc.integer({ min: -5, max: 5 })

/** What `put` wrote. */
class Collected implements BulkSink {
  readonly texts: string[] = []
  bulkRange(from: Uint8Array, start: number, end: number): void {
    this.texts.push(Buffer.from(from.subarray(start, end)).latin1Slice())
  }
}

const texts = (elements: Iterable<Buffer>): string[] => [...elements].map((one) => one.latin1Slice())

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(side, fc.array(bytes, { minLength: 1, maxLength: 5 })).map(push) },
  fc.tuple(side, fc.integer({ min: 0, max: 4 })).map(drop),
  { weight: 2, arbitrary: side.map(pop) },
  fc.tuple(index, bytes).map(set),
  fc.tuple(fc.constantFrom('before' as const, 'after' as const), bytes, bytes).map(insert),
  fc.tuple(bytes, count).map(remove),
  fc.tuple(bytes, fc.constantFrom(1, 2, 3, -1, -2), fc.integer({ min: 1, max: 4 }), fc.integer({ max: 30 })).map(look),
  fc.tuple(index, fc.integer({ min: 0, max: 10 }), fc.constantFrom<1 | -1>(1, -1)).map(range),
)

function push([end, elements]: [Side, Buffer[]]): Action {
  return (list, model, fill) => {
    for (const one of elements) {
      list.push(end, fill, one)
      if (end === 'left') model.unshift(one)
      else model.push(one)
    }
  }
}

function drop([end, most]: [Side, number]): Action {
  return (list, model) => {
    const dropped = end === 'left' ? model.splice(0, most) : model.splice(Math.max(0, model.length - most))
    assert.equal(list.drop(end, most), dropped.length)
  }
}

function pop(end: Side): Action {
  return (list, model) => {
    const popped = end === 'left' ? model.shift() : model.pop()
    if (popped === undefined) return
    const out = new Collected()
    list.pop(end, out)
    assert.deepEqual(out.texts, texts([popped]))
  }
}

function set([at, one]: [number, Buffer]): Action {
  return (list, model, fill) => {
    const place = at < 0 ? model.length + at : at
    const exists = place >= 0 && place < model.length
    assert.equal(list.set(at, fill, one), exists)
    if (exists) model[place] = one
  }
}

function insert([where, pivot, one]: ['before' | 'after', Buffer, Buffer]): Action {
  return (list, model, fill) => {
    const place = model.findIndex((other) => other.equals(pivot))
    assert.equal(list.insert(where, pivot, fill, one), place >= 0)
    if (place >= 0) model.splice(where === 'before' ? place : place + 1, 0, one)
  }
}

function remove([one, most]: [Buffer, number]): Action {
  return (list, model) => {
    const places = model.flatMap((other, i) => (other.equals(one) ? [i] : []))
    const gone = most === 0 ? places : most > 0 ? places.slice(0, most) : places.slice(most)
    assert.equal(list.remove(one, most), gone.length)
    for (const place of gone.reverse()) model.splice(place, 1)
  }
}

function look([one, rank, most, within]: [Buffer, number, number, number]): Action {
  return (list, model) => {
    const looked = model.map((other, i) => ({ other, i }))
    if (rank < 0) looked.reverse()
    const matches = looked.slice(0, Math.max(0, within)).filter(({ other }) => other.equals(one))
    const expected = matches.slice(Math.abs(rank) - 1, Math.abs(rank) - 1 + most).map(({ i }) => i)
    assert.deepEqual(list.positions(one, rank, most, within), expected)
  }
}

function range([at, most, step]: [number, number, 1 | -1]): Action {
  return (list, model) => {
    const out = new Collected()
    list.put(out, at, most, step)
    const place = at < 0 ? model.length + at : at
    const exists = place >= 0 && place < model.length
    const walked =
      step > 0
        ? model.slice(place, place + most)
        : model
            .slice(0, place + 1)
            .reverse()
            .slice(0, most)
    assert.deepEqual(out.texts, exists ? texts(walked) : [])
    assert.equal(list.get(at)?.latin1Slice(), exists ? model[place]?.latin1Slice() : undefined)
  }
}

/** What list-max-listpack-size can be: sizes, numbers of elements, and what is beyond both. */
const fill = fc.constantFrom(-2, -1, -5, -99, 0, 1, 3, 128)

describe('a list', () => {
  it('is what an array would be, however it is cut into chunks', () => {
    fc.assert(
      fc.property(fill, fc.array(action, { maxLength: 60 }), (size, actions) => {
        const list = new ListValue()
        const model: Buffer[] = []
        for (const act of actions) {
          act(list, model, size)
          assert.equal(list.size, model.length)
        }
        assert.deepEqual(texts(list), texts(model))
        const nodes = [...list.nodes()]
        assert.equal(
          list.weight,
          nodes.reduce((sum, { length }) => sum + length + BUFFER, 0),
        )
        const copy = list.copy()
        list.drop('left', list.size)
        assert.deepEqual(texts(copy), texts(model))
        assert.equal([...list.nodes()].length, 0)
      }),
    )
  })

  it('shares its chunks with copies, and either may change as if it were alone', () => {
    const step = fc.tuple(fc.nat({ max: 3 }), fc.boolean(), action)
    fc.assert(
      fc.property(fill, fc.array(bytes, { maxLength: 30 }), fc.array(step, { maxLength: 60 }), (size, begin, steps) => {
        const lists = [{ list: new ListValue(), model: [...begin] }]
        for (const one of begin) lists[0]!.list.push('right', size, one)
        for (const [which, copies, act] of steps) {
          const { list, model } = lists[which % lists.length]!
          if (copies && lists.length < 4) lists.push({ list: list.copy(), model: [...model] })
          act(list, model, size)
        }
        for (const { list, model } of lists) {
          assert.deepEqual(texts(list), texts(model))
          assert.equal(list.size, model.length)
          const alone = new ListValue()
          for (const node of list.nodes()) alone.append(Buffer.from(node))
          assert.equal(list.weight, alone.weight)
        }
      }),
    )
  })

  it('copies no more than the chunks that change', () => {
    const list = new ListValue()
    for (let i = 0; i < 100_000; i++) list.push('right', -2, Buffer.from(`element ${i}`))
    const before = [...list.nodes()]
    const copy = list.copy()
    list.push('left', -2, Buffer.from('new'))
    list.set(50_000, -2, Buffer.from('other'))
    list.drop('right', 1)
    const isSame = (one: Buffer, other: Buffer): boolean =>
      one.buffer === other.buffer && one.byteOffset === other.byteOffset
    assert.ok([...copy.nodes()].every((node, i) => isSame(node, before[i]!)))
    const others = [...list.nodes()].filter((node) => !before.some((old) => isSame(old, node)))
    assert.ok(others.length <= 3, `${others.length} chunks are others`)
  })

  it('goes on in the memory of chunks that are gone, unless a copy still has them', () => {
    const list = new ListValue()
    const push = (n: number): void =>
      list.push('left', -2, Buffer.from(`element ${n} of a queue that is as long as ever`))
    let n = 0
    while (n < 20_000) push(n++)
    const advance = (rooms: Set<unknown>): void => {
      for (const end = n + 40_000; n < end; n++) {
        push(n)
        list.drop('right', 1)
        if (n % 100 === 0) rooms.add([...list.nodes()][0]!.buffer)
      }
    }
    const rooms = new Set(Array.from(list.nodes(), ({ buffer }) => buffer))
    const { size } = rooms
    advance(rooms)
    assert.ok(rooms.size <= size + 2, `${rooms.size - size} further pieces of memory`)
    const copy = list.copy()
    const before = texts(copy)
    advance(new Set())
    assert.deepEqual(texts(copy), before)
    assert.deepEqual(list.get(0), Buffer.from(`element ${n - 1} of a queue that is as long as ever`))
    assert.deepEqual(list.get(-1), Buffer.from(`element ${n - 20_000} of a queue that is as long as ever`))
  })

  it('is whole again from its listpacks, and from its parts', () => {
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 1, maxLength: 100 }), (elements) => {
        const list = new ListValue()
        for (const one of elements) list.push('right', -2, one)
        const again = new ListValue()
        for (const node of list.nodes()) again.append(Buffer.from(node))
        assert.deepEqual(texts(again), texts(elements))
        assert.deepEqual([...list.parts()].flatMap(texts), texts(elements))
      }),
    )
  })

  it('is one listpack as long as it is small', () => {
    const list = new ListValue()
    list.push('right', -2, Buffer.from('a'))
    list.push('left', -2, Buffer.from('12'))
    const packed = list.packedBytes
    assert.ok(packed)
    assert.deepEqual(texts(ListValue.fromPacked(Buffer.from(packed))), ['12', 'a'])
    list.push('right', -2, Buffer.alloc(9000))
    assert.equal(list.packedBytes, undefined)
  })

  it('keeps chunks within the limit, apart from single elements that are larger', () => {
    fc.assert(
      fc.property(
        fc.constantFrom([-1, 4096], [-2, 8192], [-5, 65_536], [3, 8192]),
        fc.array(action, { maxLength: 60 }),
        ([size, limit], actions) => {
          const list = new ListValue()
          const model: Buffer[] = []
          for (const act of actions) act(list, model, size!)
          for (const node of list.nodes()) {
            const { count: held } = Listpack.from(node)
            assert.ok(held === 1 || node.length <= limit!)
            if (size! > 0) assert.ok(held <= size!)
          }
        },
      ),
    )
  })

  it('reaches far indexes from the nearer end', () => {
    const list = new ListValue()
    for (let i = 0; i < 10_000; i++) list.push('right', -2, Buffer.from(String(i)))
    for (const i of [0, 1, 4999, 5000, 9998, 9999]) {
      assert.equal(list.get(i)?.latin1Slice(), String(i))
      assert.equal(list.get(i - 10_000)?.latin1Slice(), String(i))
    }
    assert.equal(list.get(10_000), undefined)
    assert.equal(list.get(-10_001), undefined)
  })
})
