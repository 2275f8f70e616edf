/** A process with one planted bug, whose name is the argument: tries seeds (or the plan of the bug) until the simulator
 *  catches it, and prints what it found as JSON. */
import assert from 'node:assert/strict'
import { register } from 'node:module'
import { PLANTED_BUGS, SEED_BUDGET } from './sim-planted-bugs.ts'

const bug = PLANTED_BUGS.find(({ name }) => name === process.argv[2])
assert(bug, `no planted bug is called ${process.argv[2]}`)
register('./sim-planted-hooks.js', import.meta.url, { data: bug })
const { drawPlan } = await import('../../bus/sim/plan.ts')
const { runTrial } = await import('../../bus/sim/trial.ts')

const { from = 1, plan } = bug
const plans = plan ? [() => plan] : Array.from({ length: SEED_BUDGET }, (_, i) => () => drawPlan(from + i))
let trials = 0
let caught: string | undefined
for (const draw of plans) {
  trials++
  caught = runTrial(draw()).violation?.message
  if (caught) break
}
process.stdout.write(JSON.stringify({ trials, caught }))
