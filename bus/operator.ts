/** What CLUSTER commands change: one row for each operation. A row checks everything, then changes, then answers;
 *  undefined is OK. Error texts are those of redis-server 7.0.15, without the leading dash. */
import { type Epoch, type Millis, type NodeId, type ShardId, SLOT_COUNT } from '../lib/base/brand.ts'
import { bumpEpochWithoutConsensus } from './epoch.ts'
import type { Answer, Operation } from './event.ts'
import { blacklist, isBlacklisted, startHandshake } from './handshake.ts'
import { record } from './history.ts'
import { normalizeIp } from './ip.ts'
import { startManualFailover } from './manual-failover.ts'
import { broadcastPong, showImport } from './send.ts'
import { bindSlot, listSlots, rebindSlot, unbindAll, unbindSlot } from './slots.ts'
import type { Cluster, ClusterNode } from './state.ts'
import {
  findNode,
  followPrimary,
  log,
  makePrimaryRow,
  needSave,
  removeNode,
  renameNode,
  resetManualFailover,
} from './table.ts'

type Named<N extends Operation['name']> = Operation & { readonly name: N }
type SetSlot = Extract<Operation, { name: 'setslot' }>
type SetSlotAction<A extends SetSlot['action']> = SetSlot & { readonly action: A }

const OPERATIONS: { readonly [N in Operation['name']]: (c: Cluster, operation: Named<N>) => Answer | undefined } = {
  meet,
  forget,
  addslots: (c, { slots }) => changeSlots(c, 'add', slots),
  delslots: (c, { slots }) => changeSlots(c, 'delete', slots),
  flushslots: flushSlots,
  setslot: setSlot,
  replicate,
  failover: (c, { mode }) => startManualFailover(c, mode),
  reset: (c, { hard }) => reset(c, hard),
  'set-config-epoch': setConfigEpoch,
  bumpepoch: bumpEpoch,
  saveconfig(c) {
    needSave(c, 'fsync')
    return undefined
  },
}

const SETSLOT_ACTIONS: {
  readonly [A in SetSlot['action']]: (c: Cluster, operation: SetSlotAction<A>) => Answer | undefined
} = {
  migrating: markMigrating,
  importing: markImporting,
  stable(c, { slot }) {
    c.migratingTo.delete(slot)
    c.importingFrom.delete(slot)
    return undefined
  },
  node: assignSlot,
}

/** Carries out an operation; what it answers is for the client that asked. */
export function operate(c: Cluster, operation: Operation): Answer | undefined {
  // The row of a name takes the operation of that name, which the type of a table cannot say.
  const run = OPERATIONS[operation.name] as (c: Cluster, operation: Operation) => Answer | undefined
  return run(c, operation)
}

const error = (text: string): Answer => ({ error: `ERR ${text}` })

/** CLUSTER MEET: OK before anything happened; whether the other node answers shows later. */
function meet(c: Cluster, { ip: text, port, busPort }: Named<'meet'>): Answer | undefined {
  const ip = normalizeIp(text)
  if (ip === undefined || !isPort(port) || !isPort(busPort))
    return error(`Invalid node address specified: ${text}:${port}`)
  startHandshake(c, { ip, port, otherPort: 0, busPort }, true)
  return undefined
}

const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port <= 65535

/** CLUSTER FORGET: every node must be told within the time of the blacklist, or gossip brings the node back. */
function forget(c: Cluster, { id }: Named<'forget'>): Answer | undefined {
  const node = findNode(c, id)
  // Since 7.2 the news spreads by itself and may have come here before the operator did.
  if (!node && isBlacklisted(c, id as NodeId)) {
    blacklist(c, id as NodeId, c.options.blacklistTtlSec) // its time begins with the order, not with the rumour
    return undefined
  }
  if (!node) return error(`Unknown node ${id}`)
  if (node === c.myself) return error("I tried hard but I can't forget myself...")
  if (node === c.myself.primary) return error("Can't forget my master!")
  blacklist(c, node.id, c.options.blacklistTtlSec)
  record(c, { type: 'forgotten', node: node.id })
  removeNode(c, node)
  return changed(c)
}

/** CLUSTER ADDSLOTS and DELSLOTS: all slots or none. Only our own table changes; the others learn by gossip. */
function changeSlots(c: Cluster, what: 'add' | 'delete', slots: readonly number[]): Answer | undefined {
  if (!slots.every(isSlot)) return error('Invalid or out of range slot')
  const seen = new Set<number>()
  for (const s of slots) {
    if (what === 'add' && c.owners[s]) return error(`Slot ${s} is already busy`)
    if (what === 'delete' && !c.owners[s]) return error(`Slot ${s} is already unassigned`)
    if (seen.has(s)) return error(`Slot ${s} specified multiple times`)
    seen.add(s)
  }
  recordSlots(c, slots, what === 'add' ? c.myself : undefined)
  for (const s of slots) {
    c.importingFrom.delete(s)
    if (what === 'add') bindSlot(c, c.myself, s)
    else unbindSlot(c, s)
  }
  return changed(c)
}

const isSlot = (s: number): boolean => Number.isInteger(s) && s >= 0 && s < SLOT_COUNT

function flushSlots(c: Cluster): Answer | undefined {
  if (c.facts.keyCount() > 0) return error('DB must be empty to perform CLUSTER FLUSHSLOTS.')
  recordSlots(c, listSlots(c.myself.slots), undefined)
  unbindAll(c, c.myself)
  return changed(c)
}

/** Remembers a change of slots by the operator's word, before it is made. */
function recordSlots(c: Cluster, slots: readonly number[], to: ClusterNode | undefined): void {
  const [first] = slots
  if (first === undefined) return
  const [from, epoch] = [c.owners[first]?.id, to?.configEpoch ?? (0 as Epoch)]
  record(c, { type: 'slots', first, count: slots.length, from, to: to?.id, epoch, cause: 'operator' })
}

function setSlot(c: Cluster, operation: SetSlot): Answer | undefined {
  if (c.myself.role === 'replica') return error('Please use SETSLOT only with masters.')
  if (!isSlot(operation.slot)) return error('Invalid or out of range slot')
  const run = SETSLOT_ACTIONS[operation.action] as (c: Cluster, operation: SetSlot) => Answer | undefined
  const before = c.owners[operation.slot]
  const refusal = run(c, operation)
  if (refusal) return refusal
  const now = c.owners[operation.slot]
  if (now !== before) c.stateDirty = true
  const later = !mustOutliveUs(operation.action, now !== before && now === c.myself)
  c.unsavedSlot = { slot: operation.slot, later }
  return undefined
}

/** Whether a crash right after SETSLOT must not undo it. The new owner of a slot has taken it over, and a slot that stays is not on
 *  its way any more. What the other nodes are told of a migration promises nothing: the new owner tells them again, to a node that has
 *  forgotten that it imports a slot no key can be moved, and that a slot is on its way from us is saved before anything goes that way. */
const mustOutliveUs = (action: SetSlot['action'], isGain: boolean): boolean =>
  action === 'node' ? isGain : action === 'stable'

function markMigrating(c: Cluster, { slot, id }: SetSlotAction<'migrating'>): Answer | undefined {
  if (c.owners[slot] !== c.myself) return error(`I'm not the owner of hash slot ${slot}`)
  const target = findNode(c, id)
  if (!target) return error(`I don't know about node ${id}`)
  if (target.role === 'replica') return error('Target node is not a master')
  c.migratingTo.set(slot, target)
  return undefined
}

function markImporting(c: Cluster, { slot, id }: SetSlotAction<'importing'>): Answer | undefined {
  if (c.owners[slot] === c.myself) return error(`I'm already the owner of hash slot ${slot}`)
  const source = findNode(c, id)
  if (!source) return error(`I don't know about node ${id}`)
  if (source.role === 'replica') return error('Target node is not a master')
  c.importingFrom.set(slot, source)
  return undefined
}

/** CLUSTER SETSLOT NODE: the end of a migration. The new owner takes a config epoch of its own accord, so that its claim
 *  wins everywhere. */
function assignSlot(c: Cluster, { slot, id }: SetSlotAction<'node'>): Answer | undefined {
  const { myself } = c
  const target = findNode(c, id)
  if (!target) return error(`Unknown node ${id}`)
  if (target.role === 'replica') return error('Target node is not a master')
  const wasMine = c.owners[slot] === myself
  const keys = c.facts.keysInSlot(slot)
  if (wasMine && target !== myself && keys > 0) {
    const text = `Can't assign hashslot ${slot} to a different node while I still hold keys for this hash slot.`
    return error(text)
  }
  if (keys === 0) c.migratingTo.delete(slot)
  if (c.owners[slot] !== target) recordSlots(c, [slot], target)
  rebindSlot(c, target, slot)
  if (wasMine && target !== myself && myself.slotCount === 0 && c.options.allowReplicaMigration) {
    log(c, 'warning', `Configuration change detected. Reconfiguring myself as a replica of ${target.id}`)
    followPrimary(c, target, 'lost-slots')
    needSave(c, 'fsync')
  }
  const source = target === myself ? c.importingFrom.get(slot) : undefined
  if (source !== undefined) finishImport(c, slot, source)
  return undefined
}

function finishImport(c: Cluster, slot: number, source: ClusterNode): void {
  if (bumpEpochWithoutConsensus(c)) log(c, 'warning', `configEpoch updated after importing slot ${slot}`)
  c.importingFrom.delete(slot)
  showImport(c, source)
}

/** CLUSTER REPLICATE. A primary must have nothing to lose first. */
function replicate(c: Cluster, { id }: Named<'replicate'>): Answer | undefined {
  const primary = findNode(c, id)
  if (!primary) return error(`Unknown node ${id}`)
  if (primary === c.myself) return error("Can't replicate myself")
  if (primary.role === 'replica') return error('I can only replicate a master, not a replica.')
  if (c.myself.role === 'primary' && (c.myself.slotCount > 0 || c.facts.keyCount() > 0)) {
    return error('To set a master the node must be empty and without assigned slots.')
  }
  if (c.myself.primary === primary) return undefined
  followPrimary(c, primary, 'operator')
  // Everybody may know at once, as with Valkey 8: who asks any node right after OK should see the new role.
  broadcastPong(c, 'all')
  return changed(c)
}

/** CLUSTER RESET: as if just started; HARD also under a new name, with all epochs forgotten. */
function reset(c: Cluster, hard: boolean): Answer | undefined {
  const { myself } = c
  if (myself.role === 'primary' && c.facts.keyCount() > 0) {
    return error("CLUSTER RESET can't be called with master nodes containing keys")
  }
  if (myself.role === 'replica') {
    makePrimaryRow(c, myself)
    c.effects.push({ type: 'lead' }, { type: 'flush' })
  }
  c.migratingTo.clear()
  c.importingFrom.clear()
  resetManualFailover(c)
  for (const node of [...c.nodes.values()]) {
    if (node === myself) unbindAll(c, myself)
    else removeNode(c, node)
  }
  c.blacklist.clear()
  c.election.startAt = 0 as Millis
  if (hard) forgetName(c, myself)
  changed(c)
  needSave(c, 'fsync')
  return undefined
}

function forgetName(c: Cluster, myself: ClusterNode): void {
  c.currentEpoch = 0 as Epoch
  c.lastVoteEpoch = 0 as Epoch
  myself.configEpoch = 0 as Epoch
  log(c, 'warning', 'configEpoch set to 0 via CLUSTER RESET HARD')
  renameNode(c, myself, c.random.hex(40) as NodeId)
  myself.shard = c.random.hex(40) as ShardId
  log(c, 'warning', `Node hard reset, now I'm ${myself.id}`)
}

/** CLUSTER SET-CONFIG-EPOCH: gives the nodes of a new cluster different epochs from the start. */
function setConfigEpoch(c: Cluster, { epoch }: Named<'set-config-epoch'>): Answer | undefined {
  if (epoch < 0) return error(`Invalid config epoch specified: ${epoch}`)
  if (c.nodes.size > 1) {
    return error('The user can assign a config epoch only when the node does not know any other node.')
  }
  if (c.myself.configEpoch !== 0) return error('Node config epoch is already non-zero')
  c.myself.configEpoch = epoch as Epoch
  log(c, 'warning', `configEpoch set to ${epoch} via CLUSTER SET-CONFIG-EPOCH`)
  if (c.currentEpoch < epoch) c.currentEpoch = epoch as Epoch
  return changed(c)
}

function bumpEpoch(c: Cluster): Answer {
  const verb = bumpEpochWithoutConsensus(c) ? 'BUMPED' : 'STILL'
  return { text: `${verb} ${c.myself.configEpoch}` }
}

/** What every change of ours asks for; an answer of OK. */
function changed(c: Cluster): undefined {
  c.stateDirty = true
  needSave(c, 'save')
}
