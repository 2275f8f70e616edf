/** A small data set with every type, a deadline and awkward bytes, written by plain commands and read back by plain commands:
 *  what must be the same on both sides of a replication link, a migration or a restart. */
import type { Client } from './client.ts'
import type { Argument, Value } from './resp.ts'

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
const FAR_AWAY_MS = 4_000_000_000_000
const DRIFT_LIMIT_MS = 10_000

/** Key suffix, the commands that write it (the key goes in second place), and the one that reads it. */
const SAMPLES: readonly {
  name: string
  write: readonly (readonly Argument[])[]
  read: readonly Argument[]
  unordered?: true
}[] = [
  { name: 'string', write: [['SET', 'plain']], read: ['GET'] },
  { name: 'empty', write: [['SET', '']], read: ['GET'] },
  { name: 'bytes', write: [['SET', ALL_BYTES]], read: ['GET'] },
  { name: 'long', write: [['SET', Buffer.alloc(100_000, 'ab')]], read: ['GET'] },
  { name: 'integer', write: [['SET', '-9223372036854775808']], read: ['GET'] },
  {
    name: 'deadline',
    write: [
      ['SET', 'v'],
      ['PEXPIREAT', FAR_AWAY_MS],
    ],
    read: ['PEXPIRETIME'],
  },
  { name: 'list', write: [['RPUSH', 'a', ALL_BYTES, '', '17']], read: ['LRANGE', 0, -1] },
  { name: 'longlist', write: [['RPUSH', ...numbers(500, 'item')]], read: ['LRANGE', 0, -1] },
  { name: 'hash', write: [['HSET', 'f', '1', ALL_BYTES, ALL_BYTES]], read: ['HGETALL'], unordered: true },
  { name: 'bighash', write: [['HSET', ...numbers(600, 'f')]], read: ['HGETALL'], unordered: true },
  { name: 'intset', write: [['SADD', '1', '-70000', '9223372036854775807']], read: ['SMEMBERS'], unordered: true },
  { name: 'set', write: [['SADD', 'x', ALL_BYTES, '5']], read: ['SMEMBERS'], unordered: true },
  { name: 'zset', write: [['ZADD', '1.5', 'a', '-inf', 'b', '3', ALL_BYTES]], read: ['ZRANGE', 0, -1, 'WITHSCORES'] },
  { name: 'bigzset', write: [['ZADD', ...numbers(300, 'm')]], read: ['ZRANGE', 0, -1, 'WITHSCORES'] },
  {
    name: 'stream',
    write: [
      ['XADD', '1-1', 'f', 'v'],
      ['XADD', '1-2', 'g', ALL_BYTES],
      ['XADD', '5-0', 'f', ''],
    ],
    read: ['XRANGE', '-', '+'],
  },
]

/** i, prefix i pairs: scores and members, or fields and values. */
function numbers(count: number, prefix: string): Argument[] {
  return Array.from({ length: count }, (_, i) => [String(i), `${prefix}${i}`]).flat()
}

/** What was read, by name. */
export type Sample = Readonly<Record<string, unknown>>

/** Writes the sample under keys `prefix` + name. */
export async function writeSample(client: Client, prefix: string): Promise<void> {
  for (const { name, write } of SAMPLES) {
    for (const [command, ...rest] of write) await client.call(command!, prefix + name, ...rest)
  }
}

/** Reads the sample back: equal samples give equal objects, whatever the server's order of fields and members. */
export async function readSample(client: Client, prefix: string): Promise<Sample> {
  const values: Record<string, unknown> = {}
  for (const { name, read, unordered } of SAMPLES) {
    const [command, ...rest] = read
    const value = await client.call(command!, prefix + name, ...rest)
    values[name] = unordered && Array.isArray(value) ? ordered(command!, value) : value
  }
  return values
}

/** The sample as it is after MIGRATE, which carries the time left and not the deadline: a key that moved lives longer by the way it took. */
export function withoutDrift(sample: Sample): Sample {
  return { ...sample, deadline: Math.floor(Number(sample['deadline']) / DRIFT_LIMIT_MS) }
}

function ordered(command: Argument, flat: readonly Value[]): unknown[] {
  if (command !== 'HGETALL') return flat.map(String).sort()
  return flat.flatMap((field, i) => (i % 2 === 0 ? `${field}=${flat[i + 1]}` : [])).sort()
}
