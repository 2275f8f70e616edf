/** What Redis 7.4 to 8.0 and Valkey 9 write differently: versions 12 and 80, and hashes whose fields have deadlines. Captured from
 *  redis-server 8.0.2 and valkey-server 9.1.2. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { isNewer, loadDump } from '../../store/rdb/dump.ts'
import { RdbReader } from '../../store/rdb/reader.ts'
import { RdbError, UnsupportedTypeError } from '../../store/rdb/source.ts'
import type { Value } from '../../store/value.ts'
import { plain, sealed } from './rdb-values.ts'

interface Vector {
  readonly server: string
  readonly key: string
  readonly rdb_type: number
  readonly dump_hex: string
}

const fixture = (name: string): string => readFileSync(`test/fixtures/vectors/${name}`, 'latin1')
const vectors = JSON.parse(fixture('dump-vectors-newer.json')) as Vector[]

const EARLY = 2_000_000_000_123
const LATE = 2_000_000_000_999
const stream = {
  entries: [['1-1', ['f', 'v']]],
  length: 1,
  last: [1, 1],
  first: [1, 1],
  maxdel: [0, 0],
  added: 1,
  groups: [],
}

/** Value, and deadlines of fields. */
const EXPECTED: Readonly<Record<string, unknown>> = {
  string: ['hello', {}],
  list: [['a', 'b', '1'], {}],
  intset: [['1', '2'], {}],
  set: [['a', 'b'], {}],
  zset: [[['a', '1.5']], {}],
  hash: [[['x', '1']], {}],
  'small hash': [Object.entries({ a: '1', b: '2', c: '3' }), { [EARLY]: ['b'], [LATE]: ['a'] }],
  'large hash': [Object.entries({ a: '1', b: '2', c: '3', d: '4' }), { [EARLY]: ['b'], [LATE]: ['d'] }],
  stream: [stream, {}],
}

const found = (value: Value): unknown => [
  plain(value),
  Object.fromEntries((value.type === 'hash' && value.deadlines?.byTime()) || []),
]

describe('what newer servers write', () => {
  it('is read from DUMP payloads', () => {
    assert.deepEqual(
      vectors.map(({ rdb_type: type }) => type).filter((type) => type > 21),
      [25, 24, 22, 22],
    )
    for (const { server, key, dump_hex: hex } of vectors) {
      const payload = Buffer.from(hex, 'hex')
      assert.deepEqual(found(loadDump(payload)), EXPECTED[key], `${key} of ${server}`)
      assert.ok(isNewer(payload))
    }
  })

  for (const name of ['redis-8.0.2', 'valkey-9.1.2'])
    it(`is read from files (${name})`, () => {
      const file = Buffer.from(fixture(`rdb-${name}.b64`), 'base64')
      const reader = new RdbReader()
      const keys: Record<string, unknown> = {}
      for (const item of reader.feed(file)) if (item.type === 'key') keys[item.key.latin1Slice()] = found(item.value)
      assert.ok(reader.done)
      assert.deepEqual(keys, EXPECTED)
    })

  it('is refused when it is newer still, or of versions that nobody has written', () => {
    const body = '00 05 68656c6c6f'
    for (const version of [13, 79, 81])
      assert.throws(() => loadDump(sealed(body, version)), { message: 'DUMP payload version or checksum are wrong' })
    for (const magic of ['REDIS0013', 'VALKEY079', 'VALKEY081'])
      assert.throws(() => [...new RdbReader().feed(Buffer.from(magic))], RdbError)
  })

  it('is refused by name when a pre-release wrote it', () => {
    assert.throws(() => loadDump(sealed('17 00', 12)), UnsupportedTypeError)
  })

  it('is refused when deadlines are missing or senseless', () => {
    const senseless = [
      ['field and value only', '19 0000000000000000 0d 0d000000 0200 8161 02 8162 02 ff'],
      ['a word for a deadline', '19 0000000000000000 10 10000000 0300 8161 02 8162 02 8163 02 ff'],
      ['a deadline below zero (Redis)', '18 00000000000000ff 01 01 0161 0162'],
      ['a deadline below zero (Valkey)', '16 01 0161 0162 feffffffffffffff'],
    ] as const
    for (const [what, body] of senseless)
      assert.throws(() => loadDump(sealed(body, 12)), { message: 'Bad data format' }, what)
  })
})
