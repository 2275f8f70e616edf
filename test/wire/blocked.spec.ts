/** Clients that wait for data in a cluster that changes under them. */
import assert from 'node:assert/strict'
import { ask, type Client, connect, fields } from '../support/client.ts'
import { type Cluster, keyIn, myId, settled, startCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { scenarios } from '../support/suite.ts'

const GIVEN = 100
const STAYING = 200

scenarios('clients that wait for a key', ['rookery'], (kinds) => {
  let cluster: Cluster
  /** The primary of the first half of the slots. */
  let port: number
  before(async () => {
    cluster = await startCluster({ kinds, primaries: 2, replicas: [1, 0] })
    port = cluster.primaries[0]!.port
  })

  const waiting = async (): Promise<number> => Number((await fields(port, 'INFO', 'clients'))['blocked_clients'])

  /** A client that waits, and what it will be answered, error or not. */
  async function waiter(...argv: readonly (string | number)[]): Promise<{ client: Client; outcome: Promise<string> }> {
    const before = await waiting()
    const client = await connect(port)
    const outcome = client.outcome(...argv)
    await eventually(waiting, { what: 'the client waits', withinMs: 5000, until: (count) => count > before })
    return { client, outcome }
  }

  it('are served when somebody else writes', async () => {
    const { outcome } = await waiter('BLPOP', keyIn(STAYING), 0)
    await ask(port, 'RPUSH', keyIn(STAYING), 'v')
    assert.equal(await outcome, `${keyIn(STAYING)},v`)
  })

  it('are let go when their time is up', async () => {
    const { client, outcome } = await waiter('BLMOVE', keyIn(STAYING), keyIn(STAYING, 1), 'LEFT', 'RIGHT', 0.5)
    assert.equal(await outcome, '')
    assert.equal(await client.text('PING'), 'PONG')
  })

  it('are told and disconnected when their primary becomes a replica', async () => {
    const { client, outcome } = await waiter('BLPOP', keyIn(STAYING), 0)
    const heir = cluster.replicas[0]![0]!.port
    await ask(heir, 'CLUSTER', 'FAILOVER')
    assert.match(await outcome, /^UNBLOCKED force unblock from blocking operation, instance state changed/)
    await client.untilClosed()
    await settled(cluster.nodes)
    port = heir
  })

  it('are sent after a slot that was given away, and keep their connection', async () => {
    const { client, outcome } = await waiter('BLPOP', keyIn(GIVEN), 0)
    const staying = await waiter('BRPOP', keyIn(STAYING), 0)
    const target = cluster.primaries[1]!
    const id = await myId(target)
    for (const node of [target.port, port]) await ask(node, 'CLUSTER', 'SETSLOT', GIVEN, 'NODE', id)
    assert.equal(await outcome, `MOVED ${GIVEN} 127.0.0.1:${target.port}`)
    assert.equal(await client.text('PING'), 'PONG')
    await ask(port, 'RPUSH', keyIn(STAYING), 'v')
    assert.equal(await staying.outcome, `${keyIn(STAYING)},v`)
  })

  it('are told when the cluster is down', async () => {
    const { client, outcome } = await waiter('BLPOP', keyIn(STAYING), 0)
    await ask(port, 'CLUSTER', 'DELSLOTS', 300)
    assert.equal(await outcome, 'CLUSTERDOWN The cluster is down')
    assert.equal(await client.text('PING'), 'PONG')
  })
})

scenarios('SORT in a cluster', ['rookery'], (kinds) => {
  let cluster: Cluster
  before(async () => {
    cluster = await startCluster({ kinds, primaries: 1 })
  })

  it('does not look at other keys, which could be anywhere', async () => {
    const client = await connect(cluster.primaries[0]!.port)
    await client.call('RPUSH', 'k', 2, 1)
    assert.equal(await client.outcome('SORT', 'k', 'BY', 'w_*'), 'ERR BY option of SORT denied in Cluster mode.')
    assert.equal(await client.outcome('SORT', 'k', 'GET', '#'), 'ERR GET option of SORT denied in Cluster mode.')
    assert.equal(await client.outcome('SORT', 'k', 'BY', 'nosort'), '2,1')
    assert.equal(await client.outcome('SORT', 'k', 'STORE', '{k}2'), '2')
  })
})
