import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { ConfigError, createNode } from '../lib/index.ts'
import { connect } from './support/client.ts'
import { freePort } from './support/ports.ts'

describe('a node inside a process', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'rookery-index-'))
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))

  it('starts, serves, stops, and starts again as the same node', async () => {
    const port = await freePort()
    const directives = { port, dir, bind: '127.0.0.1', 'cluster-enabled': 'yes' }
    const ids: string[] = []
    for (let round = 0; round < 2; round++) {
      const lines: string[] = []
      const node = createNode({ directives, log: (line) => lines.push(line) })
      await node.start()
      const client = await connect(node.address.port)
      ids.push(String(await client.call('CLUSTER', 'MYID')))
      client.close()
      await node.stop()
      assert.ok(lines.some((line) => line.includes('Ready to accept connections')))
    }
    assert.match(ids[0]!, /^[0-9a-f]{40}$/)
    assert.equal(ids[0], ids[1])
  })

  it('says which directive is wrong', () => {
    assert.throws(() => createNode({ directives: { 'no-such-thing': 1 } }), ConfigError)
  })

  it('refuses a taken port and leaves nothing open', async () => {
    const port = await freePort()
    const first = createNode({ directives: { port, dir, bind: '127.0.0.1' } })
    const second = createNode({ directives: { port, dir, bind: '127.0.0.1' } })
    await first.start()
    await assert.rejects(second.start(), /Address already in use/)
    await first.stop()
    await second.start()
    await second.stop()
  })
})
