/** DEBUG DIGEST: a signature of the data that does not depend on order, the same as a real server's for the same data. */
import { createHash } from 'node:crypto'
import type { Keyspace } from '../../store/keyspace.ts'
import type { BulkSink } from '../../store/types/listpack.ts'
import type { StreamValue } from '../../store/types/stream.ts'
import { MAX_ID, MIN_ID } from '../../store/types/stream-id.ts'
import type { Value } from '../../store/value.ts'
import { unreachable } from '../base/assert.ts'
import { formatDouble } from '../base/double.ts'

type Digest = Buffer
const fresh = (): Digest => Buffer.alloc(20)
const sha1 = (bytes: Uint8Array): Buffer => createHash('sha1').update(bytes).digest()

/** Adds something whose place does not matter. */
function add(digest: Digest, bytes: Uint8Array): void {
  const hash = sha1(bytes)
  for (let i = 0; i < digest.length; i++) digest[i]! ^= hash[i]!
}

/** Adds something whose place does matter. */
function chain(digest: Digest, bytes: Uint8Array): void {
  add(digest, bytes)
  sha1(digest).copy(digest)
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Adds two things that belong together, in this order, and whose place as a pair does not matter. */
function addPair(digest: Digest, first: Uint8Array, second: Uint8Array): void {
  const pair = fresh()
  chain(pair, first)
  chain(pair, second)
  add(digest, pair)
}

/** Type numbers of a real server. */
const TYPE_NUMBERS: Readonly<Record<Value['type'], number>> = {
  string: 0,
  list: 1,
  set: 2,
  zset: 3,
  hash: 4,
  stream: 6,
}

function addValue(digest: Digest, value: Value, expires: boolean): void {
  chain(digest, u32(TYPE_NUMBERS[value.type]))
  switch (value.type) {
    case 'string':
      chain(digest, value.bytes)
      break
    case 'list':
      for (const element of value) chain(digest, element)
      break
    case 'set':
      for (const member of value) add(digest, latin1(member))
      break
    case 'hash':
      for (const [field, bytes] of value) addPair(digest, field, bytes)
      break
    case 'zset':
      for (const [member, score] of value.entries()) addPair(digest, latin1(member), latin1(formatDouble(score)))
      break
    case 'stream':
      addEntries(digest, value)
      break
    default:
      unreachable(value)
  }
  if (expires) add(digest, latin1('!!expire!!'))
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** The groups do not count. */
function addEntries(digest: Digest, stream: StreamValue): void {
  const words: BulkSink = { bulkRange: (bytes, start, end) => chain(digest, bytes.subarray(start, end)) }
  for (const entry of stream.range(MIN_ID, MAX_ID)) {
    chain(digest, latin1(`${entry.id.ms}.${entry.id.seq}`))
    entry.put(words)
  }
}

/** The signature of one value, 40 hexadecimal characters. */
export function valueDigest(value: Value, expires: boolean): string {
  const digest = fresh()
  addValue(digest, value, expires)
  return digest.toString('hex')
}

/** The signature of all keys of all databases; forty zeros when there are none. */
export function datasetDigest(keyspace: Keyspace): string {
  const total = fresh()
  for (const db of keyspace.databases) {
    if (db.size === 0) continue
    chain(total, u32(db.index))
    for (const { key, value, expireAt } of db.entries()) {
      const digest = fresh()
      chain(digest, latin1(key))
      addValue(digest, value, expireAt !== 0)
      add(total, digest)
    }
  }
  return total.toString('hex')
}
