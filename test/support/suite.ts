/** How a wire scenario becomes a mocha suite: once for each choice of servers, cleaned up also when it fails, skipped aloud when the
 *  real servers are not installed. */
import { spawnSync } from 'node:child_process'
import { type Kind, logTails, stopEverything } from './process.ts'

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
    describe(`${title} (${kinds.join(' + ')})`, function () {
      this.timeout(SUITE_TIMEOUT_MS)
      this.slow(SUITE_TIMEOUT_MS)
      before(function () {
        requireTools(() => this.skip())
      })
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

const missing = ['redis-server', 'redis-cli'].filter((tool) => spawnSync(tool, ['--version']).error)
if (missing.length > 0) process.stderr.write(`wire tests cannot run: ${missing.join(', ')} not installed\n`)

/** Where the tests must count (CI), a missing tool is a failure; elsewhere it costs a developer only these tests. */
function requireTools(skip: () => void): void {
  if (missing.length === 0) return
  if (process.env['CI']) throw new Error(`wire tests need ${missing.join(', ')}`)
  skip()
}

/** Adds the servers' last words to a failure: to its stack, which is what reporters print last. */
function explain(error: Error | undefined): void {
  if (error) error.stack = `${error.stack}\n${logTails(LOG_LINES)}`
}
