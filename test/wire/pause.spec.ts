/** A primary that stops for a while, or is cut off, is not dead and does not know: how long it can be wrong. */
import assert from 'node:assert/strict'
import { ask, connect, outcome } from '../support/client.ts'
import { type Cluster, keyIn, roleOf, settled, startCluster } from '../support/cluster.ts'
import { eventually, sleep } from '../support/eventually.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500

scenarios('a paused or isolated primary', ['rookery', 'mixed'], (kinds) => {
  let cluster: Cluster

  before(async () => {
    cluster = await startCluster({ kinds, replicas: 1, nodeTimeoutMs: T })
  })

  it('steps down at once when it wakes up after its replica was elected', async () => {
    const [sleeper, heir] = [cluster.primaries[0]!, cluster.replicas[0]![0]!]
    const writer = await connect(sleeper.port)
    assert.equal(await writer.call('SET', keyIn(0), 'old'), 'OK')
    sleeper.pause()
    await eventually(() => roleOf(heir), {
      what: 'the replica is promoted',
      withinMs: T + 5000,
      until: (role) => role === 'master',
    })
    assert.equal(await ask(heir.port, 'SET', keyIn(0), 'new'), 'OK')
    sleeper.resume()
    const refused = await eventually(() => writer.outcome('SET', keyIn(0), 'stale'), {
      what: 'the old primary refuses writes',
      withinMs: 1000,
      until: (reply) => reply !== 'OK',
    })
    assert.match(refused, /^(MOVED 0 |CLUSTERDOWN |UNBLOCKED |READONLY )/)
    await settled(cluster.nodes)
    assert.equal(await roleOf(sleeper), 'slave')
    assert.equal(await ask(heir.port, 'GET', keyIn(0)), 'new')
    await writer.call('READONLY')
    assert.equal(await writer.call('GET', keyIn(0)), 'new')
  })

  it('accepts writes for little more than the node timeout when nobody answers it', async () => {
    const alone = cluster.primaries[1]!
    const rest = cluster.nodes.filter((node) => node !== alone)
    for (const node of rest) node.pause()
    const cutAt = performance.now()
    let lastAccepted = cutAt
    let reply = 'OK'
    for (const writer = await connect(alone.port); reply === 'OK'; await sleep(10)) {
      reply = await writer.outcome('SET', keyIn(8000), 'x')
      if (reply === 'OK') lastAccepted = performance.now()
      assert.ok(performance.now() - cutAt < 4 * T, 'still accepting')
    }
    for (const node of rest) node.resume()
    assert.equal(reply, 'CLUSTERDOWN The cluster is down')
    // A ping may have been answered just before the cut, and the next one leaves half a timeout later.
    assert.ok(lastAccepted - cutAt <= 1.5 * T + 500, `accepted writes for ${Math.round(lastAccepted - cutAt)} ms`)
  })

  it('serves again when the others are back', async () => {
    await settled(cluster.nodes)
    const owner = (await roleOf(cluster.primaries[1]!)) === 'master' ? cluster.primaries[1]! : cluster.replicas[1]![0]!
    const write = (): Promise<string> => outcome(owner.port, 'SET', keyIn(8000), 'y')
    await eventually(write, { what: 'writes are accepted', withinMs: 5000, until: (reply) => reply === 'OK' })
  })
})
