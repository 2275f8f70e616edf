/** The nodes table: rows come and go, are renamed, and change role. Everything that keeps two rows consistent with each
 *  other is here, and the small verbs every rule uses to say that something must be saved, logged or traced. */
import { ID_LENGTH, type Millis, type NodeId } from '../lib/base/brand.ts'
import type { LogLevel } from '../lib/base/log.ts'
import { type Change, record } from './history.ts'
import { closeLink } from './links.ts'
import type { GossipSection } from './message.ts'
import { hashAt, hashOf, isAbout } from './section.ts'
import { unbindAll } from './slots.ts'
import type { Cluster, ClusterNode } from './state.ts'

type FollowCause = Extract<Change, { type: 'followed' }>['cause']

/** The node with this id; undefined for an unknown one, and so for text that cannot be an id. */
export const findNode = (c: Cluster, id: string): ClusterNode | undefined => c.nodes.get(id as NodeId)

/** All rows, in the order they came: a list that stays as it is when rows come and go. */
export function rowsOf(c: Cluster): readonly ClusterNode[] {
  c.rows ??= [...c.nodes.values()]
  return c.rows
}

/** The row of whom the gossip entry at byte `at` is about. No string is made of an id that is in the table. */
export function mentionedAt(c: Cluster, section: GossipSection, at: number): ClusterNode | undefined {
  const node = c.byHash.get(hashAt(section, at))
  if (node && isAbout(section, at, node.id)) return node
  return c.nodes.get(section.latin1Slice(at, at + ID_LENGTH) as NodeId)
}

/** Adds a row. Its id becomes a string of its own: one cut out of nodes.conf would keep that whole text, and be slow to read. */
export function addNode(c: Cluster, node: ClusterNode): void {
  node.id = Buffer.from(node.id, 'latin1').latin1Slice() as NodeId
  c.nodes.set(node.id, node)
  c.byHash.set(hashOf(node.id), node)
  c.rows = undefined
}

function takeOut(c: Cluster, node: ClusterNode): void {
  c.nodes.delete(node.id)
  c.byHash.delete(hashOf(node.id))
  c.rows = undefined
}

/** Removes a row and every trace of it: slots, marks, links, its reports about others, its place among replicas. */
export function removeNode(c: Cluster, node: ClusterNode): void {
  if (unbindAll(c, node) > 0) c.stateDirty = true
  clearMarks(c.migratingTo, node)
  clearMarks(c.importingFrom, node)
  for (const other of c.nodes.values()) other.failureReports?.delete(node)
  detachFromPrimary(c, node)
  for (const replica of node.replicas) replica.primary = undefined
  node.replicas = []
  if (node.outbound) closeLink(c, node.outbound)
  if (node.inbound) closeLink(c, node.inbound)
  takeOut(c, node)
}

/** Gives a row the id its node turned out to have. */
export function renameNode(c: Cluster, node: ClusterNode, id: NodeId): void {
  log(c, 'debug', `Renaming node ${node.id} into ${id}`)
  takeOut(c, node)
  node.id = id
  addNode(c, node)
}

/** Makes a row a replica of `primary`. Having had a replica makes the primary a target of replica migration. */
export function setReplicaOf(c: Cluster, node: ClusterNode, primary: ClusterNode): void {
  if (node.role === 'primary') {
    node.role = 'replica'
    node.migrateTo = false
  }
  if (node.primary === primary) return
  detachFromPrimary(c, node)
  node.primary = primary
  primary.replicas.push(node)
  primary.migrateTo = true
}

/** Takes a replica from its primary, which stops being a target of migration with the last one. */
export function detachFromPrimary(_c: Cluster, node: ClusterNode): void {
  const primary = node.primary
  if (!primary) return
  primary.replicas = primary.replicas.filter((replica) => replica !== node)
  if (primary.replicas.length === 0) primary.migrateTo = false
  node.primary = undefined
}

/** Makes a row a primary: what a node announced, or what we just became. */
export function makePrimaryRow(c: Cluster, node: ClusterNode): void {
  if (node.role === 'primary') return
  // It had replicas beside it, so it may expect some: unless it is us, who would then wait for ourselves.
  if (node.primary && node !== c.myself) node.migrateTo = true
  detachFromPrimary(c, node)
  node.role = 'primary'
  c.stateDirty = true
  needSaveLearned(c, 'save')
}

/** Makes us a replica of `primary`. Slots must be gone already; the caller says why, and how urgently to save. */
export function followPrimary(c: Cluster, primary: ClusterNode, cause: FollowCause): void {
  record(c, { type: 'followed', primary: primary.id, cause })
  c.migratingTo.clear()
  c.importingFrom.clear()
  setReplicaOf(c, c.myself, primary)
  if (primary.shard !== c.myself.shard) c.foreignSyncs = c.facts.primarySyncs
  c.myself.shard = primary.shard
  c.stateDirty = true
  startReplication(c, primary)
  resetManualFailover(c)
}

/** Asks for the data of `primary`: after a change of role, of address, or of a restart. One whose address is not known
 *  yet is asked when it is. */
export function startReplication(c: Cluster, primary: ClusterNode): void {
  const { id, ip, port, otherPort } = primary
  if (ip) c.effects.push({ type: 'follow', primary: id, ip, port, otherPort })
}

/** Ends a manual failover of either side. A primary that made its clients wait lets them write again. */
export function resetManualFailover(c: Cluster): void {
  const manual = c.manual
  if (manual.replica) c.effects.push({ type: 'resume-writes' })
  manual.endsAt = 0 as Millis
  manual.replica = undefined
  manual.targetOffset = -1
  manual.canStart = false
  manual.epoch = undefined
}

/** How many replicas of a primary are not FAIL. */
export const countWorkingReplicas = (node: ClusterNode): number =>
  node.replicas.reduce((count, replica) => count + (replica.health === 'fail' ? 0 : 1), 0)

/** The wishes from the weakest to the strongest; of several in one step the strongest stays. */
const SAVE_WISHES: readonly Cluster['unsaved'][] = ['no', 'later', 'save', 'fsync']

/** Asks that nodes.conf be written before this step's effects leave. */
export function needSave(c: Cluster, how: 'later' | 'save' | 'fsync'): void {
  if (SAVE_WISHES.indexOf(how) > SAVE_WISHES.indexOf(c.unsaved)) c.unsaved = how
}

/** Asks that nodes.conf be written because of what others told us, or what we think of them. redis-server does it before
 *  anything leaves, and forces some of it to disk, as it does with its own promises (a vote, an epoch it took). But no
 *  safety rests on it: who loses it in a crash knows what it knew before, like a node that was away. With fast failover
 *  it is written soon after: the clients of a failover wait, and all nodes would be at their disks at once. */
export function needSaveLearned(c: Cluster, how: 'save' | 'fsync'): void {
  needSave(c, c.options.fastFailover ? 'later' : how)
}

/** A line for the server's log. */
export function log(c: Cluster, level: LogLevel, text: string): void {
  c.effects.push({ type: 'log', level, text })
}

/** A line for the debug package under rookery:<namespace>. */
export function trace(c: Cluster, namespace: string, text: string): void {
  c.effects.push({ type: 'trace', namespace, text })
}

function clearMarks(marks: Map<number, ClusterNode>, node: ClusterNode): void {
  for (const [slot, other] of marks) if (other === node) marks.delete(slot)
}
