/** What the network can do to a cluster: a dropped port, a dead connection, a partition. The rows R8, R21, R23, R24 and R47 of the
 *  feature list, on real sockets. */
import assert from 'node:assert/strict'
import { ask, connect, outcome } from '../support/client.ts'
import { type Cluster, keyIn, myId, myself, nodeLines, roleOf, settled } from '../support/cluster.ts'
import { eventually, sleep } from '../support/eventually.ts'
import { type Network, startNetwork } from '../support/network.ts'
import type { Server } from '../support/process.ts'
import { closeRelays } from '../support/relay.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500
const DOWN = 'CLUSTERDOWN The cluster is down'
/** A tick of the server and a busy machine. */
const LATE_MS = 300

scenarios('a network that drops packets', ['rookery', 'mixed'], (kinds) => {
  let network: Network
  let cluster: Cluster

  before(async () => {
    network = await startNetwork({ kinds, replicas: 1, nodeTimeoutMs: T })
    cluster = network.cluster
  })
  after(closeRelays)

  const flagsOf = async (node: Server, observer: Server): Promise<readonly string[]> => {
    const id = await myId(node)
    return (await nodeLines(observer.port)).find((line) => line.id === id)?.flags ?? []
  }
  const state = async (node: Server): Promise<string> =>
    /cluster_state:(\w+)/.exec(await outcome(node.port, 'CLUSTER', 'INFO'))?.[1] ?? ''

  it('R47: a link that is dead in both directions is freed and dialled anew, and nobody is suspected for it', async () => {
    const [a, b] = [cluster.primaries[0]!, cluster.primaries[1]!]
    const [placeA, placeB] = [network.place(a), network.place(b)]
    const seen = new Set<string>()
    const before = [placeA.bus.accepted, placeB.bus.accepted]
    const renewed = (): boolean => placeA.bus.accepted > before[0]! && placeB.bus.accepted > before[1]!
    placeB.bus.stall(placeA.source)
    placeA.bus.stall(placeB.source)
    // It takes a ping to notice, and while others vouch for a node it is pinged only by chance.
    for (const since = performance.now(); !renewed(); await sleep(20)) {
      for (const [node, observer] of [[a, b] as const, [b, a] as const])
        for (const flag of await flagsOf(node, observer)) seen.add(flag)
      assert.ok(performance.now() - since < 10 * T, 'no link was dialled anew')
    }
    assert.deepEqual([...seen], ['master'])
    await settled(cluster.nodes)
  })

  it('R8: a data port that drops packets makes MIGRATE answer IOERR, and the cluster state stays ok', async () => {
    const [source, target] = [cluster.primaries[0]!, cluster.primaries[1]!]
    const { data } = network.place(target)
    const key = keyIn(0)
    await ask(source.port, 'SET', key, 'v')
    await ask(target.port, 'CLUSTER', 'SETSLOT', 0, 'IMPORTING', await myId(source))
    await ask(source.port, 'CLUSTER', 'SETSLOT', 0, 'MIGRATING', await myId(target))
    data.cut()
    const reply = await outcome(source.port, 'MIGRATE', '127.0.0.1', data.port, key, 0, 300)
    assert.equal(reply, 'IOERR error or timeout reading to target instance')
    await sleep(T)
    for (const node of cluster.nodes) assert.equal(await state(node), 'ok')
    data.heal()
    assert.equal(await outcome(source.port, 'GET', key), 'v')
    // What the network held back arrives now, the first attempt's key with it: hence REPLACE.
    assert.equal(await outcome(source.port, 'MIGRATE', '127.0.0.1', data.port, key, 0, 2000, 'REPLACE'), 'OK')
    assert.match(await outcome(source.port, 'GET', key), /^ASK 0 /)
    for (const node of [target, source]) await ask(node.port, 'CLUSTER', 'SETSLOT', 0, 'NODE', await myId(target))
    await settled(cluster.nodes)
  })

  it('R8: a node whose bus packets are dropped is fail? to whom misses it, then fail to all', async () => {
    const [node, observer, other] = [cluster.replicas[2]![0]!, cluster.primaries[0]!, cluster.primaries[1]!]
    const suspicion = (flag: string, ...observers: readonly Server[]): Promise<unknown> =>
      eventually(async () => (await Promise.all(observers.map((o) => flagsOf(node, o)))).map((flags) => flags.at(-1)), {
        what: `the node is ${flag}`,
        withinMs: 3 * T + 3000,
        until: (flags) => flags.every((f) => f === flag),
      })
    const [here, there] = [network.place(node), network.place(observer)]
    here.bus.cut(there.source)
    there.bus.cut(here.source)
    await suspicion('fail?', observer)
    await sleep(T)
    assert.deepEqual(await flagsOf(node, observer), ['slave', 'fail?'])
    assert.deepEqual(await flagsOf(node, other), ['slave'])
    network.isolate(node)
    await suspicion('fail', ...cluster.primaries)
    assert.equal(await state(observer), 'ok')
    network.heal()
    await settled(cluster.nodes)
  })

  it('R23, R24: a primary in a minority takes writes for about the node timeout, and only those are lost', async () => {
    const [cutOff, heir] = [cluster.primaries[1]!, cluster.replicas[1]![0]!]
    const key = keyIn(8000)
    const writer = await connect(cutOff.port)
    let value = await writer.call('INCR', key)
    assert.equal(await writer.call('WAIT', 1, 5000), 1)
    network.isolate(cutOff)
    const cutAt = performance.now()
    const promotion = eventually(() => roleOf(heir), {
      what: 'the majority elects the replica',
      withinMs: 2 * T + 6000,
      until: (role) => role === 'master',
    }).then(() => performance.now() - cutAt)
    const kept = value
    let lastAccepted = 0
    let reply = ''
    for (; reply !== DOWN; await sleep(10)) {
      reply = await writer.outcome('INCR', key)
      if (reply !== DOWN) [value, lastAccepted] = [Number(reply), performance.now() - cutAt]
      assert.ok(performance.now() - cutAt < 4 * T, `still answering ${reply}`)
    }
    const promotedAt = await promotion
    // A real server counts from its next ping, which leaves up to half a timeout later.
    const limit = (cutOff.kind === 'redis' ? 1.5 * T : T) + LATE_MS
    assert.ok(lastAccepted <= limit, `writes were accepted for ${Math.round(lastAccepted)} ms`)
    assert.ok(promotedAt > T, `a second primary after ${Math.round(promotedAt)} ms`)
    assert.ok(Number(value) > Number(kept), 'no write was accepted after the cut')
    assert.equal(await outcome(heir.port, 'GET', key), String(kept))
    network.heal()
    await settled(cluster.nodes)
    assert.equal((await myself(cutOff)).primary, await myId(heir))
    await writer.call('READONLY')
    assert.equal(await writer.outcome('GET', key), String(kept))
  })

  it('R21: a write that was acknowledged and not yet replicated is gone after a failover', async () => {
    const [primary, heir] = [cluster.primaries[2]!, cluster.replicas[2]![0]!]
    const key = keyIn(16000)
    const writer = await connect(primary.port)
    await writer.call('SET', key, 'replicated')
    assert.equal(await writer.call('WAIT', 1, 5000), 1)
    network.place(primary).data.cut()
    assert.equal(await writer.call('SET', key, 'acknowledged'), 'OK')
    assert.equal(await writer.call('WAIT', 1, 100), 0)
    await primary.kill()
    network.place(primary).data.sever()
    await eventually(() => outcome(heir.port, 'GET', key), {
      what: 'the replica serves, without the write',
      withinMs: 2 * T + 6000,
      until: (value) => value === 'replicated',
    })
    network.heal()
    await primary.restart()
    await settled(cluster.nodes)
    assert.equal(await roleOf(primary), 'slave')
    assert.equal(await outcome(heir.port, 'GET', key), 'replicated')
  })
})
