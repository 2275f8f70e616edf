/** A simulated world: N cluster cores, one virtual clock, one seed. Events and effects go through a simulated network, and
 *  what a node would keep on disk is kept as text; everything else of a node is as little as its core can notice. Equal
 *  seeds and equal calls give equal worlds. */
import { assert } from '../../lib/base/assert.ts'
import { type Millis, type NodeId, type Offset, SLOT_COUNT } from '../../lib/base/brand.ts'
import { type Random, seededRandom } from '../../lib/base/random.ts'
import type { Effect } from '../effect.ts'
import type { Answer, Event, Operation } from '../event.ts'
import { readNodesConf, writeNodesConf } from '../nodes-conf.ts'
import { type Cluster, type ClusterNode, type ClusterOptions, createCluster, type LocalFacts } from '../state.ts'
import { step } from '../step.ts'
import {
  canReach,
  createNetwork,
  cut,
  type Delay,
  dial,
  drop,
  type Host,
  hangUp,
  heal,
  type Network,
  send,
} from './network.ts'
import { createSchedule, type Schedule } from './schedule.ts'

const TICK_MS = 100
/** Where virtual time begins: well after zero, which means "never" in the core. */
const BEGINNING = 1_700_000_000_000 as Millis

/** The options of a simulated node where a test does not say otherwise. */
export const SIM_OPTIONS: ClusterOptions = {
  nodeTimeoutMs: 2000,
  port: 7000,
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
  replPingReplicaPeriodSec: 10,
}

/** One node: its core, and the little of a server around it. Tests may change `facts`, `options` and `keys`. */
export interface SimNode extends Host {
  readonly index: number
  alive: boolean
  cluster: Cluster
  readonly options: ClusterOptions
  readonly facts: LocalFacts
  /** Keys by slot. */
  readonly keys: Map<number, number>
  /** The nodes.conf text last saved; '' before the first save. */
  disk: string
  /** Whom it replicates, as its last `follow` said. */
  following: NodeId | undefined
  /** Its replication stalls: the offset stays where it is, though the link is up. */
  heldBack: boolean
  pausedUntil: number
  readonly log: string[]
  /** Channel messages that came over the bus, as text. */
  readonly published: string[]
  /** Counts restarts: what was scheduled for an earlier life does not happen. */
  life: number
}

export interface WorldInit {
  readonly seed: number
  readonly nodes: number
  readonly options?: Partial<ClusterOptions>
  readonly delay?: Delay
  /** Sees every step of every node. */
  readonly watch?: (node: SimNode, event: Event, effects: readonly Effect[]) => void
}

export function createWorld(init: WorldInit): World {
  return new World(init)
}

export class World {
  readonly seed: number
  readonly random: Random
  readonly schedule: Schedule
  readonly network: Network
  readonly nodes: readonly SimNode[]
  private readonly watch: WorldInit['watch']

  constructor(init: WorldInit) {
    this.seed = init.seed
    this.random = seededRandom(init.seed)
    this.schedule = createSchedule(BEGINNING)
    this.network = createNetwork(this.schedule, this.random, init.delay ?? { minMs: 0.2, maxMs: 2 })
    this.watch = init.watch
    this.nodes = Array.from({ length: init.nodes }, (_, i) => this.addNode(i, { ...SIM_OPTIONS, ...init.options }))
  }

  get now(): Millis {
    return Math.floor(this.schedule.now) as Millis
  }

  /** Lets time pass. */
  advance(ms: number): void {
    this.schedule.runUntil((this.schedule.now + ms) as Millis)
  }

  /** Lets time pass until `claim` holds; returns how long it took. Throws, naming the seed, when it takes too long. */
  until(claim: () => boolean, atMostMs: number): number {
    const start = this.schedule.now
    while (!claim()) {
      const waited = this.schedule.now - start
      assert(waited < atMostMs, `seed ${this.seed}: not within ${atMostMs} ms of virtual time: ${claim}`)
      this.advance(10)
    }
    return this.schedule.now - start
  }

  /** The core of a node. */
  cluster(i: number): Cluster {
    return this.node(i).cluster
  }

  /** The row node `i` has for node `j`. */
  row(i: number, j: number): ClusterNode | undefined {
    return this.cluster(i).nodes.get(this.cluster(j).myself.id)
  }

  /** Runs a CLUSTER command on a node. */
  operate(i: number, operation: Operation): Answer | undefined {
    const effects = this.deliver(this.node(i), { type: 'operator', operation })
    this.deliver(this.node(i), { type: 'turn-end' })
    const last = effects.at(-1)
    assert(last?.type === 'answer', 'an operator event is answered, last')
    return last.answer
  }

  /** Node 0 meets all others; returns when everybody knows everybody. */
  meetAll(): void {
    for (const node of this.nodes.slice(1)) {
      this.operate(0, { name: 'meet', ip: node.ip, port: node.options.port, busPort: node.options.port + 10_000 })
    }
    this.until(() => this.nodes.every((node) => this.knowsEverybody(node.cluster)), 60_000)
  }

  /** Makes a cluster: the first `shards` nodes share the slots, the others replicate them in turn. */
  form(shards: number): void {
    for (let i = 0; i < this.nodes.length; i++) this.operate(i, { name: 'set-config-epoch', epoch: i + 1 })
    for (let i = 0; i < shards; i++) this.operate(i, { name: 'addslots', slots: slotsOfShard(i, shards) })
    this.meetAll()
    for (let i = shards; i < this.nodes.length; i++) {
      const primary = this.cluster(i % shards).myself.id
      this.until(() => this.operate(i, { name: 'replicate', id: primary }) === undefined, 10_000)
    }
    this.until(() => this.hasConverged(), 60_000)
  }

  /** Whether all living nodes are in state ok and agree on the owner of every slot and on everybody's role. */
  hasConverged(): boolean {
    const living = this.nodes.filter((node) => node.alive).map((node) => node.cluster)
    const first = living[0]
    return living.every((c) => {
      if (c.state !== 'ok' || !first) return false
      if (!c.owners.every((owner, s) => owner?.id === first.owners[s]?.id)) return false
      return living.every(({ myself }) => {
        const row = c.nodes.get(myself.id)
        return row?.role === myself.role && row.primary?.id === myself.primary?.id && row.health === 'ok'
      })
    })
  }

  /** Appends bytes to the stream of a primary; false when clients have to wait. */
  write(i: number, bytes: number): boolean {
    const { facts, pausedUntil } = this.node(i)
    if (this.now < pausedUntil) return false
    facts.replicationOffset = (facts.replicationOffset + bytes) as Offset
    return true
  }

  /** A node stops at once; its disk stays. */
  crash(i: number): void {
    const node = this.node(i)
    hangUp(this.network, node)
    node.alive = false
    node.life++
  }

  /** A crashed node starts from its nodes.conf. */
  restart(i: number): void {
    const node = this.node(i)
    assert(!node.alive, 'a node is restarted after a crash')
    const init = { options: node.options, facts: node.facts, random: this.random, now: this.now }
    node.facts.hasPrimaryTarget = false
    node.following = undefined
    node.pausedUntil = 0
    node.cluster = node.disk === '' ? createCluster(init) : readNodesConf(node.disk, init)
    node.alive = true
    this.start(node)
  }

  /** Cuts the network between two nodes, in both directions. */
  cut(i: number, j: number): void {
    this.cutOneWay(i, j)
    this.cutOneWay(j, i)
  }

  /** What node `i` sends no longer reaches node `j`. */
  cutOneWay(i: number, j: number): void {
    cut(this.network, this.node(i), this.node(j))
  }

  /** Cuts the network between two groups of nodes. */
  partition(group: readonly number[], rest: readonly number[]): void {
    for (const i of group) for (const j of rest) this.cut(i, j)
  }

  /** Ends all cuts. */
  heal(): void {
    heal(this.network)
  }

  /** Gives a node an event now and carries out its effects. */
  deliver(node: SimNode, event: Event): readonly Effect[] {
    this.refreshFacts(node)
    const effects = step(node.cluster, event, this.now)
    this.watch?.(node, event, effects)
    for (const effect of effects) this.perform(node, effect)
    return effects
  }

  private node(i: number): SimNode {
    const node = this.nodes[i]
    assert(node, `node ${i} of the world`)
    return node
  }

  private addNode(index: number, options: ClusterOptions): SimNode {
    const keys = new Map<number, number>()
    const facts = createFacts(keys)
    const node: SimNode = {
      index,
      ip: `10.0.${index >> 8}.${(index & 255) + 1}`,
      alive: true,
      cluster: createCluster({ options, facts, random: this.random, now: this.now }),
      options,
      facts,
      keys,
      disk: '',
      following: undefined,
      heldBack: false,
      pausedUntil: 0,
      log: [],
      published: [],
      life: 0,
      allocateLinkId: () => node.cluster.nextLinkId++,
      deliver: (event) => void this.deliver(node, event),
    }
    this.network.hosts.push(node)
    this.start(node)
    return node
  }

  private start(node: SimNode): void {
    this.schedule.after(0, () => {
      if (node.alive) this.deliver(node, { type: 'options-changed' })
    })
    this.tickLater(node, this.random.below(TICK_MS), node.life)
  }

  private tickLater(node: SimNode, delayMs: number, life: number): void {
    this.schedule.after(delayMs, () => {
      if (!node.alive || node.life !== life) return
      this.deliver(node, { type: 'tick' })
      this.tickLater(node, TICK_MS, life)
    })
  }

  /** Replication in one line: while the primary can be reached, a replica is where its primary is. */
  private refreshFacts(node: SimNode): void {
    const { facts, following } = node
    const primary = this.nodes.find(({ cluster }) => cluster.myself.id === following)
    facts.primaryLinkUp =
      primary !== undefined && canReach(this.network, node, primary) && canReach(this.network, primary, node)
    if (!facts.primaryLinkUp || !primary) return
    facts.primaryLastSeenAt = this.now
    if (!node.heldBack) facts.replicationOffset = primary.facts.replicationOffset
  }

  private perform(node: SimNode, effect: Effect): void {
    switch (effect.type) {
      case 'save':
        node.disk = writeNodesConf(node.cluster)
        break
      case 'connect':
        dial(this.network, node, effect.link, effect.ip)
        break
      case 'drop':
        drop(this.network, node, effect.link)
        break
      case 'send':
        for (const link of effect.links) send(this.network, node, link, effect.message)
        break
      case 'follow':
        node.following = effect.primary
        node.facts.hasPrimaryTarget = true
        break
      case 'lead':
        node.following = undefined
        node.facts.hasPrimaryTarget = false
        break
      case 'purge':
        for (const s of effect.slots) node.keys.delete(s)
        break
      case 'flush':
        node.keys.clear()
        break
      case 'pause-writes':
        node.pausedUntil = effect.until
        break
      case 'resume-writes':
        node.pausedUntil = 0
        break
      case 'publish':
        node.published.push(Buffer.from(effect.message).toString())
        break
      case 'log':
        node.log.push(effect.text)
        break
      case 'slots-lost':
      case 'state':
      case 'trace':
      case 'answer':
        break
    }
  }

  private knowsEverybody(c: Cluster): boolean {
    if (c.nodes.size !== this.nodes.length) return false
    return [...c.nodes.values()].every((node) => node === c.myself || (!node.handshake && node.outbound?.up))
  }
}

/** The slots of shard `i` of `shards`, as even as can be. */
export function slotsOfShard(i: number, shards: number): number[] {
  const first = Math.ceil((i * SLOT_COUNT) / shards)
  const end = Math.ceil(((i + 1) * SLOT_COUNT) / shards)
  return Array.from({ length: end - first }, (_, k) => first + k)
}

function createFacts(keys: Map<number, number>): LocalFacts {
  return {
    replicationOffset: 0 as Offset,
    primaryLinkUp: false,
    hasPrimaryTarget: false,
    primaryLastSeenAt: 0 as Millis,
    loading: false,
    keysInSlot: (slot) => keys.get(slot) ?? 0,
    keyCount: () => [...keys.values()].reduce((sum, n) => sum + n, 0),
    bufferedOn: () => 0,
  }
}
