/** RDB files between us and a live redis-server, both ways. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { loadBeside, snapshotOf } from '../../lib/replication/dataset.ts'
import { dumpValue } from '../../store/rdb/dump.ts'
import { type RdbKey, RdbReader } from '../../store/rdb/reader.ts'
import { type RdbEntry, writeRdb } from '../../store/rdb/writer.ts'
import { connect, outcome } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { InProcess, type Wired } from '../support/inprocess.ts'
import { prepareServer, startServer } from '../support/process.ts'
import type { Argument } from '../support/resp.ts'
import { scenarios } from '../support/suite.ts'
import { asString } from '../support/values.ts'
import { someValue } from './rdb-values.ts'

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
    const startedAt = performance.now()
    for (const db of [0, 3]) {
      await client.call('SELECT', db)
      for (const [key, bytes, expireAt] of SAMPLES)
        await client.call('SET', key, bytes, ...(expireAt === 0 ? [] : ['PXAT', expireAt]))
    }
    await client.call('SAVE')
    // Its clock moves once a second, which may be any time.
    const longest = Math.ceil((performance.now() - startedAt) / 1000)
    const file = readFileSync(join(server.dir, 'dump.rdb'))
    for (const size of [1, 2, 3, 7, 64, 1000, 65_536, file.length]) {
      const keys = keysIn(file, size)
      for (const db of [0, 3])
        for (const [key, bytes, expireAt] of SAMPLES) {
          const found = keys.get(`${db}:${key}`)
          assert.ok(found && asString(found.value).bytes.equals(bytes), `${db}:${key} in pieces of ${size}`)
          assert.equal(found?.expireAt, expireAt)
          const idle = found?.idleSeconds
          assert.ok(idle !== undefined && idle <= longest, `${idle} of ${longest} s`)
        }
      assert.equal(keys.size, 2 * SAMPLES.length)
    }
  })

  it('that we write of every type of value make the same data set in redis-server', async () => {
    const server = await prepareServer({ kind: 'redis', conf: { dbfilename: 'dump.rdb' } })
    const ours = new InProcess()
    fill(ours.connect())
    const { entries, sizes } = snapshotOf(ours.server.keyspace)
    writeFileSync(
      join(server.dir, 'dump.rdb'),
      Buffer.concat([...writeRdb(entries, { aux: [], sizes, compress: true })]),
    )
    await server.start()
    assert.equal(await outcome(server.port, 'DEBUG', 'DIGEST'), ours.connect().call('DEBUG', 'DIGEST'))
  })

  it('that redis-server writes of every type of value make the same data set here', async () => {
    const server = await startServer({ kind: 'redis', conf: { dbfilename: 'dump.rdb' } })
    const client = await connect(server.port)
    for (const request of requests()) assert.equal(await client.call(...request), 'OK')
    await client.call('SAVE')
    const ours = new InProcess()
    const loading = loadBeside(ours.server.keyspace)
    const reader = new RdbReader()
    for (const item of reader.feed(readFileSync(join(server.dir, 'dump.rdb'))))
      if (item.type === 'key') loading.put(item)
    loading.commit()
    assert.equal(ours.connect().call('DEBUG', 'DIGEST'), await client.call('DEBUG', 'DIGEST'))
  })
})

scenarios('A full synchronisation with every type of value', ['redis'], () => {
  for (const [primaryKind, replicaKind] of [
    ['redis', 'rookery'],
    ['rookery', 'redis'],
  ] as const)
    it(`makes ${replicaKind} hold what ${primaryKind} holds`, async () => {
      const [primary, replica] = [await startServer({ kind: primaryKind }), await startServer({ kind: replicaKind })]
      const client = await connect(primary.port)
      for (const request of requests()) assert.equal(await client.call(...request), 'OK')
      const expected = await client.call('DEBUG', 'DIGEST')
      await outcome(replica.port, 'REPLICAOF', '127.0.0.1', primary.port)
      await eventually(() => outcome(replica.port, 'DEBUG', 'DIGEST'), {
        what: 'the digests are equal',
        withinMs: 10_000,
        until: (digest) => digest === expected,
      })
    })
})

const VALUES = 150

/** Commands that make a data set of many values of every type, in two databases, some with a deadline. */
function requests(): Argument[][] {
  const values = fc.sample(someValue, VALUES)
  const restore = values.map((value, i) => {
    const expiry = i % 7 === 0 ? [FAR + i, dumpValue(value), 'ABSTTL'] : [0, dumpValue(value)]
    return ['RESTORE', `${value.type}:${i}`, ...expiry]
  })
  return [...restore.slice(0, VALUES / 2), ['SELECT', 3], ...restore.slice(VALUES / 2)]
}

function fill(client: Wired): void {
  for (const request of requests()) assert.equal(client.call(...request), 'OK')
}

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
