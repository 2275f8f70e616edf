/** Deadlines: what a real server answers, and when keys are gone. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Millis } from '../../lib/base/brand.ts'
import { Differential, requests, someKey } from '../support/differential.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { commandsOf } from '../support/stream-tap.ts'
import { describeBeside } from '../support/tools.ts'

const span = fc.oneof(
  fc.constantFrom('100', '200', '300', '0', '-1', '-9223372036854775', '9223372036854776', '9223372036854775807'),
  fc.constantFrom('-9223372036854775808', '-9223372036854776', 'x', '', '1.5', '007'),
)
const longSpan = fc.constantFrom('100000', '200000', '-1', '9223372036854775807', '9223372036854775808', 'x')
const instant = fc.constantFrom('4000000000', '4100000000', '1', '0', '-5', '9223372036854776', '9223372036854775807')
const longInstant = fc.constantFrom('4000000000000', '4100000000000', '1', '-9223372036854775808', 'x')
/** Relative times are worked out by two clocks: GT and LT could tell them apart. */
const plainCondition = fc.constantFrom('NX', 'xx', 'foo')
const condition = fc.constantFrom('NX', 'xx', 'GT', 'lt', 'foo', 'NX')

const DEADLINES = requests([
  ['set', someKey, 'v'],
  ['set', someKey, 'v'],
  ['set', someKey, 'v', 'KEEPTTL'],
  ['expire', someKey, span],
  ['expire', someKey, span, plainCondition],
  ['expire', someKey, span, plainCondition, plainCondition],
  ['pexpire', someKey, longSpan],
  ['pexpire', someKey, longSpan, plainCondition],
  ['expireat', someKey, instant],
  ['expireat', someKey, instant, condition],
  ['pexpireat', someKey, longInstant],
  ['pexpireat', someKey, longInstant, condition, condition],
  ['ttl', someKey],
  ['pttl', someKey],
  ['expiretime', someKey],
  ['pexpiretime', someKey],
  ['persist', someKey],
  ['exists', someKey],
  ['get', someKey],
  ['rename', someKey, someKey],
  ['getset', someKey, 'w'],
])

describeBeside('deadlines are answered like by redis-server 7.0', function () {
  this.timeout(60_000)
  let both: Differential
  before(async () => {
    both = await Differential.start()
  })
  after(stopEverything)

  it('set, asked for, taken back', () => both.agree(DEADLINES, 120))
})

describe('a key past its deadline', () => {
  /** A server whose clock stands, with key `k` due at 1000, and what it tells its replicas. */
  function withDueKey(mode: 'remove' | 'hide' | 'ignore') {
    const inner = new InProcess()
    const { server } = inner
    let now = 500 as Millis
    server.refreshClock = () => {
      server.now = now
      server.keyspace.now = now
    }
    const { stream } = server.replication
    stream.open('a'.repeat(40))
    const connection = inner.connect()
    connection.call('SET', 'k', 'v', 'PXAT', '1000')
    server.keyspace.expiry = mode
    now = 1000 as Millis
    const from = stream.offset + 1
    const told = (): string[] => commandsOf(Buffer.concat(stream.readFrom(from))).map((words) => words.join(' '))
    return { inner, connection, told }
  }

  it('is gone for readers, and replicas get a DEL', () => {
    const { connection, told, inner } = withDueKey('remove')
    assert.equal(connection.call('GET', 'k'), null)
    assert.deepEqual(told(), ['DEL k'])
    assert.equal(inner.server.keyspace.size, 0)
  })

  it('is gone before a write takes its place: both effects are one transaction', () => {
    const { connection, told } = withDueKey('remove')
    assert.equal(connection.call('INCR', 'k'), 1)
    assert.deepEqual(told(), ['MULTI', 'DEL k', 'INCR k', 'EXEC'])
  })

  it('stays on a replica until the primary says so, but nobody sees it', () => {
    const { connection, told, inner } = withDueKey('hide')
    assert.equal(connection.call('GET', 'k'), null)
    assert.equal(connection.call('EXISTS', 'k'), 0)
    assert.equal(connection.call('TTL', 'k'), -2)
    assert.deepEqual(connection.call('KEYS', '*'), [])
    assert.deepEqual(connection.call('SCAN', '0'), ['0', []])
    assert.equal(inner.server.keyspace.size, 1)
    assert.deepEqual(told(), [])
  })

  it('is as good as any other for commands of the primary', () => {
    const { connection } = withDueKey('ignore')
    assert.equal(connection.call('GET', 'k'), 'v')
  })
})
