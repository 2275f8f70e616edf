/** The faults of the soak, one row each: what is done to the cluster, and what it may cost. Each leaves every node running and every
 *  link whole; none is begun before the cluster has settled after the last. */
import assert from 'node:assert/strict'
import type { Random } from '../../lib/base/random.ts'
import { clusterTool } from '../../test/support/cli.ts'
import { ask, outcome } from '../../test/support/client.ts'
import { leads, myself, roleOf, settled, slotCount } from '../../test/support/cluster.ts'
import { eventually, sleep } from '../../test/support/eventually.ts'
import type { Network } from '../../test/support/network.ts'
import type { Server } from '../../test/support/process.ts'

/** A primary that has slots, and its replica. */
export interface Shard {
  readonly primary: Server
  readonly replica: Server
}

export interface Scene {
  readonly network: Network
  readonly random: Random
  readonly shards: readonly Shard[]
  /** The shard whose turn it is. */
  readonly shard: Shard
  /** The primary without slots. */
  readonly spare: Server
}

export interface Fault {
  readonly name: string
  /** Whether the specification lets it cost acknowledged writes that no replica had confirmed. */
  readonly mayLose: boolean
  play(scene: Scene): Promise<unknown>
}

export const NODE_TIMEOUT_MS = 2000
const PROMOTION_LIMIT_MS = 10 * NODE_TIMEOUT_MS
/** An operator's failover gives up after 5 s; then it is asked for again. */
const ASK_AGAIN_MS = 6000
const RESHARDED = 10

export const FAULTS: readonly Fault[] = [
  {
    name: 'a primary is killed and comes back after its replica has taken over',
    mayLose: false,
    async play({ shard: { primary, replica } }) {
      await primary.kill()
      await leads(replica)
      await primary.restart()
    },
  },
  {
    name: 'a primary is killed and comes back at once',
    mayLose: false,
    async play({ shard: { primary } }) {
      await primary.kill()
      await primary.restart()
    },
  },
  {
    name: 'a replica is killed and comes back',
    mayLose: false,
    async play({ shard: { replica }, random }) {
      await replica.kill()
      await sleep(random.below(2 * NODE_TIMEOUT_MS))
      await replica.restart()
    },
  },
  {
    name: 'a primary stands still until its replica has taken over',
    mayLose: true,
    async play({ shard: { primary, replica } }) {
      primary.pause()
      await leads(replica).finally(() => primary.resume())
    },
  },
  {
    name: 'a node stands still for less than the node timeout',
    mayLose: false,
    async play({ network, random }) {
      const node = oneOf(random, network.cluster.nodes)
      node.pause()
      await sleep(random.below(NODE_TIMEOUT_MS / 2))
      node.resume()
    },
  },
  {
    name: 'a primary is cut off from nodes and clients',
    mayLose: true,
    async play({ network, shard: { primary, replica } }) {
      network.isolate(primary)
      await leads(replica).finally(() => network.heal())
    },
  },
  {
    name: 'a primary is cut off with its clients',
    mayLose: true,
    async play({ network, shard: { primary, replica } }) {
      isolateFromNodes(network, primary)
      await leads(replica).finally(() => network.heal())
    },
  },
  {
    name: 'a replica is cut off',
    mayLose: false,
    async play({ network, random, shard: { replica } }) {
      network.isolate(replica)
      await sleep(random.below(2 * NODE_TIMEOUT_MS))
      network.heal()
    },
  },
  { name: 'CLUSTER FAILOVER', mayLose: false, play: ({ shard: { replica } }) => takesOver(replica) },
  { name: 'CLUSTER FAILOVER FORCE', mayLose: true, play: ({ shard: { replica } }) => takesOver(replica, 'FORCE') },
  {
    name: 'slots go to the spare node and back',
    mayLose: false,
    async play({ random, shard, shards, spare }) {
      await reshard(shard.primary, spare)
      await sleep(random.below(NODE_TIMEOUT_MS))
      await reshard(spare, oneOf(random, shards).primary)
    },
  },
  {
    name: 'a replica changes its program, and back',
    mayLose: false,
    async play({ network, shard: { replica } }) {
      const { kind } = replica
      await replica.restart(kind === 'redis' ? 'rookery' : 'redis')
      await settled(network.cluster.nodes)
      await replica.restart(kind)
    },
  },
]

/** Who leads what now. Throws unless it is as the soak began: three shards of a primary and a replica, and one empty primary. */
export async function cast(nodes: readonly Server[]): Promise<Pick<Scene, 'shards' | 'spare'>> {
  const lines = await Promise.all(nodes.map(async (node) => ({ node, line: await myself(node) })))
  const shards = lines
    .filter(({ line }) => slotCount(line) > 0)
    .map(({ node, line }) => {
      const replica = lines.find((other) => other.line.primary === line.id)
      assert(replica, `${node.kind} at ${node.port} has no replica`)
      return { primary: node, replica: replica.node }
    })
  const spare = lines.find(({ line }) => slotCount(line) === 0 && line.primary === undefined)
  assert(spare && shards.length === 3, `not three shards and a spare: ${JSON.stringify(lines.map(({ line }) => line))}`)
  return { shards, spare: spare.node }
}

async function takesOver(replica: Server, ...how: readonly 'FORCE'[]): Promise<void> {
  let askedAt = Number.NEGATIVE_INFINITY
  const leadsWhenAsked = async (): Promise<boolean> => {
    if ((await roleOf(replica)) === 'master') return true
    if (performance.now() - askedAt > ASK_AGAIN_MS) {
      askedAt = performance.now()
      await outcome(replica.port, 'CLUSTER', 'FAILOVER', ...how)
    }
    return false
  }
  await eventually(leadsWhenAsked, { what: `${replica.port} takes over`, withinMs: PROMOTION_LIMIT_MS })
}

/** Its clients stay with it: nodes are known by the addresses they dial from. */
function isolateFromNodes(network: Network, node: Server): void {
  const { source, data, bus } = network.place(node)
  bus.cut()
  for (const other of network.cluster.nodes) {
    if (other === node) continue
    const place = network.place(other)
    data.cut(place.source)
    place.data.cut(source)
    place.bus.cut(source)
  }
}

async function reshard(from: Server, to: Server): Promise<void> {
  const [source, target] = await Promise.all([from, to].map(({ port }) => ask(port, 'CLUSTER', 'MYID')))
  const what = ['--cluster-from', String(source), '--cluster-to', String(target), '--cluster-slots', RESHARDED]
  await clusterTool('reshard', from.address, ...what)
}

export const oneOf = <T>(random: Random, choices: readonly T[]): T => choices[random.below(choices.length)]!
