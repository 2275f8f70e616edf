/** Sending: every message leaves through here, gets the header that describes us, and is counted. */
import { announcedPorts } from './announce.ts'
import { flagBits } from './flags.ts'
import { MESSAGE_FLAGS, NODE_FLAGS } from './layout.ts'
import { chooseExtensions, chooseMentions } from './mention.ts'
import type { Body, Header, PingType } from './message.ts'
import { countEntries } from './section.ts'
import { findSlot } from './slots.ts'
import { type Cluster, type ClusterNode, inMyShard, isVoter, type Link, type LinkId, primaryOf } from './state.ts'
import { rowsOf, trace } from './table.ts'

/** The header of a message sent now. A replica shows the slots and the config epoch of its primary: that is what its
 *  voters are asked to compare. `flags` are message flags. */
export function buildHeader(c: Cluster, flags = 0): Header {
  const { myself, options } = c
  const primary = primaryOf(myself) ?? myself
  const paused = myself.role === 'primary' && c.manual.endsAt > 0
  return {
    sender: myself.id,
    replicaOf: myself.primary?.id,
    currentEpoch: c.currentEpoch,
    configEpoch: primary.configEpoch,
    offset: c.facts.replicationOffset,
    slots: slotsToSay(c, primary),
    ip: options.announceIp,
    ...announcedPorts(options),
    flags: flagBits(myself) | NODE_FLAGS.myself,
    state: c.state,
    messageFlags: flags | (paused ? MESSAGE_FLAGS.paused : 0),
  }
}

/** A copy of these slots, which do not stand still; it is made when they changed. */
function slotsToSay(c: Cluster, { slots }: ClusterNode): Uint8Array {
  if (Buffer.compare(c.saidSlots, slots) !== 0) c.saidSlots = slots.slice()
  return c.saidSlots
}

/** Sends a ping, pong or meet on one link. A ping of ours starts the clock its pong will stop. `extended` says whether
 *  the peer reads extensions, when the row of the link cannot know yet. */
export function sendPing(c: Cluster, link: Link, type: PingType, extended = link.node?.extensionsSupported): void {
  if (!link.up) return
  if (type === 'ping' && link.outbound && link.node) link.node.pingSentAt = c.now
  const body: Body = { type, gossip: chooseMentions(c, link.node), extensions: chooseExtensions(c, extended === true) }
  trace(c, 'gossip', `${type} to ${link.node?.id ?? link.remoteIp}, mentioning ${countEntries(body.gossip)}`)
  dispatch(c, [link.id], body, MESSAGE_FLAGS.extData)
}

/** Sends a message to one node on the link we dialled; without one that is up the message is lost, as on any network. */
export function sendBody(c: Cluster, node: ClusterNode, body: Body, messageFlags = 0): void {
  if (node.outbound?.up) dispatch(c, [node.outbound.id], body, messageFlags)
}

/** Sends a message back on the link a question came on. */
export function answer(c: Cluster, link: Link, body: Body): void {
  dispatch(c, [link.id], body, 0)
}

/** Sends one message to every known node, to voters first: theirs is the answer that is waited for. */
export function broadcastBody(c: Cluster, body: Body, messageFlags = 0): void {
  const nodes = reachable(c)
  const inOrder = [...nodes.filter(isVoter), ...nodes.filter((node) => !isVoter(node))]
  const links = inOrder.map((node) => node.outbound!.id)
  dispatch(c, links, body, messageFlags)
}

/** Sends one message to the other nodes of our shard. */
export function broadcastToShard(c: Cluster, body: Body): void {
  const links = reachable(c)
    .filter((node) => inMyShard(c, node))
    .map((node) => node.outbound!.id)
  dispatch(c, links, body, 0)
}

/** Shows our new configuration unasked: to everybody after a win, or to the replicas of our shard before an election,
 *  so that they can rank themselves by our offset. `told` knows already. */
export function broadcastPong(c: Cluster, to: 'all' | 'shard', told?: ClusterNode): void {
  if (to === 'all') Object.assign(c, { shownSlots: c.myself.slots.slice(), shownTick: c.tickCount })
  const nodes = reachable(c).filter((node) => to === 'all' || (node.role === 'replica' && inMyShard(c, node)))
  sendPongs(
    c,
    nodes.filter((node) => node !== told),
  )
}

/** Fast failover: shows slots that became ours to everybody, unless that was done. Called every tick. By redis-server's rules
 *  some commands show them at once, and after the others whoever speaks with us hears of it. */
export function showGains(c: Cluster): void {
  const { slots } = c.myself
  if (Buffer.compare(slots, c.shownSlots) === 0) return
  const gained = findSlot(slots, c.shownSlots, () => true) !== undefined
  c.shownSlots = slots.slice()
  if (gained && c.options.fastFailover && c.myself.role === 'primary') broadcastPong(c, 'all')
}

/** Shows a slot that was imported to everybody: who looks at the cluster after a reshard finds that all agree. By fast failover's rules
 *  only the first in each tick; of the others the replicas hear at once, and the primaries by the next tick: tools tell those
 *  themselves, one after another, and where slots move by the thousand each would be one more message to every node. But the last slot
 *  of `source` all see at once: it turns replica next, and to who hears of that first the slot is nobody's, and the cluster is down. */
export function showImport(c: Cluster, source: ClusterNode): void {
  if (!c.options.fastFailover || c.shownTick !== c.tickCount || source.slotCount === 0) broadcastPong(c, 'all')
  else
    sendPongs(
      c,
      reachable(c).filter((node) => node.role === 'replica'),
    )
}

/** Shows our configuration to these nodes, as far as there are links to them: one message for those that read extensions
 *  and one for those that do not, each built and encoded once. */
export function sendPongs(c: Cluster, nodes: readonly ClusterNode[]): void {
  for (const extended of [true, false]) {
    const readers = nodes.filter((node) => node.outbound?.up && node.extensionsSupported === extended)
    if (readers.length === 0) continue
    const links = readers.map((node) => node.outbound!.id)
    const body: Body = { type: 'pong', gossip: chooseMentions(c), extensions: chooseExtensions(c, extended) }
    dispatch(c, links, body, MESSAGE_FLAGS.extData)
  }
}

/** Those a broadcast goes to: known by name, and with a link of ours. */
function reachable(c: Cluster): ClusterNode[] {
  return rowsOf(c).filter((node) => node !== c.myself && !node.handshake && node.outbound?.up)
}

function dispatch(c: Cluster, links: readonly LinkId[], body: Body, messageFlags: number): void {
  if (links.length === 0) return
  c.stats.sent[body.type] += links.length
  c.effects.push({ type: 'send', links, message: { header: buildHeader(c, messageFlags), body } })
}
