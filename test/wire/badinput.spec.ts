/** Wrong input of every origin: clients, strangers on the bus, configuration, disk. Each is refused with a reason; none ends a server. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { seededRandom } from '../../lib/base/random.ts'
import { ask, connect, outcome } from '../support/client.ts'
import { nodeLines } from '../support/cluster.ts'
import { freeHighPort, freePort } from '../support/ports.ts'
import { type Kind, prepareServer, type Server, type ServerOptions, startServer } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const CLUSTER = { 'cluster-enabled': 'yes', 'cluster-node-timeout': 2000 }
const BUS_DISTANCE = 10_000
const QUERY_LIMIT = 70_000
const CLOSE_LIMIT_MS = 10_000

/** Requests that end their connection, and the last words it gets. */
const PROTOCOL_ERRORS: readonly (readonly [title: string, bytes: string, reply: string])[] = [
  ['an argument of 2 GB', '*1\r\n$2147483648\r\n', 'invalid bulk length'],
  ['an argument of negative length', '*1\r\n$-1\r\n', 'invalid bulk length'],
  ['more arguments than can be counted', '*2147483648\r\n', 'invalid multibulk length'],
  ['a count that is no number', '*x\r\n', 'invalid multibulk length'],
  ['something else than a bulk string', '*1\r\n:5\r\n', "expected '$', got ':'"],
  ['an endless inline request', 'a'.repeat(QUERY_LIMIT), 'too big inline request'],
  ['an endless count of arguments', `*${'1'.repeat(QUERY_LIMIT)}`, 'too big mbulk count string'],
  ['an endless length of an argument', `*1\r\n$${'1'.repeat(QUERY_LIMIT)}`, 'too big bulk count string'],
  ['a quote that does not end', 'GET "a\r\n', 'unbalanced quotes in request'],
]

/** First bytes of a bus frame: signature and total length. */
const busStart = (totalLength: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.write('RCmb', 'latin1')
  bytes.writeUInt32BE(totalLength, 4)
  return bytes
}

/** What strangers send to the bus; all but the last are refused at once. */
const BUS_GARBAGE: readonly (readonly [title: string, bytes: Buffer, closes: boolean])[] = [
  ['a client command', Buffer.from('*1\r\n$4\r\nPING\r\n'), true],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n'), true],
  ['a frame shorter than its header', busStart(16), true],
  ['a frame of 4 GB that never comes', busStart(0xffffffff), false],
]

scenarios('garbage on the wire', ['rookery'], (kinds) => {
  let node: Server

  before(async () => {
    node = await startServer({ kind: kinds[0]!, conf: CLUSTER })
  })

  afterEach(async () => {
    assert.equal(await outcome(node.port, 'PING'), 'PONG')
    assert.equal((await nodeLines(node.port)).length, 1)
  })

  for (const [title, bytes, reply] of PROTOCOL_ERRORS) {
    it(`refuses ${title}`, async () => {
      const client = await connect(node.port)
      assert.equal((await client.raw(bytes)).toString('latin1'), `-ERR Protocol error: ${reply}\r\n`)
      await client.untilClosed()
    })
  }

  it('closes on a browser without a word', async () => {
    const client = await connect(node.port)
    client.send('POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET x y\r\n')
    await client.untilClosed()
    assert.notEqual(await outcome(node.port, 'EXISTS', 'x'), '1')
  })

  it('forgets a request whose sender leaves in the middle', async () => {
    for (const part of [
      '*2000000000\r\n$1\r\n',
      '*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$100000\r\nabc',
      '*3\r\n$3',
      'SET x',
      '*',
    ]) {
      const client = await connect(node.port)
      client.send(part)
      assert.equal(await outcome(node.port, 'PING'), 'PONG')
      client.close()
    }
  })

  it('survives noise on the client port and on the bus', async () => {
    const random = seededRandom(7)
    for (let i = 0; i < 20; i++) {
      const noise = Buffer.from(random.hex(2 * (1 + random.below(5000))), 'hex')
      for (const port of [node.port, node.port + BUS_DISTANCE]) {
        const socket = await dial(port)
        socket.end(noise)
        await closed(socket)
      }
    }
  })

  for (const [title, bytes, closes] of BUS_GARBAGE) {
    it(`does not listen to ${title} on the bus`, async () => {
      const socket = await dial(node.port + BUS_DISTANCE)
      socket.write(bytes)
      socket.write(Buffer.alloc(4096))
      if (!closes) await outcome(node.port, 'PING')
      else await closed(socket)
      socket.destroy()
    })
  }
})

interface BadStart {
  readonly title: string
  readonly conf: ServerOptions['conf']
  /** How its port is chosen, if not as for any other. */
  readonly port?: () => Promise<number>
  /** Content of nodes.conf before the start; it must be the same after it. */
  readonly nodesConf?: string
  /** What the operator must be told. */
  readonly says: RegExp
  /** What ours adds to it. */
  readonly saysMore?: RegExp
}

const [ID, PEER] = ['a'.repeat(40), 'b'.repeat(40)]
const MYSELF_LINE = `${ID} 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-100\n`
const CORRUPT = /corrupted cluster config file/

const BAD_STARTS: readonly BadStart[] = [
  {
    title: 'an unknown directive, naming file line and text',
    conf: { 'no-such-directive': 'yes' },
    says: /FATAL CONFIG FILE ERROR.*at line \d+.*'no-such-directive yes'.*Bad directive or wrong number of arguments/s,
  },
  {
    title: 'a value the directive cannot have',
    conf: { 'cluster-enabled': 'perhaps' },
    says: /FATAL CONFIG FILE ERROR.*'cluster-enabled perhaps'.*argument must be 'yes' or 'no'/s,
  },
  {
    title: 'a port that leaves no room for the bus',
    conf: CLUSTER,
    port: freeHighPort,
    says: /[Pp]ort number too high/,
  },
  {
    title: 'a directory that is not there',
    conf: { ...CLUSTER, dir: '/nonexistent/place' },
    says: /'dir "?\/nonexistent\/place"?'.*No such file or directory/s,
  },
  {
    title: 'a nodes.conf that cannot be written',
    conf: { ...CLUSTER, 'cluster-config-file': 'missing/nodes.conf' },
    says: /missing\/nodes\.conf.*No such file or directory/,
  },
  { title: 'a nodes.conf of one word', conf: CLUSTER, nodesConf: 'abc\n', says: CORRUPT, saysMore: /line 1\b/ },
  {
    title: 'a nodes.conf cut off in a line',
    conf: CLUSTER,
    nodesConf: `${MYSELF_LINE}${PEER} 127.0.0.1:7001@17001 mas`,
    says: CORRUPT,
    saysMore: /line 2\b/,
  },
  {
    title: 'a nodes.conf with a slot that cannot be',
    conf: CLUSTER,
    nodesConf: MYSELF_LINE.replace('0-100', '0-99999'),
    says: CORRUPT,
    saysMore: /line 1\b/,
  },
  {
    title: 'a nodes.conf in which nobody is myself',
    conf: CLUSTER,
    nodesConf: MYSELF_LINE.replace('myself,', ''),
    says: CORRUPT,
    saysMore: /myself/,
  },
]

scenarios('a start is refused', ['rookery'], (kinds) => {
  for (const bad of BAD_STARTS) it(`for ${bad.title}`, () => refuses(kinds[0]!, bad))

  it('on the directory of a running node, which does not notice', async () => {
    const kind = kinds[0]!
    const first = await startServer({ kind, conf: CLUSTER })
    const second = await prepareServer({ kind, conf: { ...CLUSTER, dir: first.dir } })
    second.launch()
    assert.notEqual(await second.exited(), 0)
    assert.match(second.log, /already used by a different Redis Cluster node/)
    assert.equal(await ask(first.port, 'PING'), 'PONG')
  })

  it('on a port that is taken', async () => {
    const kind = kinds[0]!
    const first = await startServer({ kind })
    const second = await prepareServer({ kind, port: first.port })
    second.launch()
    assert.notEqual(await second.exited(), 0)
    assert.match(
      second.log,
      new RegExp(`${first.port}.*Address already in use.*Failed listening on port ${first.port}`, 's'),
    )
    assert.equal(await ask(first.port, 'PING'), 'PONG')
  })
})

async function refuses(kind: Kind, bad: BadStart): Promise<void> {
  const server = await prepareServer({
    kind,
    port: await (bad.port ?? freePort)(),
    ...(bad.conf && { conf: bad.conf }),
  })
  const nodesConf = join(server.dir, 'nodes.conf')
  if (bad.nodesConf !== undefined) writeFileSync(nodesConf, bad.nodesConf)
  server.launch()
  const code = await server.exited()
  assert.ok(code !== null && code !== 0, `ended with ${code}:\n${server.log}`)
  assert.match(server.log, bad.says)
  if (bad.saysMore && kind === 'rookery') assert.match(server.log, bad.saysMore)
  assert.doesNotMatch(server.log, /^\s+at .+:\d+:\d+\)?$/m, 'a stack trace is no explanation')
  if (bad.nodesConf !== undefined) assert.equal(readFileSync(nodesConf, 'utf8'), bad.nodesConf)
}

async function dial(port: number): Promise<Socket> {
  const socket = createConnection({ port, host: '127.0.0.1' })
  await once(socket, 'connect')
  socket.resume()
  // A server may cut a noisy connection with a reset; that is an end like any other.
  socket.on('error', () => {})
  return socket
}

/** Unlike `once`, which takes the reset of a connection for its own failure. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the server keeps the connection')), CLOSE_LIMIT_MS)
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    if (socket.closed) done()
    else socket.once('close', done)
  })
}
