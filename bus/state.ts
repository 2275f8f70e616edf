/** The cluster as one node knows it: plain data, changed only by `step`. */
import type { Epoch, Millis, NodeId, Offset, ShardId } from '../lib/base/brand.ts'
import { SLOT_COUNT } from '../lib/base/brand.ts'
import type { Random } from '../lib/base/random.ts'
import type { Effect } from './effect.ts'
import type { Change, Dated, VoteNote } from './history.ts'
import { SLOT_BYTES } from './layout.ts'
import { type BodyType, type GossipSection, MESSAGE_NAMES } from './message.ts'
import { hashOf } from './section.ts'

/** A TCP connection of the bus, named by the core for those it dials and by the transport for those it accepts. */
export type LinkId = number

export interface Link {
  readonly id: LinkId
  /** We dialled it: unsolicited messages leave on it. An accepted link carries only answers. */
  readonly outbound: boolean
  readonly createdAt: Millis
  /** False while a dial is under way. */
  up: boolean
  /** Undefined for an accepted link until a known sender speaks on it. */
  node: ClusterNode | undefined
  /** Remote address of an accepted link ('' for dialled ones). */
  readonly remoteIp: string
  /** Our own address of an accepted link ('' for dialled ones). */
  readonly localIp: string
}

export type Health = 'ok' | 'pfail' | 'fail'

/** One row of the nodes table. */
export interface ClusterNode {
  /** Random while in handshake, then the node's own. */
  id: NodeId
  // What every tick looks at in every row stands together: a thousand rows are more than a cache holds.
  role: 'primary' | 'replica'
  health: Health
  /** Known by address only; its id is not learned yet. */
  handshake: boolean
  noAddress: boolean
  outbound: Link | undefined
  /** When the outstanding ping left; 0 for none. */
  pingSentAt: Millis
  pongReceivedAt: Millis
  /** Any valid message counts as a sign of life. */
  dataReceivedAt: Millis
  /** Reports by primaries that this node is failing: reporter -> time of the last; undefined until there was one. */
  failureReports: Map<ClusterNode, Millis> | undefined
  slotCount: number
  /** Its primary had replicas once, so that replicas may migrate to it. */
  migrateTo: boolean
  /** Since when this primary has no working replica; 0 when it has one. */
  orphanedAt: Millis
  /** The primary it replicates. */
  primary: ClusterNode | undefined
  replicas: ClusterNode[]
  /** Bitmap of the slots bound to it here. Rows that never had one share `NO_SLOTS`. */
  slots: Uint8Array
  /** The slots as text, once asked for, until one changes hands. */
  slotText: string | undefined
  configEpoch: Epoch
  shard: ShardId
  /** The first message to it must be MEET. */
  meet: boolean
  /** It announced that it will not fail over. */
  noFailover: boolean
  /** It has been seen sending EXT_DATA (Valkey 8 rule for sending extensions). */
  extensionsSupported: boolean
  ip: string
  port: number
  otherPort: number
  busPort: number
  hostname: string
  humanName: string
  clientIpv4: string
  clientIpv6: string
  createdAt: Millis
  /** When it was marked FAIL; 0 when that was before our restart, or before it was given slots anew. */
  failedAt: Millis
  /** When we saw it turn from a replica into a primary. */
  promotedAt: Millis
  /** When we last voted for a replica of this primary. */
  votedAt: Millis
  offset: Offset
  offsetAt: Millis
  inbound: Link | undefined
}

/** What the node around the core knows; refreshed by the driver before every step. Never changed by the core. */
export interface LocalFacts {
  /** Stream offset produced (primary) or processed (replica). */
  replicationOffset: Offset
  /** The replication link to our primary is up. */
  primaryLinkUp: boolean
  /** A replication target is configured (REPLICAOF state, not the cluster's wish). */
  hasPrimaryTarget: boolean
  /** Last byte from our primary, or when the link went down. */
  primaryLastSeenAt: Millis
  /** How often the data of whoever we were told to follow have become ours. */
  primarySyncs: number
  /** The data set is being loaded at start. */
  loading: boolean
  keysInSlot(slot: number): number
  /** Keys in all databases. */
  keyCount(): number
  /** Bytes waiting to be sent on a link. */
  bufferedOn(link: LinkId): number
}

/** Options the core obeys; `lib/config.ts` fills them and may change them at any time. */
export interface ClusterOptions {
  nodeTimeoutMs: number
  /** Client port, 0 when only TLS is served. */
  port: number
  tlsPort: number
  /** 0 = client port + 10000. */
  clusterPort: number
  tlsCluster: boolean
  announceIp: string
  announcePort: number
  announceTlsPort: number
  announceBusPort: number
  announceHostname: string
  announceHumanNodename: string
  announceClientIpv4: string
  announceClientIpv6: string
  preferredEndpointType: 'ip' | 'hostname' | 'unknown-endpoint'
  requireFullCoverage: boolean
  allowReadsWhenDown: boolean
  allowPubsubshardWhenDown: boolean
  replicaValidityFactor: number
  replicaNoFailover: boolean
  allowReplicaMigration: boolean
  migrationBarrier: number
  linkSendbufLimit: number
  /** 0 = half the node timeout. */
  pingIntervalMs: number
  blacklistTtlSec: number
  /** Fail over as soon as safety allows; false is redis-server's timing. */
  fastFailover: boolean
  replPingReplicaPeriodSec: number
}

export interface Election {
  /** When the request may leave; 0 when none was ever scheduled. */
  startAt: Millis
  /** When it was scheduled. */
  scheduledAt: Millis
  /** How many elections of other shards go first, and when that last became fewer. */
  ahead: number
  aheadSince: Millis
  rank: number
  sent: boolean
  votes: number
  /** The majority of the voters when they were asked. */
  majority: number
  epoch: Epoch
  /** Who gave the votes, in order. */
  voters: NodeId[]
  /** The offset our fellow replicas were told since our primary fell silent; -1 while it speaks. */
  sharedOffset: number
  /** The last "why not" that was logged, so that it is not repeated each tick. */
  cantReason: string
  cantLoggedAt: Millis
}

export interface ManualFailover {
  /** 0 when none is under way. */
  endsAt: Millis
  /** Primary side: the replica that asked. */
  replica: ClusterNode | undefined
  /** Replica side: the offset to reach, -1 until the paused primary told it. */
  targetOffset: number
  canStart: boolean
  /** Replica side: the epoch taken for the election in advance. */
  epoch: Epoch | undefined
}

export interface Cluster {
  readonly options: ClusterOptions
  readonly facts: LocalFacts
  readonly random: Random
  /** The instant of the current step. */
  now: Millis
  myself: ClusterNode
  readonly nodes: Map<NodeId, ClusterNode>
  /** The same rows by a hash of their ids; of two with one hash the later. Finds a row by bytes that were not made a string. */
  readonly byHash: Map<number, ClusterNode>
  /** The same rows as a list, until one comes or goes. */
  rows: readonly ClusterNode[] | undefined
  readonly links: Map<LinkId, Link>
  nextLinkId: LinkId
  /** Owner of each slot. */
  readonly owners: (ClusterNode | undefined)[]
  /** Our marks on slots that are on the move: where to, and where from. Nearly always there are none. */
  readonly migratingTo: Map<number, ClusterNode>
  readonly importingFrom: Map<number, ClusterNode>
  /** Slots whose owner stopped claiming them: still bound, but anybody may claim them. Bitmap, not persisted. */
  readonly unclaimed: Uint8Array
  /** Slots of others that are bound as nodes.conf said at the start: nothing has moved them since. Bitmap, not persisted. */
  readonly recalled: Uint8Array
  currentEpoch: Epoch
  lastVoteEpoch: Epoch
  state: 'ok' | 'fail'
  /** Number of primaries that own slots. */
  size: number
  /** Forgotten ids -> when they may come back. */
  readonly blacklist: Map<NodeId, Millis>
  readonly election: Election
  readonly manual: ManualFailover
  /** Since when the state is what it is. */
  stateAt: Millis
  /** First evaluation of the state, last time in a minority. */
  firstCheckAt: Millis
  minorityAt: Millis
  tickCount: number
  /** PFAIL nodes counted at the last tick: sizes the gossip section. */
  pfailCount: number
  /** What the pings since this tick mention, while the table and the number of suspects are the same. */
  mentioned: { tick: number; size: number; suspects: number; section: GossipSection } | undefined
  /** The slots the last header spoke of: messages share them while they are the same. */
  saidSlots: Uint8Array
  /** Our slots as we last showed them to everybody, and the tick of that. */
  shownSlots: Uint8Array
  shownTick: number
  /** Suspicions of this step that nobody has been told yet. */
  untold: ClusterNode[]
  stats: { sent: Record<BodyType, number>; received: Record<BodyType, number>; bufferLimitExceeded: number }
  /** The last topology changes with their causes, and the last words about votes; oldest first, bounded. */
  readonly history: Dated<Change>[]
  readonly votes: Dated<VoteNote>[]
  /** What this step has decided so far, in order; `step` takes it. */
  effects: Effect[]
  /** `facts.primarySyncs` when we began to follow a primary of another shard: until it grows, our data are not its data. */
  foreignSyncs: number | undefined
  /** The table must be saved: some time soon, before this step's effects are carried out, or so that it survives a power
   *  failure before they are. */
  unsaved: 'no' | 'later' | 'save' | 'fsync'
  /** The slot that changed hands in this step, or is on its way since, and how soon that must be saved if nothing else must. */
  unsavedSlot: { readonly slot: number; readonly later: boolean } | undefined
  /** The state must be evaluated before the step ends. */
  stateDirty: boolean
  /** The slots our shard lost the binding of during this step, bytes of a bitmap by their index; those still gone at its end become one
   *  effect. */
  readonly lostSlots: Map<number, number>
}

/** The bitmap without any slot; nobody writes to it. */
export const NO_SLOTS: Uint8Array = new Uint8Array(SLOT_BYTES)

/** A fresh row, in no role of importance yet. */
export function createNode(c: { now: Millis; random: Random }, id: NodeId): ClusterNode {
  return {
    id,
    role: 'primary',
    health: 'ok',
    handshake: false,
    noAddress: false,
    outbound: undefined,
    pingSentAt: 0 as Millis,
    pongReceivedAt: 0 as Millis,
    dataReceivedAt: 0 as Millis,
    failureReports: undefined,
    slotCount: 0,
    migrateTo: false,
    orphanedAt: 0 as Millis,
    primary: undefined,
    replicas: [],
    slots: NO_SLOTS,
    slotText: undefined,
    configEpoch: 0 as Epoch,
    shard: c.random.hex(40) as ShardId,
    meet: false,
    noFailover: false,
    extensionsSupported: false,
    ip: '',
    port: 0,
    otherPort: 0,
    busPort: 0,
    hostname: '',
    humanName: '',
    clientIpv4: '',
    clientIpv6: '',
    createdAt: c.now,
    failedAt: 0 as Millis,
    promotedAt: 0 as Millis,
    votedAt: 0 as Millis,
    offset: 0 as Offset,
    offsetAt: 0 as Millis,
    inbound: undefined,
  }
}

const zeroCounters = (): Record<BodyType, number> =>
  Object.fromEntries(MESSAGE_NAMES.map((name) => [name, 0])) as Record<BodyType, number>

/** A cluster of one: a node that has just been given an id. */
export function createCluster(init: {
  options: ClusterOptions
  facts: LocalFacts
  random: Random
  now: Millis
  id?: NodeId
}): Cluster {
  const myself = createNode(init, init.id ?? (init.random.hex(40) as NodeId))
  return {
    options: init.options,
    facts: init.facts,
    random: init.random,
    now: init.now,
    myself,
    nodes: new Map([[myself.id, myself]]),
    byHash: new Map([[hashOf(myself.id), myself]]),
    rows: undefined,
    links: new Map(),
    nextLinkId: 1,
    owners: new Array<ClusterNode | undefined>(SLOT_COUNT).fill(undefined),
    migratingTo: new Map(),
    importingFrom: new Map(),
    unclaimed: new Uint8Array(SLOT_BYTES),
    recalled: new Uint8Array(SLOT_BYTES),
    currentEpoch: 0 as Epoch,
    lastVoteEpoch: 0 as Epoch,
    state: 'fail',
    size: 1,
    blacklist: new Map(),
    election: {
      startAt: 0 as Millis,
      scheduledAt: 0 as Millis,
      ahead: 0,
      aheadSince: 0 as Millis,
      rank: 0,
      sent: false,
      votes: 0,
      majority: 0,
      epoch: 0 as Epoch,
      voters: [],
      sharedOffset: -1,
      cantReason: '',
      cantLoggedAt: 0 as Millis,
    },
    manual: { endsAt: 0 as Millis, replica: undefined, targetOffset: -1, canStart: false, epoch: undefined },
    stateAt: init.now,
    firstCheckAt: 0 as Millis,
    minorityAt: 0 as Millis,
    tickCount: 0,
    pfailCount: 0,
    mentioned: undefined,
    saidSlots: new Uint8Array(SLOT_BYTES),
    shownSlots: new Uint8Array(SLOT_BYTES),
    shownTick: -1,
    untold: [],
    stats: { sent: zeroCounters(), received: zeroCounters(), bufferLimitExceeded: 0 },
    history: [],
    votes: [],
    effects: [],
    foreignSyncs: undefined,
    unsaved: 'no',
    unsavedSlot: undefined,
    stateDirty: false,
    lostSlots: new Map(),
  }
}

/** A voter is a primary that owns slots; only voters count in quorums. */
export const isVoter = (node: ClusterNode): boolean => node.role === 'primary' && node.slotCount > 0

/** A majority of the known voters, failed ones included. */
export const quorum = (c: Cluster): number => Math.floor(c.size / 2) + 1

/** The primary a node stands for: itself, or whom it replicates when that is known. */
export const primaryOf = (node: ClusterNode): ClusterNode | undefined => (node.role === 'primary' ? node : node.primary)

/** Whether a node stands for the same primary as we do: our primary or ourselves, or one of its replicas. */
export function inMyShard(c: Cluster, node: ClusterNode): boolean {
  const mine = primaryOf(c.myself)
  return node === c.myself || (mine !== undefined && primaryOf(node) === mine)
}
