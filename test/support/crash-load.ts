/** Clients that write until the server dies, and remember what it has acknowledged: what of it is missing afterwards is a broken
 *  promise. Each has keys of its own and one request on its way at a time, so at most that one may or may not have happened. */
import assert from 'node:assert/strict'
import { type Client, connect } from './client.ts'
import type { Value } from './resp.ts'

const WRITERS = 6

/** A type that grows by one element with every step: how it does and what that is answered, and how its elements are read back. */
interface Growth {
  readonly type: string
  readonly add: (key: string, n: number) => readonly string[]
  readonly answer: (n: number) => number | string
  readonly read: (key: string) => readonly string[]
}

const one = (): number => 1
const streamId = (n: number): string => `${n + 1}-0`

const GROWTHS: readonly Growth[] = [
  {
    type: 'list',
    add: (key, n) => ['RPUSH', key, `${n}`],
    answer: (n) => n + 1,
    read: (key) => ['LRANGE', key, '0', '-1'],
  },
  { type: 'hash', add: (key, n) => ['HSET', key, `${n}`, 'x'], answer: one, read: (key) => ['HKEYS', key] },
  { type: 'set', add: (key, n) => ['SADD', key, `${n}`], answer: one, read: (key) => ['SMEMBERS', key] },
  {
    type: 'zset',
    add: (key, n) => ['ZADD', key, `${n}`, `${n}`],
    answer: one,
    read: (key) => ['ZRANGE', key, '0', '-1'],
  },
  {
    type: 'stream',
    add: (key, n) => ['XADD', key, streamId(n), 'n', `${n}`],
    answer: streamId,
    read: (key) => ['XRANGE', key, '-', '+'],
  },
]

/** The number of an element: a stream's stands in its only field. */
const numberOf = (element: Value): number =>
  Number(Array.isArray(element) ? (element as [string, [string, string]])[1][1] : element)

/** A queue between one client that pushes and another that waits with BLPOP: whatever was pushed is there, or was popped once. */
class Queue {
  readonly #key: string
  #sent = 0
  /** Pushed, as the server has said, and not popped, as far as it has said so. */
  #there = new Set<number>()
  #popped = -1

  constructor(key: string) {
    this.#key = key
  }

  async push(client: Client): Promise<void> {
    const n = this.#sent++
    await client.call('RPUSH', this.#key, `${n}`)
    if (n > this.#popped) this.#there.add(n)
  }

  async pop(client: Client): Promise<void> {
    const reply = (await client.call('BLPOP', this.#key, '0.1')) as readonly string[] | null
    if (reply === null) return
    const n = Number(reply[1])
    assert.ok(n > this.#popped, `${n} was popped after ${this.#popped}`)
    this.#popped = n
    this.#there.delete(n)
  }

  /** Of a push and of a pop the reply may have been lost. */
  async check(client: Client): Promise<void> {
    const found = ((await client.call('LRANGE', this.#key, '0', '-1')) as readonly string[]).map(Number)
    const missing = [...this.#there].filter((n) => !found.includes(n))
    const unheard = found.filter((n) => !this.#there.has(n))
    assert.deepEqual(
      missing,
      [...this.#there].slice(0, Math.min(1, missing.length)),
      'pushed, and neither there nor popped',
    )
    assert.ok(
      unheard.every((n) => n === this.#sent - 1 && n > this.#popped),
      `popped, and there again: ${unheard}`,
    )
    this.#there = new Set(found)
  }
}

/** What one client knows. */
class Writer {
  readonly #name: string
  readonly #queue: Queue
  #counted = 0
  #paired = 0
  #appended = 0
  readonly #grown = GROWTHS.map(() => 0)

  constructor(name: string) {
    this.#name = name
    this.#queue = new Queue(`${name}:queue`)
  }

  /** Writes until the connection breaks or `isOver`. */
  async run(port: number, isOver: () => boolean): Promise<void> {
    const repeat = async (step: (client: Client) => Promise<void>): Promise<void> => {
      const client = await connect(port)
      try {
        while (!isOver()) await step(client)
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
      } finally {
        client.close()
      }
    }
    await Promise.all([repeat((client) => this.#step(client)), repeat((client) => this.#queue.pop(client))])
  }

  async #step(client: Client): Promise<void> {
    const name = this.#name
    assert.equal(await client.text('INCR', `${name}:count`), String(this.#counted + 1))
    this.#counted++
    const pair = [['MULTI'], ['INCR', `${name}:one`], ['INCR', `${name}:other`], ['EXEC']]
    const replies = await client.pipeline(pair)
    assert.deepEqual(replies.at(-1), [this.#paired + 1, this.#paired + 1])
    this.#paired++
    await client.call('APPEND', `${name}:log`, `${this.#appended},`)
    this.#appended++
    for (const [i, { type, add, answer }] of GROWTHS.entries()) {
      const n = this.#grown[i]!
      assert.equal(await client.call(...add(`${name}:${type}`, n)), answer(n))
      this.#grown[i]!++
    }
    await this.#queue.push(client)
    await client.call('SET', `${name}:brief`, 'x', 'PX', '20')
    await client.call('DEL', `${name}:gone`)
    await client.call('SET', `${name}:gone`, 'x')
  }

  /** Compares what is there with what was acknowledged, and goes on from what is there. */
  async check(client: Client): Promise<void> {
    const name = this.#name
    const number = async (key: string): Promise<number> => Number(await client.call('GET', `${name}:${key}`))
    this.#counted = between(await number('count'), this.#counted, 'INCR')
    const one = await number('one')
    assert.equal(one, await number('other'), 'half a transaction')
    this.#paired = between(one, this.#paired, 'EXEC')
    const log = await client.text('GET', `${name}:log`)
    const entries = log.split(',').slice(0, -1)
    assert.deepEqual(entries, [...entries.keys()].map(String), 'the order was not kept')
    this.#appended = between(entries.length, this.#appended, 'APPEND')
    for (const [i, { type, read }] of GROWTHS.entries()) {
      const found = ((await client.call(...read(`${name}:${type}`))) as readonly Value[]).map(numberOf)
      if (type !== 'list') found.sort((one, other) => one - other)
      assert.deepEqual(found, [...found.keys()], `elements of a ${type} are missing`)
      this.#grown[i] = between(found.length, this.#grown[i]!, type)
    }
    await this.#queue.check(client)
  }
}

function between(found: number, acknowledged: number, what: string): number {
  const isKept = found === acknowledged || found === acknowledged + 1
  assert.ok(isKept, `${what}: ${acknowledged} were acknowledged, there are ${found}`)
  return found
}

export class CrashLoad {
  readonly #writers = Array.from({ length: WRITERS }, (_, i) => new Writer(`w${i}`))
  #isOver = false

  /** Writes until the server is gone, or `stop` is called. Rejects when a reply is wrong. */
  async untilCrash(port: number): Promise<void> {
    this.#isOver = false
    await Promise.all(this.#writers.map((writer) => writer.run(port, () => this.#isOver)))
  }

  stop(): void {
    this.#isOver = true
  }

  /** Everything acknowledged is at `port`. Throws otherwise. */
  async check(port: number): Promise<void> {
    const client = await connect(port)
    for (const writer of this.#writers) await writer.check(client)
    client.close()
  }
}
