/** Clients that write until the server dies, and remember what it has acknowledged: what of it is missing afterwards is a broken
 *  promise. Each has keys of its own and one request on its way at a time, so at most that one may or may not have happened. */
import assert from 'node:assert/strict'
import { type Client, connect } from './client.ts'

const WRITERS = 6

/** A type that grows by one element with every step: how it does, and how its elements are read back in order. */
interface Growth {
  readonly type: string
  readonly add: (key: string, n: number) => readonly string[]
  readonly read: (key: string) => readonly string[]
}

const GROWTHS: readonly Growth[] = [
  { type: 'list', add: (key, n) => ['RPUSH', key, `${n}`], read: (key) => ['LRANGE', key, '0', '-1'] },
  { type: 'hash', add: (key, n) => ['HSET', key, `${n}`, 'x'], read: (key) => ['HKEYS', key] },
  { type: 'set', add: (key, n) => ['SADD', key, `${n}`], read: (key) => ['SMEMBERS', key] },
  { type: 'zset', add: (key, n) => ['ZADD', key, `${n}`, `${n}`], read: (key) => ['ZRANGE', key, '0', '-1'] },
]

/** What one client knows. */
class Writer {
  readonly #name: string
  #counted = 0
  #paired = 0
  #appended = 0
  readonly #grown = GROWTHS.map(() => 0)

  constructor(name: string) {
    this.#name = name
  }

  /** Writes until the connection breaks. */
  async run(port: number): Promise<void> {
    const client = await connect(port)
    try {
      for (;;) await this.#step(client)
    } catch {
      client.close()
    }
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
    for (const [i, { type, add }] of GROWTHS.entries()) {
      assert.equal(
        await client.call(...add(`${name}:${type}`, this.#grown[i]!)),
        type === 'list' ? this.#grown[i]! + 1 : 1,
      )
      this.#grown[i]!++
    }
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
      const found = ((await client.call(...read(`${name}:${type}`))) as readonly string[]).map(Number)
      if (type !== 'list') found.sort((one, other) => one - other)
      assert.deepEqual(found, [...found.keys()], `elements of a ${type} are missing`)
      this.#grown[i] = between(found.length, this.#grown[i]!, type)
    }
  }
}

function between(found: number, acknowledged: number, what: string): number {
  const isKept = found === acknowledged || found === acknowledged + 1
  assert.ok(isKept, `${what}: ${acknowledged} were acknowledged, there are ${found}`)
  return found
}

export class CrashLoad {
  readonly #writers = Array.from({ length: WRITERS }, (_, i) => new Writer(`w${i}`))

  /** Writes until the server is gone. */
  async untilCrash(port: number): Promise<void> {
    await Promise.all(this.#writers.map((writer) => writer.run(port)))
  }

  /** Everything acknowledged is at `port`. Throws otherwise. */
  async check(port: number): Promise<void> {
    const client = await connect(port)
    for (const writer of this.#writers) await writer.check(client)
    client.close()
  }
}
