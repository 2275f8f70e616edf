/** What CLUSTER commands show of the core: pure projections. Texts are complete; SLOTS and SHARDS are plain data that
 *  the command layer writes as RESP. Source of order and names: redis-server 7.0.15. */
import { type NodeId, type Offset, SLOT_COUNT } from '../lib/base/brand.ts'
import { MESSAGE_NAMES } from './message.ts'
import { clientPort, type NodeRow, nodeLine, readNodeLine } from './node-line.ts'
import { slotRanges } from './slots.ts'
import { type Cluster, type ClusterNode, primaryOf } from './state.ts'

export { clientPort, type NodeRow, nodeLine } from './node-line.ts'

/** A node as CLUSTER SLOTS shows it. */
export interface EndpointView {
  /** Undefined is a null: "connect to the address you used for this node". */
  readonly endpoint: string | undefined
  readonly port: number
  readonly id: NodeId
  /** What is known beside the preferred endpoint. */
  readonly metadata: ReadonlyArray<readonly ['ip' | 'hostname', string]>
}

/** One element of CLUSTER SLOTS: an inclusive range, its primary, then the replicas that can be read from. */
export interface SlotRangeView {
  readonly start: number
  readonly end: number
  readonly nodes: readonly EndpointView[]
}

/** A node as CLUSTER SHARDS shows it; zero ports and an empty hostname are left out of the reply. */
export interface ShardNodeView {
  readonly id: NodeId
  readonly port: number
  readonly tlsPort: number
  readonly ip: string
  readonly endpoint: string
  readonly hostname: string
  readonly role: 'master' | 'replica'
  readonly offset: Offset
  readonly health: 'online' | 'loading' | 'fail'
}

/** One element of CLUSTER SHARDS. */
export interface ShardView {
  readonly slots: ReadonlyArray<readonly [number, number]>
  readonly nodes: readonly ShardNodeView[]
}

/** CLUSTER NODES: one line for each known node, those in handshake included. `tls`: the client came over TLS. */
export const nodesText = (c: Cluster, tls = c.options.tlsCluster): string =>
  [...c.nodes.values()].map((node) => `${nodeLine(c, node, tls)}\n`).join('')

/** Reads what CLUSTER NODES of any version printed, or the node lines of a nodes.conf. Throws a NodeLineError. */
export const parseNodesText = (text: string): NodeRow[] =>
  text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([first]) => first !== '' && first !== 'vars')
    .map(readNodeLine)

/** CLUSTER INFO, CRLF after each line. */
export function infoText(c: Cluster, stats: Cluster['stats'] = c.stats): string {
  const slots = { ok: 0, pfail: 0, fail: 0 }
  for (const node of c.nodes.values()) slots[node.health] += node.slotCount
  const lines = [
    `cluster_state:${c.state}`,
    `cluster_slots_assigned:${slots.ok + slots.pfail + slots.fail}`,
    `cluster_slots_ok:${slots.ok}`,
    `cluster_slots_pfail:${slots.pfail}`,
    `cluster_slots_fail:${slots.fail}`,
    `cluster_known_nodes:${c.nodes.size}`,
    `cluster_size:${c.size}`,
    `cluster_current_epoch:${c.currentEpoch}`,
    `cluster_my_epoch:${(primaryOf(c.myself) ?? c.myself).configEpoch}`,
    ...counterLines('sent', stats.sent),
    ...counterLines('received', stats.received),
    `total_cluster_links_buffer_limit_exceeded:${stats.bufferLimitExceeded}`,
  ]
  return lines.map((line) => `${line}\r\n`).join('')
}

/** The host text of -MOVED and -ASK. An unknown endpoint is empty text: the client keeps the host it used. */
export function endpointOf(c: Cluster, node: ClusterNode): string {
  switch (c.options.preferredEndpointType) {
    case 'ip':
      return node.ip
    case 'hostname':
      return node.hostname || '?'
    case 'unknown-endpoint':
      return ''
  }
}

/** CLUSTER SLOTS: the longest ranges with one owner, ascending; unbound slots are left out. */
export function slotsView(c: Cluster, tls = c.options.tlsCluster): SlotRangeView[] {
  const views = new Map<ClusterNode, readonly EndpointView[]>()
  const nodesOf = (owner: ClusterNode): readonly EndpointView[] => {
    const replicas = owner.replicas.filter((replica) => isReadable(c, replica))
    return [owner, ...replicas].map((node) => endpointView(c, node, tls))
  }
  const ranges: SlotRangeView[] = []
  for (let start = 0; start < SLOT_COUNT; start++) {
    const owner = c.owners[start]
    if (!owner) continue
    let end = start
    while (end + 1 < SLOT_COUNT && c.owners[end + 1] === owner) end++
    const nodes = views.get(owner) ?? nodesOf(owner)
    views.set(owner, nodes)
    ranges.push({ start, end, nodes })
    start = end
  }
  return ranges
}

/** CLUSTER SHARDS: each primary with its slots, itself first and then its replicas. */
export const shardsView = (c: Cluster): ShardView[] =>
  [...c.nodes.values()]
    .filter((node) => node.role === 'primary' && !node.handshake)
    .map((primary) => ({
      slots: slotRanges(primary.slots),
      nodes: [primary, ...primary.replicas].map((node) => shardNodeView(c, node)),
    }))

/** What we know of a node's replication offset: our own is a fact, the others' is what they last announced. */
export const offsetOf = (c: Cluster, node: ClusterNode): Offset =>
  node === c.myself ? c.facts.replicationOffset : node.offset

// A replica without data would answer nothing but errors.
const isReadable = (c: Cluster, replica: ClusterNode): boolean => replica.health !== 'fail' && offsetOf(c, replica) > 0

function endpointView(c: Cluster, node: ClusterNode, tls: boolean): EndpointView {
  const preferred = c.options.preferredEndpointType
  const metadata: Array<readonly ['ip' | 'hostname', string]> = []
  if (preferred !== 'ip') metadata.push(['ip', node.ip])
  if (preferred !== 'hostname' && node.hostname !== '') metadata.push(['hostname', node.hostname])
  const endpoint = preferred === 'unknown-endpoint' ? undefined : endpointOf(c, node)
  return { endpoint, port: clientPort(c, node, tls), id: node.id, metadata }
}

function shardNodeView(c: Cluster, node: ClusterNode): ShardNodeView {
  const replica = node.role === 'replica'
  const offset = offsetOf(c, node)
  return {
    id: node.id,
    port: c.options.tlsCluster ? node.otherPort : node.port,
    tlsPort: c.options.tlsCluster ? node.port : node.otherPort,
    ip: node.ip,
    endpoint: endpointOf(c, node),
    hostname: node.hostname,
    role: replica ? 'replica' : 'master',
    offset,
    health: node.health === 'fail' ? 'fail' : replica && offset === 0 ? 'loading' : 'online',
  }
}

function counterLines(direction: 'sent' | 'received', counts: Cluster['stats']['sent']): string[] {
  const total = MESSAGE_NAMES.reduce((sum, name) => sum + counts[name], 0)
  const lines = MESSAGE_NAMES.filter((name) => counts[name] > 0).map(
    (name) => `cluster_stats_messages_${name}_${direction}:${counts[name]}`,
  )
  return [...lines, `cluster_stats_messages_${direction}:${total}`]
}
