/** `rookery sim`: whole clusters in virtual time. One seed is told as a story; many are run as fast as the machine can. */
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { addSeed, addSum, emptySum, type Sum } from '../../bus/sim/batch.ts'
import { describeFault, drawPlan, keepOnly, type Plan, type PlanLimits } from '../../bus/sim/plan.ts'
import { shrink } from '../../bus/sim/shrink.ts'
import { type Outcome, runTrial } from '../../bus/sim/trial.ts'
import { monotonicMicros } from '../base/clock.ts'

export interface SimOptions {
  readonly seed?: number
  readonly seeds?: number
  readonly from: number
  readonly jobs?: number
  /** Numbers of faults, the others are left out. */
  readonly only?: string
  readonly nodes?: number
  readonly minutes?: number
  readonly timeline?: boolean
}

/** Seeds a worker takes at a time. */
const BATCH = 50

/** Runs one seed or many. The exit code is 1 when a rule was broken. */
export async function sim(options: SimOptions): Promise<void> {
  const limits = { nodes: options.nodes, chaosMs: options.minutes && options.minutes * 60_000 }
  if (options.seeds === undefined) return tellSeed(options.seed ?? 1, options, limits)
  const started = monotonicMicros()
  const jobs = Math.min(options.jobs ?? availableParallelism(), Math.ceil(options.seeds / BATCH))
  const sum = jobs > 1 ? await runWorkers(options.from, options.seeds, jobs, limits) : emptySum()
  if (jobs <= 1) for (let i = 0; i < options.seeds; i++) addSeed(sum, options.from + i, limits)
  report(sum, (monotonicMicros() - started) / 1e6)
  if (sum.failed.length > 0) process.exitCode = 1
}

function tellSeed(seed: number, { only, timeline }: SimOptions, limits: PlanLimits): void {
  const whole = drawPlan(seed, limits)
  const plan = only === undefined ? whole : keepOnly(whole, only.split(',').map(Number))
  const outcome = runTrial(plan, { detailed: true })
  tellPlan(plan)
  if (timeline || outcome.violation) for (const line of outcome.timeline) print(line)
  tellOutcome(outcome)
  if (!outcome.violation) return
  process.exitCode = 1
  if (only === undefined) tellShrunk(whole, outcome)
}

function tellPlan({ seed, shards, replicas, spare, nodeTimeoutMs, fastFailover, faults }: Plan): void {
  const cluster = `${shards} shards with ${replicas} replicas each, ${spare} spare`
  print(`seed ${seed}: ${cluster}; node timeout ${nodeTimeoutMs} ms, fast failover ${fastFailover ? 'on' : 'off'}`)
  for (const [i, fault] of faults.entries()) print(`  fault ${i}  ${describeFault(fault)}`)
}

function tellOutcome({ violation, hash, virtualMs, convergedMs, tally }: Outcome): void {
  const { acknowledged, confirmed, lost, failovers } = tally
  print(`trace ${hash}, ${(virtualMs / 1000).toFixed(1)} s of virtual time`)
  if (violation) print(`VIOLATION ${violation.message}`)
  else {
    const writes = `${acknowledged} writes acknowledged, ${lost} of them lost; ${confirmed} on every replica, none lost`
    print(`no violation: at rest ${convergedMs} ms after healing; ${failovers} failovers; ${writes}`)
  }
}

/** Leaves out of the plan what the violation does not need, and shows how to see it. */
function tellShrunk(plan: Plan, { violation }: Outcome): void {
  const numbers = shrink(plan, (smaller) => runTrial(smaller).violation?.rule === violation?.rule)
  print(`\n${numbers.length} of ${plan.faults.length} faults are needed:`)
  for (const i of numbers) print(`  fault ${i}  ${describeFault(plan.faults[i]!)}`)
  print(`rookery sim --seed ${plan.seed} --only ${numbers.join(',')} --timeline`)
}

/** Shares the seeds out among worker threads, a batch at a time. */
async function runWorkers(from: number, seeds: number, jobs: number, limits: PlanLimits): Promise<Sum> {
  const sum = emptySum()
  let next = from
  const end = from + seeds
  const work = async (): Promise<void> => {
    const worker = new Worker(new URL('sim-worker.js', import.meta.url), { workerData: limits })
    for (; next < end; ) {
      const first = next
      next = Math.min(end, next + BATCH)
      worker.postMessage({ first, end: next })
      const [part] = (await once(worker, 'message')) as [Sum]
      addSum(sum, part)
      for (const { seed, message } of part.failed) print(`seed ${seed}: ${message}`)
    }
    await worker.terminate()
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return sum
}

function report(sum: Sum, seconds: number): void {
  const hours = sum.virtualMs / 3_600_000
  print(
    `${sum.seeds} seeds in ${seconds.toFixed(1)} s: ${(sum.seeds / seconds).toFixed(1)} seeds/s, ` +
      `${(hours / seconds).toFixed(3)} cluster-hours per second (${hours.toFixed(1)} in all)`,
  )
  print(`${sum.failovers} failovers; at rest at most ${sum.slowestMs} ms after healing`)
  const share = ((100 * sum.lost) / Math.max(1, sum.acknowledged)).toFixed(2)
  print(
    `${sum.acknowledged} writes acknowledged, ${sum.lost} lost (${share} %); ${sum.confirmed} confirmed by WAIT on every replica`,
  )
  print(`${sum.failed.length} violations`)
  for (const { seed, message } of sum.failed) print(`  rookery sim --seed ${seed}    ${message}`)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
