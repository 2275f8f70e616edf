/** The worker thread of `rookery sim`: is told a range of seeds, answers with what they came to. */
import { parentPort, workerData } from 'node:worker_threads'
import { addSeed, emptySum } from '../../bus/sim/batch.ts'
import type { PlanLimits } from '../../bus/sim/plan.ts'
import { assert } from '../base/assert.ts'

/** Seeds from `first` on, before `end`. */
export interface SeedRange {
  readonly first: number
  readonly end: number
}

assert(parentPort, 'this file is a worker thread')
const port = parentPort
const limits = workerData as PlanLimits // what sim.ts gave it
port.on('message', ({ first, end }: SeedRange) => {
  const sum = emptySum()
  for (let seed = first; seed < end; seed++) addSeed(sum, seed, limits)
  port.postMessage(sum)
})
