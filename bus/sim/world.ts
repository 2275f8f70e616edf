/** A simulated world: N cluster cores, one virtual clock, one seed. Events and effects go through a simulated network, and
 *  what a node would keep on disk is kept as text; everything else of a node is as little as its core can notice. Equal
 *  seeds and equal calls give equal worlds. */
import { assert } from '../../lib/base/assert.ts'
import { type Millis, SLOT_COUNT } from '../../lib/base/brand.ts'
import { type Random, seededRandom } from '../../lib/base/random.ts'
import { encode } from '../codec.ts'
import type { Effect } from '../effect.ts'
import { isDataForeign } from '../election.ts'
import type { Answer, Event, Operation } from '../event.ts'
import { readNodesConf, slotLine, writeNodesConf } from '../nodes-conf.ts'
import { type Cluster, type ClusterNode, type ClusterOptions, createCluster } from '../state.ts'
import { step } from '../step.ts'
import { whyNotConverged } from './convergence.ts'
import { type Care, losePower, loseProcess, newest, save } from './disk.ts'
import { addHost, createNetwork, cut, type Delay, dial, drop, hangUp, heal, type Network, send } from './network.ts'
import { createNodeParts, type NodeParts, SIM_OPTIONS, type SimNode } from './node.ts'
import { flush, follow, lead, replicate, stop, write } from './replication.ts'
import { createSchedule, type Schedule } from './schedule.ts'

const TICK_MS = 100
/** Where virtual time begins: well after zero, which means "never" in the core. */
const BEGINNING = 1_700_000_000_000 as Millis

export interface WorldInit {
  readonly seed: number
  readonly nodes: number
  readonly options?: Partial<ClusterOptions>
  readonly delay?: Delay
  /** Sees every step of every node, before its effects are carried out. */
  readonly watch?: (node: SimNode, event: Event, effects: readonly Effect[]) => void
  /** Sees every frame that leaves. */
  readonly tap?: (node: SimNode, bytes: Buffer) => void
  /** The nodes.conf each node starts from; a node without one is new. */
  readonly confs?: readonly string[]
  /** Whose nodes.conf is kept; of a node that will not crash nobody reads it. All, if left out. */
  readonly keepsDisk?: (index: number) => boolean
  /** Whether nodes remember what they logged; they do, if left out. Of many failures at once many millions of lines tell. */
  readonly keepsLog?: boolean
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
  private readonly init: WorldInit
  private writes = 0

  constructor(init: WorldInit) {
    this.init = init
    this.seed = init.seed
    this.random = seededRandom(init.seed)
    this.schedule = createSchedule(BEGINNING)
    this.network = createNetwork(this.schedule, this.random, init.delay ?? { minMs: 0.2, maxMs: 2 })
    this.nodes = Array.from({ length: init.nodes }, (_, i) => this.addNode(i, { ...SIM_OPTIONS, ...init.options }))
  }

  get now(): Millis {
    return Math.floor(this.schedule.now) as Millis
  }

  /** Milliseconds since the world began. */
  get age(): number {
    return this.schedule.now - BEGINNING
  }

  /** What a node's own clock says. */
  timeOf(node: SimNode): Millis {
    return Math.floor(this.schedule.now + node.clockAheadMs) as Millis
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

  /** A node by its number. */
  node(i: number): SimNode {
    const node = this.nodes[i]
    assert(node, `node ${i} of the world`)
    return node
  }

  /** The core of a node. */
  cluster(i: number): Cluster {
    return this.node(i).cluster
  }

  /** The row node `i` has for node `j`. */
  row(i: number, j: number): ClusterNode | undefined {
    return this.cluster(i).nodes.get(this.cluster(j).myself.id)
  }

  /** Runs a CLUSTER command on a node that is awake. */
  operate(i: number, operation: Operation): Answer | undefined {
    const effects = this.deliver(this.node(i), { type: 'operator', operation })
    this.deliver(this.node(i), { type: 'turn-end' })
    const last = effects.at(-1)
    assert(last?.type === 'answer', 'an operator event is answered, last')
    return last.answer
  }

  /** Node 0 meets all others; returns when everybody knows everybody. */
  meetAll(): void {
    for (const node of this.nodes.slice(1)) this.meet(0, node.index)
    this.until(() => this.nodes.every((node) => this.knowsEverybody(node.cluster)), 60_000)
  }

  /** CLUSTER MEET, said to node `i`. */
  meet(i: number, j: number): Answer | undefined {
    const { ip, options } = this.node(j)
    return this.operate(i, { name: 'meet', ip, port: options.port, busPort: options.port + 10_000 })
  }

  /** Makes a cluster: the first `shards` nodes share the slots, the others replicate them in turn and have their data. */
  form(shards: number): void {
    for (let i = 0; i < this.nodes.length; i++) this.operate(i, { name: 'set-config-epoch', epoch: i + 1 })
    for (let i = 0; i < shards; i++) this.operate(i, { name: 'addslots', slots: slotsOfShard(i, shards) })
    this.meetAll()
    for (let i = shards; i < this.nodes.length; i++) {
      const primary = this.cluster(i % shards).myself.id
      this.until(() => this.operate(i, { name: 'replicate', id: primary }) === undefined, 10_000)
    }
    this.until(() => this.hasConverged() && this.nodes.every((node) => !isDataForeign(node.cluster)), 60_000)
  }

  /** Whether all living nodes are in state ok and agree on the owner of every slot and on everybody's role. */
  hasConverged(): boolean {
    return whyNotConverged(this.nodes) === undefined
  }

  /** Appends bytes to the stream of a primary; false when clients have to wait. */
  write(i: number, bytes: number): boolean {
    const node = this.node(i)
    if (this.timeOf(node) < node.pausedUntil) return false
    write(node, this.writes++, bytes, this.schedule.now)
    return true
  }

  /** A node stops at once. Its disk stays; when the power fails with it, as far as it was synced. */
  crash(i: number, how: 'process' | 'power' = 'process'): void {
    this.replicateAll()
    const node = this.node(i)
    hangUp(this.network, node)
    node.alive = false
    node.asleep = false
    node.inbox.length = 0
    node.life++
    if (how === 'power') losePower(node.disk, this.random)
    else loseProcess(node.disk, this.random)
  }

  /** A crashed node starts from its nodes.conf. */
  restart(i: number): void {
    const node = this.node(i)
    assert(!node.alive, 'a node is restarted after a crash')
    stop(node)
    node.pausedUntil = 0
    node.cluster = this.load(node, newest(node.disk))
    node.alive = true
    this.start(node)
  }

  /** The core of a node that starts from this nodes.conf; without any text it is a new one. */
  load({ options, facts, clockAheadMs }: NodeParts, text: string): Cluster {
    const now = Math.floor(this.schedule.now + clockAheadMs) as Millis
    const init = { options, facts, random: this.random, now }
    return text === '' ? createCluster(init) : readNodesConf(text, init)
  }

  /** The process of a node is stopped; its connections stay, and fill. */
  pause(i: number): void {
    this.replicateAll()
    this.node(i).asleep = true
  }

  /** It goes on: first with its timers, then with what arrived meanwhile. */
  resume(i: number): void {
    const node = this.node(i)
    if (!node.asleep) return
    this.replicateAll()
    node.asleep = false
    node.upSince = this.schedule.now
    this.deliver(node, { type: 'tick' })
    for (const event of node.inbox.splice(0)) if (node.alive) this.deliver(node, event)
  }

  /** The clock of a node is set. One that is set back says nothing new until it is where it was. */
  jump(i: number, ms: number): void {
    const node = this.node(i)
    node.clockAheadMs += ms
    node.upSince = this.schedule.now + Math.max(-ms, 0)
  }

  /** Cuts the network between two nodes, in both directions. */
  cut(i: number, j: number): void {
    this.cutOneWay(i, j)
    this.cutOneWay(j, i)
  }

  /** What node `i` sends no longer reaches node `j`. */
  cutOneWay(i: number, j: number): void {
    this.replicateAll()
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

  /** Gives a node an event now and carries out its effects. One that sleeps gets it later. */
  deliver(node: SimNode, event: Event): readonly Effect[] {
    if (node.asleep) {
      node.inbox.push(event)
      return []
    }
    const now = this.timeOf(node)
    replicate(this.network, node, this.schedule.now, now)
    const effects = step(node.cluster, event, now)
    this.init.watch?.(node, event, effects)
    for (const effect of effects) this.perform(node, effect)
    return effects
  }

  private addNode(index: number, options: ClusterOptions): SimNode {
    const parts = createNodeParts(index, options)
    parts.disk.safe = this.init.confs?.[index] ?? ''
    const node: SimNode = Object.assign(parts, {
      cluster: this.load(parts, parts.disk.safe),
      allocateLinkId: () => node.cluster.nextLinkId++,
      deliver: (event: Event) => void this.deliver(node, event),
    })
    addHost(this.network, node)
    this.start(node)
    return node
  }

  private start(node: SimNode): void {
    const { life } = node
    node.startedAt = this.schedule.now
    node.upSince = this.schedule.now
    this.schedule.after(0, () => {
      if (node.alive && node.life === life) this.deliver(node, { type: 'options-changed' })
    })
    this.tickLater(node, this.random.below(TICK_MS), life)
  }

  private tickLater(node: SimNode, delayMs: number, life: number): void {
    this.schedule.after(delayMs, () => {
      if (!node.alive || node.life !== life) return
      if (!node.asleep) this.deliver(node, { type: 'tick' })
      this.tickLater(node, TICK_MS, life)
    })
  }

  private replicateAll(): void {
    for (const node of this.nodes) {
      if (node.alive) replicate(this.network, node, this.schedule.now, this.timeOf(node))
    }
  }

  private perform(node: SimNode, effect: Effect): void {
    switch (effect.type) {
      case 'save':
        this.save(node, effect.fsync ? 'synced' : 'written')
        break
      case 'save-later':
        this.save(node, 'later')
        break
      case 'save-slot':
        this.saveSlot(node, effect.slot, effect.later ? 'later' : 'written')
        break
      case 'connect':
        dial(this.network, node, effect.link, effect.ip)
        break
      case 'drop':
        drop(this.network, node, effect.link)
        break
      case 'send':
        this.send(node, effect)
        break
      case 'follow':
        follow(node, effect.primary, this.at(effect.ip), this.timeOf(node))
        break
      case 'lead':
        lead(node)
        break
      case 'purge':
        for (const s of effect.slots) node.keys.delete(s)
        break
      case 'flush':
        flush(node)
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
        if (this.init.keepsLog !== false) node.log.push(effect.text)
        break
      case 'slots-lost':
      case 'state':
      case 'trace':
      case 'answer':
        break
    }
  }

  private send(node: SimNode, effect: Extract<Effect, { type: 'send' }>): void {
    const bytes = encode(effect.message)
    this.init.tap?.(node, bytes)
    const frame = { bytes, message: undefined }
    for (const link of effect.links) send(this.network, node, link, frame)
  }

  private save(node: SimNode, care: Care): void {
    if (this.init.keepsDisk?.(node.index) !== false) save(node.disk, writeNodesConf(node.cluster), care)
  }

  private saveSlot(node: SimNode, slot: number, care: Care): void {
    const text = newest(node.disk)
    if (text === '') return this.save(node, care)
    if (this.init.keepsDisk?.(node.index) !== false) save(node.disk, text + slotLine(node.cluster, slot), care)
  }

  private at(ip: string): SimNode | undefined {
    return this.nodes.find((node) => node.ip === ip)
  }

  private knowsEverybody(c: Cluster): boolean {
    if (c.nodes.size !== this.nodes.length) return false
    return [...c.nodes.values()].every((node) => node === c.myself || (!node.handshake && node.outbound?.up))
  }
}

/** The slots of shard `i` of `shards`, as even as can be. */
export function slotsOfShard(i: number, shards: number): number[] {
  const first = firstSlotOf(i, shards)
  return Array.from({ length: firstSlotOf(i + 1, shards) - first }, (_, k) => first + k)
}

/** The first of them. */
export const firstSlotOf = (i: number, shards: number): number => Math.ceil((i * SLOT_COUNT) / shards)
