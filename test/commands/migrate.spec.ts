/** MIGRATE: what is sent, what is answered, and that no acknowledged write is lost on the way. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net'
import type { Millis } from '../../lib/base/brand.ts'
import { LinkPool, type TargetLink } from '../../lib/migrate/connection.ts'
import { ask, connect } from '../support/client.ts'
import { keyIn, myId, startCluster } from '../support/cluster.ts'
import { Differential } from '../support/differential.ts'
import { eventually, sleep } from '../support/eventually.ts'
import { InProcess, type Wired } from '../support/inprocess.ts'
import { type Server, startServer, stopEverything } from '../support/process.ts'
import { type Argument, decode, encode } from '../support/resp.ts'
import { commandsOf } from '../support/stream-tap.ts'
import { describeBeside } from '../support/tools.ts'

/** What a made-up target does with a request: answers, or ends the connection, or stays silent. */
type Manners = (words: readonly string[], nth: number) => string | 'close' | undefined

/** A target that does as it is told and remembers what it was sent, connection by connection. */
class Target {
  readonly connections: string[][] = []
  readonly #server: NetServer
  readonly #sockets = new Set<Socket>()

  private constructor(server: NetServer) {
    this.#server = server
  }

  static async start(manners: Manners): Promise<Target> {
    const server = createServer()
    const target = new Target(server)
    let requests = 0
    server.on('connection', (socket) => {
      const seen: string[] = []
      target.connections.push(seen)
      target.#sockets.add(socket)
      socket.on('error', () => {})
      let received = Buffer.alloc(0)
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk])
        for (let found = decode(received, 0); found !== undefined; found = decode(received, 0)) {
          received = received.subarray(found.end)
          const words = found.value as readonly string[]
          seen.push(words[0]!)
          const answer = manners(words, requests++)
          if (answer === 'close') return void socket.destroy()
          if (answer !== undefined) socket.write(`${answer}\r\n`)
        }
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return target
  }

  get port(): string {
    return String((this.#server.address() as AddressInfo).port)
  }

  /** Answers on all connections, unasked. */
  say(text: string): void {
    for (const socket of this.#sockets) socket.write(`${text}\r\n`)
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}

/** A server of ours with a connection, and the ability to wait for late replies. */
class Source {
  readonly inner = new InProcess()
  readonly a = this.inner.connect()
  readonly b = this.inner.connect()

  /** The reply to a request that is answered later, as it stands on the wire. */
  async late(one: Wired, ...argv: readonly Argument[]): Promise<string> {
    const first = one.raw(encode(argv))
    return first.length > 0 ? first.latin1Slice().trimEnd() : this.reply(one)
  }

  /** The next thing that comes by itself. */
  async reply(one: Wired): Promise<string> {
    const bytes = await eventually(
      () => {
        this.inner.settle()
        return one.taken()
      },
      { what: 'a reply', withinMs: 5000, until: (seen) => seen.length > 0 },
    )
    return bytes.latin1Slice().trimEnd()
  }

  migrate(port: string | number, ...rest: readonly Argument[]): Promise<string> {
    return this.late(this.a, 'MIGRATE', '127.0.0.1', port, ...rest)
  }
}

const OK: Manners = () => '+OK'
const READING = '-IOERR error or timeout reading to target instance'
const WRITING = '-IOERR error or timeout writing to target instance'

describeBeside('MIGRATE', function () {
  this.timeout(30_000)
  const targets: Target[] = []
  let source: Source
  beforeEach(() => {
    source = new Source()
  })
  after(stopEverything)
  afterEach(() => {
    source.inner.server.migrating.links.close()
    for (const target of targets.splice(0)) target.stop()
  })
  const target = async (manners: Manners): Promise<Target> => {
    const made = await Target.start(manners)
    targets.push(made)
    return made
  }

  describe('to a redis-server', () => {
    let redis: Server
    before(async () => {
      redis = await startServer({ kind: 'redis' })
      await ask(redis.port, 'CONFIG', 'SET', 'requirepass', 'secret')
    })

    it('moves values and deadlines, and says so to replicas in one DEL', async () => {
      const { a, inner } = source
      const { stream } = inner.server.replication
      const theirs = await connect(redis.port)
      await theirs.call('AUTH', 'secret')
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
      a.call('MSET', 'plain', 'v', 'bytes', bytes, 'number', '-12')
      a.call('SET', 'due', 'later', 'PXAT', '4000000000000')
      stream.open('a'.repeat(40))
      const from = stream.offset + 1
      const keys = ['plain', 'missing', 'bytes', 'number', 'due']
      assert.equal(await source.migrate(redis.port, '', '3', '2000', 'AUTH', 'secret', 'KEYS', ...keys), '+OK')
      await theirs.call('SELECT', 3)
      assert.deepEqual(await theirs.call('MGET', ...keys), ['v', null, bytes.latin1Slice(), '-12', 'later'])
      assert.ok(Math.abs(Number(await theirs.call('PEXPIRETIME', 'due')) - 4_000_000_000_000) < 2000)
      assert.deepEqual(a.call('MGET', ...keys), [null, null, null, null, null])
      assert.deepEqual(
        commandsOf(Buffer.concat(stream.readFrom(from))).map((words) => words.join(' ')),
        ['SELECT 0', 'DEL plain bytes number due'],
      )
    })

    it('tells the first error of the target, and deletes only what that has', async () => {
      const { a } = source
      a.call('MSET', 'x', '1', 'y', '2')
      const auth = ['AUTH2', 'default', 'secret']
      assert.equal(await source.migrate(redis.port, 'x', '0', '2000', 'COPY', ...auth), '+OK')
      assert.equal(
        await source.migrate(redis.port, '', '0', '2000', ...auth, 'KEYS', 'x', 'y'),
        '-ERR Target instance replied with error: BUSYKEY Target key name already exists.',
      )
      assert.deepEqual(a.call('MGET', 'x', 'y'), ['1', null])
      assert.equal(await source.migrate(redis.port, 'x', '0', '2000', 'REPLACE', ...auth), '+OK')
      assert.equal(a.call('GET', 'x'), null)
    })

    it('does not trust what happened after a refused AUTH', async () => {
      source.a.call('SET', 'k', 'v')
      assert.match(
        await source.migrate(redis.port, 'k', '0', '2000', 'AUTH', 'wrong'),
        /^-ERR Target instance replied with error: WRONGPASS/,
      )
      assert.equal(source.a.call('GET', 'k'), 'v')
    })
  })

  describe('of hashes whose fields have deadlines', () => {
    const AT = 4_000_000_000_000
    /** Two fields with one deadline, one with another, one with none. */
    function fill(): void {
      const { a } = source
      a.call('HSET', 'h', 'one', '1', 'two', '2', 'three', '3', 'four', '4')
      a.call('HPEXPIREAT', 'h', AT, 'FIELDS', '2', 'one', 'two')
      a.call('HPEXPIREAT', 'h', AT + 1, 'FIELDS', '1', 'three')
    }
    const FIELDS = ['FIELDS', '4', 'one', 'two', 'three', 'four']

    it('takes them along, one HPEXPIREAT for each deadline', async () => {
      fill()
      source.a.call('SET', 'k', 'v')
      const ours = await startServer({ kind: 'rookery' })
      assert.equal(await source.migrate(ours.port, '', '0', '2000', 'KEYS', 'h', 'k'), '+OK')
      assert.deepEqual(await ask(ours.port, 'HPEXPIRETIME', 'h', ...FIELDS), [AT, AT, AT + 1, -1])
      assert.equal(await ask(ours.port, 'GET', 'k'), 'v')
      assert.equal(source.a.call('DBSIZE'), 0)
    })

    it('leaves fields behind whose time has come', async () => {
      fill()
      source.a.call('HPEXPIRE', 'h', '1', 'FIELDS', '1', 'four')
      const redis = await startServer({ kind: 'redis' })
      await sleep(5)
      assert.equal(await source.migrate(redis.port, 'h', '0', '2000'), '+OK')
      assert.deepEqual(await ask(redis.port, 'HMGET', 'h', 'one', 'four'), ['1', null])
    })

    it('loses them at a server older than 7.4, and says so once', async () => {
      const redis = await startServer({ kind: 'redis' })
      for (const how of [[], ['REPLACE']]) {
        fill()
        assert.equal(await source.migrate(redis.port, 'h', '0', '2000', ...how), '+OK')
        assert.equal(source.a.call('EXISTS', 'h'), 0)
      }
      assert.deepEqual(await ask(redis.port, 'HMGET', 'h', 'one', 'two', 'three', 'four'), ['1', '2', '3', '4'])
      assert.equal(source.inner.log.filter((line) => line.includes('does not know HPEXPIREAT')).length, 1)
    })

    it('keeps the hash when the target refuses a deadline for another reason, or does not answer', async () => {
      const answers: Record<string, string | undefined> = { hpexpireat: '-OOM no' }
      const made = await target(([name]) => answers[name!.toLowerCase()] ?? (name === 'HPEXPIREAT' ? 'close' : '+OK'))
      fill()
      assert.equal(await source.migrate(made.port, 'h', '0', '1000'), '-ERR Target instance replied with error: OOM no')
      answers['hpexpireat'] = undefined
      assert.equal(await source.migrate(made.port, 'h', '0', '1000'), READING)
      assert.equal(source.a.call('HLEN', 'h'), 4)
    })

    it('asks for each, in a cluster, to a slot that is only imported', async () => {
      const { primaries } = await startCluster({ kinds: ['rookery'], primaries: 3 })
      const [from, to] = [primaries[0]!, primaries[1]!]
      const [slot, key] = [100, keyIn(100)]
      await ask(from.port, 'HSET', key, 'one', '1', 'two', '2', 'three', '3', 'four', '4')
      await ask(from.port, 'HPEXPIREAT', key, AT, 'FIELDS', '2', 'one', 'two')
      await ask(to.port, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', await myId(from))
      await ask(from.port, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', await myId(to))
      assert.equal(await ask(from.port, 'MIGRATE', '127.0.0.1', to.port, key, '0', '2000'), 'OK')
      for (const { port } of [to, from]) await ask(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', await myId(to))
      assert.deepEqual(await ask(to.port, 'HPEXPIRETIME', key, ...FIELDS), [AT, AT, -1, -1])
    })
  })

  it('reads its arguments as redis-server does', async () => {
    const both = await Differential.start()
    const to = ['127.0.0.1', '1']
    await both.compare([
      ['MIGRATE', ...to, 'k', '0', '100'],
      ['SET', 'k', 'v'],
      ['MIGRATE', ...to, 'k', 'x', '100'],
      ['MIGRATE', ...to, 'k', '0', 'x'],
      ['MIGRATE', ...to, 'k', '0', '100', 'FOO'],
      ['MIGRATE', ...to, 'k', '0', '100', 'AUTH'],
      ['MIGRATE', ...to, 'k', '0', '100', 'AUTH2', 'u'],
      ['MIGRATE', ...to, 'k', '0', '100', 'KEYS', 'k'],
      ['MIGRATE', ...to, '', '0', '100', 'KEYS'],
      ['MIGRATE', ...to, '', '0', '100', 'COPY', 'REPLACE', 'KEYS', 'a', 'b'],
      ['MIGRATE', ...to, '', '0', '100'],
      ['MIGRATE', ...to, 'k', '0'],
    ])
  })

  it('keeps a connection, on which SELECT is sent once and AUTH each time', async () => {
    const made = await target(OK)
    for (const db of ['1', '1', '2']) {
      source.a.call('SET', 'k', 'v')
      assert.equal(await source.migrate(made.port, 'k', db, '1000', 'AUTH', 'pw'), '+OK')
    }
    assert.equal(made.connections.length, 1)
    assert.deepEqual(made.connections[0], ['AUTH', 'SELECT', 'RESTORE', 'AUTH', 'RESTORE', 'AUTH', 'SELECT', 'RESTORE'])
  })

  it('tries once more when a kept connection turns out to be dead', async () => {
    const made = await target((_, nth) => (nth === 2 ? 'close' : '+OK'))
    for (const expected of ['+OK', '+OK']) {
      source.a.call('SET', 'k', 'v')
      assert.equal(await source.migrate(made.port, 'k', '0', '1000'), expected)
    }
    assert.equal(made.connections.length, 2)
  })

  it('gives up at the second failure, and keeps the keys', async () => {
    const made = await target(() => 'close')
    source.a.call('SET', 'k', 'v')
    assert.equal(await source.migrate(made.port, 'k', '0', '1000'), READING)
    assert.equal(made.connections.length, 2)
    assert.equal(source.a.call('GET', 'k'), 'v')
  })

  it('says what it was doing when it failed', async () => {
    const made = await target(() => undefined)
    source.a.call('SET', 'k', 'v')
    assert.equal(await source.migrate(made.port, 'k', '0', '50'), READING, 'no answer in time')
    assert.equal(made.connections.length, 1, 'after a time-out nobody tries again')
    const gone = await target(OK)
    const { port } = gone
    gone.stop()
    assert.equal(await source.migrate(port, 'k', '0', '1000'), WRITING, 'nobody listens')
    assert.equal(
      await source.migrate('70000', 'k', '0', '1000'),
      '-IOERR error or timeout connecting to the client',
      'no such address',
    )
    assert.equal(source.a.call('GET', 'k'), 'v')
  })

  it('gives each step its own time on a kept connection, shorter or longer than that of the one before', async () => {
    const slow = await target((_, nth) => (nth === 2 ? undefined : '+OK'))
    source.a.call('SET', 'k', 'v')
    assert.equal(await source.migrate(slow.port, 'k', '0', '60000', 'COPY'), '+OK')
    assert.equal(await source.migrate(slow.port, 'k', '0', '50'), READING, 'in 50 ms, not in a minute')
    const slower = await target((_, nth) => (nth === 2 ? undefined : '+OK'))
    assert.equal(await source.migrate(slower.port, 'k', '0', '30', 'COPY'), '+OK')
    const waiting = source.migrate(slower.port, 'k', '0', '60000')
    const seen = (): number => slower.connections[0]!.length
    await eventually(seen, { what: 'the second RESTORE', withinMs: 5000, until: (count) => count === 3 })
    await sleep(60)
    slower.say('+OK')
    assert.equal(await waiting, '+OK', 'not after 30 ms')
  })

  describe('keeps connections between uses', () => {
    async function kept(pool: LinkPool, count: number): Promise<() => boolean[]> {
      const { port } = await target(OK)
      const links: TargetLink[] = []
      for (let i = 0; i < count; i++) links.push(await pool.take('127.0.0.1', Number(port), 1000, true))
      for (const link of links) pool.give('127.0.0.1', Number(port), link)
      return () => links.map((link) => link.usable)
    }
    const closed = { what: 'connections to be closed', withinMs: 5000 }

    it('until nobody has used them for a while', async () => {
      const pool = new LinkPool({ idleMs: 20 })
      const usable = await kept(pool, 2)
      await eventually(usable, { ...closed, until: (all) => !all.includes(true) })
      assert.equal(pool.size, 0)
    })

    it('until there are too many', async () => {
      const pool = new LinkPool({ most: 2 })
      const usable = await kept(pool, 3)
      await eventually(usable, { ...closed, until: ([first]) => first === false })
      assert.deepEqual([pool.size, usable()], [2, [false, true, true]])
      pool.close()
    })
  })

  it('deletes what was acknowledged before the connection broke', async () => {
    const made = await target((words) => (words[1] === 'c' ? 'close' : '+OK'))
    source.a.call('MSET', 'a', '1', 'b', '2', 'c', '3')
    assert.equal(await source.migrate(made.port, '', '0', '1000', 'KEYS', 'a', 'b', 'c'), READING)
    assert.deepEqual(source.a.call('MGET', 'a', 'b', 'c'), [null, null, '3'])
  })

  it('sends large values in pieces', async () => {
    const made = await target(OK)
    const { a } = source
    const names = Array.from({ length: 20 }, (_, i) => `k${i}`)
    for (const name of names) a.call('SET', name, Buffer.alloc(100_000, name))
    assert.equal(await source.migrate(made.port, '', '0', '2000', 'KEYS', ...names), '+OK')
    assert.equal(made.connections[0]!.length, 21)
    assert.equal(a.call('DBSIZE'), 0)
  })

  it('is refused inside a transaction, whose later commands could not wait for it', () => {
    const { a } = source
    a.call('SET', 'k', 'v')
    a.call('MULTI')
    a.call('MIGRATE', '127.0.0.1', '1', 'k', '0', '100')
    assert.match(a.raw(encode(['EXEC'])).latin1Slice(), /^\*1\r\n-ERR MIGRATE is not allowed in transactions\r\n$/)
  })

  describe('while it waits for the target', () => {
    /** A transfer of `k` that ends when the target says so. */
    async function begun(): Promise<Target> {
      const made = await target((words) => (words[0] === 'SELECT' ? '+OK' : undefined))
      source.a.call('MSET', 'k', 'old', 'other', 'v')
      assert.equal(source.a.raw(encode(['MIGRATE', '127.0.0.1', made.port, 'k', '0', '5000'])).length, 0)
      await eventually(() => made.connections[0]?.length === 2, { what: 'RESTORE at the target', withinMs: 2000 })
      return made
    }

    it('holds whoever touches its keys until they are gone for certain', async () => {
      const made = await begun()
      const { b, a } = source
      assert.equal(b.call('GET', 'other'), 'v')
      assert.equal(b.raw(encode(['SET', 'k', 'new'])).length, 0)
      made.say('+OK')
      assert.equal(await source.reply(a), '+OK')
      assert.equal(await source.reply(b), '+OK')
      assert.equal(b.call('GET', 'k'), 'new', 'the write came after the removal')
    })

    it('holds readers too: the target may be newer already', async () => {
      const made = await begun()
      assert.equal(source.b.raw(encode(['MGET', 'other', 'k'])).length, 0)
      made.say('+OK')
      assert.equal(await source.reply(source.b), '*2\r\n$1\r\nv\r\n$-1')
    })

    it('holds commands that write all keys, and transactions with such a key', async () => {
      const made = await begun()
      const c = source.inner.connect()
      assert.equal(source.b.raw(encode(['FLUSHALL'])).length, 0)
      c.call('MULTI')
      assert.equal(c.call('GET', 'k'), 'QUEUED')
      assert.equal(c.raw(encode(['EXEC'])).length, 0)
      made.say('+OK')
      assert.equal(await source.reply(source.b), '+OK')
      assert.equal(await source.reply(c), '*1\r\n$-1')
    })

    it('lets them go on when it failed', async () => {
      const made = await begun()
      assert.equal(source.b.raw(encode(['GET', 'k'])).length, 0)
      made.say('-ERR no')
      assert.equal(await source.reply(source.a), '-ERR Target instance replied with error: ERR no')
      assert.equal(await source.reply(source.b), '$3\r\nold')
    })

    it('finishes although its client has left', async () => {
      const made = await begun()
      source.inner.server.disconnect(source.a.client)
      made.say('+OK')
      await eventually(() => source.b.call('EXISTS', 'other') === 1 && source.inner.server.keyspace.size === 1, {
        what: 'the key is gone',
        withinMs: 2000,
      })
    })

    it('is not touched by a script, which waits when it names such a key and is refused the key when it does not', async () => {
      const made = await begun()
      const { a, b } = source
      const write = "return redis.call('SET', 'k', 'new')"
      assert.match(b.outcome('EVAL', write, 0), /^TRYAGAIN Script attempted to access an undeclared key/)
      assert.equal(b.outcome('EVAL', "return redis.call('GET', 'other')", 0), 'v')
      assert.equal(b.raw(encode(['EVAL', write, 1, 'k'])).length, 0)
      made.say('+OK')
      assert.equal(await source.reply(a), '+OK')
      assert.equal(await source.reply(b), '+OK')
      assert.equal(b.call('GET', 'k'), 'new')
    })

    it('removes nothing in the middle of a script', async () => {
      const { inner, a, b } = source
      inner.server.config.set([['busy-reply-threshold', '20']])
      const made = await begun()
      const script = "while redis.call('DBSIZE') == 2 do end"
      assert.equal(b.raw(encode(['EVAL', script, 0])).length, 0)
      made.say('+OK')
      await sleep(60)
      inner.settle()
      assert.equal(inner.server.keyspace.size, 2)
      assert.equal(inner.connect().outcome('SCRIPT', 'KILL'), 'OK')
      assert.equal(await source.reply(a), '+OK')
      assert.equal(inner.server.keyspace.size, 1)
    })

    it('removes nothing once it is a replica', async () => {
      const made = await begun()
      Object.defineProperty(source.inner.server.replication, 'isReplica', { value: true })
      made.say('+OK')
      assert.match(await source.reply(source.a), /^-READONLY/)
      assert.equal(source.b.call('GET', 'k'), 'old')
    })

    it('removes nothing while the data stands still for a failover', async () => {
      const { inner, a } = source
      const made = await begun()
      inner.server.pause.pauseForFailover((inner.server.now + 60_000) as Millis)
      made.say('+OK')
      await sleep(60)
      inner.settle()
      assert.equal(a.taken().length, 0)
      assert.equal(inner.server.keyspace.size, 2)
      inner.server.pause.resumeFailover()
      assert.equal(await source.reply(a), '+OK')
      assert.equal(inner.server.keyspace.size, 1)
    })
  })
})
