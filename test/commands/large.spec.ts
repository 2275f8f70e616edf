/** Requests about so much that what is made of each part must not be handed over as the arguments of a function: the stack has no room. */
import assert from 'node:assert/strict'
import { connect } from '../support/client.ts'
import { InProcess, type Wired } from '../support/inprocess.ts'
import { startServer, stopEverything } from '../support/process.ts'
import { type Argument, decode, encode, type Value } from '../support/resp.ts'
import { StreamTap } from '../support/stream-tap.ts'

const MANY = 150_000
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

/** As `call`, which hands its words over as arguments. */
const ask = (client: Wired, argv: readonly Argument[]): Value => decode(client.raw(encode(argv)), 0)!.value

describe('a large request', () => {
  after(stopEverything)

  it('takes most members of a set, and replicas are told which', async () => {
    const server = await startServer({ kind: 'rookery' })
    const tap = await StreamTap.open(server.port)
    const client = await connect(server.port)
    await client.pipeline([['SADD', 's', ...times(MANY, (i) => `m${i}`)]])
    const taken = (await client.call('SPOP', 's', MANY - 1)) as readonly string[]
    await client.call('SET', 'marker', '')
    const removals = (await tap.until('marker')).filter(([name, key]) => name === 'SREM' && key === 's')
    assert.equal(new Set(taken).size, MANY - 1)
    assert.deepEqual(
      removals.flatMap(([, , ...members]) => members),
      taken,
    )
    assert.equal(await client.call('SCARD', 's'), 1)
  })

  it('joins the bits of as many strings', () => {
    const client = new InProcess().connect()
    client.call('SET', 'one', '\x01')
    client.call('SET', 'two', '\x02\x80')
    assert.equal(ask(client, ['BITOP', 'OR', 'all', ...times(MANY, (i) => (i % 2 === 0 ? 'one' : 'two'))]), 2)
    assert.equal(client.call('GET', 'all'), '\x03\x80')
  })

  it('writes as many fields of bits', () => {
    const client = new InProcess().connect()
    const olds = ask(client, ['BITFIELD', 'bits', ...times(MANY, (i) => ['SET', 'u8', `#${i}`, i % 256]).flat()])
    assert.deepEqual(
      olds,
      times(MANY, () => 0),
    )
    assert.equal(client.call('STRLEN', 'bits'), MANY)
    assert.equal(client.call('BITCOUNT', 'bits', '0', '255'), 1024)
  })

  it('draws almost all members of each kind, each once', () => {
    const client = new InProcess().connect()
    const names = times(2000, (i) => `m${i}`)
    client.call('SADD', 's', ...names)
    client.call('HSET', 'h', ...names.flatMap((name) => [name, 'v']))
    client.call('ZADD', 'z', ...names.flatMap((name) => ['1', name]))
    for (const [command, key] of [
      ['SRANDMEMBER', 's'],
      ['HRANDFIELD', 'h'],
      ['ZRANDMEMBER', 'z'],
    ] as const)
      for (const count of [10, 1999, 2000]) {
        const drawn = new Set(client.call(command, key, count) as readonly string[])
        assert.equal(drawn.size, count)
        assert.ok(names.filter((name) => drawn.has(name)).length === count)
      }
  })
})
