/** Streams: what a real server answers, and what replicas are told. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { argvOf } from '../../lib/resp/argv.ts'
import { sleepHard } from '../../lib/server/machine.ts'
import { Differential, type Request, requests, type Slot } from '../support/differential.ts'
import { InProcess, type Wired } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { type Argument, encode, type Value } from '../support/resp.ts'
import { commandsOf } from '../support/stream-tap.ts'
import { describeBeside } from '../support/tools.ts'

const key = fc.constantFrom<Argument>('s', 's', 't', 'text')
const number = fc.integer({ min: 0, max: 6 })
const plainId = fc.tuple(number, number).map(([ms, seq]) => `${ms}-${seq}`)
/** Ids that meet, and now and then what is odd about them. */
const id = fc.oneof(
  { weight: 20, arbitrary: plainId },
  { weight: 4, arbitrary: number.map(String) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...['-', '+', '$', '>', '', '-1', '1-', '1-x', '1-2-3', '007-01', '1-*', '*', ' 1', '+1-1', '1-1\0x', '1.5'],
      ...['18446744073709551615', '18446744073709551615-18446744073709551614', '18446744073709551616', '1--1'],
      ...['18446744073709551615-18446744073709551615', '9007199254740993-9007199254740993', '1'.repeat(128)],
    ),
  },
)
const newId = fc.oneof(
  { weight: 6, arbitrary: number.map((ms) => `${ms}-*`) },
  { weight: 2, arbitrary: fc.constantFrom('9007199254740990-*', '9007199254740993-*') },
  { weight: 3, arbitrary: id.filter((text) => text !== '*') },
)
const bound = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('-', '+') },
  id,
  id.map((text) => `(${text}`),
)
const words = fc.constantFrom<readonly Argument[]>(
  ['f', 'v'],
  ['f', '17'],
  ['f', 'v', 'g', 'w'],
  ['g', 'w', 'f', ''],
  ['f', 'x'.repeat(70)],
  ['', Buffer.from([0, 0xff])],
  ['f', '-9007199254740993', 'g', '70000'],
  ['f'],
)
/** `+` is of a later version. */
const readFrom = id.filter((text) => text !== '+')
const count = fc.constantFrom('0', '1', '2', '3', '100', '-1', 'x', '9223372036854775807')
const threshold = fc.tuple(
  fc.constantFrom('MAXLEN', 'minid'),
  fc.constantFrom('~', '=', undefined),
  fc.oneof(number.map(String), id),
)
const limit = fc.constantFrom<readonly Argument[]>(
  [],
  [],
  [],
  ['LIMIT', '3'],
  ['limit', '0'],
  ['LIMIT', '-1'],
  ['LIMIT'],
)

/** Words of which some are several arguments, or none. */
const flat = (
  ...slots: (Slot | fc.Arbitrary<readonly (Argument | undefined)[]>)[]
): readonly [fc.Arbitrary<Request>] => [
  fc
    .tuple(...slots.map((slot) => (typeof slot === 'string' ? fc.constant(slot) : slot)))
    .map((parts) => parts.flat().filter((part): part is Argument => part !== undefined)),
]
const oneOf = (...forms: (readonly [fc.Arbitrary<Request>])[]): fc.Arbitrary<Request> =>
  fc.oneof(...forms.map(([form]) => form))

const adding = flat('XADD', key, newId, words)

const ENTRIES = fc.oneof(
  requests([
    ['xlen', key],
    ['type', key],
    ['object', 'encoding', key],
    ['debug', 'digest-value', key],
    ['xrange', key, bound, bound],
    ['xrevrange', key, bound, bound],
    ['xrange', key, bound, bound, 'COUNT', count],
    ['xrevrange', key, '+', '-', 'count', count],
    ['xdel', key, id],
    ['xdel', key, id, id, id],
    ['xsetid', key, id],
    ['xsetid', key, id, 'ENTRIESADDED', fc.constantFrom('0', '7', '20', '-1', 'x')],
    ['xsetid', key, id, 'MAXDELETEDID', id, 'entriesadded', '30'],
    ['xread', 'COUNT', count, 'STREAMS', key, key, readFrom, readFrom],
    ['xread', 'STREAMS', key, fc.constantFrom('0', '$', '>')],
    ['xread', 'BLOCK', fc.constantFrom('-1', 'x', '1.5'), 'STREAMS', 's', '0'],
    ['xread', fc.constantFrom('GROUP', 'NOACK', 'foo'), 'a', 'b', 'STREAMS', key, '0'],
    ['xinfo', 'stream', key],
    ['xinfo', 'stream', key, 'FULL'],
    ['xinfo', 'stream', key, 'full', 'count', fc.constantFrom('0', '2', '-1', 'x')],
    ['copy', 's', 't'],
    ['set', 'text', 'x'],
  ]),
  oneOf(
    adding,
    adding,
    flat('XADD', key, 'NOMKSTREAM', newId, words),
    flat('XADD', key, threshold, limit, newId, words),
    flat('xadd', key, limit, 'nomkstream', threshold, newId, words),
    flat('XADD', key, threshold, threshold, newId, words),
    flat('XTRIM', key, threshold, limit),
    flat('xtrim', key, limit),
  ),
)

/** Of groups they would tell who was heard of when. */
const DUMPS = requests([['dump', key]])

const group = fc.constantFrom('g', 'g', 'h', 'other')
const consumer = fc.constantFrom('a', 'b', 'c')
const idle = fc.constantFrom('0', '0', '100000', '-1', 'x')
const position = fc.oneof(id, fc.constantFrom('$', '0', '0'))
/** A real server tells replicas of these in the client's spelling. */
const claimId = fc.oneof({ weight: 9, arbitrary: plainId }, fc.constantFrom('x', '-', '*'))
const claimOptions = fc
  .array(
    fc.constantFrom<readonly Argument[]>(
      ...[['FORCE'], ['justid'], ['IDLE', '100000'], ['TIME', '1000'], ['RETRYCOUNT', '5'], ['LASTID', '3-3']],
      ...[['idle', '-1'], ['TIME', '-5'], ['RETRYCOUNT', '-1'], ['TIME', 'x'], ['LASTID', 'x'], ['IDLE'], ['foo']],
    ),
    { maxLength: 3 },
  )
  .map((options) => options.flat())

const GROUPS = fc.oneof(
  requests([
    [
      'xreadgroup',
      'GROUP',
      group,
      consumer,
      'COUNT',
      count,
      'STREAMS',
      key,
      fc.constantFrom('>', '>', '0', '2-2', '$', '+'),
    ],
    ['xreadgroup', 'GROUP', group, consumer, 'NOACK', 'COUNT', '2', 'STREAMS', key, '>'],
    ['xreadgroup', 'GROUP', group, consumer, 'STREAMS', key, key, '>', fc.constantFrom('>', '0')],
    ['xreadgroup', 'COUNT', '1', 'STREAMS', key, key, key, '>'],
    ['xreadgroup', 'COUNT', '1', 'NOACK', 'STREAMS', key, key, '>', '>'],
    ['xgroup', 'create', key, group, position],
    ['xgroup', 'create', key, group, position, 'MKSTREAM', 'ENTRIESREAD', fc.constantFrom('0', '3', '-1', '-2', 'x')],
    ['xgroup', 'setid', key, group, position],
    ['xgroup', 'setid', key, group, position, 'entriesread', fc.constantFrom('0', '3', '-1')],
    ['xgroup', 'destroy', key, fc.constantFrom('h', 'other')],
    ['xgroup', 'createconsumer', key, group, consumer],
    ['xgroup', 'delconsumer', key, group, consumer],
    ['xack', key, group, id, id, id],
    ['xpending', key, group],
    ['xpending', key, group, bound, bound, count],
    ['xpending', key, group, '-', '+', '10', consumer],
    ['xpending', key, group, 'IDLE', idle, '-', '+', '10'],
    ['xpending', key, group, 'idle', idle, bound, '+', '10', consumer],
    ['xautoclaim', key, group, consumer, idle, bound],
    ['xautoclaim', key, group, consumer, '0', '0', 'COUNT', fc.constantFrom('1', '2', '0', 'x')],
    ['xautoclaim', key, group, consumer, '0', '0', 'justid', 'count', '3'],
    ['xinfo', 'groups', key],
    ['xinfo', 'consumers', key, group],
    ['xinfo', 'stream', key, 'FULL', 'COUNT', fc.constantFrom('0', '2')],
    ['xdel', key, id, id],
    ['copy', 's', 't', 'REPLACE'],
    ['del', 't'],
  ]),
  oneOf(
    adding,
    adding,
    flat('XTRIM', key, 'MAXLEN', number.map(String)),
    flat('XCLAIM', key, group, consumer, idle, claimId, claimOptions),
    flat('XCLAIM', key, group, consumer, '0', claimId, claimId, claimId, claimOptions),
  ),
)
const SEED: readonly Request[] = [
  ...['1-1', '1-2', '2-2', '3-3', '4-4', '5-5'].map((text) => ['XADD', 's', text, 'f', text]),
  ['XGROUP', 'CREATE', 's', 'g', '0'],
  ['XGROUP', 'CREATE', 's', 'h', '2-2'],
]

describeBeside('stream commands answer like redis-server 7.0', function () {
  this.timeout(60_000)
  let wide: Differential
  let narrow: Differential
  before(async () => {
    wide = await Differential.start({ rdbcompression: 'no', 'stream-node-max-bytes': '200' })
    narrow = await Differential.start({ rdbcompression: 'no', 'stream-node-max-entries': '3' })
  })
  after(stopEverything)

  const agree = (one: fc.Arbitrary<Request>, seed: readonly Request[], numRuns: number): Promise<void> =>
    fc.assert(
      fc.asyncProperty(
        fc.array(one, { minLength: 1, maxLength: 80, size: 'max' }),
        fc.constantFrom(2, 3),
        fc.boolean(),
        (all, protocol, isWide) => (isWide ? wide : narrow).compare([...seed, ...all], protocol as 2 | 3),
      ),
      { numRuns },
    )

  it('entries: adding, ranges, removing, trimming', () =>
    agree(fc.oneof({ weight: 15, arbitrary: ENTRIES }, DUMPS), [], 150))
  it('groups: reading, acknowledging, claiming', () => agree(GROUPS, SEED, 150))

  it('and tell replicas the same of both', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(ENTRIES, GROUPS, GROUPS), { minLength: 1, maxLength: 80, size: 'max' }),
        (all) => narrow.compareStreams([...SEED, ...all]),
      ),
      { numRuns: 40 },
    ))

  it('and replicas that are told so hold the same entries, pending for the same consumers', () =>
    fc.assert(
      fc.property(fc.array(fc.oneof(ENTRIES, GROUPS, GROUPS), { minLength: 1, maxLength: 80, size: 'max' }), (all) => {
        const [primary, replica] = [new InProcess(), new InProcess()]
        const client = primary.connect()
        const chunks: Buffer[] = []
        primary.server.replication.stream.open('f'.repeat(40))
        primary.server.replication.stream.subscribe((bytes) => chunks.push(Buffer.from(bytes)))
        for (const request of [...SEED, ...all]) client.raw(encode(request))
        for (const words of commandsOf(Buffer.concat(chunks)))
          replica.server.apply(argvOf(words.map((word) => Buffer.from(word, 'latin1'))), 0)
        assert.deepEqual(told(replica.connect()), told(client))
      }),
      { numRuns: 60 },
    ))

  it('tells since when a consumer has asked for nothing, and since when it has got nothing, as of Redis 7.2', () => {
    const ours = new InProcess()
    const client = ours.connect()
    const times = (): readonly unknown[] => {
      const [[, , , , , idle, , inactive]] = client.call('XINFO', 'CONSUMERS', 's', 'g') as readonly Value[][] as [
        Value[],
      ]
      const full = JSON.stringify(client.call('XINFO', 'STREAM', 's', 'FULL'))
      return [
        Number(idle) >= 30,
        Number(inactive) >= 30 || inactive,
        Number(/"active-time",(-?\d+)/.exec(full)![1]) > 0,
      ]
    }
    client.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
    client.call('XGROUP', 'CREATECONSUMER', 's', 'g', 'c')
    const read = ['XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 's', '>']
    assert.deepEqual(times(), [false, -1, false])
    client.call('XADD', 's', '1-1', 'f', 'v')
    client.call(...read)
    sleepHard(30)
    assert.deepEqual(times(), [true, true, true])
    client.call(...read)
    assert.deepEqual(times(), [false, true, true])
    sleepHard(30)
    client.call('XCLAIM', 's', 'g', 'c', '100000', '1-1')
    assert.deepEqual(times(), [false, true, true])
    client.call('XAUTOCLAIM', 's', 'g', 'c', '0', '-')
    const [idle, inactive] = times()
    assert.deepEqual([idle, Number(inactive) < 30], [false, true])
  })

  it('with + XREAD begins with the last entry there is, as of Redis 7.4', () => {
    const client = new InProcess().connect()
    const read = (): Value => client.call('XREAD', 'STREAMS', 's', '+')
    assert.equal(read(), null)
    for (const text of ['1-1', '1-2', '1-3']) client.call('XADD', 's', text, 'f', text)
    client.call('XDEL', 's', '1-3')
    assert.deepEqual(read(), [['s', [['1-2', ['f', '1-2']]]]])
    client.call('XTRIM', 's', 'MAXLEN', '0')
    assert.equal(read(), null)
  })
})

/** What primary and replica agree on. How often an entry was delivered and who only asked is not replicated. */
function told(client: Wired): unknown {
  const rows = (...argv: readonly Argument[]): readonly Value[] => {
    try {
      return client.call(...argv) as readonly Value[]
    } catch (error) {
      return [String(error)]
    }
  }
  return ['s', 't'].map((name) => [
    rows('XRANGE', name, '-', '+'),
    rows('XINFO', 'GROUPS', name).map((one) => (Array.isArray(one) ? [one[1], one[5], one[7]] : one)),
    ['g', 'h', 'other'].map((one) =>
      rows('XPENDING', name, one, '-', '+', '1000').map((row) => (Array.isArray(row) ? row.slice(0, 2) : row)),
    ),
  ])
}
