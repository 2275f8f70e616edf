/** The real servers and tools that tests run beside ours, which a machine may lack. */
import { spawnSync } from 'node:child_process'
import type { Suite } from 'mocha'
import { REAL_SERVER } from './process.ts'

const missing = [REAL_SERVER, 'redis-cli'].filter((tool) => spawnSync(tool, ['--version']).error)
// Where the tests must count (CI), a missing tool is a failure; elsewhere it costs a developer only these tests.
const isSkipped = missing.length > 0 && !process.env['CI']
if (isSkipped) process.stderr.write(`tests beside real servers are skipped: ${missing.join(', ')} not installed\n`)

/** A suite that needs redis-server and redis-cli: skipped where there are none. `describe` is another one for each spec file, so it is
 *  not to be kept. */
export function describeBeside(title: string, body: (this: Suite) => void): void {
  if (isSkipped) describe.skip(title, body)
  else describe(title, body)
}
