/** maxmemory: what is refused, what goes, what stays, and who is told. */
import assert from 'node:assert/strict'
import { keyFromText } from '../../lib/base/key.ts'
import { Beside } from '../support/beside-redis.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const KEYS = 400
const VALUE = 'v'.repeat(500)

/** A full server under a policy, some keys with deadlines, and how much memory it takes. */
function filled(policy: string, conf: Readonly<Record<string, string>> = {}): InProcess {
  const node = new InProcess({ 'maxmemory-policy': policy, 'maxmemory-samples': '64', ...conf })
  const client = node.connect()
  for (let i = 0; i < KEYS; i++) client.call('SET', `key:${i}`, VALUE)
  return node
}

/** Leaves room for so many keys fewer than there are. */
function shrinkBy(node: InProcess, keys: number): void {
  node.connect().call('CONFIG', 'SET', 'maxmemory', String(node.server.eviction.used - keys * 560))
}

/** How many of the keys of these numbers are still there. */
const left = (node: InProcess, from: number, to: number): number => {
  const client = node.connect()
  let count = 0
  for (let i = from; i < to; i++) count += Number(client.call('EXISTS', `key:${i}`))
  return count
}

const seconds = (node: InProcess, count: number): void => {
  node.server.keyspace.now = (node.server.keyspace.now + count * 1000) as typeof node.server.keyspace.now
}

describeBeside('maxmemory', () => {
  after(stopEverything)

  it('refuses what a real server refuses, in its words', async () => {
    const both = await Beside.start()
    await both.session([
      'SET a 1',
      'RPUSH l a b',
      'a> MULTI',
      'a> SET queued 1',
      'a> GET a',
      'b> CONFIG SET maxmemory 1',
      'a> EXEC',
      'GET a',
      'SET a 2',
      'SET b 2',
      'LPUSH l c',
      'LPOP l',
      'HSET h f v',
      'EXPIRE a 100',
      'PERSIST a',
      'SETRANGE a',
      'GETDEL nothing',
      'EVAL',
      'PING',
      'MULTI',
      'GET a',
      'EXEC',
      'MULTI',
      'DISCARD',
      'MULTI',
      'EXEC',
      'PUBLISH c m',
      'CONFIG SET maxmemory-policy allkeys-lru',
      'CONFIG SET maxmemory-policy volatile-ttl',
      'CONFIG SET maxmemory 0',
      'SET d 4',
      'CONFIG SET maxmemory 1',
      'SET d 5',
      'SET e 5 EX 100',
      'DEL d',
      'CONFIG SET maxmemory 0 maxmemory-policy noeviction',
    ])
  })

  it('tells of access as the policy counts it', async () => {
    const both = await Beside.start()
    await both.session([
      'SET a x',
      'OBJECT FREQ a',
      'OBJECT IDLETIME a',
      'OBJECT FREQ none',
      'CONFIG SET maxmemory-policy allkeys-lfu',
      'SET b x',
      'OBJECT FREQ b',
      'OBJECT IDLETIME b',
      'OBJECT IDLETIME none',
      'OBJECT FREQ none',
      'DUMP none',
      ['RESTORE', 'c', '0', Buffer.from('00c0010a00a7a5f3e8d65a6b5b', 'hex'), 'FREQ', '77'],
      'CONFIG SET maxmemory-policy noeviction',
      'OBJECT FREQ b',
    ])
  })

  for (const policy of ['volatile-lru', 'volatile-lfu', 'volatile-random', 'volatile-ttl'])
    it(`${policy} lets only keys with a deadline go`, () => {
      const node = filled(policy)
      const client = node.connect()
      for (let i = 0; i < 100; i++) client.call('PEXPIREAT', `key:${i}`, String(4e12 + i * 1e6))
      shrinkBy(node, 50)
      assert.ok(left(node, 0, 100) < 60)
      assert.equal(left(node, 100, KEYS), KEYS - 100)
      // When all of them are gone, memory is short for good.
      shrinkBy(node, 100)
      assert.equal(left(node, 0, 100), 0)
      assert.match(client.outcome('SET', 'more', VALUE), /^OOM command not allowed/)
    })

  it('volatile-ttl lets those go first whose time comes first', () => {
    const node = filled('volatile-ttl')
    const client = node.connect()
    for (let i = 0; i < KEYS; i++) client.call('PEXPIREAT', `key:${i}`, String(4e12 + i * 1e6))
    shrinkBy(node, 100)
    assert.ok(left(node, 200, KEYS) > 195, `${left(node, 200, KEYS)} of the last half are left`)
    assert.ok(left(node, 0, 50) < 5, `${left(node, 0, 50)} of the first fifty are left`)
  })

  it('allkeys-lru keeps what was used last', () => {
    const node = filled('allkeys-lru')
    const db = node.server.keyspace.databases[0]!
    for (let i = 0; i < KEYS; i++) db.setIdle(keyFromText(`key:${i}`), i < 200 ? 1e6 : 1e4)
    shrinkBy(node, 150)
    assert.ok(left(node, 200, KEYS) > 190, `${left(node, 200, KEYS)} used keys are left`)
  })

  it('allkeys-lfu keeps what is used often, and forgets who was', () => {
    const node = filled('allkeys-lfu', { 'lfu-log-factor': '0' })
    const client = node.connect()
    for (let round = 0; round < 20; round++) for (let i = 200; i < KEYS; i++) client.call('GET', `key:${i}`)
    assert.equal(Number(client.call('OBJECT', 'FREQ', 'key:300')), 25)
    shrinkBy(node, 150)
    assert.ok(left(node, 200, KEYS) > 190, `${left(node, 200, KEYS)} used keys are left`)
    seconds(node, 10 * 60)
    assert.equal(node.server.keyspace.databases[0]!.frequency(keyFromText('key:399')), 15)
  })

  it('allkeys-random lets any of them go, of all databases', () => {
    const node = filled('allkeys-random')
    const client = node.connect()
    client.call('SELECT', '3')
    for (let i = 0; i < KEYS; i++) client.call('SET', `key:${i}`, VALUE)
    shrinkBy(node, 200)
    const [first, fourth] = [0, 3].map((db) => node.server.keyspace.databases[db]!.size)
    assert.ok(first! < KEYS - 50 && fourth! < KEYS - 50, `${first} and ${fourth} are left`)
  })

  it('lets keys go when it is lowered, tells the replicas and counts them', () => {
    const node = filled('allkeys-lru')
    const before = node.server.keyspace.size
    const told = node.replicated()
    const client = node.connect()
    client.call('WATCH', ...Array.from({ length: KEYS }, (_, i) => `key:${i}`))
    shrinkBy(node, 120)
    const gone = before - node.server.keyspace.size
    assert.ok(gone > 100 && gone < 140, `${gone} keys are gone`)
    assert.equal(new Set(told().filter((command) => command.startsWith('DEL key:'))).size, gone)
    assert.match(String(client.call('INFO', 'stats')), new RegExp(`evicted_keys:${gone}\r`))
    assert.ok(node.log.some((line) => line.includes('WARNING: the new maxmemory value set via CONFIG SET')))
    client.call('CONFIG', 'RESETSTAT')
    assert.match(String(client.call('INFO', 'stats')), /evicted_keys:0\r/)
    client.call('MULTI')
    assert.equal(client.outcome('EXEC'), 'null', 'a watched key that went has changed')
    // New keys take the place of old ones.
    for (let i = 0; i < 200; i++) assert.equal(client.call('SET', `new:${i}`, VALUE), 'OK')
    assert.ok(node.server.eviction.used <= node.server.config.values.maxmemory + 2000)
  })

  it('is not the business of a replica, which follows its primary', () => {
    const node = filled('allkeys-lru')
    Object.defineProperty(node.server.replication, 'isReplica', { value: true })
    shrinkBy(node, 100)
    assert.equal(node.server.keyspace.size, KEYS)
    node.connect().call('CONFIG', 'SET', 'replica-ignore-maxmemory', 'no')
    node.server.eviction.sample()
    assert.ok(node.server.keyspace.size < KEYS)
  })

  it('counts what MEMORY USAGE says of the keys, whatever they hold', () => {
    const node = new InProcess()
    const client = node.connect()
    client.call('SET', 'small', 'v')
    client.call('SET', 'large', 'v'.repeat(100_000))
    client.call('RPUSH', 'list', ...Array.from({ length: 3000 }, (_, i) => `element ${i}`))
    client.call('HSET', 'hash', ...Array.from({ length: 3000 }, (_, i) => `word ${i}`))
    client.call('SADD', 'set', 'a', 'b')
    client.call('ZADD', 'zset', ...Array.from({ length: 2000 }, (_, i) => `${i}`))
    client.call('XADD', 'stream', '1-1', 'f', 'v')
    const names = ['small', 'large', 'list', 'hash', 'set', 'zset', 'stream']
    const sum = names.reduce((total, name) => total + Number(client.call('MEMORY', 'USAGE', name)), 0)
    const { weight } = node.server.keyspace
    // The pages of a table with few keys are not full.
    assert.ok(Math.abs(weight - sum) < 64 * names.length, `${weight} in all, ${sum} by key`)
    for (const name of names) client.call('DEL', name)
    assert.equal(node.server.keyspace.weight, 0)
  })
})
