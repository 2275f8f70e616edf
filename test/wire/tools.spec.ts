/** redis-cli --cluster against a cluster that a client is writing to all the time: no verb costs a write or an error. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { slotOf } from '../../lib/base/slot.ts'
import { clusterTool, redisCli, startCli } from '../support/cli.ts'
import { ask, connect, outcome } from '../support/client.ts'
import {
  type Cluster,
  keyIn,
  lineOf,
  myId,
  myself,
  nodeLines,
  settled,
  slotCount,
  startCluster,
  startNodes,
} from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { assertUnharmed, type Load, startLoad } from '../support/load.ts'
import { type Server, startServer } from '../support/process.ts'
import { readSample, withoutDrift, writeSample } from '../support/sample.ts'
import { scenarios } from '../support/suite.ts'

const T = 2000
const IMPORT_SLOT = slotOf(Buffer.from('import'))
/** Enough keys in one slot for its move to be caught in the middle. */
const HEAVY_KEYS = 30_000

scenarios('redis-cli --cluster under a write load', ['rookery', 'mixed'], (kinds) => {
  let nodes: Server[]
  let spares: Server[]
  let load: Load
  /** The slot whose move is interrupted. */
  let heavySlot: number

  before(async () => {
    const [cluster, empty] = await Promise.all([
      startCluster({ kinds, nodeTimeoutMs: T }),
      startNodes({ kinds: kinds.toReversed(), nodeTimeoutMs: T }, 3),
    ])
    nodes = [...cluster.nodes]
    spares = empty
    await writeOn('first')
  })

  const writeOn = async (prefix: string): Promise<void> => {
    load = startLoad({ ports: nodes.map((node) => node.port), prefix })
    await load.progress(200)
  }

  const entry = (): string => nodes[0]!.address
  const slotsOf = async (node: Server): Promise<number> => slotCount(await myself(node))

  it('reshard moves exactly the slots asked for, from all to one', async () => {
    const before = await Promise.all(nodes.map(slotsOf))
    await clusterTool(
      'reshard',
      entry(),
      '--cluster-from',
      'all',
      '--cluster-to',
      await myId(nodes[0]!),
      '--cluster-slots',
      1000,
    )
    await settled(nodes)
    const after = await Promise.all(nodes.map(slotsOf))
    assert.equal(after[0]! - before[0]!, 1000)
    assert.equal(
      after.reduce((sum, n) => sum + n, 0),
      16384,
    )
  })

  it('add-node makes an empty server a primary without slots', async () => {
    const output = await clusterTool('add-node', spares[0]!.address, entry())
    assert.match(output, /\[OK\] New node added correctly\./)
    nodes.push(spares[0]!)
    await settled(nodes)
    const line = await lineOf(spares[0]!, nodes[1]!)
    assert.deepEqual([line?.flags, line?.slots], [['master'], []])
    assert.match(await outcome(spares[0]!.port, 'GET', keyIn(0)), /^MOVED 0 /)
  })

  it('add-node refuses a node that is not empty', async () => {
    const { code, output } = await redisCli(['--cluster', 'add-node', nodes[1]!.address, entry()])
    assert.notEqual(code, 0)
    assert.match(output, /\[ERR\] Node .* is not empty/)
  })

  it('rebalance --cluster-use-empty-masters gives the new primary its share', async () => {
    const weight = `${await myId(spares[0]!)}=0.2`
    await clusterTool('rebalance', entry(), '--cluster-use-empty-masters', '--cluster-weight', weight)
    await settled(nodes)
    const shares = await Promise.all(nodes.map(slotsOf))
    assert.ok(Math.abs(shares[3]! - 1024) <= 2, `the new primary has ${shares[3]}`)
    for (const share of shares.slice(0, 3)) assert.ok(Math.abs(share - 5120) <= 0.02 * 5120, `shares ${shares}`)
  })

  it('del-node refuses a primary with slots', async () => {
    const { code, output } = await redisCli(['--cluster', 'del-node', entry(), await myId(spares[0]!)])
    assert.notEqual(code, 0)
    assert.match(output, /\[ERR\] Node .* is not empty! Reshard data away and try again\./)
  })

  it('add-node --cluster-slave finds a primary for the replica, or takes the one named', async () => {
    const [, anywhere, named] = spares as [Server, Server, Server]
    await clusterTool('add-node', anywhere.address, entry(), '--cluster-slave')
    nodes.push(anywhere)
    await settled(nodes)
    assert.ok((await myself(anywhere)).primary)
    await clusterTool(
      'add-node',
      named.address,
      entry(),
      '--cluster-slave',
      '--cluster-master-id',
      await myId(nodes[1]!),
    )
    nodes.push(named)
    await settled(nodes)
    assert.equal((await myself(named)).primary, await myId(nodes[1]!))
  })

  it('del-node removes a replica and an emptied primary from every memory', async () => {
    const [primary, , replica] = spares as [Server, Server, Server]
    const share = await slotsOf(primary)
    await clusterTool(
      'reshard',
      entry(),
      '--cluster-from',
      await myId(primary),
      '--cluster-to',
      await myId(nodes[1]!),
      '--cluster-slots',
      share,
    )
    await settled(nodes)
    for (const gone of [replica, primary]) {
      const id = await myId(gone)
      // The last reshard may have turned the empty primary into a replica of the taker, by its own rule; it is removable either way.
      await clusterTool('del-node', entry(), id)
      nodes = nodes.filter((node) => node !== gone)
      for (const node of nodes)
        assert.equal(
          (await nodeLines(node.port)).some((line) => line.id === id),
          false,
        )
    }
    await settled(nodes)
  })

  it('check finds what a killed reshard left open', async () => {
    const [source, target] = [nodes[0]!, nodes[1]!]
    const slot = (await myself(source)).slots[0]![0]
    heavySlot = slot
    await fill(source, slot, HEAVY_KEYS)
    const ids = ['--cluster-from', await myId(source), '--cluster-to', await myId(target)]
    const reshard = startCli(['--cluster', 'reshard', entry(), ...ids, '--cluster-slots', 1, '--cluster-yes'])
    await eventually(() => ask(target.port, 'CLUSTER', 'COUNTKEYSINSLOT', slot), {
      what: 'keys have moved',
      withinMs: 10_000,
    })
    reshard.process.kill('SIGKILL')
    await reshard.result
    assert.notEqual(
      await ask(source.port, 'CLUSTER', 'COUNTKEYSINSLOT', slot),
      0,
      'the move was over before it could be interrupted',
    )
    const check = await redisCli(['--cluster', 'check', entry()])
    assert.match(check.output, new RegExp(`The following slots are open: .*\\b${slot}\\b`))
    assert.notEqual(check.code, 0)
  })

  it('until here nothing has cost a write or an error', async () => {
    assertUnharmed(await load.stop())
  })

  it('fix closes the open slot and loses no write', async () => {
    const [source, target] = [nodes[0]!, nodes[1]!]
    const held = (): Promise<unknown[]> =>
      Promise.all([source, target].map((node) => ask(node.port, 'CLUSTER', 'COUNTKEYSINSLOT', heavySlot)))
    await writeOn('second')
    await clusterTool('fix', entry())
    await settled(nodes)
    await clusterTool('check', entry())
    assert.deepEqual((await held()).toSorted(), [0, HEAVY_KEYS])
    await load.progress(200)
    const { lost, noack, errors, longestGapMs } = await load.stop()
    assert.deepEqual({ lost, noack }, { lost: 0, noack: 0 })
    // To make one node the owner redis-cli deletes the slot at the others first: with full coverage required, they stop for a
    // moment. Seen with real servers too; it is the only error allowed, and only here.
    assert.deepEqual(
      Object.keys(errors).filter((text) => text !== 'CLUSTERDOWN The cluster is down'),
      [],
    )
    assert.ok(longestGapMs < 1000, `a write waited ${longestGapMs} ms`)
    await writeOn('third')
  })

  it('import takes every key of a plain server, or copies it', async () => {
    const plain = await startServer({ kind: 'redis' })
    const client = await connect(plain.port)
    await writeSample(client, '{import}:')
    const written = withoutDrift(await readSample(client, '{import}:'))
    const count = await client.call('DBSIZE')
    const imported = async (): Promise<unknown> => {
      const owner = (await nodeLines(nodes[0]!.port)).find((line) =>
        line.slots.some(([a, b]) => a <= IMPORT_SLOT && IMPORT_SLOT <= b),
      )!
      return withoutDrift(await readSample(await connect(owner.port), '{import}:'))
    }
    await clusterTool('import', entry(), '--cluster-from', plain.address, '--cluster-copy')
    assert.deepEqual(await imported(), written)
    assert.equal(await client.call('DBSIZE'), count)
    await clusterTool('import', entry(), '--cluster-from', plain.address, '--cluster-replace')
    assert.deepEqual(await imported(), written)
    assert.equal(await client.call('DBSIZE'), 0)
  })

  it('call runs a command everywhere', async () => {
    const output = await clusterTool('call', entry(), 'config', 'get', 'cluster-node-timeout')
    for (const node of nodes) assert.match(output, new RegExp(`${node.address}: cluster-node-timeout\\s+${T}`))
  })

  it('info counts keys, slots and replicas of each primary', async () => {
    const output = await clusterTool('info', entry())
    const primaries = nodes.slice(0, 3)
    for (const node of primaries) {
      const line = new RegExp(
        `^${node.address} \\(.{8}\\.\\.\\.\\) -> \\d+ keys \\| ${await slotsOf(node)} slots \\| [01] slaves\\.$`,
        'm',
      )
      assert.match(output, line)
    }
    assert.match(output, /\[OK\] \d+ keys in 3 masters\./)
  })

  it('set-timeout changes the node timeout everywhere and in the configuration files', async () => {
    assert.match(await clusterTool('set-timeout', entry(), T + 500), new RegExp(`${nodes.length} OK, 0 ERR\\.`))
    for (const node of nodes) {
      assert.deepEqual(await ask(node.port, 'CONFIG', 'GET', 'cluster-node-timeout'), [
        'cluster-node-timeout',
        String(T + 500),
      ])
      assert.match(
        readFileSync(join(node.dir, 'redis.conf'), 'utf8'),
        new RegExp(`^cluster-node-timeout ${T + 500}$`, 'm'),
      )
    }
  })

  it('backup stores an RDB file of each primary and the topology', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'rookery-wire-backup-'))
    try {
      await clusterTool('backup', entry(), dir)
      const files = readdirSync(dir)
      assert.equal(files.filter((file) => file.endsWith('.rdb')).length, 3)
      for (const file of files.filter((name) => name.endsWith('.rdb')))
        assert.match(readFileSync(join(dir, file), 'latin1'), /^REDIS\d{4}/)
      assert.equal(JSON.parse(readFileSync(join(dir, 'nodes.json'), 'utf8')).length, nodes.length)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  it('nor have the verbs after it', async () => {
    assertUnharmed(await load.stop())
  })
})

scenarios('redis-cli --cluster fix', ['rookery', 'mixed'], (kinds) => {
  let cluster: Cluster
  /** Owner of slot 0, and another primary. */
  let owner: Server
  let other: Server

  before(async () => {
    cluster = await startCluster({ kinds, nodeTimeoutMs: T })
    owner = cluster.primaries[0]!
    other = cluster.primaries[1]!
  })

  const open = async (node: Server, how: 'MIGRATING' | 'IMPORTING', peer: Server): Promise<void> =>
    void (await ask(node.port, 'CLUSTER', 'SETSLOT', 0, how, await myId(peer)))

  /** Writes keys of slot 0 where they are: at the owner, or by ASKING at an importing node. */
  const write = async (node: Server, from: number, to: number): Promise<void> => {
    const client = await connect(node.port)
    for (let i = from; i < to; i++) {
      if (node !== owner) await client.call('ASKING')
      await client.call('SET', keyIn(0, i), i)
    }
  }

  /** Runs fix; afterwards check is content and keys 0..count-1 of slot 0 are all at one owner, which the nodes agree upon. */
  const repairs = async (count: number): Promise<void> => {
    await clusterTool('fix', owner.address)
    await settled(cluster.nodes)
    assert.match(await clusterTool('check', other.address), /\[OK\] All 16384 slots covered\./)
    const held = await Promise.all([owner, other].map((node) => ask(node.port, 'CLUSTER', 'COUNTKEYSINSLOT', 0)))
    assert.deepEqual(held.toSorted(), [0, count])
    const home = held[0] === count ? owner : other
    for (let i = 0; i < count; i++) assert.equal(await ask(home.port, 'GET', keyIn(0, i)), String(i))
    if (home === owner) return
    await clusterTool(
      'reshard',
      owner.address,
      '--cluster-from',
      await myId(other),
      '--cluster-to',
      await myId(owner),
      '--cluster-slots',
      1,
    )
    await settled(cluster.nodes)
  }

  it('closes a slot that is only migrating', async () => {
    await write(owner, 0, 10)
    await open(owner, 'MIGRATING', other)
    await repairs(10)
  })

  it('closes a slot that is only importing', async () => {
    await open(other, 'IMPORTING', owner)
    await repairs(10)
  })

  it('brings keys on a wrong node home', async () => {
    await open(other, 'IMPORTING', owner)
    await write(other, 10, 20)
    await repairs(20)
  })

  it('finishes a move that stopped in the middle', async () => {
    await open(other, 'IMPORTING', owner)
    await open(owner, 'MIGRATING', other)
    await write(other, 20, 30)
    await repairs(30)
  })

  it('covers a slot nobody owns, at the node that has its keys', async () => {
    for (const { port } of cluster.nodes) await ask(port, 'CLUSTER', 'DELSLOTS', 0)
    await repairs(30)
  })
})

/** Puts `count` keys into one slot. */
async function fill(node: Server, slot: number, count: number): Promise<void> {
  const client = await connect(node.port)
  for (let i = 0; i < count; i += 1000) {
    const pairs = Array.from({ length: 1000 }, (_, j) => [keyIn(slot, i + j), 'v'.repeat(64)]).flat()
    await client.call('MSET', ...pairs)
  }
}
