/** The simulator can see: each planted bug is caught, on some of the first seeds that are tried. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { PLANTED_BUGS, SEED_BUDGET } from './sim-planted-bugs.ts'

const RUN = fileURLToPath(new URL('sim-planted-run.js', import.meta.url))

interface Finding {
  readonly trials: number
  /** The rule it broke. */
  readonly caught?: string
}

describe('planted bugs', function () {
  this.timeout(300_000)

  it('are all caught', async () => {
    const missed: string[] = []
    for (const { name } of PLANTED_BUGS) {
      const { stdout } = await promisify(execFile)(process.execPath, [RUN, name])
      const { caught, trials } = JSON.parse(stdout) as Finding
      if (!caught) missed.push(`${name} (${trials} trials)`)
    }
    const caught = PLANTED_BUGS.length - missed.length
    process.stdout.write(`\n  ${caught} of ${PLANTED_BUGS.length} planted bugs caught\n`)
    assert.deepEqual(missed, [], `not caught within ${SEED_BUDGET} trials`)
    assert.ok(PLANTED_BUGS.length >= 15)
  })
})
