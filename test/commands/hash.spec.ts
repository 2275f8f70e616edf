/** Hashes: what a real server answers, and what replicas are told. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Differential, type Request, requests, someInteger, someKey, someValue } from '../support/differential.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

/** Nearly always the same one, so that it has a history. */
const key = fc.oneof({ weight: 6, arbitrary: fc.constant('h') }, { weight: 1, arbitrary: someKey })
const someField = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('f', 'g', '1', '-7', '') },
  { weight: 1, arbitrary: someValue },
)
const someFloat = fc.oneof(
  fc.integer({ min: -1000, max: 1000 }).map((x) => String(x / 8)),
  fc.constantFrom('0.1', '3.0e3', '1e400', '1e4932', 'inf', '-inf', 'nan', '', ' 1', '1 ', 'x', '0x10'),
)
const someCount = fc.oneof(fc.integer({ min: -9, max: 9 }), fc.constantFrom('9223372036854775807', 'x', '', '1.5'))

/** Without a scan that may stop half way, which two servers do at different places. */
const HASHES = requests([
  ['hset', key, someField, someValue],
  ['hset', key, someField, someValue],
  ['hset', key, someField, someValue, someField, someValue],
  ['hset', key, someField, someValue, someField],
  ['hmset', key, someField, someValue, someField, someValue],
  ['hmset', key, someField, someValue, someField],
  ['hsetnx', key, someField, someValue],
  ['hget', key, someField],
  ['hmget', key, someField, someField, someField],
  ['hgetall', key],
  ['hkeys', key],
  ['hvals', key],
  ['hlen', key],
  ['hstrlen', key, someField],
  ['hexists', key, someField],
  ['hdel', key, someField],
  ['hdel', key, someField, someField, 'f'],
  ['hincrby', key, someField, someInteger],
  ['hincrbyfloat', key, someField, someFloat],
  ['hincrbyfloat', key, someField, someFloat],
  ['hrandfield', key],
  ['hrandfield', key, someCount],
  ['hrandfield', key, someCount, 'WITHVALUES'],
  ['hrandfield', key, fc.constantFrom('4611686018427387904', '-9223372036854775808', '1'), 'withvalues'],
  ['hrandfield', key, '2', 'withscores'],
  ['hscan', key, fc.constantFrom('0', '-0', 'x', ''), 'COUNT', '1000'],
  ['hscan', key, '0', 'MATCH', fc.constantFrom('*', 'f', '[f-g]', '1*'), 'count', '1000'],
  ['hscan', key, '0', fc.constantFrom('MATCH', 'COUNT', 'TYPE')],
  ['hscan', key, '0', 'COUNT', fc.constantFrom('0', 'x', '-1')],
  ['set', key, 'text'],
  ['del', key],
  ['copy', key, key, 'replace'],
  ['type', key],
  ['object', 'encoding', key],
  ['debug', 'digest-value', key],
]).filter((words) => !/^hscan [^ ]* [^ ]*( match [^ ]*)?$/is.test(words.join(' ')))

const SMALL = { 'hash-max-listpack-entries': '4', 'hash-max-listpack-value': '8' }

describeBeside('hash commands answer like redis-server 7.0', function () {
  this.timeout(60_000)
  after(stopEverything)

  const agree = async (conf: Readonly<Record<string, string>>, numRuns: number): Promise<void> => {
    const both = await Differential.start(conf)
    await both.agree(HASHES, numRuns, 60, 120)
  }

  it('packed', () => agree({}, 120))
  it('on both sides of the limits', () => agree(SMALL, 120))

  it('and DUMP packed ones byte for byte', async () => {
    const both = await Differential.start({ rdbcompression: 'no', 'hash-max-listpack-value': '10000' })
    await fc.assert(
      fc.asyncProperty(fc.array(HASHES, { minLength: 20, maxLength: 60, size: 'max' }), (all) =>
        both.compare(all.flatMap((request) => [request, ['dump', 'h']])),
      ),
      { numRuns: 40 },
    )
  })

  it('and tell replicas the same', async () => {
    const both = await Differential.start(SMALL)
    await fc.assert(
      fc.asyncProperty(fc.array(HASHES, { minLength: 20, maxLength: 60, size: 'max' }), (all) =>
        both.compareStreams(all),
      ),
      { numRuns: 15 },
    )
  })

  it('at the limits that Redis ships with', async () => {
    const both = await Differential.start()
    const fields = (count: number, length = 1): Request[] => [
      ['DEL', 'h'],
      ['HSET', 'h', ...Array.from({ length: count }, (_, i) => [`f${i}`, 'v'.repeat(length)]).flat()],
      ['OBJECT', 'ENCODING', 'h'],
      ['HINCRBY', 'h', 'n', 1],
      ['OBJECT', 'ENCODING', 'h'],
      ['HDEL', 'h', 'f0', 'n'],
      ['OBJECT', 'ENCODING', 'h'],
      ['DEBUG', 'DIGEST'],
    ]
    await both.compare([...fields(511), ...fields(512), ...fields(513), ...fields(1, 64), ...fields(2, 65)])
  })
})

describe('HSCAN', () => {
  it('meets every field that stays, though others come and go', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 99 })), { maxLength: 200, size: 'max' }), (changes) => {
        const client = new InProcess({ 'hash-max-listpack-entries': '0' }).connect()
        for (let i = 0; i < 50; i++) {
          client.call('HSET', 'h', `stays${i}`, i)
          client.call('HSET', 'h', `goes${i}`, i)
        }
        const seen = new Set<unknown>()
        let cursor: unknown = '0'
        let step = 0
        do {
          const [next, pairs] = client.call('HSCAN', 'h', String(cursor), 'COUNT', '3') as [string, string[]]
          for (let i = 0; i < pairs.length; i += 2) seen.add(pairs[i])
          for (const [add, i] of changes.slice(step, step + 8)) {
            if (add) client.call('HSET', 'h', `comes${i}`, i)
            else client.call('HDEL', 'h', `goes${i}`, `comes${i}`)
          }
          step += 8
          cursor = next
        } while (cursor !== '0')
        for (let i = 0; i < 50; i++) assert.ok(seen.has(`stays${i}`))
      }),
      { numRuns: 30 },
    )
  })
})

describe('HRANDFIELD', () => {
  for (const [form, limit] of [
    ['packed', '512'],
    ['plain', '0'],
  ] as const)
    it(`draws every field of a ${form} hash alike, different ones or each by itself`, () => {
      const client = new InProcess({ 'hash-max-listpack-entries': limit }).connect()
      for (let i = 0; i < 10; i++) client.call('HSET', 'h', `f${i}`, `v${i}`)
      for (const [count, draws] of [
        [-1000, 10],
        [3, 3000],
        [9, 1000],
      ] as const) {
        const tally = new Map<string, number>()
        for (let i = 0; i < draws; i++) {
          const pairs = client.call('HRANDFIELD', 'h', count, 'WITHVALUES') as string[]
          const fields = pairs.filter((_, at) => at % 2 === 0)
          assert.deepEqual(
            pairs.filter((_, at) => at % 2 === 1),
            fields.map((field) => field.replace('f', 'v')),
          )
          if (count > 0) assert.equal(new Set(fields).size, count)
          for (const field of fields) tally.set(field, (tally.get(field) ?? 0) + 1)
        }
        const mean = (draws * Math.abs(count)) / 10
        assert.equal(tally.size, 10)
        for (const times of tally.values())
          assert.ok(Math.abs(times - mean) < 6 * Math.sqrt(mean), `${times} of ${mean}`)
      }
    })
})
