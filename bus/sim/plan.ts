/** A fault plan: what goes wrong, when and for how long, as plain data. It is drawn from a seed, printed a line for each
 *  fault, and shrunk by leaving faults out, which changes nothing about those that stay. */
import { type Random, seededRandom } from '../../lib/base/random.ts'

/** Who is meant, told when the fault happens: a node by number, or by what it is then in one of the first shards. */
export type Who =
  | { readonly node: number }
  | { readonly primaryOf: number }
  | { readonly replicaOf: number; readonly nth: number }

export type FailoverMode = 'plain' | 'force' | 'takeover'

export type Fault = { readonly atMs: number } & (
  | {
      readonly type: 'crash'
      readonly who: Who
      /** The power fails too: what was not synced may be lost. */
      readonly power: boolean
      /** Until it starts again; undefined: it is lost for good. */
      readonly forMs: number | undefined
      /** Its nodes.conf is found cut short, and put right by hand. */
      readonly torn: boolean
    }
  | { readonly type: 'pause'; readonly who: Who; readonly forMs: number }
  | { readonly type: 'isolate'; readonly who: Who; readonly way: 'in' | 'out' | 'both'; readonly forMs: number }
  | { readonly type: 'partition'; readonly group: readonly number[]; readonly oneWay: boolean; readonly forMs: number }
  | {
      readonly type: 'slow'
      readonly from: Who
      readonly to: Who
      readonly extraMs: number
      readonly forMs: number
    }
  | { readonly type: 'break-links'; readonly who: Who; readonly other: Who }
  /** These two do not hear each other; everybody else does. */
  | { readonly type: 'part'; readonly who: Who; readonly other: Who; readonly forMs: number }
  | { readonly type: 'clock'; readonly who: Who; readonly jumpMs: number }
  | { readonly type: 'lag'; readonly who: Who; readonly forMs: number }
  | { readonly type: 'failover'; readonly who: Who; readonly mode: FailoverMode }
  | { readonly type: 'forget' | 'meet' | 'replicate'; readonly who: Who; readonly other: Who }
  | { readonly type: 'bumpepoch'; readonly who: Who }
  | { readonly type: 'reset'; readonly who: Who; readonly hard: boolean }
  /** MIGRATING, IMPORTING, NODE at the target, NODE at the source, `gapMs` apart; the first `steps` of the four. */
  | {
      readonly type: 'reshard'
      readonly slot: number
      readonly fromShard: number
      readonly to: Who
      readonly gapMs: number
      readonly steps: number
    }
)

export interface Plan {
  readonly seed: number
  readonly shards: number
  readonly replicas: number
  /** Primaries without slots. */
  readonly spare: number
  readonly nodeTimeoutMs: number
  readonly fastFailover: boolean
  readonly replicaMigration: boolean
  /** How far the clock of each node is ahead. */
  readonly clocksAheadMs: readonly number[]
  readonly maxDelayMs: number
  /** Faults begin in this time; then all is healed. */
  readonly chaosMs: number
  /** In order of time. */
  readonly faults: readonly Fault[]
}

/** What a caller may insist on. */
export interface PlanLimits {
  /** Nodes in all. */
  readonly nodes?: number | undefined
  /** How long things go wrong. */
  readonly chaosMs?: number | undefined
}

/** Faults for each ten seconds of chaos, at most. */
const FAULTS_PER_10_S = 7

/** The plan of a seed. */
export function drawPlan(seed: number, limits: PlanLimits = {}): Plan {
  const random = seededRandom(seed ^ 0x5f3759df)
  const shards = limits.nodes ? Math.max(1, Math.floor(limits.nodes / 2)) : [3, 3, 3, 4, 5][random.below(5)]!
  const replicas = limits.nodes ? 1 : shards === 3 ? 1 + random.below(2) : 1
  const spare = limits.nodes ? limits.nodes - 2 * shards : random.below(6) === 0 ? 1 : 0
  const count = shards * (1 + replicas) + spare
  const chaosMs = limits.chaosMs ?? 6000 + random.below(10_000)
  const shape: Omit<Plan, 'faults'> = {
    seed,
    shards,
    replicas,
    spare,
    nodeTimeoutMs: 1000 + 250 * random.below(4),
    fastFailover: random.below(2) === 0,
    replicaMigration: random.below(4) !== 0,
    clocksAheadMs: Array.from({ length: count }, () => (random.below(3) === 0 ? random.below(4000) - 2000 : 0)),
    maxDelayMs: [2, 10, 60][random.below(3)]!,
    chaosMs,
  }
  const wanted = 1 + random.below(Math.ceil((chaosMs / 10_000) * FAULTS_PER_10_S))
  const faults: Fault[] = []
  // Trouble comes in company: most faults follow the one before within the time of a failover.
  let atMs = random.below(chaosMs / 3)
  while (faults.length < wanted) {
    const draw = drawKind(random)
    faults.push({ atMs, ...draw(random, shape, count) })
    // And now and then the same happens to somebody else at the same time: two elections, two epochs taken.
    if (random.below(4) === 0) faults.push({ atMs: atMs + random.below(40), ...draw(random, shape, count) })
    const near = random.below(4) !== 0
    atMs += near ? random.below(2 * shape.nodeTimeoutMs + 1000) : random.below(chaosMs)
    if (atMs > chaosMs) atMs = random.below(chaosMs)
  }
  return { ...shape, faults: faults.sort((a, b) => a.atMs - b.atMs) }
}

/** A plan with these faults of it only, by number. */
export const keepOnly = (plan: Plan, numbers: readonly number[]): Plan => ({
  ...plan,
  faults: plan.faults.filter((_, i) => numbers.includes(i)),
})

type Shape = Omit<Plan, 'faults'>
type Draw = (random: Random, shape: Shape, count: number) => DistributiveOmit<Fault, 'atMs'>
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

/** What can go wrong, and how often beside the others. */
const KINDS: readonly (readonly [weight: number, draw: Draw])[] = [
  [
    6,
    (random, shape, count) => ({
      type: 'crash',
      who: drawWho(random, shape, count),
      power: random.below(2) === 0,
      forMs: random.below(6) === 0 ? undefined : 100 + random.below(random.below(2) === 0 ? 1500 : 9000),
      torn: random.below(5) === 0,
    }),
  ],
  [
    3,
    (random, shape, count) => ({ type: 'pause', who: drawWho(random, shape, count), forMs: drawSpan(random, shape) }),
  ],
  [
    5,
    (random, shape, count) => ({
      type: 'isolate',
      who: drawWho(random, shape, count),
      way: (['both', 'both', 'in', 'out'] as const)[random.below(4)]!,
      forMs: drawSpan(random, shape),
    }),
  ],
  [
    3,
    (random, shape, count) => ({
      type: 'partition',
      group: Array.from({ length: count }, (_, i) => i).filter(() => random.below(2) === 0),
      oneWay: random.below(4) === 0,
      forMs: drawSpan(random, shape),
    }),
  ],
  [
    2,
    (random, shape, count) => ({
      type: 'slow',
      from: drawWho(random, shape, count),
      to: drawWho(random, shape, count),
      extraMs: 50 + random.below(2000),
      forMs: drawSpan(random, shape),
    }),
  ],
  [
    2,
    (random, shape, count) => ({
      type: 'break-links',
      who: drawWho(random, shape, count),
      other: drawWho(random, shape, count),
    }),
  ],
  [
    3,
    (random, shape, count) => ({
      type: 'part',
      who: { primaryOf: random.below(shape.shards) },
      other: drawWho(random, shape, count),
      forMs: shape.nodeTimeoutMs + random.below(8 * shape.nodeTimeoutMs),
    }),
  ],
  [1, (random, shape, count) => ({ type: 'bumpepoch', who: drawWho(random, shape, count) })],
  [
    1,
    (random, shape, count) => ({
      type: 'clock',
      who: drawWho(random, shape, count),
      jumpMs: random.below(6000) - 3000,
    }),
  ],
  [
    2,
    (random, shape, count) => ({ type: 'lag', who: drawReplica(random, shape, count), forMs: drawSpan(random, shape) }),
  ],
  [
    4,
    (random, shape, count) => ({
      type: 'failover',
      who: drawReplica(random, shape, count),
      mode: (['plain', 'plain', 'force', 'takeover'] as const)[random.below(4)]!,
    }),
  ],
  [
    1,
    (random, shape, count) => ({
      type: 'forget',
      who: drawWho(random, shape, count),
      other: drawWho(random, shape, count),
    }),
  ],
  [
    1,
    (random, shape, count) => ({
      type: 'meet',
      who: drawWho(random, shape, count),
      other: drawWho(random, shape, count),
    }),
  ],
  [
    1,
    (random, shape, count) => ({
      type: 'replicate',
      who: drawWho(random, shape, count),
      other: { primaryOf: random.below(shape.shards) },
    }),
  ],
  [1, (random, shape, count) => ({ type: 'reset', who: drawWho(random, shape, count), hard: random.below(2) === 0 })],
  [
    2,
    (random, shape) => ({
      type: 'reshard',
      // Never the first slot of a shard: that one stands for its data.
      slot: 1 + random.below(100),
      fromShard: random.below(shape.shards),
      to: { primaryOf: random.below(shape.shards) },
      gapMs: random.below(300),
      steps: random.below(3) === 0 ? 1 + random.below(4) : 4,
    }),
  ],
]

const TOTAL_WEIGHT = KINDS.reduce((sum, [weight]) => sum + weight, 0)

function drawKind(random: Random): Draw {
  let left = random.below(TOTAL_WEIGHT)
  const [, draw] = KINDS.find(([weight]) => {
    left -= weight
    return left < 0
  })!
  return draw
}

/** Half of the time somebody by name, else by the part it plays: the parts are where it hurts. */
function drawWho(random: Random, shape: Shape, count: number): Who {
  const kind = random.below(4)
  if (kind < 2) return { node: random.below(count) }
  return kind === 2 ? { primaryOf: random.below(shape.shards) } : drawReplica(random, shape, count)
}

const drawReplica = (random: Random, shape: Shape, _count: number): Who => ({
  replicaOf: random.below(shape.shards),
  nth: random.below(shape.replicas),
})

/** From a hiccup to long enough for a failover and its aftermath. */
const drawSpan = (random: Random, shape: Shape): number =>
  100 + random.below(shape.nodeTimeoutMs * (random.below(2) === 0 ? 1 : 5))

/** A fault in words, as a line of a printed plan. */
export function describeFault(fault: Fault): string {
  const { atMs, type, ...rest } = fault
  const words = Object.entries(rest).map(([name, value]) => describeField(name, value))
  return `at ${(atMs / 1000).toFixed(3)} s: ${[type, ...words.filter((word) => word !== '')].join(' ')}`
}

const FIELD_WORDS: Readonly<Record<string, string>> = {
  who: '',
  other: 'with ',
  from: 'from ',
  to: 'to ',
  forMs: 'for ms ',
  extraMs: 'by ms ',
  jumpMs: 'by ms ',
  gapMs: 'gap ms ',
  fromShard: 'of shard ',
}

function describeField(name: string, value: unknown): string {
  if (value === undefined) return 'for good'
  if (typeof value === 'boolean') return value ? name : ''
  if (Array.isArray(value)) return value.map((i) => `n${i}`).join(' ')
  const text = typeof value === 'object' ? describeWho(value as Who) : String(value)
  return `${FIELD_WORDS[name] ?? `${name} `}${text}`
}

function describeWho(who: Who): string {
  if ('node' in who) return `n${who.node}`
  return 'primaryOf' in who ? `primary of shard ${who.primaryOf}` : `replica ${who.nth} of shard ${who.replicaOf}`
}
