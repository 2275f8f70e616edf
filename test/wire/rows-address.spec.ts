/** Where a node says it is, and who it says it is: the rows R4, R5, R10 and R35 of the feature list. */
import assert from 'node:assert/strict'
import { ask, outcome } from '../support/client.ts'
import { type Cluster, keyIn, myId, nodeLines, settled, startCluster, startNodes } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/ports.ts'
import type { Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500

/** The address column of a node's line, as another one prints it. */
async function addressOf(id: string, observer: Server): Promise<string | undefined> {
  const lines = String(await ask(observer.port, 'CLUSTER', 'NODES')).split('\n')
  return lines.find((line) => line.startsWith(id))?.split(' ')[1]
}

const shows = (id: string, observers: readonly Server[], address: string): Promise<unknown> =>
  eventually(() => Promise.all(observers.map((observer) => addressOf(id, observer))), {
    what: `all see ${id} at ${address}`,
    withinMs: 10_000,
    until: (seen) => seen.every((one) => one === address),
  })

scenarios('the address of a node', ['rookery', 'mixed'], (kinds) => {
  let cluster: Cluster
  let nodes: readonly Server[]
  let busPort: number

  before(async () => {
    busPort = await freePort()
    const confOf = async (i: number) => (i === 2 ? { 'cluster-port': busPort } : {})
    cluster = await startCluster({ kinds, nodeTimeoutMs: T, confOf })
    nodes = cluster.nodes
  })

  it('R4, R5: two ports, the bus at the client port + 10000', async () => {
    const id = await myId(nodes[1]!)
    for (const observer of nodes)
      assert.equal(await addressOf(id, observer), `127.0.0.1:${nodes[1]!.port}@${nodes[1]!.port + 10_000}`)
  })

  it('R5: or at cluster-port, which the others learn by gossip', async () => {
    const node = nodes[2]!
    // Only the first node was told of it by MEET.
    await shows(await myId(node), nodes, `127.0.0.1:${node.port}@${busPort}`)
    await assert.rejects(outcome(node.port + 10_000, 'PING'), /ECONNREFUSED/)
  })

  it('R35: a node that comes back on another port is the same one, and is found there', async () => {
    const node = nodes[1]!
    const id = await myId(node)
    const port = await freePort()
    await node.kill('SIGTERM')
    node.launch('--port', String(port))
    await eventually(() => outcome(port, 'PING'), { what: 'it answers on its new port', withinMs: 10_000 })
    assert.equal(await outcome(port, 'CLUSTER', 'MYID'), id)
    const others = [nodes[0]!, nodes[2]!]
    await shows(id, others, `127.0.0.1:${port}@${port + 10_000}`)
    const moved = (): Promise<string[]> => Promise.all(others.map((o) => outcome(o.port, 'GET', keyIn(8000))))
    await eventually(moved, {
      what: 'clients are sent there',
      withinMs: 10_000,
      until: (replies) => replies.every((reply) => reply === `MOVED 8000 127.0.0.1:${port}`),
    })
    await node.restart()
    await settled(nodes)
    await shows(id, nodes, `127.0.0.1:${node.port}@${node.port + 10_000}`)
  })

  it('R10: what a node announces is what peers and clients are shown', async () => {
    const [node, ...rest] = nodes as [Server, ...Server[]]
    const id = await myId(node)
    const announced = [
      ['cluster-announce-ip', '10.9.9.9'],
      ['cluster-announce-port', '1'],
      ['cluster-announce-bus-port', '2'],
    ] as const
    await ask(node.port, 'CONFIG', 'SET', ...announced.flat())
    await shows(id, nodes, '10.9.9.9:1@2')
    for (const observer of rest) {
      assert.equal(await outcome(observer.port, 'GET', keyIn(0)), 'MOVED 0 10.9.9.9:1')
      const slots = (await ask(observer.port, 'CLUSTER', 'SLOTS')) as readonly (readonly [number, number, string[]])[]
      assert.deepEqual(slots.find(([first]) => first === 0)?.[2].slice(0, 3), ['10.9.9.9', 1, id])
    }
    await ask(node.port, 'CONFIG', 'SET', ...announced.flatMap(([name]) => [name, name.endsWith('ip') ? '' : '0']))
    await shows(id, rest, `127.0.0.1:${node.port}@${node.port + 10_000}`)
    await settled(nodes)
  })
})

scenarios('CLUSTER RESET', ['rookery'], (kinds) => {
  it('R35: soft keeps the id, hard gives a new one; either forgets everybody', async () => {
    const [node, other] = (await startNodes({ kinds, nodeTimeoutMs: T }, 2)) as [Server, Server]
    const knowsOther = (): Promise<boolean> => nodeLines(node.port).then((lines) => lines.length === 2)
    for (const [how, keeps] of [
      ['SOFT', true],
      ['HARD', false],
    ] as const) {
      await ask(node.port, 'CLUSTER', 'MEET', '127.0.0.1', other.port)
      await eventually(knowsOther, { what: 'they know each other', withinMs: 5000 })
      await ask(node.port, 'CLUSTER', 'ADDSLOTS', 1)
      const id = await myId(node)
      assert.equal(await outcome(node.port, 'CLUSTER', 'RESET', how), 'OK')
      const [line] = await nodeLines(node.port)
      assert.deepEqual([line?.id === id, line?.slots], [keeps, []])
      assert.match(line!.id, /^[0-9a-f]{40}$/)
      assert.equal(await myId(node), line!.id)
      await node.restart()
      assert.equal(await myId(node), line!.id)
    }
  })
})
