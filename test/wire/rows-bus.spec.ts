/** The bus as others see it: counters, frames of strangers, introductions, colliding epochs, traces. The rows R6, R7, R46, R48, R49
 *  and R51 of the feature list on live nodes. */
import assert from 'node:assert/strict'
import { decode, encode, isRefusal } from '../../bus/codec.ts'
import { NO_MENTIONS } from '../../bus/section.ts'
import { epoch, nodeId } from '../../lib/base/brand.ts'
import { exchange, STRANGER, strangerSays } from '../support/bus.ts'
import { ask, connect, fields, outcome } from '../support/client.ts'
import {
  type Cluster,
  keyIn,
  lineOf,
  meet,
  myId,
  myself,
  nodeLines,
  roleOf,
  settled,
  startCluster,
  startNodes,
} from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { bitmap, vector } from '../support/messages.ts'
import type { Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500

scenarios('the bus of a cluster at work', ['rookery', 'mixed'], (kinds) => {
  let cluster: Cluster

  before(async () => {
    cluster = await startCluster({ kinds, replicas: 1, nodeTimeoutMs: T })
  })

  const count = async (node: Server, name: string): Promise<number> =>
    Number((await fields(node.port, 'CLUSTER', 'INFO'))[`cluster_stats_messages_${name}`] ?? 0)
  /** Waits until a node has counted at least one message of a kind, sent or received. */
  const counts = (node: Server, name: string): Promise<number> =>
    eventually(() => count(node, name), { what: `${node.kind} at ${node.port} counts ${name}`, withinMs: 5000 })

  it('R46: every pair of nodes has two links, one dialled by each', async () => {
    for (const node of cluster.nodes) {
      const peers = (await nodeLines(node.port)).filter((line) => !line.flags.includes('myself')).map(({ id }) => id)
      const expected = peers.flatMap((id) => [`from ${id}`, `to ${id}`]).sort()
      const links = async (): Promise<string[]> =>
        ((await ask(node.port, 'CLUSTER', 'LINKS')) as string[][]).map((link) => `${link[1]} ${link[3]}`).sort()
      await eventually(links, {
        what: `${node.port} lists 2(N-1) links`,
        withinMs: 5000,
        until: (seen) => seen.join() === expected.join(),
      })
    }
  })

  it('R7: pings, pongs and the first meeting are counted', async () => {
    const [first, other] = [cluster.nodes[0]!, cluster.nodes[1]!]
    await counts(first, 'meet_sent')
    await counts(other, 'meet_received')
    for (const node of cluster.nodes)
      for (const kind of ['ping_sent', 'ping_received', 'pong_sent', 'pong_received']) await counts(node, kind)
  })

  it('R7: publish is counted at both ends', async () => {
    const [publisher, ...others] = cluster.nodes as [Server, ...Server[]]
    const before = await count(publisher, 'publish_sent')
    await ask(publisher.port, 'PUBLISH', 'news', 'x')
    assert.equal((await count(publisher, 'publish_sent')) - before, others.length)
    for (const other of others) await counts(other, 'publish_received')
  })

  it('R7: a manual failover is counted in mfstart, auth-req and auth-ack', async () => {
    const [primary, replica] = [cluster.primaries[0]!, cluster.replicas[0]![0]!]
    await ask(replica.port, 'CLUSTER', 'FAILOVER')
    await eventually(() => roleOf(replica), { what: 'it leads', withinMs: 6000, until: (role) => role === 'master' })
    assert.equal(await count(replica, 'mfstart_sent'), 1)
    assert.equal(await count(primary, 'mfstart_received'), 1)
    for (const voter of cluster.primaries.slice(1)) {
      await counts(voter, 'auth-req_received')
      await counts(voter, 'auth-ack_sent')
    }
    assert.ok((await count(replica, 'auth-req_sent')) >= cluster.nodes.length - 1)
    await counts(replica, 'auth-ack_received')
    await settled(cluster.nodes)
  })

  it('R7: a failure is counted in fail, and what the dead primary missed in update', async () => {
    const [primary, replica] = [cluster.primaries[1]!, cluster.replicas[1]![0]!]
    await primary.kill()
    await eventually(() => roleOf(replica), { what: 'it leads', withinMs: 9000, until: (role) => role === 'master' })
    const rest = cluster.nodes.filter((node) => node !== primary)
    const sum = async (name: string): Promise<number> =>
      (await Promise.all(rest.map((node) => count(node, name)))).reduce((a, b) => a + b, 0)
    for (const name of ['fail_sent', 'fail_received'])
      await eventually(() => sum(name), { what: `somebody counts ${name}`, withinMs: 5000 })
    // Who took its slots would tell it by a ping; the others do by an update.
    replica.pause()
    await primary.restart()
    await counts(primary, 'update_received')
    replica.resume()
    await eventually(() => sum('update_sent'), { what: 'somebody counts update_sent', withinMs: 5000 })
    await settled(cluster.nodes)
  })
})

scenarios('a stranger on the bus', ['rookery'], (kinds) => {
  let cluster: Cluster
  let node: Server
  let busPort: number

  before(async () => {
    cluster = await startCluster({ kinds, nodeTimeoutMs: T })
    node = cluster.nodes[0]!
    busPort = node.port + 10_000
  })

  const table = async (): Promise<string[]> =>
    (await nodeLines(node.port)).map((line) => `${line.id} ${line.flags} ${line.epoch} ${line.slots.join()}`).sort()
  const epochNow = async (): Promise<string | undefined> =>
    (await fields(node.port, 'CLUSTER', 'INFO'))['cluster_current_epoch']

  it('R6, R48: is answered, by a PONG, when it sends the PING that a 7.0 server once sent', async () => {
    const answer = decode(await exchange(busPort, vector('ping-7.0.15.hex')))
    assert.ok(!isRefusal(answer))
    assert.equal(answer.body.type, 'pong')
    assert.equal(answer.header.sender, await myId(node))
  })

  it('R49: is not added to the table for pinging, nor is whom it mentions', async () => {
    const before = await table()
    for (let i = 0; i < 3; i++) await exchange(busPort, vector('ping-7.0.15.hex'))
    await exchange(busPort, encode(strangerSays(1, { type: 'ping', gossip: NO_MENTIONS, extensions: [] })))
    assert.deepEqual(await table(), before)
  })

  it('R48: is not believed: FAIL, UPDATE and requests for votes change nothing', async () => {
    const [before, epochBefore] = [await table(), await epochNow()]
    const victim = nodeId(await myId(cluster.nodes[1]!))
    const far = { currentEpoch: epoch(99), configEpoch: epoch(99) }
    const bodies = [
      { type: 'fail', node: victim },
      { type: 'update', node: victim, configEpoch: epoch(99), slots: bitmap([[0, 1]]) },
      { type: 'update', node: STRANGER, configEpoch: epoch(99), slots: bitmap([[0, 1]]) },
      { type: 'auth-req' },
      { type: 'mfstart' },
      { type: 'publish', channel: Buffer.from('news'), message: Buffer.from('forged') },
    ] as const
    const listener = await connect(node.port)
    await listener.call('SUBSCRIBE', 'news')
    const frames = bodies.map((body) => encode(strangerSays(1, body, far)))
    // The PING at the end is answered after everything before it was taken in.
    const ping = encode(strangerSays(1, { type: 'ping', gossip: NO_MENTIONS, extensions: [] }))
    const answer = decode(await exchange(busPort, Buffer.concat([...frames, ping])))
    assert.ok(!isRefusal(answer))
    assert.equal(answer.body.type, 'pong')
    assert.deepEqual(await table(), before)
    assert.equal(await epochNow(), epochBefore)
    await ask(node.port, 'PUBLISH', 'news', 'true')
    assert.deepEqual((await listener.message()).value, ['message', 'news', 'true'])
  })

  it('R49: is known to all when one of them was told to MEET it', async () => {
    const [newcomer] = (await startNodes({ kinds, nodeTimeoutMs: T }, 1)) as [Server]
    await ask(node.port, 'CLUSTER', 'MEET', '127.0.0.1', newcomer.port)
    await settled([...cluster.nodes, newcomer])
    for (const other of cluster.nodes) assert.equal((await lineOf(newcomer, other))?.id, await myId(newcomer))
  })
})

scenarios('colliding config epochs', ['rookery', 'mixed'], (kinds) => {
  it('R51: are told apart within seconds, the same way on every node', async () => {
    const nodes = await startNodes({ kinds, nodeTimeoutMs: T }, 3)
    for (const [i, { port }] of nodes.entries()) {
      await ask(port, 'CLUSTER', 'SET-CONFIG-EPOCH', 7)
      await ask(port, 'CLUSTER', 'ADDSLOTSRANGE', i * 5000, i * 5000 + 4999)
    }
    await meet(nodes)
    const views = async (): Promise<string[]> =>
      Promise.all(
        nodes.map(async ({ port }) =>
          (await nodeLines(port))
            .map(({ id, epoch }) => `${id} ${epoch}`)
            .sort()
            .join(),
        ),
      )
    const distinct = (view: string): number => new Set(view.split(',').map((line) => line.split(' ')[1])).size
    const [view] = await eventually(views, {
      what: 'three epochs, on which all agree',
      withinMs: 10_000,
      until: (seen) => new Set(seen).size === 1 && distinct(seen[0]!) === 3,
    })
    const ids = (await Promise.all(nodes.map(myself))).map(({ id }) => id).sort()
    const epochs = new Map(view!.split(',').map((line) => line.split(' ') as [string, string]))
    // Who has the smaller id gives way: the greatest keeps the epoch they were all given.
    assert.equal(epochs.get(ids.at(-1)!), '7')
  })
})

scenarios('DEBUG=rookery:gossip,rookery:election', ['rookery'], (kinds) => {
  it('shows on standard error who speaks with whom, whom a node suspects, and how an election goes', async () => {
    const before = process.env['DEBUG']
    process.env['DEBUG'] = 'rookery:gossip,rookery:election'
    let cluster: Cluster
    try {
      cluster = await startCluster({ kinds, replicas: [1, 0, 0], nodeTimeoutMs: T })
    } finally {
      if (before === undefined) delete process.env['DEBUG']
      else process.env['DEBUG'] = before
    }
    const [victim, voter, , heir] = cluster.nodes as [Server, Server, Server, Server]
    const id = await myId(victim)
    const peer = await myId(voter)
    await victim.kill()
    await eventually(() => outcome(heir.port, 'GET', keyIn(0)), {
      what: 'the replica serves',
      withinMs: 9000,
      until: (reply) => reply === '',
    })
    const lines = (node: Server, namespace: string): string =>
      node.log
        .split('\n')
        .filter((line) => line.includes(`rookery:${namespace} `))
        .join('\n')
    assert.match(lines(heir, 'gossip'), new RegExp(`ping to ${peer}, mentioning \\d`))
    assert.match(lines(heir, 'gossip'), new RegExp(`pong from ${peer}, mentioning \\d`))
    assert.match(lines(voter, 'gossip'), new RegExp(`nothing from ${id} for \\d+ ms: possibly failing`))
    assert.match(lines(heir, 'election'), /(schedule|waiting-delay): rank 0, votes 0 of 2/)
    assert.match(lines(heir, 'election'), /won: rank 0, votes 2 of 2/)
    assert.match(lines(heir, 'election'), new RegExp(`a vote by ${peer} for epoch \\d+`))
    assert.match(lines(voter, 'election'), new RegExp(`${await myId(heir)} asks for our vote: granted`))
  })
})
