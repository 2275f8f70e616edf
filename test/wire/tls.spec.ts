/** Encrypted clients, bus and replication: nodes of one authority make one cluster, and nobody else gets in. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { Cluster as IoredisCluster } from 'ioredis'
import { type Certificate, hasOpenssl, makeCertificate } from '../support/certificates.ts'
import { type CliResult, redisCli } from '../support/cli.ts'
import { ask, Client, fields, outcome } from '../support/client.ts'
import { keyIn, myId, nodeLines, roleOf, settled } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/ports.ts'
import { type Conf, type Kind, prepareServer, type Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500
const SHARES = [
  [0, 5460],
  [5461, 10922],
  [10923, 16383],
] as const

/** A node with a plain port, for the tests' own questions, and a TLS port for everybody else. */
interface TlsNode {
  readonly server: Server
  readonly tlsPort: number
}

scenarios('a TLS cluster', ['rookery', 'mixed'], (kinds) => {
  let certificate: Certificate
  let nodes: readonly TlsNode[]
  let servers: readonly Server[]

  before(async function () {
    if (!hasOpenssl) return this.skip()
    certificate = makeCertificate()
    nodes = await Promise.all([0, 1, 2, 3].map((i) => startTlsNode(kinds[i % kinds.length]!, certificate)))
    servers = nodes.map(({ server }) => server)
    for (const [i, [first, last]] of SHARES.entries()) {
      await ask(servers[i]!.port, 'CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
      await ask(servers[i]!.port, 'CLUSTER', 'ADDSLOTSRANGE', first, last)
    }
    for (const { tlsPort } of nodes.slice(1)) await ask(servers[0]!.port, 'CLUSTER', 'MEET', '127.0.0.1', tlsPort)
    const primary = await myId(servers[0]!)
    const follow = (): Promise<string> => outcome(servers[3]!.port, 'CLUSTER', 'REPLICATE', primary)
    await eventually(follow, { what: 'the replica knows its primary', withinMs: 10_000, until: (r) => r === 'OK' })
    await settled(servers)
  })

  /** redis-cli with this certificate at node `i`. */
  const cli = (i: number, ...argv: readonly (string | number)[]): Promise<CliResult> => {
    const { server, tlsPort } = nodes[i]!
    return redisCli(['-p', tlsPort, ...identity(server), ...argv])
  }

  it('serves clients that show a certificate of its authority', async () => {
    assert.equal((await cli(0, 'PING')).output, 'PONG\n')
    assert.equal((await cli(1, 'SET', keyIn(8000), 'secret')).output, 'OK\n')
    assert.equal(await ask(servers[1]!.port, 'GET', keyIn(8000)), 'secret')
  })

  it('refuses clients without one, with another, and in plain text', async () => {
    const { server, tlsPort } = nodes[0]!
    const ca = join(server.dir, 'ca.crt')
    assert.doesNotMatch((await redisCli(['-p', tlsPort, '--tls', '--cacert', ca, 'PING'])).output, /PONG/)
    assert.equal(await isServed(tlsPort, { ...makeCertificate(), ca: certificate.ca }), false)
    await assert.rejects(outcome(tlsPort, 'PING'))
    assert.equal(await isServed(tlsPort, certificate), true)
  })

  it('tells TLS clients the TLS ports, and plain clients the plain ones', async () => {
    const [plain, secure] = [servers[1]!.port, nodes[1]!.tlsPort]
    assert.equal(await outcome(servers[0]!.port, 'GET', keyIn(8000)), `MOVED 8000 127.0.0.1:${plain}`)
    assert.match((await cli(0, 'GET', keyIn(8000))).output, new RegExp(`MOVED 8000 127.0.0.1:${secure}\\n`))
    const listed = (await cli(0, 'CLUSTER', 'NODES')).output
    for (const { tlsPort } of nodes) assert.match(listed, new RegExp(`127.0.0.1:${tlsPort}@${tlsPort + 10_000}[ ,]`))
    const seen = (await nodeLines(servers[0]!.port)).map(({ port }) => port)
    assert.deepEqual(seen.toSorted(), servers.map(({ port }) => port).toSorted())
  })

  it('is one cluster for redis-cli -c and redis-cli --cluster', async () => {
    assert.match((await cli(2, '-c', 'GET', keyIn(8000))).output, /secret/)
    const { server, tlsPort } = nodes[2]!
    const check = await redisCli(['--cluster', 'check', `127.0.0.1:${tlsPort}`, ...identity(server)])
    assert.match(check.output, /\[OK\] All 16384 slots covered\./)
    assert.equal(check.code, 0)
  })

  it('is one cluster for a client library', async () => {
    const tls = { ...certificate, checkServerIdentity: () => undefined }
    const library = new IoredisCluster([{ host: '127.0.0.1', port: nodes[0]!.tlsPort }], { redisOptions: { tls } })
    library.on('error', () => {})
    try {
      for (const slot of [100, 8000, 16000]) await library.set(keyIn(slot), slot)
      assert.equal(await ask(servers[2]!.port, 'GET', keyIn(16000)), '16000')
      assert.equal(await library.get(keyIn(8000)), '8000')
    } finally {
      library.disconnect()
    }
  })

  it('replicates over TLS', async () => {
    const replication = await fields(servers[3]!.port, 'INFO', 'replication')
    assert.deepEqual([replication['master_link_status'], replication['master_port']], ['up', String(nodes[0]!.tlsPort)])
    const client = overTls(nodes[0]!.tlsPort, certificate)
    await client.call('SET', keyIn(0), 'copied')
    assert.equal(await client.call('WAIT', 1, 5000), 1)
    client.close()
    // A refused PSYNC goes unnoticed otherwise: real replicas then fall back on SYNC, and never acknowledge anything.
    assert.doesNotMatch(servers[3]!.log, /Retrying with SYNC/)
  })

  it('keeps out a node of another authority', async () => {
    const stranger = await startTlsNode(kinds[0]!, makeCertificate())
    await ask(stranger.server.port, 'CLUSTER', 'MEET', '127.0.0.1', nodes[0]!.tlsPort)
    await eventually(() => nodeLines(stranger.server.port), {
      what: 'the stranger has given up',
      withinMs: 2 * T + 5000,
      until: (lines) => lines.length === 1,
    })
    assert.equal((await nodeLines(servers[0]!.port)).length, nodes.length)
    await stranger.server.remove()
  })

  it('fails over, and takes the old primary back', async () => {
    await servers[0]!.kill()
    await eventually(() => roleOf(servers[3]!), {
      what: 'the replica leads',
      withinMs: T + 10_000,
      until: (role) => role === 'master',
    })
    await servers[0]!.restart()
    await settled(servers)
    assert.equal(await roleOf(servers[0]!), 'slave')
    assert.equal(await ask(servers[3]!.port, 'GET', keyIn(0)), 'copied')
  })
})

scenarios('tls-auth-clients', ['rookery'], (kinds) => {
  let certificate: Certificate

  before(function () {
    if (!hasOpenssl) return this.skip()
    certificate = makeCertificate()
  })

  const CASES = [
    { policy: 'yes', without: false, foreign: false },
    { policy: 'optional', without: true, foreign: false },
    { policy: 'no', without: true, foreign: true },
  ] as const
  for (const { policy, without, foreign } of CASES)
    it(`${policy}: clients without a certificate are ${without ? 'served' : 'refused'}, with a foreign one ${foreign ? 'served' : 'refused'}`, async () => {
      const { server, tlsPort } = await startTlsNode(kinds[0]!, certificate, { 'tls-auth-clients': policy })
      const { ca } = certificate
      assert.equal(await isServed(tlsPort, certificate), true)
      assert.equal(await isServed(tlsPort, { ca }), without)
      assert.equal(await isServed(tlsPort, { ...makeCertificate(), ca }), foreign)
      await server.remove()
    })
})

/** A cluster node whose bus and replication use TLS. */
async function startTlsNode(kind: Kind, { cert, key, ca }: Certificate, conf: Conf = {}): Promise<TlsNode> {
  const tlsPort = await freePort()
  const server = await prepareServer({
    kind,
    conf: {
      'cluster-enabled': 'yes',
      'cluster-node-timeout': T,
      'tls-port': tlsPort,
      'tls-cert-file': 'node.crt',
      'tls-key-file': 'node.key',
      'tls-ca-cert-file': 'ca.crt',
      'tls-cluster': 'yes',
      'tls-replication': 'yes',
      ...conf,
    },
  })
  writeFileSync(join(server.dir, 'node.crt'), cert)
  writeFileSync(join(server.dir, 'node.key'), key)
  writeFileSync(join(server.dir, 'ca.crt'), ca)
  await server.start()
  return { server, tlsPort }
}

/** redis-cli's arguments for talking to a node with the node's own certificate. */
const identity = ({ dir }: Server): readonly string[] => [
  '--tls',
  ...['--cert', join(dir, 'node.crt')],
  ...['--key', join(dir, 'node.key')],
  ...['--cacert', join(dir, 'ca.crt')],
]

/** What a client shows, and whom it trusts. */
type Shown = Partial<Certificate>

function overTls(port: number, shown: Shown): Client {
  const socket = connectTls({ port, host: '127.0.0.1', ...shown, checkServerIdentity: () => undefined })
  return new Client(port, socket, 5000)
}

async function isServed(port: number, shown: Shown): Promise<boolean> {
  const client = overTls(port, shown)
  try {
    return (await client.text('PING')) === 'PONG'
  } catch {
    return false
  } finally {
    client.close()
  }
}
