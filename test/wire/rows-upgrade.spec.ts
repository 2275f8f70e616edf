/** The upgrade procedure under a write load, row R64 of the feature list: a replica is restarted; a primary hands over to its replica,
 *  is restarted, and takes its place back. */
import assert from 'node:assert/strict'
import { ask } from '../support/client.ts'
import { type Cluster, myId, nodeLines, roleOf, settled, startCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { startLoad } from '../support/load.ts'
import type { Kind, Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500

/** Every node has its link to every other: a vote leaves on it, once, or is lost. */
const linked = (nodes: readonly Server[]): Promise<unknown> =>
  eventually(() => Promise.all(nodes.map(({ port }) => nodeLines(port))), {
    what: 'every node has a link to every other',
    withinMs: 5000,
    until: (views) => views.flat().every(({ link }) => link === 'connected'),
  })

async function failOverTo(replica: Server, nodes: readonly Server[]): Promise<void> {
  assert.equal(await ask(replica.port, 'CLUSTER', 'FAILOVER'), 'OK')
  await eventually(() => roleOf(replica), {
    what: `${replica.kind} at ${replica.port} leads`,
    withinMs: 6000,
    until: (role) => role === 'master',
  })
  await settled(nodes)
}

/** Restarts every node as a server of `kind`, with a client writing all the time, and checks what that cost. */
async function upgrade(cluster: Cluster, kind: Kind): Promise<void> {
  const { nodes } = cluster
  const ids = await Promise.all(nodes.map(myId))
  const load = startLoad({ ports: nodes.map(({ port }) => port), prefix: `to-${kind}` })
  await load.progress(200)
  const again = async (node: Server): Promise<void> => {
    await node.restart(kind)
    await settled(nodes)
    await linked(nodes)
    await load.progress(50)
  }
  for (const [i, primary] of cluster.primaries.entries()) {
    const replica = cluster.replicas[i]![0]!
    await again(replica)
    await failOverTo(replica, nodes)
    await again(primary)
    await failOverTo(primary, nodes)
  }
  const { lost, noack, errors } = await load.stop()
  assert.deepEqual({ lost, noack }, { lost: 0, noack: 0 })
  // A connection to a node that hands over may be open, and idle, when that node is restarted; and a worker that has not written to
  // it since goes there first.
  const WHILE_AWAY = /^(connection to N closed|read ECONNRESET|connect ECONNREFUSED .*)$/
  assert.deepEqual(
    Object.keys(errors).filter((text) => !WHILE_AWAY.test(text)),
    [],
  )
  assert.deepEqual(await Promise.all(nodes.map(myId)), ids)
  assert.deepEqual(new Set(nodes.map((node) => node.kind)), new Set([kind]))
  assert.deepEqual(await Promise.all(cluster.primaries.map(roleOf)), ['master', 'master', 'master'])
}

scenarios('a rolling restart of all six nodes', ['rookery'], (kinds) => {
  it('R64: loses no write', async () => {
    await upgrade(await startCluster({ kinds, replicas: 1, nodeTimeoutMs: T }), kinds[0]!)
  })
})

scenarios('a rolling exchange of the program', ['redis'], (kinds) => {
  let cluster: Cluster

  before(async () => {
    cluster = await startCluster({ kinds, replicas: 1, nodeTimeoutMs: T })
  })

  it('R64: from redis-server to rookery loses no write', () => upgrade(cluster, 'rookery'))
  it('R64: and back loses none either', () => upgrade(cluster, 'redis'))
})
