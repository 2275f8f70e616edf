/** Clients that wait for entries of streams, alone or as consumers of a group. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Beside, type Step } from '../support/beside-redis.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { encode } from '../support/resp.ts'
import { describeBeside } from '../support/tools.ts'

const waiter = fc.constantFrom('b', 'c', 'd', 'e')
const key = fc.constantFrom('s', 't')
const group = fc.constantFrom('g', 'h')
const from = fc.constantFrom('$', '0', '1-2')

/** Entries that were added and removed before anybody could be served make a real server answer with nothing; and it serves
 *  nobody when a group is set back. Both are left out. */
const step = fc.oneof(
  fc.tuple(waiter, key, from).map(([who, name, id]) => `${who}> XREAD BLOCK 0 STREAMS ${name} ${id}`),
  fc.tuple(waiter, from, from).map(([who, one, other]) => `${who}> XREAD COUNT 1 BLOCK 0 STREAMS s t ${one} ${other}`),
  fc
    .tuple(waiter, group, fc.constantFrom('', 'NOACK ', 'COUNT 1 '), key)
    .map(([who, name, option, at]) => `${who}> XREADGROUP GROUP ${name} ${who} BLOCK 0 ${option}STREAMS ${at} >`),
  fc.tuple(waiter, group).map(([who, name]) => `${who}> XREADGROUP GROUP ${name} x BLOCK 0 STREAMS s t > >`),
  fc.tuple(key, fc.nat(3)).map(([name, ms]) => `XADD ${name} ${ms}-* f v`),
  fc.tuple(key, group).map(([name, of]) => `XGROUP CREATE ${name} ${of} $ MKSTREAM`),
  fc.tuple(key, group).map(([name, of]) => `XGROUP DESTROY ${name} ${of}`),
  fc.constantFrom(
    'DEL s',
    'SET t x',
    'RENAME s t',
    'COPY s t REPLACE',
    'XTRIM s MAXLEN 1',
    'FLUSHALL',
    'DEL t',
    'SWAPDB 0 1',
  ),
)
/** Whoever still waits gets no PONG. */
const CLOSING: readonly Step[] = ['b> PING', 'c> PING', 'd> PING', 'e> PING', 'XRANGE s - +', 'XINFO GROUPS s']
/** A waiting client is not asked again. */
const CREATED: readonly Step[] = ['XGROUP CREATE s g $ MKSTREAM', 'XGROUP CREATE t h $ MKSTREAM']

describeBeside('clients that wait for streams', function () {
  this.timeout(60_000)
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  it('are served as by redis-server, whatever is written', () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), (sequence) =>
        beside.session([...CREATED, ...sequence, ...CLOSING]),
      ),
      { numRuns: 100 },
    ))

  it('all get what comes, each from where it wants', () =>
    beside.session([
      'XADD s 1-1 f v',
      'b> XREAD BLOCK 0 STREAMS s $',
      'c> XREAD BLOCK 0 STREAMS s t 1-1 0',
      'd> XREAD BLOCK 0 STREAMS t s $ 7-7',
      'XADD s 1-2 f v',
      'XADD s 7-7 f v',
      'XADD s 7-8 f v',
    ]))

  it('of one group share what comes', () =>
    beside.session([
      'XGROUP CREATE s g $ MKSTREAM',
      'b> XREADGROUP GROUP g b BLOCK 0 STREAMS s >',
      'c> XREADGROUP GROUP g c BLOCK 0 STREAMS s >',
      'XADD s 1-1 f v',
      'XADD s 1-2 f v',
      'XPENDING s g',
    ]))

  it('of a group are told when the stream or the group is no more', () =>
    beside.session([
      'XGROUP CREATE s g $ MKSTREAM',
      'b> XREADGROUP GROUP g b BLOCK 0 STREAMS s >',
      'XGROUP DESTROY s g',
      'XGROUP CREATE s g $',
      'b> XREADGROUP GROUP g b BLOCK 0 STREAMS s >',
      'SET s text',
      'DEL s',
      'XGROUP CREATE s g $ MKSTREAM',
      'b> XREADGROUP GROUP g b BLOCK 0 STREAMS s >',
      'c> XREAD BLOCK 0 STREAMS s $',
      'UNLINK s',
      'XADD s 1-1 f v',
    ]))

  it('of a group are served when it was made anew before they were told', () =>
    beside.session([
      'XGROUP CREATE s g $ MKSTREAM',
      'b> XREADGROUP GROUP g b BLOCK 0 STREAMS s >',
      'MULTI',
      'DEL s',
      'XADD s 1-1 f v',
      'XGROUP CREATE s g 0',
      'EXEC',
    ]))

  it('get their answer at once inside a transaction', () =>
    beside.session(['MULTI', 'XREAD BLOCK 0 STREAMS s $', 'XREAD BLOCK 0 STREAMS s 0', 'EXEC']))

  it('answer in RESP3 too', () =>
    beside.session(
      [
        'b> HELLO 3',
        'XGROUP CREATE s g $ MKSTREAM',
        'b> XREADGROUP GROUP g b BLOCK 0 STREAMS s >',
        'XADD s 1-1 f v',
        'b> XREAD BLOCK 1 STREAMS s $',
        'b> XREAD STREAMS s t 0 0',
        'XDEL s 1-1',
        'b> XREADGROUP GROUP g b STREAMS s 0',
      ],
      { mask: [[/^%7.*$/s, '<hello>']] },
    ))

  it('are replicated by what they were served with', () => {
    const inner = new InProcess()
    const [one, two, other] = [inner.connect(), inner.connect(), inner.connect()]
    const replicated = inner.replicated()
    other.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
    other.call('XGROUP', 'CREATE', 's', 'h', '$')
    one.raw(encode(['XREADGROUP', 'GROUP', 'g', 'one', 'BLOCK', '0', 'STREAMS', 's', '>']))
    two.raw(encode(['XREADGROUP', 'GROUP', 'h', 'two', 'BLOCK', '0', 'NOACK', 'STREAMS', 's', '>']))
    other.call('XADD', 's', '1-1', 'f', 'v')
    assert.deepEqual(
      replicated().map((command) => command.replace(/TIME \d+/, 'TIME now')),
      [
        'SELECT 0',
        'XGROUP CREATE s g $ MKSTREAM',
        'XGROUP CREATE s h $',
        'XADD s 1-1 f v',
        'XCLAIM s g one 0 1-1 TIME now RETRYCOUNT 1 FORCE JUSTID LASTID 1-1',
        'MULTI',
        'XGROUP CREATECONSUMER s h two',
        'XGROUP SETID s h 1-1 ENTRIESREAD 1',
        'EXEC',
      ],
    )
  })

  it('can be told that time is up', () => {
    const inner = new InProcess()
    const [one, other] = [inner.connect(), inner.connect()]
    one.raw(encode(['XREAD', 'BLOCK', '0', 'STREAMS', 's', '$']))
    other.call('CLIENT', 'UNBLOCK', one.client.id)
    assert.equal(one.taken().latin1Slice(), '*-1\r\n')
  })

  it('wait on when what came is gone again, or when a stream only claims to be longer', () => {
    const inner = new InProcess()
    const [one, other] = [inner.connect(), inner.connect()]
    one.raw(encode(['XREAD', 'BLOCK', '0', 'STREAMS', 's', '$']))
    other.call('MULTI')
    other.call('XADD', 's', '1-1', 'f', 'v')
    other.call('XDEL', 's', '1-1')
    other.call('EXEC')
    other.call('XSETID', 's', '5-5')
    assert.equal(one.taken().length, 0)
    other.call('XADD', 's', '6-6', 'f', 'v')
    assert.match(one.taken().latin1Slice(), /6-6/)
  })

  it('are served when a group is set back to what they have not read', () => {
    const inner = new InProcess()
    const [one, other] = [inner.connect(), inner.connect()]
    other.call('XADD', 's', '1-1', 'f', 'v')
    other.call('XGROUP', 'CREATE', 's', 'g', '$')
    one.raw(encode(['XREADGROUP', 'GROUP', 'g', 'one', 'BLOCK', '0', 'STREAMS', 's', '>']))
    other.call('XGROUP', 'SETID', 's', 'g', '0')
    assert.match(one.taken().latin1Slice(), /1-1/)
  })
})
