import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { encode } from '../../bus/codec.ts'
import type { Message } from '../../bus/message.ts'
import { createTransport, type Transport, type TransportOptions } from '../../bus/transport.ts'
import { millis } from '../../lib/base/brand.ts'
import { createLog } from '../../lib/base/log.ts'
import { hasOpenssl, makeCertificate } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { vector } from '../support/messages.ts'

const PING = vector('ping-7.0.15.hex')
const FAIL = vector('fail-7.0.15.hex')

/** A transport and all it has told, as text in order: "up 1", "message 1 ping", "down 1 connection closed". */
interface Station extends Transport {
  readonly told: string[]
  readonly messages: Message[]
  readonly port: number
}

describe('bus/transport', () => {
  const open: { close(): unknown }[] = []
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close()
  })

  async function station(options: Partial<TransportOptions> = {}): Promise<Station> {
    const told: string[] = []
    const messages: Message[] = []
    let lastId = 100
    const transport = createTransport({
      listen: { host: ['127.0.0.1'], port: 0 },
      keepAliveMs: 30_000,
      allocateLinkId: () => ++lastId,
      log: createLog({ pid: 1, now: () => millis(0), sink: () => {} }),
      on: {
        accepted: (link, remoteIp, localIp) => void told.push(`accepted ${link} ${remoteIp} ${localIp}`),
        up: (link) => void told.push(`up ${link}`),
        down: (link, why) => void told.push(`down ${link} ${why}`),
        refused: (link, _, dropped) => void told.push(`refused ${link} ${dropped ? 'dropped' : 'kept'}`),
        received: (link, name) => void told.push(`received ${link} ${name}`),
        message(link, message) {
          told.push(`message ${link} ${message.body.type}`)
          messages.push(message)
        },
      },
      ...options,
    })
    open.push(transport)
    const port = await transport.listen()
    return Object.assign(transport, { told, messages, port })
  }

  async function dialRaw(port: number): Promise<Socket> {
    const socket = connect(port, '127.0.0.1')
    open.push({ close: () => socket.destroy() })
    socket.on('error', () => {})
    await once(socket, 'connect')
    return socket
  }

  const heard = (who: Station, line: string | RegExp): Promise<unknown> =>
    eventually(() => who.told.some((one) => (typeof line === 'string' ? one === line : line.test(one))), {
      what: `${line} among ${JSON.stringify(who.told)}`,
      withinMs: 5000,
    })

  const count = (who: Station, line: RegExp): number => who.told.filter((one) => line.test(one)).length

  it('carries messages both ways over a link that either side opened', async () => {
    const [a, b] = [await station(), await station()]
    a.connect(1, '127.0.0.1', b.port)
    await heard(a, 'up 1')
    await heard(b, 'accepted 101 127.0.0.1 127.0.0.1')
    a.send([1], PING)
    await heard(b, 'message 101 ping')
    b.send([101], FAIL)
    await heard(a, 'message 1 fail')
    assert.deepEqual(encode(b.messages[0]!), PING)
    assert.deepEqual(b.told.slice(1), ['received 101 ping', 'message 101 ping'])
  })

  it('sends one frame to many links, and skips those that are gone', async () => {
    const [a, b, c] = [await station(), await station(), await station()]
    a.connect(1, '127.0.0.1', b.port)
    a.connect(2, '127.0.0.1', c.port)
    a.send([1, 77, 2], PING)
    await heard(b, 'message 101 ping')
    await heard(c, 'message 101 ping')
  })

  it('holds frames back until they are released, in order', async () => {
    const [a, b] = [await station(), await station()]
    a.connect(1, '127.0.0.1', b.port)
    await heard(a, 'up 1')
    a.hold()
    a.send([1], FAIL)
    a.send([1], PING)
    assert.equal(a.buffered(1), FAIL.length + PING.length)
    a.release()
    assert.equal(a.buffered(1), 0)
    a.send([1], FAIL)
    await eventually(() => b.messages.length === 3, { what: 'three messages', withinMs: 5000 })
    const types = b.messages.map(({ body }) => body.type)
    assert.deepEqual(types, ['fail', 'ping', 'fail'])
  })

  it('speaks IPv6', async function () {
    const loopback = Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === '::1'))
    if (!loopback) return this.skip()
    const [a, b] = [await station(), await station({ listen: { host: ['::1'], port: 0 } })]
    a.connect(1, '::1', b.port)
    await heard(b, 'accepted 101 ::1 ::1')
  })

  it('listens on IPv4 and, where there is any, on IPv6 for the default bind directive "* -::*"', async () => {
    const [a, b] = [await station(), await station({ listen: { host: ['*', '-::*'], port: 0 } })]
    a.connect(1, '127.0.0.1', b.port)
    await heard(b, 'accepted 101 127.0.0.1 127.0.0.1')
  })

  it('does without an optional address that this machine does not have, but not without any', async () => {
    await station({ listen: { host: ['-192.0.2.1', '127.0.0.1'], port: 0 } })
    await assert.rejects(
      station({ listen: { host: ['192.0.2.1', '127.0.0.1'], port: 0 } }),
      /Failed listening on port 0/,
    )
    await assert.rejects(station({ listen: { host: ['-192.0.2.1'], port: 0 } }), /No bind address is configured/)
  })

  it('dials from the configured source address', async function () {
    if (process.platform !== 'linux') return this.skip()
    const [a, b] = [await station({ bindSource: '127.0.0.2' }), await station()]
    a.connect(1, '127.0.0.1', b.port)
    await heard(b, 'accepted 101 127.0.0.2 127.0.0.1')
  })

  it('names the port that is busy', async () => {
    const { port } = await station()
    await assert.rejects(station({ listen: { host: ['127.0.0.1'], port } }), (error: Error) => {
      assert.match(error.message, new RegExp(`^Failed listening on port ${port} \\(cluster\\): .*already in use`))
      return true
    })
  })

  it('keeps nothing open when one of its addresses is busy', async () => {
    const { port } = await station({ listen: { host: ['127.0.0.2'], port: 0 } })
    await assert.rejects(station({ listen: { host: ['127.0.0.1', '127.0.0.2'], port } }))
    await station({ listen: { host: ['127.0.0.1'], port } })
  })

  describe('a link goes down', () => {
    const impossible: readonly (readonly [string, number])[] = [
      ['127.0.0.1', 1],
      ['127.0.0.1', 0],
      ['127.0.0.1', 70_000],
      ['', 7000],
    ]
    for (const [ip, port] of impossible) {
      it(`once, and not before connect returns, when "${ip}" port ${port} cannot be dialled`, async () => {
        const a = await station()
        a.connect(1, ip, port)
        assert.deepEqual(a.told, [])
        await heard(a, /^down 1/)
        a.connect(2, ip, port)
        await heard(a, /^down 2/)
        assert.equal(a.told.length, 2)
      })
    }

    it('once, when the peer closes it', async () => {
      const [a, b] = [await station(), await station()]
      a.connect(1, '127.0.0.1', b.port)
      await heard(b, /^accepted/)
      b.drop(101)
      await heard(a, /^down 1/)
      assert.equal(count(a, /^down/), 1)
    })

    it('without a word to the core that dropped it', async () => {
      const [a, b] = [await station(), await station()]
      for (const link of [1, 2]) a.connect(link, '127.0.0.1', b.port)
      await heard(b, /^accepted 102/)
      a.drop(1)
      a.drop(2)
      a.drop(2)
      a.connect(3, '127.0.0.1', 1)
      a.drop(3)
      a.connect(4, '127.0.0.1', 1)
      await heard(b, /^down 102/)
      await heard(a, /^down 4/)
      assert.equal(count(a, /^down/), 1)
      assert.equal(a.info(1), undefined)
      assert.equal(a.buffered(1), 0)
    })
  })

  describe('what is no message', () => {
    it('closes the link it came on, and no other', async () => {
      const a = await station()
      const [rude, polite] = [await dialRaw(a.port), await dialRaw(a.port)]
      rude.write('GET / HTTP/1.1\r\nHost: redis\r\n\r\n')
      await once(rude, 'close')
      await heard(a, 'refused 101 dropped')
      await heard(a, 'down 101 Bad message length or signature received from Cluster bus.')
      polite.write(PING)
      await heard(a, 'message 102 ping')
      assert.equal(count(a, /^down/), 1)
    })

    it('is skipped when the stream around it is sound', async () => {
      const a = await station()
      const socket = await dialRaw(a.port)
      const unknown = Buffer.from(PING)
      unknown.writeUInt16BE(99, 12)
      const future = Buffer.from(PING)
      future.writeUInt16BE(2, 8)
      socket.write(Buffer.concat([unknown, future, FAIL]))
      await heard(a, 'message 101 fail')
      assert.deepEqual(a.told.slice(1), [
        ...['received 101 unknown', 'refused 101 kept', 'received 101 ping'],
        ...['received 101 fail', 'message 101 fail'],
      ])
    })
  })

  it('delivers nothing more from a link that a message made the core drop', async () => {
    let messages = 0
    const drop = (link: number): void => {
      messages++
      a.drop(link)
    }
    const a = await station({ on: { ...SILENT, message: drop } })
    const socket = await dialRaw(a.port)
    socket.write(Buffer.concat([PING, PING, PING]))
    await once(socket, 'close')
    assert.equal(messages, 1)
  })

  it('tells how much waits for a peer that does not read', async () => {
    const deaf = createServer({ pauseOnConnect: true }, (socket) => open.push({ close: () => socket.destroy() }))
    open.push(deaf)
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve))
    const address = deaf.address()
    assert.ok(typeof address === 'object' && address)
    const a = await station()
    a.connect(1, '127.0.0.1', address.port)
    assert.equal(a.info(1)?.events, '')
    await heard(a, 'up 1')
    assert.deepEqual([a.info(1)?.events, a.buffered(1)], ['r', 0])
    for (let i = 0; i < 100; i++) a.send([1], Buffer.alloc(1 << 20))
    assert.ok(a.buffered(1) > 50 << 20)
    assert.equal(a.info(1)?.bufferedBytes, a.buffered(1))
    assert.equal(a.info(1)?.events, 'rw')
    assert.ok(Math.abs((a.info(1)?.createdAt ?? 0) - Date.now()) < 5000)
    a.drop(1)
  })

  it('ends at once and is silent afterwards', async () => {
    const [a, b] = [await station(), await station()]
    a.connect(1, '127.0.0.1', b.port)
    await heard(a, 'up 1')
    const before = [...a.told]
    await a.close()
    a.connect(2, '127.0.0.1', b.port)
    a.send([1], PING)
    await heard(b, /^down 101/)
    assert.deepEqual(a.told, before)
    await a.close()
  })

  describe('over TLS', () => {
    before(function () {
      if (!hasOpenssl) this.skip()
    })

    it('carries messages both ways between holders of a trusted certificate', async () => {
      const tls = makeCertificate()
      const [a, b] = [await station({ tls }), await station({ tls })]
      a.connect(1, '127.0.0.1', b.port)
      a.send([1], PING)
      await heard(b, 'accepted 101 127.0.0.1 127.0.0.1')
      await heard(b, 'message 101 ping')
      b.send([101], FAIL)
      await heard(a, 'message 1 fail')
    })

    it('refuses a stranger in both directions', async () => {
      const [a, b] = [await station({ tls: makeCertificate() }), await station({ tls: makeCertificate() })]
      a.connect(1, '127.0.0.1', b.port)
      await heard(a, /^down 1/)
      b.connect(2, '127.0.0.1', a.port)
      await heard(b, /^down 2/)
      assert.equal(count(a, /^accepted/) + count(b, /^accepted/), 0)
    })

    it('refuses plain text, and does not wait for it when it closes', async () => {
      const a = await station({ tls: makeCertificate() })
      const [rude, silent] = [await dialRaw(a.port), await dialRaw(a.port)]
      rude.write(PING)
      await once(rude, 'close')
      const closed = once(silent, 'close')
      await a.close()
      await closed
      assert.deepEqual(a.told, [])
    })

    it('refuses certificates that cannot be read when it is made', async () => {
      await assert.rejects(station({ tls: { cert: 'no certificate', key: 'no key' } }))
    })
  })
})

const SILENT: TransportOptions['on'] = {
  accepted: () => {},
  up: () => {},
  down: () => {},
  message: () => {},
  refused: () => {},
  received: () => {},
}
