/** Replica migration: a primary left without replicas gets the spare one of another, as far as the configuration allows. */
import assert from 'node:assert/strict'
import { ask, outcome } from '../support/client.ts'
import { type Cluster, keyIn, lineOf, myId, myself, roleOf, startCluster } from '../support/cluster.ts'
import { eventually, sleep } from '../support/eventually.ts'
import type { Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500
/** A real server leaves a primary orphaned for 5 s before it helps. */
const ORPHAN_DELAY_MS = 5000

scenarios('replica migration', ['rookery', 'mixed'], (kinds) => {
  let cluster: Cluster
  let orphan: Server
  let lost: Server
  let spares: readonly Server[]

  before(async () => {
    cluster = await startCluster({
      kinds,
      replicas: [1, 1, 2],
      nodeTimeoutMs: T,
      conf: { 'cluster-migration-barrier': 2 },
    })
    orphan = cluster.primaries[0]!
    lost = cluster.replicas[0]![0]!
    spares = cluster.replicas[2]!
  })

  const configure = async (name: string, value: string): Promise<void> => {
    for (const node of cluster.nodes) if (node !== lost) await ask(node.port, 'CONFIG', 'SET', name, value)
  }
  const migrants = async (): Promise<number> => {
    const home = await myId(cluster.primaries[2]!)
    const lines = await Promise.all(spares.map(myself))
    return lines.filter((line) => line.primary !== home).length
  }

  it('leaves a primary the replicas that cluster-migration-barrier keeps for it', async () => {
    await lost.kill()
    const failed = (): Promise<boolean> => lineOf(lost, spares[0]!).then((line) => line!.flags.includes('fail'))
    await eventually(failed, { what: 'the dead replica is marked failed', withinMs: T + 5000 })
    await sleep(ORPHAN_DELAY_MS + T)
    assert.equal(await migrants(), 0)
  })

  it('moves nobody while cluster-allow-replica-migration is no', async () => {
    await configure('cluster-allow-replica-migration', 'no')
    await configure('cluster-migration-barrier', '1')
    await sleep(T)
    assert.equal(await migrants(), 0)
  })

  it('gives the orphan exactly one spare replica, with its data', async () => {
    await ask(orphan.port, 'SET', keyIn(0), 'v')
    await configure('cluster-allow-replica-migration', 'yes')
    await eventually(migrants, {
      what: 'one spare replica has moved',
      withinMs: ORPHAN_DELAY_MS + 5000,
      until: (n) => n === 1,
    })
    const migrant = await newcomer()
    assert.equal((await myself(migrant)).primary, await myId(orphan))
    assert.equal(await ask(orphan.port, 'WAIT', 1, 5000), 1)
    await sleep(T)
    assert.equal(await migrants(), 1)
  })

  it('so that the shard survives the death of its primary too', async () => {
    const migrant = await newcomer()
    await orphan.kill()
    const read = (): Promise<string> => outcome(migrant.port, 'GET', keyIn(0))
    await eventually(read, {
      what: 'the migrant serves the shard',
      withinMs: T + 6000,
      until: (value) => value === 'v',
    })
    assert.equal(await roleOf(migrant), 'master')
  })

  async function newcomer(): Promise<Server> {
    const home = await myId(cluster.primaries[2]!)
    for (const spare of spares) if ((await myself(spare)).primary !== home) return spare
    throw new Error('no replica has moved')
  }
})
