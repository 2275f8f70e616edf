/** What a crash costs: a primary, a majority of the primaries, a whole shard; and how a restart heals it. */
import assert from 'node:assert/strict'
import { ask, connect, fields, outcome } from '../support/client.ts'
import { type Cluster, keyIn, myself, nodeLines, roleOf, settled, startCluster } from '../support/cluster.ts'
import { eventually, sleep } from '../support/eventually.ts'
import type { Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500
const DOWN = 'CLUSTERDOWN The cluster is down'

scenarios('failover', ['rookery', 'mixed'], (kinds) => {
  let cluster: Cluster
  let nodes: readonly Server[]

  before(async () => {
    cluster = await startCluster({ kinds, replicas: 1, nodeTimeoutMs: T })
    nodes = cluster.nodes
  })

  it('puts the replica in the place of a primary that died, with every replicated write', async () => {
    const [victim, heir] = [cluster.primaries[0]!, cluster.replicas[0]![0]!]
    const client = await connect(victim.port)
    await client.call('SET', keyIn(0), 'before')
    assert.equal(await client.call('WAIT', 1, 5000), 1)
    await victim.kill()
    const write = (): Promise<string> => outcome(heir.port, 'APPEND', keyIn(0), '+')
    await eventually(write, { what: 'the replica serves writes', withinMs: T + 5000, until: (reply) => reply === '7' })
    assert.equal(await ask(heir.port, 'GET', keyIn(0)), 'before+')
  })

  it('gives the new primary the slots under the highest config epoch, on every node', async () => {
    const [victim, heir] = [cluster.primaries[0]!, cluster.replicas[0]![0]!]
    for (const node of without(nodes, victim)) {
      const view = await eventually(() => nodeLines(node.port), {
        what: `${node.port} sees the new owner`,
        withinMs: 3000,
        until: (lines) => lines.some((line) => line.port === heir.port && line.slots.length > 0),
      })
      const line = view.find(({ port }) => port === heir.port)!
      assert.deepEqual(line.slots, [[0, 5460]])
      assert.equal(line.epoch, Math.max(...view.map(({ epoch }) => epoch)))
      assert.ok(view.find(({ port }) => port === victim.port)!.flags.includes('fail'))
    }
  })

  it('takes the old primary back as a replica of the new one', async () => {
    const [victim, heir] = [cluster.primaries[0]!, cluster.replicas[0]![0]!]
    await restart(nodes, victim)
    assert.equal((await myself(victim)).primary, (await myself(heir)).id)
    const reader = await connect(victim.port)
    await reader.call('READONLY')
    await eventually(() => reader.outcome('GET', keyIn(0)), {
      what: 'it has the data',
      withinMs: 5000,
      until: (v) => v === 'before+',
    })
  })

  it('stops when the majority of the primaries is gone, and promotes nobody', async () => {
    const dead = [cluster.primaries[1]!, cluster.primaries[2]!]
    const left = without(nodes, ...dead)
    const epochs = (): Promise<string[]> =>
      Promise.all(left.map(async (node) => (await fields(node.port, 'CLUSTER', 'INFO'))['cluster_current_epoch'] ?? ''))
    const roles = await Promise.all(left.map(roleOf))
    const before = await epochs()
    await Promise.all(dead.map((node) => node.kill()))
    await allSee('fail', left, 2 * T + 3000)
    for (const node of left) {
      assert.equal(await outcome(node.port, 'SET', keyIn(0), 'x'), DOWN)
      assert.equal(await outcome(node.port, 'GET', keyIn(0)), DOWN)
      assert.equal(await outcome(node.port, 'PING'), 'PONG')
    }
    await sleep(2 * T)
    assert.deepEqual(await Promise.all(left.map(roleOf)), roles)
    assert.deepEqual(await epochs(), before)
  })

  it('goes on when the majority is back', async () => {
    await restart(nodes, cluster.primaries[1]!, cluster.primaries[2]!)
    for (const slot of [0, 8000, 16000]) {
      const owner = await ownerOf(nodes, slot)
      assert.equal(await outcome(owner.port, 'SET', keyIn(slot), 'x'), 'OK')
    }
  })
})

scenarios('the loss of a whole shard', ['rookery', 'mixed'], (kinds) => {
  let cluster: Cluster
  let dead: readonly Server[]
  let left: readonly Server[]

  before(async () => {
    cluster = await startCluster({ kinds, replicas: 1, nodeTimeoutMs: T, conf: { appendonly: 'yes' } })
    dead = [cluster.primaries[1]!, cluster.replicas[1]![0]!]
    left = without(cluster.nodes, ...dead)
  })

  it('stops the whole cluster', async () => {
    await ask(dead[0]!.port, 'SET', keyIn(8000), 'kept')
    assert.equal(await ask(dead[0]!.port, 'WAIT', 1, 5000), 1)
    await Promise.all(dead.map((node) => node.kill()))
    await allSee('fail', left, 2 * T + 5000)
    assert.equal(await outcome(cluster.primaries[2]!.port, 'SET', keyIn(16000), 'x'), DOWN)
    const info = await fields(left[0]!.port, 'CLUSTER', 'INFO')
    assert.deepEqual([info['cluster_slots_fail'], info['cluster_slots_ok']], ['5462', '10922'])
  })

  it('leaves the rest working when full coverage is not required', async () => {
    for (const { port } of left) await ask(port, 'CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
    await allSee('ok', left, 3000)
    assert.equal(await outcome(cluster.primaries[2]!.port, 'SET', keyIn(16000), 'x'), 'OK')
    assert.equal(await outcome(cluster.primaries[2]!.port, 'GET', keyIn(8000)), `MOVED 8000 ${dead[0]!.address}`)
  })

  it('is healed, data and all, by their restart', async () => {
    await restart(cluster.nodes, ...dead)
    assert.equal(await ask((await ownerOf(cluster.nodes, 8000)).port, 'GET', keyIn(8000)), 'kept')
  })
})

const without = (nodes: readonly Server[], ...dead: readonly Server[]): Server[] =>
  nodes.filter((node) => !dead.includes(node))

async function restart(nodes: readonly Server[], ...dead: readonly Server[]): Promise<void> {
  await Promise.all(dead.map((node) => node.restart()))
  await settled(nodes)
}

async function allSee(state: 'ok' | 'fail', nodes: readonly Server[], withinMs: number): Promise<void> {
  const states = (): Promise<(string | undefined)[]> =>
    Promise.all(nodes.map(async ({ port }) => (await fields(port, 'CLUSTER', 'INFO'))['cluster_state']))
  await eventually(states, {
    what: `all see cluster_state:${state}`,
    withinMs,
    until: (seen) => seen.every((s) => s === state),
  })
}

async function ownerOf(nodes: readonly Server[], slot: number): Promise<Server> {
  const lines = await nodeLines(nodes[0]!.port)
  const line = lines.find(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last))
  const owner = nodes.find(({ port }) => port === line?.port)
  assert(owner, `nobody owns slot ${slot}`)
  return owner
}
