/** CLIENT: names, lists, killing, pausing, muting and unblocking connections. */
import assert from 'node:assert/strict'
import type { Millis } from '../../lib/base/brand.ts'
import { Beside } from '../support/beside-redis.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { encode } from '../support/resp.ts'
import { describeBeside } from '../support/tools.ts'

describeBeside('CLIENT', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  it('names connections', () =>
    beside.session([
      'CLIENT GETNAME',
      'CLIENT SETNAME abc',
      'CLIENT GETNAME',
      ['CLIENT', 'SETNAME', 'a b'],
      'CLIENT SETNAME ""',
      'CLIENT GETNAME',
      'CLIENT SETNAME',
      'CLIENT ID x',
    ]))

  it('refuses what it does not understand in the same words', () =>
    beside.session([
      'CLIENT',
      'CLIENT FOO',
      'CLIENT KILL',
      'CLIENT KILL a',
      'CLIENT KILL ID x',
      'CLIENT KILL ID 0',
      'CLIENT KILL ID 99999',
      'CLIENT KILL ID 5 TYPE',
      'CLIENT KILL TYPE foo',
      'CLIENT KILL USER foo',
      'CLIENT KILL SKIPME maybe',
      'CLIENT KILL constructor x',
      'CLIENT LIST FOO',
      'CLIENT LIST TYPE foo',
      'CLIENT LIST TYPE',
      'CLIENT LIST ID x',
      'CLIENT LIST ID 98765',
      'CLIENT LIST TYPE pubsub',
      'CLIENT PAUSE x',
      'CLIENT PAUSE -1',
      'CLIENT PAUSE 0 FOO',
      'CLIENT PAUSE x FOO',
      'CLIENT PAUSE 0 WRITE x',
      'CLIENT REPLY foo',
      'CLIENT UNBLOCK x',
      'CLIENT UNBLOCK 98765 foo',
      'CLIENT UNBLOCK 98765',
      'CLIENT UNBLOCK 98765 error x',
      'CLIENT NO-EVICT foo',
      'CLIENT NO-EVICT on',
      'CLIENT GETREDIR',
      'CLIENT TRACKINGINFO',
    ]))

  it('shows the fields of a real server in its order', () =>
    beside.session(['CLIENT INFO', 'HELLO 3', 'CLIENT LIST ID 98765', 'CLIENT INFO'], {
      mask: [
        [/[$=]\d+\r\n/g, '<length>'],
        [/version.*?proto/gs, '<version>'],
        [/id\r\n:\d+/g, '<id>'],
        [/(id|addr|laddr|fd|age|qbuf|qbuf-free|argv-mem|rbs|rbp|tot-mem)=\S+/g, '$1=?'],
      ],
    }))

  it('shows in flags what a connection is doing', () => {
    const ours = new InProcess()
    const one = ours.connect()
    const flagsOf = (connection: ReturnType<InProcess['connect']>): string =>
      /flags=(\S+)/.exec(one.outcome('CLIENT', 'LIST', 'ID', connection.client.id))![1]!
    const other = ours.connect()
    assert.equal(flagsOf(other), 'N')
    other.call('MULTI')
    assert.equal(flagsOf(other), 'x')
    other.call('DISCARD')
    other.call('WATCH', 'k')
    one.call('SET', 'k', 'v')
    assert.equal(flagsOf(other), 'd')
    other.call('RESET')
    other.call('CLIENT', 'NO-EVICT', 'on')
    other.call('SUBSCRIBE', 'c')
    assert.equal(flagsOf(other), 'Pe')
    const monitor = ours.connect()
    monitor.call('MONITOR')
    assert.equal(flagsOf(monitor), 'O')
    assert.match(one.outcome('CLIENT', 'INFO'), / cmd=client\|info /)
  })

  it('lists by type and by id', () => {
    const ours = new InProcess()
    const one = ours.connect()
    const subscriber = ours.connect()
    subscriber.call('SUBSCRIBE', 'c')
    const ids = (...words: string[]): number[] =>
      [...one.outcome('CLIENT', 'LIST', ...words).matchAll(/^id=(\d+)/gm)].map((match) => Number(match[1]))
    assert.deepEqual(ids(), [one.client.id, subscriber.client.id])
    assert.deepEqual(ids('TYPE', 'pubsub'), [subscriber.client.id])
    assert.deepEqual(ids('TYPE', 'normal'), [one.client.id])
    assert.deepEqual(ids('ID', String(subscriber.client.id), '77'), [subscriber.client.id])
  })

  it('kills by address, by id and by type, itself only when told to', () => {
    const ours = new InProcess()
    const one = ours.connect()
    const others = [ours.connect(), ours.connect(), ours.connect()] as const
    others[2].call('SUBSCRIBE', 'c')
    assert.equal(one.call('CLIENT', 'KILL', others[0].client.address), 'OK')
    assert.equal(one.call('CLIENT', 'KILL', 'ID', others[1].client.id), 1)
    assert.equal(one.call('CLIENT', 'KILL', 'TYPE', 'pubsub'), 1)
    assert.ok(others.every(({ closed }) => closed))
    assert.equal(one.call('CLIENT', 'KILL', 'TYPE', 'normal'), 0)
    assert.ok(!one.closed)
    assert.equal(one.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no'), 1)
    assert.ok(one.closed)
  })

  it('counts an option of KILL that is given twice as given last', () => {
    const ours = new InProcess()
    const one = ours.connect()
    const other = ours.connect()
    assert.equal(one.call('CLIENT', 'KILL', 'ID', '9999', 'ID', other.client.id), 1)
    assert.ok(other.closed)
  })

  it('mutes replies, all of them or the next one', () =>
    beside.session([
      'CLIENT REPLY ON',
      'CLIENT REPLY SKIP',
      'SET k v',
      'GET k',
      'CLIENT REPLY OFF',
      'GET k',
      'CLIENT REPLY SKIP',
      'GET k',
      'CLIENT REPLY ON',
      'GET k',
    ]))

  it('lets messages pass while replies are muted', () =>
    beside.session(
      [
        'HELLO 3',
        'SUBSCRIBE c',
        'CLIENT TRACKING on',
        'GET k',
        'CLIENT REPLY OFF',
        'PUBLISH c m',
        'SET k v',
        'GET k',
        'b> PUBLISH c m',
        'CLIENT REPLY ON',
        'CLIENT REPLY SKIP',
        'PUBLISH c m',
        'PING',
      ],
      {
        mask: [
          [/\$6\r\n7\.0\.15|\$5\r\n7\.2\.4/g, '<version>'],
          [/(\$2\r\nid\r\n):\d+/g, '$1:<id>'],
        ],
      },
    ))

  it('takes what newer clients say about themselves', () => {
    const { client, call, outcome } = bound(new InProcess())
    assert.equal(call('CLIENT', 'SETINFO', 'LIB-NAME', 'x'), 'OK')
    assert.equal(call('CLIENT', 'SETINFO', 'lib-ver', '1.2'), 'OK')
    assert.equal(client.libraryName, 'x')
    assert.equal(client.libraryVersion, '1.2')
    assert.equal(outcome('CLIENT', 'SETINFO', 'foo', 'x'), "ERR Unrecognized option 'foo'")
    assert.match(outcome('CLIENT', 'SETINFO', 'lib-name', 'a b'), /^ERR lib-name cannot contain spaces/)
    assert.match(outcome('CLIENT', 'INFO'), / resp=2 lib-name=x lib-ver=1.2\n$/)
  })

  it('leaves no access times behind with NO-TOUCH, except by TOUCH', () => {
    const ours = new InProcess()
    const one = ours.connect()
    const quiet = ours.connect()
    quiet.call('CLIENT', 'NO-TOUCH', 'on')
    assert.match(quiet.outcome('CLIENT', 'INFO'), / flags=T /)
    one.call('SET', 'k', 'v')
    one.call('RESTORE', 'l', '0', decodeBulk(one.raw(encode(['DUMP', 'k']))), 'IDLETIME', '1000')
    const idle = (): number => Number(one.call('OBJECT', 'IDLETIME', 'l'))
    quiet.call('GET', 'l')
    quiet.call('APPEND', 'l', 'x')
    assert.ok(idle() >= 1000)
    quiet.call('TOUCH', 'l')
    assert.ok(idle() < 1000)
  })

  it('drops the largest clients when all together take too much, not those with NO-EVICT', () => {
    const ours = new InProcess({ 'maxmemory-clients': '200kb' })
    const [one, kept, large, small] = [ours.connect(), ours.connect(), ours.connect(), ours.connect()]
    kept.call('CLIENT', 'NO-EVICT', 'on')
    const begin = (bytes: number): Buffer => Buffer.from(`*1\r\n$${bytes}\r\n${'x'.repeat(bytes - 1)}`)
    kept.raw(begin(120_000))
    large.raw(begin(100_000))
    small.raw(begin(1000))
    one.call('PING')
    assert.deepEqual(
      [one, kept, large, small].map(({ closed }) => closed),
      [false, false, true, false],
    )
    assert.match(one.outcome('INFO', 'stats'), /evicted_clients:1\r/)
    assert.match(ours.log.join(''), /Evicting client: id=3 /)
  })
})

/** The bytes of a bulk string. */
const decodeBulk = (reply: Buffer): Buffer => reply.subarray(reply.indexOf('\n') + 1, -2)

const bound = (ours: InProcess) => {
  const connection = ours.connect()
  return {
    client: connection.client,
    call: connection.call.bind(connection),
    outcome: connection.outcome.bind(connection),
  }
}

describe('CLIENT PAUSE', () => {
  /** Lets time pass without waiting for it. */
  const later = (ours: InProcess, ms: number): void => {
    ours.server.now = (ours.server.now + ms) as Millis
    ours.server.pause.expire(ours.server.now)
    ours.settle()
  }

  it('holds back writes only, in mode WRITE, until UNPAUSE', () => {
    const ours = new InProcess()
    const one = ours.connect()
    const other = ours.connect()
    one.call('CLIENT', 'PAUSE', '100000', 'WRITE')
    assert.equal(other.outcome('GET', 'k'), 'null')
    assert.equal(other.raw(encode(['SET', 'k', 'v'])).length, 0)
    assert.equal(other.raw(encode(['PING'])).length, 0, 'what is behind a held request waits too')
    one.call('CLIENT', 'UNPAUSE')
    assert.equal(other.taken().toString(), '+OK\r\n+PONG\r\n')
  })

  it('holds back PUBLISH and a transaction that writes as well', () => {
    const ours = new InProcess()
    const one = ours.connect()
    one.call('CLIENT', 'PAUSE', '100000', 'WRITE')
    const publisher = ours.connect()
    assert.equal(publisher.raw(encode(['PUBLISH', 'c', 'm'])).length, 0)
    const writer = ours.connect()
    writer.call('MULTI')
    assert.equal(writer.raw(encode(['SET', 'k', 'v'])).length, 0, 'queueing a write waits, as on a real server')
    const reader = ours.connect()
    reader.call('MULTI')
    reader.call('GET', 'k')
    assert.deepEqual(reader.call('EXEC'), [null])
  })

  it('holds back everything in mode ALL, until its time is over', () => {
    const ours = new InProcess()
    const one = ours.connect()
    assert.equal(one.call('CLIENT', 'PAUSE', '500000'), 'OK')
    assert.equal(one.raw(encode(['PING'])).length, 0)
    later(ours, 400_000)
    assert.equal(one.taken().length, 0)
    later(ours, 500_001)
    assert.equal(one.taken().toString(), '+PONG\r\n')
  })

  it('is extended by another one, never cut short', () => {
    const ours = new InProcess()
    const one = ours.connect()
    one.call('CLIENT', 'PAUSE', '100000', 'WRITE')
    one.call('CLIENT', 'PAUSE', '1', 'WRITE')
    later(ours, 5000)
    assert.equal(ours.server.pause.mode, 'write')
  })

  it('does not end a pause for a manual failover', () => {
    const ours = new InProcess()
    const one = ours.connect()
    ours.server.pause.pauseForFailover((ours.server.now + 10_000) as Millis)
    one.call('CLIENT', 'PAUSE', '1000', 'ALL')
    later(ours, 2000)
    assert.equal(ours.server.pause.mode, 'write')
    ours.server.pause.resumeFailover()
    assert.equal(ours.server.pause.mode, undefined)
  })

  it('lets no key expire meanwhile', () => {
    const ours = new InProcess()
    const one = ours.connect()
    one.call('CLIENT', 'PAUSE', '100000', 'WRITE')
    one.call('PING')
    assert.equal(ours.server.keyspace.expiry, 'hide')
  })

  it('forgets a held client that goes away', () => {
    const ours = new InProcess()
    const one = ours.connect()
    const other = ours.connect()
    one.call('CLIENT', 'PAUSE', '100000', 'WRITE')
    other.raw(encode(['SET', 'k', 'v']))
    assert.equal(ours.server.pause.held, 1)
    ours.server.disconnect(other.client)
    assert.equal(ours.server.pause.held, 0)
  })
})

describe('CLIENT UNBLOCK', () => {
  it('ends a wait like a timeout, or by an error', () => {
    const ours = new InProcess()
    const one = ours.connect()
    for (const [how, reply] of [
      ['TIMEOUT', ':7\r\n'],
      ['ERROR', '-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n'],
    ] as const) {
      const other = ours.connect()
      let left = 0
      ours.server.block(other.client, {
        kind: 'wait',
        timeoutAt: 0 as Millis,
        timedOut: (client) => client.reply.integer(7),
        leave: () => left++,
      })
      assert.match(one.outcome('CLIENT', 'LIST', 'ID', other.client.id), / flags=b /)
      assert.equal(one.call('CLIENT', 'UNBLOCK', other.client.id, how), 1)
      assert.equal(other.taken().toString(), reply)
      assert.equal(left, 1)
      assert.equal(one.call('CLIENT', 'UNBLOCK', other.client.id, how), 0)
    }
  })

  it('cannot end a pause', () => {
    const ours = new InProcess()
    const one = ours.connect()
    const other = ours.connect()
    one.call('CLIENT', 'PAUSE', '100000', 'WRITE')
    other.raw(encode(['SET', 'k', 'v']))
    assert.equal(one.call('CLIENT', 'UNBLOCK', other.client.id), 0)
  })
})
