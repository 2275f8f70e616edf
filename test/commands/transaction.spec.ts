/** MULTI EXEC DISCARD WATCH UNWATCH: queueing, aborting, watching, and what replicas are told. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Millis } from '../../lib/base/brand.ts'
import { Beside } from '../support/beside-redis.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

describeBeside('transactions', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  it('queue commands and run them at EXEC', () =>
    beside.session(['MULTI', 'SET a 1', 'GET a', 'b> GET a', 'EXEC', 'b> GET a', 'EXEC', 'DISCARD']))

  it('are thrown away by DISCARD', () => beside.session(['SET a 1', 'MULTI', 'SET a 2', 'DISCARD', 'GET a', 'EXEC']))

  it('run to their end although commands inside fail', () =>
    beside.session(['MULTI', 'SET s x', 'INCR s', 'SET t y', 'EXEC', 'GET t']))

  it('are aborted by a command that could not be queued', () =>
    beside.session(['MULTI', 'SET a 9', 'GET', 'SET b 9', 'EXEC', 'GET a', 'MULTI', 'NOSUCH', 'EXEC', 'MULTI', 'EXEC']))

  it('do not nest, and are not aborted by trying', () =>
    beside.session(['MULTI', 'MULTI', 'WATCH a', 'SET a 1', 'EXEC']))

  it('end with the reason when EXEC itself is refused', () =>
    beside.session(['MULTI', 'SET a 1', 'EXEC foo', 'EXEC', 'GET a']))

  it('refuse what may not be queued', () =>
    beside.session(['MULTI', 'SHUTDOWN NOSAVE', 'EXEC', 'MULTI', 'MONITOR', 'EXEC']))

  it('carry SELECT inside', () =>
    beside.session(['SET k 0', 'MULTI', 'SELECT 1', 'SET k 1', 'EXEC', 'GET k', 'SELECT 0', 'GET k']))

  it('change the protocol of the replies after HELLO inside', () =>
    beside.session(['MULTI', 'HELLO 3', 'GET nope', 'EXEC', 'WATCH x', 'b> SET x 1', 'MULTI', 'EXEC'], {
      mask: [
        [/\$6\r\n7\.0\.15|\$5\r\n7\.2\.4/g, '<version>'],
        [/(\$2\r\nid\r\n):\d+/g, '$1:<id>'],
      ],
    }))

  it('fail when a watched key was touched by anybody, the client itself included', () =>
    beside.session([
      'WATCH a b',
      'b> SET b 1',
      'MULTI',
      'SET x y',
      'EXEC',
      'GET x',
      'WATCH a',
      'SET a 2',
      'MULTI',
      'PING',
      'EXEC',
    ]))

  it('succeed when the watching was taken back in time', () =>
    beside.session([
      'WATCH a',
      'b> SET a 1',
      'UNWATCH',
      'MULTI',
      'PING',
      'EXEC',
      'WATCH a',
      'b> SET a 1',
      'MULTI',
      'DISCARD',
      'MULTI',
      'PING',
      'EXEC',
    ]))

  it('tell keys of different databases apart', () =>
    beside.session([
      'SELECT 1',
      'WATCH a',
      'b> SET a 1',
      'MULTI',
      'PING',
      'EXEC',
      'WATCH a',
      'b> SELECT 1',
      'b> SET a 1',
      'MULTI',
      'PING',
      'EXEC',
    ]))

  it('see a flush as a change of the keys that were there, and of no others', () =>
    beside.session([
      'SET a 1',
      'DEL nope',
      'WATCH a',
      'b> FLUSHDB',
      'MULTI',
      'PING',
      'EXEC',
      'WATCH nope',
      'b> FLUSHALL',
      'MULTI',
      'PING',
      'EXEC',
    ]))

  it('see a swap of databases as a change of keys that one of them has', () =>
    beside.session([
      'FLUSHALL',
      'SELECT 1',
      'SET there 1',
      'SELECT 0',
      'SET here 1',
      'WATCH here',
      'b> SWAPDB 0 1',
      'MULTI',
      'PING',
      'EXEC',
      'WATCH here',
      'b> SWAPDB 0 1',
      'MULTI',
      'PING',
      'EXEC',
      'WATCH nowhere',
      'b> SWAPDB 0 1',
      'MULTI',
      'PING',
      'EXEC',
    ]))

  it('agree with a real server over random sessions of two clients', () => {
    const step = fc.constantFrom(
      'MULTI',
      'EXEC',
      'DISCARD',
      'WATCH a',
      'WATCH b a',
      'UNWATCH',
      'SET a 1',
      'SET b 2',
      'DEL a',
      'GET a',
      'INCR b',
      'GET',
      'SELECT 1',
      'SELECT 0',
      'FLUSHDB',
      'SWAPDB 0 1',
      'RESET',
    )
    const sessions = fc.array(fc.tuple(fc.constantFrom('a', 'b'), step), { maxLength: 30 })
    return fc.assert(
      fc.asyncProperty(sessions, (steps) =>
        beside.session(['FLUSHALL', ...steps.map(([on, words]) => `${on}> ${words}`)]),
      ),
      { numRuns: 60 },
    )
  })
})

describe('a watched key and its deadline', () => {
  const at = (ours: InProcess, ms: number): void => {
    ours.server.keyspace.now = ms as Millis
  }
  /** A clock that only moves when told: `refreshClock` would follow the real one. */
  const frozen = (): InProcess => {
    const ours = new InProcess()
    ours.server.refreshClock = () => {}
    at(ours, 1000)
    return ours
  }

  it('fails the transaction when it passes after WATCH, though nobody has removed the key yet', () => {
    const ours = frozen()
    const one = ours.connect()
    one.call('SET', 'k', 'v', 'PXAT', '2000')
    one.call('WATCH', 'k')
    at(ours, 3000)
    one.call('MULTI')
    one.call('PING')
    assert.equal(one.call('EXEC'), null)
  })

  it('does not matter when it had passed before', () => {
    const ours = frozen()
    const one = ours.connect()
    one.call('SET', 'k', 'v', 'PXAT', '2000')
    at(ours, 3000)
    one.call('WATCH', 'k')
    assert.equal(ours.connect().call('GET', 'k'), null)
    one.call('MULTI')
    one.call('PING')
    assert.deepEqual(one.call('EXEC'), ['PONG'])
  })
})

describe('the stream of a transaction', () => {
  it('wraps several changes in one MULTI and EXEC, and leaves reads out', () => {
    const ours = new InProcess()
    const one = ours.connect()
    const replicated = ours.replicated()
    for (const words of ['MULTI', 'SET a 1', 'GET a', 'SET b 2', 'EXEC']) one.call(...words.split(' '))
    assert.deepEqual(replicated(), ['SELECT 0', 'MULTI', 'SET a 1', 'SET b 2', 'EXEC'])
  })

  it('wraps nothing when there was one change, and is empty when there was none', () => {
    const ours = new InProcess()
    const one = ours.connect()
    const replicated = ours.replicated()
    for (const words of ['MULTI', 'SET a 1', 'EXEC', 'MULTI', 'GET a', 'EXEC', 'MULTI', 'EXEC'])
      one.call(...words.split(' '))
    assert.deepEqual(replicated(), ['SELECT 0', 'SET a 1'])
  })

  it('says nothing of a transaction that was called off', () => {
    const ours = new InProcess()
    const one = ours.connect()
    one.call('WATCH', 'a')
    ours.connect().call('SET', 'a', '1')
    const replicated = ours.replicated()
    for (const words of ['MULTI', 'SET b 1', 'EXEC']) one.call(...words.split(' '))
    assert.deepEqual(replicated(), [])
  })
})

describe('watching', () => {
  it('costs nothing once nobody watches', () => {
    const ours = new InProcess()
    const one = ours.connect()
    one.call('WATCH', 'a', 'b', 'a')
    assert.equal(ours.server.watches.count, 2)
    one.call('MULTI')
    one.call('EXEC')
    assert.equal(ours.server.watches.count, 0)
    one.call('WATCH', 'a')
    ours.server.disconnect(one.client)
    assert.equal(ours.server.watches.count, 0)
  })
})
