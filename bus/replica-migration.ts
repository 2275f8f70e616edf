/** Replica migration: a primary that lost its last working replica gets one from a primary that can spare it, so that the
 *  next failure does not take slots away. Specification: "Replica migration". */
import type { Millis } from '../lib/base/brand.ts'
import type { Cluster, ClusterNode } from './state.ts'
import { countWorkingReplicas, followPrimary, log, needSave, rowsOf } from './table.ts'

/** A primary must have been alone for so long: during a failover the other replicas take a while to follow the winner. */
const ORPHAN_DELAY_MS = 5000

/** Why we stay with our primary. */
export type NoMigrationReason =
  | 'not-a-replica'
  | 'primary-unknown'
  | 'migration-disabled'
  | 'no-orphan'
  | 'primary-has-not-most-replicas'
  | 'cluster-down'
  | 'barrier'
  | 'not-the-candidate'
  | 'orphaned-too-recently'

/** Moves us to an orphaned primary when it is upon us. Called every tick. */
export function considerMigration(c: Cluster): void {
  if (c.myself.role !== 'replica') return
  if (!trackOrphans(c) || whyNoMigration(c) !== undefined) return
  const target = migrationTarget(c)!
  log(c, 'warning', `Migrating to orphaned master ${target.id}`)
  followPrimary(c, target, 'orphan')
  needSave(c, 'save')
}

/** Why we do not move; undefined when we should. */
export function whyNoMigration(c: Cluster): NoMigrationReason | undefined {
  const { role, primary } = c.myself
  if (role !== 'replica') return 'not-a-replica'
  if (!primary) return 'primary-unknown'
  if (!c.options.allowReplicaMigration) return 'migration-disabled'
  const target = migrationTarget(c)
  if (!target) return 'no-orphan'
  // It takes a primary with two: one with a single replica has none to spare.
  const most = Math.max(...workingPrimaries(c).map(countWorkingReplicas))
  if (most < 2 || primary.health === 'fail' || countWorkingReplicas(primary) !== most) {
    return 'primary-has-not-most-replicas'
  }
  if (c.state !== 'ok') return 'cluster-down'
  const healthy = primary.replicas.filter((replica) => replica.health === 'ok').length
  if (healthy <= c.options.migrationBarrier) return 'barrier'
  if (migrationCandidate(c, most) !== c.myself) return 'not-the-candidate'
  if (c.now - target.orphanedAt <= ORPHAN_DELAY_MS) return 'orphaned-too-recently'
  return undefined
}

/** A primary that serves slots, works, had replicas once and has no working one now. */
export const isOrphaned = (node: ClusterNode): boolean =>
  node.role === 'primary' &&
  node.health !== 'fail' &&
  node.slotCount > 0 &&
  node.migrateTo &&
  node.replicas.every((replica) => replica.health === 'fail')

/** The primary that would get a replica first. */
const migrationTarget = (c: Cluster): ClusterNode | undefined => [...c.nodes.values()].find(isOrphaned)

/** The replica to move, which all nodes find alike without talking about it: the smallest id among the working replicas
 *  of the primaries that have the most. */
function migrationCandidate(c: Cluster, most: number): ClusterNode {
  return workingPrimaries(c)
    .filter((node) => countWorkingReplicas(node) === most)
    .flatMap((node) => node.replicas)
    .filter((replica) => replica.health !== 'fail')
    .reduce((smallest, replica) => (replica.id < smallest.id ? replica : smallest), c.myself)
}

const workingPrimaries = (c: Cluster): ClusterNode[] =>
  [...c.nodes.values()].filter((node) => node.role === 'primary' && node.health !== 'fail')

/** Keeps the time each primary has been orphaned without interruption; true when there is one. */
function trackOrphans(c: Cluster): boolean {
  let found = false
  for (const node of rowsOf(c)) {
    const orphaned = isOrphaned(node)
    found ||= orphaned
    if (!orphaned) node.orphanedAt = 0 as Millis
    else if (node.orphanedAt === 0) node.orphanedAt = c.now
  }
  return found
}
