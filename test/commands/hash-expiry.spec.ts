/** Fields of hashes that have deadlines: against a model, then in a server, and what replicas, files and older servers make of them. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Millis } from '../../lib/base/brand.ts'
import { keyFromText } from '../../lib/base/key.ts'
import { activeExpireCycle } from '../../store/expire.ts'
import { Keyspace } from '../../store/keyspace.ts'
import { FieldDeadlines } from '../../store/types/field-deadlines.ts'
import { DEFAULT_HASH_LIMITS, HashValue } from '../../store/types/hash.ts'
import { ask, outcome } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { InProcess, type Wired } from '../support/inprocess.ts'
import { type Conf, type Server, startServer, stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const FAR = 4_000_000_000_000
const NAMES = ['a', 'b', 'c', 'd'] as const
const LIMITS = { ...DEFAULT_HASH_LIMITS, hashMaxListpackEntries: 2 }

type Step =
  | { readonly type: 'set' | 'delete'; readonly field: string }
  | { readonly type: 'deadline'; readonly field: string; readonly at: number }
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'look' | 'sweep' | 'copy' | 'hide' }

const field = fc.constantFrom(...NAMES)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ type: fc.constantFrom('set' as const, 'delete' as const), field }),
  fc.record({ type: fc.constant('deadline' as const), field, at: fc.integer({ min: 0, max: 60 }) }),
  fc.record({ type: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 9 }) }),
  fc.record({ type: fc.constantFrom('look' as const, 'sweep' as const, 'copy' as const, 'hide' as const) }),
)

/** A keyspace with one hash, and a Map of the same fields and their deadlines. */
class Bench {
  readonly keyspace = new Keyspace({ databases: 1 })
  readonly db = this.keyspace.databases[0]!
  readonly model = new Map<string, number>()
  readonly told: string[] = []
  readonly key = keyFromText('h')

  constructor() {
    this.keyspace.hooks = {
      touched() {},
      expired() {},
      fieldsExpired: (_db, _key, fields) => void this.told.push(...fields),
    }
  }

  hash(): HashValue | undefined {
    const value = this.db.readForWrite(this.key)
    if (value?.type !== 'hash') return undefined
    return value.deadlines === undefined ? value : this.db.living(this.key, value, true)
  }

  do(step: Step): void {
    const { model, keyspace, db, key } = this
    const hash = step.type === 'sweep' || step.type === 'pass' || step.type === 'hide' ? undefined : this.hash()
    if (step.type === 'pass') keyspace.now = (keyspace.now + step.ms) as Millis
    else if (step.type === 'sweep') activeExpireCycle(keyspace, 100)
    else if (step.type === 'hide') this.hidden()
    else if (step.type === 'copy') {
      if (hash !== undefined) db.write(key, hash.copy(), 0)
    } else if (step.type === 'set') {
      const value = hash ?? new HashValue()
      value.set(keyFromText(step.field), Buffer.from('value'), LIMITS)
      if (hash === undefined) db.write(key, value, 0)
      else db.changed(key)
      model.set(step.field, 0)
    } else if (step.type === 'delete' && hash?.delete(keyFromText(step.field))) {
      if (hash.size === 0) db.remove(key)
      else db.changed(key)
      model.delete(step.field)
    } else if (step.type === 'deadline' && hash !== undefined && hash.find(keyFromText(step.field)) >= 0) {
      const at = step.at <= keyspace.now ? 0 : step.at
      hash.setDeadline(step.field, at)
      if (at !== 0) db.noteDeadlines(key)
      db.changed(key)
      model.set(step.field, at)
    }
    this.forget()
  }

  /** A replica sees what a primary would leave, and removes nothing. */
  hidden(): void {
    const { keyspace, db, key } = this
    keyspace.expiry = 'hide'
    const value = db.read(key)
    const seen = value?.type === 'hash' ? db.living(key, value, false) : undefined
    assert.deepEqual(namesIn(seen), [...this.model.keys()].sort())
    keyspace.expiry = 'remove'
  }

  forget(): void {
    for (const [name, at] of this.model) if (at !== 0 && at <= this.keyspace.now) this.model.delete(name)
  }

  check(): void {
    const hash = this.hash()
    assert.deepEqual(namesIn(hash), [...this.model.keys()].sort())
    for (const [name, at] of this.model) assert.equal(hash!.deadlineOf(name), at)
    assert.equal(this.db.size, this.model.size === 0 ? 0 : 1)
  }
}

const namesIn = (hash: HashValue | undefined): string[] =>
  hash === undefined ? [] : [...hash].map(([name]) => name.latin1Slice()).sort()

describe('fields with deadlines', () => {
  it('are there until their time has come, as a model says, however they are looked at', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const bench = new Bench()
        for (const step of steps) bench.do(step)
        bench.check()
      }),
      { numRuns: 500 },
    )
  })

  it('go without being asked for, and replicas are told of each', () => {
    const bench = new Bench()
    for (const name of NAMES) bench.do({ type: 'set', field: name })
    for (const name of ['a', 'b']) bench.do({ type: 'deadline', field: name, at: 5 })
    bench.do({ type: 'pass', ms: 4 })
    activeExpireCycle(bench.keyspace, 100)
    assert.deepEqual(bench.told, [])
    bench.do({ type: 'pass', ms: 1 })
    activeExpireCycle(bench.keyspace, 100)
    assert.deepEqual(bench.told.sort(), ['a', 'b'])
    assert.equal(bench.db.timedHashes, 0)
    bench.check()
  })

  it('go too when their database has changed places with another, as after a full synchronisation', () => {
    const [bench, other] = [new Bench(), new Bench()]
    bench.do({ type: 'set', field: 'a' })
    bench.do({ type: 'deadline', field: 'a', at: 5 })
    other.db.swapWith(bench.db)
    other.do({ type: 'pass', ms: 5 })
    activeExpireCycle(other.keyspace, 100)
    assert.deepEqual(other.told, ['a'])
    assert.equal(other.db.size, 0)
  })

  it('can be written down and read again', () => {
    const times = fc.array(fc.tuple(fc.string({ unit: 'binary-ascii' }), fc.integer({ min: 1, max: 2 ** 46 })))
    fc.assert(
      fc.property(times, (pairs) => {
        const written = new FieldDeadlines(pairs)
        const read = FieldDeadlines.decode(written.encode())!
        for (const [name] of pairs) assert.equal(read.of(name), written.of(name))
        assert.equal(read.size, written.size)
      }),
    )
    assert.equal(FieldDeadlines.decode(Buffer.alloc(11)), undefined)
    assert.equal(FieldDeadlines.decode(Buffer.alloc(12, 1)), undefined)
  })
})

describe('HEXPIRE and its kin', () => {
  let inner: InProcess
  let client: Wired
  beforeEach(() => {
    inner = new InProcess({ 'notify-keyspace-events': 'KEA' })
    client = inner.connect()
    client.call('HSET', 'h', 'a', 1, 'b', 2, 'c', 3)
  })

  /** Lets the time of fields come. */
  const due = (...names: readonly string[]): void => {
    const value = inner.server.keyspace.databases[0]!.readForWrite(keyFromText('h'))
    assert.ok(value?.type === 'hash')
    for (const name of names) value.setDeadline(name, 1)
    inner.server.keyspace.databases[0]!.noteDeadlines(keyFromText('h'))
    inner.server.keyspace.databases[0]!.changed(keyFromText('h'))
  }
  const ask = (words: string): unknown => client.call(...words.split(' '))

  it('answer for each field', () => {
    assert.deepEqual(ask('HEXPIRE h 100 FIELDS 2 a nosuch'), [1, -2])
    assert.deepEqual(ask('HTTL h FIELDS 3 a b nosuch'), [100, -1, -2])
    assert.deepEqual(ask(`HPEXPIREAT h ${FAR} FIELDS 1 b`), [1])
    assert.deepEqual(ask('HPEXPIRETIME h FIELDS 2 b c'), [FAR, -1])
    assert.deepEqual(ask('HEXPIRETIME h FIELDS 1 b'), [FAR / 1000])
    assert.deepEqual(ask('HPERSIST h FIELDS 3 a c nosuch'), [1, -1, -2])
    assert.deepEqual(ask('HPTTL h FIELDS 1 a'), [-1])
    assert.deepEqual(ask('HPEXPIRE h 0 FIELDS 2 a a'), [2, -2])
    assert.deepEqual(ask('HEXPIREAT h 1 FIELDS 2 b c'), [2, 2])
    assert.equal(ask('EXISTS h'), 0)
    for (const command of ['HTTL', 'HPTTL', 'HEXPIRETIME', 'HPEXPIRETIME', 'HPERSIST'])
      assert.deepEqual(ask(`${command} nosuch FIELDS 1 a`), [-2])
    assert.deepEqual(ask('HEXPIRE nosuch 1 FIELDS 1 a'), [-2])
  })

  it('obey their conditions; no deadline is later than any', () => {
    const CASES = [
      ['NX', 1, 0, 0],
      ['XX', 0, 1, 1],
      ['GT', 0, 1, 0],
      ['LT', 1, 0, 1],
    ] as const
    for (const [condition, without, later, earlier] of CASES) {
      ask('HPERSIST h FIELDS 1 a')
      assert.deepEqual(ask(`HEXPIRE h 100 ${condition} FIELDS 1 a`), [without], condition)
      ask('HEXPIRE h 100 FIELDS 1 a')
      assert.deepEqual(ask(`HEXPIRE h 200 ${condition} FIELDS 1 a`), [later], `${condition} later`)
      ask('HEXPIRE h 100 FIELDS 1 a')
      assert.deepEqual(ask(`HEXPIRE h 50 ${condition} FIELDS 1 a`), [earlier], `${condition} earlier`)
    }
  })

  it('say what is wrong, and change nothing then', () => {
    const MISPLACED = 'ERR Mandatory argument FIELDS is missing or not at the right position'
    const MISMATCH = 'ERR The `numfields` parameter must match the number of arguments'
    const REFUSED: readonly (readonly [words: string, reply: string])[] = [
      ['HEXPIRE h x FIELDS 1 a', 'ERR value is not an integer or out of range'],
      ['HEXPIRE h -1 FIELDS 1 a', 'ERR invalid expire time, must be >= 0'],
      [`HEXPIRE h ${2 ** 46} FIELDS 1 a`, "ERR invalid expire time in 'hexpire' command"],
      ['HPEXPIREAT h 9223372036854775807 FIELDS 1 a', "ERR invalid expire time in 'hpexpireat' command"],
      ['HEXPIRE h 1 NY FIELDS 1 a', MISPLACED],
      ['HEXPIRE h 1 NX 1 a b', MISPLACED],
      ['HTTL h FIELD 1 a', MISPLACED],
      ['HEXPIRE h 1 FIELDS 0 a', 'ERR Parameter `numFields` should be greater than 0'],
      ['HEXPIRE h 1 FIELDS x a', 'ERR Parameter `numFields` should be greater than 0'],
      ['HTTL h FIELDS 0 a', 'ERR Number of fields must be a positive integer'],
      ['HPERSIST h FIELDS x a', 'ERR Number of fields must be a positive integer'],
      ['HEXPIRE h 1 FIELDS 2 a', MISMATCH],
      ['HPERSIST h FIELDS 1 a b', MISMATCH],
      ['HEXPIRE h 1 FIELDS 1', "ERR wrong number of arguments for 'hexpire' command"],
      ['HTTL h FIELDS 1', "ERR wrong number of arguments for 'httl' command"],
      ['HEXPIRE s 1 FIELDS 1 a', 'WRONGTYPE Operation against a key holding the wrong kind of value'],
      ['HTTL s FIELDS 1 a', 'WRONGTYPE Operation against a key holding the wrong kind of value'],
    ]
    client.call('SET', 's', 'text')
    for (const [words, reply] of REFUSED) assert.equal(client.outcome(...words.split(' ')), reply, words)
    assert.deepEqual(ask('HTTL h FIELDS 3 a b c'), [-1, -1, -1])
  })

  it('hide a field from every command once its time has come, and the key with the last of them', () => {
    const SEEN: readonly (readonly [words: string, reply: unknown])[] = [
      ['HGET h a', null],
      ['HMGET h a b', [null, '2']],
      ['HEXISTS h a', 0],
      ['HSTRLEN h a', 0],
      ['HLEN h', 2],
      ['HKEYS h', ['b', 'c']],
      ['HVALS h', ['2', '3']],
      ['HGETALL h', ['b', '2', 'c', '3']],
      ['HSCAN h 0', ['0', ['b', '2', 'c', '3']]],
      ['HSCAN h 0 NOVALUES', ['0', ['b', 'c']]],
      ['HRANDFIELD h -9', 9],
      ['HDEL h a', 0],
      ['HSETNX h a x', 1],
      ['HINCRBY h a 5', 5],
      ['HTTL h FIELDS 1 a', [-2]],
      ['SORT s BY nosort GET h->a', [null]],
    ]
    client.call('RPUSH', 's', 'x')
    for (const [words, reply] of SEEN) {
      client.call('DEL', 'h')
      client.call('HSET', 'h', 'a', 1, 'b', 2, 'c', 3)
      due('a')
      const seen = ask(words)
      if (Array.isArray(seen) && typeof reply === 'number') assert.ok(seen.length === reply && !seen.includes('a'))
      else assert.deepEqual(seen, reply, words)
    }
    client.call('DEL', 'h')
    client.call('HSET', 'h', 'a', 1)
    due('a')
    assert.equal(ask('HLEN h'), 0)
    assert.equal(ask('EXISTS h'), 0)
  })

  it('last through whatever does not replace the field', () => {
    ask(`HPEXPIREAT h ${FAR} FIELDS 3 a b c`)
    ask('HINCRBY h a 5')
    ask('HINCRBYFLOAT h b 0.5')
    ask('COPY h copy')
    ask('RENAME h renamed')
    for (const name of ['copy', 'renamed'])
      assert.deepEqual(ask(`HPEXPIRETIME ${name} FIELDS 3 a b c`), [FAR, FAR, FAR], name)
    assert.equal(ask('OBJECT ENCODING copy'), 'listpackex')
    ask('HSET copy a 1')
    ask('HDEL copy b')
    ask('HSET copy b 1')
    assert.deepEqual(ask('HPEXPIRETIME copy FIELDS 3 a b c'), [-1, -1, FAR])
  })

  it('raise events', () => {
    const listener = inner.connect()
    listener.raw(Buffer.from('PSUBSCRIBE __keyevent@0__:*\r\n'))
    const heard = (words: string): string[] => {
      listener.taken()
      ask(words)
      return [
        ...listener
          .taken()
          .toString()
          .matchAll(/__:(\w+)\r\n\$1\r\nh/g),
      ].map(([, event]) => event!)
    }
    assert.deepEqual(heard('HEXPIRE h 100 FIELDS 1 a'), ['hexpire'])
    assert.deepEqual(heard('HPERSIST h FIELDS 1 a'), ['hpersist'])
    assert.deepEqual(heard('HEXPIRE h 0 FIELDS 1 a'), ['hdel'])
    due('b')
    assert.deepEqual(heard('HGET h b'), ['hexpired'])
    due('c')
    assert.deepEqual(heard('HGET h c'), ['hexpired', 'del'])
    client.call('HSET', 'h', 'a', 1)
    assert.deepEqual(heard('HEXPIRE h 0 FIELDS 1 a'), ['hdel', 'del'])
  })

  it('are replicated by the instant, in words that a server without them passes over', () => {
    const taken = inner.replicated()
    ask(`HPEXPIREAT h ${FAR} FIELDS 2 a b`)
    ask('HINCRBYFLOAT h a 1')
    ask('HPERSIST h FIELDS 1 a')
    ask('HEXPIRE h 0 FIELDS 1 a')
    due('b')
    ask('HGET h b')
    inner.server.endTurn()
    assert.deepEqual(taken(), [
      'SELECT 0',
      `REPLCONF ACK 0 hash-deadlines h a ${FAR} b ${FAR}`,
      'MULTI',
      'HSET h a 2',
      `REPLCONF ACK 0 hash-deadlines h a ${FAR}`,
      'EXEC',
      'REPLCONF ACK 0 hash-deadlines h a 0',
      'HDEL h a',
      'HDEL h b',
    ])
    // Nobody but a primary may say it.
    client.raw(Buffer.from(`REPLCONF ACK 0 hash-deadlines h c ${FAR}\r\n`))
    assert.deepEqual(ask('HTTL h FIELDS 1 c'), [-1])
  })
})

describeBeside('fields with deadlines beyond one server', function () {
  this.timeout(60_000)
  this.slow(20_000)
  afterEach(stopEverything)

  const start = (kind: 'rookery' | 'redis', conf: Conf = {}): Promise<Server> => startServer({ kind, conf })
  const follow = async (kind: 'rookery' | 'redis', primary: Server): Promise<Server> => {
    const replica = await start(kind, { replicaof: `127.0.0.1 ${primary.port}` })
    await eventually(async () => (await outcome(replica.port, 'ROLE')).includes('connected'), {
      what: 'the replica is connected',
      withinMs: 10_000,
    })
    return replica
  }
  const fill = async ({ port }: Server): Promise<void> => {
    await ask(port, 'HSET', 'small', 'a', 1, 'b', 2, 'c', 3)
    const many = Array.from({ length: 600 }, (_, i) => [`field:${i}`, i]).flat()
    await ask(port, 'HSET', 'large', ...many)
    await ask(port, 'HPEXPIREAT', 'small', FAR, 'FIELDS', 2, 'a', 'b')
    await ask(port, 'HPEXPIREAT', 'large', FAR, 'FIELDS', 1, 'field:7')
  }
  const assertDeadlines = async ({ port }: Server): Promise<void> => {
    assert.deepEqual(await ask(port, 'HPEXPIRETIME', 'small', 'FIELDS', 3, 'a', 'b', 'c'), [FAR, FAR, -1])
    assert.deepEqual(await ask(port, 'HPEXPIRETIME', 'large', 'FIELDS', 2, 'field:7', 'field:8'), [FAR, -1])
  }
  const settled = (servers: readonly Server[]): Promise<unknown> =>
    eventually(
      async () => new Set(await Promise.all(servers.map(({ port }) => outcome(port, 'DEBUG', 'DIGEST')))).size === 1,
      { what: 'all data sets are the same', withinMs: 10_000 },
    )

  it('reach replicas of ours by the snapshot and by the stream; redis-server gets fields, and HDEL', async () => {
    const primary = await start('rookery')
    await fill(primary)
    const [ours, theirs] = [await follow('rookery', primary), await follow('redis', primary)]
    await settled([primary, ours, theirs])
    await assertDeadlines(ours)
    // Once more, while they follow; and over two links.
    const last = await follow('rookery', ours)
    await ask(primary.port, 'DEL', 'small', 'large')
    await fill(primary)
    await ask(primary.port, 'HINCRBYFLOAT', 'small', 'a', '0.5')
    await settled([primary, ours, theirs, last])
    for (const replica of [ours, last]) await assertDeadlines(replica)
    await ask(primary.port, 'HPEXPIRE', 'small', 1, 'FIELDS', 2, 'a', 'c')
    await ask(primary.port, 'HPEXPIRE', 'large', 1, 'FIELDS', 1, 'field:9')
    await eventually(async () => (await outcome(theirs.port, 'HLEN', 'large')) === '599', {
      what: 'the field is gone on redis-server',
      withinMs: 10_000,
    })
    await settled([primary, ours, theirs, last])
    assert.deepEqual(await ask(theirs.port, 'HGETALL', 'small'), ['b', '2'])
    // A server that is loading says so; nothing else was wrong.
    const errors = (await outcome(theirs.port, 'INFO', 'errorstats')).match(/errorstat_\w+/g) ?? []
    assert.deepEqual(
      errors.filter((name) => name !== 'errorstat_LOADING'),
      [],
    )
    assert.equal(((await ask(primary.port, 'INFO', 'stats')) as string).match(/sync_full:(\d)/)?.[1], '2')
  })

  it('survive a restart from dump.rdb, which redis-server reads too', async () => {
    const server = await start('rookery', { save: '3600 100000' })
    await fill(server)
    await ask(server.port, 'SAVE')
    await server.restart()
    await assertDeadlines(server)
    const digest = await outcome(server.port, 'DEBUG', 'DIGEST')
    await server.restart('redis')
    assert.equal(await outcome(server.port, 'DEBUG', 'DIGEST'), digest)
  })

  it('survive a crash, from the stream on the disk and from a checkpoint', async () => {
    const server = await start('rookery', { appendonly: 'yes' })
    await fill(server)
    await server.kill()
    await server.start()
    await assertDeadlines(server)
    await ask(server.port, 'BGREWRITEAOF')
    await eventually(async () => /finished successfully/.test(server.log), { what: 'a checkpoint', withinMs: 10_000 })
    await server.kill()
    await server.start()
    await assertDeadlines(server)
  })
})
