/** Replication between simulated nodes: who follows whom, partial and full synchronisation, lag, and what each node's core
 *  is told of it. */
import type { Millis, NodeId } from '../../lib/base/brand.ts'
import { canReach, type Network } from './network.ts'
import type { SimNode } from './node.ts'
import { append, countUpTo, fork, isBeginningOf, noData, offsetOf } from './stream.ts'

/** How long a full synchronisation takes. */
const FULL_SYNC_MS = 400

/** The node replicates whoever is at the address of `source`. As in `lib/replication`: another target at another address
 *  keeps the time of the last contact, and who was a primary never had any. */
export function follow(node: SimNode, id: NodeId, source: SimNode | undefined, localNow: Millis): void {
  node.following = id
  node.facts.hasPrimaryTarget = true
  if (node.source === source) {
    if (node.facts.primaryLinkUp) node.facts.primarySyncs++
    return
  }
  if (!node.source) node.facts.primaryLastSeenAt = 0 as Millis
  else if (node.facts.primaryLinkUp) node.facts.primaryLastSeenAt = localNow
  detach(node)
  node.source = source
}

/** The node is a primary from now on, with a history of its own. */
export function lead(node: SimNode): void {
  node.following = undefined
  node.source = undefined
  node.facts.hasPrimaryTarget = false
  node.facts.primaryLastSeenAt = 0 as Millis
  detach(node)
  fork(node.data)
}

/** The process ended: the data are on disk, the connection is not. */
export function stop(node: SimNode): void {
  node.following = undefined
  node.source = undefined
  node.facts.hasPrimaryTarget = false
  node.facts.primaryLastSeenAt = 0 as Millis
  detach(node)
}

/** Every database is emptied. */
export function flush(node: SimNode): void {
  node.keys.clear()
  Object.assign(node.data, noData())
  tellOffset(node)
}

/** A client writes so many bytes. */
export function write(node: SimNode, name: number, bytes: number, now: number): void {
  const { data } = node
  // Replicas are at the end of their stream only while nobody else leads on with it.
  if (data.count < data.stream.writes.length) fork(data)
  append(data, name, bytes, now)
  data.count++
  tellOffset(node)
}

/** Brings a node up to date with what reached it, and tells its core. Called before each of its steps, and before the
 *  network changes. */
export function replicate(network: Network, node: SimNode, now: number, localNow: Millis): void {
  const { source, facts, data } = node
  if (!source || node.asleep) return
  if (!source.alive || !canReach(network, node, source) || !canReach(network, source, node)) {
    detach(node)
    return
  }
  if (source.asleep) return
  if (node.attached !== source.data.stream && !attach(node, source, now)) return
  facts.primaryLinkUp = true
  facts.primaryLastSeenAt = localNow
  if (node.heldBack) return
  const count = countUpTo(source.data, data.count, now - node.lagMs)
  if (count === data.count) return
  data.count = count
  tellOffset(node)
}

/** Resumes where the histories meet, or fetches everything. False while the latter takes its time. */
function attach(node: SimNode, source: SimNode, now: number): boolean {
  const { data } = node
  if (!isBeginningOf(data, source.data)) {
    node.facts.primaryLinkUp = false
    if (node.syncedAt === 0) node.syncedAt = now + FULL_SYNC_MS
    if (now < node.syncedAt) return false
    data.count = source.data.count
  }
  data.stream = source.data.stream
  node.attached = data.stream
  node.syncedAt = 0
  node.facts.primarySyncs++
  tellOffset(node)
  return true
}

function detach(node: SimNode): void {
  node.attached = undefined
  node.syncedAt = 0
  node.facts.primaryLinkUp = false
}

function tellOffset(node: SimNode): void {
  node.facts.replicationOffset = offsetOf(node.data)
}
