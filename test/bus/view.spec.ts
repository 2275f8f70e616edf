import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NodeLineError } from '../../bus/node-line.ts'
import { writeNodesConf } from '../../bus/nodes-conf.ts'
import type { Cluster, ClusterOptions } from '../../bus/state.ts'
import { endpointOf, infoText, nodeLine, nodesText, parseNodesText, shardsView, slotsView } from '../../bus/view.ts'
import type { Epoch, Offset } from '../../lib/base/brand.ts'
import { ask } from '../support/client.ts'
import { prepareServer, type Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'
import { addReplica, addRow, id, makeCluster, ownSlots } from './hand-made.ts'

const [A, B, M] = [id('a'), id('b'), id('m')]

/** Ourselves with slots 0-5 and 7 and replica `b`, and primary `a` with slot 6. */
function sample(options: Partial<ClusterOptions> = {}): Cluster {
  const c = makeCluster(options)
  const a = addRow(c, 'a', { hostname: 'host-a', ip: '10.0.0.2' })
  addReplica(c, 'b', c.myself, { offset: 5 as Offset, ip: '10.0.0.3' })
  ownSlots(c, c.myself, 0, 5)
  ownSlots(c, c.myself, 7)
  ownSlots(c, a, 6)
  return c
}

describe('CLUSTER NODES', () => {
  it('has a line for each node, in the fixed order of flags', () => {
    const c = sample()
    const a = c.nodes.get(id('a'))!
    Object.assign(a, { health: 'fail', noFailover: true, noAddress: true, outbound: undefined })
    assert.equal(nodeLine(c, a), `${A} 10.0.0.2:7001@17001,host-a master,fail,noaddr,nofailover - 0 0 0 disconnected 6`)
    assert.equal(nodesText(c).split('\n').length, 4)
  })

  it('shows a replica with the config epoch of its primary', () => {
    const c = sample()
    c.myself.configEpoch = 9 as Epoch
    assert.match(nodesText(c), new RegExp(`^${B} \\S+ slave ${M} 0 0 9 connected$`, 'm'))
  })

  it('shows each client the port it can use', () => {
    const c = sample({ tlsCluster: true })
    c.myself.otherPort = 6000
    assert(nodesText(c, true).includes('10.0.0.1:7000@17000'))
    assert(nodesText(c, false).includes('10.0.0.1:6000@17000'))
  })

  it('is read back, of this and of older servers', () => {
    const text = `${A} 10.0.0.2:7001 master - 0 1700 4 connected 0-5 7\n${nodesText(sample())}`
    const [old, me, , b] = parseNodesText(text)
    assert.deepEqual(
      [old!.id, old!.port, old!.busPort, old!.slots],
      [
        A,
        7001,
        17001,
        [
          [0, 5],
          [7, 7],
        ],
      ],
    )
    assert.deepEqual([...me!.flags], ['myself', 'master'])
    assert.deepEqual([b!.primary, b!.connected, b!.configEpoch], [M, true, 0])
  })

  it('is not read when a line is damaged', () => {
    assert.throws(() => parseNodesText(`${A} 10.0.0.2:7001 master`), NodeLineError)
  })
})

describe('CLUSTER INFO', () => {
  it('counts slots by the health of their owners, and messages by type', () => {
    const c = sample()
    c.nodes.get(id('a'))!.health = 'pfail'
    c.currentEpoch = 6 as Epoch
    c.stats.sent.pong = 2
    c.stats.sent.ping = 1
    assert.equal(
      infoText(c),
      'cluster_state:fail\r\ncluster_slots_assigned:8\r\ncluster_slots_ok:7\r\ncluster_slots_pfail:1\r\n' +
        'cluster_slots_fail:0\r\ncluster_known_nodes:3\r\ncluster_size:2\r\ncluster_current_epoch:6\r\n' +
        'cluster_my_epoch:0\r\ncluster_stats_messages_ping_sent:1\r\ncluster_stats_messages_pong_sent:2\r\n' +
        'cluster_stats_messages_sent:3\r\ncluster_stats_messages_received:0\r\n' +
        'total_cluster_links_buffer_limit_exceeded:0\r\n',
    )
  })
})

describe('CLUSTER SLOTS', () => {
  it('has the longest ranges of one owner, ascending, with the primary first', () => {
    const c = sample()
    const ranges = slotsView(c).map(({ start, end, nodes }) => [start, end, nodes.map((node) => node.id)])
    assert.deepEqual(ranges, [
      [0, 5, [M, B]],
      [6, 6, [A]],
      [7, 7, [M, B]],
    ])
  })

  it('leaves out replicas that failed or have no data', () => {
    for (const fields of [{ health: 'fail' }, { offset: 0 }]) {
      const c = sample()
      Object.assign(c.nodes.get(id('b'))!, fields)
      assert.deepEqual(
        slotsView(c)[0]!.nodes.map((node) => node.id),
        [M],
      )
    }
  })

  it('is empty without slots', () => {
    assert.deepEqual(slotsView(makeCluster()), [])
  })

  const endpoints: Readonly<Record<ClusterOptions['preferredEndpointType'], readonly unknown[]>> = {
    ip: ['10.0.0.2', [['hostname', 'host-a']], '10.0.0.1', []],
    hostname: ['host-a', [['ip', '10.0.0.2']], '?', [['ip', '10.0.0.1']]],
    'unknown-endpoint': [
      undefined,
      [
        ['ip', '10.0.0.2'],
        ['hostname', 'host-a'],
      ],
      undefined,
      [['ip', '10.0.0.1']],
    ],
  }
  for (const [preferred, expected] of Object.entries(endpoints)) {
    it(`names nodes by their preferred endpoint: ${preferred}`, () => {
      const c = sample({ preferredEndpointType: preferred as ClusterOptions['preferredEndpointType'] })
      const [mine, theirs] = slotsView(c).map((range) => range.nodes[0]!)
      assert.deepEqual([theirs!.endpoint, theirs!.metadata, mine!.endpoint, mine!.metadata], expected)
    })
  }

  it('and so do redirections, where the unknown endpoint is empty text', () => {
    const text = (preferredEndpointType: ClusterOptions['preferredEndpointType']): string => {
      const c = sample({ preferredEndpointType })
      return endpointOf(c, c.nodes.get(id('a'))!)
    }
    assert.deepEqual([text('ip'), text('hostname'), text('unknown-endpoint')], ['10.0.0.2', 'host-a', ''])
  })
})

describe('CLUSTER SHARDS', () => {
  it('has each primary with its slots and its replicas', () => {
    const c = sample()
    const shards = shardsView(c).map(({ slots, nodes }) => [slots, nodes.map(({ id: node, role }) => [node, role])])
    assert.deepEqual(shards, [
      [
        [
          [0, 5],
          [7, 7],
        ],
        [
          [M, 'master'],
          [B, 'replica'],
        ],
      ],
      [[[6, 6]], [[A, 'master']]],
    ])
  })

  it('says fail, loading or online', () => {
    const c = sample()
    const b = c.nodes.get(id('b'))!
    const health = (): string => shardsView(c)[0]!.nodes[1]!.health
    assert.equal(health(), 'online')
    b.offset = 0 as Offset
    assert.equal(health(), 'loading')
    b.health = 'fail'
    assert.equal(health(), 'fail')
  })

  it('tells which port is the TLS one', () => {
    const c = sample({ tlsCluster: true })
    c.myself.otherPort = 6000
    const { port, tlsPort } = shardsView(c)[0]!.nodes[0]!
    assert.deepEqual([port, tlsPort], [6000, 7000])
  })
})

scenarios('the views of a nodes.conf', ['redis'], () => {
  let server: Server
  let c: Cluster
  before(async () => {
    server = await prepareServer({ kind: 'redis', conf: { 'cluster-enabled': 'yes' } })
    c = sample()
    c.nodes.get(id('b'))!.offset = 0 as Offset
    Object.assign(c.myself, { ip: '127.0.0.1', port: server.port, busPort: server.port + 10000 })
    writeFileSync(join(server.dir, 'nodes.conf'), writeNodesConf(c))
    await server.start()
  })

  for (const preferred of ['ip', 'hostname', 'unknown-endpoint'] as const) {
    it(`are those of redis-server, with preferred endpoint ${preferred}`, async () => {
      await ask(server.port, 'CONFIG', 'SET', 'cluster-preferred-endpoint-type', preferred)
      c.options.preferredEndpointType = preferred
      assert.deepEqual(
        await ask(server.port, 'CLUSTER', 'SLOTS'),
        slotsView(c).map(({ start, end, nodes }) => [
          start,
          end,
          ...nodes.map((node) => [node.endpoint ?? null, node.port, node.id, node.metadata.flat()]),
        ]),
      )
      assert.deepEqual(
        byFirstNode(await ask(server.port, 'CLUSTER', 'SHARDS')),
        byFirstNode(shardsView(c).map(shardReply)),
      )
    })
  }

  it('are those of redis-server: INFO', async () => {
    const theirs = String(await ask(server.port, 'CLUSTER', 'INFO'))
    // A server does not count its primaries in the first two seconds.
    const steady = (text: string): string[] => text.split('\r\n').filter((line) => !/^cluster_(stats|size)/.test(line))
    assert.deepEqual(steady(infoText(c)), steady(theirs))
  })
})

function shardReply({ slots, nodes }: ReturnType<typeof shardsView>[number]): unknown[] {
  const node = (n: (typeof nodes)[number]): unknown[] => [
    ...['id', n.id, 'port', n.port, 'ip', n.ip, 'endpoint', n.endpoint],
    ...(n.hostname ? ['hostname', n.hostname] : []),
    ...['role', n.role, 'replication-offset', n.offset, 'health', n.health],
  ]
  return ['slots', slots.flat(), 'nodes', nodes.map(node)]
}

/** Servers list shards in no order. */
const byFirstNode = (shards: unknown): unknown[] =>
  [...(shards as unknown[])].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
