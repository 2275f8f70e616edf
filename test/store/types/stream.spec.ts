/** Streams against a naive model, ids at the ends of their range, and what is pending in groups. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { PackedError } from '../../../store/types/listpack.ts'
import { StreamValue, type Trim } from '../../../store/types/stream.ts'
import { Consumer, Group } from '../../../store/types/stream-groups.ts'
import {
  compareIds,
  formatId,
  ID_SIZE,
  MAX_ID,
  MIN_ID,
  minus,
  nextId,
  plus,
  previousId,
  readId,
  type StreamId,
  UINT64_MAX,
  writeId,
} from '../../../store/types/stream-id.ts'
import type { StreamEntry, Words } from '../../../store/types/stream-node.ts'
import { PendingList } from '../../../store/types/stream-pending.ts'

/** Near nothing, where numbers cease to be exact, and near the end. */
const uint64 = fc.oneof(
  fc.nat(5),
  fc.nat(5).map((n) => plus(Number.MAX_SAFE_INTEGER, n - 3)),
  fc.nat(5).map((n) => plus(UINT64_MAX, -n)),
)
const id: fc.Arbitrary<StreamId> = fc.tuple(uint64, uint64).map(([ms, seq]) => ({ ms, seq }))

const toBigInt = ({ ms, seq }: StreamId): bigint => (BigInt(ms) << 64n) + BigInt(seq)

describe('a stream id', () => {
  it('is ordered, counted and written as the 128-bit number it is', () =>
    fc.assert(
      fc.property(id, id, (a, b) => {
        assert.equal(Math.sign(compareIds(a, b)), Number(toBigInt(a) > toBigInt(b)) - Number(toBigInt(a) < toBigInt(b)))
        assert.equal(nextId(a) && toBigInt(nextId(a)!), toBigInt(a) === toBigInt(MAX_ID) ? undefined : toBigInt(a) + 1n)
        assert.equal(previousId(a) && toBigInt(previousId(a)!), toBigInt(a) === 0n ? undefined : toBigInt(a) - 1n)
        assert.equal(plus(a.seq, minus(b.seq, a.seq)), b.seq)
        const bytes = Buffer.alloc(ID_SIZE)
        writeId(a, bytes)
        assert.equal(BigInt(`0x${bytes.toString('hex')}`), toBigInt(a))
        assert.deepEqual(readId(bytes), a)
      }),
    ))
})

type Items = readonly string[]
interface Row {
  readonly id: StreamId
  readonly items: Items
}

/** Strings laid out as a request's arguments are. */
function wordsOf(items: Items): Words {
  const ends: number[] = []
  for (const item of items) ends.push((ends.at(-1) ?? 0) + item.length)
  return { buffer: Buffer.from(items.join(''), 'latin1'), starts: [0, ...ends], ends }
}

function itemsOf(entry: StreamEntry): Items {
  const items: string[] = []
  entry.put({ bulkRange: (bytes, start, end) => items.push(Buffer.from(bytes).latin1Slice(start, end)) })
  assert.equal(items.length, entry.size * 2)
  return items
}

const rowsOf = (entries: Iterable<StreamEntry>): Row[] =>
  Array.from(entries, (entry) => ({ id: entry.id, items: itemsOf(entry) }))

const text = fc.constantFrom('', 'a', 'b', '1', '-70000', '9007199254740993', 'x'.repeat(64), '\xff\0')
const items = fc
  .array(fc.tuple(fc.constantFrom('f', 'g'), text), { minLength: 1, maxLength: 3 })
  .map((pairs): Items => pairs.flat())
const limits = fc.record({ maxBytes: fc.constantFrom(0, 1, 100, 4096), maxEntries: fc.constantFrom(0, 1, 2, 100) })

type Step =
  | { readonly type: 'append'; readonly items: Items; readonly gap: StreamId }
  | { readonly type: 'delete'; readonly which: number }
  | { readonly type: 'trim'; readonly keep: number; readonly byId: boolean }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('append' as const),
      items,
      gap: fc.constantFrom({ ms: 0, seq: 1 }, { ms: 1, seq: 0 }, { ms: 1000, seq: 7 }, { ms: 2 ** 52, seq: 2 ** 52 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('delete' as const), which: fc.nat(30) }) },
  fc.record({ type: fc.constant('trim' as const), keep: fc.nat(30), byId: fc.boolean() }),
)
const steps = fc.array(step, { maxLength: 150, size: 'max' })

/** A stream and its model after the same steps. */
function play(all: readonly Step[], maximum: { maxBytes: number; maxEntries: number }): [StreamValue, Row[]] {
  const value = new StreamValue()
  let model: Row[] = []
  for (const one of all) {
    if (one.type === 'append') {
      const { ms, seq } = value.lastId
      const next = { ms: plus(ms, one.gap.ms), seq: one.gap.ms === 0 ? plus(seq, one.gap.seq) : one.gap.seq }
      value.append(next, wordsOf(one.items), 0, one.items.length, maximum)
      model.push({ id: next, items: one.items })
    } else if (one.type === 'delete') {
      const row = model[one.which % (model.length + 1)]
      assert.equal(value.delete(row?.id ?? MAX_ID), row !== undefined)
      model = model.filter((other) => other !== row)
    } else {
      const kept = one.keep === 0 ? [] : model.slice(-one.keep)
      const keep: Trim['keep'] = one.byId ? { from: kept[0]?.id ?? MAX_ID } : { length: one.keep }
      assert.equal(value.trim({ keep, approximate: false, limit: 0 }), model.length - kept.length)
      model = kept
    }
    assert.equal(value.size, model.length)
    assert.deepEqual(value.firstId, model[0]?.id ?? MIN_ID)
  }
  return [value, model]
}

/** Everything that is saved of a stream. */
const saved = (value: StreamValue) => ({
  nodes: Array.from(value.nodes(), ({ id: nodeId, listpack }) => [formatId(nodeId), listpack.toString('hex')]),
  ids: [value.firstId, value.lastId, value.maxDeletedId].map(formatId),
  entriesAdded: value.entriesAdded,
  groups: Array.from(value.groups, ({ name, lastId, entriesRead, pending, consumers }) => ({
    name,
    lastId,
    entriesRead,
    pending: Array.from(pending, ({ consumer, ...rest }) => ({ ...rest, consumer: consumer.name })),
    consumers: Array.from(consumers, (one) => [one.name, one.seenAt, Array.from(one.pending, (p) => formatId(p.id))]),
  })),
})

describe('a stream', () => {
  it('holds what a list of entries would, in both directions', () =>
    fc.assert(
      fc.property(steps, limits, fc.nat(40), fc.nat(40), (all, maximum, a, b) => {
        const [value, model] = play(all, maximum)
        assert.deepEqual(rowsOf(value.range(MIN_ID, MAX_ID)), model)
        assert.deepEqual(rowsOf(value.range(MIN_ID, MAX_ID, -1)), model.toReversed())
        const [from, to] = [model[a % (model.length + 1)]?.id ?? MIN_ID, model[b % (model.length + 1)]?.id ?? MAX_ID]
        const within = model.filter((row) => compareIds(row.id, from) >= 0 && compareIds(row.id, to) <= 0)
        assert.deepEqual(rowsOf(value.range(from, to)), within)
        assert.deepEqual(rowsOf(value.range(from, to, -1)), within.toReversed())
        for (const row of model) assert.deepEqual(itemsOf(value.get(row.id)!), row.items)
        assert.equal(value.get(nextId(value.lastId)!), undefined)
      }),
    ))

  it('trims whole nodes only when told to be approximate, and no more than the limit', () =>
    fc.assert(
      fc.property(steps, fc.nat(20), fc.nat(10), (all, length, limit) => {
        const [value] = play(all, { maxBytes: 0, maxEntries: 4 })
        const before = Array.from(value.nodes(), ({ listpack }) => listpack.toString('hex'))
        const size = value.size
        const removed = value.trim({ keep: { length }, approximate: true, limit })
        assert.equal(value.size, size - removed)
        assert.ok(removed === 0 || value.size >= length)
        assert.ok(limit === 0 || removed <= limit)
        assert.deepEqual(
          Array.from(value.nodes(), ({ listpack }) => listpack.toString('hex')),
          before.slice(before.length - value.nodeCount),
        )
      }),
    ))

  it('keeps as many entries in a node as the limits allow, the first one always', () => {
    const nodes = (maxBytes: number, maxEntries: number): number => {
      const value = new StreamValue()
      for (let seq = 1; seq <= 250; seq++)
        value.append({ ms: 1, seq }, wordsOf(['field', 'v'.repeat(20)]), 0, 2, { maxBytes, maxEntries })
      return value.nodeCount
    }
    assert.equal(nodes(4096, 100), 3)
    assert.equal(nodes(0, 0), 1)
    assert.equal(nodes(1, 0), 250)
    assert.equal(nodes(0, 1), 250)
  })

  it('is the same when it is made anew from its parts, or copied', () =>
    fc.assert(
      fc.property(steps, limits, fc.array(fc.tuple(fc.nat(30), fc.constantFrom('a', 'b'))), (all, maximum, read) => {
        const [value, model] = play(all, maximum)
        const group = value.groups.add(new Group('g', MIN_ID, undefined))
        for (const [which, name] of read)
          if (model[which]) group.deliver(model[which].id, group.hearFrom(name, which), 1000 + which)
        const copy = value.copy()
        assert.deepEqual(saved(copy), saved(value))
        const before = saved(value)
        copy.append({ ms: UINT64_MAX, seq: 1 }, wordsOf(['f', 'v']), 0, 2, maximum)
        copy.trim({ keep: { length: 0 }, approximate: false, limit: 0 })
        for (const one of copy.groups) for (const name of ['a', 'b']) one.removeConsumer(name)
        assert.deepEqual(saved(value), before)
      }),
    ))

  it('refuses parts that do not fit together, and is readable when they do', () =>
    fc.assert(
      fc.property(steps, limits, fc.nat(), fc.nat(255), (all, maximum, where, byte) => {
        const [value] = play(all, maximum)
        const nodes = Array.from(value.nodes(), ({ id: nodeId, listpack }) => ({
          id: nodeId,
          listpack: Buffer.from(listpack),
        }))
        const node = nodes[where % Math.max(1, nodes.length)]
        if (node !== undefined) node.listpack[where % node.listpack.length] = byte
        try {
          const made = StreamValue.from({ nodes, lastId: value.lastId, groups: [] })
          assert.equal(rowsOf(made.range(MIN_ID, MAX_ID)).length, made.size)
          assert.equal(rowsOf(made.range(MIN_ID, MAX_ID, -1)).length, made.size)
        } catch (error) {
          assert.ok(error instanceof PackedError, String(error))
        }
      }),
      { numRuns: 500 },
    ))

  it('refuses what is pending for nobody, for two, or twice', () => {
    const pending = [{ id: { ms: 1, seq: 1 }, deliveredAt: 0, deliveries: 1 }]
    const consumer = (name: string) => ({ name, seenAt: 0, activeAt: undefined, pending })
    const make = (parts: { pending: typeof pending; consumers: readonly ReturnType<typeof consumer>[] }) =>
      StreamValue.from({ nodes: [], lastId: MAX_ID, groups: [{ name: 'g', lastId: MIN_ID, entriesRead: 0, ...parts }] })
    assert.equal(make({ pending, consumers: [consumer('a')] }).groups.get('g')!.pending.size, 1)
    assert.throws(() => make({ pending, consumers: [] }), PackedError)
    assert.throws(() => make({ pending: [], consumers: [consumer('a')] }), PackedError)
    assert.throws(() => make({ pending, consumers: [consumer('a'), consumer('b')] }), PackedError)
    assert.throws(() => make({ pending, consumers: [consumer('a'), consumer('a')] }), PackedError)
    assert.throws(() => make({ pending: [...pending, ...pending], consumers: [consumer('a')] }), PackedError)
  })
})

describe('a group', () => {
  it('has every pending entry with one consumer, who has it too', () => {
    const group = new Group('g', MIN_ID, 0)
    const [first, second] = [
      { ms: 1, seq: 1 },
      { ms: 1, seq: 2 },
    ]
    const [a, b] = [group.hearFrom('a', 10), group.hearFrom('b', 20)]
    group.deliver(first, a, 30)
    group.deliver(second, a, 30)
    assert.deepEqual(group.claim(second, b), { id: second, consumer: b, deliveredAt: 30, deliveries: 1 })
    assert.deepEqual([a.pending.size, b.pending.size, group.pending.size], [1, 1, 2])
    assert.equal(group.acknowledge(second), true)
    assert.equal(group.acknowledge(second), false)
    assert.equal(group.removeConsumer('a'), 1)
    assert.equal(group.removeConsumer('a'), undefined)
    assert.deepEqual([b.pending.size, group.pending.size], [0, 0])
    assert.deepEqual(
      Array.from(group.consumers, ({ name }) => name),
      ['b'],
    )
  })

  it('lists its consumers in the order of their names', () => {
    const { consumers } = new Group('g', MIN_ID, 0)
    for (const name of ['b', '\xff', 'ab', 'a', '']) consumers.add(new Consumer(name, 0))
    assert.deepEqual(
      Array.from(consumers, ({ name }) => name),
      ['', 'a', 'ab', 'b', '\xff'],
    )
  })
})

describe('a list of pending entries', () => {
  it('is in the order of its ids, however it came about', () =>
    fc.assert(
      fc.property(fc.array(fc.nat(2000), { maxLength: 3000, size: 'max' }), fc.nat(2000), (all, from) => {
        const list = new PendingList<{ id: StreamId }>()
        const model = new Set<number>()
        for (const seq of all) {
          const one = { ms: 1, seq }
          assert.equal(list.get(one) !== undefined, model.has(seq))
          // Each second time it comes up, an id goes.
          if (model.delete(seq)) assert.deepEqual(list.delete(one), { id: one })
          else {
            model.add(seq)
            list.add({ id: one })
          }
        }
        const sorted = [...model].sort((a, b) => a - b)
        assert.equal(list.size, sorted.length)
        assert.deepEqual(
          Array.from(list, (one) => one.id.seq),
          sorted,
        )
        assert.deepEqual([list.first?.id.seq, list.last?.id.seq], [sorted[0], sorted.at(-1)])
        assert.deepEqual(
          Array.from(list.from({ ms: 1, seq: from }), (one) => one.id.seq),
          sorted.filter((seq) => seq >= from),
        )
      }),
      { numRuns: 30 },
    ))
})
