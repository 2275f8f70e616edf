/** One trial: a world and a fault plan from one seed; clients write, faults happen, everything is healed, and the cluster
 *  has to come to rest. Whatever rule is broken on the way ends it. */
import type { NodeId } from '../../lib/base/brand.ts'
import { seededRandom } from '../../lib/base/random.ts'
import type { Effect } from '../effect.ts'
import { isDataForeign } from '../election.ts'
import type { Event } from '../event.ts'
import { type Cast, giveFirstWrites, writeConfs } from './boot.ts'
import { noteStep, settle, startClients, type Tally } from './clients.ts'
import { whyNotConverged } from './convergence.ts'
import { healAll, inject, probeSlot, repair, type Stage } from './inject.ts'
import { check, createMemory, type Memory, Violation, whyNotUnique } from './invariants.ts'
import type { SimNode } from './node.ts'
import type { Plan } from './plan.ts'
import { createTimeline, type Timeline } from './timeline.ts'
import { createTrace, type Trace } from './trace.ts'
import { createWorld, type World } from './world.ts'

/** A cluster that was whole comes up in this time. */
const START_MS = 8000
/** After healing, everything is as it should be within so many node timeouts and this time: reports and FAIL expire (two
 *  timeouts each), an election may fail once (four), votes for one primary are two apart; the rest is replication, rank,
 *  rejoin delay and what the operator has to find out. */
const CONVERGE_TIMEOUTS = 20
const CONVERGE_MS = 20_000
const LOOK_EVERY_MS = 200
const REPAIR_EVERY_MS = 2000
const BLACKLIST_TTL_SEC = 4

export interface Outcome {
  readonly plan: Plan
  readonly violation: Violation | undefined
  /** Equal runs have equal hashes. */
  readonly hash: string
  /** Virtual time in all, and how long after healing the cluster was at rest. */
  readonly virtualMs: number
  readonly convergedMs: number
  readonly tally: Tally
  readonly timeline: readonly string[]
}

export interface TrialOptions {
  /** Write a time line, and hash every byte of every frame. */
  readonly detailed?: boolean
}

/** Runs a plan to its end. What is wrong is in the outcome; only a fault of the simulator itself throws. */
export function runTrial(plan: Plan, { detailed = false }: TrialOptions = {}): Outcome {
  const trace = createTrace()
  const memory = createMemory({
    nodeTimeoutMs: plan.nodeTimeoutMs,
    blacklistTtlMs: BLACKLIST_TTL_SEC * 1000,
    reportDelayMs: longestDelay(plan),
  })
  const timeline = detailed ? createTimeline(() => world.nodes) : undefined
  const world = makeWorld(plan, trace, detailed, (node, event, effects) => {
    trace.step(world.schedule.now, node.index, event, effects)
    timeline?.note(world.age, node, effects)
    check(memory, { node, c: node.cluster, event, effects, at: world.schedule.now })
    if (clients) noteStep(clients, node, event, effects)
  })
  let clients: ReturnType<typeof startClients> | undefined
  const outcome = (violation: Violation | undefined, convergedMs: number, tally = NO_TALLY): Outcome => {
    if (violation) timeline?.tell(world.age, undefined, `VIOLATION of ${violation.message}`)
    return {
      plan,
      violation,
      hash: trace.hash(),
      virtualMs: world.age,
      convergedMs,
      tally,
      timeline: timeline?.lines ?? [],
    }
  }
  try {
    giveFirstWrites(castOf(plan), world.nodes)
    clients = startClients(world, probes(plan), plan.nodeTimeoutMs)
    settleDown(world, () => whyNotConverged(world.nodes), START_MS, 'start')
    const stage: Stage = {
      world,
      plan,
      lost: new Set(),
      isResharding: false,
      importers: new Set(),
      tell: tellTo(world, timeline),
    }
    inject(stage)
    world.advance(plan.chaosMs)
    const convergedMs = comeToRest(stage, memory)
    return outcome(undefined, convergedMs, settle(clients))
  } catch (error) {
    return outcome(asViolation(error), 0)
  }
}

const NO_TALLY: Tally = { acknowledged: 0, confirmed: 0, lost: 0, failovers: 0 }

const probes = (plan: Plan): number[] => Array.from({ length: plan.shards }, (_, i) => probeSlot(plan, i))

const castOf = ({ shards, replicas, spare }: Plan): Cast => ({ nodes: shards * (1 + replicas) + spare, shards, spare })

/** How late anything of a plan may come: on a slow way, to a process that was stopped, by a clock that was set back. */
function longestDelay({ faults }: Plan): number {
  const delays = faults.map((fault) => {
    if (fault.type === 'pause') return fault.forMs
    if (fault.type === 'slow') return fault.extraMs
    return fault.type === 'clock' ? Math.abs(fault.jumpMs) : 0
  })
  return delays.reduce((sum, ms) => sum + ms, 1000)
}

/** Who may crash: nobody reads the nodes.conf of the others, and writing it takes time. */
function keepsDisk({ faults }: Plan): (index: number) => boolean {
  const who = faults.flatMap((fault) => (fault.type === 'crash' ? [fault.who] : []))
  const isAnybody = who.some((one) => !('node' in one))
  const some = new Set(who.map((one) => ('node' in one ? one.node : -1)))
  return (index) => isAnybody || some.has(index)
}

type Watch = (node: SimNode, event: Event, effects: readonly Effect[]) => void

function makeWorld(plan: Plan, trace: Trace, detailed: boolean, watch: Watch): World {
  const cast = castOf(plan)
  const world = createWorld({
    seed: plan.seed,
    nodes: cast.nodes,
    confs: writeConfs(cast, seededRandom(~plan.seed)),
    keepsDisk: keepsDisk(plan),
    delay: { minMs: 0.2, maxMs: plan.maxDelayMs },
    options: {
      nodeTimeoutMs: plan.nodeTimeoutMs,
      fastFailover: plan.fastFailover,
      allowReplicaMigration: plan.replicaMigration,
      // Whether every slot is served is judged here; a lost shard shall not stop the clients of the others.
      requireFullCoverage: false,
      blacklistTtlSec: BLACKLIST_TTL_SEC,
    },
    watch,
    ...(detailed ? { tap: (_, bytes) => trace.bytes(bytes) } : {}),
  })
  for (const node of world.nodes) {
    node.clockAheadMs = plan.clocksAheadMs[node.index] ?? 0
    node.lagMs = 1 + world.random.below(30)
  }
  return world
}

const tellTo =
  (world: World, timeline: Timeline | undefined): Stage['tell'] =>
  (node, text) =>
    timeline?.tell(world.age, node, text)

/** Lets time pass, looking again and again, until there is nothing left that stands in the way; returns how long it took.
 *  Throws a violation of `rule` when it takes too long. */
function settleDown(
  world: World,
  whyNot: () => string | undefined,
  atMostMs: number,
  rule: string,
  act: () => void = () => undefined,
): number {
  const start = world.schedule.now
  for (;;) {
    const why = whyNot()
    const took = world.schedule.now - start
    if (why === undefined) return took
    if (took >= atMostMs) throw new Violation(rule, `not within ${atMostMs} ms: ${why}`)
    act()
    world.advance(LOOK_EVERY_MS)
  }
}

/** Heals everything, and lets the operator do his part now and then. */
function comeToRest(stage: Stage, memory: Memory): number {
  const { world, plan } = stage
  memory.healed = true
  healAll(stage)
  const lost = withoutHeir(stage)
  let repairAt = world.schedule.now + REPAIR_EVERY_MS
  const act = (): void => {
    if (world.schedule.now < repairAt) return
    repairAt += REPAIR_EVERY_MS
    repair(stage)
  }
  // Slots of lost nodes may be missing.
  const whyNot = (): string | undefined => whyNotConverged(world.nodes, countSlotsOf(lost, world.nodes))
  const took = settleDown(world, whyNot, CONVERGE_TIMEOUTS * plan.nodeTimeoutMs + CONVERGE_MS, 'converge', act)
  // Of two primaries with one epoch one steps aside when it hears the other, and all speak with all within a node timeout.
  settleDown(world, () => whyNotUnique(world.nodes), 2 * plan.nodeTimeoutMs, 'unique-epochs')
  return took
}

/** Of the nodes that are lost for good, those without a living replica that may take their place. */
function withoutHeir({ world: { nodes }, plan, lost }: Stage): SimNode[] {
  return [...lost]
    .map((index) => nodes[index]!)
    .filter(({ cluster: { myself } }) => {
      const heirs = nodes.filter(({ alive, cluster }) => alive && cluster.myself.primary?.id === myself.id)
      return heirs.every((heir) => isTooOld(heir, plan.nodeTimeoutMs))
    })
}

/** How many slots belong to these, as those who know them best say: others may have forgotten them. */
function countSlotsOf(lost: readonly SimNode[], nodes: readonly SimNode[]): number {
  const living = nodes.filter((node) => node.alive)
  const known = (id: NodeId): number[] => living.map(({ cluster }) => cluster.nodes.get(id)?.slotCount ?? 0)
  return lost.reduce((sum, { cluster }) => sum + Math.max(...known(cluster.myself.id)), 0)
}

/** Whether a replica's data are past what the validity factor allows, or will be before it can have been elected. */
function isTooOld({ cluster, options, facts }: SimNode, nodeTimeoutMs: number): boolean {
  const allowed = options.replPingReplicaPeriodSec * 1000 + nodeTimeoutMs * (options.replicaValidityFactor + 1)
  const needed = 8 * nodeTimeoutMs + 4000
  return isDataForeign(cluster) || cluster.now - facts.primaryLastSeenAt > allowed - needed
}

function asViolation(error: unknown): Violation {
  if (error instanceof Violation) return error
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return new Violation('crash', text)
}
