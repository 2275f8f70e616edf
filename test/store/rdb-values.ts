/** Values of every type for tests of RDB data: random ones, and any of them as plain data that can be compared. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { formatDouble } from '../../lib/base/double.ts'
import { keyOf } from '../../lib/base/key.ts'
import { Crc64 } from '../../store/rdb/crc64.ts'
import { DEFAULT_LIMITS, type Limits } from '../../store/rdb/types.ts'
import { HashValue } from '../../store/types/hash.ts'
import { ListValue } from '../../store/types/list.ts'
import { SetValue } from '../../store/types/set.ts'
import { StreamValue } from '../../store/types/stream.ts'
import { Group } from '../../store/types/stream-groups.ts'
import { compareIds, formatId, MAX_ID, MIN_ID, type StreamId, UINT64_MAX } from '../../store/types/stream-id.ts'
import type { Words } from '../../store/types/stream-node.ts'
import { ZSetValue } from '../../store/types/zset.ts'
import type { StringValue, Value } from '../../store/value.ts'

export const stringValue = (bytes: Buffer): StringValue => ({ type: 'string', bytes, raw: false })

/** A body with the footer of a DUMP payload. */
export function sealed(body: Buffer | string, version = 10): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body.replaceAll(/\s/g, ''), 'hex') : body
  const versioned = Buffer.from([...bytes, version, 0])
  return Buffer.concat([versioned, new Crc64().update(versioned).bytes()])
}

/** The body of a stream with the entry 5-1, pending for a consumer of a group that has read up to `lastId` (two lengths). */
export function streamBody(form: 1 | 2 | 3, lastId: string): string {
  const id = '00000000000000050000000000000001'
  const pack = '1d000000 0a00 0101 0001 0101 816602 0001 0201 0001 0001 817602 0401 ff'
  const time = '0068e5cf8b010000'
  return [
    { 1: '0f', 2: '13', 3: '15' }[form],
    `01 10 ${id} 1d ${pack} 01 0501`,
    ...(form === 1 ? [] : ['0501 0000 01']),
    `01 0167 ${lastId}`,
    ...(form === 1 ? [] : ['01']),
    `01 ${id} ${time} 02`,
    `01 0163 ${time} ${form === 3 ? time : ''}`,
    `01 ${id}`,
  ].join(' ')
}

/** Asserts what the operations on a value rely on. */
export function assertSound(value: Value): void {
  switch (value.type) {
    case 'string':
      return
    case 'list':
      return assert.equal([...value].length, value.size)
    case 'set':
      return assert.equal(new Set(value).size, value.size)
    case 'hash':
      return assert.equal(new Set(Array.from(value, ([field]) => field.latin1Slice())).size, value.size)
    case 'zset':
      return assertRanked(value)
    case 'stream':
      return assertOrdered(value)
  }
}

function assertRanked(zset: ZSetValue): void {
  assert.equal(zset.entries().length, zset.size)
  for (const [rank, [member, score]] of zset.entries().entries()) {
    assert.equal(zset.score(member), score)
    assert.equal(zset.rank(member), rank)
  }
}

function assertOrdered(stream: StreamValue): void {
  const ids = Array.from(stream.range(MIN_ID, MAX_ID), ({ id }) => id)
  const backwards = Array.from(stream.range(MIN_ID, MAX_ID, -1), ({ id }) => id)
  assert.deepEqual(backwards.reverse(), ids)
  assert.equal(ids.length, stream.size)
  for (const [i, id] of ids.entries()) {
    assert.ok(i === 0 || compareIds(ids[i - 1]!, id) < 0)
    assert.deepEqual(stream.get(id)?.id, id)
  }
  assert.ok(compareIds(ids.at(-1) ?? MIN_ID, stream.lastId) <= 0)
  assert.deepEqual(stream.firstId, ids[0] ?? MIN_ID)
  for (const { pending, consumers } of stream.groups) {
    const claimed = Array.from(consumers, (consumer) => [...consumer.pending]).flat()
    assert.equal(claimed.length, pending.size)
    for (const delivery of claimed) assert.equal(pending.get(delivery.id), delivery)
  }
  const emptied = stream.copy()
  for (const id of ids) assert.ok(emptied.delete(id))
  assert.equal(emptied.nodeCount, 0)
}

/** Everything that can be seen of a value, in an order of its own. */
export function plain(value: Value): unknown {
  switch (value.type) {
    case 'string':
      return value.bytes.latin1Slice()
    case 'list':
      return Array.from(value, (element) => element.latin1Slice())
    case 'set':
      return [...value].sort()
    case 'hash':
      return Array.from(value, (pair) => pair.map((bytes) => bytes.latin1Slice())).sort()
    case 'zset':
      return value.entries().map(([member, score]) => [member, formatDouble(score)])
    case 'stream':
      return plainStream(value)
  }
}

/** In the words of the vectors. */
function plainStream(stream: StreamValue): unknown {
  const pair = ({ ms, seq }: StreamId): readonly (number | string)[] =>
    [ms, seq].map((n) => (typeof n === 'bigint' ? `${n}` : n))
  return {
    entries: entriesOf(stream),
    length: stream.size,
    last: pair(stream.lastId),
    first: pair(stream.firstId),
    maxdel: pair(stream.maxDeletedId),
    added: stream.entriesAdded,
    groups: Array.from(stream.groups, ({ name, lastId, entriesRead, pending, consumers }) => ({
      name,
      last: pair(lastId),
      entries_read: entriesRead ?? Number(UINT64_MAX),
      pel: Array.from(pending, ({ id, deliveredAt, deliveries }) => [formatId(id), deliveredAt, deliveries]),
      cons: Array.from(consumers, (consumer) => ({
        name: consumer.name,
        seen: consumer.seenAt,
        pel: Array.from(consumer.pending, ({ id }) => formatId(id)),
      })),
    })),
  }
}

function entriesOf(stream: StreamValue): unknown {
  return Array.from(stream.range(MIN_ID, MAX_ID), (entry) => {
    const words: string[] = []
    entry.put({ bulkRange: (bytes, start, end) => words.push(Buffer.from(bytes.subarray(start, end)).latin1Slice()) })
    return [formatId(entry.id), words]
  })
}

const EDGES = [0, 12, 127, 128, 4095, 4096, 2 ** 15, 2 ** 23, 2 ** 31, 2 ** 32, 2 ** 53].flatMap((n) => [
  n - 1,
  n,
  -n,
  -n - 1,
])
const INTEGERS = [
  ...EDGES.map(String),
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775808',
  '007',
  '-0',
]

/** Integers of every width, short texts, and now and then one at the border of a limit. */
export const someBytes: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...INTEGERS).map((text) => Buffer.from(text)) },
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 12 }).map(Buffer.from) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(20, 21, 63, 64, 65, 127, 4095, 4096, 9000), fc.nat(255))
      .map(([length, byte]) => Buffer.alloc(length, byte)),
  },
)

/** Limits that a few elements cross. */
export const TIGHT_LIMITS: Limits = {
  hashMaxListpackEntries: 5,
  hashMaxListpackValue: 10,
  setMaxIntsetEntries: 3,
  zsetMaxListpackEntries: 4,
  zsetMaxListpackValue: 12,
  listMaxListpackSize: 3,
}

const someLimits = fc.constantFrom(DEFAULT_LIMITS, TIGHT_LIMITS)

/** Few elements as a rule; seldom so many that the usual limits are crossed. */
const several = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.oneof(
    { weight: 9, arbitrary: fc.array(one, { minLength: 1, maxLength: 12 }) },
    { weight: 1, arbitrary: fc.array(one, { minLength: 500, maxLength: 1100, size: 'max' }) },
  )

const someList = fc.tuple(several(someBytes), someLimits).map(([elements, limits]) => {
  const list = new ListValue()
  for (const element of elements) list.push('right', limits.listMaxListpackSize, element)
  return list
})

const someMembers = fc.oneof(
  several(someBytes),
  several(fc.integer({ min: -(2 ** 20), max: 2 ** 35 }).map((n) => Buffer.from(String(n)))),
)

const someSet = fc.tuple(someMembers, someLimits).map(([members, limits]) => {
  const set = new SetValue()
  for (const member of members) set.add(keyOf(member), limits)
  return set
})

const someHash = fc.tuple(several(fc.tuple(someBytes, someBytes)), someLimits).map(([pairs, limits]) => {
  const hash = new HashValue()
  for (const [field, value] of pairs) hash.set(keyOf(field), value, limits)
  return hash
})

const someScore = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  // Not minus zero: it becomes zero when a small set is packed, here as there, so it does not come back.
  fc.double({ noNaN: true }).map((score) => score + 0),
  fc.constantFrom(2 ** 53, -(2 ** 62), 2 ** 63, 1e300, 0.1, 1 / 3),
)

const someZSet = fc.tuple(several(fc.tuple(someBytes, someScore)), someLimits).map(([pairs, limits]) => {
  const zset = new ZSetValue()
  for (const [bytes, score] of pairs) {
    const member = bytes.latin1Slice()
    zset.set(member, score, limits)
  }
  return zset
})

/** What happens to a stream: an entry is added so much later, with these fields, and perhaps deleted; or a group reads one. */
interface StreamEvent {
  readonly later: number
  readonly words: readonly Buffer[]
  readonly fate: 'stays' | 'goes' | 'delivered'
  readonly reader: number
}

const someEvent: fc.Arbitrary<StreamEvent> = fc.record({
  later: fc.constantFrom(0, 0, 1, 2 ** 33),
  words: fc.oneof(
    fc
      .constantFrom(['temp', '20', 'hum', '50'], ['temp', '-7', 'hum', 'x'])
      .map((texts) => texts.map((text) => Buffer.from(text))),
    fc.array(fc.tuple(someBytes, someBytes), { minLength: 1, maxLength: 3 }).map((pairs) => pairs.flat()),
  ),
  fate: fc.constantFrom('stays', 'goes', 'delivered'),
  reader: fc.nat(3),
})

const someStream = fc
  .tuple(several(someEvent), fc.constantFrom(0, 1526919030474, 2n ** 63n), fc.boolean())
  .map(([events, start, isEmptied]) => {
    const stream = new StreamValue()
    for (const name of ['readers', '7']) stream.groups.add(new Group(name, MIN_ID, name === '7' ? undefined : 3))
    let [ms, seq]: [number | bigint, number] = [start, 0]
    for (const { later, words, fate, reader } of events) {
      ms = typeof ms === 'bigint' ? ms + BigInt(later) : ms + later
      const id: StreamId = { ms, seq: ++seq }
      stream.append(id, wordsOf(words), 0, words.length, { maxBytes: 4096, maxEntries: 100 })
      if (fate === 'delivered') deliver(stream, id, reader)
      if (fate === 'goes') stream.delete(id)
    }
    if (isEmptied) stream.trim({ keep: { length: 0 }, approximate: false, limit: 0 })
    return stream
  })

/** Words as a request has them. */
export function wordsOf(words: readonly Buffer[]): Words {
  const starts: number[] = []
  let at = 0
  for (const { length } of words) {
    starts.push(at)
    at += length
  }
  return { buffer: Buffer.concat(words), starts, ends: starts.map((start, i) => start + words[i]!.length) }
}

function deliver(stream: StreamValue, id: StreamId, reader: number): void {
  const group = stream.groups.get(reader < 2 ? 'readers' : '7')!
  const consumer = group.hearFrom(`consumer ${reader}`, 1_700_000_000_000 + reader)
  group.deliver(id, consumer, 1_700_000_000_000).deliveries += reader
  group.lastId = id
}

export const someCollection: fc.Arbitrary<Exclude<Value, StringValue>> = fc.oneof(
  someList,
  someSet,
  someHash,
  someZSet,
  someStream,
)
export const someValue: fc.Arbitrary<Value> = fc.oneof(someBytes.map(stringValue), someCollection)
