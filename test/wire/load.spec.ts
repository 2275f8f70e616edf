/** The witness is examined first: a load generator that cannot see damage would make every other scenario pass. */
import assert from 'node:assert/strict'
import { ask, outcome } from '../support/client.ts'
import { type LoadReport, startLoad } from '../support/load.ts'
import { type Server, startServer } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

scenarios('the write load', ['rookery'], (kinds) => {
  let server: Server

  before(async () => {
    server = await startServer({ kind: kinds[0]! })
  })

  /** Writes, lets `damage` happen, writes on, and reports. */
  async function under(damage: () => Promise<unknown>): Promise<LoadReport> {
    await ask(server.port, 'FLUSHALL')
    const load = startLoad({ ports: [server.port], keys: 2, workers: 2 })
    await load.progress(50)
    await damage()
    await load.progress(50)
    return load.stop()
  }

  it('reports nothing when nothing happens', async () => {
    const { lost, noack, errors, redirections } = await under(async () => {})
    assert.deepEqual({ lost, noack, errors, redirections }, { lost: 0, noack: 0, errors: {}, redirections: 0 })
  })

  it('reports acknowledged increments that are gone', async () => {
    const { lost, noack } = await under(() => ask(server.port, 'SET', 'load:0', 0))
    assert.ok(lost > 10, `lost ${lost}`)
    assert.equal(noack, 0)
  })

  it('reports increments that nobody acknowledged', async () => {
    const { lost, noack } = await under(() => ask(server.port, 'INCRBY', 'load:0', 100))
    assert.deepEqual({ lost, noack }, { lost: 0, noack: 100 })
  })

  it('reports errors by their text', async () => {
    const { errors } = await under(async () => {
      await server.restart()
      assert.equal(await outcome(server.port, 'PING'), 'PONG')
    })
    assert.ok(Object.keys(errors).length > 0)
    assert.match(Object.keys(errors).join(), /closed|ECONNREFUSED|ECONNRESET/)
  })
})
