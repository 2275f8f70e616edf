/** Carrying out a fault plan: one row for each type of fault. What lasts a while undoes itself; healing undoes the rest. */
import { NodesConfError } from '../nodes-conf.ts'
import { newest } from './disk.ts'
import { breakLinks, mend, slowDown } from './network.ts'
import type { SimNode } from './node.ts'
import type { Fault, Plan, Who } from './plan.ts'
import { firstSlotOf, type World } from './world.ts'

type Of<T extends Fault['type']> = Fault & { readonly type: T }

/** What a fault is given: the world, the plan, and whom nobody may start again. */
export interface Stage {
  readonly world: World
  readonly plan: Plan
  readonly lost: Set<number>
  /** One operator moves one slot at a time: SETSLOT NODE of two slots that cross between two nodes may leave a slot to
   *  nobody, with real servers too, and takes `redis-cli --cluster fix`. */
  isResharding: boolean
  /** Who imported a slot. Were such a node lost for good before its replica heard of the slot, the slot would be nobody's:
   *  SETSLOT is not replicated before Valkey 8. */
  readonly importers: Set<number>
  /** What happened, in words, with the node it happened to. */
  readonly tell: (node: SimNode | undefined, text: string) => void
}

/** The slot that stands for the data of a shard: its first. */
export const probeSlot = (plan: Plan, shard: number): number => firstSlotOf(shard, plan.shards)

/** Puts every fault of the plan on the schedule. */
export function inject(stage: Stage): void {
  const { world, plan } = stage
  for (const fault of plan.faults) world.schedule.after(fault.atMs, () => carryOut(stage, fault))
}

/** Ends everything that is still wrong, but for nodes that are lost for good. */
export function healAll(stage: Stage): void {
  const { world, lost, tell } = stage
  tell(undefined, 'everything is healed')
  world.heal()
  for (const node of world.nodes) {
    node.heldBack = false
    if (node.asleep) world.resume(node.index)
    if (!node.alive && !lost.has(node.index)) world.restart(node.index)
  }
}

/** What an operator does about a cluster that is not whole: introduces nodes that do not know each other, and closes slots
 *  that were left open. */
export function repair({ world, tell }: Stage): void {
  const living = world.nodes.filter((node) => node.alive)
  for (const { index, cluster } of living) {
    for (const other of living) {
      if (!cluster.nodes.has(other.cluster.myself.id)) {
        tell(world.node(index), `CLUSTER MEET n${other.index}, by way of repair`)
        world.meet(index, other.index)
      }
    }
    for (const marks of [cluster.migratingTo, cluster.importingFrom]) {
      const [slot] = marks.keys()
      if (slot !== undefined) world.operate(index, { name: 'setslot', slot, action: 'stable' })
    }
  }
}

/** The node that is meant now; undefined when there is none. */
export function resolve({ world, plan }: Stage, who: Who): SimNode | undefined {
  if ('node' in who) return world.nodes[who.node]
  if ('primaryOf' in who) {
    const slot = probeSlot(plan, who.primaryOf)
    return world.nodes
      .filter(({ alive, cluster }) => alive && cluster.myself.role === 'primary' && ownsSlot(cluster, slot))
      .reduce<SimNode | undefined>((best, node) => (best && epochOf(best) >= epochOf(node) ? best : node), undefined)
  }
  const slot = probeSlot(plan, who.replicaOf)
  const replicas = world.nodes.filter(({ alive, cluster }) => {
    return alive && cluster.myself.role === 'replica' && cluster.owners[slot] === cluster.myself.primary
  })
  return replicas[who.nth % Math.max(1, replicas.length)]
}

const ownsSlot = (cluster: SimNode['cluster'], slot: number): boolean => cluster.owners[slot] === cluster.myself
const epochOf = (node: SimNode): number => node.cluster.myself.configEpoch

const ROWS: { readonly [T in Fault['type']]: (stage: Stage, fault: Of<T>) => void } = {
  crash,
  pause(stage, { who, forMs }) {
    const node = awake(stage, who)
    if (!node) return
    stage.tell(node, `the process stops for ${forMs} ms`)
    stage.world.pause(node.index)
    whileAlive(stage, node, forMs, () => stage.world.resume(node.index))
  },
  isolate(stage, { who, way, forMs }) {
    const node = resolve(stage, who)
    if (!node) return
    stage.tell(node, `isolated (${way === 'both' ? 'both ways' : `${way} only`}) for ${forMs} ms`)
    const others = stage.world.nodes.filter((other) => other !== node)
    if (way !== 'in') cutFor(stage, [node], others, forMs)
    if (way !== 'out') cutFor(stage, others, [node], forMs)
  },
  partition(stage, { group, oneWay, forMs }) {
    const [some, rest] = [true, false].map((inside) => {
      return stage.world.nodes.filter(({ index }) => group.includes(index) === inside)
    }) as [SimNode[], SimNode[]]
    const names = group.map((i) => `n${i}`).join(' ')
    stage.tell(undefined, `${names} cut off from the others (${oneWay ? 'outward' : 'both ways'}) for ${forMs} ms`)
    cutFor(stage, some, rest, forMs)
    if (!oneWay) cutFor(stage, rest, some, forMs)
  },
  slow(stage, { from, to, extraMs, forMs }) {
    const [a, b] = [resolve(stage, from), resolve(stage, to)]
    if (!a || !b || a === b) return
    stage.tell(a, `what it sends to n${b.index} takes ${extraMs} ms longer, for ${forMs} ms`)
    const { network, schedule } = stage.world
    slowDown(network, a, b, extraMs)
    schedule.after(forMs, () => slowDown(network, a, b, 0))
  },
  'break-links'(stage, { who, other }) {
    const [a, b] = [resolve(stage, who), resolve(stage, other)]
    if (!a || !b || a === b) return
    stage.tell(a, `all connections with n${b.index} break`)
    breakLinks(stage.world.network, a, b)
  },
  part(stage, { who, other, forMs }) {
    const [a, b] = [resolve(stage, who), resolve(stage, other)]
    if (!a || !b || a === b) return
    stage.tell(a, `does not hear n${b.index}, nor the other way round, for ${forMs} ms`)
    cutFor(stage, [a], [b], forMs)
    cutFor(stage, [b], [a], forMs)
  },
  bumpepoch(stage, { who }) {
    const node = awake(stage, who)
    if (!node) return
    stage.tell(node, 'CLUSTER BUMPEPOCH')
    stage.world.operate(node.index, { name: 'bumpepoch' })
  },
  clock(stage, { who, jumpMs }) {
    const node = resolve(stage, who)
    if (!node) return
    stage.tell(node, `its clock jumps by ${jumpMs} ms`)
    stage.world.jump(node.index, jumpMs)
  },
  lag(stage, { who, forMs }) {
    const node = resolve(stage, who)
    if (!node) return
    stage.tell(node, `its replication stalls for ${forMs} ms`)
    node.heldBack = true
    stage.world.schedule.after(forMs, () => {
      node.heldBack = false
    })
  },
  failover(stage, { who, mode }) {
    const node = awake(stage, who)
    if (!node) return
    stage.tell(node, `CLUSTER FAILOVER${mode === 'plain' ? '' : ` ${mode.toUpperCase()}`}`)
    stage.world.operate(node.index, { name: 'failover', mode })
  },
  forget: (stage, fault) => aboutAnother(stage, fault, 'forget'),
  replicate: (stage, fault) => aboutAnother(stage, fault, 'replicate'),
  meet(stage, { who, other }) {
    const [node, peer] = [awake(stage, who), resolve(stage, other)]
    if (!node || !peer) return
    stage.tell(node, `CLUSTER MEET n${peer.index}`)
    stage.world.meet(node.index, peer.index)
  },
  reset(stage, { who, hard }) {
    const node = awake(stage, who)
    if (!node) return
    stage.tell(node, `CLUSTER RESET ${hard ? 'HARD' : 'SOFT'}`)
    stage.world.operate(node.index, { name: 'reset', hard })
  },
  reshard,
}

function carryOut(stage: Stage, fault: Fault): void {
  // The row of a type takes the fault of that type, which the type of a table cannot say.
  const run = ROWS[fault.type] as (stage: Stage, fault: Fault) => void
  run(stage, fault)
}

function crash(stage: Stage, { who, power, forMs, torn }: Of<'crash'>): void {
  const { world, lost, tell } = stage
  const node = resolve(stage, who)
  if (!node?.alive) return
  const forGood = forMs === undefined && lost.size === 0 && !stage.importers.has(node.index)
  tell(node, `${power ? 'loses power' : 'crashes'}${forGood ? ', for good' : ''}`)
  world.crash(node.index, power ? 'power' : 'process')
  if (forGood) lost.add(node.index)
  if (forMs === undefined) return
  const { life } = node
  world.schedule.after(forMs, () => {
    if (node.alive || node.life !== life) return
    if (torn) refuseTorn(stage, node)
    tell(node, 'starts again')
    world.restart(node.index)
  })
}

/** A file that was cut short must be refused; the operator then puts back the whole one. */
function refuseTorn({ world, tell }: Stage, node: SimNode): void {
  // Slot lines are left out: in the file itself they are gone after a tick.
  const whole = newest(node.disk).replace(/(vars slot .*\n)+$/, '')
  // Its end is where a cut is hardest to see.
  const missing = 1 + world.random.below(world.random.below(2) === 0 ? 3 : whole.length - 1)
  const text = whole.slice(0, whole.length - missing)
  tell(node, `finds the first ${text.length} of ${whole.length} bytes of its nodes.conf`)
  try {
    world.load(node, text)
  } catch (error) {
    if (error instanceof NodesConfError) return
    throw error
  }
  throw new Error(`n${node.index} starts from a nodes.conf that was cut short after ${text.length} bytes`)
}

/** A slot without keys changes hands, as redis-cli does it, in four steps with time between them for something to happen.
 *  The operator stops at the first step that fails. */
function reshard(stage: Stage, { slot: nth, fromShard, to, gapMs, steps }: Of<'reshard'>): void {
  const { world, plan, tell } = stage
  const slot = probeSlot(plan, fromShard) + nth
  const target = resolve(stage, to)
  const source = world.nodes.find(({ alive, cluster }) => alive && ownsSlot(cluster, slot))
  if (!source || !target || source === target || stage.isResharding) return
  stage.importers.add(target.index)
  const [fromId, toId] = [source.cluster.myself.id, target.cluster.myself.id]
  const orders = [
    [target, { name: 'setslot', slot, action: 'importing', id: fromId }],
    [source, { name: 'setslot', slot, action: 'migrating', id: toId }],
    [target, { name: 'setslot', slot, action: 'node', id: toId }],
    [source, { name: 'setslot', slot, action: 'node', id: toId }],
  ] as const
  const next = (i: number): void => {
    const order = i < steps ? orders[i] : undefined
    stage.isResharding = false
    if (!order) return
    const [node, operation] = order
    if (!node.alive || node.asleep) return
    tell(node, `CLUSTER SETSLOT ${slot} ${operation.action.toUpperCase()} n${i === 0 ? source.index : target.index}`)
    stage.isResharding = world.operate(node.index, operation) === undefined
    if (stage.isResharding) world.schedule.after(gapMs, () => next(i + 1))
  }
  next(0)
}

function aboutAnother(stage: Stage, { who, other }: Of<'forget' | 'replicate'>, name: 'forget' | 'replicate'): void {
  const [node, peer] = [awake(stage, who), resolve(stage, other)]
  if (!node || !peer || node === peer) return
  stage.tell(node, `CLUSTER ${name.toUpperCase()} n${peer.index}`)
  stage.world.operate(node.index, { name, id: peer.cluster.myself.id })
}

/** The node that is meant, if an operator can talk to it. */
function awake(stage: Stage, who: Who): SimNode | undefined {
  const node = resolve(stage, who)
  return node?.alive && !node.asleep ? node : undefined
}

function cutFor({ world }: Stage, some: readonly SimNode[], others: readonly SimNode[], forMs: number): void {
  for (const from of some) for (const to of others) world.cutOneWay(from.index, to.index)
  world.schedule.after(forMs, () => {
    for (const from of some) for (const to of others) mend(world.network, from, to)
  })
}

function whileAlive({ world }: Stage, node: SimNode, afterMs: number, run: () => void): void {
  const { life } = node
  world.schedule.after(afterMs, () => {
    if (node.alive && node.life === life) run()
  })
}
