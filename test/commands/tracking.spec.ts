/** Server-assisted client-side caching: who is told of which key, in every mode, beside a redis-server. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Beside } from '../support/beside-redis.ts'
import { connect } from '../support/client.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { encode } from '../support/resp.ts'
import { describeBeside } from '../support/tools.ts'

const HELLO = [
  [/\$6\r\n7\.0\.15|\$5\r\n7\.2\.4/g, '<version>'],
  [/(\$2\r\nid\r\n):\d+/g, '$1:<id>'],
  [/(\$8\r\nredirect\r\n):[1-9]\d*/g, '$1:<id>'],
] as const
/** The names of our own clients are numbers, and so are the other's: theirs are asked for. */
const REFUSALS = [
  'CLIENT TRACKING maybe',
  'CLIENT TRACKING on FOO',
  'CLIENT TRACKING on REDIRECT',
  'CLIENT TRACKING on REDIRECT x',
  'CLIENT TRACKING on REDIRECT 99999999',
  'CLIENT TRACKING on PREFIX a',
  'CLIENT TRACKING on BCAST OPTIN',
  'CLIENT TRACKING on BCAST OPTOUT',
  'CLIENT TRACKING on OPTIN OPTOUT',
  'CLIENT TRACKING on BCAST PREFIX ab PREFIX a',
  'CLIENT TRACKING on BCAST PREFIX a PREFIX a',
  'CLIENT CACHING yes',
  'CLIENT TRACKING off BCAST',
  'CLIENT TRACKING on',
  'CLIENT TRACKING on BCAST',
  'CLIENT CACHING yes',
  'CLIENT CACHING no',
  'CLIENT CACHING perhaps',
  'CLIENT TRACKING on OPTIN',
  'CLIENT CACHING yes',
  'CLIENT TRACKINGINFO',
  'CLIENT CACHING no',
  'CLIENT TRACKING on OPTOUT',
  'CLIENT TRACKING off',
  'CLIENT TRACKING on OPTOUT NOLOOP',
  'CLIENT CACHING no',
  'CLIENT TRACKINGINFO',
  'CLIENT TRACKING off',
  'CLIENT TRACKING on BCAST PREFIX b PREFIX a',
  'CLIENT TRACKING on BCAST PREFIX c',
  'CLIENT TRACKING on BCAST PREFIX bc',
  'CLIENT TRACKINGINFO',
  'CLIENT GETREDIR',
  'RESET',
  'CLIENT TRACKINGINFO',
]

/** Scripts of two keys, each of which reads, or could. */
const READERS: readonly (readonly string[])[] = [
  ['EVAL', "return redis.call('GET', KEYS[1])"],
  ['EVAL', 'return 1'],
  ['EVAL', "return redis.call('GET', '{t}x')"],
  ['EVAL', "redis.call('GET', KEYS[1]) error('late')"],
  ['EVAL', "return redis.pcall('LLEN', KEYS[1])"],
  ['EVAL', "return redis.pcall('LPOP', KEYS[1])"],
  ['EVAL', "redis.call('SET', KEYS[1], '1') return redis.call('GET', KEYS[1])"],
  ['EVAL', "redis.call('GET', KEYS[1]) return redis.call('SET', KEYS[1], '2')"],
  ['EVAL', "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])"],
  ['EVAL_RO', 'return 1'],
  ['EVAL_RO', "return redis.call('GET', KEYS[1])"],
  ['FCALL', 'r'],
  ['FCALL_RO', 'r'],
]

describeBeside('CLIENT TRACKING', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  for (const protocol of ['2', '3'])
    it(`refuses what contradicts itself, and tells its mode (RESP${protocol})`, () =>
      beside.session([`HELLO ${protocol}`, ...REFUSALS], { mask: HELLO }))

  it('tells of a key that was read, once, whoever changes it', () =>
    beside.session(
      [
        'HELLO 3',
        'CLIENT TRACKING on',
        'GET k',
        'b> SET k 1',
        'b> SET k 2',
        'MGET k l',
        'b> DEL l',
        'b> MSET k 1 l 2',
        'GET k',
        'SET k 3',
        'GET k',
        'MULTI',
        'SET k 4',
        'GET k',
        'EXEC',
        'b> INCR k',
        'SET k 5',
        'CLIENT TRACKING off',
        'b> SET k 6',
      ],
      { mask: HELLO },
    ))

  it('does not tell a NOLOOP client of its own changes', () =>
    beside.session(['HELLO 3', 'CLIENT TRACKING on NOLOOP', 'GET k', 'SET k 1', 'b> SET k 2', 'GET k', 'b> SET k 3'], {
      mask: HELLO,
    }))

  it('remembers only what OPTIN asks for, and all but what OPTOUT asks for', () =>
    beside.session(
      [
        'HELLO 3',
        'CLIENT TRACKING on OPTIN',
        'GET k',
        'b> SET k 1',
        'CLIENT CACHING yes',
        'CLIENT ID x',
        'GET k',
        'GET l',
        'b> MSET k 1 l 1',
        'CLIENT CACHING yes',
        'MULTI',
        'GET k',
        'GET l',
        'EXEC',
        'GET m',
        'b> MSET k 1 l 1 m 1',
        'CLIENT TRACKING off',
        'CLIENT TRACKING on OPTOUT',
        'CLIENT CACHING no',
        'GET k',
        'GET l',
        'b> MSET k 1 l 1',
      ],
      { mask: HELLO },
    ))

  it('tells of whatever changes below a prefix, all of one turn at once', () =>
    beside.session(
      [
        'HELLO 3',
        'b> HELLO 3',
        'CLIENT TRACKING on BCAST PREFIX a PREFIX b',
        'b> CLIENT TRACKING on BCAST NOLOOP',
        'b> MSET b2 1 a2 1 a1 1 c 1',
        'c> MSET b2 1 a2 1 a1 1 c 1',
        'c> DEL nothing',
        'c> DEL a1',
      ],
      { mask: HELLO },
    ))

  it('remembers what a script reads, for the client that runs it', () =>
    beside.session(
      [
        'HELLO 3',
        'CLIENT TRACKING on OPTIN',
        'CLIENT CACHING yes',
        ['EVAL', "return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}", '3', '{t}k', '{t}l', '{t}m'],
        'GET {t}n',
        'b> MSET {t}k 1 {t}l 1 {t}m 1 {t}n 1',
        'CLIENT TRACKING off',
        'CLIENT TRACKING on',
        ['EVAL_RO', "return redis.call('GET', KEYS[1])", '2', '{t}k', '{t}l'],
        'b> MSET {t}k 1 {t}l 1',
      ],
      { mask: HELLO },
    ))

  it('remembers it whatever kind of script reads, unless it is said not to', () =>
    beside.session(
      [
        'HELLO 3',
        [
          'FUNCTION',
          'LOAD',
          'REPLACE',
          "#!lua name=tracked\nredis.register_function{function_name='r', callback=function(k) return redis.call('get', k[1]) end, flags={'no-writes'}}",
        ],
        ...['', 'OPTIN', 'OPTOUT', 'BCAST', 'NOLOOP', 'BCAST NOLOOP'].flatMap((mode) => [
          `CLIENT TRACKING on ${mode}`.trim().split(' '),
          ...(mode === 'OPTIN'
            ? ['', 'CLIENT CACHING yes']
            : mode === 'OPTOUT'
              ? ['', 'CLIENT CACHING no']
              : ['']
          ).flatMap((first) =>
            READERS.flatMap((reader) => [
              ...(first === '' ? [] : [first]),
              [...reader, '2', '{t}k', '{t}l'],
              'b> MSET {t}k 1 {t}l 1 {t}x 1',
            ]),
          ),
          'CLIENT TRACKING off',
        ]),
      ],
      { mask: HELLO },
    ))

  it('takes what a client is given later, or what its script does, for the doing of others', () =>
    beside.session(
      [
        'HELLO 3',
        'CLIENT TRACKING on BCAST NOLOOP',
        ['EVAL', "return redis.call('SET', KEYS[1], '1')", '1', 'k'],
        'SET k 2',
        'BLPOP l 0',
        'b> RPUSH l x y',
        'BLMOVE l2 l3 LEFT LEFT 0',
        'b> RPUSH l2 x y',
        'BLPOP l4 0',
        'b> RPUSH l4 x',
      ],
      { mask: HELLO },
    ))

  it('tells that everything is gone', () =>
    beside.session(['HELLO 3', 'CLIENT TRACKING on', 'GET k', 'FLUSHALL', 'b> FLUSHDB', 'b> SET k 1', 'FLUSHALL'], {
      mask: HELLO,
    }))

  it('tells another client, in a subscription when it speaks RESP2, and says when that one is gone', async () => {
    const theirs = await Promise.all([1, 2, 3].map(() => connect(beside.redis.port)))
    const ours = new InProcess()
    const wired = [ours.connect(), ours.connect(), ours.connect()]
    const both = async (who: number, ...words: string[]): Promise<void> => {
      const reply = await theirs[who]!.raw(encode(words))
      assert.equal(wired[who]!.raw(encode(words)).toString().replace(/:\d+/, ''), reply.toString().replace(/:\d+/, ''))
    }
    const heard = async (who: number): Promise<string> => {
      const mine = wired[who]!.taken().toString()
      const { raw } = await theirs[who]!.message()
      assert.equal(mine.replace(/:\d+/, ':<id>'), raw.toString().replace(/:\d+/, ':<id>'))
      return mine
    }
    const id = await theirs[1]!.text('CLIENT', 'ID')
    await both(1, 'SUBSCRIBE', '__redis__:invalidate')
    wired[0]!.call('HELLO', '3')
    await theirs[0]!.call('HELLO', '3')
    wired[0]!.call('CLIENT', 'TRACKING', 'on', 'REDIRECT', wired[1]!.client.id)
    await theirs[0]!.call('CLIENT', 'TRACKING', 'on', 'REDIRECT', id)
    await both(0, 'GET', 'k')
    await both(2, 'SET', 'k', '1')
    await heard(1)
    await both(2, 'FLUSHALL')
    // A redis-server sends the null of the tracked client's protocol, which this one could not read.
    assert.match((await theirs[1]!.message()).raw.toString(), /_\r\n$/)
    assert.match(wired[1]!.taken().toString(), /\$-1\r\n$/)
    await both(0, 'GET', 'k')
    theirs[1]!.close()
    ours.server.disconnect(wired[1]!.client)
    await both(2, 'SET', 'k', '1')
    assert.match(await heard(0), /tracking-redir-broken/)
    await both(0, 'CLIENT', 'TRACKINGINFO')
    assert.match(wired[0]!.outcome('CLIENT', 'LIST'), / flags=tR /)
  })

  it('makes room for new keys by telling of old ones', () => {
    const ours = new InProcess({ 'tracking-table-max-keys': '2' })
    const one = ours.connect()
    one.call('HELLO', '3')
    one.call('CLIENT', 'TRACKING', 'on')
    for (const key of ['a', 'b']) one.call('GET', key)
    assert.equal(one.raw(encode(['GET', 'c'])).toString(), '_\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n')
    assert.deepEqual(ours.server.tracking.counts, { clients: 1, keys: 2, items: 2, prefixes: 0 })
    ours.server.disconnect(one.client)
    assert.equal(ours.server.tracking.on, false)
  })

  it('tells what redis-server tells of random sessions', () => {
    const key = fc.constantFrom('a', 'b', 'ab')
    const on = fc.constantFrom('a', 'b', 'c')
    const words = fc.oneof(
      { weight: 4, arbitrary: fc.tuple(fc.constant('GET'), key) },
      { weight: 4, arbitrary: fc.tuple(fc.constant('SET'), key, fc.constant('v')) },
      fc.tuple(fc.constant('DEL'), key, key),
      fc.tuple(fc.constant('RENAME'), key, key),
      fc.tuple(fc.constant('MGET'), key, key),
      fc.constantFrom<readonly string[]>(
        ['CLIENT', 'TRACKING', 'on'],
        ['CLIENT', 'TRACKING', 'on', 'NOLOOP'],
        ['CLIENT', 'TRACKING', 'on', 'OPTIN'],
        ['CLIENT', 'TRACKING', 'on', 'BCAST', 'PREFIX', 'a'],
        ['CLIENT', 'TRACKING', 'on', 'BCAST', 'NOLOOP'],
        ['CLIENT', 'TRACKING', 'off'],
        ['CLIENT', 'CACHING', 'yes'],
        ['FLUSHALL'],
        ['MULTI'],
        ['EXEC'],
      ),
    )
    const step = fc.tuple(on, words).map(([who, request]) => `${who}> ${request.join(' ')}`)
    return fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) =>
        beside.session([...['a', 'b', 'c'].map((who) => `${who}> HELLO 3`), ...steps], { mask: HELLO }),
      ),
      { numRuns: 25 },
    )
  })
})
