/** Random requests to a redis-server and to a server of ours: the replies have to be the same, byte by byte where the passing of
 *  time and the order of keys allow it. */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { type Client, connect } from './client.ts'
import { InProcess, type Wired } from './inprocess.ts'
import { type Server, startServer } from './process.ts'
import { type Argument, decode, encode, ReplyError, type Value } from './resp.ts'
import { commandsOf, StreamTap, type Words } from './stream-tap.ts'

export type Request = readonly Argument[]

/** The clocks of two servers are read at slightly different moments. */
const CLOCK_TOLERANCE_MS = 3000

const isNumber = (value: Value | undefined): value is number => typeof value === 'number'

/** Ours are not kept exactly beyond 2^53 ms; by 9 * 10^15 (year 287000) nobody waits for the difference. */
const FAR_MS = 9e15

const near =
  (unitMs: number) =>
  (ours: Value, theirs: Value): boolean => {
    if (!isNumber(ours) || !isNumber(theirs) || ours < 0 !== theirs < 0) return false
    const [a, b] = [ours, theirs].map((value) => Math.min(value * unitMs, FAR_MS)) as [number, number]
    return Math.abs(a - b) <= CLOCK_TOLERANCE_MS
  }

/** Equal, arrays and maps regardless of their order. */
function sameMembers(ours: Value, theirs: Value): boolean {
  const canonical = (value: Value): string => {
    if (value instanceof Map) return canonical([...value])
    return Array.isArray(value) ? `[${value.map(canonical).sort().join()}]` : JSON.stringify(plain(value))
  }
  return canonical(ours) === canonical(theirs)
}

const plain = (value: Value): unknown => (value instanceof ReplyError ? { error: value.message } : value)

/** Equal, moments and the time since them left out: of consumers, and of what is pending for them. */
function sameButTimes(ours: Value, theirs: Value): boolean {
  const timeless = (value: Value): unknown => {
    const items = value instanceof Map ? [...value].flat() : value
    if (!Array.isArray(items)) return plain(value)
    return items.map((item: Value, i) => (isTime(items, i) ? 'a time' : timeless(item)))
  }
  return JSON.stringify(timeless(ours)) === JSON.stringify(timeless(theirs))
}

/** A Unix time, `idle` and its value, or the third of the four words about a pending entry. */
const isTime = (items: readonly Value[], i: number): boolean =>
  isNumber(items[i]) && (items[i] > 1e12 || items[i - 1] === 'idle' || (i === 2 && items.length === 4))

const sameKind = (ours: Value, theirs: Value): boolean =>
  typeof ours === typeof theirs && (ours === null) === (theirs === null)
/** As many elements, whichever they are. */
const sameShape = (ours: Value, theirs: Value): boolean =>
  Array.isArray(ours) && Array.isArray(theirs)
    ? ours.length === theirs.length && ours.every((value, i) => sameShape(value, theirs[i] as Value))
    : sameKind(ours, theirs)

type Leniency = (ours: Value, theirs: Value) => boolean

/** Replies that may differ, and how far. */
const LENIENT: ReadonlyMap<string, Leniency> = new Map([
  ['ttl', near(1000)],
  ['pttl', near(1)],
  ['expiretime', near(1000)],
  ['pexpiretime', near(1)],
  ['keys', sameMembers],
  ['scan', sameMembers],
  ['hgetall', sameMembers],
  ['hkeys', sameMembers],
  ['hvals', sameMembers],
  ['hscan', sameMembers],
  ['hrandfield', sameShape],
  ['smembers', sameMembers],
  ['sscan', sameMembers],
  ['sinter', sameMembers],
  ['sunion', sameMembers],
  ['sdiff', sameMembers],
  ['spop', sameMembers],
  ['srandmember', sameShape],
  ['zscan', sameMembers],
  ['zrandmember', sameShape],
  ['randomkey', sameKind],
  ['xpending', sameButTimes],
  ['xinfo', sameButTimes],
])

export class Differential {
  readonly #redis: Server
  readonly #theirs: Client
  readonly #inner: InProcess
  readonly #ours: Wired
  #tap: StreamTap | undefined

  private constructor(redis: Server, theirs: Client, conf: Readonly<Record<string, string>>) {
    this.#redis = redis
    this.#theirs = theirs
    this.#inner = new InProcess(conf)
    this.#ours = this.#inner.connect()
  }

  /** `conf` holds for both. `stopEverything` ends it. */
  static async start(conf: Readonly<Record<string, string>> = {}): Promise<Differential> {
    const redis = await startServer({ kind: 'redis', conf })
    const theirs = await connect(redis.port)
    // What is due goes when somebody looks, on both sides.
    await theirs.call('DEBUG', 'SET-ACTIVE-EXPIRE', 0)
    return new Differential(redis, theirs, conf)
  }

  /** Sends the requests to both servers, empty at first, and compares each pair of replies. */
  async compare(requests: readonly Request[], protocol: 2 | 3 = 2): Promise<void> {
    // Whatever a sequence that failed has left open ends here.
    const all: Request[] = [['RESET'], ['HELLO', protocol], ['FLUSHALL'], ...requests]
    const theirs = await Promise.all(all.map((request) => this.#theirs.raw(encode(request))))
    const queued: string[] = []
    for (const [i, request] of all.entries()) {
      const ours = this.#ours.raw(encode(request))
      const name = nameOf(request)
      if (i > 1 && !agree(ours, theirs[i]!, name === 'exec' ? inTransaction(queued) : LENIENT.get(name)))
        assert.equal(ours.latin1Slice(), theirs[i]!.latin1Slice(), request.map(shown).join(' '))
      if (ours.equals(QUEUED)) queued.push(name)
      else if (name === 'exec' || name === 'discard') queued.length = 0
    }
  }

  /** As `compare`, of random sequences in either protocol. */
  agree(one: fc.Arbitrary<Request>, numRuns: number, minLength = 40, maxLength = 80): Promise<void> {
    const sequences = fc.array(one, { minLength, maxLength, size: 'max' })
    return fc.assert(
      fc.asyncProperty(sequences, fc.constantFrom<2 | 3>(2, 3), (all, protocol) => this.compare(all, protocol)),
      { numRuns },
    )
  }

  /** As `compare`; and replicas are told the same, apart from the moment at which a deadline was worked out. */
  async compareStreams(requests: readonly Request[]): Promise<void> {
    const { stream } = this.#inner.server.replication
    if (this.#tap === undefined) {
      stream.open('a'.repeat(40))
      this.#tap = await StreamTap.open(this.#redis.port)
    }
    // Both streams begin anew, as after a SELECT.
    await this.compare([
      ['SELECT', 9],
      ['SET', 'begin', ''],
    ])
    await this.#tap.until('begin')
    const from = stream.offset + 1
    await this.compare([...requests, ['SET', 'end', '']])
    const theirs = await this.#tap.until('end')
    const ours = commandsOf(Buffer.concat(stream.readFrom(from)))
    assert.deepEqual(
      ours.map((words, i) => byOneClock(words, theirs[i])),
      theirs,
    )
  }
}

const QUEUED = Buffer.from('+QUEUED\r\n')

const nameOf = (request: Request): string => String(request[0]).toLowerCase()

/** Whether two replies are the same, or as near as `lenient` wants them. */
function agree(ours: Buffer, theirs: Buffer, lenient: Leniency | undefined): boolean {
  if (ours.equals(theirs)) return true
  const [a, b] = [decode(ours, 0)?.value, decode(theirs, 0)?.value]
  return lenient !== undefined && a !== undefined && b !== undefined && lenient(a, b)
}

const sameValue: Leniency = (ours, theirs) => isDeepStrictEqual(plain(ours), plain(theirs))

/** The replies of EXEC: each as that of its own command. */
const inTransaction =
  (names: readonly string[]): Leniency =>
  (ours, theirs) =>
    Array.isArray(ours) &&
    Array.isArray(theirs) &&
    ours.length === theirs.length &&
    ours.every((value, i) => {
      const other = theirs[i] as Value
      return sameValue(value, other) || LENIENT.get(names[i]!)?.(value, other) === true
    })

/** Our words with deadlines as theirs, where the two are as close as two clocks are. */
const byOneClock = (words: Words, theirs: Words | undefined): Words =>
  words.map((word, i) => {
    const other = theirs?.[i]
    const isInstant = /^\d{13}$/.test(word) && other !== undefined && /^\d{13}$/.test(other)
    return isInstant && Math.abs(Number(word) - Number(other)) <= CLOCK_TOLERANCE_MS ? other : word
  })

const shown = (argument: Argument): string =>
  JSON.stringify(Buffer.isBuffer(argument) ? argument.latin1Slice() : argument)

/** Words an argument can be drawn from, or another grammar for it. */
export type Slot = fc.Arbitrary<Argument> | string

/** Requests of these forms: a text stands for itself. One in ten is spoiled: too short, too long, or shouted. */
export function requests(forms: readonly (readonly Slot[])[]): fc.Arbitrary<Request> {
  const form = fc.oneof(
    ...forms.map((slots) => fc.tuple(...slots.map((slot) => (typeof slot === 'string' ? fc.constant(slot) : slot)))),
  )
  return fc.oneof(
    { weight: 27, arbitrary: form },
    { weight: 1, arbitrary: form.map((words) => words.slice(0, Math.max(1, words.length - 1))) },
    { weight: 1, arbitrary: form.map((words) => [...words, 'extra']) },
    {
      weight: 1,
      arbitrary: form.map((words) => words.map((word) => (typeof word === 'string' ? word.toUpperCase() : word))),
    },
  )
}

/** Few keys, so that requests meet: plain, with a hash tag, empty and binary. */
export const someKey: fc.Arbitrary<Argument> = fc.constantFrom<Argument>(
  'a',
  'b',
  'c',
  '{a}x',
  '',
  Buffer.from([0, 0x0d, 0x0a, 0xff]),
)

/** Integers and what nearly is one. */
export const someInteger: fc.Arbitrary<Argument> = fc.oneof(
  fc.integer({ min: -20, max: 20 }),
  fc.constantFrom<Argument>(
    '9223372036854775807',
    '-9223372036854775808',
    '9223372036854775808',
    '-9223372036854775807',
    '9007199254740991',
    '9007199254740993',
    '4611686018427387904',
    '2147483648',
    '-0',
    '+1',
    '007',
    ' 1',
    '1 ',
    '1.0',
    '',
    'x',
    '123456789012345678901234567890',
  ),
)

/** Texts, numbers, bytes; now and then longer than what is kept in one piece. */
export const someValue: fc.Arbitrary<Argument> = fc.oneof(
  someInteger,
  fc.constantFrom<Argument>('hello', 'Hello World', 'x'.repeat(44), 'x'.repeat(45), Buffer.from([0, 1, 254, 255])),
  fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
)
