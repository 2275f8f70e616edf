/** Waiting for lists: who is served, in which order, with what, and what replicas are told of it. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Millis } from '../../lib/base/brand.ts'
import { Beside, type Step } from '../support/beside-redis.ts'
import { ask, type Client, connect } from '../support/client.ts'
import { InProcess, type Wired } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { encode } from '../support/resp.ts'
import { StreamTap } from '../support/stream-tap.ts'
import { describeBeside } from '../support/tools.ts'

/** Few keys, many of which nobody has written. */
const key = fc.constantFrom('k', 'l', 'm')
const side = fc.constantFrom('LEFT', 'RIGHT')
const connection = fc.constantFrom('b', 'c', 'd', 'e')
const words = (...parts: readonly (string | fc.Arbitrary<string>)[]): fc.Arbitrary<string> =>
  fc.tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part))).map((all) => all.join(' '))

const waiting = fc.oneof(
  words('BLPOP', key, '0'),
  words('BRPOP', key, key, key, '0'),
  words('BLMPOP 0 2', key, key, side),
  words('BLMPOP 0 1', key, side, 'COUNT 2'),
  words('BLMOVE', key, key, side, side, '0'),
  words('BRPOPLPUSH', key, key, '0'),
)
const writing = fc.oneof(
  { weight: 3, arbitrary: words('RPUSH', key, 'one') },
  { weight: 3, arbitrary: words('LPUSH', key, 'one two three') },
  words('SET', key, 'text'),
  words('DEL', key, key),
  words('RENAME', key, key),
  words('COPY', key, key),
  words('LMOVE', key, key, side, side),
  words('LPOP', key),
)

/** Transactions write to several keys before anybody is served. */
const steps: fc.Arbitrary<readonly Step[]> = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: words(connection, '>', waiting).map((step) => [step.replace(' >', '>')]) },
      { weight: 2, arbitrary: writing.map((one) => [one]) },
      fc.array(writing, { maxLength: 5 }).map((all) => ['MULTI', ...all, 'EXEC']),
    ),
    { minLength: 5, maxLength: 30 },
  )
  .map((all) => all.flat())

/** Whoever still waits gets no PONG. */
const CLOSING: readonly Step[] = ['b> PING', 'c> PING', 'd> PING', 'e> PING', 'LRANGE k 0 -1', 'LRANGE l 0 -1']

describeBeside('clients that wait for lists', function () {
  this.timeout(60_000)
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  it('are served as by redis-server, whatever is written', () =>
    fc.assert(
      fc.asyncProperty(steps, (sequence) => beside.session([...sequence, ...CLOSING])),
      { numRuns: 100 },
    ))

  it('are served in the order in which they came', () =>
    beside.session(['b> BLPOP k 0', 'c> BRPOP k 0', 'd> BLPOP k 0', 'RPUSH k 1 2', 'RPUSH k 3', 'LLEN k']))

  it('are served after the transaction that wrote, keys in the order in which they were written', () =>
    beside.session([
      'b> BLPOP k l m 0',
      'c> BLPOP l 0',
      'MULTI',
      'RPUSH m 3',
      'RPUSH l 2',
      'RPUSH k 1',
      'EXEC',
      'KEYS *',
    ]))

  it('get nothing from a list that was gone again before they were served', () =>
    beside.session(['b> BLPOP k 0', 'MULTI', 'RPUSH k 1', 'DEL k', 'EXEC', 'RPUSH k 2']))

  it('pass elements on to those who wait where they go', () =>
    beside.session([
      'b> BLMOVE k l LEFT RIGHT 0',
      'c> BRPOPLPUSH l m 0',
      'd> BLPOP m 0',
      'RPUSH k one',
      'EXISTS k l m',
      'b> BLMOVE k k LEFT RIGHT 0',
      'c> BLPOP k 0',
      'RPUSH k 1',
      'EXISTS k',
    ]))

  it('are told when the destination is no list, and leave the element', () =>
    beside.session(['b> BLMOVE k text LEFT LEFT 0', 'SET text x', 'RPUSH k 1', 'LRANGE k 0 -1', 'b> PING']))

  it('wait on while the key holds another type, and refuse one that does from the beginning', () =>
    beside.session(['b> BLPOP k 0', 'SET k text', 'c> BLPOP l k 0', 'c> BLMOVE k l LEFT LEFT 0', 'DEL k', 'RPUSH k 1']))

  it('are served by whatever makes a list of the key', () =>
    beside.session([
      'RPUSH other 3 1 2',
      'b> BLPOP k 0',
      'RENAME other k',
      'c> BLPOP l 0',
      'COPY k l',
      'd> BLPOP m 0',
      'SORT k STORE m',
      'b> BLPOP n 0',
      'RPUSH moved 1',
      'LMOVE moved n LEFT LEFT',
      'b> SELECT 1',
      'b> BLPOP o 0',
      'RPUSH o 1',
      'MOVE o 1',
      'b> BLPOP o 0',
      'RPUSH o 1',
      'SWAPDB 0 1',
    ]))

  it('get several elements when they ask for them', () =>
    beside.session([
      'b> BLMPOP 0 2 k l RIGHT COUNT 3',
      'RPUSH l 1 2 3 4 5',
      'LRANGE l 0 -1',
      'b> BLMPOP 0 1 l LEFT COUNT 9',
    ]))

  it('answer in RESP3 too', () =>
    beside.session(
      ['b> HELLO 3', 'b> BLPOP k 0', 'RPUSH k 1', 'b> BLPOP k 0.001', 'b> BLMOVE k l LEFT LEFT 0', 'CLIENT UNBLOCK 0'],
      { mask: [[/^%7.*$/s, '<hello>']] },
    ))

  it('go on with their next requests when they were served', () => {
    const inner = new InProcess()
    const [one, other] = [inner.connect(), inner.connect()]
    one.raw(Buffer.concat([encode(['BLPOP', 'k', '0']), encode(['BLPOP', 'l', '0']), encode(['PING'])]))
    other.call('RPUSH', 'k', '1')
    assert.equal(one.taken().latin1Slice(), '*2\r\n$1\r\nk\r\n$1\r\n1\r\n')
    other.call('RPUSH', 'l', '2')
    assert.equal(one.taken().latin1Slice(), '*2\r\n$1\r\nl\r\n$1\r\n2\r\n+PONG\r\n')
  })

  it('are served before the next request of the client that wrote', () => {
    const inner = new InProcess()
    const [one, other] = [inner.connect(), inner.connect()]
    one.raw(encode(['BLPOP', 'k', '0']))
    const reply = other.raw(Buffer.concat([encode(['RPUSH', 'k', '1']), encode(['LLEN', 'k'])]))
    assert.equal(reply.latin1Slice(), ':1\r\n:0\r\n')
  })

  it('take nothing once they have left', () => {
    const inner = new InProcess()
    const [one, other] = [inner.connect(), inner.connect()]
    one.raw(encode(['BLPOP', 'k', '0']))
    inner.server.disconnect(one.client)
    assert.equal(other.call('RPUSH', 'k', '1'), 1)
    assert.equal(other.call('LLEN', 'k'), 1)
  })

  it('can be told that time is up, or that they were unblocked', () => {
    const inner = new InProcess()
    const [one, other] = [inner.connect(), inner.connect()]
    const { id } = one.client
    for (const [request, timedOut] of [
      [['BLPOP', 'k', '0'], '*-1\r\n'],
      [['BLMPOP', '0', '1', 'k', 'LEFT'], '*-1\r\n'],
      [['BLMOVE', 'k', 'l', 'LEFT', 'LEFT', '0'], '*-1\r\n'],
    ] as const) {
      assert.equal(one.raw(encode(request)).length, 0)
      assert.equal(other.call('CLIENT', 'UNBLOCK', id), 1)
      assert.equal(one.taken().latin1Slice(), timedOut)
      one.raw(encode(request))
      assert.equal(other.call('CLIENT', 'UNBLOCK', id, 'ERROR'), 1)
      assert.equal(one.taken().latin1Slice(), '-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n')
      assert.equal(other.call('CLIENT', 'UNBLOCK', id), 0)
    }
    assert.equal(other.call('RPUSH', 'k', '1'), 1)
    assert.equal(other.call('LLEN', 'k'), 1)
  })

  it('are let go when their time is up, to a fraction of a second', () => {
    const inner = new InProcess()
    let wanted = 0
    inner.server.host.wakeAt = (time) => {
      wanted = time
    }
    const one = inner.connect()
    one.raw(encode(['BLPOP', 'k', '0.2501']))
    assert.equal(wanted - inner.server.now, 251)
    inner.server.endWaits()
    assert.equal(one.taken().length, 0)
    const { blocked } = one.client
    one.client.blocked = { ...blocked!, timeoutAt: 1 as Millis }
    inner.server.endWaits()
    inner.settle()
    assert.equal(one.taken().latin1Slice(), '*-1\r\n')
    assert.equal(one.client.blocked, undefined)
  })

  it('say nothing when they want no replies', () => {
    const inner = new InProcess()
    const [one, other] = [inner.connect(), inner.connect()]
    one.raw(Buffer.concat([encode(['CLIENT', 'REPLY', 'SKIP']), encode(['BLPOP', 'k', '0']), encode(['PING'])]))
    other.call('RPUSH', 'k', '1')
    assert.equal(one.taken().latin1Slice(), '+PONG\r\n')
    one.raw(Buffer.concat([encode(['CLIENT', 'REPLY', 'OFF']), encode(['BLPOP', 'k', '0'])]))
    other.call('CLIENT', 'UNBLOCK', one.client.id)
    assert.equal(one.taken().length, 0)
  })

  it('count as blocked clients', () => {
    const inner = new InProcess()
    const [one, other] = [inner.connect(), inner.connect()]
    one.raw(encode(['BLPOP', 'k', '0']))
    assert.match(String(other.call('INFO', 'clients')), /blocked_clients:1\r/)
    other.call('RPUSH', 'k', '1')
    assert.match(String(other.call('INFO', 'clients')), /blocked_clients:0\r/)
  })

  it('are replicated by what they were served with', async () => {
    const all = [
      'b> BLPOP k 0',
      'c> BRPOP k 0',
      'RPUSH k 1 2 3',
      'b> BLMOVE k l left RIGHT 0',
      'LPUSH k 4 5',
      'BRPOPLPUSH k l 0',
      'BLMOVE l k LEFT right 0',
      'DEL k l',
      'b> BLMPOP 0 2 k l RIGHT COUNT 2',
      'c> BLMPOP 0 1 k LEFT',
      'd> BRPOPLPUSH k l 0',
      'MULTI',
      'RPUSH k 1',
      'RPUSH k 2 3 4 5',
      'EXEC',
      'BLMPOP 0 1 k LEFT COUNT 9',
      'd> BLMOVE k l LEFT Right 0',
      'RPUSH k 1',
      'BRPOP l 0',
    ]
    assert.deepEqual(await ourStream(all), await theirStream(beside.redis.port, all))
  })
})

const parse = (step: string): { on: string; argv: readonly string[] } => {
  const [, on = 'a', rest = ''] = /^(?:(\w)> )?(.*)$/.exec(step) ?? []
  return { on, argv: rest.split(' ') }
}

async function ourStream(all: readonly string[]): Promise<readonly string[]> {
  const inner = new InProcess()
  const told = inner.replicated()
  const connections = new Map<string, Wired>()
  for (const { on, argv } of all.map(parse)) {
    const one = connections.get(on) ?? inner.connect()
    connections.set(on, one)
    one.raw(encode(argv))
  }
  return told()
}

async function theirStream(port: number, all: readonly string[]): Promise<readonly string[]> {
  await ask(port, 'FLUSHALL')
  const tap = await StreamTap.open(port)
  const connections = new Map<string, Client>()
  for (const { on, argv } of all.map(parse)) {
    const one = connections.get(on) ?? (await connect(port))
    connections.set(on, one)
    one.send(encode(argv))
    await ask(port, 'PING')
  }
  await ask(port, 'SET', 'end', '')
  const told = await tap.until('end')
  return told.slice(0, -1).map((command) => command.join(' '))
}
