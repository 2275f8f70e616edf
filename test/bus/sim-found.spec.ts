/** Seeds that found real faults, kept: each with its plan shrunk to the faults that were needed, and a sentence on what was
 *  wrong. The plan is written out, so that a change of how plans are drawn does not change what is tested. */
import assert from 'node:assert/strict'
import type { Plan } from '../../bus/sim/plan.ts'
import { runTrial } from '../../bus/sim/trial.ts'
import {
  CROSSING_NEWS,
  FOREIGN_DATA,
  FORGET_TWICE,
  FORGOTTEN_HEIR,
  LAST_WORDS,
  LATE_ORDER,
  LOST_IMPORT,
  OLD_STORY,
  SAME_LENGTH,
  SHARED_EPOCH,
  SHORT_REIGN,
  UNHEARD_EPOCH,
  VOTER_WITHOUT_SLOTS,
} from './sim-plans.ts'

/** Runs a plan that once broke a rule. */
function expectNoViolation(plan: Plan): void {
  const { violation, timeline } = runTrial(plan, { detailed: true })
  assert.equal(violation, undefined, `${violation?.message}\n${timeline.join('\n')}`)
}

describe('faults the simulator found', function () {
  this.timeout(60_000)

  it('a replica that changed shards is not elected before it has the data of the new one (seed 780)', () => {
    expectNoViolation(FOREIGN_DATA)
  })

  it('a replica follows on when its primary turned replica, whichever it heard of first, role or slots (seed 612)', () => {
    expectNoViolation(CROSSING_NEWS)
  })

  it('nobody follows the primary that was just replaced because of what its heir said before (seed 10179)', () => {
    expectNoViolation(LAST_WORDS)
  })

  it('FORGET begins the time of the blacklist, also where the news came before the order (seed 10092)', () => {
    expectNoViolation(FORGET_TWICE)
  })

  it('who lost power just after an import is reminded of the slot (seed 22318)', () => {
    expectNoViolation(LOST_IMPORT)
  })

  it('a replica whose primary died before it told of its new epoch learns it from those that refuse (seed 4163)', () => {
    expectNoViolation(UNHEARD_EPOCH)
  })

  it('an offset counts only in the history of the primary: a failover by order waits for the link (seed 12865)', () => {
    expectNoViolation(SAME_LENGTH)
  })

  it('an epoch that was taken for an election is not used when the primary took it too (seed 25174)', () => {
    expectNoViolation(SHARED_EPOCH)
  })

  it('a failover by order is over when its time is, not with the next tick: the primary waits no longer (seed 56411)', () => {
    expectNoViolation(LATE_ORDER)
  })

  it('what a winner said before, as a replica, takes nothing from it, though it was its last word (seed 72814)', () => {
    expectNoViolation(SHORT_REIGN)
  })

  it("a voter whose slots seem to be nobody's does not make the majority smaller (seed 29480)", () => {
    expectNoViolation(VOTER_WITHOUT_SLOTS)
  })

  it('a primary believes in the slots of its heir though it heard of the epoch before (seed 83190)', () => {
    expectNoViolation(FORGOTTEN_HEIR)
  })

  it('a candidate does not persuade voters that a primary failed which they have taken back long ago', () => {
    expectNoViolation(OLD_STORY)
  })
})
