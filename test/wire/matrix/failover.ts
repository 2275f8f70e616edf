/** Failover in all its forms: one shard under test, and two more primaries that vote. */
import assert from 'node:assert/strict'
import { ask, connect, fields } from '../../support/client.ts'
import {
  type Cluster,
  keyIn,
  leads,
  myId,
  myself,
  nodeLines,
  roleOf,
  settled,
  startCluster,
} from '../../support/cluster.ts'
import { sleep } from '../../support/eventually.ts'
import type { Kind, Server } from '../../support/process.ts'
import type { Row } from '../../support/tracks.ts'
import { NAMES, saidBy, T } from './terms.ts'

/** The clock of a voter is as coarse as its tick. */
const TICK_MS = 100

export interface Duel {
  readonly cluster: Cluster
  readonly voters: readonly Server[]
  /** The two nodes of the shard, who change places from row to row. */
  readonly pair: readonly [Server, Server]
  /** When a replica of each was last elected. */
  readonly electedAt: Map<Server, number>
}

interface Method {
  readonly name: string
  /** How `heir` is made to take the place of `old`. */
  start(old: Server, heir: Server): Promise<unknown>
  /** How many of the two voters must have voted. */
  readonly votes: number
}

const METHODS: readonly Method[] = [
  { name: 'CLUSTER FAILOVER', start: (_, heir) => ask(heir.port, 'CLUSTER', 'FAILOVER'), votes: 1 },
  { name: 'TAKEOVER', start: (_, heir) => ask(heir.port, 'CLUSTER', 'FAILOVER', 'TAKEOVER'), votes: 0 },
  {
    name: 'FORCE',
    async start(old, heir) {
      await old.kill()
      await ask(heir.port, 'CLUSTER', 'FAILOVER', 'FORCE')
    },
    votes: 2,
  },
  { name: 'automatic', start: (old) => old.kill(), votes: 2 },
]

/** A cluster of four nodes: a shard of these two kinds, and two voters. */
export async function startDuel(primary: Kind, replica: Kind, voter: Kind): Promise<Duel> {
  const kinds = [primary, voter, voter, replica]
  const cluster = await startCluster({ kinds, replicas: [1, 0, 0], nodeTimeoutMs: T })
  const [first, ...voters] = cluster.primaries
  return { cluster, voters, pair: [first!, cluster.replicas[0]![0]!], electedAt: new Map() }
}

const votesOf = async (voter: Server): Promise<number> =>
  Number((await fields(voter.port, 'CLUSTER', 'INFO'))['cluster_stats_messages_auth-ack_sent'] ?? 0)

/** The slots, the last write and the highest config epoch go to the replica; the old primary follows it; the voters were asked, or not. */
async function failOver({ cluster, voters, pair, electedAt }: Duel, method: Method): Promise<void> {
  const { nodes } = cluster
  const [old, heir] = (await roleOf(pair[0])) === 'master' ? pair : pair.toReversed()
  const client = await connect(old!.port)
  const written = await client.text('INCR', keyIn(0))
  assert.equal(await client.call('WAIT', 1, 5000), 1)
  client.close()
  if (method.votes > 0) await untilVotersMayVote(electedAt.get(old!))
  const before = await saidBy(voters, votesOf)
  await method.start(old!, heir!)
  await leads(heir!)
  if (method.votes > 0) electedAt.set(old!, performance.now())
  if (!old!.isRunning) await old!.restart()
  await settled(nodes)
  const id = await myId(heir!)
  assert.equal((await myself(old!)).primary, id)
  assert.equal(await ask(heir!.port, 'GET', keyIn(0)), written)
  for (const view of await saidBy(nodes, ({ port }) => nodeLines(port))) {
    const line = view.find((one) => one.id === id)!
    assert.deepEqual(line.slots, [[0, 5460]])
    assert.equal(line.epoch, Math.max(...view.map(({ epoch }) => epoch)))
  }
  const after = await saidBy(voters, votesOf)
  const voted = after.filter((count, i) => count > before[i]!).length
  if (method.votes === 0) assert.deepEqual(after, before)
  else assert.ok(voted >= method.votes, `${voted} of ${voters.length} have voted`)
}

/** A voter votes once in two node timeouts about the replicas of one primary. And a redis-server replica that was elected, and made a
 *  replica again within that time, takes those votes for those of its next election: it leads, with an old epoch, until it is told. */
const untilVotersMayVote = (electedAt = Number.NEGATIVE_INFINITY): Promise<void> =>
  sleep(Math.max(0, electedAt + 2 * T + TICK_MS - performance.now()))

/** Rows for a shard of these two kinds. After an even number of rows the first leads again. */
export function duels(first: Kind, second: Kind, voter: Kind): Row<Duel>[] {
  const [there, back] = [
    [first, second],
    [second, first],
  ] as const
  const directions = first === second ? [there] : [there, back]
  return METHODS.flatMap((method) =>
    directions.map(([primary, replica]) => ({
      title: `${method.name}: primary ${NAMES[primary]}, replica ${NAMES[replica]}, voters ${NAMES[voter]}`,
      run: (duel: Duel) => failOver(duel, method),
    })),
  )
}

/** The replica's program is exchanged. */
export const exchanged = (from: Kind, to: Kind): Row<Duel> => ({
  title: `${NAMES[to]} starts on the nodes.conf of ${NAMES[from]} as the same replica`,
  async run({ cluster, pair }) {
    const node = pair[1]
    const before = await myself(node)
    await node.restart(to)
    await settled(cluster.nodes)
    const { id, primary } = await myself(node)
    assert.deepEqual([id, primary, await roleOf(node)], [before.id, before.primary, 'slave'])
  },
})
