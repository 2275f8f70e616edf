/** The tutorial's first hour: six servers from its minimal configuration, `redis-cli --cluster create`, and redis-cli -c. */
import assert from 'node:assert/strict'
import { clusterTool, redisCli } from '../support/cli.ts'
import { ask } from '../support/client.ts'
import { myId, myself, nodeLines, settled } from '../support/cluster.ts'
import { freePort } from '../support/ports.ts'
import { type Kind, prepareServer, type Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const minimalConf = (port: number): string => `port ${port}
cluster-enabled yes
cluster-config-file nodes.conf
cluster-node-timeout 5000
`

async function startTutorialNode(kind: Kind): Promise<Server> {
  const port = await freePort()
  const node = await prepareServer({ kind, port, confFile: minimalConf(port) })
  await node.start()
  return node
}

scenarios('creating a cluster as the tutorial does', ['rookery', 'mixed'], (kinds) => {
  let nodes: Server[]

  before(async () => {
    nodes = await Promise.all(Array.from({ length: 6 }, (_, i) => startTutorialNode(kinds[i % kinds.length]!)))
  })

  it('starts each node with a random name of its own, which the log tells', async () => {
    for (const node of nodes) {
      const [, id] = /No cluster configuration found, I'm ([0-9a-f]{40})\b/.exec(node.log) ?? []
      assert.equal(await myId(node), id)
    }
    assert.equal(new Set(await Promise.all(nodes.map(myId))).size, 6)
  })

  it('refuses fewer than three primaries', async () => {
    const { code, output } = await redisCli([
      '--cluster',
      'create',
      nodes[0]!.address,
      nodes[1]!.address,
      '--cluster-yes',
    ])
    assert.match(output, /Redis Cluster requires at least 3 master nodes/)
    assert.notEqual(code, 0)
  })

  it('is done when every slot is covered, by three primaries with a replica each', async () => {
    const addresses = nodes.map((node) => node.address)
    const output = await clusterTool('create', ...addresses, '--cluster-replicas', 1)
    assert.equal(output.trimEnd().split('\n').at(-1), '[OK] All 16384 slots covered.')
    await settled(nodes)
    const lines = await nodeLines(nodes[0]!.port)
    const primaries = lines.filter((line) => line.flags.includes('master'))
    assert.deepEqual(
      primaries.flatMap((line) => line.slots).sort((a, b) => a[0] - b[0]),
      [
        [0, 5460],
        [5461, 10922],
        [10923, 16383],
      ],
    )
    assert.deepEqual(lines.flatMap((line) => line.primary ?? []).sort(), primaries.map((line) => line.id).sort())
  })

  it('refuses to create a second cluster from the same nodes', async () => {
    const { code, output } = await redisCli([
      '--cluster',
      'create',
      ...nodes.map((node) => node.address),
      '--cluster-yes',
    ])
    assert.match(output, /\[ERR\] Node .* is not empty\. Either the node already knows other nodes/)
    assert.notEqual(code, 0)
  })

  it('passes the check from any node', async () => {
    for (const node of nodes) {
      const output = await clusterTool('check', node.address)
      assert.match(output, /\[OK\] All nodes agree about slots configuration\./)
      assert.match(output, /\[OK\] All 16384 slots covered\./)
    }
  })

  it('lets redis-cli -c follow its keys from node to node', async () => {
    const input = 'set foo bar\nset hello world\nget foo\nget hello\n'
    const { output } = await redisCli(['-c', '-p', nodes[0]!.port], { input })
    const at = (slot: number): string => `-> Redirected to slot [${slot}] located at 127.0.0.1:PORT`
    const seen = output
      .replaceAll(/:\d{4,5}$/gm, ':PORT')
      .split('\n')
      .filter(Boolean)
    // The session starts at the first primary, which owns hello's slot but not foo's.
    assert.deepEqual(seen, [at(12182), 'OK', at(866), 'OK', at(12182), 'bar', at(866), 'world'])
  })

  it('answers a client that does not follow with the place to go to', async () => {
    const owner = nodes[2]!
    const { output } = await redisCli(['-p', nodes[0]!.port, 'get', 'foo'])
    assert.equal(output.trim(), `MOVED 12182 127.0.0.1:${owner.port}`)
  })

  it('keeps name, peers, slots and keys through a restart', async () => {
    const node = nodes[2]!
    const before = await myself(node)
    const peers = (await nodeLines(node.port)).map((line) => line.id).sort()
    await node.restart()
    const after = await myself(node)
    assert.deepEqual(
      { id: after.id, slots: after.slots, epoch: after.epoch },
      { id: before.id, slots: before.slots, epoch: before.epoch },
    )
    assert.deepEqual((await nodeLines(node.port)).map((line) => line.id).sort(), peers)
    await settled(nodes)
    assert.equal(await ask(node.port, 'GET', 'foo'), 'bar')
  })
})
