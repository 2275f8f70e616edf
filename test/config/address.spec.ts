/** CONFIG SET of ports, addresses and certificates on a running server, beside redis-server. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, type PeerCertificate } from 'node:tls'
import { type Certificate, hasOpenssl, makeCertificate } from '../support/certificates.ts'
import { ask, connect, outcome } from '../support/client.ts'
import { lineOf, settled, startCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/ports.ts'
import { prepareServer, type Server, startServer } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const refusal = (name: string, why: string): string =>
  `ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}`

scenarios('CONFIG SET of addresses', ['rookery', 'redis'], ([kind = 'rookery']) => {
  let server: Server

  before(async () => {
    server = await startServer({ kind })
  })

  it('port: clients are served at the new one; those who were connected stay', async () => {
    const [port, early] = [await freePort(), await connect(server.port)]
    assert.equal(await early.outcome('CONFIG', 'SET', 'port', port), 'OK')
    assert.equal(await outcome(port, 'PING'), 'PONG')
    await assert.rejects(outcome(server.port, 'PING'), /ECONNREFUSED/)
    assert.match(await early.outcome('INFO', 'server'), new RegExp(`tcp_port:${port}\r`))
    assert.equal(await early.outcome('CONFIG', 'SET', 'port', 0), 'OK')
    await assert.rejects(outcome(port, 'PING'), /ECONNREFUSED/)
    assert.equal(await early.outcome('CONFIG', 'SET', 'port', server.port), 'OK')
    assert.equal(await outcome(server.port, 'PING'), 'PONG')
  })

  it('port: one that is taken is refused, and everything stays as it was', async () => {
    const other = createServer()
    const taken = await freePort()
    await new Promise<void>((done) => other.listen(taken, '127.0.0.1', done))
    const client = await connect(server.port)
    const reply = await client.outcome('CONFIG', 'SET', 'timeout', 77, 'PORT', taken)
    assert.equal(reply, refusal('port', 'Unable to listen on this port. Check server logs.'))
    assert.deepEqual(await client.call('CONFIG', 'GET', 'timeout'), ['timeout', '0'])
    assert.deepEqual(await client.call('CONFIG', 'GET', 'port'), ['port', String(server.port)])
    assert.equal(await outcome(server.port, 'PING'), 'PONG')
    assert.match(server.log, new RegExp(`Could not create server TCP listening socket 127.0.0.1:${taken}: bind: `))
    other.close()
  })

  it('bind: more addresses and fewer, and one this machine does not have', async () => {
    const client = await connect(server.port)
    assert.equal(await client.outcome('CONFIG', 'SET', 'bind', '127.0.0.1 127.0.0.2 -10.254.254.254'), 'OK')
    assert.equal(await outcome(server.port, 'PING'), 'PONG')
    assert.equal(
      await client.outcome('CONFIG', 'SET', 'bind', '10.254.254.254'),
      refusal('bind', 'Failed to bind to specified addresses.'),
    )
    assert.deepEqual(await client.call('CONFIG', 'GET', 'bind'), ['bind', '127.0.0.1 127.0.0.2 -10.254.254.254'])
    assert.equal(await outcome(server.port, 'PING'), 'PONG')
    assert.equal(await client.outcome('CONFIG', 'SET', 'bind', '127.0.0.2'), 'OK')
    await assert.rejects(outcome(server.port, 'PING'), /ECONNREFUSED/)
    assert.equal(await client.outcome('CONFIG', 'SET', 'bind', '*'), 'OK')
    assert.equal(await outcome(server.port, 'PING'), 'PONG')
  })

  it('answers pipelined requests in order, although it has to wait', async () => {
    const client = await connect(server.port)
    const requests = [['CONFIG', 'SET', 'bind', '127.0.0.1'], ['PING'], ['CONFIG', 'GET', 'bind']] as const
    assert.deepEqual(await client.pipeline(requests), ['OK', 'PONG', ['bind', '127.0.0.1']])
  })
})

scenarios('CONFIG SET of certificates', ['rookery', 'redis'], ([kind = 'rookery']) => {
  let server: Server
  let tlsPort: number
  let first: Certificate

  before(async function () {
    if (!hasOpenssl) return this.skip()
    server = await prepareServer({ kind })
    first = makeCertificate()
    store('first', first)
    await server.start()
    tlsPort = await freePort()
  })

  const store = (name: string, { cert, key }: Certificate): void => {
    writeFileSync(join(server.dir, `${name}.crt`), cert)
    writeFileSync(join(server.dir, `${name}.key`), key)
  }
  const set = (...pairs: readonly (string | number)[]): Promise<string> =>
    outcome(server.port, 'CONFIG', 'SET', ...pairs)
  const pairOf = (name: string): string[] => ['tls-cert-file', `${name}.crt`, 'tls-key-file', `${name}.key`]
  const REFUSED = 'Unable to update TLS configuration. Check server logs.'

  it('tls-port needs a certificate first', async () => {
    assert.equal(await set('tls-port', tlsPort), refusal('tls-port', REFUSED))
    await assert.rejects(shownAt(tlsPort))
  })

  it('tls-port opens with one, beside the plain port', async () => {
    assert.equal(await set(...pairOf('first'), 'tls-auth-clients', 'no', 'tls-port', tlsPort), 'OK')
    assert.equal(await shownAt(tlsPort), fingerprint(first))
    assert.equal(await outcome(server.port, 'PING'), 'PONG')
  })

  it('a certificate that was renewed in its file is read when it is named again', async () => {
    const renewed = makeCertificate()
    store('first', renewed)
    assert.equal(await shownAt(tlsPort), fingerprint(first))
    assert.equal(await set(...pairOf('first')), 'OK')
    assert.equal(await shownAt(tlsPort), fingerprint(renewed))
    first = renewed
  })

  it('one that cannot be read, or does not fit its key, is refused, and the old one stays', async () => {
    store('second', { ...makeCertificate(), key: makeCertificate().key })
    assert.equal(await set(...pairOf('nowhere')), refusal('tls-cert-file', REFUSED))
    assert.equal(await set(...pairOf('second')), refusal('tls-cert-file', REFUSED))
    assert.equal(((await ask(server.port, 'CONFIG', 'GET', 'tls-cert-file')) as string[])[1], 'first.crt')
    assert.equal(await shownAt(tlsPort), fingerprint(first))
  })
})

scenarios('CONFIG SET port of a cluster node', ['rookery'], (kinds) => {
  it('is told to the others, and the bus stays', async () => {
    const { nodes } = await startCluster({ kinds, nodeTimeoutMs: 1500 })
    const [node, observer] = nodes as [Server, Server]
    const port = await freePort()
    const client = await connect(node.port)
    assert.equal(await client.outcome('CONFIG', 'SET', 'port', port), 'OK')
    const seen = (): Promise<string> => outcome(observer.port, 'CLUSTER', 'NODES')
    await eventually(seen, {
      what: 'its new port is known, with the old bus port',
      withinMs: 5000,
      until: (text) => text.includes(`127.0.0.1:${port}@${node.port + 10_000} master`),
    })
    assert.equal(await client.outcome('CONFIG', 'SET', 'port', node.port), 'OK')
    await settled(nodes)
    assert.equal((await lineOf(node, observer))?.port, node.port)
  })
})

const fingerprint = ({ cert }: Certificate): string => cert.replaceAll(/-----.*-----|\s/g, '')

/** The certificate a TLS port shows, in base64. */
function shownAt(port: number): Promise<string> {
  return new Promise((done, failed) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      const shown: PeerCertificate = socket.getPeerCertificate()
      socket.destroy()
      done(shown.raw.toString('base64'))
    })
    socket.once('error', failed)
  })
}
