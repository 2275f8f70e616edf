/** DUMP payloads between us and a live redis-server, both ways: either takes what the other writes, and the value is the same. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { valueDigest } from '../../lib/commands/digest.ts'
import { dumpValue, loadDump } from '../../store/rdb/dump.ts'
import { encodingName } from '../../store/value.ts'
import { type Client, connect } from '../support/client.ts'
import { InProcess } from '../support/inprocess.ts'
import { startServer } from '../support/process.ts'
import { type Argument, decode, encode, type Value } from '../support/resp.ts'
import { scenarios } from '../support/suite.ts'
import { plain, sealed, someBytes, someCollection, someValue, streamBody, TIGHT_LIMITS } from './rdb-values.ts'

scenarios('DUMP payloads', ['redis'], () => {
  let redis: Client
  before(async () => {
    redis = await connect((await startServer({ kind: 'redis' })).port)
  })

  it('of any value are taken by redis-server as that value, in our encoding, and come back the same', async () => {
    await fc.assert(
      fc.asyncProperty(someValue, fc.boolean(), async (value, compress) => {
        const [ok, [digest], encoding, payload] = (await redis.pipeline([
          ['RESTORE', 'key', 0, dumpValue(value, compress), 'REPLACE'],
          ['DEBUG', 'DIGEST-VALUE', 'key'],
          ['OBJECT', 'ENCODING', 'key'],
          ['DUMP', 'key'],
        ])) as [string, [string], string, string]
        assert.equal(ok, 'OK')
        assert.equal(digest, valueDigest(value, false))
        const back = loadDump(Buffer.from(payload, 'latin1'))
        assert.deepEqual(plain(back), plain(value))
        assert.equal(encodingName(back), encoding)
        assert.equal(encodingName(loadDump(dumpValue(value))), encoding)
      }),
      { numRuns: 300 },
    )
  })

  it('of any value are kept within our limits as redis-server keeps them within the same', async () => {
    const conf = {
      'hash-max-listpack-entries': TIGHT_LIMITS.hashMaxListpackEntries,
      'hash-max-listpack-value': TIGHT_LIMITS.hashMaxListpackValue,
      'set-max-intset-entries': TIGHT_LIMITS.setMaxIntsetEntries,
      'zset-max-listpack-entries': TIGHT_LIMITS.zsetMaxListpackEntries,
      'zset-max-listpack-value': TIGHT_LIMITS.zsetMaxListpackValue,
    }
    const tight = await connect((await startServer({ kind: 'redis', conf })).port)
    await fc.assert(
      fc.asyncProperty(someCollection, async (value) => {
        const payload = dumpValue(value)
        assert.equal(await tight.call('RESTORE', 'key', 0, payload, 'REPLACE'), 'OK')
        assert.equal(await tight.call('OBJECT', 'ENCODING', 'key'), encodingName(loadDump(payload, TIGHT_LIMITS)))
      }),
      { numRuns: 200 },
    )
  })

  it('that were captured are read alike by all commands', async () => {
    const ours = new InProcess().connect()
    for (const file of ['dump-vectors', 'dump-vectors-handbuilt']) {
      const vectors = JSON.parse(readFileSync(`test/fixtures/vectors/${file}.json`, 'latin1')) as Vector[]
      for (const { name, type, rdb_type: code, dump_hex: hex } of vectors) {
        if (name.includes('v11') || code > 19) continue // Redis 7.2 wrote it
        const requests: Argument[][] = [
          ['RESTORE', 'key', 0, Buffer.from(hex, 'hex'), 'REPLACE'],
          ...[...COMMON, ...READERS[type]!].map((reader) => reader.split(' ')),
        ]
        for (const request of requests) {
          const theirs = meaning(await redis.raw(encode(request)))
          assert.deepEqual(meaning(ours.raw(encode(request))), theirs, `${name}: ${request.join(' ').slice(0, 60)}`)
        }
      }
    }
  })

  it('of streams of Redis 5 are read alike, also where their groups are', async () => {
    for (const lastId of ['0000', '0500', '0501', '0502', '0907']) {
      const payload = sealed(streamBody(1, lastId))
      assert.equal(await redis.call('RESTORE', 'key', 0, payload, 'REPLACE'), 'OK')
      const back = loadDump(Buffer.from(String(await redis.call('DUMP', 'key')), 'latin1'))
      assert.deepEqual(plain(loadDump(payload)), plain(back), lastId)
    }
  })

  it('of old packed forms are read alike', async () => {
    const ours = new InProcess().connect()
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(someBytes, someBytes), { minLength: 1, maxLength: 20 }), async (pairs) => {
        const fields = [...new Map(pairs.map((pair) => [pair[0].latin1Slice(), pair])).values()]
        const members = fields.map(([field], i) => [field, Buffer.from(String(i * 1.5 - 3))])
        for (const body of [
          [10, ziplist(pairs.flat())],
          [14, 2, ziplist(pairs.flat()), ziplist(fields.flat())],
          [13, ziplist(fields.flat())],
          [12, ziplist(members.flat())],
          [9, zipmap(fields)],
        ] as const) {
          const payload = sealed(
            Buffer.concat(body.map((part) => (typeof part === 'number' ? Buffer.from([part]) : rdbString(part)))),
          )
          for (const request of [
            ['RESTORE', 'key', 0, payload, 'REPLACE'],
            ['OBJECT', 'ENCODING', 'key'],
            ['DEBUG', 'DIGEST-VALUE', 'key'],
          ])
            assert.deepEqual(await redis.call(...request), ours.call(...request), `type ${body[0]}: ${request[0]}`)
        }
      }),
    )
  })
})

interface Vector {
  readonly name: string
  readonly type: string
  readonly rdb_type: number
  readonly dump_hex: string
}

const COMMON = ['TYPE key', 'OBJECT ENCODING key', 'DEBUG DIGEST-VALUE key']
const READERS: Readonly<Record<string, readonly string[]>> = {
  string: ['GET key', 'STRLEN key'],
  list: ['LRANGE key 0 -1', 'LLEN key', 'LINDEX key -1'],
  set: ['SMEMBERS key', 'SCARD key', 'SISMEMBER key 1'],
  zset: ['ZRANGE key 0 -1 WITHSCORES', 'ZREVRANGEBYSCORE key +inf (1', 'ZCARD key'],
  hash: ['HGETALL key', 'HLEN key', 'HGET key f'],
  stream: ['XRANGE key - +', 'XREVRANGE key + -', 'XLEN key', 'XINFO STREAM key', 'XINFO GROUPS key'],
}

/** What a reply says, where order and the shape of a radix tree do not count. */
function meaning(bytes: Buffer): unknown {
  const value = decode(bytes, 0)!.value
  if (!Array.isArray(value)) return value
  const radix = value.indexOf('radix-tree-keys')
  return radix < 0 ? sorted(value) : value.toSpliced(radix, 4)
}

const sorted = (values: Value[]): Value[] => values.toSorted((a, b) => (String(a) < String(b) ? -1 : 1))

const rdbString = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(5, 0x80)
  length.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([length, bytes])
}

/** A ziplist of strings only; every other one with a length that is longer than it need be. */
function ziplist(elements: readonly Buffer[]): Buffer {
  const parts: Buffer[] = []
  let [size, last, before] = [10, 10, 0]
  for (const element of elements) {
    const head = Buffer.alloc(10)
    let at = before < 254 ? head.writeUInt8(before, 0) : head.writeUInt32LE(before, head.writeUInt8(0xfe, 0))
    if (element.length < 64) at = head.writeUInt8(element.length, at)
    else if (element.length < 16384) at = head.writeUInt16BE(0x4000 | element.length, at)
    parts.push(head.subarray(0, at), element)
    last = size
    before = at + element.length
    size += before
  }
  const head = Buffer.alloc(10)
  head.writeUInt32LE(size + 1, 0)
  head.writeUInt32LE(last, 4)
  head.writeUInt16LE(elements.length, 8)
  return Buffer.concat([head, ...parts, Buffer.from([0xff])])
}

/** A zipmap with some free bytes behind each value. */
function zipmap(pairs: readonly (readonly [Buffer, Buffer])[]): Buffer {
  const length = ({ length: n }: Buffer): number[] =>
    n < 254 ? [n] : [0xfe, n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24]
  const parts = pairs.flatMap(([field, value], i) => {
    const free = i % 4
    return [Buffer.from(length(field)), field, Buffer.from([...length(value), free]), value, Buffer.alloc(free)]
  })
  return Buffer.concat([Buffer.from([pairs.length]), ...parts, Buffer.from([0xff])])
}
