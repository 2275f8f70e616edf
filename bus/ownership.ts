/** Slot ownership: every claim carries a config epoch, and the higher epoch wins everywhere. */
import { type Epoch, type NodeId, SLOT_COUNT } from '../lib/base/brand.ts'
import type { Header } from './message.ts'
import { sendBody } from './send.ts'
import { addSlot, bindSlot, hasSlot, removeSlot, unbindSlot } from './slots.ts'
import { type Cluster, type ClusterNode, primaryOf } from './state.ts'
import { followPrimary, log, makePrimaryRow, needSave } from './table.ts'

/** What taking over a claim did to us. */
interface Outcome {
  /** How many slots the claimant claims in all. */
  claimed: number
  /** How many of them were taken from us, or from our primary. */
  takenFromUs: number
  /** Slots that were ours and still hold keys. */
  readonly dirty: number[]
}

/** Whether the slots in a header are news: not what we recorded for the sender, or for its primary, or again one we
 *  believed to be given up. Most pings say what we know already and are settled here. */
export function claimsDiffer(c: Cluster, sender: ClusterNode, slots: Uint8Array): boolean {
  const primary = primaryOf(sender)
  if (!primary) return false
  return Buffer.compare(primary.slots, slots) !== 0 || c.unclaimed.some((byte, i) => (byte & slots[i]!) !== 0)
}

/** Accepts the slots `claimant` claims with `epoch`, as far as the rules allow, and draws the consequence for ourselves:
 *  who lost all slots follows the one that took them. Specification: "Hash slots configuration propagation". */
export function acceptClaims(c: Cluster, claimant: ClusterNode, epoch: Epoch, slots: Uint8Array): void {
  if (claimant === c.myself) return
  const ours = primaryOf(c.myself)
  const outcome = rebind(c, claimant, epoch, slots, ours)
  const mayFollow = c.options.allowReplicaMigration || outcome.claimed === outcome.takenFromUs
  const grandPrimary = c.myself.primary?.primary
  if (outcome.takenFromUs > 0 && ours?.slotCount === 0 && mayFollow) {
    log(c, 'warning', `Configuration change detected. Reconfiguring myself as a replica of ${claimant.id}`)
    reconfigure(c, claimant)
  } else if (grandPrimary && grandPrimary !== c.myself) {
    log(c, 'warning', `I'm a sub-replica! Reconfiguring myself as a replica of grandmaster ${grandPrimary.id}`)
    reconfigure(c, grandPrimary)
  } else if (outcome.dirty.length > 0) {
    // The new owner has the truth. A node that turns replica needs no purge, it is about to get all data anew.
    c.effects.push({ type: 'purge', slots: outcome.dirty })
  }
}

/** Tells a sender whose claim is out of date who owns the first slot in question. One message is enough: the next ping
 *  that is still wrong gets the next one. */
export function answerStaleClaim(c: Cluster, sender: ClusterNode, header: Header): void {
  for (let s = 0; s < SLOT_COUNT; s++) {
    const owner = c.owners[s]
    if (!owner || owner === sender || !hasSlot(header.slots, s) || hasSlot(c.unclaimed, s)) continue
    if (owner.configEpoch <= header.configEpoch) continue
    log(c, 'verbose', `Node ${sender.id} has old slots configuration, sending an UPDATE message about ${owner.id}`)
    sendUpdate(c, sender, owner)
    return
  }
}

/** An UPDATE: news about a node, told by anybody. Only a higher config epoch is news, and about ourselves none is. */
export function receiveUpdate(c: Cluster, id: NodeId, epoch: Epoch, slots: Uint8Array): void {
  const node = c.nodes.get(id)
  if (!node || node === c.myself || node.configEpoch >= epoch) return
  makePrimaryRow(c, node)
  node.configEpoch = epoch
  needSave(c, 'fsync')
  acceptClaims(c, node, epoch, slots)
}

/** Makes the slots of a freshly loaded data set ours where the table disagrees: free ones are claimed, those of another
 *  node become importing, so that their keys can be served and moved on. Primaries only; a replica's keys follow its
 *  primary's. */
export function claimLoadedSlots(c: Cluster, slotsWithKeys: readonly number[]): void {
  if (c.myself.role !== 'primary') return
  for (const s of slotsWithKeys) {
    const owner = c.owners[s]
    if (owner === c.myself || c.importingFrom[s]) continue
    if (!owner) {
      log(c, 'warning', `I have keys for unassigned slot ${s}. Taking responsibility for it.`)
      bindSlot(c, c.myself, s)
      c.stateDirty = true
    } else {
      const what = `I have keys for slot ${s}, but the slot is assigned to another node. Setting it to importing state.`
      log(c, 'warning', what)
      c.importingFrom[s] = owner
    }
    needSave(c, 'fsync')
  }
}

function rebind(c: Cluster, claimant: ClusterNode, epoch: Epoch, slots: Uint8Array, ours?: ClusterNode): Outcome {
  const outcome: Outcome = { claimed: 0, takenFromUs: 0, dirty: [] }
  for (let s = 0; s < SLOT_COUNT; s++) {
    const owner = c.owners[s]
    if (!hasSlot(slots, s)) {
      // Still bound to it, so that clients are redirected rather than refused, but up for grabs, and no longer
      // something we vouch for in an UPDATE.
      if (owner === claimant) addSlot(c.unclaimed, s)
      continue
    }
    outcome.claimed++
    if (owner === claimant) {
      removeSlot(c.unclaimed, s)
      continue
    }
    // A slot being imported changes hands only by the operator's word.
    if (c.importingFrom[s]) continue
    if (owner && !hasSlot(c.unclaimed, s) && owner.configEpoch >= epoch) continue
    if (owner === c.myself && c.facts.keysInSlot(s) > 0) outcome.dirty.push(s)
    if (owner && owner === ours) outcome.takenFromUs++
    unbindSlot(c, s)
    bindSlot(c, claimant, s)
    c.stateDirty = true
    needSave(c, 'fsync')
  }
  return outcome
}

function reconfigure(c: Cluster, primary: ClusterNode): void {
  followPrimary(c, primary)
  needSave(c, 'fsync')
}

function sendUpdate(c: Cluster, to: ClusterNode, owner: ClusterNode): void {
  const slots = owner.slots.map((byte, i) => byte & ~c.unclaimed[i]!)
  sendBody(c, to, { type: 'update', configEpoch: owner.configEpoch, node: owner.id, slots })
}
