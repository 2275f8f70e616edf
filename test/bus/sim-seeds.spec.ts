/** Random worlds: fault plans drawn from seeds keep every rule of the specification, then heal and come to rest. */
import assert from 'node:assert/strict'
import { addSeed, emptySum } from '../../bus/sim/batch.ts'
import { describeFault, drawPlan, type Plan } from '../../bus/sim/plan.ts'
import { shrink } from '../../bus/sim/shrink.ts'
import { runTrial } from '../../bus/sim/trial.ts'

/** How many seeds; `npm run sim -- --seeds 100000` runs more. */
const SEEDS = Number(process.env['ROOKERY_SIM_SEEDS'] ?? 200)
const FIRST = Number(process.env['ROOKERY_SIM_FROM'] ?? 1)

describe('simulated clusters', function () {
  this.timeout(120_000 + SEEDS * 500)

  it(`keep the rules under the faults of ${SEEDS} seeds, and lose only what was not on every replica`, () => {
    const sum = emptySum()
    for (let i = 0; i < SEEDS; i++) addSeed(sum, FIRST + i)
    const broken = sum.failed.map(({ seed, message }) => `${message}\n  rookery sim --seed ${seed}`)
    assert.deepEqual(broken, [])
    // Else the faults were too mild, or the checker blind.
    assert.ok(sum.failovers > SEEDS / 4, `${sum.failovers} failovers`)
    assert.ok(sum.lost > 0, 'asynchronous replication loses some acknowledged writes, and the checker sees it')
    assert.ok(sum.lost < sum.acknowledged / 20, `${sum.lost} of ${sum.acknowledged} writes lost`)
    assert.ok(sum.confirmed > sum.acknowledged / 2, 'WAIT confirms most writes')
  })

  it('are the same world for the same seed, to the last byte of every frame', () => {
    const [one, two] = [0, 1].map(() => runTrial(drawPlan(3), { detailed: true }))
    assert.equal(one!.hash, two!.hash)
    assert.deepEqual(one!.timeline, two!.timeline)
    assert.notEqual(one!.hash, runTrial(drawPlan(4), { detailed: true }).hash)
  })

  it('tell their story in lines with the time and the node', () => {
    const plan = crashOfFirstPrimary()
    const { timeline } = runTrial(plan, { detailed: true })
    const story = ['n0   crashes', 'n3   Failover election won', 'n3   is a primary now', 'n0   starts again']
    const found = story.map((part) => timeline.findIndex((line) => line.includes(part)))
    assert.ok(
      found.every((at, i) => at >= 0 && at > (found[i - 1] ?? -1)),
      timeline.join('\n'),
    )
  })
})

describe('a fault plan', () => {
  it('is drawn from its seed alone, and printed a line for each fault', () => {
    assert.deepEqual(drawPlan(7), drawPlan(7))
    for (const fault of drawPlan(7).faults) assert.match(describeFault(fault), /^at \d+\.\d{3} s: [a-z-]+( |$)/)
  })

  it('shrinks to the faults that are needed', () => {
    const plan = { ...drawPlan(7), faults: Array.from({ length: 20 }, (_, i) => ({ ...CRASH, atMs: i })) }
    const needs = (atMs: number) => (smaller: Plan) => smaller.faults.some((fault) => fault.atMs === atMs)
    assert.deepEqual(
      shrink(plan, (smaller) => needs(4)(smaller) && needs(17)(smaller)),
      [4, 17],
    )
  })
})

const CRASH = { type: 'crash', who: { node: 0 }, power: false, forMs: 6000, torn: false } as const

const crashOfFirstPrimary = (): Plan => ({
  seed: 5,
  shards: 3,
  replicas: 1,
  spare: 0,
  nodeTimeoutMs: 1000,
  fastFailover: true,
  replicaMigration: true,
  clocksAheadMs: [],
  maxDelayMs: 2,
  chaosMs: 10_000,
  faults: [{ ...CRASH, atMs: 1000 }],
})
