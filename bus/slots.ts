/** Slots: bitmaps of them, and which node each is bound to. The binding lives twice, in `owners` and in the node's own
 *  bitmap, so only this file changes either. */
import { SLOT_COUNT } from '../lib/base/brand.ts'
import { SLOT_BYTES } from './layout.ts'
import { type Cluster, type ClusterNode, inMyShard, NO_SLOTS } from './state.ts'

/** Whether slot `s` is in the bitmap: bit s&7 of byte s>>3, as on the wire. */
export const hasSlot = (bitmap: Uint8Array, s: number): boolean => (bitmap[s >> 3]! & (1 << (s & 7))) !== 0

/** Puts slot `s` into the bitmap. */
export function addSlot(bitmap: Uint8Array, s: number): void {
  bitmap[s >> 3]! |= 1 << (s & 7)
}

/** Puts the slots of another bitmap into the bitmap. */
export function addSlots(bitmap: Uint8Array, slots: Uint8Array): void {
  for (let i = 0; i < SLOT_BYTES; i++) bitmap[i]! |= slots[i]!
}

/** Takes slot `s` out of the bitmap. */
export function removeSlot(bitmap: Uint8Array, s: number): void {
  bitmap[s >> 3]! &= ~(1 << (s & 7))
}

/** How many slots a bitmap has. */
export function countSlots(bitmap: Uint8Array): number {
  let count = 0
  for (const byte of bitmap) count += countBits(byte)
  return count
}

/** How many slots a byte of a bitmap has. */
export function countBits(byte: number): number {
  let count = 0
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++
  return count
}

/** The first slot of a bitmap, `except` for those of another, for which `claim` holds. */
export function findSlot(bitmap: Uint8Array, except: Uint8Array, claim: (s: number) => boolean): number | undefined {
  for (let i = 0; i < SLOT_BYTES; i++) {
    for (let rest = bitmap[i]! & ~except[i]!; rest !== 0; rest &= rest - 1) {
      const s = (i << 3) | lowestBit(rest)
      if (claim(s)) return s
    }
  }
  return undefined
}

/** Which is the lowest bit that is set; of 0 there is none. */
export const lowestBit = (bits: number): number => 31 - Math.clz32(bits & -bits)

/** Whether two bitmaps have a slot in common; cheap when the first is empty. */
export function shareSlots(one: Uint8Array, other: Uint8Array): boolean {
  if (Buffer.compare(one, NO_SLOTS) === 0) return false
  for (let i = 0; i < SLOT_BYTES; i++) if (one[i]! & other[i]!) return true
  return false
}

/** The slots of a bitmap as inclusive ranges, ascending and as long as can be. */
export function slotRanges(bitmap: Uint8Array): Array<readonly [number, number]> {
  const ranges: Array<readonly [number, number]> = []
  eachRange(bitmap, (first, last) => void ranges.push([first, last]))
  return ranges
}

function eachRange(bitmap: Uint8Array, take: (first: number, last: number) => void): void {
  let first = -1
  for (let i = 0; i < SLOT_BYTES; i++) {
    // Whole bytes at a time: nodes.conf is written while a failover waits for it, by code that seldom runs.
    if (bitmap[i] === (first < 0 ? 0 : 0xff)) continue
    for (let s = i << 3; s < (i + 1) << 3; s++) {
      if (hasSlot(bitmap, s) === first >= 0) continue
      if (first >= 0) take(first, s - 1)
      first = first < 0 ? s : -1
    }
  }
  if (first >= 0) take(first, SLOT_COUNT - 1)
}

/** The slots of a node as words, in order: `0-5460 7000`. Kept until a slot changes hands: nodes.conf is written for
 *  much else. */
export function slotText(node: ClusterNode): string {
  if (node.slotText !== undefined) return node.slotText
  let text = ''
  eachRange(node.slots, (first, last) => {
    text += `${text && ' '}${first === last ? first : `${first}-${last}`}`
  })
  node.slotText = text
  return text
}

/** The slots of a bitmap, ascending. */
export const listSlots = (bitmap: Uint8Array): number[] =>
  slotRanges(bitmap).flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i))

/** Binds a free slot to `node`; false, and nothing happens, when anybody owns it already. */
export function bindSlot(c: Cluster, node: ClusterNode, s: number): boolean {
  if (c.owners[s]) return false
  handOver(c, s >> 3, 1 << (s & 7), node)
  return true
}

/** Frees a slot; false when nobody owned it. */
export function unbindSlot(c: Cluster, s: number): boolean {
  if (!c.owners[s]) return false
  handOver(c, s >> 3, 1 << (s & 7), undefined)
  return true
}

/** Binds a slot to `node`, whoever owns it. */
export const rebindSlot = (c: Cluster, node: ClusterNode, s: number): void => handOver(c, s >> 3, 1 << (s & 7), node)

/** Binds every slot of a node to another one. */
export function moveSlots(c: Cluster, from: ClusterNode, to: ClusterNode): void {
  for (let i = 0; i < SLOT_BYTES; i++) if (from.slots[i] !== 0) handOver(c, i, from.slots[i]!, to)
}

/** Frees every slot of a node; returns how many there were. */
export function unbindAll(c: Cluster, node: ClusterNode): number {
  const count = node.slotCount
  for (let i = 0; i < SLOT_BYTES; i++) if (node.slots[i] !== 0) handOver(c, i, node.slots[i]!, undefined)
  return count
}

/** Of slots in byte `i` of a bitmap, those that belong to whom the lowest belongs to; of free ones the lowest alone. */
export function ofOneOwner(c: Cluster, i: number, bits: number): number {
  const owner = c.owners[(i << 3) | lowestBit(bits)]
  return owner ? bits & owner.slots[i]! : bits & -bits
}

/** Gives slots in byte `i` of a bitmap to a node, or to nobody; they have one owner, or none. A failover moves thousands of
 *  slots, all its nodes at once and all for the first time, while its clients wait: byte by byte that is a tenth of the work. */
export function handOver(c: Cluster, i: number, bits: number, to: ClusterNode | undefined): void {
  const from = c.owners[(i << 3) | lowestBit(bits)]
  if (from && inMyShard(c, from)) c.lostSlots.set(i, (c.lostSlots.get(i) ?? 0) | bits)
  if (from) {
    from.slots[i]! &= ~bits
    from.slotCount -= countBits(bits)
    from.slotText = undefined
  }
  if (to) {
    // A primary that gets its first slot in a cluster with replicas deserves some of them: it is a migration target from
    // the start (clause "replica migration"; observed as flag 256).
    if (to.slotCount === 0 && anyPrimaryHasReplicas(c)) to.migrateTo = true
    if (to.slots === NO_SLOTS) to.slots = new Uint8Array(SLOT_BYTES)
    to.slots[i]! |= bits
    to.slotCount += countBits(bits)
    to.slotText = undefined
  }
  c.unclaimed[i]! &= ~bits
  c.recalled[i]! &= ~bits
  if (bits === 0xff) c.owners.fill(to, i << 3, (i + 1) << 3)
  else for (let rest = bits; rest !== 0; rest &= rest - 1) c.owners[(i << 3) | lowestBit(rest)] = to
}

/** The slots noted as lost in this step that our shard does not own again at its end: a failover inside the shard takes
 *  every slot from the old primary and gives it to the new one, and loses none. */
export function slotsStillLost(c: Cluster): number[] {
  const lost: number[] = []
  for (const [i, bits] of c.lostSlots) {
    let same = 0
    for (let rest = bits; rest !== 0; rest &= ~same) {
      same = ofOneOwner(c, i, rest)
      const owner = c.owners[(i << 3) | lowestBit(same)]
      if (owner && inMyShard(c, owner)) continue
      for (let left = same; left !== 0; left &= left - 1) lost.push((i << 3) | lowestBit(left))
    }
  }
  return lost
}

function anyPrimaryHasReplicas(c: Cluster): boolean {
  for (const node of c.nodes.values()) if (node.role === 'primary' && node.replicas.length > 0) return true
  return false
}
