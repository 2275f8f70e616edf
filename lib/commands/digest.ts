/** DEBUG DIGEST: a signature of the data that does not depend on order, the same as a real server's for the same data. */
import { createHash } from 'node:crypto'
import type { Keyspace } from '../../store/keyspace.ts'
import type { Value } from '../../store/value.ts'
import { unreachable } from '../base/assert.ts'

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

/** Type numbers of a real server. */
const TYPE_NUMBERS: Readonly<Record<Value['type'], number>> = { string: 0 }

function addValue(digest: Digest, value: Value, expires: boolean): void {
  chain(digest, u32(TYPE_NUMBERS[value.type]))
  switch (value.type) {
    case 'string':
      chain(digest, value.bytes)
      break
    default:
      unreachable(value.type)
  }
  if (expires) add(digest, Buffer.from('!!expire!!'))
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
      chain(digest, Buffer.from(key, 'latin1'))
      addValue(digest, value, expireAt !== 0)
      add(total, digest)
    }
  }
  return total.toString('hex')
}
