/** One cluster of ours and real servers: they gossip, vote, replicate, hand slots over and read each other's nodes.conf. */
import assert from 'node:assert/strict'
import { clusterTool } from '../support/cli.ts'
import { ask, connect, outcome } from '../support/client.ts'
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
  slotCount,
  startCluster,
  startNodes,
  tagIn,
} from '../support/cluster.ts'
import { eventually, sleep } from '../support/eventually.ts'
import type { Server } from '../support/process.ts'
import { readSample, withoutDrift, writeSample } from '../support/sample.ts'
import { scenarios } from '../support/suite.ts'

const T = 2000
/** How long peers are watched for flagging each other; 60 is the acceptance run. */
const WATCH_SECONDS = Number(process.env['ROOKERY_WATCH_SECONDS'] ?? 20)

scenarios('joined by MEET', ['mixed'], (kinds) => {
  for (const first of [0, 1].slice(0, kinds.length)) {
    it(`knows each other when ${kinds[first]} introduces the others`, async () => {
      const order = [0, 1, 0, 1].map((i) => kinds[(first + i) % kinds.length]!)
      const nodes = await startNodes({ kinds: order, nodeTimeoutMs: T }, 4)
      await meet(nodes)
      for (const node of nodes) {
        const linked = async (): Promise<boolean> =>
          (await nodeLines(node.port)).every((line) => line.link === 'connected')
        await eventually(linked, { what: `${node.port} has a link to everybody`, withinMs: 5000 })
      }
      await Promise.all(nodes.map((node) => node.remove()))
    })
  }
})

scenarios('a cluster of both kinds', ['mixed'], (kinds) => {
  let cluster: Cluster
  let nodes: readonly Server[]
  let suspicions: Promise<readonly string[]>

  before(async () => {
    cluster = await startCluster({ kinds, replicas: 1, nodeTimeoutMs: T })
    nodes = cluster.nodes
    suspicions = watch(nodes, WATCH_SECONDS)
    suspicions.catch(() => {})
  })

  describe('at peace', () => {
    it('carries PUBLISH to subscribers at every node', async () => {
      for (const publisher of cluster.primaries.slice(0, 2)) {
        const listeners = await Promise.all(nodes.map((node) => connect(node.port)))
        for (const listener of listeners) await listener.call('SUBSCRIBE', 'news')
        await ask(publisher.port, 'PUBLISH', 'news', 'hello')
        for (const listener of listeners)
          assert.deepEqual((await listener.message()).value, ['message', 'news', 'hello'])
        for (const listener of listeners) listener.close()
      }
    })

    it('carries SPUBLISH between a primary and its replica, both ways', async () => {
      for (const i of [0, 1]) {
        const [primary, replica] = [cluster.primaries[i]!, cluster.replicas[i]![0]!]
        const channel = keyIn(i * 8000)
        const listener = await connect(replica.port)
        await listener.call('SSUBSCRIBE', channel)
        await ask(primary.port, 'SPUBLISH', channel, 'down')
        assert.deepEqual((await listener.message()).value, ['smessage', channel, 'down'])
        const upper = await connect(primary.port)
        await upper.call('SSUBSCRIBE', channel)
        await ask(replica.port, 'SPUBLISH', channel, 'up')
        assert.deepEqual((await upper.message()).value, ['smessage', channel, 'up'])
      }
    })

    it('moves slots with their keys both ways', async () => {
      const [a, b] = [cluster.primaries[0]!, cluster.primaries[1]!]
      // reshard takes the lowest slots of its source: 0 first from a, and 0 again when b has it.
      const prefix = `{${tagIn(0)}}:`
      const client = await connect(a.port)
      await writeSample(client, prefix)
      const written = withoutDrift(await readSample(client, prefix))
      for (const [source, target] of [
        [a, b],
        [b, a],
      ] as const) {
        await clusterTool(
          'reshard',
          a.address,
          '--cluster-from',
          await myId(source),
          '--cluster-to',
          await myId(target),
          '--cluster-slots',
          20,
        )
        await settled(nodes)
        assert.deepEqual(withoutDrift(await readSample(await connect(target.port), prefix)), written)
        assert.match(await outcome(source.port, 'GET', `${prefix}string`), /^MOVED 0 /)
      }
    })

    it(`lets no node suspect another for ${WATCH_SECONDS} seconds`, async () => {
      assert.deepEqual(await suspicions, [])
    })
  })

  describe('when primaries change', () => {
    for (const i of [0, 1]) {
      const kind = (offset: number): string => kinds[(i + offset) % kinds.length]!

      it(`hands the shard of a ${kind(0)} primary to its ${kind(1)} replica by CLUSTER FAILOVER`, async () => {
        const [primary, replica] = [cluster.primaries[i]!, cluster.replicas[i]![0]!]
        const prefix = `{${tagIn(i * 8000)}}:shard`
        const client = await connect(primary.port)
        await writeSample(client, prefix)
        const written = await readSample(client, prefix)
        assert.equal(await ask(replica.port, 'CLUSTER', 'FAILOVER'), 'OK')
        await promoted(replica, 6000)
        await settled(nodes)
        assert.equal((await myself(primary)).primary, await myId(replica))
        assert.deepEqual(await readSample(await connect(replica.port), prefix), written)
      })

      it(`elects the ${kind(0)} replica when its ${kind(1)} primary dies`, async () => {
        const [primary, replica] = [cluster.replicas[i]![0]!, cluster.primaries[i]!]
        await primary.kill()
        await promoted(replica, T + 6000)
        const prefix = `{${tagIn(i * 8000)}}:shard`
        const serves = (): Promise<string> => outcome(replica.port, 'GET', `${prefix}string`)
        await eventually(serves, {
          what: 'the new primary serves',
          withinMs: 5000,
          until: (value) => value === 'plain',
        })
        await primary.restart()
        await settled(nodes)
        assert.equal(await roleOf(primary), 'slave')
      })
    }
  })

  describe('sharing nodes.conf', () => {
    // On a busy machine a restart may take longer than the node timeout.
    before(() => Promise.all(nodes.map(({ port }) => ask(port, 'CONFIG', 'SET', 'cluster-node-timeout', 15_000))))

    for (const i of [0, 1]) {
      const [from, to] = [kinds[i % kinds.length]!, kinds[(i + 1) % kinds.length]!]

      it(`starts a ${to} on the directory of a ${from} as the same node`, async () => {
        const node = cluster.primaries[i]!
        const before = await myself(node)
        const peers = await pictureOf(node)
        await node.restart(to)
        const after = await myself(node)
        assert.deepEqual([after.id, after.slots, after.epoch], [before.id, before.slots, before.epoch])
        assert.deepEqual(await pictureOf(node), peers)
        await settled(nodes)
        assert.equal(slotCount((await lineOf(node, nodes[5]!))!), slotCount(before))
      })
    }
  })
})

const promoted = (node: Server, withinMs: number): Promise<string> =>
  eventually(() => roleOf(node), { what: `${node.port} is a primary`, withinMs, until: (role) => role === 'master' })

/** Who is who, without what passes: links and suspicions. */
async function pictureOf(node: Server): Promise<string[]> {
  const lines = await nodeLines(node.port)
  return lines.map(({ id, port, primary, slots }) => `${id} ${port} ${primary} ${slots.join(' ')}`).sort()
}

/** Looks at every node ten times a second; returns each sight of a failing peer. */
async function watch(nodes: readonly Server[], seconds: number): Promise<readonly string[]> {
  const seen: string[] = []
  const until = performance.now() + seconds * 1000
  for (; performance.now() < until; await sleep(100)) {
    for (const node of nodes) {
      const failing = (await nodeLines(node.port)).filter((line) => line.flags.some((flag) => flag.startsWith('fail')))
      for (const line of failing) seen.push(`${node.kind} at ${node.port} flags ${line.port} ${line.flags.join(',')}`)
    }
  }
  return seen
}
