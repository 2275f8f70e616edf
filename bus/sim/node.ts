/** A simulated node: its core, and as little of a server around it as the core can notice: a clock of its own, a disk, its
 *  place in a stream of writes. */
import type { Millis, NodeId, Offset } from '../../lib/base/brand.ts'
import type { Event } from '../event.ts'
import type { Cluster, ClusterOptions, LocalFacts } from '../state.ts'
import { type Disk, emptyDisk } from './disk.ts'
import type { Host } from './network.ts'
import { type Data, noData, type Stream } from './stream.ts'

/** The client port of every simulated node; the bus is 10000 higher. */
export const SIM_PORT = 7000

/** The options of a simulated node where a test does not say otherwise. */
export const SIM_OPTIONS: ClusterOptions = {
  nodeTimeoutMs: 2000,
  port: SIM_PORT,
  tlsPort: 0,
  clusterPort: 0,
  tlsCluster: false,
  announceIp: '',
  announcePort: 0,
  announceTlsPort: 0,
  announceBusPort: 0,
  announceHostname: '',
  announceHumanNodename: '',
  announceClientIpv4: '',
  announceClientIpv6: '',
  preferredEndpointType: 'ip',
  requireFullCoverage: true,
  allowReadsWhenDown: false,
  allowPubsubshardWhenDown: true,
  replicaValidityFactor: 10,
  replicaNoFailover: false,
  allowReplicaMigration: true,
  migrationBarrier: 1,
  linkSendbufLimit: 0,
  pingIntervalMs: 0,
  blacklistTtlSec: 60,
  fastFailover: true,
  replPingReplicaPeriodSec: 10,
}

/** Tests may change `facts`, `options`, `keys` and whether replication is held back. */
export interface SimNode extends Host {
  alive: boolean
  /** Set once, when the world has made the node; a new one with each restart. */
  cluster: Cluster
  readonly options: ClusterOptions
  readonly facts: LocalFacts
  /** Keys by slot. */
  readonly keys: Map<number, number>
  readonly disk: Disk
  readonly data: Data
  /** Whom it replicates, as its last `follow` said: by name, and who really is at that address. */
  following: NodeId | undefined
  source: SimNode | undefined
  /** The stream it is attached to; undefined until it has synchronised with its source. */
  attached: Stream | undefined
  /** When a full synchronisation under way is done; 0 for none. */
  syncedAt: number
  /** How far its replication is behind. */
  lagMs: number
  /** Its replication stalls: the offset stays where it is, though the link is up. */
  heldBack: boolean
  /** Its clock says this much more than the world's. */
  clockAheadMs: number
  /** The process is stopped; what arrives waits in `inbox`. */
  asleep: boolean
  readonly inbox: Event[]
  /** When, in world time, it last started. */
  startedAt: number
  /** When it last started, or went on after a sleep or a jump of its clock: perhaps it still has to. */
  upSince: number
  /** Until when, by its own clock, writes wait for a manual failover. */
  pausedUntil: number
  readonly log: string[]
  /** Channel messages that came over the bus, as text. */
  readonly published: string[]
  /** Counts restarts: what was scheduled for an earlier life does not happen. */
  life: number
}

/** The address of the node with this number. */
export const ipOf = (index: number): string => `10.0.${index >> 8}.${(index & 255) + 1}`

/** A node that is not running yet: whoever makes it gives it its core and its place in the network. */
export type NodeParts = Omit<SimNode, 'cluster' | 'deliver' | 'allocateLinkId'>

export function createNodeParts(index: number, options: ClusterOptions): NodeParts {
  const keys = new Map<number, number>()
  const data = noData()
  return {
    index,
    ip: ipOf(index),
    alive: true,
    options,
    facts: createFacts(keys, data),
    keys,
    disk: emptyDisk(),
    data,
    following: undefined,
    source: undefined,
    attached: undefined,
    syncedAt: 0,
    lagMs: 0,
    heldBack: false,
    clockAheadMs: 0,
    asleep: false,
    inbox: [],
    startedAt: 0,
    upSince: 0,
    pausedUntil: 0,
    log: [],
    published: [],
    life: 0,
  }
}

function createFacts(keys: Map<number, number>, data: Data): LocalFacts {
  return {
    replicationOffset: 0 as Offset,
    primaryLinkUp: false,
    hasPrimaryTarget: false,
    primaryLastSeenAt: 0 as Millis,
    primarySyncs: 0,
    loading: false,
    keysInSlot: (slot) => keys.get(slot) ?? 0,
    keyCount: () => [...keys.values()].reduce((sum, n) => sum + n, 0) + data.count,
    bufferedOn: () => 0,
  }
}
