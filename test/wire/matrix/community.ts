/** What nodes of both kinds know of each other in one cluster: names, replica migration, FORGET. */
import assert from 'node:assert/strict'
import { ask, outcome } from '../../support/client.ts'
import { type Cluster, keyIn, myId, myself, roleOf, settled, startCluster, staysGone } from '../../support/cluster.ts'
import { eventually } from '../../support/eventually.ts'
import type { Kind, Server } from '../../support/process.ts'
import type { Row } from '../../support/tracks.ts'
import { NAMES, SPREAD_LIMIT_MS, saidBy, T, without } from './terms.ts'

/** A real server leaves a primary orphaned for 5 s before it helps. */
const MIGRATION_LIMIT_MS = 15_000

/** The first primary is of one kind, the second of the other; each has a replica, the third has two. */
export const startCommunity = (first: Kind, second: Kind): Promise<Cluster> =>
  startCluster({
    kinds: [first, second],
    replicas: [1, 1, 2],
    nodeTimeoutMs: T,
    // Nobody moves before its row.
    conf: { 'cluster-allow-replica-migration': 'no' },
  })

/** The first node of a kind: a primary. */
export const named = (announcer: Kind): Row<Cluster> => ({
  title: `a hostname that ${NAMES[announcer]} announces at runtime is seen by all, and is gone from all when it is withdrawn`,
  async run({ nodes, primaries }) {
    const node = primaries.find(({ kind }) => kind === announcer)!
    const id = await myId(node)
    const hostnameAt = async ({ port }: Server): Promise<string | undefined> => {
      const line = String(await ask(port, 'CLUSTER', 'NODES'))
        .split('\n')
        .find((text) => text.startsWith(id))
      return line?.split(' ')[1]?.split(',')[1] ?? ''
    }
    for (const hostname of [`${announcer}.example.org`, '']) {
      await ask(node.port, 'CONFIG', 'SET', 'cluster-announce-hostname', hostname)
      await eventually(() => saidBy(nodes, hostnameAt), {
        what: `all know it as "${hostname}"`,
        withinMs: SPREAD_LIMIT_MS,
        until: (seen) => seen.every((one) => one === hostname),
      })
      const slots = (await saidBy(nodes, ({ port }) => ask(port, 'CLUSTER', 'SLOTS'))) as SlotsReply[]
      for (const ranges of slots) {
        const metadata = ranges.map(([, , primary]) => primary).find((one) => one[2] === id)![3]
        assert.deepEqual(metadata, hostname ? ['hostname', hostname] : [])
      }
    }
  },
})

type SlotsReply = readonly (readonly [
  first: number,
  last: number,
  primary: readonly [string, number, string, unknown],
])[]

/** Takes the only replica from a primary. Of those a primary can spare, the replica with the smallest id must go there. */
export const migrates = (migrant: Kind, orphan: Kind): Row<Cluster> => ({
  title: `a replica (${NAMES[migrant]}) moves to a primary (${NAMES[orphan]}) that has lost its own`,
  async run({ nodes, primaries, replicas }) {
    const i = primaries.findIndex(({ kind }) => kind === orphan)
    const [home, lost] = [primaries[i]!, replicas[i]![0]!]
    const spare = await spareOf(nodes)
    if (spare.kind !== migrant) await spare.restart(migrant)
    await settled(nodes)
    await allowMigration(nodes, 'yes')
    await lost.kill()
    const id = await myId(home)
    await eventually(() => myself(spare), {
      what: `${spare.kind} at ${spare.port} has moved to ${id}`,
      withinMs: MIGRATION_LIMIT_MS,
      until: (line) => line.primary === id,
    })
    await allowMigration(without(nodes, lost), 'no')
    await ask(home.port, 'SET', keyIn(i * 8000), migrant)
    assert.equal(await ask(home.port, 'WAIT', 1, 5000), 1)
    await lost.restart()
    await settled(nodes)
  },
})

async function spareOf(nodes: readonly Server[]): Promise<Server> {
  const lines = await saidBy(nodes, myself)
  const sisters = (id: string | undefined): number => lines.filter(({ primary }) => primary === id).length
  const spared = lines.filter(({ primary }) => primary !== undefined && sisters(primary) > 1)
  const first = spared.map(({ id }) => id).sort()[0]
  return nodes[lines.findIndex(({ id }) => id === first)]!
}

const allowMigration = (nodes: readonly Server[], value: string): Promise<unknown> =>
  saidBy(nodes, ({ port }) => ask(port, 'CONFIG', 'SET', 'cluster-allow-replica-migration', value))

/** They are told by each node, as an operator's tool does: real servers do not pass it on. */
export const forgotten = (kind: Kind): Row<Cluster> => ({
  title: `a replica (${NAMES[kind]}) that all were told to FORGET, and that runs on, comes back nowhere`,
  async run({ nodes }) {
    const present = nodes.filter(({ isRunning }) => isRunning)
    const roles = await saidBy(present, roleOf)
    const gone = present.find((node, i) => node.kind === kind && roles[i] === 'slave')!
    const id = await myId(gone)
    const rest = without(present, gone)
    await saidBy(rest, ({ port }) => outcome(port, 'CLUSTER', 'FORGET', id))
    await staysGone(id, rest, 3 * T)
    await gone.kill()
    await settled(rest)
  },
})
