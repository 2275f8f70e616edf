/** Epochs: the cluster's logical clock. `currentEpoch` is the highest anybody has shown us; the config epoch of a primary
 *  versions its claim on its slots, and two primaries must not keep the same one. */
import type { Epoch } from '../lib/base/brand.ts'
import { record } from './history.ts'
import type { Header } from './message.ts'
import type { Cluster, ClusterNode } from './state.ts'
import { log, needSave, needSaveLearned } from './table.ts'

/** The highest epoch in sight: of the cluster, and of every node's configuration. */
export function maxEpoch(c: Cluster): Epoch {
  let max = c.currentEpoch
  for (const node of c.nodes.values()) if (node.configEpoch > max) max = node.configEpoch
  return max
}

/** Learns from any header of a known sender. Both epochs only grow. */
export function learnEpochs(c: Cluster, sender: ClusterNode, header: Header): void {
  if (header.currentEpoch > c.currentEpoch) c.currentEpoch = header.currentEpoch
  if (header.configEpoch <= sender.configEpoch) return
  sender.configEpoch = header.configEpoch
  needSaveLearned(c, 'fsync')
}

/** Takes a new config epoch without asking anybody, so that a configuration an operator forced (SETSLOT NODE, TAKEOVER,
 *  BUMPEPOCH) wins everywhere. False when ours is the highest already. The price is that two nodes may do this at once
 *  and collide; the collision rule below then settles it. */
export function bumpEpochWithoutConsensus(c: Cluster): boolean {
  const max = maxEpoch(c)
  if (c.myself.configEpoch !== 0 && c.myself.configEpoch === max) return false
  c.currentEpoch = (max + 1) as Epoch
  takeCurrentEpoch(c)
  record(c, { type: 'epoch', epoch: c.currentEpoch, cause: 'operator' })
  log(c, 'warning', `New configEpoch set to ${c.myself.configEpoch}`)
  return true
}

/** Two primaries with the same config epoch: the one with the smaller id takes a new one, so exactly one of the two
 *  moves. Specification: "configEpoch conflicts resolution algorithm". It holds for primaries without slots too. */
export function handleEpochCollision(c: Cluster, sender: ClusterNode): void {
  const { myself } = c
  if (myself.role !== 'primary' || sender.role !== 'primary') return
  if (sender.configEpoch !== myself.configEpoch || sender.id <= myself.id) return
  c.currentEpoch = (c.currentEpoch + 1) as Epoch
  takeCurrentEpoch(c)
  record(c, { type: 'epoch', epoch: c.currentEpoch, cause: 'collision', with: sender.id })
  log(c, 'verbose', `WARNING: configEpoch collision with node ${sender.id}. configEpoch set to ${myself.configEpoch}`)
}

function takeCurrentEpoch(c: Cluster): void {
  c.myself.configEpoch = c.currentEpoch
  needSave(c, 'fsync')
}
