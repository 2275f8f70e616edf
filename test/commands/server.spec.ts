/** The server as a whole: INFO, databases, SLOWLOG, MONITOR, MEMORY, LATENCY, ACL, SHUTDOWN. */
import assert from 'node:assert/strict'
import { argvOf } from '../../lib/resp/argv.ts'
import { enforceLimits } from '../../lib/server/output-limits.ts'
import { FakePrimary } from '../replication/parts.ts'
import { Beside } from '../support/beside-redis.ts'
import { ask, fields } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { InProcess } from '../support/inprocess.ts'
import { MemoryDisk } from '../support/memory-disk.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

describeBeside('server commands', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  it('count, flush and swap databases', () =>
    beside.session([
      'SET a 1',
      'SELECT 1',
      'SET b 1',
      'SET c 1',
      'DBSIZE',
      'SWAPDB 0 1',
      'DBSIZE',
      'SWAPDB 0 0',
      'FLUSHDB ASYNC',
      'DBSIZE',
      'SELECT 0',
      'DBSIZE',
      'FLUSHALL SYNC',
      'DBSIZE',
    ]))

  it('refuse what they do not understand in the same words', () =>
    beside.session([
      'SWAPDB 0',
      'SWAPDB x 1',
      'SWAPDB 0 y',
      'SWAPDB 0 99',
      'FLUSHALL foo',
      'FLUSHDB SYNC ASYNC',
      'DBSIZE x',
      'SHUTDOWN foo',
      'SHUTDOWN ABORT',
      'SHUTDOWN ABORT NOW',
      'SHUTDOWN SAVE NOSAVE',
      'BGSAVE foo',
      'SAVE x',
      'INFO foo',
      'TIME x',
    ]))

  it('tell the time', () => beside.session(['TIME'], { mask: [[/\$\d+\r\n\d+/g, '<number>']] }))

  it('replicate FLUSHALL and SWAPDB even when nothing changed', () => {
    const ours = new InProcess()
    const replicated = ours.replicated()
    const one = ours.connect()
    one.call('FLUSHALL')
    one.call('SELECT', '2')
    one.call('FLUSHDB', 'ASYNC')
    one.call('SWAPDB', '0', '1')
    assert.deepEqual(replicated(), ['SELECT 0', 'FLUSHALL', 'SELECT 2', 'FLUSHDB ASYNC', 'SWAPDB 0 1'])
  })

  it('save at once, and count from there', () => {
    const disk = new MemoryDisk()
    const one = new InProcess({}, disk).connect()
    one.call('SET', 'a', '1')
    assert.match(one.outcome('INFO', 'persistence'), /rdb_changes_since_last_save:1\r/)
    assert.equal(one.outcome('SAVE'), 'OK')
    assert.equal(disk.files.get('/dump.rdb')?.toString('latin1', 0, 9), 'REDIS0010')
    assert.match(one.outcome('INFO', 'persistence'), /rdb_changes_since_last_save:0\r/)
    assert.ok(Number(one.outcome('LASTSAVE')) > 1_700_000_000)
  })

  it('save in the background, one at a time', () => {
    const one = new InProcess().connect()
    assert.equal(one.outcome('BGSAVE'), 'Background saving started')
    assert.equal(one.outcome('BGSAVE'), 'ERR Background save already in progress')
    assert.equal(one.outcome('SAVE'), 'ERR Background save already in progress')
  })

  it('accept no writes, nor PING, while snapshots fail', async () => {
    const disk = new MemoryDisk()
    const one = new InProcess({}, disk).connect()
    disk.isFull = true
    assert.equal(one.outcome('SAVE'), 'ERR')
    assert.equal(one.outcome('PING'), 'PONG')
    one.call('BGSAVE')
    await eventually(() => one.outcome('INFO', 'persistence').includes('rdb_last_bgsave_status:err'), {
      what: 'the snapshot fails',
      withinMs: 5000,
    })
    for (const command of [['SET', 'a', '1'], ['PING']])
      assert.match(one.outcome(...command), /^MISCONF Redis is configured to save RDB snapshots, but it's currently/)
    assert.equal(one.outcome('GET', 'a'), 'null')
    disk.isFull = false
    assert.equal(one.outcome('SAVE'), 'OK')
    assert.equal(one.outcome('SET', 'a', '1'), 'OK')
  })

  it('shut down, but not after a save that cannot be', () => {
    const disk = new MemoryDisk()
    const ours = new InProcess({}, disk)
    const one = ours.connect()
    disk.isFull = true
    assert.equal(one.outcome('SHUTDOWN', 'SAVE'), 'ERR Errors trying to SHUTDOWN. Check logs.')
    assert.equal(one.outcome('SHUTDOWN'), 'ERR Errors trying to SHUTDOWN. Check logs.')
    assert.ok(!ours.stopped)
    one.raw(Buffer.from('SHUTDOWN NOSAVE NOW\r\n'))
    assert.ok(ours.stopped)
  })
})

describeBeside('INFO', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  const titles = (text: string): string[] => [...text.matchAll(/^# (.*)\r$/gm)].map((match) => match[1]!)
  const theirInfo = async (words: string): Promise<string> =>
    String(await ask(beside.redis.port, 'INFO', ...words.split(' ').filter(Boolean)))
  const namesOf = (text: string): string[] => [...text.matchAll(/^([a-z0-9_]+):/gm)].map((match) => match[1]!)

  it('prints the sections a real server prints, for every way to ask', async () => {
    for (const words of [
      '',
      'default',
      'all',
      'everything',
      'server foo',
      'modules',
      'default commandstats',
      'CPU stats',
    ])
      assert.deepEqual(
        titles(new InProcess().connect().outcome('INFO', ...words.split(' ').filter(Boolean))),
        titles(await theirInfo(words)),
        words,
      )
  })

  it('prints their fields in their order, and one of its own', async () => {
    const theirs = namesOf(await theirInfo(''))
    const ours = namesOf(new InProcess().connect().outcome('INFO'))
    const missing = theirs.filter((name) => !ours.includes(name) && !/^errorstat/.test(name))
    assert.deepEqual(missing, [])
    assert.deepEqual(
      ours.filter((name) => theirs.includes(name)),
      theirs.filter((name) => ours.includes(name)),
    )
    assert.deepEqual(
      ours.filter((name) => !theirs.includes(name)),
      ['rookery_version'],
    )
  })

  it('counts commands and errors as a real server does', () =>
    beside.session(
      [
        'CONFIG RESETSTAT',
        'SET a 1',
        'GET a',
        'GET',
        'INCR a',
        'SET b x',
        'INCR b',
        'NOSUCH',
        'CLIENT ID',
        'INFO commandstats',
        'INFO errorstats',
      ],
      {
        mask: [
          [/:\d+\r\n$/gm, ':<n>'],
          [/usec=\d+,usec_per_call=\d+\.\d+/g, 'usec=?'],
          [/^\$\d+/, '$<length>'],
          [/(# Commandstats\r\n)(.*)/s, ''],
        ],
      },
    ))

  it('writes each command with its calls, refusals and failures', () => {
    const one = new InProcess().connect()
    for (const words of ['SET a x', 'GET a', 'GET', 'INCR a', 'CLIENT ID']) one.outcome(...words.split(' '))
    const text = one.outcome('INFO', 'commandstats')
    assert.match(text, /cmdstat_get:calls=1,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=1,failed_calls=0\r/)
    assert.match(text, /cmdstat_incr:calls=1,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=0,failed_calls=1\r/)
    assert.match(text, /cmdstat_client\|id:calls=1,/)
    assert.doesNotMatch(text, /cmdstat_del:/)
  })

  it('describes each filled database', () => {
    const one = new InProcess().connect()
    one.call('SET', 'a', '1')
    one.call('SET', 'b', '1', 'EX', '100')
    assert.equal(one.outcome('INFO', 'keyspace'), '# Keyspace\r\ndb0:keys=2,expires=1,avg_ttl=0\r\n')
  })

  it('has plain numbers where tools do arithmetic', async () => {
    const theirs = await fields(beside.redis.port, 'INFO')
    const ours = Object.fromEntries(
      [
        ...new InProcess()
          .connect()
          .outcome('INFO')
          .matchAll(/^(\w+):(.*)\r$/gm),
      ].map((match) => [match[1]!, match[2]!]),
    )
    for (const [name, value] of Object.entries(ours))
      if (/^-?\d+$/.test(theirs[name] ?? '') && name !== 'redis_build_id') assert.match(value, /^-?\d+$/, name)
  })
})

describeBeside('MONITOR', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  const mask = [
    [/\+\d+\.\d{6} /g, '+<time> '],
    [/127\.0\.0\.1:\d+/g, '<address>'],
  ] as const

  it('shows each command as it was carried out, in the database it ended in', () =>
    beside.session(
      [
        'm> MONITOR',
        'SET a 1',
        'GET a',
        ['SET', 'bin', Buffer.from('\x00"\\\n\r\t\x07\x08\x7f\xffé', 'latin1')],
        'SELECT 3',
        'PING',
        'MULTI',
        'SET b 1',
        'GET b',
        'EXEC',
        'GET',
        'NOSUCH',
        'CONFIG GET maxclients',
        'CLIENT GETNAME',
        'AUTH default x',
      ],
      { mask },
    ))

  it('shows a script, and after it what the script calls, as from lua', () =>
    beside.session(
      [
        'm> MONITOR',
        'SELECT 2',
        ['EVAL', "redis.call('SET', KEYS[1], '1') return redis.call('get', KEYS[1])", '1', 'x'],
        ['EVAL_RO', "return redis.pcall('lpush', KEYS[1], '1')", '1', 'x'],
        ['EVAL', "return redis.pcall('lpush', KEYS[1], '1')", '1', 'x'],
        [
          'EVAL',
          "redis.pcall('nosuch') redis.pcall('config', 'get', 'port') redis.call('select', '3') redis.call('get', 'q')",
          '0',
        ],
        'EVAL syntax error',
        ['EVAL', 'return 1', '1'],
        ['EVALSHA', '0'.repeat(40), '1', 'x'],
        [
          'FUNCTION',
          'LOAD',
          'REPLACE',
          "#!lua name=l\nredis.register_function('f', function(k) return redis.call('get', k[1]) end)",
        ],
        'FCALL f 1 x',
        'FCALL_RO f 1 x',
        'FCALL nosuch 0',
        'MULTI',
        'SET t 1',
        ['EVAL', "return redis.call('incr', 't')", '0'],
        'LPUSH t 1',
        'EXEC',
        'FUNCTION FLUSH',
      ],
      { mask },
    ))

  it('shows no secret', () =>
    beside.session(
      [
        'm> MONITOR',
        'AUTH wrong',
        'AUTH default wrong',
        'ACL SETUSER bob on >x ~* +@all',
        'AUTH bob x',
        'AUTH bob y',
        'HELLO 2 AUTH bob x SETNAME me',
        'MIGRATE 127.0.0.1 1 nokey 0 10 AUTH pw',
        'MIGRATE 127.0.0.1 1 nokey 0 10 AUTH2 bob pw',
        'AUTH default x',
        'ACL DELUSER bob',
      ],
      { mask: [...mask, [/\*14\r\n\$6\r\nserver.*$/s, '<hello>']] },
    ))

  it('shows a unix socket, and the primary whose stream it is', () => {
    const ours = new InProcess({}, undefined, new FakePrimary().dial)
    const monitor = ours.connect()
    monitor.call('MONITOR')
    ours.connect('/tmp/rookery.sock:0').call('GET', 'x')
    assert.match(monitor.taken().toString(), /^\+[\d.]+ \[0 unix:\/tmp\/rookery.sock\] "GET" "x"\r\n$/)
    ours.server.replication.follow({ host: '10.0.0.1', port: 7001 })
    ours.server.apply(argvOf(['SET', 'k', 'v']), 3)
    ours.settle()
    assert.match(monitor.taken().toString(), /^\+[\d.]+ \[3 10.0.0.1:7001\] "SET" "k" "v"\r\n$/)
  })

  it('is answered once', () => beside.session(['m> MONITOR', 'm> PING', 'm> RESET', 'm> PING', 'SET a 1'], { mask }))
})

describeBeside('SLOWLOG', () => {
  let beside: Beside
  const conf = { 'slowlog-log-slower-than': '0', 'slowlog-max-len': '5' }
  before(async () => {
    beside = await Beside.start(conf)
  })
  after(stopEverything)

  const mask = [
    [/\*6\r\n:\d+\r\n:\d+\r\n:\d+/g, '*6 <id> <time> <duration>'],
    [/\$\d+\r\n127\.0\.0\.1:\d+/g, '<address>'],
  ] as const

  it('keeps what took too long, newest first, shortened', () =>
    beside.session(
      [
        'SLOWLOG RESET',
        'CLIENT SETNAME me',
        ['SET', 'long', 'x'.repeat(200)],
        ['DEL', ...Array.from({ length: 40 }, (_, i) => `key${i}`)],
        'SLOWLOG GET 2',
        'SLOWLOG LEN',
        'PING',
        'PING',
        'SLOWLOG LEN',
        'SLOWLOG GET 0',
        'SLOWLOG GET -1',
        'MULTI',
        'PING',
        'EXEC',
        'SLOWLOG GET',
      ],
      { conf, mask },
    ))

  it('refuses what it does not understand in the same words', () =>
    beside.session(
      ['SLOWLOG GET x', 'SLOWLOG GET -2', 'SLOWLOG LEN x', 'SLOWLOG FOO', 'SLOWLOG GET 1 2', 'SLOWLOG', 'SLOWLOG HELP'],
      {
        conf,
        mask,
      },
    ))
})

describeBeside('LOLWUT', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  it('draws what a real server draws, where chance has no part in it', () =>
    beside.session(
      ['10 2 2', '66 8 2', '20 3 1', '0 3 1', '30 5 2', 'x', '1 -5 1'].map((words) => `LOLWUT VERSION 5 ${words}`),
      {
        mask: [
          [/\$\d+\r\n/, '$<length>\r\n'],
          [/(Rookery ver\. [^,]*, )?Redis ver\. [\d.]+/, '<version>'],
        ],
      },
    ))

  it('draws something else each time, and tells the version otherwise', () => {
    const one = new InProcess().connect()
    assert.notEqual(one.outcome('LOLWUT', 'VERSION', '5'), one.outcome('LOLWUT', 'VERSION', '5'))
    assert.match(one.outcome('LOLWUT'), /^Rookery ver\. [\d.]+, Redis ver\. [\d.]+\n$/)
  })
})

describeBeside('MEMORY, LATENCY and ACL', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  it('answer as a server that is small, quick and has one user', () =>
    beside.session([
      'MEMORY USAGE nokey',
      'MEMORY USAGE a SAMPLES',
      'MEMORY USAGE a SAMPLES x',
      'MEMORY USAGE a SAMPLES -1',
      'MEMORY USAGE a foo 1',
      'LATENCY LATEST',
      'LATENCY HISTORY foo',
      'LATENCY RESET',
      'LATENCY RESET foo',
      'LATENCY DOCTOR',
      'LATENCY GRAPH foo',
      'LATENCY FOO',
      'ACL WHOAMI',
      'ACL LIST',
      'ACL USERS',
      'ACL CAT',
      'ACL CAT foo',
      'ACL GETUSER default',
      'ACL GETUSER foo',
      'ACL GENPASS x',
      'ACL GENPASS 0',
      'ACL GENPASS 5000',
      'ACL GENPASS 5 5',
    ]))

  it('estimate the size of a key by its parts', () => {
    const one = new InProcess().connect()
    one.call('SET', 'k', 'x'.repeat(1000))
    one.call('SET', 'k2', 'x'.repeat(3000))
    const small = Number(one.call('MEMORY', 'USAGE', 'k'))
    assert.ok(small > 1000 && small < 1500, String(small))
    assert.ok(Number(one.call('MEMORY', 'USAGE', 'k2')) >= small + 2000)
  })

  it('show a password only as its hash', () => {
    const one = new InProcess({ requirepass: 'secret' }).connect()
    one.call('AUTH', 'secret')
    assert.deepEqual(one.call('ACL', 'LIST'), [
      'user default on #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b ~* &* +@all',
    ])
  })
})

describe('client-output-buffer-limit', () => {
  it('drops a subscriber that does not read, and says so', () => {
    const ours = new InProcess()
    ours.server.config.set([['client-output-buffer-limit', 'pubsub 1000 0 0']])
    const slow = ours.connect()
    slow.call('SUBSCRIBE', 'c')
    Object.assign(slow.client.wire, { buffered: 900 })
    const one = ours.connect()
    one.call('PUBLISH', 'c', 'm')
    assert.ok(!slow.closed)
    Object.assign(slow.client.wire, { buffered: 1000 })
    one.call('PUBLISH', 'c', 'm')
    assert.ok(slow.closed)
    assert.match(ours.log.join('\n'), /scheduled to be closed ASAP for overcoming of output buffer limits/)
  })

  it('drops a client that is above the soft limit for too long', () => {
    const ours = new InProcess()
    ours.server.config.set([['client-output-buffer-limit', 'normal 0 1000 10']])
    const slow = ours.connect()
    Object.assign(slow.client.wire, { buffered: 2000 })
    const pass = (seconds: number): void => {
      ours.server.now = (ours.server.now + seconds * 1000) as typeof ours.server.now
      enforceLimits(ours.server)
    }
    pass(0)
    pass(9)
    assert.ok(!slow.closed)
    Object.assign(slow.client.wire, { buffered: 0 })
    pass(1)
    Object.assign(slow.client.wire, { buffered: 2000 })
    pass(9)
    assert.ok(!slow.closed, 'it was below in between')
    pass(11)
    assert.ok(slow.closed)
  })
})

describe('REPLCONF', () => {
  it('takes the version that replicas of Valkey say, alone or among others, and no word that nobody says', () => {
    const one = new InProcess().connect()
    assert.equal(one.call('REPLCONF', 'VERSION', '9.1.2'), 'OK')
    assert.equal(one.call('REPLCONF', 'capa', 'eof', 'version', '9.1.2', 'capa', 'psync2'), 'OK')
    assert.equal(one.outcome('REPLCONF', 'versions', '9.1.2'), 'ERR Unrecognized REPLCONF option: versions')
  })
})
