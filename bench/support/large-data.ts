/** The collections of a million elements that bench/large.ts asks for. */
import { createHash } from 'node:crypto'
import { type Argument, encode } from '../../test/support/resp.ts'
import { fill } from './filling.ts'
import { connectTimed } from './timed.ts'

/** Elements sent in one command. */
const BATCH = 100
const WIDTH = 7

const digits = (n: number): string => String(n).padStart(WIDTH, '0')
export const element = (n: number): string => `element:${digits(n)}`
export const keyOf = (n: number): string => `key:${digits(n)}`

/** A number that looks drawn, below 2^32: Knuth's multiplicative hashing. */
const scattered = (n: number): number => Math.imul(n + 1, 2_654_435_761) >>> 0

/** What a collection gets for its n-th element. After the first words of each command. */
const COLLECTIONS: readonly (readonly [
  head: readonly string[],
  words: (n: number, count: number) => readonly string[],
])[] = [
  [['RPUSH', 'list'], (n) => [element(n)]],
  [['RPUSH', 'numbers'], (n) => [String(scattered(n))]],
  [['SADD', 'set'], (n) => [element(n)]],
  [['SADD', 'other-set'], (n, count) => [element(n + (count >> 1))]],
  [['HSET', 'hash'], (n) => [element(n), `value:${digits(n)}`]],
  [['ZADD', 'zset'], (n) => [String(scattered(n)), element(n)]],
  [['ZADD', 'other-zset'], (n, count) => [String(n), element(n + (count >> 1))]],
  [['GEOADD', 'places'], (n) => [...place(n), element(n)]],
  [['PFADD', 'visitors'], (n) => [element(n)]],
  [['PFADD', 'other-visitors'], (n, count) => [element(n + (count >> 1))]],
]

/** Longitude and latitude, all over Europe. */
const place = (n: number): readonly [string, string] => [
  String(-10 + (scattered(n) / 2 ** 32) * 50),
  String(35 + (scattered(n * 7 + 1) / 2 ** 32) * 30),
]

/** Fills a server: database 0 with collections, database 1 with as many keys as they have elements each. */
export async function fillLarge(port: number, count: number): Promise<void> {
  for (const [head, words] of COLLECTIONS)
    await fill(port, count / BATCH, (i) => [
      ...head,
      ...Array.from({ length: BATCH }, (_, n) => words(i * BATCH + n, count)).flat(),
    ])
  await fill(port, count, (n) => ['XADD', 'stream', `${n + 1}-0`, 'field', `value:${digits(n)}`], 2)
  await fill(port, 1 + count / BATCH, (i) =>
    i === 0 ? ['SELECT', '1'] : ['MSET', ...Array.from({ length: BATCH }, (_, n) => pair((i - 1) * BATCH + n)).flat()],
  )
  const connection = await connectTimed(port)
  const set = (...argv: readonly Argument[]): Promise<Buffer> => connection.reply(encode(argv))
  await set('SET', 'string', noise(100 * count, 'string'))
  await set('SET', 'bitmap', noise(16 * count, 'bitmap'))
  await set('SET', 'other-bitmap', noise(16 * count, 'other'))
  connection.close()
}

const pair = (n: number): readonly [string, string] => [keyOf(n), `value:${digits(n)}`]

/** Bytes without a pattern, the same each time. */
function noise(length: number, seed: string): Buffer {
  const bytes = Buffer.alloc(length)
  const block = createHash('shake256', { outputLength: 1 << 20 })
    .update(seed)
    .digest()
  for (let at = 0; at < length; at += block.length) block.copy(bytes, at)
  return bytes
}
