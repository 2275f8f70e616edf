/** Handshake: how nodes come to know each other's ids and addresses, and how they are made to forget them. Trust starts
 *  with a MEET an operator asked for; whoever is known may introduce others. */
import type { Millis, NodeId } from '../lib/base/brand.ts'
import { record } from './history.ts'
import { MESSAGE_FLAGS, NODE_FLAGS } from './layout.ts'
import { closeLink } from './links.ts'
import type { Header, PingType } from './message.ts'
import { type Cluster, type ClusterNode, createNode, type Link } from './state.ts'
import { addNode, log, needSave, removeNode, renameNode, startReplication } from './table.ts'

/** A handshake lives for the node timeout, at least this long. */
const HANDSHAKE_MIN_MS = 1000

export interface Address {
  readonly ip: string
  readonly port: number
  readonly otherPort: number
  readonly busPort: number
}

/** Adds a node known by address only, under a random id until its own is learned. `meet` makes our first message a MEET:
 *  please know us too. False when this address is in handshake already. */
export function startHandshake(c: Cluster, address: Address, meet: boolean): boolean {
  for (const { handshake, ip, port, busPort } of c.nodes.values()) {
    if (handshake && ip === address.ip && port === address.port && busPort === address.busPort) return false
  }
  const node = createNode(c, c.random.hex(40) as NodeId)
  Object.assign(node, address, { handshake: true, meet })
  addNode(c, node)
  needSave(c, 'save')
  return true
}

/** Whether a handshake has had its time. */
export const isHandshakeOver = (c: Cluster, node: ClusterNode): boolean =>
  node.handshake && c.now - node.createdAt > Math.max(c.options.nodeTimeoutMs, HANDSHAKE_MIN_MS)

/** We are reached by the address a MEET came to; a PING teaches it only while we know none. An announced address is not
 *  questioned. */
export function learnOwnAddress(c: Cluster, link: Link, type: PingType): void {
  const { myself, options } = c
  if (type === 'pong' || options.announceIp || (type === 'ping' && myself.ip)) return
  if (!link.localIp || link.localIp === myself.ip) return
  myself.ip = link.localIp
  log(c, 'warning', `IP address for this node updated to ${myself.ip}`)
  needSave(c, 'save')
}

/** Completes the handshake of the link a known id answered on. The rest of its message is not used: who it is was not
 *  known when it was asked. False when the link is no good, and the message with it. */
export function settleIdentity(c: Cluster, link: Link, sender: ClusterNode | undefined, header: Header): boolean {
  const node = link.node
  if (!link.outbound || !node) return true
  if (node.handshake) {
    if (sender) return mergeHandshake(c, link, node, sender, header)
    completeHandshake(c, node, header)
  } else if (node !== sender) {
    loseAddress(c, link, node)
    return false
  }
  return true
}

/** Takes over a new address of a known sender from what it announces or where it speaks from. Our link to it is dialled
 *  anew, and replication too when it is our primary. */
export function updateAddress(c: Cluster, node: ClusterNode, link: Link, header: Header): void {
  if (link === node.outbound) return
  const seen = seenAddress(link, header)
  const { ip, port, otherPort, busPort } = seen
  if (!ip || (ip === node.ip && port === node.port && otherPort === node.otherPort && busPort === node.busPort)) return
  moveNode(c, node, seen)
  log(c, 'warning', `Address updated for node ${node.id}, now ${ip}:${port}`)
  if (c.myself.primary === node) startReplication(c, node)
  c.stateDirty = true
}

/** Gives a known node another address, to be dialled at the next tick. */
export function moveNode(c: Cluster, node: ClusterNode, to: Address): void {
  const { ip, port, otherPort, busPort } = to
  Object.assign(node, { ip, port, otherPort, busPort, noAddress: false })
  if (node.outbound) closeLink(c, node.outbound)
  needSave(c, 'save')
}

/** The address a message came from: what its sender announces, else where we see it. */
export function seenAddress(link: Link, header: Header): Address {
  const ip = header.ip || (link.outbound ? link.node?.ip : link.remoteIp) || ''
  return { ip, port: header.port, otherPort: header.otherPort, busPort: header.busPort }
}

/** Keeps an id from coming back through gossip for a while: long enough for the operator to tell every other node. */
export function blacklist(c: Cluster, id: NodeId, ttlSec: number): void {
  c.blacklist.set(id, (c.now + ttlSec * 1000) as Millis)
}

/** Whether an id was forgotten recently; entries that have had their time are dropped. */
export function isBlacklisted(c: Cluster, id: NodeId): boolean {
  for (const [other, until] of c.blacklist) if (until <= c.now) c.blacklist.delete(other)
  return c.blacklist.has(id)
}

function completeHandshake(c: Cluster, node: ClusterNode, header: Header): void {
  renameNode(c, node, header.sender)
  log(c, 'debug', `Handshake with node ${node.id} completed.`)
  node.handshake = false
  record(c, { type: 'joined', node: node.id })
  node.role = header.flags & NODE_FLAGS.replica ? 'replica' : 'primary'
  node.extensionsSupported = (header.messageFlags & MESSAGE_FLAGS.extData) !== 0
  // Somebody wants it back: we must not go on telling others that it is forgotten.
  c.blacklist.delete(node.id)
  needSave(c, 'save')
}

/** The node at the end of this link is one we know already: perhaps it moved. */
function mergeHandshake(c: Cluster, link: Link, node: ClusterNode, sender: ClusterNode, header: Header): false {
  log(c, 'verbose', `Handshake: we already know node ${sender.id}, updating the address if needed.`)
  if (sender !== c.myself) updateAddress(c, sender, link, header)
  removeNode(c, node)
  return false
}

/** Somebody else lives at the address we had for a node: where it is now, it will have to tell us. */
function loseAddress(c: Cluster, link: Link, node: ClusterNode): void {
  const age = c.now - node.createdAt
  log(c, 'debug', `PONG contains mismatching sender ID. About node ${node.id} added ${age} ms ago`)
  Object.assign(node, { noAddress: true, ip: '', port: 0, otherPort: 0, busPort: 0 })
  closeLink(c, link)
  needSave(c, 'save')
}
