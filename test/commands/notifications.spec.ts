/** Keyspace notifications: the same requests to a redis-server and to ours, and what subscribers of both hear. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { EVENTS } from '../../lib/server/events.ts'
import { type Client, connect } from '../support/client.ts'
import { type Request, requests, type Slot } from '../support/differential.ts'
import { InProcess, type Wired } from '../support/inprocess.ts'
import { type Server, startServer, stopEverything } from '../support/process.ts'
import { decode, encode } from '../support/resp.ts'
import { describeBeside } from '../support/tools.ts'

const ALL = 'KEA$lshzxetdmn'
const END = ['publish', '__key-end', 'x']

/** A redis-server and a server of ours, each with one client that sends and one that listens to every event. */
class Heard {
  readonly inner = new InProcess({ 'notify-keyspace-events': ALL })
  readonly #ours: Wired = this.inner.connect()
  readonly #listener: Wired = this.inner.connect()
  readonly #theirs: Client
  readonly #theirListener: Client

  private constructor(theirs: Client, theirListener: Client) {
    this.#theirs = theirs
    this.#theirListener = theirListener
    this.#listener.raw(encode(['PSUBSCRIBE', '__key*']))
  }

  static async start(redis: Server): Promise<Heard> {
    const theirs = await connect(redis.port)
    const listener = await connect(redis.port)
    await theirs.call('DEBUG', 'SET-ACTIVE-EXPIRE', 0)
    await theirs.call('CONFIG', 'SET', 'notify-keyspace-events', ALL)
    await listener.call('PSUBSCRIBE', '__key*')
    return new Heard(theirs, listener)
  }

  /** Plays the requests on both, from an empty data set, and compares what was heard. */
  async compare(all: readonly Request[]): Promise<string[]> {
    const played = [['FLUSHALL'], ...all.flatMap(atOnce), END]
    const ours = played.flatMap((request) => {
      this.#ours.raw(encode(request))
      return messagesIn(this.#listener.taken())
    })
    await Promise.all(played.map((request) => this.#theirs.raw(encode(request))))
    const theirs: string[] = []
    while (theirs.at(-1) !== '__key-end x') theirs.push(shown((await this.#theirListener.message()).value))
    assert.deepEqual(ours, theirs)
    return ours.slice(0, -1)
  }
}

/** Inside a transaction nobody waits. */
const atOnce = (request: Request): readonly Request[] =>
  /^b(l|r|z)/i.test(String(request[0])) ? [['MULTI'], request, ['EXEC']] : [request]

/** `<channel> <message>`. */
const shown = (message: unknown): string => (message as readonly string[]).slice(2).join(' ')

function messagesIn(bytes: Buffer): string[] {
  const found: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const { value, end } = decode(bytes, at)!
    found.push(shown(value))
    at = end
  }
  return found
}

const key: Slot = fc.constantFrom('a', 'b', 'c', 'd')
const member: Slot = fc.constantFrom('1', '2', '3', 'x', 'y')
const count: Slot = fc.constantFrom('0', '1', '2', '-1')
const score: Slot = fc.constantFrom('1', '2', '3.5', '-inf')
const side: Slot = fc.constantFrom('LEFT', 'RIGHT')
const end: Slot = fc.constantFrom('MIN', 'MAX')
const id: Slot = fc.constantFrom('1-1', '2-1', '3-1', '4-1', '5-1')
const seconds: Slot = fc.constantFrom('100', '-1', '0')
const group: Slot = fc.constantFrom('g', 'h')

/** The grammars of what changes or misses keys, family by family. */
const FORMS: Readonly<Record<string, readonly (readonly Slot[])[]>> = {
  strings: [
    ['SET', key, member],
    ['SET', key, member, 'EX', '100'],
    ['SET', key, member, 'KEEPTTL'],
    ['SET', key, member, fc.constantFrom('NX', 'XX', 'GET')],
    ['SETEX', key, '100', member],
    ['SETNX', key, member],
    ['GETSET', key, member],
    ['GETDEL', key],
    ['GETEX', key],
    ['GETEX', key, 'EX', '100'],
    ['GETEX', key, 'PERSIST'],
    ['GETEX', key, 'PXAT', '1'],
    ['MSET', key, member, key, member],
    ['MSETNX', key, member, key, member],
    ['APPEND', key, member],
    [fc.constantFrom('INCR', 'DECR'), key],
    [fc.constantFrom('INCRBY', 'DECRBY', 'INCRBYFLOAT'), key, '3'],
    ['SETRANGE', key, '2', fc.constantFrom('', 'z')],
    ['SETBIT', key, '3', '1'],
    ['BITFIELD', key, 'SET', 'u4', '0', '3'],
    ['BITFIELD', key, 'GET', 'u4', '0'],
    ['BITOP', 'AND', key, key, key],
    ['PFADD', key, member],
    ['PFCOUNT', key],
    ['PFMERGE', key, key],
    ['MGET', key, key],
    ['STRLEN', key],
    ['LPUSH', key, member],
  ],
  generic: [
    ['SET', key, member],
    ['RPUSH', key, '2', '1'],
    ['SADD', key, '1'],
    ['DEL', key, key],
    ['UNLINK', key],
    ['RENAME', key, key],
    ['RENAMENX', key, key],
    ['COPY', key, key],
    ['COPY', key, key, 'REPLACE'],
    ['MOVE', key, '1'],
    ['SORT', key, 'STORE', key],
    [fc.constantFrom('EXPIRE', 'PEXPIREAT'), key, seconds],
    ['PERSIST', key],
    ['TTL', key],
    ['TYPE', key],
    ['EXISTS', key, key],
    ['TOUCH', key],
    ['OBJECT', 'ENCODING', key],
    ['DUMP', key],
    ['SWAPDB', '0', '1'],
    ['RESTORE', key, '0', fc.constant(Buffer.from('0001760a009108ceb219388ace', 'hex'))],
  ],
  lists: [
    [fc.constantFrom('LPUSH', 'RPUSH', 'LPUSHX', 'RPUSHX'), key, member],
    [fc.constantFrom('LPOP', 'RPOP'), key],
    [fc.constantFrom('LPOP', 'RPOP'), key, count],
    ['LINSERT', key, 'BEFORE', member, member],
    ['LSET', key, count, member],
    ['LREM', key, count, member],
    ['LTRIM', key, count, count],
    ['LMOVE', key, key, side, side],
    ['RPOPLPUSH', key, key],
    ['LMPOP', '2', key, key, side],
    ['LMPOP', '1', key, side, 'COUNT', '2'],
    ['BLPOP', key, key, '0.001'],
    ['BRPOP', key, '0.001'],
    ['BLMOVE', key, key, side, side, '0.001'],
    ['BLMPOP', '0.001', '1', key, side],
    ['LLEN', key],
  ],
  sets: [
    ['SADD', key, member, member],
    ['SREM', key, member, member],
    ['SPOP', key, '4'],
    ['SMOVE', key, key, member],
    [fc.constantFrom('SINTERSTORE', 'SUNIONSTORE', 'SDIFFSTORE'), key, key, key],
    ['SMEMBERS', key],
    ['SRANDMEMBER', key],
    ['SINTERCARD', '1', key],
  ],
  hashes: [
    ['HSET', key, member, member],
    ['HMSET', key, member, member],
    ['HSETNX', key, member, member],
    ['HINCRBY', key, member, '3'],
    ['HINCRBYFLOAT', key, member, '3'],
    ['HDEL', key, member, member],
    ['HGET', key, member],
  ],
  zsets: [
    ['ZADD', key, score, member],
    ['ZADD', key, 'NX', score, member],
    ['ZADD', key, 'INCR', score, member],
    ['ZINCRBY', key, score, member],
    ['ZREM', key, member, member],
    [fc.constantFrom('ZPOPMIN', 'ZPOPMAX'), key],
    ['ZMPOP', '1', key, end, 'COUNT', '2'],
    ['BZPOPMIN', key, '0.001'],
    ['BZMPOP', '0.001', '2', key, key, end],
    ['ZREMRANGEBYSCORE', key, '1', '2'],
    ['ZREMRANGEBYRANK', key, '0', '1'],
    ['ZREMRANGEBYLEX', key, '-', '[2'],
    [fc.constantFrom('ZUNIONSTORE', 'ZINTERSTORE', 'ZDIFFSTORE'), key, '2', key, key],
    ['ZRANGESTORE', key, key, '0', '1'],
    ['GEOADD', key, '1', '2', member],
    ['GEOSEARCHSTORE', key, key, 'FROMLONLAT', '1', '2', 'BYRADIUS', '1', 'km'],
    ['GEORADIUS', key, '1', '2', '1', 'km', 'STORE', key],
    ['ZCARD', key],
  ],
  streams: [
    ['XADD', key, id, 'f', 'v'],
    ['XADD', key, 'MAXLEN', '1', id, 'f', 'v'],
    ['XADD', key, 'NOMKSTREAM', 'MAXLEN', '0', id, 'f', 'v'],
    ['XADD', key, 'MAXLEN', '0', id, 'f', 'v'],
    ['XDEL', key, id, id],
    ['XTRIM', key, 'MAXLEN', '1'],
    ['XSETID', key, '9-9'],
    ['XGROUP', 'CREATE', key, group, '0', 'MKSTREAM'],
    ['XGROUP', 'SETID', key, group, '0'],
    ['XGROUP', 'DESTROY', key, group],
    ['XGROUP', 'CREATECONSUMER', key, group, member],
    ['XGROUP', 'DELCONSUMER', key, group, member],
    ['XREADGROUP', 'GROUP', group, member, 'COUNT', '1', 'STREAMS', key, '>'],
    ['XREADGROUP', 'GROUP', group, member, 'STREAMS', key, key, '>', '0'],
    ['XCLAIM', key, group, member, '0', id],
    ['XACK', key, group, id],
    ['XLEN', key],
    ['XINFO', 'STREAM', key],
    ['XREAD', 'STREAMS', key, '0'],
  ],
}

describeBeside('keyspace notifications', () => {
  let redis: Server
  let heard: Heard
  before(async () => {
    redis = await startServer({ kind: 'redis' })
    heard = await Heard.start(redis)
  })
  after(stopEverything)

  for (const [family, forms] of Object.entries(FORMS))
    it(`tell of ${family} what redis-server tells, in the same order`, () =>
      fc.assert(
        fc.asyncProperty(fc.array(requests(forms), { maxLength: 60 }), async (all) => {
          await heard.compare(all)
        }),
        { numRuns: 40 },
      ))

  it('have a name for what every command does that changes keys', () => {
    const { commands } = new InProcess().server
    const writers = [...commands.all()].filter(({ isWrite, subcommands }) => isWrite && subcommands === undefined)
    assert.deepEqual(
      writers
        .map(({ fullName }) => fullName)
        .filter((name) => !EVENTS.has(name) && !name.startsWith('function|'))
        .sort(),
      ['flushall', 'flushdb', 'pfdebug', 'swapdb', 'xack', 'xautoclaim', 'xclaim', 'xreadgroup'],
    )
    assert.deepEqual(
      [...EVENTS.keys()].filter((name) => commands.named(name) === undefined),
      [],
    )
  })

  it('tell of consumers that begin to exist by reading and claiming', () =>
    heard.compare([
      ['XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM'],
      ['XADD', 's', '1-1', 'f', 'v'],
      ['XREADGROUP', 'GROUP', 'g', 'one', 'STREAMS', 's', '>'],
      ['XREADGROUP', 'GROUP', 'g', 'one', 'STREAMS', 's', '>'],
      ['XCLAIM', 's', 'g', 'two', '0', '1-1'],
      ['XAUTOCLAIM', 's', 'g', 'three', '0', '0'],
      ['XREADGROUP', 'GROUP', 'g', 'four', 'STREAMS', 's', '0'],
    ]))

  it('tell of a key whose time has come before the key is missed', async () => {
    const events = await heard.compare([
      ['SET', 'k', 'v', 'PX', '1'],
      ['DEBUG', 'SLEEP', '0.003'],
      ['GET', 'k'],
    ])
    assert.deepEqual(events.slice(-4), [
      '__keyspace@0__:k expired',
      '__keyevent@0__:expired k',
      '__keyspace@0__:k keymiss',
      '__keyevent@0__:keymiss k',
    ])
  })

  it('tell of what a waiting client is given, by what it asked for', () => {
    const ours = new InProcess({ 'notify-keyspace-events': 'Eg$lz' })
    const [sender, listener] = [ours.connect(), ours.connect()]
    listener.raw(encode(['PSUBSCRIBE', '__key*']))
    for (const [waiting, push] of [
      [
        ['BLMOVE', 'l', 'm', 'LEFT', 'RIGHT', '0'],
        ['RPUSH', 'l', 'x'],
      ],
      [
        ['BLMPOP', '0', '1', 'l', 'RIGHT'],
        ['RPUSH', 'l', 'x'],
      ],
      [
        ['BZMPOP', '0', '1', 'z', 'MAX'],
        ['ZADD', 'z', '1', 'x'],
      ],
    ]) {
      ours.connect().raw(encode(waiting!))
      sender.raw(encode(push!))
    }
    assert.deepEqual(
      messagesIn(listener.taken()),
      [
        ...['rpush l', 'rpush m', 'lpop l', 'del l'],
        ...['rpush l', 'rpop l', 'del l', 'zadd z', 'zpopmax z', 'del z'],
      ].map((words) => `__keyevent@0__:${words}`),
    )
  })

  it('reach the client itself after its reply is complete', () => {
    const ours = new InProcess({ 'notify-keyspace-events': 'Em$' })
    const one = ours.connect()
    one.call('HELLO', '3')
    one.raw(encode(['SUBSCRIBE', '__keyevent@0__:keymiss', '__keyevent@0__:set']))
    const push = (event: string, name: string): string =>
      `>3\r\n$7\r\nmessage\r\n$${15 + event.length}\r\n__keyevent@0__:${event}\r\n$1\r\n${name}\r\n`
    assert.equal(
      one.raw(encode(['MGET', 'a', 'b'])).toString(),
      `*2\r\n_\r\n_\r\n${push('keymiss', 'a')}${push('keymiss', 'b')}`,
    )
    for (const words of [['MULTI'], ['SET', 'a', '1'], ['GET', 'b']]) one.raw(encode(words))
    assert.equal(one.raw(encode(['EXEC'])).toString(), `*2\r\n+OK\r\n_\r\n${push('set', 'a')}${push('keymiss', 'b')}`)
  })

  it('are raised only of the classes and on the channels that are asked for', () => {
    const ours = new InProcess()
    const [sender, listener] = [ours.connect(), ours.connect()]
    listener.raw(encode(['PSUBSCRIBE', '__key*']))
    const heardAfter = (classes: string): string[] => {
      sender.call('CONFIG', 'SET', 'notify-keyspace-events', classes)
      sender.call('SET', 'k', 'v', 'EX', '9')
      return messagesIn(listener.taken())
    }
    assert.deepEqual(heardAfter(''), [])
    assert.deepEqual(heardAfter('g$'), [])
    assert.deepEqual(heardAfter('K$'), ['__keyspace@0__:k set'])
    assert.deepEqual(heardAfter('Eg'), ['__keyevent@0__:expire k'])
    const [all, andNew] = ['EA', 'EAn'].map((classes) => {
      sender.call('DEL', 'k')
      listener.taken()
      return heardAfter(classes)
    })
    assert.deepEqual(andNew, ['__keyevent@0__:new k', ...all!])
  })

  it('come from inside transactions and scripts', () =>
    heard.compare([
      ['EVAL', "redis.call('SET', KEYS[1], '1', 'EX', 9) redis.call('GET', KEYS[2])", '2', 'a', 'b'],
      ['MULTI'],
      ['SET', 'a', '1'],
      ['EXPIRE', 'a', '9'],
      ['LPUSH', 'l', 'x'],
      ['LPOP', 'l'],
      ['EXEC'],
    ]))
})
