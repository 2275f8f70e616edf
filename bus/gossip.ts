/** Gossip: keeping links to everybody, pinging each node often enough, and merging what others mention. The table of
 *  every node converges although each ping names only a few. */
import type { Millis } from '../lib/base/brand.ts'
import { countReports, noteReport, suspectIfSilent } from './failure.ts'
import { adoptFlags } from './flags.ts'
import { isBlacklisted, isHandshakeOver, moveNode } from './handshake.ts'
import { record } from './history.ts'
import { GOSSIP_ENTRY_SIZE, NODE_FLAGS } from './layout.ts'
import { closeLink, forgetLink, openLink } from './links.ts'
import { heardAt, isCrowd } from './mention.ts'
import type { GossipEntry, GossipSection } from './message.ts'
import { flagsAt, pongSecAt, readEntry } from './section.ts'
import { sendPing } from './send.ts'
import { type Cluster, type ClusterNode, createNode, type Link } from './state.ts'
import { addNode, log, mentionedAt, needSave, removeNode, rowsOf, trace } from './table.ts'

/** By redis-server's rules: of how many nodes drawn at random the one we heard from least recently is pinged each second. */
const PING_CANDIDATES = 5
/** Whom we heard nothing of for this part of a node timeout is worth a ping; half of one makes it due. */
const OVERDUE_ONE_IN = 4
const TICK_MS = 100
/** A pong time told by others may lie this far in our future: clocks differ a little. */
const CLOCK_TOLERANCE_MS = 500

/** First part of a tick: closes links that swallow too much, drops handshakes that came to nothing, counts suspects,
 *  and dials whoever we have no link to. */
export function tendLinks(c: Cluster): void {
  c.pfailCount = 0
  for (const node of rowsOf(c)) {
    if (node === c.myself || node.noAddress) continue
    dropSwollenLinks(c, node)
    if (node.health === 'pfail') c.pfailCount++
    if (isHandshakeOver(c, node)) removeNode(c, node)
    else if (!node.outbound && node.ip) openLink(c, node)
  }
}

/** A link is gone. Without fast failover that is all, and the next tick dials again. With it a link of ours that worked is
 *  dialled again at once, and its node counts as pinged now: if the node is dead, its silence began here, and PFAIL comes
 *  one node timeout after the last sign of life rather than up to 1.5. A dial that is refused proves nothing (the node may
 *  be starting again), so that it only is repeated at the next tick; nor is a link that breaks as soon as it is up dialled
 *  more often than that. */
export function loseLink(c: Cluster, link: Link): void {
  const { node, outbound, up } = link
  forgetLink(c, link)
  if (!c.options.fastFailover || !outbound || !up || c.now - link.createdAt < TICK_MS) return
  if (!node || node.handshake || node.noAddress) return
  if (node.pingSentAt === 0) node.pingSentAt = c.now
  openLink(c, node)
}

/** Once a second: pings whoever of a few was not heard from for longest. In a crowd it is one of those we heard nothing of for a
 *  while, drawn at random: what one asks spares all who are told of the answer; were all to choose whom they miss most, they
 *  would choose the same. */
export function pingSomebody(c: Cluster): void {
  const chosen = isCrowd(c) ? drawOverdue(c) : drawOldest(c)
  if (chosen) ping(c, chosen)
}

function drawOverdue(c: Cluster): ClusterNode | undefined {
  const overdue = c.now - c.options.nodeTimeoutMs / OVERDUE_ONE_IN
  const missed = rowsOf(c).filter((node) => isIdle(c, node) && heardAt(c, node) < overdue)
  return missed[c.random.below(Math.max(missed.length, 1))]
}

/** redis-server's rule: of a few nodes drawn at random, the one whose answer is oldest. */
function drawOldest(c: Cluster): ClusterNode | undefined {
  const nodes = rowsOf(c)
  let chosen: ClusterNode | undefined
  for (let i = 0; i < PING_CANDIDATES; i++) {
    const node = nodes[c.random.below(nodes.length)]!
    if (isIdle(c, node) && (!chosen || node.pongReceivedAt < chosen.pongReceivedAt)) chosen = node
  }
  return chosen
}

/** Whether we could ping it now. */
const isIdle = (c: Cluster, node: ClusterNode): boolean =>
  node.outbound !== undefined && node.pingSentAt === 0 && node !== c.myself && !node.handshake

/** Each tick: pings whoever was not heard from for half a node timeout, gives a silent link a second chance by dialling
 *  anew, and suspects those from whom nothing comes at all. */
export function keepInTouch(c: Cluster): void {
  const half = c.options.nodeTimeoutMs / 2
  for (const node of rowsOf(c)) {
    if (node === c.myself || node.noAddress || node.handshake) continue
    if (node.outbound && isStuck(c, node, node.outbound)) {
      trace(c, 'gossip', `the link to ${node.id} is silent, it is dialled anew`)
      closeLink(c, node.outbound)
    }
    if (node.outbound && node.pingSentAt === 0 && c.now - heardAt(c, node) > (c.options.pingIntervalMs || half)) {
      ping(c, node)
    } else if (c.manual.endsAt > 0 && c.manual.replica === node && c.myself.role === 'primary' && node.outbound) {
      ping(c, node) // it waits for the offset at which we paused our clients
    } else {
      suspectIfSilent(c, node)
    }
  }
}

/** A dial succeeded: says hello at once, so that a reconnection costs no time in failure detection. A ping that was
 *  outstanding before stays as old as it is. */
export function greet(c: Cluster, link: Link): void {
  const node = link.node
  if (!node) return
  const outstandingSince = node.pingSentAt
  sendPing(c, link, node.meet ? 'meet' : 'ping')
  if (outstandingSince !== 0) node.pingSentAt = outstandingSince
  node.meet = false
}

/** Merges what a sender mentions. About unknown nodes only a known sender is believed: an introduction is a matter of
 *  trust, and clusters must not melt into each other by a reused address. What is known already is passed over where it
 *  lies, and costs no memory. */
export function mergeGossip(c: Cluster, sender: ClusterNode | undefined, section: GossipSection): void {
  for (let at = 0; at < section.length; at += GOSSIP_ENTRY_SIZE) {
    const node = mentionedAt(c, section, at)
    if (node) mergeEntry(c, sender, node, section, at)
    else if (sender) meetThirdNode(c, sender, readEntry(section, at))
  }
}

function mergeEntry(
  c: Cluster,
  sender: ClusterNode | undefined,
  node: ClusterNode,
  section: GossipSection,
  at: number,
): void {
  const flags = flagsAt(section, at)
  const failing = (flags & (NODE_FLAGS.pfail | NODE_FLAGS.fail)) !== 0
  if (sender && node !== c.myself) noteReport(c, node, sender, failing)
  if (failing) return
  if (node.pingSentAt === 0 && countReports(c, node) === 0) {
    // Others' fresh pongs spare us a ping of our own.
    const pongAt = pongSecAt(section, at) * 1000
    if (pongAt > node.pongReceivedAt && pongAt <= c.now + CLOCK_TOLERANCE_MS) node.pongReceivedAt = pongAt as Millis
  }
  if (node.health === 'ok' || flags & NODE_FLAGS.noAddress) return
  const entry = readEntry(section, at)
  if (isElsewhere(node, entry)) moveNode(c, node, entry)
}

function meetThirdNode(c: Cluster, sender: ClusterNode, entry: GossipEntry): void {
  const { id, ip, port, otherPort, busPort, flags } = entry
  if (flags & NODE_FLAGS.noAddress || isBlacklisted(c, id)) return
  trace(c, 'gossip', `introduced to ${id} at ${ip}:${port}@${busPort}`)
  const node = createNode(c, id)
  adoptFlags(node, flags)
  Object.assign(node, { ip, port, otherPort, busPort })
  addNode(c, node)
  record(c, { type: 'joined', node: id, by: sender.id })
  needSave(c, 'save')
}

const isElsewhere = (node: ClusterNode, entry: GossipEntry): boolean =>
  node.ip !== entry.ip || node.port !== entry.port || node.busPort !== entry.busPort

/** Over a link still being dialled the ping counts as sent: it leaves first thing when the link comes up, and if it
 *  never does, the silence began now. */
function ping(c: Cluster, node: ClusterNode): void {
  node.pingSentAt = c.now
  if (node.outbound) sendPing(c, node.outbound, 'ping')
}

/** An old link on which nothing comes back, halfway to a suspicion: perhaps the node is well and only the link is not. */
function isStuck(c: Cluster, node: ClusterNode, link: Link): boolean {
  const timeout = c.options.nodeTimeoutMs
  return (
    node.pingSentAt !== 0 &&
    c.now - node.pingSentAt > timeout / 2 &&
    c.now - node.dataReceivedAt > timeout / 2 &&
    c.now - link.createdAt > timeout
  )
}

function dropSwollenLinks(c: Cluster, node: ClusterNode): void {
  const limit = c.options.linkSendbufLimit
  if (limit === 0) return
  for (const link of [node.outbound, node.inbound]) {
    const used = link ? c.facts.bufferedOn(link.id) : 0
    if (!link || used <= limit) continue
    const which = `${link.outbound ? 'to' : 'from'} node ${node.id}, used memory: ${used}`
    log(c, 'warning', `Freeing cluster link(${which}) due to exceeding send buffer memory limit.`)
    closeLink(c, link)
    c.stats.bufferLimitExceeded++
  }
}
