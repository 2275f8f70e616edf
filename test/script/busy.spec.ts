/** Scripts that take too long: they are put aside, the others are told, and somebody may end them. */
import assert from 'node:assert/strict'
import { slotOf } from '../../lib/base/slot.ts'
import { SlotPurge } from '../../lib/purge.ts'
import { argvOf } from '../../lib/resp/argv.ts'
import { writeRdb } from '../../store/rdb/writer.ts'
import { FakePrimary, PRIMARY_ID, requests, WELCOME } from '../replication/parts.ts'
import { InProcess, type Wired } from '../support/inprocess.ts'
import { encode } from '../support/resp.ts'

const FOR_EVER = 'while true do end'
const BUSY_EVAL = 'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.'
const BUSY_FUNCTION = 'BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.'
const KILLED = 'Script killed by user with SCRIPT KILL...'

/** A server with a client to run scripts, and another. */
function start(conf: Readonly<Record<string, string>> = {}): { inner: InProcess; runner: Wired; other: Wired } {
  const inner = new InProcess({ 'busy-reply-threshold': '20', ...conf })
  return { inner, runner: inner.connect(), other: inner.connect() }
}

/** Sends a script that is put aside. */
function run(client: Wired, script: string): void {
  assert.equal(client.raw(encode(['EVAL', script, 0])).length, 0)
}

/** Lets the script go on until it has answered. */
function finish({ inner, runner }: ReturnType<typeof start>): string {
  for (let turns = 0; turns < 2000; turns++) {
    inner.server.endTurn()
    const answer = runner.taken()
    if (answer.length > 0) return answer.toString('latin1')
  }
  throw new Error('the script does not end')
}

describe('a script that takes too long', function () {
  this.timeout(30_000)

  it('is reported to others, who may kill it', () => {
    const { runner, other } = start()
    run(runner, FOR_EVER)
    assert.equal(other.outcome('GET', 'x'), BUSY_EVAL)
    assert.equal(other.outcome('FUNCTION', 'KILL'), BUSY_EVAL)
    assert.equal(other.outcome('MULTI'), 'OK')
    assert.equal(other.outcome('DISCARD'), 'OK')
    assert.equal(other.outcome('SHUTDOWN'), BUSY_EVAL)
    assert.equal(other.outcome('SCRIPT', 'KILL'), 'OK')
    assert.match(
      runner.taken().toString(),
      new RegExp(`^-ERR ${KILLED} script: [0-9a-f]{40}, on @user_script:1\\.\r\n$`),
    )
    assert.equal(other.outcome('GET', 'x'), 'null')
    assert.match(other.outcome('SCRIPT', 'KILL'), /^NOTBUSY/)
  })

  const loops: Readonly<Record<string, string>> = {
    'within pcall': 'while true do pcall(function() while true do end end) end',
    'within pcall within pcall': 'pcall(pcall, pcall) pcall(function() pcall(function() while true do end end) end)',
    'within xpcall': 'xpcall(function() while true do end end, function(e) return e end)',
    'within a coroutine': 'coroutine.wrap(function() while true do end end)()',
    'over a coroutine':
      'local f = coroutine.wrap(function() while true do coroutine.yield() end end) while true do f() end',
    'within a reader': 'load(function() while true do end end)',
    'over commands': "while true do redis.call('get', 'x') end",
    'over failing commands': "while true do redis.pcall('nosuch') end",
  }
  for (const [where, script] of Object.entries(loops))
    it(`can be killed ${where}`, () => {
      const { runner, other } = start()
      run(runner, script)
      assert.equal(other.outcome('PING'), BUSY_EVAL)
      assert.equal(other.outcome('SCRIPT', 'KILL'), 'OK')
      assert.match(runner.taken().toString(), new RegExp(`^-ERR ${KILLED}`))
      assert.equal(runner.outcome('EVAL', 'return 7', 0), '7')
    })

  const stuck: Readonly<Record<string, string>> = {
    'a metamethod': 'return setmetatable({}, { __index = function() while true do end end }).x',
    'an iterator': 'for i in function() while true do end end do end',
    'a comparison': 'table.sort({ 3, 2, 1 }, function() pcall(function() while true do end end) end)',
    'a replacement': "string.gsub('x', 'x', function() while true do end end)",
  }
  for (const [where, script] of Object.entries(stuck))
    it(`is ended by the node where Lua cannot be left: ${where}`, () => {
      const { runner, other } = start()
      assert.match(runner.outcome('EVAL', script, 0), /^ERR Script killed: it ran for too long/)
      assert.equal(other.outcome('PING'), 'PONG')
    })

  it('cannot be killed once it has written, and ends by itself with all it has to do', () => {
    const parts = start()
    const { runner, other } = parts
    run(runner, "redis.call('set', 'a', 1) for i = 1, 2e7 do end redis.call('set', 'a', 2) return 'done'")
    assert.match(other.outcome('SCRIPT', 'KILL'), /^UNKILLABLE Sorry the script already executed write commands/)
    assert.equal(finish(parts), '$4\r\ndone\r\n')
    assert.equal(other.outcome('GET', 'a'), '2')
  })

  it('keeps what values it had', () => {
    const parts = start()
    run(
      parts.runner,
      'local t, s = {}, 0 for i = 1, 2e5 do local ok, v = pcall(function(x) return x * 2 end, i) t[i % 100] = v s = s + v end return s',
    )
    assert.equal(finish(parts), `:${2e5 * (2e5 + 1)}\r\n`)
  })

  it('replicates what it does as one transaction, with nothing of others in it', () => {
    const parts = start()
    const { inner, runner, other } = parts
    const { stream } = inner.server.replication
    stream.open('a'.repeat(40))
    other.call('SET', 'x', '0')
    const from = stream.offset + 1
    run(runner, "redis.call('set', 'x', 1) for i = 1, 2e7 do end redis.call('set', 'x', 2)")
    assert.equal(stream.offset + 1, from)
    assert.equal(other.outcome('SET', 'x', 'other'), BUSY_EVAL)
    finish(parts)
    const words = Buffer.concat(stream.readFrom(from)).toString('latin1')
    assert.match(words, /^\*1\r\n\$5\r\nMULTI\r\n.*\$1\r\n1\r\n.*\$1\r\n2\r\n\*1\r\n\$4\r\nEXEC\r\n$/s)
  })

  it('holds up the transaction it is part of, which goes on afterwards', () => {
    const { runner, other } = start()
    runner.call('MULTI')
    runner.call('SET', 'k', '1')
    runner.call('EVAL', FOR_EVER, 0)
    runner.call('SET', 'k', '2')
    runner.raw(encode(['EXEC']))
    assert.equal(other.outcome('GET', 'k'), BUSY_EVAL)
    assert.equal(other.outcome('SCRIPT', 'KILL'), 'OK')
    assert.match(runner.taken().toString(), /-ERR Script killed.*\+OK\r\n$/s)
    assert.equal(other.outcome('GET', 'k'), '2')
  })

  it('goes on without its client, and lets nobody else see it half done', () => {
    const { inner, runner, other } = start()
    run(runner, FOR_EVER)
    inner.server.disconnect(runner.client)
    assert.equal(other.outcome('GET', 'x'), BUSY_EVAL)
    assert.equal(other.outcome('SCRIPT', 'KILL'), 'OK')
    assert.equal(other.outcome('GET', 'x'), 'null')
  })

  it('is known to FUNCTION STATS, and a function only to FUNCTION KILL', () => {
    const { runner, other } = start()
    other.call('FUNCTION', 'LOAD', `#!lua name=l\nredis.register_function('f', function() ${FOR_EVER} end)`)
    assert.equal(runner.raw(encode(['FCALL', 'f', 0])).length, 0)
    assert.equal(other.outcome('SCRIPT', 'KILL'), BUSY_FUNCTION)
    assert.match(other.outcome('FUNCTION', 'STATS'), /name,f,command,FCALL,f,0,duration_ms,\d+/)
    assert.equal(other.outcome('FUNCTION', 'KILL'), 'OK')
    assert.match(
      runner.taken().toString(),
      new RegExp(`${KILLED.replaceAll('.', '\\.')} script: f, on @user_function:2\\.`),
    )
  })

  it('lets nobody be served in the middle with what it pushes', () => {
    const parts = start()
    const { runner, other } = parts
    other.raw(encode(['BLPOP', 'l', 0]))
    run(runner, "redis.call('rpush', 'l', 'x') for i = 1, 2e7 do end return redis.call('llen', 'l')")
    assert.equal(finish(parts), ':1\r\n')
    parts.inner.settle()
    assert.match(other.taken().toString(), /x\r\n$/)
  })

  it('loses no key to eviction before its end', () => {
    const parts = start({ 'maxmemory-policy': 'allkeys-lru' })
    const { inner, runner, other } = parts
    for (let i = 0; i < 100; i++) other.call('SET', `k${i}`, 'x'.repeat(1000))
    run(runner, "for i = 1, 2e7 do end return redis.call('dbsize')")
    inner.server.config.set([['maxmemory', '1000']])
    assert.equal(other.outcome('GET', 'k0'), BUSY_EVAL)
    assert.equal(finish(parts), ':100\r\n')
    other.outcome('GET', 'k0')
    assert.notEqual(other.outcome('DBSIZE'), '100')
  })

  it('may end what it has begun, whatever has become of the node meanwhile', () => {
    const parts = start()
    const { inner, runner, other } = parts
    run(runner, "redis.call('set', 'a', 1) for i = 1, 2e7 do end return redis.call('set', 'b', 1)")
    inner.server.config.set([['min-replicas-to-write', '1']])
    assert.equal(finish(parts), '+OK\r\n')
    assert.match(other.outcome('SET', 'c', '1'), /^NOREPLICAS/)
  })

  it('finds the keys of a slot that was lost until its end', () => {
    const parts = start()
    const { inner, runner, other } = parts
    const purge = new SlotPurge(inner.server)
    other.call('SET', 'k', 'v')
    run(runner, "for i = 1, 2e7 do end return redis.call('get', 'k')")
    purge.add([slotOf(Buffer.from('k'))])
    purge.slice()
    assert.equal(finish(parts), '$1\r\nv\r\n')
    purge.slice()
    assert.equal(other.outcome('GET', 'k'), 'null')
  })

  it('finds the data of its beginning until its end, although a primary has sent others and more', () => {
    const primary = new FakePrimary()
    const inner = new InProcess({ 'busy-reply-threshold': '20' }, undefined, primary.dial)
    const parts = { inner, runner: inner.connect(), other: inner.connect() }
    parts.other.call('SET', 'k', 'old')
    inner.server.replication.follow({ host: '10.0.0.1', port: 7001 })
    primary.accept()
    run(parts.runner, "for i = 1, 2e7 do end return redis.call('get', 'k')")
    const rdb = Buffer.concat([...writeRdb([], { aux: [], compress: false })])
    primary.say(`${WELCOME}+FULLRESYNC ${PRIMARY_ID} 100\r\n$${rdb.length}\r\n`)
    primary.say(Buffer.concat([rdb, requests('SELECT 0', 'SET k new')]))
    assert.equal(finish(parts), '$3\r\nold\r\n')
    inner.settle()
    assert.equal(parts.other.outcome('GET', 'k'), 'new')
  })

  it('of our primary is carried out to its end before what comes after it', () => {
    const primary = new FakePrimary()
    const inner = new InProcess({ 'busy-reply-threshold': '1' }, undefined, primary.dial)
    inner.server.replication.follow({ host: '10.0.0.1', port: 7001 })
    inner.server.apply(argvOf(['EVAL', "for i = 1, 2e6 do end redis.call('set', 'k', 1)", '0']), 0)
    inner.server.apply(argvOf(['INCR', 'k']), 0)
    assert.equal(inner.connect().outcome('GET', 'k'), '2')
  })

  it('is tracked for its client all the while', () => {
    const parts = start()
    const { runner, other } = parts
    runner.call('HELLO', '3')
    runner.call('CLIENT', 'TRACKING', 'on')
    assert.equal(
      runner.raw(encode(['EVAL', "for i = 1, 2e7 do end return redis.call('get', KEYS[1])", 1, 'k'])).length,
      0,
    )
    assert.equal(finish(parts), '_\r\n')
    other.call('SET', 'k', '1')
    assert.match(runner.taken().toString(), /invalidate/)
  })

  it('may be ended with the whole server by SHUTDOWN NOSAVE', () => {
    const { inner, runner, other } = start()
    run(runner, "redis.call('set', 'x', 1) while true do end")
    other.raw(encode(['SHUTDOWN', 'NOSAVE']))
    assert.ok(inner.stopped)
  })

  it('finds the time and the keys that were there when it began', () => {
    const parts = start()
    const { runner, other } = parts
    other.call('SET', 'k', 'v', 'PX', 40)
    run(runner, "for i = 1, 3e7 do end return redis.call('get', 'k')")
    assert.equal(finish(parts), '$1\r\nv\r\n')
    assert.equal(other.outcome('GET', 'k'), 'null')
  })
})
