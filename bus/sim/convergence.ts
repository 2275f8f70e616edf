/** Convergence: all living nodes tell the same story, and every slot is served. */
import { SLOT_COUNT } from '../../lib/base/brand.ts'
import type { Cluster, ClusterNode } from '../state.ts'
import type { SimNode } from './node.ts'

/** Why the living nodes do not agree on a whole cluster yet; undefined when they do: all are in state ok, know each other
 *  by name as what each is itself, and every slot belongs to the living primary that says so. As many slots as are
 *  `unservable` may be missing. */
export function whyNotConverged(nodes: readonly SimNode[], unservable = 0): string | undefined {
  const living = nodes.filter((node) => node.alive)
  for (const node of living) {
    const c = node.cluster
    if (c.state !== 'ok') return `n${node.index} is in state fail`
    const fault = whyOutOfPlace(node)
    if (fault) return `n${node.index} ${fault}`
    for (const other of living) {
      const difference = describeDifference(c, other.cluster)
      if (difference) return `n${node.index} about n${other.index}: ${difference}`
    }
  }
  const served = living.reduce((sum, { cluster }) => sum + ownSlots(cluster), 0)
  const missing = SLOT_COUNT - served - unservable
  return missing <= 0 ? undefined : `${missing} slots are served by no living node`
}

/** Who lost its slots follows who has them now, and so do its replicas. Only where it keeps replicas from moving to other
 *  shards (`cluster-allow-replica-migration no`) may somebody stay behind. */
function whyOutOfPlace({ cluster: { myself }, options, data }: SimNode): string | undefined {
  if (!options.allowReplicaMigration) return undefined
  if (myself.role === 'replica')
    return myself.primary?.slotCount === 0 ? 'replicates a primary without slots' : undefined
  return myself.slotCount === 0 && data.count > 0 ? 'is a primary with data and without slots' : undefined
}

const ownSlots = ({ myself }: Cluster): number => (myself.role === 'primary' ? myself.slotCount : 0)

/** What a node has wrong about another one, given what that one says about itself. */
function describeDifference(c: Cluster, { myself }: Cluster): string | undefined {
  const row = c.nodes.get(myself.id)
  if (!row) return 'unknown'
  if (row.handshake) return 'still in handshake'
  if (row.health !== 'ok') return `believed to ${row.health}`
  if (row.role !== myself.role) return `a ${myself.role}, not a ${row.role}`
  if (row.primary?.id !== myself.primary?.id) return 'a replica of another primary'
  if (myself.role === 'primary') return describeClaims(row, myself)
  return undefined
}

function describeClaims(row: ClusterNode, myself: ClusterNode): string | undefined {
  // Who was a replica showed its primary's epoch, and is remembered with it: without slots that means nothing.
  if (row.configEpoch !== myself.configEpoch && myself.slotCount > 0)
    return `config epoch ${myself.configEpoch}, not ${row.configEpoch}`
  if (Buffer.compare(row.slots, myself.slots) !== 0) return `${myself.slotCount} slots, not ${row.slotCount}, or others`
  return undefined
}
