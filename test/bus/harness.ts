/** A vocabulary for tests of the core: one cluster, peers with rows and links, and hand-made messages from them. */

import type { Effect } from '../../bus/effect.ts'
import type { Event, Operation } from '../../bus/event.ts'
import { MESSAGE_FLAGS, NODE_FLAGS, SLOT_BYTES } from '../../bus/layout.ts'
import { acceptLink, attachInbound, openLink } from '../../bus/links.ts'
import type { Body, BodyType, Extension, GossipEntry, Header, Message, PingType } from '../../bus/message.ts'
import { writeSection } from '../../bus/section.ts'
import { SIM_OPTIONS } from '../../bus/sim/node.ts'
import { addSlot, bindSlot } from '../../bus/slots.ts'
import { type Cluster, type ClusterNode, type ClusterOptions, createCluster, createNode } from '../../bus/state.ts'
import { step } from '../../bus/step.ts'
import { addNode, setReplicaOf } from '../../bus/table.ts'
import type { Epoch, Millis, NodeId } from '../../lib/base/brand.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { type Facts, header, id, makeFacts, messageFrom } from './hand-made.ts'

export const START = 1_000_000 as Millis

export { header, id }

/** A bitmap of these slots. */
export function bitmap(...slots: number[]): Uint8Array {
  const bytes = new Uint8Array(SLOT_BYTES)
  for (const s of slots) addSlot(bytes, s)
  return bytes
}

export interface Bench {
  readonly c: Cluster
  readonly options: ClusterOptions
  /** Keys by slot. */
  readonly keys: Map<number, number>
  /** Facts a test may change. */
  readonly facts: Facts
  now: Millis
}

/** A node alone, called `letter`, at time START. Its state is settled: a first evaluation is long ago. */
export function bench(letter = 'm', options: Partial<ClusterOptions> = {}): Bench {
  const keys = new Map<number, number>()
  const facts = makeFacts({
    primaryLastSeenAt: START,
    keysInSlot: (s) => keys.get(s) ?? 0,
    keyCount: () => [...keys.values()].reduce((sum, n) => sum + n, 0),
  })
  const all = { ...SIM_OPTIONS, requireFullCoverage: false, ...options }
  const c = createCluster({ options: all, facts, random: seededRandom(1), now: START, id: id(letter) })
  c.firstCheckAt = 1 as Millis
  c.minorityAt = 1 as Millis
  const b: Bench = { c, options: all, keys, facts, now: START }
  give(b, { type: 'options-changed' })
  return b
}

export interface PeerInit {
  slots?: number[]
  epoch?: number
  replicaOf?: ClusterNode
  /** False: the row has no links. */
  linked?: boolean
}

/** A known node, its links up in both directions, heard from just now. */
export function peer(b: Bench, letter: string, init: PeerInit = {}): ClusterNode {
  const node = createNode(b.c, id(letter))
  const n = letter.charCodeAt(0)
  Object.assign(node, { ip: `10.0.0.${n}`, port: 7000, busPort: 17000, pongReceivedAt: b.now, dataReceivedAt: b.now })
  node.configEpoch = (init.epoch ?? 0) as Epoch
  addNode(b.c, node)
  if (init.replicaOf) setReplicaOf(b.c, node, init.replicaOf)
  for (const s of init.slots ?? []) bindSlot(b.c, node, s)
  if (init.linked !== false) {
    openLink(b.c, node).up = true
    attachInbound(b.c, b.c.links.get(accept(b, node.ip))!, node)
  }
  b.c.effects = []
  return node
}

/** Our own slots and epoch. */
export function own(b: Bench, slots: number[], epoch = 0): void {
  for (const s of slots) bindSlot(b.c, b.c.myself, s)
  b.c.myself.configEpoch = epoch as Epoch
}

/** Makes us a replica of a peer, quietly. */
export function replicate(b: Bench, primary: ClusterNode): void {
  setReplicaOf(b.c, b.c.myself, primary)
}

/** A connection somebody opened to us; returns its id. */
export function accept(b: Bench, remoteIp: string, localIp = '10.0.0.1'): number {
  const link = b.c.nextLinkId++
  acceptLink(b.c, link, remoteIp, localIp)
  return link
}

/** Gives the core an event now. */
export const give = (b: Bench, event: Event): readonly Effect[] => step(b.c, event, b.now)

/** Lets time pass, with a tick at its end. */
export function tickAfter(b: Bench, ms: number): readonly Effect[] {
  b.now = (b.now + ms) as Millis
  return give(b, { type: 'tick' })
}

export const operate = (b: Bench, operation: Operation): readonly Effect[] => [
  ...give(b, { type: 'operator', operation }),
  ...give(b, { type: 'turn-end' }),
]

/** The header of somebody nobody knows. */
export const stranger = (b: Bench, letter: string, changes: Partial<Header> = {}): Header =>
  header({ ...createNode(b.c, id(letter)), port: 7000, busPort: 17000 }, changes)

export const ping = (type: PingType, gossip: GossipEntry[] = [], extensions: Extension[] = []): Body => ({
  type,
  gossip: writeSection(gossip),
  extensions,
})

/** A message from a peer: pongs come on the link we dialled, everything else on the one it dialled. */
export function say(b: Bench, node: ClusterNode, body: Body, changes: Partial<Header> = {}): readonly Effect[] {
  const link = body.type === 'pong' ? node.outbound : node.inbound
  return hear(b, link!.id, messageFrom(node, body, changes))
}

/** A message on any link. */
export const hear = (b: Bench, link: number, message: Message): readonly Effect[] =>
  give(b, { type: 'message', link, message })

/** A gossip entry about a node, as a healthy observer would write it. */
export function mention(b: Bench, node: ClusterNode | NodeId, changes: Partial<GossipEntry> = {}): GossipEntry {
  const row = typeof node === 'string' ? undefined : node
  return {
    id: typeof node === 'string' ? node : node.id,
    pingSentSec: 0,
    pongReceivedSec: Math.floor(b.now / 1000),
    ip: row?.ip ?? '10.0.0.99',
    port: 7000,
    busPort: 17000,
    flags: row?.role === 'replica' ? NODE_FLAGS.replica : NODE_FLAGS.primary,
    otherPort: 0,
    ...changes,
  }
}

export interface Sent {
  readonly links: readonly number[]
  readonly message: Message
}

/** The messages of a type among effects. */
export const sent = (effects: readonly Effect[], type: BodyType): Sent[] =>
  effects.flatMap((effect) => (effect.type === 'send' && effect.message.body.type === type ? [effect] : []))

/** The effects of a type. */
export const of = <T extends Effect['type']>(effects: readonly Effect[], type: T): Extract<Effect, { type: T }>[] =>
  effects.filter((effect): effect is Extract<Effect, { type: T }> => effect.type === type)

/** How a step asked to save. */
export function saved(effects: readonly Effect[]): Cluster['unsaved'] {
  if (effects.some(({ type }) => type === 'save-later')) return 'later'
  const first = effects[0]
  if (first?.type === 'save-slot') return first.later ? 'later' : 'save'
  return first?.type === 'save' ? (first.fsync ? 'fsync' : 'save') : 'no'
}

export const EXT_DATA = { messageFlags: MESSAGE_FLAGS.extData } as const
