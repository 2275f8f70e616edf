/** Clients: they write to whoever takes it, remember what was acknowledged and what WAIT confirmed on every replica, and
 *  compare with what the cluster has in the end. */
import type { Effect } from '../effect.ts'
import type { Event } from '../event.ts'
import { type Cluster, isVoter } from '../state.ts'
import { Violation } from './invariants.ts'
import { canReach, quietSince } from './network.ts'
import type { SimNode } from './node.ts'
import { contains, type Data, type Stream } from './stream.ts'
import type { World } from './world.ts'

const WRITE_EVERY_MS = 120
const WRITE_BYTES = 100
/** A primary that hears no majority for a node timeout takes no writes; ticks, and answers others mention, do the rest. */
const ISOLATION_TIMEOUTS = 1
const ISOLATION_SLACK_MS = 2000
/** Who is connected to the new owner of its slots, or to somebody who knows it, learns of it within a node timeout (a ping
 *  is due after half of one) and this time. */
const NEWS_MS = 700

/** What the clients of one shard know. */
interface Ledger {
  readonly slot: number
  /** Writes nobody may lose: the first `count` of this stream were once on every node of the shard. */
  confirmed: { stream: Stream; count: number; members: ReadonlySet<number> } | undefined
  /** What each acknowledged write was, by its place in a stream. */
  readonly acknowledged: { readonly stream: Stream; readonly index: number }[]
}

export interface Clients {
  readonly world: World
  readonly nodeTimeoutMs: number
  readonly ledgers: readonly Ledger[]
  readonly nodes: NodeNotes[]
  failovers: number
  stopped: boolean
}

/** What clients remember of a node. */
interface NodeNotes {
  /** When it last heard a majority. */
  majorityAt: number
  /** By number of another node that replaced it and could tell: since when it takes writes nevertheless. */
  readonly staleSince: Map<number, number>
  /** Since when it leads the shard, in world time. */
  leadsSince: number
  /** When the order was given by which a replica took its place. */
  standsStillFrom: number
  /** The last CLUSTER FAILOVER it accepted. */
  failover: { readonly mode: string; readonly at: number; streamDone: boolean } | undefined
}

export interface Tally {
  readonly acknowledged: number
  readonly confirmed: number
  readonly lost: number
  readonly failovers: number
}

/** Clients of these slots, each of which stands for its shard. They begin to write at once. */
export function startClients(world: World, slots: readonly number[], nodeTimeoutMs: number): Clients {
  const clients: Clients = {
    world,
    nodeTimeoutMs,
    ledgers: slots.map((slot) => ({ slot, confirmed: undefined, acknowledged: [] })),
    nodes: world.nodes.map(() => ({
      majorityAt: 0,
      staleSince: new Map(),
      leadsSince: 0,
      standsStillFrom: 0,
      failover: undefined,
    })),
    failovers: 0,
    stopped: false,
  }
  for (const [i, ledger] of clients.ledgers.entries()) world.schedule.after(i * 17, () => writeOn(clients, ledger))
  return clients
}

/** Sees what a step means to clients: a failover. Throws a Violation. */
export function noteStep(clients: Clients, node: SimNode, event: Event, effects: readonly Effect[]): void {
  const notes = clients.nodes[node.index]!
  if (event.type === 'operator' && event.operation.name === 'failover' && isAccepted(effects)) {
    notes.failover = { mode: event.operation.mode, at: clients.world.schedule.now, streamDone: false }
  }
  // Between two of its writes it may have heard a majority for a moment only.
  const isDue = clients.world.schedule.now - notes.majorityAt > WRITE_EVERY_MS
  if (isDue && event.type === 'message' && node.cluster.myself.role === 'primary') noteMajority(clients, node)
  for (const effect of effects) {
    if (effect.type === 'log' && notes.failover && effect.text.startsWith('All master replication stream')) {
      notes.failover.streamDone = true
    }
    if (effect.type === 'lead') checkPromoted(clients, node, notes)
  }
}

/** What became of the writes, by what the owners hold now. A lost write that was confirmed is a violation. */
export function settle(clients: Clients): Tally {
  clients.stopped = true
  let [acknowledged, confirmed, lost] = [0, 0, 0]
  for (const ledger of clients.ledgers) {
    acknowledged += ledger.acknowledged.length
    confirmed += ledger.confirmed?.count ?? 0
    const owner = clients.world.nodes.find((node) => node.alive && leads(node.cluster, ledger.slot))
    if (!owner) continue
    checkConfirmed(ledger, owner, false)
    for (const { stream, index } of ledger.acknowledged) if (!contains(owner.data, stream, index)) lost++
  }
  return { acknowledged, confirmed, lost, failovers: clients.failovers }
}

const isAccepted = (effects: readonly Effect[]): boolean =>
  effects.some((effect) => effect.type === 'answer' && effect.answer === undefined)

const leads = ({ myself, owners }: Cluster, slot: number): boolean =>
  myself.role === 'primary' && owners[slot] === myself

function writeOn(clients: Clients, ledger: Ledger): void {
  if (clients.stopped) return
  const { world } = clients
  for (const node of world.nodes) {
    if (!node.alive || node.asleep || !leads(node.cluster, ledger.slot)) continue
    noteMajority(clients, node)
    if (node.cluster.state !== 'ok' || !world.write(node.index, WRITE_BYTES)) continue
    checkMayWrite(clients, ledger, node)
    ledger.acknowledged.push({ stream: node.data.stream, index: node.data.count - 1 })
    wait(world, ledger, node)
  }
  world.schedule.after(WRITE_EVERY_MS, () => writeOn(clients, ledger))
}

/** WAIT for every replica: what is on all nodes of the shard is confirmed. Of the shard are all that believe the slot to be
 *  theirs or their primary's, those that are down included. */
function wait(world: World, ledger: Ledger, node: SimNode): void {
  const { data } = node
  const members = world.nodes.filter((other) => other === node || isOfShard(other.cluster, ledger.slot))
  if (members.length < 2) return
  let count = data.count
  for (const other of members) if (other !== node) count = Math.min(count, sharedCount(other.data, data))
  const before = ledger.confirmed
  if (count === 0 || (before && before.stream === data.stream && before.count >= count)) return
  if (before && !contains(data, before.stream, before.count - 1)) return
  if (before && count <= before.count) return
  ledger.confirmed = { stream: data.stream, count, members: new Set(members.map((member) => member.index)) }
}

function isOfShard({ myself, owners }: Cluster, slot: number): boolean {
  const owner = owners[slot]
  return owner !== undefined && owner === (myself.primary ?? myself)
}

/** How many of the first writes of `whole` are in `part`. */
function sharedCount(part: Data, whole: Data): number {
  let count = Math.min(part.count, whole.count)
  while (count > 0 && !contains(whole, part.stream, count - 1)) count--
  return count
}

/** A replica took its primary's place. What was confirmed must be in its data; after CLUSTER FAILOVER, everything. */
function checkPromoted(clients: Clients, node: SimNode, notes: NodeNotes): void {
  const { world } = clients
  const { failover } = notes
  const old = node.source
  const isByOrder = failover !== undefined && world.schedule.now - failover.at < ORDER_MS
  notes.failover = undefined
  const led = clients.ledgers.filter(({ slot }) => leads(node.cluster, slot))
  if (led.length === 0) return
  Object.assign(notes, { leadsSince: world.schedule.now, majorityAt: world.schedule.now, standsStillFrom: 0 })
  clients.failovers++
  for (const ledger of led) checkConfirmed(ledger, node, isByOrder && failover.mode !== 'plain')
  if (old && isByOrder && failover.streamDone && failover.mode === 'plain') {
    clients.nodes[old.index]!.standsStillFrom = failover.at
  }
  if (!old || !isByOrder || !failover.streamDone || failover.mode !== 'plain') return
  if (Math.max(old.upSince, node.upSince) > failover.at || !old.alive || old.asleep) return
  if (old.data.count <= node.data.count && sharedCount(old.data, node.data) === old.data.count) return
  const missing = old.data.count - sharedCount(old.data, node.data)
  throw new Violation('manual-failover', `n${node.index} leads without the last ${missing} writes of n${old.index}`)
}

/** So long a primary stands still at least, from the order on. */
const STANDS_STILL_MS = 4900

/** An order to fail over is void after this. */
const ORDER_MS = 5300

/** What was on every replica once is in the data of whoever leads. Who joined later and was never in sync has it not, and is
 *  kept from leading by the age of its data, but not if an operator forces it. */
function checkConfirmed(ledger: Ledger, node: SimNode, forced: boolean): void {
  const { confirmed } = ledger
  if (!confirmed || contains(node.data, confirmed.stream, confirmed.count - 1)) return
  if (forced && !confirmed.members.has(node.index)) {
    ledger.confirmed = undefined
    return
  }
  const missing = confirmed.count - sharedCount(node.data, { stream: confirmed.stream, count: confirmed.count })
  throw new Violation(
    'wait',
    `n${node.index} leads without ${missing} writes that every replica had (slot ${ledger.slot})`,
  )
}

/** Keeps when a primary last heard a majority of the voters it knows: also through others, whose gossip counts as a sign of life. */
function noteMajority({ world, nodes }: Clients, node: SimNode): void {
  const rows = [...node.cluster.nodes.values()]
  const awake = rows.map(({ id }) => awakeNode(world, id)).filter((other) => other !== undefined)
  const tellers = awake.filter((other) => other === node || canReach(world.network, other, node))
  const voters = rows.filter(isVoter)
  const heard = voters.filter(({ id }) => {
    const voter = awakeNode(world, id)
    return voter && tellers.some((teller) => teller === voter || canReach(world.network, voter, teller))
  })
  if (heard.length * 2 > voters.length) nodes[node.index]!.majorityAt = world.schedule.now
}

const awakeNode = ({ nodes }: World, id: string): SimNode | undefined =>
  nodes.find((node) => node.cluster.myself.id === id && node.alive && !node.asleep)

/** Who is alone, or was replaced and could know it, takes no writes. That bounds what a failover can lose. */
function checkMayWrite(clients: Clients, ledger: Ledger, node: SimNode): void {
  const { world, nodeTimeoutMs } = clients
  const now = world.schedule.now
  const alone = now - Math.max(clients.nodes[node.index]!.majorityAt, node.upSince)
  if (alone > ISOLATION_TIMEOUTS * nodeTimeoutMs + ISOLATION_SLACK_MS) {
    throw new Violation('minority', `n${node.index} takes a write after ${Math.round(alone)} ms without a majority`)
  }
  const notes = clients.nodes[node.index]!
  if (now - notes.standsStillFrom < STANDS_STILL_MS && node.upSince < notes.standsStillFrom) {
    throw new Violation('manual-failover', `n${node.index} takes a write after it was replaced by order`)
  }
  for (const other of world.nodes) {
    if (!couldBeTold(clients, ledger, node, other)) {
      notes.staleSince.delete(other.index)
      continue
    }
    const since = notes.staleSince.get(other.index) ?? now
    notes.staleSince.set(other.index, since)
    const told = Math.round(now - since)
    if (told < nodeTimeoutMs + NEWS_MS && !startedReplaced(clients, node, other)) continue
    throw new Violation('replaced', `n${node.index} takes a write, replaced by n${other.index}, told so for ${told} ms`)
  }
}

/** Whether another node leads the shard by a higher epoch, and nothing keeps it, or one that knows, from saying so. */
function couldBeTold({ world }: Clients, { slot }: Ledger, node: SimNode, other: SimNode): boolean {
  if (other === node || !other.alive || other.asleep || !leads(other.cluster, slot)) return false
  const [theirs, ours] = [other.cluster.myself, node.cluster.myself]
  if (theirs.configEpoch <= ours.configEpoch || !node.cluster.nodes.has(theirs.id)) return false
  return world.nodes.some((teller) => {
    const { nodes, owners } = teller.cluster
    if (teller === node || !teller.alive || teller.asleep || owners[slot]?.id !== theirs.id || !nodes.has(ours.id))
      return false
    const isNews = owners[slot].configEpoch > ours.configEpoch && node.cluster.nodes.has(teller.cluster.myself.id)
    return isNews && quietSince(world.network, node, teller) !== undefined
  })
}

/** Whether a node started, well connected to it, while another one led already. Such a one is told before it takes the
 *  first write. */
function startedReplaced({ world, nodes }: Clients, node: SimNode, leader: SimNode): boolean {
  const since = node.startedAt
  if ((quietSince(world.network, node, leader) ?? Number.POSITIVE_INFINITY) > since) return false
  if (nodes[leader.index]!.leadsSince > since || leader.upSince > since || node.upSince > since) return false
  if (nodes[node.index]!.leadsSince > since) return false // it was elected meanwhile: its epoch and the leader's have yet to meet
  const wasKnown = (by: SimNode, row: SimNode): boolean => {
    const createdAt = by.cluster.nodes.get(row.cluster.myself.id)?.createdAt ?? Number.POSITIVE_INFINITY
    return createdAt <= since + by.clockAheadMs
  }
  return since > nodes[leader.index]!.leadsSince && wasKnown(node, leader) && wasKnown(leader, node)
}
