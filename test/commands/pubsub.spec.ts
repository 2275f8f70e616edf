/** Publish and subscribe: confirmations, messages and counts, in both protocols. */
import assert from 'node:assert/strict'
import { Beside } from '../support/beside-redis.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const HELLO = [
  [/\$6\r\n7\.0\.15|\$5\r\n7\.2\.4/g, '<version>'],
  [/(\$2\r\nid\r\n):\d+/g, '$1:<id>'],
] as const

describeBeside('publish and subscribe', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  for (const protocol of ['2', '3']) {
    it(`confirms each subscription and its end (RESP${protocol})`, () =>
      beside.session(
        [
          `HELLO ${protocol}`,
          'UNSUBSCRIBE',
          'UNSUBSCRIBE a b',
          'PUNSUBSCRIBE',
          'SUNSUBSCRIBE',
          'SUNSUBSCRIBE x',
          'SUBSCRIBE a',
          'SUBSCRIBE b a',
          'PSUBSCRIBE a*',
          'SSUBSCRIBE s',
          'UNSUBSCRIBE b nope',
          'UNSUBSCRIBE',
          'PUNSUBSCRIBE',
          'SUNSUBSCRIBE',
          'PUNSUBSCRIBE',
          'SUBSCRIBE',
          'PUBLISH a',
        ],
        { mask: HELLO },
      ))

    it(`delivers to channels, patterns and shard channels (RESP${protocol})`, () =>
      beside.session(
        [
          `HELLO ${protocol}`,
          'SUBSCRIBE news',
          'b> PSUBSCRIBE n?ws',
          'c> SSUBSCRIBE news',
          'd> PUBLISH news hello',
          'd> SPUBLISH news sharded',
          'd> PUBLISH other x',
          'd> PUBSUB CHANNELS',
          'd> PUBSUB CHANNELS o*',
          'd> PUBSUB NUMSUB news other',
          'd> PUBSUB NUMSUB',
          'd> PUBSUB NUMPAT',
          'd> PUBSUB SHARDCHANNELS',
          'd> PUBSUB SHARDNUMSUB news x',
        ],
        { mask: HELLO },
      ))
  }

  it('delivers to the publisher itself in RESP3, before the count', () =>
    beside.session(['HELLO 3', 'SUBSCRIBE c', 'PSUBSCRIBE c', 'PUBLISH c m'], { mask: HELLO }))

  it('allows a RESP2 subscriber nothing but its subscriptions', () =>
    beside.session(['SUBSCRIBE c', 'GET x', 'PUBSUB NUMPAT', 'MULTI', 'PUBLISH c m', 'UNSUBSCRIBE', 'GET x']))

  it('subscribes inside a transaction', () =>
    beside.session(['MULTI', 'SUBSCRIBE a', 'EXEC', 'UNSUBSCRIBE', 'MULTI', 'PUBLISH a b', 'EXEC']))

  it('refuses what it does not understand in the same words', () =>
    beside.session(['PUBSUB', 'PUBSUB FOO', 'PUBSUB CHANNELS a b', 'PUBSUB NUMPAT x', 'PUBSUB HELP', 'PUBSUB HELP x']))

  it('carries any bytes', () =>
    beside.session([
      ['SUBSCRIBE', Buffer.from([0, 255, 13, 10])],
      ['PING', Buffer.from([0, 128])],
      ['UNSUBSCRIBE', Buffer.from([0, 255, 13, 10])],
    ]))

  it('ends shard channels of slots that are no longer ours, and says so', () => {
    const ours = new InProcess()
    const one = ours.connect()
    one.raw(Buffer.from('SSUBSCRIBE foo\r\nSSUBSCRIBE bar\r\n'))
    ours.server.pubsub.dropSlots(ours.server, [12182])
    ours.settle()
    assert.equal(one.taken().toString(), '*3\r\n$12\r\nsunsubscribe\r\n$3\r\nfoo\r\n:1\r\n')
    assert.equal(ours.server.pubsub.listeners('shard', 'foo'), 0)
    assert.equal(ours.server.pubsub.listeners('shard', 'bar'), 1)
  })

  it('forgets a subscriber that goes away', () => {
    const ours = new InProcess()
    const one = ours.connect()
    one.call('SUBSCRIBE', 'c')
    one.call('PSUBSCRIBE', 'c*')
    ours.server.disconnect(one.client)
    assert.equal(ours.connect().call('PUBLISH', 'c', 'm'), 0)
    assert.deepEqual(ours.connect().call('PUBSUB', 'CHANNELS'), [])
  })

  it('is replicated although it changes nothing, outside a cluster', () => {
    const ours = new InProcess()
    const replicated = ours.replicated()
    ours.connect().call('PUBLISH', 'c', 'm')
    assert.deepEqual(replicated(), ['SELECT 0', 'PUBLISH c m'])
  })
})
