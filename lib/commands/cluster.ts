/** CLUSTER and what belongs to it. Wishes go through the cluster core (`ask`); views are read from it. */
import type { Operation } from '../../bus/event.ts'
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
import { isNodeId, type NodeId, SLOT_COUNT } from '../base/brand.ts'
import { parseInteger } from '../base/bytes.ts'
import { slotOfRange } from '../base/slot.ts'
import { CLUSTER_DISABLED, ClientError, fail, SYNTAX, wrongArity } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import type { ClusterDoor } from '../server/cluster-door.ts'
import { CLUSTER_HELP } from './cluster-help.ts'
import { type ArgumentDoc, type Command, type CommandFlag, family } from './define.ts'

const ADMIN: readonly CommandFlag[] = ['admin', 'stale', 'no_async_loading']
const VIEW: readonly CommandFlag[] = ['stale']
const RANDOM_OUTPUT = ['nondeterministic_output']

const slotArgs: readonly ArgumentDoc[] = [{ name: 'slot', type: 'integer', multiple: true }]
const rangeArgs: readonly ArgumentDoc[] = [
  {
    name: 'start-slot_end-slot',
    type: 'block',
    multiple: true,
    arguments: [
      { name: 'start-slot', type: 'integer' },
      { name: 'end-slot', type: 'integer' },
    ],
  },
]
const nodeArg: readonly ArgumentDoc[] = [{ name: 'node-id', type: 'string' }]

type Row = Omit<Command, 'group' | 'since' | 'run'> & { readonly since?: string; readonly run: Body }
type Body = (door: ClusterDoor, call: Call, argv: Argv) => void

/** A subcommand: refused without cluster support, then run on the door. */
const sub = (row: Row): Command => ({
  since: '3.0.0',
  group: 'cluster',
  ...row,
  run: (call, argv) => row.run(doorOf(call), call, argv),
})

const subcommands: readonly Command[] = [
  sub({
    name: 'addslots',
    arity: -3,
    flags: ADMIN,
    summary: 'Assign new hash slots to receiving node',
    complexity: 'O(N) where N is the total number of hash slot arguments',
    arguments: slotArgs,
    run: (door, call, argv) => operate(door, call, { name: 'addslots', slots: slotList(argv) }),
  }),
  sub({
    name: 'addslotsrange',
    arity: -4,
    flags: ADMIN,
    since: '7.0.0',
    summary: 'Assign new hash slots to receiving node',
    complexity: 'O(N) where N is the total number of the slots between the start slot and end slot arguments.',
    arguments: rangeArgs,
    run: (door, call, argv) => operate(door, call, { name: 'addslots', slots: slotRangeList(argv) }),
  }),
  sub({
    name: 'bumpepoch',
    arity: 2,
    flags: ADMIN,
    tips: RANDOM_OUTPUT,
    summary: 'Advance the cluster config epoch',
    complexity: 'O(1)',
    run: (door, call) => operate(door, call, { name: 'bumpepoch' }),
  }),
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
      const oldest = call.now - 2 * door.view.options.nodeTimeoutMs
      call.reply.integer([...node.failureReports.values()].filter((at) => at >= oldest).length)
    },
  }),
  sub({
    name: 'countkeysinslot',
    arity: 3,
    flags: VIEW,
    summary: 'Return the number of local keys in the specified hash slot',
    complexity: 'O(1)',
    arguments: [{ name: 'slot', type: 'integer' }],
    run(_door, call, argv) {
      const slot = argv.integer(2)
      if (slot < 0 || slot >= SLOT_COUNT) throw fail('Invalid slot')
      call.reply.integer(call.db.countInSlot(slot))
    },
  }),
  sub({
    name: 'delslots',
    arity: -3,
    flags: ADMIN,
    summary: 'Set hash slots as unbound in receiving node',
    complexity: 'O(N) where N is the total number of hash slot arguments',
    arguments: slotArgs,
    run: (door, call, argv) => operate(door, call, { name: 'delslots', slots: slotList(argv) }),
  }),
  sub({
    name: 'delslotsrange',
    arity: -4,
    flags: ADMIN,
    since: '7.0.0',
    summary: 'Set hash slots as unbound in receiving node',
    complexity: 'O(N) where N is the total number of the slots between the start slot and end slot arguments.',
    arguments: rangeArgs,
    run: (door, call, argv) => operate(door, call, { name: 'delslots', slots: slotRangeList(argv) }),
  }),
  sub({
    name: 'failover',
    arity: -2,
    flags: ADMIN,
    summary: 'Forces a replica to perform a manual failover of its master.',
    complexity: 'O(1)',
    arguments: [optionalWord('options', 'force', 'takeover')],
    run: (door, call, argv) =>
      operate(door, call, { name: 'failover', mode: optionWord(argv, 'failover', 'plain', ['force', 'takeover']) }),
  }),
  sub({
    name: 'flushslots',
    arity: 2,
    flags: ADMIN,
    summary: "Delete a node's own slots information",
    complexity: 'O(1)',
    run: (door, call) => operate(door, call, { name: 'flushslots' }),
  }),
  sub({
    name: 'forget',
    arity: 3,
    flags: ADMIN,
    summary: 'Remove a node from the nodes table',
    complexity: 'O(1)',
    arguments: nodeArg,
    run: (door, call, argv) => operate(door, call, { name: 'forget', id: argv.text(2) }),
  }),
  sub({
    name: 'getkeysinslot',
    arity: 4,
    flags: VIEW,
    tips: RANDOM_OUTPUT,
    summary: 'Return local key names in the specified hash slot',
    complexity: 'O(log(N)) where N is the number of requested keys',
    arguments: [
      { name: 'slot', type: 'integer' },
      { name: 'count', type: 'integer' },
    ],
    run(_door, call, argv) {
      const slot = argv.integer(2)
      const count = argv.integer(3)
      if (slot < 0 || slot >= SLOT_COUNT || count < 0) throw fail('Invalid slot or number of keys')
      const names = call.db.keysInSlot(slot, count)
      call.reply.array(names.length)
      for (const name of names) call.reply.bulk(Buffer.from(name, 'latin1'))
    },
  }),
  {
    name: 'help',
    arity: 2,
    flags: ['loading', 'stale'],
    group: 'cluster',
    since: '5.0.0',
    summary: 'Show helpful text about the different subcommands',
    complexity: 'O(1)',
    run(call) {
      doorOf(call)
      call.reply.array(CLUSTER_HELP.length)
      for (const line of CLUSTER_HELP) call.reply.simple(line)
    },
  },
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
    name: 'keyslot',
    arity: 3,
    flags: VIEW,
    summary: 'Returns the hash slot of the specified key',
    complexity: 'O(N) where N is the number of bytes in the key',
    arguments: [{ name: 'key', type: 'string' }],
    run: (_door, call, argv) => call.reply.integer(slotOfRange(argv.buffer, argv.starts[2]!, argv.ends[2]!)),
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
    name: 'meet',
    arity: -4,
    flags: ADMIN,
    summary: 'Force a node cluster to handshake with another node',
    complexity: 'O(1)',
    arguments: [
      { name: 'ip', type: 'string' },
      { name: 'port', type: 'integer' },
      { name: 'cluster_bus_port', type: 'integer', optional: true, since: '4.0.0' },
    ],
    run(door, call, argv) {
      if (argv.count > 5) throw wrongWords('MEET')
      const port = portArgument(argv, 3, 'base')
      const busPort = argv.count === 5 ? portArgument(argv, 4, 'bus') : port + 10000
      operate(door, call, { name: 'meet', ip: argv.text(2), port, busPort })
    },
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
    name: 'replicate',
    arity: 3,
    flags: ADMIN,
    summary: 'Reconfigure a node as a replica of the specified master node',
    complexity: 'O(1)',
    arguments: nodeArg,
    run: (door, call, argv) => operate(door, call, { name: 'replicate', id: argv.text(2) }),
  }),
  sub({
    name: 'reset',
    arity: -2,
    flags: ['admin', 'noscript', 'stale'],
    summary: 'Reset a Redis Cluster node',
    complexity: 'O(N) where N is the number of known nodes. The command may execute a FLUSHALL as a side effect.',
    arguments: [optionalWord('hard_soft', 'hard', 'soft')],
    run: (door, call, argv) =>
      operate(door, call, { name: 'reset', hard: optionWord(argv, 'reset', 'soft', ['hard', 'soft']) === 'hard' }),
  }),
  sub({
    name: 'saveconfig',
    arity: 2,
    flags: ADMIN,
    summary: 'Forces the node to save cluster state on disk',
    complexity: 'O(1)',
    run: (door, call) => operate(door, call, { name: 'saveconfig' }),
  }),
  sub({
    name: 'set-config-epoch',
    arity: 3,
    flags: ADMIN,
    summary: 'Set the configuration epoch in a new node',
    complexity: 'O(1)',
    arguments: [{ name: 'config-epoch', type: 'integer' }],
    run(door, call, argv) {
      const epoch = argv.integer(2)
      if (epoch < 0) throw fail(`Invalid config epoch specified: ${epoch}`)
      operate(door, call, { name: 'set-config-epoch', epoch })
    },
  }),
  sub({
    name: 'setslot',
    arity: -4,
    flags: ADMIN,
    summary: 'Bind a hash slot to a specific node',
    complexity: 'O(1)',
    arguments: [
      { name: 'slot', type: 'integer' },
      {
        name: 'subcommand',
        type: 'oneof',
        arguments: [
          { name: 'node-id', type: 'string', token: 'IMPORTING' },
          { name: 'node-id', type: 'string', token: 'MIGRATING' },
          { name: 'node-id', type: 'string', token: 'NODE' },
          { name: 'stable', type: 'pure-token', token: 'STABLE' },
        ],
      },
    ],
    run: setSlot,
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

export const clusterCommands = family(
  {
    name: 'cluster',
    arity: -2,
    flags: [],
    group: 'cluster',
    since: '3.0.0',
    summary: 'A container for cluster commands',
    complexity: 'Depends on subcommand.',
    subcommands,
  },
  {
    name: 'asking',
    arity: 1,
    flags: ['fast'],
    group: 'cluster',
    categories: ['connection'],
    since: '3.0.0',
    summary: 'Sent by cluster clients after an -ASK redirect',
    complexity: 'O(1)',
    run(call) {
      doorOf(call)
      call.client.asking = true
      call.reply.ok()
    },
  },
  {
    name: 'readonly',
    arity: 1,
    flags: ['loading', 'stale', 'fast'],
    group: 'cluster',
    categories: ['connection'],
    since: '3.0.0',
    summary: 'Enables read queries for a connection to a cluster replica node',
    complexity: 'O(1)',
    run: (call) => setReadonly(call, true),
  },
  {
    name: 'readwrite',
    arity: 1,
    flags: ['loading', 'stale', 'fast'],
    group: 'cluster',
    categories: ['connection'],
    since: '3.0.0',
    summary: 'Disables read queries for a connection to a cluster replica node',
    complexity: 'O(1)',
    run: (call) => setReadonly(call, false),
  },
)

function optionalWord(name: string, ...words: string[]): ArgumentDoc {
  return {
    name,
    type: 'oneof',
    optional: true,
    arguments: words.map((word) => ({ name: word, type: 'pure-token', token: word.toUpperCase() })),
  }
}

function setReadonly(call: Call, readonly: boolean): void {
  doorOf(call)
  call.client.readonly = readonly
  call.reply.ok()
}

function doorOf(call: Call): ClusterDoor {
  if (call.server.cluster === undefined) throw CLUSTER_DISABLED
  return call.server.cluster
}

function operate(door: ClusterDoor, call: Call, operation: Operation): void {
  const answer = door.ask(operation)
  if (answer === undefined) call.reply.ok()
  else if ('error' in answer) throw new ClientError(answer.error)
  else call.reply.simple(answer.text)
}

const wrongWords = (name: string): ClientError =>
  fail(`unknown subcommand or wrong number of arguments for '${name}'. Try CLUSTER HELP.`)

function portArgument(argv: Argv, i: number, which: 'base' | 'bus'): number {
  const port = parseInteger(argv.buffer, argv.starts[i], argv.ends[i])
  if (port === undefined) throw fail(`Invalid TCP ${which} port specified: ${argv.text(i)}`)
  return port
}

/** The optional word behind FAILOVER or RESET. */
function optionWord<Default extends string, Word extends string>(
  argv: Argv,
  name: string,
  absent: Default,
  words: readonly Word[],
): Default | Word {
  if (argv.count === 2) return absent
  if (argv.count > 3) throw wrongWords(name.toUpperCase())
  const given = argv.word(2)
  const word = words.find((candidate) => candidate === given)
  if (word === undefined) throw SYNTAX
  return word
}

function slotArgument(argv: Argv, i: number): number {
  const slot = parseInteger(argv.buffer, argv.starts[i], argv.ends[i])
  if (slot === undefined || slot < 0 || slot >= SLOT_COUNT) throw fail('Invalid or out of range slot')
  return slot
}

function slotList(argv: Argv): number[] {
  const slots: number[] = []
  for (let i = 2; i < argv.count; i++) slots.push(slotArgument(argv, i))
  return slots
}

function slotRangeList(argv: Argv): number[] {
  if (argv.count % 2 === 1) throw wrongArity(`cluster|${argv.word(1)}`)
  const slots: number[] = []
  for (let i = 2; i < argv.count; i += 2) {
    const start = slotArgument(argv, i)
    const end = slotArgument(argv, i + 1)
    if (start > end) throw fail(`start slot number ${start} is greater than end slot number ${end}`)
    for (let slot = start; slot <= end; slot++) slots.push(slot)
  }
  return slots
}

function setSlot(door: ClusterDoor, call: Call, argv: Argv): void {
  // A real server looks at its role before it looks at the words.
  if (door.view.myself.role === 'replica') throw fail('Please use SETSLOT only with masters.')
  const slot = slotArgument(argv, 2)
  const action = argv.word(3)
  if (action === 'stable' && argv.count === 4) return operate(door, call, { name: 'setslot', slot, action })
  if (argv.count === 5 && (action === 'migrating' || action === 'importing' || action === 'node'))
    return operate(door, call, { name: 'setslot', slot, action, id: argv.text(4) })
  throw fail('Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP')
}

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
