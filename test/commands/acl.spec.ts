/** Access control: rules and what they print as, what is refused and in which words, the log, files; beside a redis-server. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { Beside, type Step } from '../support/beside-redis.ts'
import { connect, outcome } from '../support/client.ts'
import { InProcess } from '../support/inprocess.ts'
import { prepareServer, startServer, stopEverything } from '../support/process.ts'
import { encode } from '../support/resp.ts'
import { describeBeside } from '../support/tools.ts'

const MASK = [
  [/\$6\r\n7\.0\.15|\$5\r\n7\.2\.4/g, '<version>'],
  [/(\$2\r\nid\r\n):\d+/g, '$1:<id>'],
  [/\$\d+\r\nid=\d+ addr[^\r]*/g, '<client>'],
  [/(age-seconds\r\n)(\$\d+\r\n[\d.e-]+|,[\d.e-]+)/g, '$1<age>'],
] as const

const setUser = (...rules: string[]): Step => ['ACL', 'SETUSER', 'u', ...rules]
const LOOK: readonly Step[] = ['ACL LIST', 'ACL GETUSER u', 'ACL USERS']

/** Rules that redis-server 7.0 prints as they were given. */
const RULES: readonly (readonly string[])[] = [
  [],
  ['on', 'nopass'],
  ['on', '>secret', '>other', '>secret', '<other'],
  [`#${'a'.repeat(64)}`, `!${'a'.repeat(64)}`],
  ['~a*', '~b', '%R~r*', '%W~w*', '%RW~rw', '%wr~wr', '%R~w*', '~a*'],
  ['allkeys', 'resetkeys', '~k', '&c', '&c', '&d?'],
  ['+@all', '-get'],
  ['+@all', '-@dangerous'],
  ['+config|get'],
  ['+config|get', '+config'],
  ['+@read', '+set'],
  ['+select|0', '+select|1'],
  ['+GET', 'ALLKEYS', 'AllChannels', 'ON'],
  ['allcommands', 'nocommands', '+ping'],
  ['(+get ~a)', '(+set allkeys &c)', '()'],
  ['(+get', '~a', '&b)', '~c'],
  ['(+get ~a)', 'clearselectors'],
  ['skip-sanitize-payload'],
  ['+@all', '~*', '&*', 'on', 'nopass', 'reset'],
]

const BAD_RULES: readonly (readonly string[])[] = [
  ['+foo'],
  ['~a b'],
  ['foo'],
  ['<zz'],
  ['#zz'],
  ['!abc'],
  ['allkeys', '~x'],
  ['allchannels', '&x'],
  ['+config|get|x'],
  ['+@foo'],
  ['%~x'],
  ['%Q~x'],
  ['%RR~x'],
  ['+debug|'],
  ['(', '+get'],
  ['on', '(+get', '~x'],
  ['(+foo)'],
  ['+config|nope'],
  ['-config|nope'],
  ['-select|0'],
  ['%R'],
  ['~'],
  ['&'],
  [''],
]

describeBeside('ACL', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  beforeEach(() => beside.redis && outcome(beside.redis.port, 'ACL', 'DELUSER', 'u', 'v', 'w'))
  after(stopEverything)

  for (const protocol of ['2', '3']) {
    for (const rules of RULES)
      it(`keeps and prints rules like redis-server: ${rules.join(' ') || 'none'} (RESP${protocol})`, () =>
        beside.session([`HELLO ${protocol}`, setUser(...rules), ...LOOK, 'ACL DELUSER u nope u', 'ACL GETUSER u'], {
          mask: MASK,
        }))

    it(`refuses rules in the same words, and changes nothing (RESP${protocol})`, () =>
      beside.session([`HELLO ${protocol}`, ...BAD_RULES.map((rules) => setUser('+get', ...rules)), ...LOOK], {
        mask: MASK,
      }))

    it(`logs what was refused, once for each kind (RESP${protocol})`, () =>
      beside.session(
        [
          `HELLO ${protocol}`,
          'ACL LOG RESET',
          setUser('on', '>p', '+get', '+multi', '+publish', '~a', '&c'),
          'AUTH u wrong',
          'AUTH nobody p',
          'AUTH u wrong',
          'b> AUTH u p',
          'b> SET a 1',
          'b> GET b',
          'b> SET a 1',
          'b> PUBLISH d m',
          'b> MULTI',
          'b> GET b',
          'ACL LOG',
          'ACL LOG 2',
          'ACL LOG -1',
          'ACL LOG x',
          'ACL LOG 1 2',
          'CONFIG SET acllog-max-len 1',
          'b> GET c',
          'ACL LOG',
          'CONFIG SET acllog-max-len 128',
          'ACL LOG RESET',
          'ACL LOG',
        ],
        { mask: MASK },
      ))
  }

  it('refuses commands, keys and channels in the same words', () =>
    beside.session([
      setUser('on', 'nopass', '+@all', '-@admin', '-del', '-config|set', '~a*', '%R~r*', '%W~w*', '&c*', '&x?'),
      'b> AUTH u whatever',
      'b> ACL WHOAMI',
      ...[
        'GET a1',
        'GET r1',
        'GET w1',
        'SET w1 x',
        'SET r1 x',
        'SET w1 x GET',
        'GETSET w1 x',
        'MGET a1 r1 w1',
        'MSET a1 1 b1 2',
        'EXISTS w1',
        'EXISTS zz',
        'COPY r1 w1',
        'COPY w1 r1',
        'RENAME a1 w1',
        'SINTERSTORE w1 r1 r2',
        'SINTERSTORE r1 r1 r2',
        'SORT a1 STORE w1',
        'SORT w1',
        'ZUNIONSTORE w1 2 r1 a1',
        'ZUNIONSTORE w1 2 r1 w1',
        'LMPOP 2 a1 b1 LEFT',
        'XREAD STREAMS a1 b1 0 0',
        'OBJECT ENCODING w1',
        'MEMORY USAGE b1',
        'DEL a1',
        'CONFIG SET maxmemory 0',
        'CONFIG GET port',
        'CLIENT LIST',
        'DEBUG SLEEP 0',
        'KEYS *',
        'PUBLISH c1 m',
        'PUBLISH d1 m',
        'SPUBLISH d1 m',
        'PSUBSCRIBE c1',
        'PSUBSCRIBE c*x',
        'SUBSCRIBE c1 d1',
        'SSUBSCRIBE d1',
        'SUBSCRIBE xy',
        'UNSUBSCRIBE d1',
        'UNSUBSCRIBE',
        'PUBSUB CHANNELS',
        'PSUBSCRIBE c*',
      ].map((words) => `b> ${words}`),
    ]))

  it('lets a request pass that one of several selectors allows as a whole', () =>
    beside.session([
      setUser('on', 'nopass', '+get', '~a', '(+set ~b)', '(+mget %R~c ~d)'),
      'b> AUTH u x',
      ...['GET a', 'GET b', 'SET b 1', 'SET a 1', 'MGET c d', 'MGET a c', 'DEL a'].map((words) => `b> ${words}`),
      ...['GET a', 'GET b', 'SET a 1', 'MGET a c', 'DEL a', 'nope', 'GET', 'PUBLISH c m'].map(
        (words) => `ACL DRYRUN u ${words}`,
      ),
      'ACL DRYRUN nobody GET a',
      'ACL DRYRUN default GET a',
    ]))

  it('allows and denies what redis-server does, by any rules', () => {
    const rule = fc.constantFrom(
      ...[
        '+@all',
        '-@all',
        '+@read',
        '+@write',
        '-@write',
        '-@dangerous',
        '+@string',
        '+@pubsub',
        '-@keyspace',
        '+@fast',
      ],
      ...[
        '+get',
        '-get',
        '+set',
        '-set',
        '+config|get',
        '-config|get',
        '+config',
        '-config',
        '+select|0',
        '+client|id',
      ],
      ...['~a*', '~b', '%R~r*', '%W~w*', '%R~b', 'allkeys', 'resetkeys', '~[ar]1', '&c*', '&d', 'allchannels'],
      ...['resetchannels', 'reset', '(+get ~b)', '(+@all %R~r*)', '(+@write %W~w* ~a1)', 'clearselectors'],
    )
    const request = fc.constantFrom(
      ...['GET a1', 'GET b', 'GET r1', 'GET w1', 'SET a1 x', 'SET w1 x', 'SET w1 x GET', 'SET r1 x', 'MGET a1 b r1'],
      ...['MSET a1 1 w1 1', 'DEL w1', 'COPY r1 w1', 'SINTERSTORE w1 r1 r2', 'ZUNIONSTORE a1 2 r1 w1', 'EXISTS w1'],
      ...['CONFIG GET x', 'CONFIG SET x y', 'CLIENT ID', 'CLIENT LIST', 'SELECT 0', 'SELECT 1', 'KEYS *', 'FLUSHALL'],
      ...['PUBLISH c1 m', 'SPUBLISH d m', 'SUBSCRIBE c1 d', 'PSUBSCRIBE c*', 'PSUBSCRIBE c1', 'PING', 'AUTH x'],
      ...['XREAD STREAMS a1 r1 0 0', 'LMPOP 2 a1 b LEFT', 'GETEX r1', 'INCR w1', 'BITOP AND w1 r1', 'OBJECT FREQ a1'],
    )
    return fc.assert(
      fc.asyncProperty(fc.array(rule, { maxLength: 8 }), fc.array(request, { maxLength: 12 }), (rules, requests) =>
        beside.session([
          setUser('reset', 'on'),
          ...rules.map((one) => setUser(one)),
          ...requests.map((words) => `ACL DRYRUN u ${words}`),
        ]),
      ),
      { numRuns: 150 },
    )
  })

  it('lets SORT look at other keys only where all may be read', () =>
    beside.session([
      'RPUSH l 2 1',
      setUser('on', 'nopass', '+sort', '~l'),
      'b> AUTH u x',
      ...['SORT l', 'SORT l BY w*', 'SORT l BY nosort', 'SORT l GET #', 'SORT l GET v*'].map((words) => `b> ${words}`),
      setUser('%R~*'),
      'b> SORT l BY w* GET v*',
      setUser('resetkeys', '~l', '(+sort ~*)'),
      'b> SORT l BY w*',
      setUser('clearselectors', '(+get ~*)'),
      'b> SORT l BY w*',
    ]))

  it('allows a first argument of what is otherwise forbidden', () =>
    beside.session([
      setUser('on', 'nopass', '+select|0', '+debug|sleep'),
      'b> AUTH u x',
      'b> SELECT 0',
      'b> SELECT 1',
      'b> DEBUG SLEEP 0',
      'b> DEBUG JMAP',
      'b> PING',
    ]))

  it('checks a transaction again when it is carried out', () =>
    beside.session([
      setUser('on', 'nopass', '+@all', '~*', '&*'),
      'b> AUTH u x',
      'b> MULTI',
      'b> GET a',
      'b> SET a 1',
      'b> PUBLISH c m',
      'b> PING',
      setUser('-get', 'resetkeys', 'resetchannels', '-ping'),
      'b> EXEC',
      setUser('-exec', '-multi'),
      'b> MULTI',
    ]))

  it('keeps command rules as they were given, without those that later ones made void', () => {
    const one = new InProcess().connect()
    const rulesAfter = (...rules: string[]): string => {
      one.call('ACL', 'SETUSER', 'u', 'reset', ...rules)
      return (one.call('ACL', 'GETUSER', 'u') as readonly string[])[5]!
    }
    assert.equal(rulesAfter('+@read', '-get', '+config|get', '+get'), '-@all +@read +config|get +get')
    assert.equal(rulesAfter('+config|get', '-config|set', '+config'), '-@all +config')
  })

  it('cuts off who listens where it must no longer, and the clients of a deleted user', () => {
    const ours = new InProcess()
    const admin = ours.connect()
    admin.raw(encode(['ACL', 'SETUSER', 'u', 'on', 'nopass', '+@all', '&c*', '&d']))
    const [inChannel, inPattern, elsewhere] = ['SUBSCRIBE c1', 'PSUBSCRIBE c*', 'SUBSCRIBE d'].map((words) => {
      const client = ours.connect()
      client.call('AUTH', 'u', 'x')
      client.raw(encode(words.split(' ')))
      return client
    })
    admin.call('ACL', 'SETUSER', 'u', '+get')
    assert.ok(!inChannel!.closed && !inPattern!.closed)
    admin.call('ACL', 'SETUSER', 'u', 'resetchannels', '&d')
    assert.ok(inChannel!.closed && inPattern!.closed && !elsewhere!.closed)
    admin.call('ACL', 'DELUSER', 'u')
    assert.ok(elsewhere!.closed)
  })

  it('makes requirepass the password of the default user', () =>
    beside.session(
      [
        'CONFIG SET requirepass foo',
        'b> PING',
        'b> HELLO 3',
        'b> AUTH x',
        'b> AUTH foo',
        'b> PING',
        'ACL GETUSER default',
        ['CONFIG', 'SET', 'requirepass', ''],
        'c> PING',
        'ACL LIST',
        'ACL SETUSER default off',
        'd> PING',
        'd> AUTH default x',
        'c> PING',
        'ACL SETUSER default on',
        'd> PING',
        'ACL DELUSER default',
      ],
      { mask: MASK },
    ))

  it('logs in with HELLO, and out with RESET', () =>
    beside.session(
      [
        setUser('on', '>p', '+@all', '~*'),
        'HELLO 3 AUTH u nope',
        'HELLO 3 AUTH u p SETNAME me',
        'ACL WHOAMI',
        'AUTH u p',
        'AUTH a b c',
        'AUTH p',
        'RESET',
        'ACL WHOAMI',
        'CLIENT KILL USER nobody',
      ],
      { mask: MASK },
    ))

  it('follows acl-pubsub-default', () =>
    beside.session([
      'CONFIG SET acl-pubsub-default allchannels',
      setUser('on'),
      'ACL LIST',
      setUser('reset'),
      'ACL LIST',
      'CONFIG SET acl-pubsub-default resetchannels',
      setUser('reset'),
      'ACL LIST',
    ]))

  it('refuses what it does not understand in the same words', () =>
    beside.session([
      'ACL',
      'ACL FOO',
      'ACL SETUSER',
      ['ACL', 'SETUSER', 'a b'],
      'ACL DRYRUN u',
      'ACL CAT nope',
      'ACL CAT a b',
      'ACL GENPASS 0',
      'ACL GENPASS 4097',
      'ACL GENPASS x',
      'ACL GENPASS 1 2',
      'ACL SAVE',
      'ACL LOAD',
      'ACL HELP',
      'ACL CAT',
    ]))

  it('loads and saves a file of users, or changes nothing and says what is wrong with it', async () => {
    for (const kind of ['redis', 'rookery'] as const) {
      const path = join(mkdtempSync(join(tmpdir(), 'rookery-acl-')), 'users.acl')
      writeFileSync(path, 'user alice on nopass +@all ~a*\nuser default on nopass ~* &* +@all\n')
      const server = await startServer({ kind, conf: { aclfile: path } })
      const client = await connect(server.port)
      assert.match(await client.text('ACL', 'LIST'), /^user alice on nopass ~a\* resetchannels \+@all,user default/)
      await client.call('ACL', 'SETUSER', 'bob', '+get', '(+set ~x)')
      await client.call('ACL', 'SAVE')
      assert.match(
        readFileSync(path, 'utf8'),
        /^user bob off resetchannels -@all \+get \(~x resetchannels -@all \+set\)$/m,
      )
      writeFileSync(path, 'user alice foo\nnonsense\nuser bob (+get\nuser carol +nope\n')
      const refusal = (await client.outcome('ACL', 'LOAD')).replaceAll(path, 'FILE')
      assert.equal(
        refusal,
        "ERR FILE:1: Syntax error. FILE:2 should start with user keyword followed by the username. FILE:3: Unmatched parenthesis in selector definition.FILE:4: Error in applying operation '+nope': Unknown command or category name in ACL. WARNING: ACL errors detected, no change to the previously active ACL rules was performed",
        kind,
      )
      assert.match(await client.text('ACL', 'USERS'), /^alice,bob,default$/)
      writeFileSync(path, 'user default on nopass ~* &* +@all\nuser carol on\n')
      const alice = await connect(server.port)
      await alice.call('AUTH', 'alice', 'x')
      await client.call('ACL', 'LOAD')
      await alice.untilClosed()
      assert.match(await client.text('ACL', 'USERS'), /^carol,default$/)
      rmSync(dirname(path), { recursive: true })
    }
  })

  it('does not start with users that cannot be, and says why', async () => {
    for (const conf of [{ user: ['bob on +nope'] }, { aclfile: '/nowhere/users.acl' }]) {
      const [theirs, ours] = await Promise.all(
        (['redis', 'rookery'] as const).map(async (kind) => {
          const server = await prepareServer({ kind, conf })
          server.launch()
          assert.equal(await server.exited(), 1, kind)
          return [...server.log.matchAll(/# (.*ACL.*)$/gm)].map(([, text]) => text)
        }),
      )
      assert.ok(ours!.length > 0)
      assert.deepEqual(ours, theirs)
    }
  })

  it('takes users from the configuration file, and writes them there', async () => {
    for (const kind of ['redis', 'rookery'] as const) {
      const server = await startServer({
        kind,
        conf: { user: ['alice on >p ~a* +get', 'bob on nopass +@all (+get ~b)'] },
      })
      const client = await connect(server.port)
      await client.call('AUTH', 'alice', 'p')
      await client.call('AUTH', 'bob', 'x')
      await client.call('ACL', 'SETUSER', 'alice', '-get', '+set')
      await client.call('CONFIG', 'REWRITE')
      const text = readFileSync(join(server.dir, 'redis.conf'), 'utf8')
      assert.match(text, /^user alice on #[0-9a-f]{64} ~a\* resetchannels -@all.* \+set/m)
      assert.match(text, /^user bob on nopass resetchannels \+@all \(~b resetchannels -@all \+get\)$/m)
      assert.match(text, /^user default on nopass ~\* &\* \+@all$/m)
    }
  })
})
