/** Clusters made by hand: a core, rows with links that are up, and what a test wants to read of the effects. */

import type { Effect } from '../../bus/effect.ts'
import { NODE_FLAGS } from '../../bus/layout.ts'
import type { Body, Header, Message } from '../../bus/message.ts'
import { SIM_OPTIONS } from '../../bus/sim/node.ts'
import { bindSlot } from '../../bus/slots.ts'
import {
  type Cluster,
  type ClusterNode,
  type ClusterOptions,
  createCluster,
  createNode,
  isVoter,
  type LocalFacts,
} from '../../bus/state.ts'
import { addNode, setReplicaOf } from '../../bus/table.ts'
import { type Millis, type NodeId, nodeId, type Offset, type ShardId } from '../../lib/base/brand.ts'
import { seededRandom } from '../../lib/base/random.ts'

/** The instant at which hand-made clusters begin. */
export const NOW = 1_700_000_000_000 as Millis

/** An id of one letter or digit, forty times: ids compare as their letters do. */
export const id = (letter: string): NodeId => nodeId(letter.repeat(40))

export type Facts = { -readonly [K in keyof LocalFacts]: LocalFacts[K] }

/** Facts of a node without keys, but for what a test says; it may change them as it likes. */
export const makeFacts = (fields: Partial<Facts> = {}): Facts => ({
  replicationOffset: 0 as Offset,
  primaryLinkUp: true,
  hasPrimaryTarget: true,
  primaryLastSeenAt: NOW,
  primarySyncs: 0,
  loading: false,
  keysInSlot: () => 0,
  keyCount: () => 0,
  bufferedOn: () => 0,
  ...fields,
})

/** A core whose own id is forty times `m`. */
export function makeCluster(options: Partial<ClusterOptions> = {}, facts: Facts = makeFacts()): Cluster {
  const all = { ...SIM_OPTIONS, ...options }
  const c = createCluster({ options: all, facts, random: seededRandom(1), now: NOW, id: id('m') })
  Object.assign(c.myself, { ip: '10.0.0.1', port: 7000, busPort: 17000, shard: id('m') as string as ShardId })
  return c
}

/** Adds a node that we have a link to. */
export function addRow(c: Cluster, letter: string, fields: Partial<ClusterNode> = {}): ClusterNode {
  const port = 7000 + c.nodes.size
  const node = Object.assign(createNode(c, id(letter)), { ip: '10.0.0.1', port, busPort: port + 10000 })
  const link = { outbound: true, createdAt: c.now, up: true, node, remoteIp: '', localIp: '' }
  node.outbound = { id: c.nextLinkId++, ...link }
  c.links.set(node.outbound.id, node.outbound)
  addNode(c, Object.assign(node, fields))
  return node
}

/** Adds a replica of `primary`. */
export function addReplica(
  c: Cluster,
  letter: string,
  primary: ClusterNode,
  fields: Partial<ClusterNode> = {},
): ClusterNode {
  const node = addRow(c, letter, fields)
  setReplicaOf(c, node, primary)
  return node
}

/** Binds an inclusive range of slots and counts the voters anew. */
export function ownSlots(c: Cluster, node: ClusterNode, first: number, last = first): void {
  for (let s = first; s <= last; s++) bindSlot(c, node, s)
  c.size = [...c.nodes.values()].filter(isVoter).length
}

/** Takes the effects so far. */
export function takeEffects(c: Cluster): Effect[] {
  const effects = c.effects
  c.effects = []
  return effects
}

export const logTexts = (effects: readonly Effect[]): string[] =>
  effects.flatMap((effect) => (effect.type === 'log' ? [effect.text] : []))

/** What leaves on links, in order. */
export const sentMessages = (effects: readonly Effect[]): Message[] =>
  effects.flatMap((effect) => (effect.type === 'send' ? [effect.message] : []))

/** What a peer's header says, as its row has it; a test names what differs. */
export function header(node: ClusterNode, changes: Partial<Header> = {}): Header {
  return {
    sender: node.id,
    replicaOf: node.primary?.id,
    currentEpoch: node.configEpoch,
    configEpoch: (node.primary ?? node).configEpoch,
    offset: node.offset,
    slots: (node.primary ?? node).slots.slice(),
    ip: '',
    port: node.port,
    otherPort: node.otherPort,
    busPort: node.busPort,
    flags: (node.role === 'primary' ? NODE_FLAGS.primary : NODE_FLAGS.replica) | NODE_FLAGS.myself,
    state: 'ok',
    messageFlags: 0,
    ...changes,
  }
}

/** A message as `node` would send it, but for the `changes` of its header. */
export const messageFrom = (node: ClusterNode, body: Body, changes: Partial<Header> = {}): Message => ({
  header: header(node, changes),
  body,
})
