/** RDB files between us and a live redis-server, both ways. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RdbKey, RdbReader } from '../../store/rdb/reader.ts'
import { type RdbEntry, writeRdb } from '../../store/rdb/writer.ts'
import { connect } from '../support/client.ts'
import { prepareServer, startServer } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'
import { asString } from '../support/values.ts'

const FAR = 4_102_444_800_123

/** Keys and values at every seam of the coding: integers, lengths, compressible and not. */
const SAMPLES: readonly (readonly [key: string, bytes: Buffer, expireAt: number])[] = [
  ['empty', Buffer.alloc(0), 0],
  ['', Buffer.from('key of no bytes'), 0],
  ['12345', Buffer.from('key that is a number'), FAR],
  ...['0', '-1', '127', '128', '-32768', '32768', '2147483647', '2147483648', '007', '-0'].map(
    (text) => [`int:${text}`, Buffer.from(text), 0] as const,
  ),
  ...[20, 21, 63, 64, 16383, 16384, 100_000].flatMap((length) => [
    [`same:${length}`, Buffer.alloc(length, 'a'), 0] as const,
    [`noise:${length}`, randomBytes(length), FAR + length] as const,
  ]),
  ['text', Buffer.from('the quick brown fox jumps over the lazy dog; '.repeat(50)), 0],
]

scenarios('RDB files', ['redis'], () => {
  it('that we write are loaded by redis-server, key for key', async () => {
    const server = await prepareServer({ kind: 'redis', conf: { dbfilename: 'dump.rdb' } })
    const entries = [0, 3].flatMap((db) =>
      SAMPLES.map(([key, bytes, expireAt]): RdbEntry => {
        return { db, key: Buffer.from(key), value: { type: 'string', bytes, raw: false }, expireAt }
      }),
    )
    const sizes = (): { keys: number; expires: number } => ({ keys: SAMPLES.length, expires: 8 })
    writeFileSync(
      join(server.dir, 'dump.rdb'),
      Buffer.concat([...writeRdb(entries, { aux: [['redis-ver', '7.0.15']], sizes, compress: true })]),
    )
    await server.start()
    const client = await connect(server.port)
    for (const db of [0, 3]) {
      await client.call('SELECT', db)
      assert.equal(await client.call('DBSIZE'), SAMPLES.length)
      for (const [key, bytes, expireAt] of SAMPLES) {
        assert.equal(await client.call('GET', key), bytes.toString('latin1'), key)
        assert.equal(await client.call('PEXPIRETIME', key), expireAt || -1, key)
      }
    }
  })

  it('that redis-server writes are read by us, key for key, in pieces of every size', async () => {
    const server = await startServer({
      kind: 'redis',
      conf: { dbfilename: 'dump.rdb', 'maxmemory-policy': 'allkeys-lru' },
    })
    const client = await connect(server.port)
    for (const db of [0, 3]) {
      await client.call('SELECT', db)
      for (const [key, bytes, expireAt] of SAMPLES)
        await client.call('SET', key, bytes, ...(expireAt === 0 ? [] : ['PXAT', expireAt]))
    }
    await client.call('SAVE')
    const file = readFileSync(join(server.dir, 'dump.rdb'))
    for (const size of [1, 2, 3, 7, 64, 1000, 65_536, file.length]) {
      const keys = keysIn(file, size)
      for (const db of [0, 3])
        for (const [key, bytes, expireAt] of SAMPLES) {
          const found = keys.get(`${db}:${key}`)
          assert.ok(found && asString(found.value).bytes.equals(bytes), `${db}:${key} in pieces of ${size}`)
          assert.equal(found?.expireAt, expireAt)
          assert.equal(found?.idleSeconds, 0)
        }
      assert.equal(keys.size, 2 * SAMPLES.length)
    }
  })

  it('of redis-server with another type in them are refused by type and key', async () => {
    const server = await startServer({ kind: 'redis', conf: { dbfilename: 'dump.rdb' } })
    const client = await connect(server.port)
    await client.call('ZADD', 'board', 1, 'one')
    await client.call('SAVE')
    const file = readFileSync(join(server.dir, 'dump.rdb'))
    assert.throws(() => keysIn(file, 10), { message: 'unsupported type zset (17), key "board" of database 0' })
  })
})

/** All keys of a file that comes in pieces of `size` bytes. */
function keysIn(file: Buffer, size: number): Map<string, RdbKey> {
  const reader = new RdbReader()
  const keys = new Map<string, RdbKey>()
  for (let at = 0; at < file.length; at += size)
    for (const item of reader.feed(file.subarray(at, at + size)))
      if (item.type === 'key') keys.set(`${item.db}:${item.key.toString()}`, item)
  assert.ok(reader.done)
  assert.equal(reader.rest().length, 0)
  return keys
}
