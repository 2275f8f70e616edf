/** The real servers and tools that tests run beside ours, which a machine may lack. */
import { spawnSync } from 'node:child_process'

const missing = ['redis-server', 'redis-cli'].filter((tool) => spawnSync(tool, ['--version']).error)
// Where the tests must count (CI), a missing tool is a failure; elsewhere it costs a developer only these tests.
const isSkipped = missing.length > 0 && !process.env['CI']
if (isSkipped) process.stderr.write(`tests beside real servers are skipped: ${missing.join(', ')} not installed\n`)

/** A suite, or a test, that needs redis-server and redis-cli: skipped where there are none. */
export const describeBeside = isSkipped ? describe.skip : describe
export const itBeside = isSkipped ? it.skip : it
