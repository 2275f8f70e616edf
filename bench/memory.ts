/** Resident memory of small keys, ours beside redis-server's, a program of its own for each kind of value:
 *
 *      npm run bench:memory [-- --keys 1000000 --collections 100000 --kinds string,hash,list,set,zset,intset]
 *
 *  Strings of 64 bytes under keys of 16; collections of ten elements of ten bytes (a hash: fields and values; a sorted set: with
 *  scores), under keys of 16 too. Both servers tell their resident sets themselves, before, and when they have been idle for a while after.
 *  Needs redis-server. */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { fields } from '../test/support/client.ts'
import { sleep } from '../test/support/eventually.ts'
import { type Kind, startServer, stopEverything } from '../test/support/process.ts'
import { fill } from './support/filling.ts'

const { values: options } = parseArgs({
  options: {
    keys: { type: 'string', default: '1000000' },
    collections: { type: 'string', default: '100000' },
    kinds: { type: 'string', default: 'string,hash,list,set,zset,intset' },
  },
})

const digits = (n: number, width: number): string => String(n).padStart(width, '0')
const keyOf = (n: number): string => `key:${digits(n, 12)}`
const ELEMENTS = 10
const PLACES = Array.from({ length: ELEMENTS }, (_, i) => i)
/** Ten bytes that differ from key to key. */
const element = (n: number, i: number): string => `e:${digits(n % 1_000_000, 6)}:${i}`

/** A kind of value: the words that make the n-th one, and how many bytes a user would say it has, its key included. */
interface Sort {
  readonly command: (n: number) => readonly string[]
  readonly bytes: number
}

const SORTS: Readonly<Record<string, Sort>> = {
  string: { command: (n) => ['SET', keyOf(n), 'v'.repeat(64)], bytes: 16 + 64 },
  hash: {
    command: (n) => ['HSET', keyOf(n), ...PLACES.flatMap((i) => [`field:${digits(i, 4)}`, element(n, i)])],
    bytes: 16 + ELEMENTS * 20,
  },
  list: { command: (n) => ['RPUSH', keyOf(n), ...PLACES.map((i) => element(n, i))], bytes: 16 + ELEMENTS * 10 },
  set: { command: (n) => ['SADD', keyOf(n), ...PLACES.map((i) => element(n, i))], bytes: 16 + ELEMENTS * 10 },
  zset: {
    command: (n) => ['ZADD', keyOf(n), ...PLACES.flatMap((i) => [String(i * 100), element(n, i)])],
    bytes: 16 + ELEMENTS * 18,
  },
  intset: {
    command: (n) => ['SADD', keyOf(n), ...PLACES.map((i) => String(n * ELEMENTS + i))],
    bytes: 16 + ELEMENTS * 8,
  },
}

/** What one kind of value costs. */
interface Cost {
  /** Bytes for each key: of the resident set, and by the server's own account. */
  readonly resident: number
  readonly counted: number
  /** Resident megabytes of the empty and of the full server. */
  readonly empty: number
  readonly full: number
}

const SETTLED_MS = 500
const IDLE_MS = 3000

async function costOf(kind: Kind, { command }: Sort, count: number): Promise<Cost> {
  const server = await startServer({ kind })
  const look = async (afterMs: number): Promise<{ resident: number; used: number }> => {
    await sleep(afterMs)
    const info = await fields(server.port, 'INFO', 'memory')
    return { resident: Number(info['used_memory_rss']), used: Number(info['used_memory']) }
  }
  const before = await look(SETTLED_MS)
  await fill(server.port, count, command)
  const after = await look(IDLE_MS)
  await server.remove()
  return {
    resident: (after.resident - before.resident) / count,
    counted: (after.used - before.used) / count,
    empty: before.resident / 1e6,
    full: after.resident / 1e6,
  }
}

const table = new Table({
  head: [
    'value',
    'keys',
    'data B',
    'our B',
    'redis B',
    'ratio',
    'over data',
    'redis',
    'our used',
    'redis',
    'our MB',
    'redis',
  ],
  style: { head: [], border: [] },
})
// The servers do not keep this process running.
const awake = setInterval(() => {}, SETTLED_MS)
try {
  for (const name of options.kinds.split(',')) {
    const sort = SORTS[name]
    if (sort === undefined) throw new Error(`no kind ${name}; there are ${Object.keys(SORTS).join(', ')}`)
    const count = Number(name === 'string' ? options.keys : options.collections)
    const ours = await costOf('rookery', sort, count)
    const redis = await costOf('redis', sort, count)
    const round = (bytes: number): string => bytes.toFixed(0)
    table.push([
      name,
      String(count),
      String(sort.bytes),
      round(ours.resident),
      round(redis.resident),
      (ours.resident / redis.resident).toFixed(2),
      round(ours.resident - sort.bytes),
      round(redis.resident - sort.bytes),
      round(ours.counted),
      round(redis.counted),
      `${round(ours.empty)} -> ${round(ours.full)}`,
      `${round(redis.empty)} -> ${round(redis.full)}`,
    ])
  }
  process.stdout.write(`${table.toString()}\n`)
} finally {
  await stopEverything()
  clearInterval(awake)
}
