/** How a wire scenario becomes a mocha suite: once for each choice of servers, cleaned up also when it fails, skipped aloud when the
 *  real servers are not installed. */
import { type Kind, logTails, stopEverything } from './process.ts'
import { describeBeside } from './tools.ts'

/** The servers a scenario runs on; node i of a cluster runs kinds[i modulo length]. */
export type Mix = 'rookery' | 'mixed' | 'redis'

const MIXES: Readonly<Record<Mix, readonly Kind[]>> = {
  rookery: ['rookery'],
  mixed: ['rookery', 'redis'],
  redis: ['redis'],
}

const SUITE_TIMEOUT_MS = 120_000
const LOG_LINES = 15

/** Declares the scenario for each of `mixes`. ROOKERY_TEST_KINDS=redis (or any list of kinds, separated by commas) replaces them all:
 *  a scenario that fails on real servers alone is a wrong scenario. */
export function scenarios(title: string, mixes: readonly Mix[], body: (kinds: readonly Kind[]) => void): void {
  for (const kinds of chosenKinds(mixes)) {
    describeBeside(`${title} (${kinds.join(' + ')})`, function () {
      this.timeout(SUITE_TIMEOUT_MS)
      this.slow(SUITE_TIMEOUT_MS)
      body(kinds)
      afterEach(function () {
        if (this.currentTest?.state === 'failed') explain(this.currentTest.err)
      })
      after(stopEverything)
    })
  }
}

function chosenKinds(mixes: readonly Mix[]): readonly (readonly Kind[])[] {
  const chosen = process.env['ROOKERY_TEST_KINDS']
  if (!chosen) return mixes.map((mix) => MIXES[mix])
  return [chosen.split(',').map(kindOf)]
}

function kindOf(name: string): Kind {
  if (name !== 'rookery' && name !== 'redis') throw new Error(`ROOKERY_TEST_KINDS knows rookery and redis, not ${name}`)
  return name
}

/** Adds the servers' last words to a failure: to its stack, which is what reporters print last. */
function explain(error: Error | undefined): void {
  if (error) error.stack = `${error.stack}\n${logTails(LOG_LINES)}`
}
