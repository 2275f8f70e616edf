/** What a crash costs: a primary, a majority of the primaries, a whole shard; and how a restart heals it. */
import assert from 'node:assert/strict'
import { ask, connect, fields, outcome } from '../support/client.ts'
import { type Cluster, keyIn, lineOf, myself, nodeLines, roleOf, settled, startCluster } from '../support/cluster.ts'
import { eventually, sleep } from '../support/eventually.ts'
import type { Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500
const DOWN = 'CLUSTERDOWN The cluster is down'

scenarios('failover', ['rookery', 'mixed'], (kinds) => {
  let cluster: Cluster
  let nodes: readonly Server[]

  before(async () => {
    cluster = await startCluster({ kinds, replicas: 1, nodeTimeoutMs: T, conf: { appendonly: 'yes' } })
    nodes = cluster.nodes
  })

  const others = (...dead: readonly Server[]): Server[] => nodes.filter((node) => !dead.includes(node))
  const restart = async (...dead: readonly Server[]): Promise<void> => {
    await Promise.all(dead.map((node) => node.restart()))
    await settled(nodes)
  }
  const stateOf = async (node: Server): Promise<string> =>
    (await fields(node.port, 'CLUSTER', 'INFO'))['cluster_state'] ?? ''
  const allSee = (state: 'ok' | 'fail', seen: readonly Server[], withinMs: number): Promise<string[]> =>
    eventually(() => Promise.all(seen.map(stateOf)), {
      what: `all see cluster_state:${state}`,
      withinMs,
      until: (states) => states.every((s) => s === state),
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
    for (const node of others(victim)) {
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
    await restart(victim)
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
    const left = others(...dead)
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
    await restart(cluster.primaries[1]!, cluster.primaries[2]!)
    const owner = (await roleOf(cluster.primaries[1]!)) === 'master' ? cluster.primaries[1]! : cluster.replicas[1]![0]!
    assert.equal(await ask(owner.port, 'SET', keyIn(8000), 'kept'), 'OK')
    assert.equal(await ask(owner.port, 'WAIT', 1, 5000), 1)
  })

  it('stops as a whole when a primary and its replica are both gone', async () => {
    const dead = [cluster.primaries[1]!, cluster.replicas[1]![0]!]
    await Promise.all(dead.map((node) => node.kill()))
    const left = others(...dead)
    await allSee('fail', left, 2 * T + 5000)
    assert.equal(await outcome(cluster.primaries[2]!.port, 'SET', keyIn(16000), 'x'), DOWN)
    const info = await fields(left[0]!.port, 'CLUSTER', 'INFO')
    assert.deepEqual([info['cluster_slots_fail'], info['cluster_slots_ok']], ['5462', '10922'])
  })

  it('serves what is covered when full coverage is not required', async () => {
    const dead = [cluster.primaries[1]!, cluster.replicas[1]![0]!]
    const left = others(...dead)
    for (const { port } of left) await ask(port, 'CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
    await allSee('ok', left, 3000)
    const survivor =
      (await roleOf(cluster.primaries[2]!)) === 'master' ? cluster.primaries[2]! : cluster.replicas[2]![0]!
    assert.equal(await outcome(survivor.port, 'SET', keyIn(16000), 'x'), 'OK')
    assert.match(await outcome(survivor.port, 'GET', keyIn(8000)), /^MOVED 8000 127\.0\.0\.1:\d+$/)
  })

  it('is whole again, with its data, when they return', async () => {
    await restart(cluster.primaries[1]!, cluster.replicas[1]![0]!)
    const owner = (await nodeLines(nodes[0]!.port)).find((line) =>
      line.slots.some(([first, last]) => first <= 8000 && 8000 <= last),
    )!
    assert.equal(await ask(owner.port, 'GET', keyIn(8000)), 'kept')
    assert.equal((await lineOf(nodes[0]!, nodes[1]!))?.flags.includes('fail'), false)
  })
})
