/** A member made of our codec and transport alone, judged by a server, real or ours: what it answers and what it
 *  believes of us. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode, encode, isRefusal } from '../../bus/codec.ts'
import { NODE_FLAGS, SLOT_BYTES } from '../../bus/layout.ts'
import type { Body, Extension, Message, PingType } from '../../bus/message.ts'
import { NO_MENTIONS } from '../../bus/section.ts'
import { createTransport, type Transport } from '../../bus/transport.ts'
import { millis, shardId } from '../../lib/base/brand.ts'
import { createLog } from '../../lib/base/log.ts'
import { exchange, STRANGER, STRANGER_PORT, strangerSays } from '../support/bus.ts'
import { type Certificate, hasOpenssl, makeCertificate } from '../support/certificates.ts'
import { outcome } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/ports.ts'
import { type Server, startServer } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const DIALLED = 1
const CLUSTER = { 'cluster-enabled': 'yes' }
const MEMBER = new RegExp(`^${STRANGER} 127\\.0\\.0\\.1:${STRANGER_PORT}@.* master - .* connected`, 'm')

/** Our side: it answers pings and remembers what it was told. */
interface Peer {
  readonly transport: Transport
  readonly heard: Message[]
  readonly slots: Buffer
  readonly extensions: Extension[]
  /** Sends on the link we dialled. */
  say(body: Body): void
  ping(type: PingType): void
}

scenarios('a link of the bus', ['redis', 'rookery'], ([kind = 'redis']) => {
  const peers: Peer[] = []
  afterEach(async () => {
    for (const { transport } of peers.splice(0)) await transport.close()
  })

  /** A peer that has dialled the bus port and is about to be connected. */
  async function dial(busPort: number, tls?: Certificate): Promise<Peer> {
    const peer = await startPeer(tls)
    peers.push(peer)
    peer.transport.connect(DIALLED, '127.0.0.1', busPort)
    return peer
  }

  /** A peer that the server has come to know as a member. */
  async function enter(server: Server, busPort = server.port + 10000, tls?: Certificate): Promise<Peer> {
    const peer = await dial(busPort, tls)
    peer.ping('meet')
    await knows(server, MEMBER)
    return peer
  }

  it('gets a PONG for a PING, which decodes and is encoded again byte for byte', async () => {
    const server = await startServer({ kind, conf: CLUSTER })
    const frame = await exchange(
      server.port + 10000,
      encode(strangerSays(0, { type: 'ping', gossip: NO_MENTIONS, extensions: [] })),
    )
    const decoded = decode(frame)
    assert.ok(!isRefusal(decoded))
    assert.equal(decoded.header.sender, await outcome(server.port, 'CLUSTER', 'MYID'))
    assert.equal(decoded.header.flags, NODE_FLAGS.myself | NODE_FLAGS.primary)
    assert.deepEqual([decoded.header.port, decoded.header.busPort], [server.port, server.port + 10000])
    assert.equal(decoded.body.type, 'pong')
    assert.deepEqual(encode(decoded), frame)
  })

  it('makes us a member: MEET, a PING back on a link the server dials, and our PONG on that', async () => {
    const peer = await enter(await startServer({ kind, conf: CLUSTER }))
    assert.deepEqual(
      peer.heard
        .slice(0, 2)
        .map(({ body }) => body.type)
        .sort(),
      ['ping', 'pong'],
    )
  })

  it('carries claims of slots, a hostname beside extensions a 7.0 server does not know, and a PUBLISH', async () => {
    const server = await startServer({ kind, conf: CLUSTER })
    const peer = await enter(server)
    peer.slots[0] = 0b111
    peer.extensions.push(
      { type: 'human-nodename', text: 'us' },
      { type: 'unknown', code: 99, data: Buffer.from('8 bytes.') },
      { type: 'shard-id', id: shardId('5'.repeat(40)) },
      { type: 'hostname', text: 'us.example' },
    )
    peer.ping('ping')
    await knows(server, new RegExp(`^${STRANGER} [^ ]*,us\\.example .* connected 0-2$`, 'm'))
    peer.say({ type: 'publish', channel: Buffer.from('news'), message: Buffer.from('\0\r\n\xff', 'latin1') })
    const counted = async () => /messages_publish_received:1\r/.test(await outcome(server.port, 'CLUSTER', 'INFO'))
    await eventually(counted, { what: 'one PUBLISH is counted', withinMs: 5000 })
  })

  describe('over TLS', () => {
    let dir = ''
    before(() => {
      dir = mkdtempSync(join(tmpdir(), 'rookery-tls-'))
    })
    after(() => rmSync(dir, { recursive: true, force: true }))

    /** A server that could use TLS, its bus port, and what a peer shows it. */
    async function couldUseTls(conf: Readonly<Record<string, string>>) {
      const tls = makeCertificate()
      for (const part of ['cert', 'key', 'ca'] as const) writeFileSync(join(dir, part), tls[part])
      const files = {
        'tls-cert-file': join(dir, 'cert'),
        'tls-key-file': join(dir, 'key'),
        'tls-ca-cert-file': join(dir, 'ca'),
      }
      const tlsPort = await freePort()
      const server = await startServer({ kind, conf: { ...CLUSTER, ...files, 'tls-port': tlsPort, ...conf } })
      return { server, tls, tlsBusPort: tlsPort + 10000 }
    }

    it('asks for a certificate and shows one, in both directions', async function () {
      if (!hasOpenssl) return this.skip()
      const { server, tls, tlsBusPort } = await couldUseTls({ 'tls-cluster': 'yes' })
      await enter(server, tlsBusPort, tls)
    })

    it('begins with CONFIG SET tls-cluster yes', async function () {
      if (!hasOpenssl) return this.skip()
      const { server, tls } = await couldUseTls({})
      assert.equal(await outcome(server.port, 'CONFIG', 'SET', 'tls-cluster', 'yes'), 'OK')
      await enter(server, server.port + 10000, tls)
    })

    it('ends with CONFIG SET tls-cluster no', async function () {
      if (!hasOpenssl) return this.skip()
      const { server, tlsBusPort } = await couldUseTls({ 'tls-cluster': 'yes' })
      assert.equal(await outcome(server.port, 'CONFIG', 'SET', 'tls-cluster', 'no'), 'OK')
      await enter(server, tlsBusPort)
    })
  })
})

async function startPeer(tls?: Certificate): Promise<Peer> {
  let lastId = DIALLED
  const answer = (link: number, { body }: Message): void => {
    if (body.type === 'ping' || body.type === 'meet')
      send(link, { type: 'pong', gossip: NO_MENTIONS, extensions: peer.extensions })
  }
  const send = (link: number, body: Body): void => {
    peer.transport.send([link], encode(strangerSays(port, body, { slots: peer.slots })))
  }
  const peer: Peer = {
    heard: [],
    slots: Buffer.alloc(SLOT_BYTES),
    extensions: [],
    say: (body) => send(DIALLED, body),
    ping: (type) => send(DIALLED, { type, gossip: NO_MENTIONS, extensions: peer.extensions }),
    transport: createTransport({
      listen: { host: ['127.0.0.1'], port: 0 },
      ...(tls && { tls }),
      keepAliveMs: 30_000,
      allocateLinkId: () => ++lastId,
      log: createLog({ pid: 1, now: () => millis(0), sink: () => {} }),
      on: {
        accepted: () => {},
        up: () => {},
        down: () => {},
        refused: (_, reason) => assert.fail(reason),
        received: () => {},
        message(link, heard) {
          peer.heard.push(heard)
          answer(link, heard)
        },
      },
    }),
  }
  const port = await peer.transport.listen()
  return peer
}

/** Waits until the server's nodes table has a line like this. */
async function knows(server: Server, line: RegExp): Promise<void> {
  const nodes = () => outcome(server.port, 'CLUSTER', 'NODES')
  await eventually(nodes, { what: `a node like ${line}`, withinMs: 10_000, until: (text) => line.test(text) })
}
