/** Slot ownership: every claim carries a config epoch, and the higher epoch wins everywhere. */
import type { Epoch, NodeId } from '../lib/base/brand.ts'
import { noteReturn } from './failure.ts'
import { record } from './history.ts'
import { SLOT_BYTES } from './layout.ts'
import type { Header } from './message.ts'
import { sendBody } from './send.ts'
import {
  bindSlot,
  countBits,
  countSlots,
  findSlot,
  handOver,
  hasSlot,
  listSlots,
  lowestBit,
  ofOneOwner,
  rebindSlot,
  shareSlots,
} from './slots.ts'
import { type Cluster, type ClusterNode, primaryOf } from './state.ts'
import { followPrimary, log, makePrimaryRow, needSave, needSaveLearned } from './table.ts'

/** What taking over a claim did to us. */
interface Outcome {
  /** How many slots were taken from us, or from our primary. */
  takenFromUs: number
  /** Bitmap of the slots that were ours. */
  readonly ours: Uint8Array
  /** The first of the slots taken from each owner (undefined: they were free), and how many they are. */
  readonly taken: Map<ClusterNode | undefined, { first: number; count: number }>
}

/** Whether the slots in a header are news: not what we recorded for the sender, or for its primary, or again one we
 *  believed to be given up. Most pings say what we know already and are settled here. */
export function claimsDiffer(c: Cluster, sender: ClusterNode, slots: Uint8Array): boolean {
  const primary = primaryOf(sender)
  if (!primary) return false
  return Buffer.compare(primary.slots, slots) !== 0 || shareSlots(c.unclaimed, slots)
}

/** Accepts the slots `claimant` claims with `epoch`, as far as the rules allow, and draws the consequence for ourselves:
 *  who lost all slots follows the one that took them. Specification: "Hash slots configuration propagation". */
export function acceptClaims(
  c: Cluster,
  claimant: ClusterNode,
  epoch: Epoch,
  slots: Uint8Array,
  cause: 'claim' | 'update',
): void {
  if (claimant === c.myself) return
  const ours = primaryOf(c.myself)
  noteReturn(c, claimant, cause === 'claim')
  const outcome = rebind(c, claimant, epoch, slots, ours)
  for (const [from, taken] of outcome.taken) {
    record(c, { type: 'slots', ...taken, from: from?.id, to: claimant.id, epoch, cause })
  }
  const mayFollow = c.options.allowReplicaMigration || countSlots(slots) === outcome.takenFromUs
  if (outcome.takenFromUs > 0 && ours?.slotCount === 0 && mayFollow) {
    log(c, 'warning', `Configuration change detected. Reconfiguring myself as a replica of ${claimant.id}`)
    reconfigure(c, claimant, 'lost-slots')
  } else if (!leaveSubReplica(c)) {
    // The new owner has the truth. A node that turns replica needs no purge, it is about to get all data anew.
    const dirty = listSlots(outcome.ours).filter((s) => c.facts.keysInSlot(s) > 0)
    if (dirty.length > 0) c.effects.push({ type: 'purge', slots: dirty })
  }
}

/** A replica of a replica follows the primary of that one; true when we were. Judged with each ping of our primary too: a
 *  real server looks only when slots changed, and stays behind for ever when they changed before the role did. */
export function leaveSubReplica(c: Cluster): boolean {
  const grandPrimary = c.myself.primary?.primary
  if (!grandPrimary || grandPrimary === c.myself) return false
  // A winner's last words as a replica may come after its first as a primary, on the other link: they name the primary it
  // replaced, which has no slots any more.
  if (grandPrimary.slotCount === 0) return false
  log(c, 'warning', `I'm a sub-replica! Reconfiguring myself as a replica of grandmaster ${grandPrimary.id}`)
  reconfigure(c, grandPrimary, 'sub-replica')
  return true
}

/** Tells a sender whose claim is out of date who owns the first slot in question. One message is enough: the next ping
 *  that is still wrong gets the next one. */
export function answerStaleClaim(c: Cluster, sender: ClusterNode, header: Header): void {
  const stale = findSlot(header.slots, sender.slots, (s) => {
    const owner = c.owners[s]
    return owner !== undefined && owner.configEpoch > header.configEpoch && !hasSlot(c.unclaimed, s)
  })
  if (stale === undefined) return
  const owner = c.owners[stale]!
  log(c, 'verbose', `Node ${sender.id} has old slots configuration, sending an UPDATE message about ${owner.id}`)
  sendUpdate(c, sender, owner)
}

/** Tells a primary of slots that it claimed with the config epoch it has, and does not claim now: it gave them up, or has lost
 *  its memory of them with its power. It knows which; a real server takes no news about itself. */
export function remindOfClaims(c: Cluster, sender: ClusterNode, header: Header): void {
  if (sender.role !== 'primary' || header.configEpoch !== sender.configEpoch) return
  if (findSlot(sender.slots, header.slots, () => true) === undefined) return
  sendBody(c, sender, { type: 'update', configEpoch: sender.configEpoch, node: sender.id, slots: sender.slots.slice() })
}

/** Claims again what became ours so shortly before the power failed that nodes.conf does not have it. The end of an import is
 *  not forced to disk, which would take most of the time of a reshard: whoever knows it reminds us. What we gave up of our own
 *  accord is not ours again, so these are only slots whose owner, by that file, does not claim them either. */
function reclaim(c: Cluster, epoch: Epoch, slots: Uint8Array): void {
  const { myself } = c
  if (myself.role !== 'primary' || epoch !== myself.configEpoch) return
  const lost = slots.map((bits, i) => bits & c.recalled[i]! & c.unclaimed[i]!)
  for (const s of listSlots(lost)) {
    log(c, 'warning', `Slot ${s} was ours before the restart, others say. Taking responsibility for it again.`)
    const change = { type: 'slots', first: s, count: 1, from: c.owners[s]?.id, to: myself.id } as const
    record(c, { ...change, epoch, cause: 'update' })
    c.importingFrom.delete(s)
    rebindSlot(c, myself, s)
    c.stateDirty = true
    needSave(c, 'fsync')
  }
}

/** An UPDATE: news about a node, told by anybody. About ourselves it is a reminder, and about others news only by a higher config epoch. But
 *  of one that we have just met we may know the epoch and not the slots: every message tells the one, only a ping the others. */
export function receiveUpdate(c: Cluster, id: NodeId, epoch: Epoch, slots: Uint8Array): void {
  const node = c.nodes.get(id)
  if (node === c.myself) return reclaim(c, epoch, slots)
  if (!node) return
  const isUntold = node.role === 'primary' && node.slotCount === 0 && node.configEpoch === epoch
  if (node.configEpoch >= epoch && !isUntold) return
  makePrimaryRow(c, node)
  node.configEpoch = epoch
  needSaveLearned(c, 'fsync')
  acceptClaims(c, node, epoch, slots, 'update')
}

/** Makes the slots of a freshly loaded data set ours where the table disagrees: free ones are claimed, those of another
 *  node become importing, so that their keys can be served and moved on. Primaries only; a replica's keys follow its
 *  primary's. */
export function claimLoadedSlots(c: Cluster, slotsWithKeys: readonly number[]): void {
  if (c.myself.role !== 'primary') return
  for (const s of slotsWithKeys) {
    const owner = c.owners[s]
    if (owner === c.myself || c.importingFrom.has(s)) continue
    if (!owner) {
      log(c, 'warning', `I have keys for unassigned slot ${s}. Taking responsibility for it.`)
      const change = { type: 'slots', first: s, count: 1, from: undefined, to: c.myself.id } as const
      record(c, { ...change, epoch: c.myself.configEpoch, cause: 'loaded' })
      bindSlot(c, c.myself, s)
      c.stateDirty = true
    } else {
      const what = `I have keys for slot ${s}, but the slot is assigned to another node. Setting it to importing state.`
      log(c, 'warning', what)
      c.importingFrom.set(s, owner)
    }
    needSave(c, 'fsync')
  }
}

/** Looks at what differs only, byte by byte: a failover moves thousands of slots, and its clients are waiting for it. */
function rebind(c: Cluster, claimant: ClusterNode, epoch: Epoch, slots: Uint8Array, ours?: ClusterNode): Outcome {
  const outcome: Outcome = { takenFromUs: 0, ours: new Uint8Array(SLOT_BYTES), taken: new Map() }
  for (let i = 0; i < SLOT_BYTES; i++) {
    const claimed = slots[i]!
    const bound = claimant.slots[i]!
    // A slot it gave up stays bound to it, so that clients are redirected rather than refused, but up for grabs, and no
    // longer something we vouch for in an UPDATE.
    c.unclaimed[i] = (c.unclaimed[i]! | (bound & ~claimed)) & ~(bound & claimed)
    const news = claimed & ~bound
    let same = 0
    for (let rest = news & ~importing(c, i, news); rest !== 0; rest &= ~same) {
      same = ofOneOwner(c, i, rest)
      const owner = c.owners[(i << 3) | lowestBit(same)]
      const free = owner && owner.configEpoch >= epoch ? same & c.unclaimed[i]! : same
      if (free === 0) continue
      const count = countBits(free)
      if (owner === c.myself) outcome.ours[i]! |= free
      if (owner && owner === ours) outcome.takenFromUs += count
      const taken = outcome.taken.get(owner)
      if (taken) taken.count += count
      else outcome.taken.set(owner, { first: (i << 3) | lowestBit(free), count })
      handOver(c, i, free, claimant)
      c.stateDirty = true
      needSaveLearned(c, 'fsync')
    }
  }
  return outcome
}

/** Of slots in byte `i` of a bitmap, those we are importing: they change hands only by the operator's word. */
function importing(c: Cluster, i: number, bits: number): number {
  let found = 0
  if (c.importingFrom.size === 0) return found
  for (let rest = bits; rest !== 0; rest &= rest - 1) {
    if (c.importingFrom.has((i << 3) | lowestBit(rest))) found |= rest & -rest
  }
  return found
}

function reconfigure(c: Cluster, primary: ClusterNode, cause: 'lost-slots' | 'sub-replica'): void {
  followPrimary(c, primary, cause)
  needSaveLearned(c, 'fsync')
}

function sendUpdate(c: Cluster, to: ClusterNode, owner: ClusterNode): void {
  const slots = owner.slots.map((byte, i) => byte & ~c.unclaimed[i]!)
  sendBody(c, to, { type: 'update', configEpoch: owner.configEpoch, node: owner.id, slots })
}
