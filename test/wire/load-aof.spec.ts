/** DEBUG LOADAOF: what is in the append-only file, and nothing else, becomes the data set. */
import assert from 'node:assert/strict'
import { ask } from '../support/client.ts'
import { type Kind, startServer, stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

describeBeside('DEBUG LOADAOF', () => {
  afterEach(stopEverything)

  for (const kind of ['rookery', 'redis'] satisfies Kind[])
    it(`leaves the data set of ${kind} as it is when all of it came by commands`, async () => {
      const { port } = await startServer({ kind, conf: { appendonly: 'yes', 'auto-aof-rewrite-percentage': 0 } })
      await ask(port, 'SET', 'text', 'x'.repeat(100))
      await ask(port, 'RPUSH', 'list', 'one', 'two')
      await ask(port, 'SET', 'brief', 'x', 'PXAT', '4102444800000')
      const before = await ask(port, 'DEBUG', 'DIGEST')
      // What is not propagated is not in the file.
      await ask(port, 'DEBUG', 'POPULATE', '10')
      assert.equal(await ask(port, 'DEBUG', 'LOADAOF'), 'OK')
      assert.equal(await ask(port, 'DEBUG', 'DIGEST'), before)
      await ask(port, 'APPEND', 'text', 'y')
      assert.equal(await ask(port, 'DEBUG', 'LOADAOF'), 'OK')
      assert.equal(await ask(port, 'STRLEN', 'text'), 101)
    })

  it('reads a checkpoint and what follows it', async () => {
    const { port } = await startServer({ kind: 'rookery', conf: { appendonly: 'yes' } })
    await ask(port, 'MSET', 'one', '1', 'two', '2')
    await ask(port, 'BGREWRITEAOF')
    await ask(port, 'DEL', 'one')
    const before = await ask(port, 'DEBUG', 'DIGEST')
    for (let i = 0; i < 2; i++) assert.equal(await ask(port, 'DEBUG', 'LOADAOF'), 'OK')
    assert.equal(await ask(port, 'DEBUG', 'DIGEST'), before)
  })

  it('says why it cannot, and keeps the data set', async () => {
    const { port } = await startServer({ kind: 'rookery', conf: { appendonly: 'no' } })
    await ask(port, 'SET', 'key', 'value')
    await assert.rejects(ask(port, 'DEBUG', 'LOADAOF'), /ERR Error trying to load the AOF: the append only file is off/)
    assert.equal(await ask(port, 'GET', 'key'), 'value')
  })
})
