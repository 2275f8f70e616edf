/** CLUSTER's subcommands that tell what this node knows of the others. */
import type { Cluster, ClusterNode } from '../../bus/state.ts'
import {
  type EndpointView,
  infoText,
  nodeLine,
  nodesText,
  type ShardNodeView,
  shardsView,
  slotsView,
} from '../../bus/view.ts'
import { explain, explainHistory } from '../../bus/why.ts'
import { isNodeId, type NodeId } from '../base/brand.ts'
import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import type { ClusterDoor } from '../server/cluster-door.ts'
import { nodeArg, RANDOM_OUTPUT, sub, VIEW, wrongWords } from './cluster-row.ts'
import type { Command } from './define.ts'

export const clusterViewRows: readonly Command[] = [
  sub({
    name: 'count-failure-reports',
    arity: 3,
    flags: ['admin', 'stale'],
    tips: RANDOM_OUTPUT,
    summary: 'Return the number of failure reports active for a given node',
    complexity: 'O(N) where N is the number of failure reports',
    arguments: nodeArg,
    run(door, call, argv) {
      const node = knownNode(door.view, argv, 2)
      const oldest = door.view.now - 2 * door.view.options.nodeTimeoutMs
      call.reply.integer([...(node.failureReports?.values() ?? [])].filter((at) => at >= oldest).length)
    },
  }),
  sub({
    name: 'info',
    arity: 2,
    flags: VIEW,
    tips: RANDOM_OUTPUT,
    summary: 'Provides info about Redis Cluster node state',
    complexity: 'O(1)',
    run: (door, call) => call.reply.verbatim(infoText(door.view)),
  }),
  sub({
    name: 'links',
    arity: 2,
    flags: VIEW,
    since: '7.0.0',
    tips: RANDOM_OUTPUT,
    summary: 'Returns a list of all TCP links to and from peer nodes in cluster',
    complexity: 'O(N) where N is the total number of Cluster nodes',
    run: writeLinks,
  }),
  sub({
    name: 'myid',
    arity: 2,
    flags: VIEW,
    summary: 'Return the node id',
    complexity: 'O(1)',
    run: (door, call) => call.reply.text(door.view.myself.id),
  }),
  sub({
    name: 'myshardid',
    arity: 2,
    flags: VIEW,
    since: '7.2.0',
    tips: RANDOM_OUTPUT,
    summary: 'Return the shard ID of a node.',
    complexity: 'O(1)',
    run: (door, call) => call.reply.text(door.view.myself.shard),
  }),
  sub({
    name: 'nodes',
    arity: 2,
    flags: VIEW,
    tips: RANDOM_OUTPUT,
    summary: 'Get Cluster config for the node',
    complexity: 'O(N) where N is the total number of Cluster nodes',
    run: (door, call) => call.reply.verbatim(nodesText(door.view as Cluster, call.client.tls)),
  }),
  sub({
    name: 'replicas',
    arity: 3,
    flags: ['admin', 'stale'],
    since: '5.0.0',
    tips: RANDOM_OUTPUT,
    summary: 'List replica nodes of the specified master node',
    complexity: 'O(1)',
    arguments: nodeArg,
    run: writeReplicas,
  }),
  sub({
    name: 'shards',
    arity: 2,
    flags: VIEW,
    since: '7.0.0',
    tips: RANDOM_OUTPUT,
    summary: 'Get array of cluster slots to node mappings',
    complexity: 'O(N) where N is the total number of cluster nodes',
    run: writeShards,
  }),
  sub({
    name: 'slaves',
    deprecated: { since: '5.0.0', replacedBy: '`CLUSTER REPLICAS`' },
    arity: 3,
    flags: ['admin', 'stale'],
    tips: RANDOM_OUTPUT,
    summary: 'List replica nodes of the specified master node',
    complexity: 'O(1)',
    arguments: nodeArg,
    run: writeReplicas,
  }),
  sub({
    name: 'slots',
    deprecated: { since: '7.0.0', replacedBy: '`CLUSTER SHARDS`' },
    arity: 2,
    flags: VIEW,
    tips: RANDOM_OUTPUT,
    summary: 'Get array of Cluster slot to node mappings',
    complexity: 'O(N) where N is the total number of Cluster nodes',
    run: writeSlots,
  }),
  sub({
    name: 'why',
    arity: -2,
    flags: VIEW,
    // Ours alone; a version later than the one we speak for says that a real 7.0 does not have it.
    since: '7.2.0',
    tips: RANDOM_OUTPUT,
    summary: 'Explains what this node sees, does and does not do, and what changed before',
    complexity: 'O(N) where N is the total number of cluster nodes',
    arguments: [
      {
        name: 'history',
        type: 'block',
        optional: true,
        arguments: [
          { name: 'history', type: 'pure-token', token: 'HISTORY' },
          { name: 'count', type: 'integer', optional: true },
        ],
      },
    ],
    run: writeWhy,
  }),
]

function knownNode(view: Readonly<Cluster>, argv: Argv, i: number): ClusterNode {
  const id = argv.text(i)
  const node = isNodeId(id) ? view.nodes.get(id as NodeId) : undefined
  if (node === undefined) throw fail(`Unknown node ${id}`)
  return node
}

function writeReplicas(door: ClusterDoor, call: Call, argv: Argv): void {
  const node = knownNode(door.view, argv, 2)
  if (node.role !== 'primary') throw fail('The specified node is not a master')
  call.reply.array(node.replicas.length)
  for (const replica of node.replicas) call.reply.text(nodeLine(door.view as Cluster, replica, call.client.tls))
}

function writeLinks(door: ClusterDoor, call: Call): void {
  const links = door.links()
  const { reply } = call
  reply.array(links.length)
  for (const link of links) {
    reply.map(6)
    reply.text('direction')
    reply.text(link.direction)
    reply.text('node')
    reply.text(link.node)
    reply.text('create-time')
    reply.integer(link.createTime)
    reply.text('events')
    reply.text(link.events)
    reply.text('send-buffer-allocated')
    reply.integer(link.sendBufferAllocated)
    reply.text('send-buffer-used')
    reply.integer(link.sendBufferUsed)
  }
}

/** CLUSTER WHY: each question with the lines of its answer; CLUSTER WHY HISTORY [count]: the last changes, newest first. */
function writeWhy(door: ClusterDoor, call: Call, argv: Argv): void {
  if (argv.count > 2) return writeHistory(door, call, argv)
  const explanations = explain(door.view)
  call.reply.map(explanations.length)
  for (const { about, lines } of explanations) {
    call.reply.text(about)
    writeLines(call, lines)
  }
}

function writeHistory(door: ClusterDoor, call: Call, argv: Argv): void {
  if (argv.count > 4 || argv.word(2) !== 'history') throw wrongWords('WHY')
  const count = argv.count === 4 ? argv.integer(3) : undefined
  if (count !== undefined && count <= 0) throw fail('Invalid count')
  writeLines(call, explainHistory(door.view, count))
}

function writeLines({ reply }: Call, lines: readonly string[]): void {
  reply.array(lines.length)
  for (const line of lines) reply.text(line)
}

function writeSlots(door: ClusterDoor, call: Call): void {
  const { reply } = call
  const ranges = slotsView(door.view as Cluster, call.client.tls)
  reply.array(ranges.length)
  for (const range of ranges) {
    reply.array(2 + range.nodes.length)
    reply.integer(range.start)
    reply.integer(range.end)
    for (const node of range.nodes) writeEndpoint(call, node)
  }
}

function writeEndpoint({ reply }: Call, node: EndpointView): void {
  reply.array(4)
  if (node.endpoint === undefined) reply.nil()
  else reply.text(node.endpoint)
  reply.integer(node.port)
  reply.text(node.id)
  reply.map(node.metadata.length)
  for (const [name, value] of node.metadata) {
    reply.text(name)
    reply.text(value)
  }
}

function writeShards(door: ClusterDoor, call: Call): void {
  const { reply } = call
  const shards = shardsView(door.view as Cluster)
  reply.array(shards.length)
  for (const shard of shards) {
    reply.map(2)
    reply.text('slots')
    reply.array(shard.slots.length * 2)
    for (const [start, end] of shard.slots) {
      reply.integer(start)
      reply.integer(end)
    }
    reply.text('nodes')
    reply.array(shard.nodes.length)
    for (const node of shard.nodes) writeShardNode(call, node)
  }
}

function writeShardNode({ reply }: Call, node: ShardNodeView): void {
  const pairs: (readonly [string, string | number])[] = [['id', node.id]]
  if (node.port !== 0) pairs.push(['port', node.port])
  if (node.tlsPort !== 0) pairs.push(['tls-port', node.tlsPort])
  pairs.push(['ip', node.ip], ['endpoint', node.endpoint])
  if (node.hostname !== '') pairs.push(['hostname', node.hostname])
  pairs.push(['role', node.role], ['replication-offset', node.offset], ['health', node.health])
  reply.map(pairs.length)
  for (const [name, value] of pairs) {
    reply.text(name)
    if (typeof value === 'number') reply.integer(value)
    else reply.text(value)
  }
}
