/** What a ping carries besides its header: a few words about some other nodes, and the extensions about ourselves. */
import { flagBits } from './flags.ts'
import { NODE_FLAGS } from './layout.ts'
import type { Extension, GossipEntry } from './message.ts'
import type { Cluster, ClusterNode } from './state.ts'

/** At least this many nodes are mentioned, in a cluster that has them. */
const MENTION_AT_LEAST = 3
/** One in so many known nodes is mentioned: two node timeouts then bring the reports of a majority, whatever the size. */
const MENTION_ONE_IN = 10

/** The gossip section of one ping: a tenth of the known nodes drawn at random, then every node we suspect, because a
 *  failure is agreed upon only as fast as suspicions spread. Specification: "Heartbeat and gossip messages". */
export function chooseMentions(c: Cluster): GossipEntry[] {
  const nodes = [...c.nodes.values()]
  const chosen = new Set<ClusterNode>()
  let reachable = nodes.length - 2
  const wanted = Math.min(Math.max(MENTION_AT_LEAST, Math.floor(nodes.length / MENTION_ONE_IN)), reachable)
  for (let draws = wanted * 3; draws > 0 && reachable > 0 && chosen.size < wanted; draws--) {
    const node = nodes[c.random.below(nodes.length)]!
    if (node === c.myself || node.health === 'pfail' || chosen.has(node)) continue
    reachable--
    if (!isWorthMentioning(node)) continue
    chosen.add(node)
  }
  let suspects = c.pfailCount
  for (const node of nodes) {
    if (suspects === 0) break
    if (node.health !== 'pfail' || node.handshake || node.noAddress) continue
    chosen.add(node)
    suspects--
  }
  return [...chosen].map(describe)
}

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

function describe(node: ClusterNode): GossipEntry {
  return {
    id: node.id,
    pingSentSec: Math.floor(node.pingSentAt / 1000),
    pongReceivedSec: Math.floor(node.pongReceivedAt / 1000),
    ip: node.ip,
    port: node.port,
    busPort: node.busPort,
    // Whoever learns of a node through us takes these flags as they are.
    flags: flagBits(node) & ~(NODE_FLAGS.myself | NODE_FLAGS.handshake),
    otherPort: node.otherPort,
  }
}
