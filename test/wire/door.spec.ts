/** Who is let in: unix sockets, passwords, protected mode and the limit of clients. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { createConnection } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { redisCli } from '../support/cli.ts'
import { ask, type Client, connect, outcome } from '../support/client.ts'
import { keyIn } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { type Kind, prepareServer, type Server, startServer } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const PASSWORD = 'p4ss word'
const NOAUTH = 'NOAUTH Authentication required.'
const WRONGPASS = 'WRONGPASS invalid username-password pair or user is disabled.'

scenarios('the door', ['rookery'], (kinds) => {
  it('opens a unix socket with the mode asked for, and removes it when it stops', async () => {
    const server = await startServer({ kind: kinds[0]!, conf: { unixsocket: 'redis.sock', unixsocketperm: 700 } })
    const path = join(server.dir, 'redis.sock')
    assert.equal(statSync(path).mode & 0o777, 0o700)
    assert.equal((await redisCli(['-s', path, 'SET', 'k', 'v'])).output, 'OK\n')
    assert.equal((await redisCli(['-s', path, 'GET', 'k'])).output, 'v\n')
    assert.match((await redisCli(['-s', path, 'CLIENT', 'LIST'])).output, /addr=[^ ]*redis\.sock:0 .* flags=U /)
    await server.kill('SIGTERM')
    assert.throws(() => statSync(path), /ENOENT/)
  })

  it('refuses more clients than maxclients', async () => {
    const server = await startServer({ kind: kinds[0]!, conf: { maxclients: 3 } })
    const inside = [await connect(server.port), await connect(server.port), await connect(server.port)]
    for (const client of inside) assert.equal(await client.call('PING'), 'PONG')
    assert.equal(await refusal(server.port), '-ERR max number of clients reached\r\n')
    assert.equal((await fieldsOver(inside[0]!, 'stats'))['rejected_connections'], '1')
    inside[2]!.close()
    const enters = (): Promise<string> => outcome(server.port, 'PING')
    await eventually(enters, { what: 'a place is free again', withinMs: 3000, until: (reply) => reply === 'PONG' })
  })

  it('in protected mode serves this machine only, and says why', async function () {
    const address = externalAddress()
    if (!address) return this.skip()
    const server = await startServer({ kind: kinds[0]!, conf: { bind: '0.0.0.0' } })
    assert.match(
      await refusal(server.port, address),
      /^-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user\. .*\r\n$/,
    )
    await ask(server.port, 'CONFIG', 'SET', 'protected-mode', 'no')
    assert.equal((await redisCli(['-h', address, '-p', server.port, 'PING'])).output, 'PONG\n')
    await ask(server.port, 'CONFIG', 'SET', 'protected-mode', 'yes', 'requirepass', PASSWORD)
    assert.equal((await redisCli(['-h', address, '-p', server.port, 'PING'])).output, `${NOAUTH}\n\n`)
  })

  it('lets nobody authenticate where there is no password', async () => {
    const server = await startServer({ kind: kinds[0]! })
    assert.equal(
      await outcome(server.port, 'AUTH', PASSWORD),
      'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
    )
    assert.equal(await outcome(server.port, 'AUTH', 'default', 'anything'), 'OK')
    assert.equal(await outcome(server.port, 'AUTH', 'somebody', PASSWORD), WRONGPASS)
  })
})

scenarios('a cluster with a password', ['rookery', 'mixed'], (kinds) => {
  let nodes: readonly Server[]

  before(async () => {
    nodes = await Promise.all([0, 1].map((i) => startLocked(kinds[i % kinds.length]!)))
    const [primary, replica] = await Promise.all(nodes.map(inside))
    await primary!.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16383)
    await primary!.call('CLUSTER', 'MEET', '127.0.0.1', nodes[1]!.port)
    const id = await primary!.text('CLUSTER', 'MYID')
    const follow = (): Promise<string> => replica!.outcome('CLUSTER', 'REPLICATE', id)
    await eventually(follow, { what: 'the nodes know each other', withinMs: 10_000, until: (reply) => reply === 'OK' })
    await eventually(() => linkOf(replica!), { what: 'the link is up', withinMs: 10_000, until: (s) => s === 'up' })
    const write = (): Promise<string> => primary!.outcome('SET', keyIn(0), 'first')
    await eventually(write, { what: 'the cluster serves', withinMs: 10_000, until: (reply) => reply === 'OK' })
  })

  it('serves nobody who has not authenticated', async () => {
    const client = await connect(nodes[0]!.port)
    for (const argv of [['PING'], ['GET', 'k'], ['CLUSTER', 'NODES'], ['READONLY']])
      assert.equal(await client.outcome(...argv), NOAUTH, argv.join(' '))
    // What is no command at all is said to anybody.
    assert.match(await client.outcome('NOSUCHCOMMAND'), /^ERR unknown command 'NOSUCHCOMMAND'/)
    assert.equal(await client.outcome('GET'), "ERR wrong number of arguments for 'get' command")
    assert.match(await client.outcome('HELLO', 3), /^NOAUTH HELLO must be called with the client already authenticated/)
  })

  it('takes the password in AUTH with and without user, and in HELLO', async () => {
    const client = await connect(nodes[0]!.port)
    assert.equal(await client.outcome('AUTH', 'wrong'), WRONGPASS)
    assert.equal(await client.outcome('AUTH', 'default', 'wrong'), WRONGPASS)
    assert.equal(await client.outcome('PING'), NOAUTH)
    assert.equal(await client.outcome('AUTH', 'default', PASSWORD), 'OK')
    assert.equal(await client.outcome('PING'), 'PONG')
    const other = await connect(nodes[0]!.port)
    await other.call('HELLO', 2, 'AUTH', 'default', PASSWORD)
    assert.equal(await other.outcome('PING'), 'PONG')
  })

  it('replicates with masterauth', async () => {
    const [primary, replica] = await Promise.all(nodes.map(inside))
    await primary!.call('SET', keyIn(0), 'copied')
    assert.equal(await primary!.call('WAIT', 1, 5000), 1)
    await replica!.call('READONLY')
    assert.equal(await replica!.call('GET', keyIn(0)), 'copied')
  })

  it('does not replicate with a wrong one, until it is set right', async () => {
    const [primary, replica] = await Promise.all(nodes.map(inside))
    await replica!.call('CONFIG', 'SET', 'masterauth', 'wrong')
    await primary!.call('CLIENT', 'KILL', 'TYPE', 'replica')
    await eventually(() => linkOf(replica!), { what: 'the link is down', withinMs: 5000, until: (s) => s === 'down' })
    await eventually(() => nodes[1]!.log, {
      what: 'the replica says why',
      withinMs: 5000,
      until: (log) => log.includes('Unable to AUTH to MASTER: -WRONGPASS'),
    })
    await replica!.call('CONFIG', 'SET', 'masterauth', PASSWORD)
    await eventually(() => linkOf(replica!), { what: 'the link is up', withinMs: 10_000, until: (s) => s === 'up' })
  })

  it('is administered by redis-cli -a', async () => {
    const { code, output } = await redisCli([
      '--cluster',
      'check',
      nodes[1]!.address,
      '-a',
      PASSWORD,
      '--no-auth-warning',
    ])
    assert.equal(code, 0, output)
    assert.match(output, /\[OK\] All 16384 slots covered\./)
  })
})

/** A cluster node that wants a password, so that it does not answer PING as `startServer` expects. */
async function startLocked(kind: Kind): Promise<Server> {
  const server = await prepareServer({
    kind,
    conf: { 'cluster-enabled': 'yes', requirepass: `"${PASSWORD}"`, masterauth: `"${PASSWORD}"` },
  })
  server.launch()
  await eventually(() => outcome(server.port, 'PING'), {
    what: `${kind} at ${server.port} answers`,
    withinMs: 15_000,
    until: (reply) => reply === NOAUTH,
  })
  return server
}

/** An authenticated connection. */
async function inside(server: Server): Promise<Client> {
  const client = await connect(server.port)
  await client.call('AUTH', PASSWORD)
  return client
}

const linkOf = async (replica: Client): Promise<string> =>
  (await fieldsOver(replica, 'replication'))['master_link_status'] ?? ''

async function fieldsOver(client: Client, section: string): Promise<Readonly<Record<string, string>>> {
  const lines = (await client.text('INFO', section)).split('\r\n')
  return Object.fromEntries(lines.filter((line) => line.includes(':')).map((line) => line.split(':', 2)))
}

/** What a connection is told before it is closed. */
async function refusal(port: number, host = '127.0.0.1'): Promise<string> {
  const socket = createConnection({ port, host })
  let text = ''
  socket.on('data', (bytes) => (text += bytes))
  await once(socket, 'close', { signal: AbortSignal.timeout(5000) })
  return text
}

/** An address of this machine that is not the loopback's. */
function externalAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address
}
