/** What a ping carries besides its header: a few words about some other nodes, and the extensions about ourselves. */
import type { Millis } from '../lib/base/brand.ts'
import { flagBits } from './flags.ts'
import { NODE_FLAGS } from './layout.ts'
import type { Extension, GossipEntry, GossipSection } from './message.ts'
import { writeSection } from './section.ts'
import type { Cluster, ClusterNode } from './state.ts'
import { rowsOf } from './table.ts'

/** At least this many nodes are mentioned, in a cluster that has them. */
const MENTION_AT_LEAST = 3
/** One in so many known nodes is mentioned: two node timeouts then bring the reports of a majority, whatever the size. */
const MENTION_ONE_IN = 10
/** Of those mentioned, one in so many is drawn at random, so that everybody is mentioned now and then: one who is new,
 *  moved, or counts as failed. The others are those we heard of last. */
const DRAWN_ONE_IN = 3
/** So many nodes are a crowd. */
const CROWD = 100

/** Whether there are so many nodes that what each says to all others has to be spared: any message then counts as a sign of life,
 *  and nobody is pinged for its own sake. In a smaller cluster every node pings every other within half a node timeout, as
 *  redis-server does: that proves each link in both directions, and news arrive sooner. */
export const isCrowd = (c: Cluster): boolean => c.options.fastFailover && c.nodes.size >= CROWD

/** The gossip section of one ping: a tenth of the known nodes, then every node we suspect, because a failure is agreed
 *  upon only as fast as suspicions spread. `reader`, who knows about itself, is not mentioned unless by redis-server's
 *  rules. Specification: "Heartbeat and gossip messages". */
export function chooseMentions(c: Cluster, reader?: ClusterNode): GossipSection {
  const { tickCount: tick, pfailCount: suspects } = c
  const size = c.nodes.size
  if (!isCrowd(c)) return composeMentions(c, reader)
  // All pings between two ticks mention the same: no node hears two of them, and looking at all nodes for each would make the
  // work of a message grow with their number.
  const last = c.mentioned
  if (last && last.tick === tick && last.size === size && last.suspects === suspects) return last.section
  const section = composeMentions(c)
  c.mentioned = { tick, size, suspects, section }
  return section
}

function composeMentions(c: Cluster, reader?: ClusterNode): GossipSection {
  const nodes = rowsOf(c)
  const room = nodes.length - 2
  const wanted = Math.min(Math.max(MENTION_AT_LEAST, Math.floor(nodes.length / MENTION_ONE_IN)), room)
  const chosen = new Set<ClusterNode>()
  if (c.options.fastFailover) {
    draw(c, nodes, chosen, Math.ceil(wanted / DRAWN_ONE_IN), reader)
    addLatest(c, nodes, chosen, wanted, reader)
  } else {
    draw(c, nodes, chosen, wanted)
  }
  let suspects = c.pfailCount
  for (const node of nodes) {
    if (suspects === 0) break
    if (node.health !== 'pfail' || node.handshake || node.noAddress) continue
    chosen.add(node)
    suspects--
  }
  return writeSection([...chosen].map((node) => describe(c, node)))
}

/** When we last heard of a node: by an answer to a ping, ours or others', or in a crowd from itself by any message. */
export const heardAt = (c: Cluster, node: ClusterNode): Millis =>
  isCrowd(c) && node.dataReceivedAt > node.pongReceivedAt ? node.dataReceivedAt : node.pongReceivedAt

/** Nodes drawn at random, which is all of redis-server's rule. */
function draw(
  c: Cluster,
  nodes: readonly ClusterNode[],
  chosen: Set<ClusterNode>,
  wanted: number,
  reader?: ClusterNode,
): void {
  let left = nodes.length - 2
  for (let draws = wanted * 3; draws > 0 && left > 0 && chosen.size < wanted; draws--) {
    const node = nodes[c.random.below(nodes.length)]!
    if (node === c.myself || node === reader || node.health === 'pfail' || chosen.has(node)) continue
    left--
    if (isWorthMentioning(node)) chosen.add(node)
  }
}

/** Those heard of last: what we know of them is news to most, and spares them a ping. Found by counting how many were
 *  heard of in each of the last moments, which takes one look at each node. */
function addLatest(
  c: Cluster,
  nodes: readonly ClusterNode[],
  chosen: Set<ClusterNode>,
  wanted: number,
  reader?: ClusterNode,
): void {
  const momentMs = c.options.nodeTimeoutMs / (2 * MOMENTS)
  const momentOf = (node: ClusterNode): number => {
    const newsAt = Math.max(node.dataReceivedAt, node.pongReceivedAt)
    return Math.max(0, Math.floor((c.now - newsAt) / momentMs))
  }
  const isFit = (node: ClusterNode): boolean =>
    node !== c.myself && node !== reader && node.health === 'ok' && isWorthMentioning(node) && !chosen.has(node)
  const counts = new Uint32Array(MOMENTS)
  for (const node of nodes) if (isFit(node) && momentOf(node) < MOMENTS) counts[momentOf(node)]!++
  let last = 0
  for (let sum = chosen.size; last < MOMENTS - 1 && sum + counts[last]! < wanted; last++) sum += counts[last]!
  const first = c.random.below(nodes.length)
  for (let i = 0; i < nodes.length && chosen.size < wanted; i++) {
    const node = nodes[(first + i) % nodes.length]!
    if (isFit(node) && momentOf(node) <= last) chosen.add(node)
  }
}

/** Into so many moments half a node timeout is divided, after which a node is due for a ping of everybody. */
const MOMENTS = 32

/** The extensions of one ping. The hostname goes to everybody, since its absence means "none". The others go to those
 *  that have shown they read extensions: a 7.0 server logs a line for each one it does not know. */
export function chooseExtensions(c: Cluster, extended: boolean): Extension[] {
  const { options, myself } = c
  const extensions: Extension[] = []
  if (options.announceHostname) extensions.push({ type: 'hostname', text: options.announceHostname })
  if (!extended) return extensions
  if (options.announceHumanNodename) extensions.push({ type: 'human-nodename', text: options.announceHumanNodename })
  if (options.announceClientIpv4) extensions.push({ type: 'client-ipv4', text: options.announceClientIpv4 })
  if (options.announceClientIpv6) extensions.push({ type: 'client-ipv6', text: options.announceClientIpv6 })
  for (const [id, until] of c.blacklist) {
    const ttlSec = Math.floor((until - c.now) / 1000)
    if (ttlSec > 0) extensions.push({ type: 'forgotten-node', id, ttlSec })
  }
  extensions.push({ type: 'shard-id', id: myself.shard })
  return extensions
}

function isWorthMentioning(node: ClusterNode): boolean {
  if (node.handshake || node.noAddress) return false
  return node.outbound !== undefined || node.slotCount > 0
}

function describe(c: Cluster, node: ClusterNode): GossipEntry {
  return {
    id: node.id,
    pingSentSec: Math.floor(node.pingSentAt / 1000),
    pongReceivedSec: Math.floor(heardAt(c, node) / 1000),
    ip: node.ip,
    port: node.port,
    busPort: node.busPort,
    // Whoever learns of a node through us takes these flags as they are.
    flags: flagBits(node) & ~(NODE_FLAGS.myself | NODE_FLAGS.handshake),
    otherPort: node.otherPort,
  }
}
