/** Links: which connection belongs to which node. Each pair of nodes has two, one dialled by either side; what we say
 *  unasked leaves on the one we dialled, answers go back where the question came from. */
import type { Cluster, ClusterNode, Link, LinkId } from './state.ts'

/** Dials a node. The link exists at once and is up when the transport says so. */
export function openLink(c: Cluster, node: ClusterNode): Link {
  const link: Link = {
    id: c.nextLinkId++,
    outbound: true,
    createdAt: c.now,
    up: false,
    node,
    remoteIp: '',
    localIp: '',
  }
  c.links.set(link.id, link)
  node.outbound = link
  c.effects.push({ type: 'connect', link: link.id, ip: node.ip, busPort: node.busPort })
  return link
}

/** Registers a connection somebody opened to us. Who it is shows when a known sender speaks on it. */
export function acceptLink(c: Cluster, id: LinkId, remoteIp: string, localIp: string): void {
  c.links.set(id, { id, outbound: false, createdAt: c.now, up: true, node: undefined, remoteIp, localIp })
}

/** Gives an accepted link its node. A newer connection replaces the older one, as a peer that restarted has no use for
 *  the one it left behind. */
export function attachInbound(c: Cluster, link: Link, node: ClusterNode): void {
  if (link.outbound || link.node === node) return
  if (link.node?.inbound === link) link.node.inbound = undefined
  if (node.inbound) closeLink(c, node.inbound)
  link.node = node
  node.inbound = link
}

/** Closes a link from our side. */
export function closeLink(c: Cluster, link: Link): void {
  forgetLink(c, link)
  c.effects.push({ type: 'drop', link: link.id })
}

/** Forgets a link that is gone. */
export function forgetLink(c: Cluster, link: Link): void {
  c.links.delete(link.id)
  link.up = false
  if (link.node?.outbound === link) link.node.outbound = undefined
  if (link.node?.inbound === link) link.node.inbound = undefined
}
