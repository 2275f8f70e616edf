/** A batch of seeds: their trials one after the other, and what they came to together. */
import { drawPlan, type PlanLimits } from './plan.ts'
import { runTrial } from './trial.ts'

/** What seeds came to. */
export interface Sum {
  seeds: number
  virtualMs: number
  failovers: number
  acknowledged: number
  confirmed: number
  lost: number
  /** The longest any cluster took to come to rest after it was healed. */
  slowestMs: number
  readonly failed: { readonly seed: number; readonly rule: string; readonly message: string }[]
}

export const emptySum = (): Sum => ({
  seeds: 0,
  virtualMs: 0,
  failovers: 0,
  acknowledged: 0,
  confirmed: 0,
  lost: 0,
  slowestMs: 0,
  failed: [],
})

/** Runs the trial of a seed and adds what came of it. */
export function addSeed(sum: Sum, seed: number, limits: PlanLimits = {}): void {
  const { violation, virtualMs, convergedMs, tally } = runTrial(drawPlan(seed, limits))
  const failed = violation ? [{ seed, rule: violation.rule, message: violation.message }] : []
  addSum(sum, { seeds: 1, virtualMs, slowestMs: convergedMs, ...tally, failed })
}

/** Adds one sum to another. */
export function addSum(sum: Sum, { failed, slowestMs, ...counts }: Sum): void {
  for (const name of Object.keys(counts) as (keyof typeof counts)[]) sum[name] += counts[name]
  sum.slowestMs = Math.max(sum.slowestMs, slowestMs)
  sum.failed.push(...failed)
}
