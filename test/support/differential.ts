/** Random requests to a redis-server and to a server of ours: the replies have to be the same, byte by byte where the passing of
 *  time and the order of keys allow it. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type Client, connect } from './client.ts'
import { InProcess, type Wired } from './inprocess.ts'
import { type Server, startServer } from './process.ts'
import { CLOCK_TOLERANCE_MS, checkReplies, type Request } from './replies.ts'
import { type Argument, encode } from './resp.ts'
import { commandsOf, StreamTap, type Words } from './stream-tap.ts'

export type { Request } from './replies.ts'

/** How many requests go before, so that whatever a sequence that failed has left open ends. */
const PREPARATION = 3

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
    const all: Request[] = [['RESET'], ['HELLO', protocol], ['FLUSHALL'], ...requests]
    const theirs = await Promise.all(all.map((request) => this.#theirs.raw(encode(request))))
    const ours = all.map((request) => this.#ours.raw(encode(request)))
    checkReplies(requests, ours.slice(PREPARATION), theirs.slice(PREPARATION))
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

/** Our words with deadlines as theirs, where the two are as close as two clocks are. */
const byOneClock = (words: Words, theirs: Words | undefined): Words =>
  words.map((word, i) => {
    const other = theirs?.[i]
    const isInstant = /^\d{13}$/.test(word) && other !== undefined && /^\d{13}$/.test(other)
    return isInstant && Math.abs(Number(word) - Number(other)) <= CLOCK_TOLERANCE_MS ? other : word
  })

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
