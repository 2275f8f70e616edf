/** Slots: bitmaps of them, and which node each is bound to. The binding lives twice, in `owners` and in the node's own
 *  bitmap, so only this file changes either. */
import { SLOT_COUNT } from '../lib/base/brand.ts'
import { type Cluster, type ClusterNode, inMyShard } from './state.ts'

/** Whether slot `s` is in the bitmap: bit s&7 of byte s>>3, as on the wire. */
export const hasSlot = (bitmap: Uint8Array, s: number): boolean => (bitmap[s >> 3]! & (1 << (s & 7))) !== 0

/** Puts slot `s` into the bitmap. */
export function addSlot(bitmap: Uint8Array, s: number): void {
  bitmap[s >> 3]! |= 1 << (s & 7)
}

/** Takes slot `s` out of the bitmap. */
export function removeSlot(bitmap: Uint8Array, s: number): void {
  bitmap[s >> 3]! &= ~(1 << (s & 7))
}

/** The slots of a bitmap as inclusive ranges, ascending and as long as can be. */
export function slotRanges(bitmap: Uint8Array): Array<readonly [number, number]> {
  const ranges: Array<readonly [number, number]> = []
  for (let s = 0; s < SLOT_COUNT; s++) {
    if (!hasSlot(bitmap, s)) continue
    const first = s
    while (s + 1 < SLOT_COUNT && hasSlot(bitmap, s + 1)) s++
    ranges.push([first, s])
  }
  return ranges
}

/** Binds a free slot to `node`; false, and nothing happens, when anybody owns it already. */
export function bindSlot(c: Cluster, node: ClusterNode, s: number): boolean {
  if (c.owners[s]) return false
  c.owners[s] = node
  addSlot(node.slots, s)
  removeSlot(c.unclaimed, s)
  // A primary that gets its first slot in a cluster with replicas deserves some of them: it is a migration target from
  // the start (clause "replica migration"; observed as flag 256).
  if (++node.slotCount === 1 && anyPrimaryHasReplicas(c)) node.migrateTo = true
  return true
}

/** Frees a slot; false when nobody owned it. */
export function unbindSlot(c: Cluster, s: number): boolean {
  const owner = c.owners[s]
  if (!owner) return false
  if (inMyShard(c, owner)) c.lostSlots.push(s)
  c.owners[s] = undefined
  removeSlot(owner.slots, s)
  removeSlot(c.unclaimed, s)
  owner.slotCount--
  return true
}

/** Frees every slot of a node; returns how many there were. */
export function unbindAll(c: Cluster, node: ClusterNode): number {
  const count = node.slotCount
  for (let s = 0; s < SLOT_COUNT && node.slotCount > 0; s++) if (c.owners[s] === node) unbindSlot(c, s)
  return count
}

/** The slots noted as lost in this step that our shard does not own again at its end: a failover inside the shard takes
 *  every slot from the old primary and gives it to the new one, and loses none. */
export function slotsStillLost(c: Cluster): number[] {
  return c.lostSlots.filter((s) => {
    const owner = c.owners[s]
    return owner === undefined || !inMyShard(c, owner)
  })
}

function anyPrimaryHasReplicas(c: Cluster): boolean {
  for (const node of c.nodes.values()) if (node.role === 'primary' && node.replicas.length > 0) return true
  return false
}
