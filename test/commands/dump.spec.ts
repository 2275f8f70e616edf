/** DUMP and RESTORE: payloads that real servers read, and theirs that we read. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { ask, connect } from '../support/client.ts'
import { Differential, requests, someKey, someValue } from '../support/differential.ts'
import { InProcess } from '../support/inprocess.ts'
import { type Server, startServer, stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

/** "hello", as redis-server 7.0.15 dumps it; with an older version; and what is wrong with the others. */
const HELLO = Buffer.from('000568656c6c6f0a006372df766534200a', 'hex')
const flipped = (at: number): Buffer => {
  const bytes = Buffer.from(HELLO)
  bytes[at]! ^= 1
  return bytes
}
const payload = fc.constantFrom<Buffer | string>(
  HELLO,
  HELLO,
  flipped(3),
  flipped(8),
  HELLO.subarray(0, 9),
  '',
  'garbage',
)
const option = fc.constantFrom('REPLACE', 'ABSTTL', 'foo')

const RESTORES = requests([
  ['set', someKey, someValue],
  ['restore', someKey, '0', payload],
  ['restore', someKey, '0', payload, option],
  ['restore', someKey, '100000', payload, option, option],
  ['restore', someKey, '1000000', payload, 'REPLACE', 'ABSTTL'],
  ['restore', someKey, '4000000000000', payload, 'absttl', 'replace'],
  ['restore', someKey, fc.constantFrom('-1', 'x', '', '9223372036854775808'), payload, option],
  ['restore', someKey, '0', payload, 'IDLETIME', fc.constantFrom('10', '-1', 'x')],
  ['restore', someKey, '0', payload, 'FREQ', fc.constantFrom('10', '-1', '256', 'x'), 'REPLACE'],
  ['restore', someKey, '0', payload, 'FREQ', '1', 'IDLETIME', '1'],
  ['restore', someKey, '0', payload, 'IDLETIME'],
  ['restore-asking', someKey, '100000', payload, 'REPLACE'],
  ['get', someKey],
  ['pttl', someKey],
  ['dump', fc.constant('missing')],
])

describeBeside('DUMP and RESTORE', function () {
  this.timeout(60_000)
  let both: Differential
  let redis: Server
  before(async () => {
    both = await Differential.start()
    redis = await startServer({ kind: 'redis' })
    assert.deepEqual(HELLO, await dumpedByRedis('hello'))
  })
  after(stopEverything)

  async function dumpedByRedis(value: string): Promise<Buffer> {
    await ask(redis.port, 'SET', 'k', value)
    return Buffer.from(String(await ask(redis.port, 'DUMP', 'k')), 'latin1')
  }

  it('answer, and replicate, like redis-server 7.0', () =>
    fc.assert(
      fc.asyncProperty(fc.array(RESTORES, { minLength: 30, maxLength: 60, size: 'max' }), (all) =>
        both.compareStreams(all),
      ),
      { numRuns: 60 },
    ))

  it('exchange values with a real server, whatever they are', async () => {
    const theirs = await connect(redis.port)
    const ours = new InProcess().connect()
    const anything = fc.oneof(
      someValue,
      fc.string({ maxLength: 300 }),
      fc.nat({ max: 400 }).map((n) => 'ab'.repeat(n)),
    )
    await fc.assert(
      fc.asyncProperty(anything, async (value) => {
        ours.call('SET', 'k', value)
        const text = ours.call('GET', 'k')
        await theirs.call('RESTORE', 'k', 0, String(ours.call('DUMP', 'k')), 'REPLACE')
        assert.equal(await theirs.call('GET', 'k'), text)
        ours.call('RESTORE', 'back', 0, String(await theirs.call('DUMP', 'k')), 'REPLACE')
        assert.equal(ours.call('GET', 'back'), text)
      }),
    )
  })

  it('remember how long a key was not used', () => {
    const ours = new InProcess().connect()
    ours.call('RESTORE', 'k', '0', HELLO, 'IDLETIME', '1000')
    assert.equal(ours.call('OBJECT', 'IDLETIME', 'k'), 1000)
    ours.call('TOUCH', 'k')
    assert.equal(ours.call('OBJECT', 'IDLETIME', 'k'), 0)
  })
})

describe('RESTORE of what a newer server dumped', () => {
  const NEWER = readFileSync('test/fixtures/vectors/dump-vectors-newer.json', 'latin1')
  const vectors = JSON.parse(NEWER) as { readonly server: string; readonly key: string; readonly dump_hex: string }[]

  for (const { server, key, dump_hex: hex } of vectors)
    it(`tells replicas in the words of 7.0, which they understand: ${key} of ${server}`, () => {
      const node = new InProcess()
      const replicated = node.replicated()
      const client = node.connect()
      client.call('RESTORE', 'k', '0', Buffer.from(hex, 'hex'))
      client.call('RESTORE', 'k', '2100000000000', Buffer.from(hex, 'hex'), 'REPLACE', 'ABSTTL')
      client.call('RESTORE', 'k', '5000', Buffer.from(hex, 'hex'), 'REPLACE')
      const own = String(client.call('DUMP', 'k'))
      assert.equal(own.charCodeAt(own.length - 10), 10, 'the version of 7.0')
      const expireAt = client.call('PEXPIRETIME', 'k')
      const deadlines = { small: ['b 2000000000123', 'a 2000000000999'], large: ['b 2000000000123', 'd 2000000000999'] }
      const [size] = key.split(' hash') as [keyof typeof deadlines]
      const told = (deadlines[size] ?? []).map((words) => `REPLCONF ACK 0 hash-deadlines k ${words}`)
      const commands = replicated().filter((words) => !/^(SELECT|MULTI|EXEC)/.test(words))
      const restores = [
        `RESTORE k 0 ${own}`,
        `RESTORE k 2100000000000 ${own} REPLACE ABSTTL`,
        `RESTORE k ${expireAt} ${own} REPLACE ABSTTL`,
      ]
      assert.deepEqual(commands.sort(), restores.flatMap((words) => [words, ...told]).sort())
    })
})
