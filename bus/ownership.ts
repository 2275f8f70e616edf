/** Slot ownership: every claim carries a config epoch, and the higher epoch wins everywhere. */
import type { Epoch, NodeId } from '../lib/base/brand.ts'
import { record } from './history.ts'
import { SLOT_BYTES } from './layout.ts'
import type { Header } from './message.ts'
import { sendBody } from './send.ts'
import { bindSlot, countSlots, findSlot, hasSlot, lowestBit, shareSlots, unbindSlot } from './slots.ts'
import { type Cluster, type ClusterNode, primaryOf } from './state.ts'
import { followPrimary, log, makePrimaryRow, needSave, needSaveLearned } from './table.ts'

/** What taking over a claim did to us. */
interface Outcome {
  /** How many slots were taken from us, or from our primary. */
  takenFromUs: number
  /** Slots that were ours. */
  readonly ours: number[]
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
    const dirty = outcome.ours.filter((s) => c.facts.keysInSlot(s) > 0)
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

/** An UPDATE: news about a node, told by anybody. Only a higher config epoch is news, and about ourselves none is. */
export function receiveUpdate(c: Cluster, id: NodeId, epoch: Epoch, slots: Uint8Array): void {
  const node = c.nodes.get(id)
  if (!node || node === c.myself || node.configEpoch >= epoch) return
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
  const outcome: Outcome = { takenFromUs: 0, ours: [], taken: new Map() }
  for (let i = 0; i < SLOT_BYTES; i++) {
    const claimed = slots[i]!
    const bound = claimant.slots[i]!
    // A slot it gave up stays bound to it, so that clients are redirected rather than refused, but up for grabs, and no
    // longer something we vouch for in an UPDATE.
    c.unclaimed[i] = (c.unclaimed[i]! | (bound & ~claimed)) & ~(bound & claimed)
    for (let rest = claimed & ~bound; rest !== 0; rest &= rest - 1) {
      const s = (i << 3) | lowestBit(rest)
      const owner = c.owners[s]
      // A slot being imported changes hands only by the operator's word.
      if (c.importingFrom.has(s)) continue
      if (owner && owner.configEpoch >= epoch && !hasSlot(c.unclaimed, s)) continue
      if (owner === c.myself) outcome.ours.push(s)
      if (owner && owner === ours) outcome.takenFromUs++
      const taken = outcome.taken.get(owner)
      if (taken) taken.count++
      else outcome.taken.set(owner, { first: s, count: 1 })
      unbindSlot(c, s)
      bindSlot(c, claimant, s)
      c.stateDirty = true
      needSaveLearned(c, 'fsync')
    }
  }
  return outcome
}

function reconfigure(c: Cluster, primary: ClusterNode, cause: 'lost-slots' | 'sub-replica'): void {
  followPrimary(c, primary, cause)
  needSaveLearned(c, 'fsync')
}

function sendUpdate(c: Cluster, to: ClusterNode, owner: ClusterNode): void {
  const slots = owner.slots.map((byte, i) => byte & ~c.unclaimed[i]!)
  sendBody(c, to, { type: 'update', configEpoch: owner.configEpoch, node: owner.id, slots })
}
