/** Sets: what a real server answers, and what replicas are told. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Differential, type Request, requests, someKey, someValue } from '../support/differential.ts'
import { InProcess, type Wired } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const key = fc.oneof({ weight: 6, arbitrary: fc.constantFrom('s', 't', 'u') }, { weight: 1, arbitrary: someKey })
const integer = fc.oneof(
  fc.integer({ min: -3, max: 12 }).map(String),
  fc.constantFrom('32768', '-2147483649', '9223372036854775807', '-9223372036854775808', '9223372036854775808'),
)
const member = fc.oneof(
  { weight: 8, arbitrary: integer },
  { weight: 2, arbitrary: fc.constantFrom('a', 'b', '007', '', 'x'.repeat(65)) },
  { weight: 1, arbitrary: someValue },
)
const someCount = fc.oneof(fc.integer({ min: -9, max: 9 }), fc.constantFrom('9223372036854775807', 'x', '', '1.5'))

/** Without what would part the two: one member taken at random, a scan that may stop half way. */
const SETS = requests([
  ['sadd', key, integer, integer, integer],
  ['sadd', key, integer, integer, integer, integer, integer, integer],
  ['sadd', key, member],
  ['sadd', key, member, member, member],
  ['srem', key, member],
  ['srem', key, member, member, member, integer, integer],
  ['sismember', key, member],
  ['smismember', key, member, member, integer],
  ['scard', key],
  ['smembers', key],
  ['smove', key, key, member],
  ['smove', key, key, integer],
  ['spop', key, fc.constantFrom('0', '1000', '-1', 'x', '9223372036854775808')],
  ['spop', key, '0', 'extra'],
  ['srandmember', key],
  ['srandmember', key, someCount],
  ['sinter', key, key],
  ['sinter', key, key, key],
  ['sunion', key, key, key],
  ['sdiff', key, key],
  ['sdiff', key, key, key, key],
  ['sinterstore', key, key, key],
  ['sunionstore', key, key, key],
  ['sdiffstore', key, key, key],
  ['sdiffstore', key, key, key, key, key],
  ['sintercard', '2', key, key],
  ['sintercard', fc.constantFrom('0', '-1', 'x', '1', '2', '3'), key, key],
  ['sintercard', '2', key, key, 'LIMIT', someCount],
  ['sintercard', '1', key, 'limit', '2', 'LIMIT', '1'],
  ['sintercard', '1', key, 'limit'],
  ['sscan', key, fc.constantFrom('0', '-0', 'x', ''), 'COUNT', '1000'],
  ['sscan', key, '0', 'MATCH', fc.constantFrom('*', 'a', '[0-5]', '-*'), 'count', '1000'],
  ['sscan', key, '0', fc.constantFrom('MATCH', 'COUNT', 'TYPE')],
  ['set', key, 'text'],
  ['del', key],
  ['copy', key, key, 'replace'],
  ['object', 'encoding', key],
  ['debug', 'digest-value', key],
]).filter((words) => !/^(spop [^ ]*|sscan [^ ]* [^ ]*( match [^ ]*)?)$/is.test(words.join(' ')))

describeBeside('set commands answer like redis-server 7.0', function () {
  this.timeout(60_000)
  after(stopEverything)

  const agree = async (conf: Readonly<Record<string, string>>, numRuns: number): Promise<void> => {
    const both = await Differential.start(conf)
    await both.agree(SETS, numRuns, 60, 120)
  }

  it('members, moves, combinations', () => agree({}, 150))
  it('on both sides of the limit of integer sets', () => agree({ 'set-max-intset-entries': '5' }, 100))

  it('and DUMP sets of integers byte for byte', async () => {
    const both = await Differential.start({ rdbcompression: 'no' })
    const integers = requests([
      ['sadd', 's', integer, integer, integer],
      ['srem', 's', integer, integer],
      ['spop', 's', '100'],
    ])
    await fc.assert(
      fc.asyncProperty(fc.array(integers, { minLength: 20, maxLength: 60, size: 'max' }), (all) =>
        both.compare(
          all
            .filter((words) => words.length > 2 && !words.includes('extra') && !words.includes('9223372036854775808'))
            .flatMap((request) => [request, ['dump', 's']]),
        ),
      ),
      { numRuns: 40 },
    )
  })

  it('and tell replicas the same', async () => {
    const both = await Differential.start()
    await fc.assert(
      fc.asyncProperty(fc.array(SETS, { minLength: 20, maxLength: 60, size: 'max' }), (all) =>
        both.compareStreams(all),
      ),
      { numRuns: 15 },
    )
  })

  it('at the limits that Redis ships with, and at ours', async () => {
    const both = await Differential.start()
    const members = (count: number, prefix = ''): Request[] => [
      ['DEL', 's'],
      ['SADD', 's', ...Array.from({ length: count }, (_, i) => `${prefix}${i}`)],
      ['OBJECT', 'ENCODING', 's'],
      ['SREM', 's', `${prefix}7`, 'nope'],
      ['SADD', 's', `${prefix}7`, `${prefix}8`, 'x'],
      ['OBJECT', 'ENCODING', 's'],
      ['SMEMBERS', 's'],
      ['DEBUG', 'DIGEST'],
    ]
    await both.compare([512, 513, 127, 128].flatMap((count) => [...members(count), ...members(count, 'm')]))
  })
})

describeBeside('SPOP tells replicas', () => {
  const popped = async (...argv: readonly [string, ...string[]]): Promise<void> => {
    const both = await Differential.start()
    after(stopEverything)
    await both.compareStreams([['SADD', 's', 'only'], argv, ['SCARD', 's']])
  }
  it('the removal of what it took', () => popped('SPOP', 's'))
  it('that the key is gone when it took all', () => popped('SPOP', 's', '1'))
  it('nothing when there was nothing to take', () => popped('SPOP', 'none'))
})

/** One set in each of the three forms it can have. */
const FORMS: readonly (readonly [string, (i: number) => string])[] = [
  ['integers', String],
  ['packed', (i) => `m${i}`],
  ['plain', (i) => `m${i}${'x'.repeat(65)}`],
]

const filled = (name: (i: number) => string, size: number): Wired => {
  const client = new InProcess().connect()
  for (let i = 0; i < size; i++) client.call('SADD', 's', name(i))
  return client
}

describe('Random members', () => {
  for (const [form, name] of FORMS) {
    it(`are drawn all alike (${form}), different ones or each by itself`, () => {
      const client = filled(name, 10)
      for (const [count, draws] of [
        [-1000, 10],
        [3, 3000],
        [9, 1000],
      ] as const) {
        const tally = new Map<string, number>()
        for (let i = 0; i < draws; i++) {
          const members = client.call('SRANDMEMBER', 's', count) as string[]
          if (count > 0) assert.equal(new Set(members).size, count)
          for (const one of members) tally.set(one, (tally.get(one) ?? 0) + 1)
        }
        const mean = (draws * Math.abs(count)) / 10
        assert.equal(tally.size, 10)
        for (const times of tally.values())
          assert.ok(Math.abs(times - mean) < 6 * Math.sqrt(mean), `${times} of ${mean}`)
      }
    })

    it(`are taken out one by one or several at once (${form}), each once`, () => {
      const client = filled(name, 30)
      const taken = [client.call('SPOP', 's'), ...(client.call('SPOP', 's', 12) as string[]), client.call('SPOP', 's')]
      const left = client.call('SMEMBERS', 's') as string[]
      assert.equal(client.call('SCARD', 's'), 16)
      assert.deepEqual([...taken, ...left].map(String).sort(), Array.from({ length: 30 }, (_, i) => name(i)).sort())
      assert.equal((client.call('SPOP', 's', 16) as string[]).length, 16)
      assert.equal(client.call('EXISTS', 's'), 0)
    })
  }
})

describe('SSCAN', () => {
  it('meets every member that stays, though others come and go', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 99 })), { maxLength: 200, size: 'max' }), (changes) => {
        const client = filled((i) => `${i % 2 === 0 ? 'stays' : 'goes'}${i}${'x'.repeat(65)}`, 100)
        const seen = new Set<string>()
        let cursor = '0'
        let step = 0
        do {
          const [next, members] = client.call('SSCAN', 's', cursor, 'COUNT', '3') as [string, string[]]
          for (const one of members) seen.add(one)
          for (const [add, i] of changes.slice(step, step + 8))
            if (add) client.call('SADD', 's', `comes${i}`)
            else client.call('SREM', 's', `goes${i}${'x'.repeat(65)}`, `comes${i}`)
          step += 8
          cursor = next
        } while (cursor !== '0')
        for (let i = 0; i < 100; i += 2) assert.ok(seen.has(`stays${i}${'x'.repeat(65)}`))
      }),
      { numRuns: 30 },
    )
  })
})
