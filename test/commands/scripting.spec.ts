/** EVAL, FCALL and their kin beside a redis-server: the same replies, the same effects. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { SCRIPTS } from '../script/corpus.ts'
import { Differential, type Request } from '../support/differential.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const KEYS_AND_ARGUMENTS = [2, 'k{1}', 'l{1}', 'a\0b', '12']

const load = (name: string, code: string): Request => ['FUNCTION', 'LOAD', `#!lua name=${name}\n${code}`]

/** Libraries that are refused, and requests around those that are not. */
const FUNCTIONS: readonly Request[] = [
  ['FUNCTION', 'LOAD', 'x'],
  ['FUNCTION', 'LOAD', '#!lua'],
  ['FUNCTION', 'LOAD', '#!js name=y\nx'],
  ['FUNCTION', 'LOAD', '#!lua name=y-1\nx'],
  ['FUNCTION', 'LOAD', '#!lua name=y name=z\nx'],
  ['FUNCTION', 'LOAD', '#!lua name="y\nx'],
  ['FUNCTION', 'LOAD', 'REPLACE', 'x', 'y'],
  load('y', 'return 1'),
  load('y', 'return ('),
  load('y', 'x=1'),
  load('y', 'local t = string'),
  load('y', "redis.call('get','a')"),
  load('y', 'redis.x=1'),
  load('y', "redis.register_function('a-b', function() end)"),
  load('y', "redis.register_function{function_name='g', callback=function() end, flags={'zzz'}}"),
  load('y', "redis.register_function{function_name='g', callback=function() end, foo=1}"),
  load('y', "redis.register_function{function_name='g'}"),
  load('y', 'redis.register_function{callback=function() end}'),
  load('y', 'redis.register_function()'),
  load('y', "redis.register_function('a')"),
  load('y', 'redis.register_function(1,2)'),
  load('y', "redis.register_function('f', function(k,a) return {k[1],a[1],#k,#a} end)"),
  load('y', "redis.register_function('h', function() end)"),
  load('z', "redis.register_function('F', function() end)"),
  ['FCALL', 'f', 1, 'a\0', 'b'],
  ['fcall', 'F', 0],
  ['FCALL', 'f', 'x'],
  ['FCALL', 'f', -1],
  ['FCALL', 'f', 5],
  ['FCALL', 'nosuch', 0],
  ['FCALL_RO', 'f', 0],
  ['FUNCTION', 'LIST'],
  ['FUNCTION', 'LIST', 'LIBRARYNAME', 'Y*', 'WITHCODE'],
  ['FUNCTION', 'LIST', 'WITHCODE', 'WITHCODE'],
  ['FUNCTION', 'LIST', 'LIBRARYNAME'],
  ['FUNCTION', 'STATS'],
  ['FUNCTION', 'DELETE', 'zz'],
  load(
    'w',
    "redis.register_function{function_name='g', description='d', callback=function() return redis.call('set','a',1) end, flags={'no-writes'}}",
  ),
  ['FCALL', 'g', 0],
  ['FCALL_RO', 'g', 0],
  [
    'FUNCTION',
    'LOAD',
    'REPLACE',
    "#!lua name=y\nlocal n=0 redis.register_function('c', function() n=n+1 return n end)",
  ],
  ['FCALL', 'c', 0],
  ['FCALL', 'c', 0],
  ['FUNCTION', 'LOAD', 'REPLACE', "#!lua name=y\nredis.register_function('c', function() return KEYS end)"],
  ['FCALL', 'c', 0],
  [
    'FUNCTION',
    'LOAD',
    'REPLACE',
    "#!lua name=y\nlocal r=redis redis.register_function('c', function() return r.call('ping') end)",
  ],
  ['FCALL', 'c', 0],
  ['FUNCTION', 'LOAD', 'REPLACE', "#!lua name=y\nredis.register_function('c', function() error('x') end)"],
  ['FCALL', 'c', 0],
  ['FUNCTION', 'RESTORE', 'x'],
  ['FUNCTION', 'RESTORE', 'x', 'foo'],
  ['FUNCTION', 'RESTORE', 'x', 'append', 'y'],
  ['FUNCTION', 'DELETE', 'y'],
  ['FUNCTION', 'FLUSH', 'foo'],
  ['FUNCTION', 'FLUSH', 'ASYNC'],
  ['FUNCTION', 'KILL'],
  ['FUNCTION', 'FOO'],
  ['FUNCTION', 'HELP'],
]

/** Requests around the cache, and shebangs. */
const CACHE: readonly Request[] = [
  ['EVAL'],
  ['EVAL', 'return 1', 'a'],
  ['EVAL', 'return 1', -1],
  ['EVAL', 'return 1', 2, 'a'],
  ['EVALSHA', 'x', 0],
  ['EVALSHA', 'x', 'a'],
  ['EVALSHA', '0'.repeat(40), 0],
  ['EVALSHA', '0'.repeat(40), 'a'],
  ['EVALSHA', '0'.repeat(40), 5],
  ['EVAL', 'return (', 'a'],
  ['EVAL', 'return (', 5],
  ['SCRIPT', 'LOAD', 'return ('],
  ['SCRIPT', 'LOAD', 'return 7'],
  ['EVALSHA', 'ADD45A6E4FF5D7CE2CD2B8BE5B9B9E9F1D3A3C5F', 0],
  ['SCRIPT', 'EXISTS', '5f0ea5eaa0a28ef1c9d0ba8e0eed5b7e0f2e7f2e', 'x'],
  ['SCRIPT', 'FLUSH', 'foo'],
  ['SCRIPT', 'FLUSH', 'ASYNC', 'x'],
  ['SCRIPT', 'FLUSH', 'SYNC'],
  ['SCRIPT', 'KILL'],
  ['SCRIPT', 'FOO'],
  ['SCRIPT', 'HELP'],
  ...[
    '#!lua\nreturn 1',
    "#!lua flags=no-writes\nreturn redis.call('set','a',1)",
    '#!lua flags=foo\nreturn 1',
    '#!lua flags=no-writes,allow-stale foo=1\nreturn 1',
    '#!python\nreturn 1',
    '#!lua flags=\nreturn 1',
    '#!lua',
    '#!',
    "#!lua\n\nerror('x')",
    '#!lua flags=no-cluster\nreturn 1',
  ].flatMap((script): Request[] => [
    ['EVAL', script, 0],
    ['EVAL_RO', script, 0],
  ]),
]

describeBeside('scripting, beside a redis-server', function () {
  this.timeout(60_000)
  let both: Differential
  before(async () => {
    both = await Differential.start({ 'busy-reply-threshold': '0' })
  })
  after(stopEverything)

  for (const [about, scripts] of Object.entries(SCRIPTS))
    for (const protocol of [2, 3] as const)
      it(`answers scripts about ${about} alike in RESP${protocol}`, () =>
        both.compare(
          scripts.flatMap((script): Request[] => [
            ['EVAL', script, ...KEYS_AND_ARGUMENTS],
            ['EVAL_RO', script, 0],
          ]),
          protocol,
        ))

  it('loads, lists, calls and refuses functions alike', async () => {
    await both.compare(FUNCTIONS, 2)
    await both.compare(FUNCTIONS, 3)
  })

  it('keeps scripts and reads shebangs alike', () => both.compare(CACHE))

  it('takes any bytes as keys and arguments, and gives any bytes back', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 6 }), (values) =>
        both.compare([
          ['EVAL', 'return ARGV', 0, ...values.map((bytes) => Buffer.from(bytes))],
          [
            'EVAL',
            "for i,v in ipairs(ARGV) do redis.call('rpush','l',v) end return redis.call('lrange','l',0,-1)",
            0,
            ...values.map((bytes) => Buffer.from(bytes)),
          ],
          [
            'EVAL',
            'local t={} for i,v in ipairs(ARGV) do t[i]=cmsgpack.pack(v,#v) end return t',
            0,
            ...values.map((bytes) => Buffer.from(bytes)),
          ],
          ['EVAL', 'return cjson.encode(ARGV)', 0, ...values.map((bytes) => Buffer.from(bytes))],
        ]),
      ),
      { numRuns: 30 },
    ))

  it('writes and reads numbers alike', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 8 }), (numbers) => {
        const texts = numbers.map(String)
        return both.compare([
          [
            'EVAL',
            "local t={} for i,v in ipairs(ARGV) do redis.call('set','n',tonumber(v)) t[i]=redis.call('get','n') end return t",
            0,
            ...texts,
          ],
          ['EVAL', 'local t={} for i,v in ipairs(ARGV) do t[i]=tostring(tonumber(v)) end return t', 0, ...texts],
          [
            'EVAL',
            'local t={} for i,v in ipairs(ARGV) do local n=tonumber(v) if n-n==0 then t[#t+1]=cjson.encode(n) end end return t',
            0,
            ...texts,
          ],
          ['EVAL', 'local t={} for i,v in ipairs(ARGV) do t[i]=cmsgpack.pack(tonumber(v)) end return t', 0, ...texts],
          [
            'EVAL',
            "local t={} for i,v in ipairs(ARGV) do t[i]=struct.pack('>dfl',tonumber(v),tonumber(v),5) end return t",
            0,
            ...texts,
          ],
          ['EVAL', 'return {tonumber(ARGV[1]) % 1000}', 0, ...texts],
        ])
      }),
      { numRuns: 30 },
    ))

  it('replicates what a script did, as one transaction', async () => {
    const streams: readonly (readonly Request[])[] = [
      [['EVAL', "redis.call('set','a',1) redis.call('incr','a') return 1", 0]],
      [['EVAL', "redis.call('set','a',1)", 0]],
      [['EVAL', "return redis.call('get','a')", 0]],
      [['MULTI'], ['SET', 'x', '1'], ['EVAL', "redis.call('set','a',1) redis.call('set','b',2)", 0], ['EXEC']],
      [['EVAL', "redis.call('set','a','x') redis.call('incr','a')", 0]],
      [
        [
          'EVAL',
          "redis.set_repl(redis.REPL_NONE) redis.call('set','a',1) redis.set_repl(redis.REPL_ALL) redis.call('set','b',1)",
          0,
        ],
      ],
      [
        [
          'EVAL',
          "redis.call('select',3) redis.call('set','a','x') redis.call('select',0) redis.call('set','a','x')",
          0,
        ],
      ],
      [['EVAL', "for i=1,200 do redis.call('set','key'..i,string.rep('x',1000)) end", 0]],
      [
        load(
          'l',
          "redis.register_function('f',function(k,a) redis.call('set',k[1],a[1]) redis.call('sadd','s',1) end)",
        ),
        ['FCALL', 'f', 1, 'k', 'v'],
        ['FUNCTION', 'DELETE', 'l'],
        ['FUNCTION', 'FLUSH'],
      ],
      [
        ['SCRIPT', 'LOAD', 'return 1'],
        ['SCRIPT', 'FLUSH'],
      ],
    ]
    for (const requests of streams) await both.compareStreams(requests)
  })
})

describe('scripting', () => {
  it('compiles a script once, however it is called', () => {
    const inner = new InProcess()
    const client = inner.connect()
    const sha = String(client.call('SCRIPT', 'LOAD', 'return ARGV[1]'))
    assert.equal(client.outcome('EVAL', 'return ARGV[1]', 0, 'x'), 'x')
    assert.equal(client.outcome('EVALSHA', sha.toUpperCase(), 0, 'y'), 'y')
    assert.equal(inner.server.scripting.cache.count, 1)
  })

  it('serves clients that wait for a key only when the script is over', () => {
    const inner = new InProcess()
    const [waiting, client] = [inner.connect(), inner.connect()]
    waiting.raw(Buffer.from('*3\r\n$5\r\nBLPOP\r\n$1\r\nl\r\n$1\r\n0\r\n'))
    assert.equal(client.outcome('EVAL', "redis.call('lpush','l',1) return redis.call('llen','l')", 0), '1')
    assert.equal(waiting.taken().toString(), '*2\r\n$1\r\nl\r\n$1\r\n1\r\n')
  })

  it('restores what it has dumped', () => {
    const inner = new InProcess()
    const client = inner.connect()
    client.call('FUNCTION', 'LOAD', "#!lua name=a\nredis.register_function('f', function() return 'f' end)")
    const payload = String(client.call('FUNCTION', 'DUMP'))
    assert.equal(client.outcome('FUNCTION', 'RESTORE', payload), 'ERR Library a already exists')
    client.call('FUNCTION', 'FLUSH')
    client.call('FUNCTION', 'RESTORE', payload)
    assert.equal(client.outcome('FCALL', 'f', 0), 'f')
    client.call('FUNCTION', 'RESTORE', payload, 'REPLACE')
    client.call('FUNCTION', 'RESTORE', payload, 'FLUSH')
    assert.equal(client.outcome('FCALL', 'f', 0), 'f')
  })

  // redis-server 7.0.15 says so too, and then uses memory that it has given back.
  it('refuses a library that registers a name twice, whatever its case', () => {
    const client = new InProcess().connect()
    const twice = "#!lua name=a\nlocal function f() end redis.register_function('g', f) redis.register_function('G', f)"
    assert.equal(
      client.outcome('FUNCTION', 'LOAD', twice),
      'ERR Error registering functions: ERR Function already exists in the library',
    )
    assert.equal(client.outcome('FCALL', 'g', 0), 'ERR Function not found')
  })

  it('keeps functions through DEBUG RELOAD', () => {
    const inner = new InProcess({ 'enable-debug-command': 'yes' })
    const client = inner.connect()
    client.call('FUNCTION', 'LOAD', "#!lua name=a\nredis.register_function('f', function() return 'f' end)")
    client.call('DEBUG', 'RELOAD')
    assert.equal(client.outcome('FCALL', 'f', 0), 'f')
  })
})
