/** Function libraries are data: they outlive the process, and replicas have them, ours and real ones. */
import assert from 'node:assert/strict'
import { ask, outcome } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { type Kind, type Server, startServer, stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const LIMIT_MS = 10_000

const library = (name: string): string =>
  `#!lua name=${name}\nredis.register_function{function_name='${name}', callback=function() return '${name}' end, flags={'no-writes'}}`

const called = (server: Server, name: string): Promise<unknown> => outcome(server.port, 'FCALL', name, '0')

describeBeside('function libraries', function () {
  this.timeout(60_000)
  after(stopEverything)

  it('outlive a crash, from the stream and from a checkpoint', async () => {
    const server = await startServer({ kind: 'rookery', conf: { appendonly: 'yes' } })
    await ask(server.port, 'FUNCTION', 'LOAD', library('first'))
    await server.kill()
    await server.restart()
    assert.equal(await called(server, 'first'), 'first')
    await ask(server.port, 'BGREWRITEAOF')
    await eventually(() => ask(server.port, 'INFO', 'persistence'), {
      what: 'a checkpoint is done',
      withinMs: LIMIT_MS,
      until: (info) => String(info).includes('aof_rewrite_in_progress:0'),
    })
    await server.kill()
    await server.restart()
    assert.equal(await called(server, 'first'), 'first')
  })

  const pairs: readonly (readonly [Kind, Kind])[] = [
    ['redis', 'rookery'],
    ['rookery', 'redis'],
    ['rookery', 'rookery'],
  ]
  for (const [one, other] of pairs)
    it(`of a ${one} primary come to its ${other} replica with the snapshot and with the stream`, async () => {
      const [primary, replica] = await Promise.all([startServer({ kind: one }), startServer({ kind: other })])
      await ask(primary.port, 'FUNCTION', 'LOAD', library('first'))
      await ask(replica.port, 'REPLICAOF', '127.0.0.1', primary.port)
      await eventually(() => called(replica, 'first'), {
        what: 'the first library',
        withinMs: LIMIT_MS,
        until: (reply) => reply === 'first',
      })
      await ask(primary.port, 'FUNCTION', 'LOAD', library('second'))
      await eventually(() => called(replica, 'second'), {
        what: 'the second library',
        withinMs: LIMIT_MS,
        until: (reply) => reply === 'second',
      })
      await ask(primary.port, 'FUNCTION', 'DELETE', 'first')
      await eventually(() => called(replica, 'first'), {
        what: 'the first library is gone',
        withinMs: LIMIT_MS,
        until: (reply) => reply === 'ERR Function not found',
      })
    })
})
