/** A primary and its replica: what reading, waiting and failing over promise, and when they do not happen. The rows R18, R20, R22, R25,
 *  R29 and R31 of the feature list. */
import assert from 'node:assert/strict'
import { ask, connect, fields, outcome } from '../support/client.ts'
import { type Cluster, keyIn, lineOf, nodeLines, roleOf, settled, startCluster } from '../support/cluster.ts'
import { eventually, sleep } from '../support/eventually.ts'
import type { Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const T = 1000
const DOWN = 'CLUSTERDOWN The cluster is down'
/** How long a primary that has just started lets others speak first. */
const START_DELAY_MS = 2000

const stateOf = async (node: Server): Promise<string> =>
  (await fields(node.port, 'CLUSTER', 'INFO'))['cluster_state'] ?? ''

const sees = (node: Server, state: string, withinMs: number): Promise<string> =>
  eventually(() => stateOf(node), { what: `${node.port} sees ${state}`, withinMs, until: (seen) => seen === state })

scenarios('a shard of one primary and one replica', ['rookery'], (kinds) => {
  let cluster: Cluster
  let primary: Server
  let replica: Server

  before(async () => {
    const conf = { appendonly: 'yes', 'cluster-replica-validity-factor': 0 }
    cluster = await startCluster({ kinds, replicas: [1, 0, 0], nodeTimeoutMs: T, conf })
    primary = cluster.primaries[0]!
    replica = cluster.replicas[0]![0]!
  })

  it('R18: the replica reads for a READONLY client until READWRITE, and never writes', async () => {
    const key = keyIn(0)
    await ask(primary.port, 'SET', key, 'v')
    const moved = `MOVED 0 ${primary.address}`
    const reader = await connect(replica.port)
    assert.equal(await reader.outcome('GET', key), moved)
    await reader.call('READONLY')
    await eventually(() => reader.outcome('GET', key), { what: 'it reads', withinMs: 2000, until: (v) => v === 'v' })
    assert.equal(await reader.outcome('SET', key, 'x'), moved)
    await reader.call('READWRITE')
    assert.equal(await reader.outcome('GET', key), moved)
  })

  it('R22: WAIT tells how many replicas have the write, after at most its timeout', async () => {
    const writer = await connect(primary.port)
    await writer.call('SET', keyIn(0), 'awaited')
    assert.equal(await writer.call('WAIT', 1, 1000), 1)
    replica.pause()
    await writer.call('SET', keyIn(0), 'alone')
    const since = performance.now()
    assert.equal(await writer.call('WAIT', 1, 500), 0)
    const waited = performance.now() - since
    replica.resume()
    assert.ok(waited >= 490 && waited < 900, `WAIT took ${Math.round(waited)} ms`)
    await settled(cluster.nodes)
  })

  for (const who of ['primary', 'replica'] as const)
    it(`R20: with both gone the cluster cannot go on, until the ${who} comes back with its data`, async () => {
      const [kept, left] = [who === 'primary' ? primary : replica, cluster.primaries[1]!]
      const key = keyIn(0, who === 'primary' ? 1 : 2)
      const writer = await connect(primary.port)
      await writer.call('SET', key, 'kept')
      assert.equal(await writer.call('WAIT', 1, 5000), 1)
      // A real replica begins its append-only file anew after a full synchronization.
      await eventually(() => fields(replica.port, 'INFO', 'persistence'), {
        what: 'the file is written',
        withinMs: 10_000,
        until: (info) => info['aof_rewrite_in_progress'] === '0' && info['aof_rewrite_scheduled'] === '0',
      })
      await Promise.all([primary, replica].map((node) => node.kill()))
      await sees(left, 'fail', 2 * T + 4000)
      const info = await fields(left.port, 'CLUSTER', 'INFO')
      assert.deepEqual([info['cluster_slots_fail'], info['cluster_slots_ok']], ['5461', '10923'])
      assert.equal(await outcome(left.port, 'GET', keyIn(8000)), DOWN)
      await kept.restart()
      await sees(left, 'ok', 4 * T + 8000)
      await eventually(() => outcome(kept.port, 'GET', key), {
        what: 'its data is served',
        withinMs: 5000,
        until: (value) => value === 'kept',
      })
      assert.equal(await roleOf(kept), 'master')
      await (kept === primary ? replica : primary).restart()
      await settled(cluster.nodes)
      // The next test begins as this one did.
      if (kept === replica) [primary, replica] = [replica, primary]
    })
})

scenarios('a primary without replicas', ['rookery'], (kinds) => {
  let cluster: Cluster
  let first: Server
  let others: readonly Server[]

  before(async () => {
    cluster = await startCluster({ kinds, nodeTimeoutMs: T })
    first = cluster.primaries[0]!
    others = cluster.primaries.slice(1)
  })

  it('R25: waits after its restart before it serves, for it may have been replaced', async () => {
    await first.kill('SIGTERM')
    const startedAt = performance.now()
    await first.start()
    assert.equal(await stateOf(first), 'fail')
    assert.equal(await outcome(first.port, 'SET', keyIn(0), 'early'), DOWN)
    await sees(first, 'ok', START_DELAY_MS + 3000)
    assert.ok(performance.now() - startedAt >= START_DELAY_MS, `served after ${performance.now() - startedAt} ms`)
    assert.equal(await outcome(first.port, 'SET', keyIn(0), 'late'), 'OK')
    await settled(cluster.nodes)
  })

  it('R25: waits when it finds the majority again after a time alone', async () => {
    for (const node of others) node.pause()
    await sees(first, 'fail', 3 * T)
    for (const node of others) node.resume()
    const backAt = performance.now()
    await sees(first, 'ok', 3 * T + 5000)
    const waited = performance.now() - backAt
    assert.ok(waited >= T - 100, `served after ${Math.round(waited)} ms`)
    await settled(cluster.nodes)
  })

  it('R31: with a slot nobody owns all stop, or all but that slot when full coverage is not required', async () => {
    for (const { port } of cluster.nodes) await ask(port, 'CLUSTER', 'DELSLOTS', 0)
    await sees(first, 'fail', 2000)
    assert.equal(await outcome(first.port, 'GET', keyIn(1)), DOWN)
    for (const { port } of cluster.nodes) await ask(port, 'CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
    await sees(first, 'ok', 5000)
    assert.equal(await outcome(first.port, 'SET', keyIn(1), 'v'), 'OK')
    assert.equal(await outcome(first.port, 'GET', keyIn(0)), 'CLUSTERDOWN Hash slot not served')
  })
})

scenarios('a replica that was cut off from its primary', ['rookery'], (kinds) => {
  let cluster: Cluster
  let primary: Server
  let replica: Server

  before(async () => {
    const conf = { 'cluster-replica-validity-factor': 1, 'repl-ping-replica-period': 1 }
    cluster = await startCluster({ kinds, replicas: [1, 0, 0], nodeTimeoutMs: T, conf })
    primary = cluster.primaries[0]!
    replica = cluster.replicas[0]![0]!
  })

  /** The replica loses its link, as a wrong password makes it, until more time has passed than the factor 1 allows. */
  const separate = async (): Promise<void> => {
    await ask(primary.port, 'CONFIG', 'SET', 'requirepass', 'secret')
    const client = await connect(primary.port)
    await client.call('AUTH', 'secret')
    await client.call('CLIENT', 'KILL', 'TYPE', 'replica')
    await eventually(() => fields(replica.port, 'INFO', 'replication'), {
      what: 'the replica has no link',
      withinMs: 5000,
      until: (info) => info['master_link_status'] === 'down' && Number(info['master_link_down_since_seconds']) >= 4,
    })
  }

  it('R29: does not fail over with factor 1, and says why', async () => {
    await separate()
    await primary.kill()
    const text =
      "Currently unable to failover: Disconnected from master for longer than allowed. Please check the 'cluster-replica-validity-factor' configuration option."
    await eventually(() => replica.log.includes(text), { what: text, withinMs: 2 * T + 9000 })
    assert.equal(await roleOf(replica), 'slave')
    assert.equal(await stateOf(cluster.primaries[1]!), 'fail')
  })

  it('R29: so that the cluster is down until the old primary is back', async () => {
    await sleep(T)
    assert.equal(await stateOf(cluster.primaries[1]!), 'fail')
    await primary.restart()
    await settled(cluster.nodes)
    assert.equal(await roleOf(primary), 'master')
  })

  it('R29: fails over with factor 0, however old its data', async () => {
    await ask(replica.port, 'CONFIG', 'SET', 'cluster-replica-validity-factor', 0)
    await separate()
    await primary.kill()
    await eventually(() => roleOf(replica), {
      what: 'the replica leads',
      withinMs: 2 * T + 5000,
      until: (role) => role === 'master',
    })
    await sees(cluster.primaries[1]!, 'ok', 5000)
    assert.ok((await lineOf(primary, replica))!.flags.includes('fail'))
    assert.equal((await nodeLines(replica.port)).length, 4)
  })
})
