/** A forgotten node stays forgotten: rows R61 and C3 of the feature list. */
import assert from 'node:assert/strict'
import { clusterTool } from '../support/cli.ts'
import { ask, outcome } from '../support/client.ts'
import { myId, settled, startCluster, staysGone } from '../support/cluster.ts'
import { scenarios } from '../support/suite.ts'

const T = 1000
/** How long gossip about a forgotten node is not believed. Real servers have a minute, and no option for it. */
const BLACKLIST_SEC = 2

scenarios('a forgotten node', ['rookery'], (kinds) => {
  const conf = { 'cluster-blacklist-ttl': BLACKLIST_SEC }

  it('R61, C3: told to one node only, is forgotten by all, and for good, although it runs on', async () => {
    const { nodes, primaries, replicas } = await startCluster({ kinds, replicas: [1, 0, 0], nodeTimeoutMs: T, conf })
    const gone = replicas[0]![0]!
    const id = await myId(gone)
    // Its own primary, too: it may forget its replica.
    assert.equal(await outcome(primaries[1]!.port, 'CLUSTER', 'FORGET', id), 'OK')
    await staysGone(id, primaries, (BLACKLIST_SEC + 3) * 1000)
    await primaries[2]!.restart()
    await staysGone(id, primaries, T)
    await Promise.all(nodes.map((node) => node.remove()))
  })

  it('C3: does not come back when it is restarted with its old nodes.conf', async () => {
    const { nodes, primaries, replicas } = await startCluster({ kinds, replicas: [1, 0, 0], nodeTimeoutMs: T, conf })
    const gone = replicas[0]![0]!
    const id = await myId(gone)
    await gone.kill()
    await ask(primaries[0]!.port, 'CLUSTER', 'FORGET', id)
    await staysGone(id, primaries, (BLACKLIST_SEC + 1) * 1000)
    await gone.start()
    await staysGone(id, primaries, 3 * T)
    await Promise.all(nodes.map((node) => node.remove()))
  })
})

scenarios('a node that del-node removed', ['mixed'], (kinds) => {
  /** The minutes of the real blacklist, when they are asked for; else a moment. */
  const watchMs = Number(process.env['ROOKERY_FORGET_SECONDS'] ?? 3) * 1000

  it(`R61: is not in any list, nor ${watchMs / 1000} seconds later`, async function () {
    this.timeout(watchMs + 60_000)
    const { nodes, primaries, replicas } = await startCluster({ kinds, replicas: [1, 0, 0], nodeTimeoutMs: T })
    const gone = replicas[0]![0]!
    const id = await myId(gone)
    await clusterTool('del-node', primaries[1]!.address, id)
    await staysGone(id, primaries, watchMs)
    await settled(nodes.filter((node) => node !== gone))
  })
})
