/** DEBUG: what test harnesses use, as redis-server 7.0.15 answers. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Beside } from '../support/beside-redis.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

describeBeside('DEBUG', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  it('answers the subcommands it has as a real server does', () =>
    beside.session([
      'DEBUG',
      'DEBUG FOO',
      'DEBUG HELP x',
      'DEBUG SLEEP x',
      'DEBUG SLEEP 0',
      'DEBUG OBJECT nope',
      'DEBUG SET-ACTIVE-EXPIRE 1',
      'DEBUG LOG hi',
      'DEBUG LOG',
      'DEBUG DROP-CLUSTER-PACKET-FILTER -1',
      'DEBUG DROP-CLUSTER-PACKET-FILTER x',
      'DEBUG ERROR what',
      ['DEBUG', 'ERROR', 'WHAT is this'],
      'DEBUG PROTOCOL foo',
      'DEBUG CHANGE-REPL-ID',
      'DEBUG HTSTATS 99',
      'DEBUG HTSTATS x',
      'HSET h f v',
      'DEBUG LISTPACK h',
      'SET s x',
      'DEBUG LISTPACK s',
      'DEBUG LISTPACK nope',
      'DEBUG PAUSE-CRON 1',
      'DEBUG PAUSE-CRON 0',
      'DEBUG QUICKLIST-PACKED-THRESHOLD 100b',
      'DEBUG QUICKLIST-PACKED-THRESHOLD 0',
      'DEBUG QUICKLIST-PACKED-THRESHOLD x',
      'DEBUG QUICKLIST-PACKED-THRESHOLD 5gb',
      'DEBUG SDSLEN n',
      'SET n 12',
      'DEBUG SDSLEN n',
      'DEBUG SDSLEN nope',
      'DEBUG SDSLEN',
      'DEBUG HTSTATS-KEY h',
      'DEBUG HTSTATS-KEY s',
      'DEBUG HTSTATS-KEY nope',
      'RPUSH l a',
      'DEBUG QUICKLIST l',
      'DEBUG QUICKLIST l 1',
      'DEBUG QUICKLIST s',
      'DEBUG QUICKLIST nope',
      'DEBUG REPLICATE',
      'DEBUG REPLICATE PING',
      'DEBUG REPLYBUFFER RESIZING 0',
      'DEBUG REPLYBUFFER PEAK-RESET-TIME never',
      'DEBUG REPLYBUFFER foo',
    ]))

  it('gives the history another id, which no replica can go on from', () => {
    const ours = new InProcess()
    const one = ours.connect()
    ours.replicated()
    const idOf = (): string => /master_replid:(\w+)/.exec(one.outcome('INFO', 'replication'))![1]!
    const before = idOf()
    one.call('DEBUG', 'CHANGE-REPL-ID')
    assert.notEqual(idOf(), before)
    assert.match(one.outcome('INFO', 'replication'), /master_replid2:0{40}/)
  })

  it('tells how long a string is, and how far it may grow', () =>
    beside.session(['SET s abc', 'DEBUG SDSLEN s', 'APPEND s def', 'DEBUG SDSLEN s'], {
      mask: [[/(zmalloc|val_sds_avail): ?\d+/g, '$1:?']],
    }))

  it('tells how large the table of a value is', () => {
    const one = new InProcess({ 'hash-max-listpack-entries': '1' }).connect()
    one.call('HSET', 'h', 'a', '1', 'b', '2')
    assert.match(one.outcome('DEBUG', 'HTSTATS-KEY', 'h'), /^Hash table 0 stats [^[]*elements: 2\n$/)
  })

  it('tells replicas what it is told to, and does nothing of it', () => {
    const ours = new InProcess()
    const one = ours.connect()
    const replicated = ours.replicated()
    one.call('DEBUG', 'REPLICATE', 'SET', 'k', 'v')
    assert.equal(one.outcome('GET', 'k'), 'null')
    assert.deepEqual(replicated(), ['SET k v'])
  })

  it('tells how large a database is, and whether a pattern matches', () => {
    const one = new InProcess().connect()
    for (const request of ['SET a 1', 'SET b 1 EX 100']) one.call(...request.split(' '))
    assert.match(
      one.outcome('DEBUG', 'HTSTATS', '0'),
      /^\[Dictionary HT\][^[]*elements: 2\n\[Expires HT\][^[]*elements: 1\n$/,
    )
    assert.match(one.outcome('DEBUG', 'HTSTATS', '1'), /No stats available for empty dictionaries/)
    assert.deepEqual(
      ['a*c', 'a?c', 'b*'].map((pattern) => one.call('DEBUG', 'STRINGMATCH-LEN', pattern, 'abbc')),
      [1, 0, 0],
    )
  })

  for (const protocol of ['2', '3'])
    it(`sends a reply of each type in RESP${protocol}`, () =>
      beside.session(
        [
          `HELLO ${protocol}`,
          ...'string integer double bignum null array set map verbatim true false'
            .split(' ')
            .map((type) => `DEBUG PROTOCOL ${type}`),
        ],
        { mask: [[/^[%*]\d+\r\n\$6\r\nserver.*$/s, '<hello>']] },
      ))

  it('populates without touching what is there', () =>
    beside.session([
      'SET key:1 mine',
      'DEBUG POPULATE 3',
      'DEBUG POPULATE 2 foo 20',
      'DEBUG POPULATE x',
      'DEBUG POPULATE 2 foo -1',
      'DBSIZE',
      'GET key:0',
      'GET key:1',
      'GET foo:1',
    ]))

  it('describes a value', () =>
    beside.session(
      [
        'SET s abc',
        'SET n 12',
        'SET l qG7zP0vXk3LmT9bRwYs5NcJdHf2aUe8Vi4oQx6WrBt1Kj',
        'DEBUG OBJECT s',
        'DEBUG OBJECT l',
      ],
      {
        mask: [
          [/at:\S+/g, 'at:?'],
          [/lru:\d+ lru_seconds_idle:\d+/g, 'lru:?'],
        ],
      },
    ))

  it('computes the signature a real server computes for the same data', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(3), fc.uint8Array({ maxLength: 8 }), fc.uint8Array({ maxLength: 60 }), fc.boolean()), {
          maxLength: 10,
        }),
        (keys) =>
          beside.session([
            ...keys.flatMap(([db, key, value, expires]) => [
              `SELECT ${db}`,
              ['SET', Buffer.from(key), Buffer.from(value), ...(expires ? ['EX', '1000'] : [])],
            ]),
            'DEBUG DIGEST',
            ['DEBUG', 'DIGEST-VALUE', ...keys.map(([, key]) => Buffer.from(key)), 'nope'],
          ]),
      ),
      { numRuns: 25 },
    ))

  it('takes the data set through an RDB and back', () => {
    const ours = new InProcess()
    const one = ours.connect()
    one.call('SET', 'a', 'x'.repeat(1000))
    one.call('SELECT', '3')
    one.call('SET', 'b', '12', 'PXAT', '4102444800000')
    const before = one.call('DEBUG', 'DIGEST')
    const replicated = ours.replicated()
    assert.equal(one.call('DEBUG', 'RELOAD'), 'OK')
    assert.equal(one.call('DEBUG', 'DIGEST'), before)
    assert.equal(one.call('PEXPIRETIME', 'b'), 4102444800000)
    assert.deepEqual(replicated(), [])
  })

  it('switches active expiry off and on', () => {
    const ours = new InProcess()
    const one = ours.connect()
    one.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
    assert.ok(!ours.server.activeExpire)
    one.call('DEBUG', 'SET-ACTIVE-EXPIRE', '1')
    assert.ok(ours.server.activeExpire)
  })

  it('blocks the whole process while it sleeps', () => {
    const before = performance.now()
    new InProcess().connect().call('DEBUG', 'SLEEP', '0.05')
    assert.ok(performance.now() - before >= 50)
  })

  it('is refused unless it was enabled', () => {
    const one = new InProcess({ 'enable-debug-command': 'no' }).connect()
    assert.match(one.outcome('DEBUG', 'SLEEP', '0'), /^ERR DEBUG command not allowed/)
  })
})
