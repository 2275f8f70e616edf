import { strict as assert } from 'node:assert'
import { readdirSync, readFileSync } from 'node:fs'
import { engineThreads } from '../../lib/cli/v8-threads.ts'
import { fields } from '../support/client.ts'
import { startServer, stopEverything } from '../support/process.ts'

const rows = (...names: readonly string[]) => names.map((name, i) => ({ id: 100 + i, name }))
const found = (...names: readonly string[]) =>
  engineThreads(rows(...names).reverse())
    .map(({ id }) => id - 100)
    .sort()

describe("the engine's threads", () => {
  after(stopEverything)

  it('are known by their name where they have one', () => {
    const libuv = Array.from({ length: 4 }, () => 'libuv-worker')
    assert.deepEqual(found('node-MainThread', 'DelayedTaskSche', 'node-V8Worker', 'node-V8Worker', ...libuv), [2, 3])
    assert.deepEqual(found('MainThread', 'V8Worker', 'DelayedTaskSche', 'V8Worker', 'V8Worker'), [1, 3, 4])
  })

  it('are known by their place where they have none', () => {
    for (const count of [7, 11]) assert.deepEqual(found(...Array.from({ length: count }, () => 'node')), [2, 3, 4, 5])
  })

  it('are not guessed', () => {
    for (const count of [1, 6, 8, 12]) assert.deepEqual(found(...Array.from({ length: count }, () => 'node')), [])
  })

  it('let the main thread of a node go first', async function () {
    if (process.platform !== 'linux') this.skip()
    const { port } = await startServer({ kind: 'rookery' })
    const { process_id: pid } = await fields(port, 'INFO', 'server')
    const tasks = `/proc/${pid}/task`
    const niceness = readdirSync(tasks)
      .sort((a, b) => Number(a) - Number(b))
      // The name may have spaces and ends with the last bracket; niceness is the 17th field after it.
      .map((id) => Number(readFileSync(`${tasks}/${id}/stat`, 'latin1').split(') ').at(-1)!.split(' ')[16]))
    const [main = 0, ...others] = niceness
    assert.equal(others.filter((nice) => nice === main + 10).length, 4)
  })
})
