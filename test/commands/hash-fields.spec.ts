/** HGETDEL, HGETEX and HSETEX. What they answer is what redis-server 8.0.2 was seen to answer. */
import assert from 'node:assert/strict'
import { argvOf } from '../../lib/resp/argv.ts'
import { InProcess, type Wired } from '../support/inprocess.ts'

const FAR = 4_000_000_000_000
const LATEST = 2 ** 46 - 1

type Case = readonly [request: string, reply: unknown, left?: string]

const MISPLACED = 'ERR Mandatory argument FIELDS is missing or not at the right position'
const MISMATCH = 'ERR The `numfields` parameter must match the number of arguments'
const NO_FIELDS = 'ERR Number of fields must be a positive integer'
const INVALID_NUMBER = 'ERR invalid number of fields'
const NOT_INTEGER = 'ERR value is not an integer or out of range'
const NEGATIVE = 'ERR invalid expire time, must be >= 0'
const WRONG_TYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value'
const ONE_CONDITION = 'ERR Only one of FXX or FNX arguments can be specified'
const ONE_EXPIRATION = 'ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified'
const invalidTime = (name: string): string => `ERR invalid expire time in '${name}' command`
const arity = (name: string): string => `ERR wrong number of arguments for '${name}' command`

/** Of the hash a=1 b=2 c=3, of which b has the deadline FAR: what it holds afterwards, the last digits of a deadline behind @. */
const AS_IT_WAS = 'a=1 b=2@0 c=3'

const TAKEN: readonly Case[] = [
  ['HGETDEL h FIELDS 2 a nosuch', ['1', null], 'b=2@0 c=3'],
  ['HGETDEL h fields 2 b b', ['2', null], 'a=1 c=3'],
  ['HGETDEL h FIELDS 3 a b c', ['1', '2', '3'], ''],
  ['HGETDEL h FIELDS 1 nosuch', [null], AS_IT_WAS],
  ['HGETDEL nokey FIELDS 2 a b', [null, null], AS_IT_WAS],
]

const GOT: readonly Case[] = [
  ['HGETEX h FIELDS 2 a nosuch', ['1', null], AS_IT_WAS],
  ['HGETEX h FIELDS 2 a a', ['1', '1'], AS_IT_WAS],
  ['HGETEX nokey FIELDS 2 a b', [null, null], AS_IT_WAS],
  ['HGETEX nokey EX 0 FIELDS 1 a', [null], AS_IT_WAS],
  [`HGETEX h PXAT ${FAR + 1} FIELDS 2 a nosuch`, ['1', null], 'a=1@1 b=2@0 c=3'],
  [`HGETEX h pxat ${FAR + 1} FIELDS 2 b b`, ['2', '2'], 'a=1 b=2@1 c=3'],
  [`HGETEX h EXAT ${FAR / 1000 + 1} FIELDS 2 a b`, ['1', '2'], 'a=1@1000 b=2@1000 c=3'],
  ['HGETEX h PERSIST FIELDS 3 a b nosuch', ['1', '2', null], 'a=1 b=2 c=3'],
  [`HGETEX h PXAT ${LATEST} FIELDS 1 a`, ['1'], `a=1@${LATEST - FAR} b=2@0 c=3`],
  ['HGETEX h PXAT 1 FIELDS 3 a a nosuch', ['1', null, null], 'b=2@0 c=3'],
  ['HGETEX h EXAT 1 FIELDS 1 b', ['2'], 'a=1 c=3'],
  ['HGETEX h EX 0 FIELDS 3 a b c', ['1', '2', '3'], ''],
]

const SET: readonly Case[] = [
  ['HSETEX h FIELDS 2 a x d y', 1, 'a=x b=2@0 c=3 d=y'],
  ['HSETEX h FIELDS 2 a x a y', 1, 'a=y b=2@0 c=3'],
  ['HSETEX h FIELDS 1 b x', 1, 'a=1 b=x c=3'],
  ['HSETEX h keepttl fields 2 b x d y', 1, 'a=1 b=x@0 c=3 d=y'],
  ['HSETEX h KEEPTTL FIELDS 2 b x b y', 1, 'a=1 b=y@0 c=3'],
  [`HSETEX h PXAT ${FAR + 1} FIELDS 2 a x b y`, 1, 'a=x@1 b=y@1 c=3'],
  [`HSETEX h EXAT ${FAR / 1000 + 1} FIELDS 2 a x d y`, 1, 'a=x@1000 b=2@0 c=3 d=y@1000'],
  ['HSETEX h FNX FIELDS 2 d x a y', 0, AS_IT_WAS],
  ['HSETEX h FNX FIELDS 2 d x d y', 1, 'a=1 b=2@0 c=3 d=y'],
  ['HSETEX h FXX FIELDS 2 a x d y', 0, AS_IT_WAS],
  ['HSETEX h FXX KEEPTTL FIELDS 2 a x b y', 1, 'a=x b=y@0 c=3'],
  [`HSETEX h PXAT ${FAR + 1} FXX FIELDS 1 b x`, 1, 'a=1 b=x@1 c=3'],
  ['HSETEX nokey FXX FIELDS 1 b x', 0, AS_IT_WAS],
  ['HSETEX nokey FNX PXAT 1 FIELDS 1 b x', 1, AS_IT_WAS],
  ['HSETEX h PXAT 1 FIELDS 3 a x a y d z', 1, 'b=2@0 c=3'],
  ['HSETEX h FXX EXAT 1 FIELDS 3 a x b x c x', 1, ''],
  ['HSETEX h FNX PX 0 FIELDS 1 d x', 1, AS_IT_WAS],
  // A value may look like an option.
  ['HSETEX h FIELDS 2 ex 5 fields x', 1, 'a=1 b=2@0 c=3 ex=5 fields=x'],
]

const REFUSED: readonly Case[] = [
  ['HGETDEL h FIELDS 0 a', NO_FIELDS],
  ['HGETDEL h FIELDS 01 a', NO_FIELDS],
  ['HGETDEL h FIELDS 9223372036854775808 a', NO_FIELDS],
  ['HGETDEL h FIELDS 9223372036854775807 a', MISMATCH],
  ['HGETDEL h FIELDS 2 a', MISMATCH],
  ['HGETDEL h FIELDS 1 a b', MISMATCH],
  ['HGETDEL h FIELD 1 a', MISPLACED],
  ['HGETDEL h FIELDS 1', arity('hgetdel')],
  ['HGETDEL nokey x 1 a', MISPLACED],
  ['HGETDEL s FIELD 1 a', WRONG_TYPE],

  ['HGETEX h EX -1 FIELDS 1 a', NEGATIVE],
  ['HGETEX h EX x FIELDS 0 a', NOT_INTEGER],
  ['HGETEX h EX FIELDS 1 a', NOT_INTEGER],
  ['HGETEX h EX 9223372036854775808 FIELDS 1 a', NOT_INTEGER],
  ['HGETEX h EX 9223372036854775807 FIELDS 1 a', invalidTime('hgetex')],
  [`HGETEX h PX ${LATEST} FIELDS 1 a`, invalidTime('hgetex')],
  [`HGETEX h PXAT ${LATEST + 1} FIELDS 1 a`, invalidTime('hgetex')],
  ['HGETEX nokey EX x FIELDS 1 a', NOT_INTEGER],
  ['HGETEX h EX 1 EX 1 FIELDS 1 a', MISPLACED],
  ['HGETEX h PERSIST EX 1 FIELDS 1 a', MISPLACED],
  ['HGETEX h KEEPTTL FIELDS 1 a', MISPLACED],
  ['HGETEX h EX 10 a', MISPLACED],
  ['HGETEX h EX 10 FIELDS', NO_FIELDS],
  ['HGETEX h FIELDS FIELDS 1 a', NO_FIELDS],
  ['HGETEX h EX 10 FIELDS 1', MISMATCH],
  ['HGETEX h FIELDS 1 a EX 1', MISMATCH],
  ['HGETEX h FIELDS 1', arity('hgetex')],
  ['HGETEX s EX x FIELDS 1 a', WRONG_TYPE],

  ['HSETEX h EX -1 FIELDS 1 a x', NEGATIVE],
  ['HSETEX h EX x FNX FOO FIELDS 1 a x', NOT_INTEGER],
  ['HSETEX h EX FIELDS 1 a x', NOT_INTEGER],
  ['HSETEX h PX 9223372036854775807 FIELDS 1 a x', invalidTime('hsetex')],
  [`HSETEX h PXAT ${LATEST + 1} FIELDS 1 a x`, invalidTime('hsetex')],
  ['HSETEX h FNX FXX FIELDS 1 d x', ONE_CONDITION],
  ['HSETEX h FXX FXX FIELDS 1 a x', ONE_CONDITION],
  ['HSETEX h EX 1 PX 1 FIELDS 1 a x', ONE_EXPIRATION],
  ['HSETEX h KEEPTTL EX 1 FIELDS 1 a x', ONE_EXPIRATION],
  ['HSETEX h KEEPTTL KEEPTTL FIELDS 1 a x', ONE_EXPIRATION],
  ['HSETEX h PERSIST FIELDS 1 a x', 'ERR unknown argument: PERSIST'],
  ['HSETEX h nx FIELDS 1 a x', 'ERR unknown argument: nx'],
  ['HSETEX h FNX EX 10 b c', 'ERR unknown argument: b'],
  ['HSETEX h FIELDS 0 a x', INVALID_NUMBER],
  ['HSETEX h FIELDS x a x', INVALID_NUMBER],
  ['HSETEX h FIELDS 2147483648 a x', INVALID_NUMBER],
  ['HSETEX h FIELDS 1073741824 a x', arity('hsetex')],
  ['HSETEX h FIELDS 1 a x FNX', arity('hsetex')],
  ['HSETEX h FIELDS 2 a x b', arity('hsetex')],
  ['HSETEX h EX 10 FIELDS 1', arity('hsetex')],
  ['HSETEX s FIELDS 1 a x', WRONG_TYPE],
  ['HSETEX s EX x FIELDS 1 a x', NOT_INTEGER],
  ['HSETEX s FNX FIELDS 0 a x', INVALID_NUMBER],
]

/** The events of each request, in order, with every class of them asked for. */
const EVENTS: readonly (readonly [request: string, events: string])[] = [
  ['HGETDEL h FIELDS 2 a nosuch', 'hdel'],
  ['HGETDEL h FIELDS 3 a b c', 'hdel del'],
  ['HGETDEL h FIELDS 1 nosuch', ''],
  ['HGETEX h FIELDS 1 a', ''],
  ['HGETEX nokey FIELDS 1 a', ''],
  [`HGETEX h PXAT ${FAR} FIELDS 1 b`, 'hexpire'],
  ['HGETEX h PERSIST FIELDS 2 a b', 'hpersist'],
  ['HGETEX h PERSIST FIELDS 1 a', ''],
  ['HGETEX h PXAT 1 FIELDS 1 a', 'hdel'],
  ['HGETEX h PXAT 1 FIELDS 3 a b c', 'hdel del'],
  ['HSETEX h FIELDS 2 ex 5 px x', 'hset'],
  ['HSETEX h KEEPTTL FIELDS 1 b x', 'hset'],
  ['HSETEX h FNX FIELDS 1 a x', ''],
  ['HSETEX h EX 100 FIELDS 1 a x', 'hset hexpire'],
  ['HSETEX h FXX PXAT 4000000000000 FIELDS 1 a x', 'hset hexpire'],
  ['HSETEX nokey FIELDS 1 b x', 'new hset'],
  ['HSETEX nokey EX 100 FIELDS 1 b x', 'new hset hexpire'],
  ['HSETEX nokey PXAT 1 FIELDS 2 b x c y', 'new hset hdel del'],
  ['HSETEX h PXAT 1 FIELDS 1 d x', 'hset hdel'],
  ['HSETEX h PXAT 1 FIELDS 3 a x b x c x', 'hset hdel del'],
]

describe('HGETDEL, HGETEX and HSETEX', () => {
  let inner: InProcess
  let client: Wired
  beforeEach(() => {
    inner = new InProcess({ 'notify-keyspace-events': 'KEAmn' })
    client = inner.connect()
    client.call('SET', 's', 'text')
  })

  const ask = (words: string): unknown => client.call(...words.split(' '))
  const fill = (): void => {
    ask('DEL h nokey')
    ask('HSET h a 1 b 2 c 3')
    ask(`HPEXPIREAT h ${FAR} FIELDS 1 b`)
  }
  /** What is left of the hash, as the tables write it. */
  const left = (): string => {
    const pairs = ask('HGETALL h') as readonly string[]
    const one = (name: string, value: string): string => {
      const [at] = ask(`HPEXPIRETIME h FIELDS 1 ${name}`) as readonly number[]
      return at === -1 ? `${name}=${value}` : `${name}=${value}@${at! - FAR}`
    }
    return pairs
      .flatMap((name, i) => (i % 2 === 0 ? [one(name, pairs[i + 1]!)] : []))
      .sort()
      .join(' ')
  }
  /** A request in the stream of a primary, which is never answered. */
  const apply = (words: string): void => inner.server.apply(argvOf(words.split(' ')), 0)

  for (const [title, cases] of [
    ['HGETDEL takes what is there', TAKEN],
    ['HGETEX gives deadlines, or takes them away', GOT],
    ['HSETEX sets all or nothing, and old deadlines are gone unless they are kept', SET],
  ] as const)
    it(title, () => {
      for (const [request, reply, rest] of cases) {
        fill()
        assert.deepEqual(ask(request), reply, request)
        assert.equal(left(), rest, request)
        assert.equal(ask('EXISTS h'), rest === '' ? 0 : 1, request)
        assert.equal(ask('EXISTS nokey'), 0, request)
      }
    })

  it('say what is wrong, and change nothing then', () => {
    fill()
    for (const [request, reply] of REFUSED) {
      assert.equal(client.outcome(...request.split(' ')), reply, request)
      assert.equal(left(), AS_IT_WAS, request)
    }
  })

  it('read times in seconds and milliseconds from now', () => {
    fill()
    ask('HSETEX h EX 100 FIELDS 1 a x')
    ask('HGETEX h PX 200000 FIELDS 1 b')
    assert.deepEqual(ask('HTTL h FIELDS 3 a b c'), [100, 200, -1])
  })

  it('raise events', () => {
    const listener = inner.connect()
    listener.raw(Buffer.from('PSUBSCRIBE __keyevent@0__:*\r\n'))
    for (const [request, events] of EVENTS) {
      fill()
      listener.taken()
      ask(request)
      const heard = listener
        .taken()
        .toString()
        .matchAll(/__:(\w+)\r\n\$\d+\r\n[hn]/g)
      assert.equal([...heard].map(([, event]) => event).join(' '), events, request)
    }
  })

  it('are replicated as HSET, HDEL and deadlines, which a redis-server 7.0 reads', () => {
    const TOLD: readonly (readonly [request: string, told: readonly string[]])[] = [
      ['HGETDEL h FIELDS 3 a nosuch a', ['HDEL h a']],
      ['HGETDEL h FIELDS 1 nosuch', []],
      ['HGETEX h FIELDS 1 b', []],
      ['HGETEX h PERSIST FIELDS 1 c', []],
      ['HGETEX h PERSIST FIELDS 2 b c', ['REPLCONF ACK 0 hash-deadlines h b 0']],
      [`HGETEX h EXAT ${FAR / 1000} FIELDS 3 a nosuch c`, [`REPLCONF ACK 0 hash-deadlines h a ${FAR} c ${FAR}`]],
      ['HGETEX h EXAT 1 FIELDS 2 a nosuch', ['HDEL h a']],
      ['HSETEX h FIELDS 2 a x b y', ['HSET h a x b y']],
      ['HSETEX h FNX FIELDS 1 a x', []],
      [
        `HSETEX h FXX PXAT ${FAR} FIELDS 2 a x b y`,
        ['MULTI', 'HSET h a x b y', `REPLCONF ACK 0 hash-deadlines h a ${FAR} b ${FAR}`, 'EXEC'],
      ],
      [
        'HSETEX h KEEPTTL FIELDS 2 a x b y',
        ['MULTI', 'HSET h a x b y', `REPLCONF ACK 0 hash-deadlines h b ${FAR}`, 'EXEC'],
      ],
      ['HSETEX h PXAT 1 FIELDS 2 a x d y', ['HDEL h a d']],
    ]
    for (const [request, told] of TOLD) {
      inner = new InProcess()
      client = inner.connect()
      fill()
      const taken = inner.replicated()
      ask(request)
      inner.server.endTurn()
      assert.deepEqual(taken(), told.length === 0 ? [] : ['SELECT 0', ...told], request)
    }
  })

  it('are understood in the stream of a primary that has them, twice as well as once', () => {
    const past = Date.now() - 1000
    fill()
    for (let times = 0; times < 2; times++) {
      apply(`HSETEX h PXAT ${FAR + 1} FIELDS 2 a x d y`)
      apply('HSETEX h KEEPTTL FIELDS 1 b z')
      assert.equal(left(), 'a=x@1 b=z@0 c=3 d=y@1')
    }
    // Whether it is past is for the primary to say.
    apply(`HSETEX h PXAT ${past} FIELDS 1 a y`)
    const digest = ask('DEBUG DIGEST-VALUE h')
    apply(`HSETEX h PXAT ${past} FIELDS 1 a y`)
    assert.deepEqual(ask('DEBUG DIGEST-VALUE h'), digest)
    apply('HGETEX h FIELDS 1 a')
    apply('HSETEX h KEEPTTL FIELDS 1 a z')
    apply(`HPEXPIREAT h ${FAR} FIELDS 1 a`)
    assert.equal(left(), 'a=z@0 b=z@0 c=3 d=y@1')
    // Valkey tells HGETDEL as such, and has later deadlines.
    apply('HGETDEL h FIELDS 2 d nosuch')
    apply(`HSETEX h PXAT ${LATEST + 1} FIELDS 1 c 3`)
    assert.equal(left(), `a=z@0 b=z@0 c=3@${LATEST - FAR}`)
  })

  it('obey a primary that has looked at the condition already', () => {
    fill()
    apply(`HSETEX h PXAT ${Date.now() - 1000} FIELDS 1 a 1`)
    // There the field had gone, and was replaced without a word of that.
    apply('HSETEX h fnx FIELDS 1 a x')
    apply('HSETEX h nx FIELDS 1 d y')
    assert.equal(left(), 'a=x b=2@0 c=3 d=y')
  })
})
