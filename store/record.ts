/** The durable form of a key and its value: one LevelDB record. The key is plain bytes, so that the records of a slot are neighbours;
 *  the value is the message `Record` of record.proto, whose schema can grow. */
import protobuf from 'protobufjs/minimal.js'
import { crc16 } from '../lib/base/slot.ts'
import { dumpValue, loadDump } from './rdb/dump.ts'
import { RdbError } from './rdb/source.ts'
import type { SegmentHead } from './segments.ts'
import type { Value } from './value.ts'

/** A record is not what we wrote. */
export class RecordError extends Error {}

/** Which records count, and where in which history they are a picture of the data set. */
export interface Commit extends SegmentHead {
  /** Records of later generations do not count. */
  readonly generation: number
  /** Nor do those of earlier ones: a whole data set was written under this generation. */
  readonly oldest: number
}

// --- keys ----------------------------------------------------------------------------------------------------------------

/** Slot u16, database u32, length of the key u32, the key, generation u48, what the record says u8; all big-endian. The length before
 *  the key makes the records of one key neighbours, the newest of them the last. */
const BEFORE = 2 + 4 + 4
const AFTER = 6 + 1

/** What a record says of its key: it has this value, or it was removed. */
const REMOVED = 1

/** Behind every record: the highest slot is 0x3fff. */
export const COMMIT_KEY = Buffer.from('\xff\xffcommit', 'latin1')
/** All records are below. */
export const RECORDS_END = Buffer.from('\xff\xff', 'latin1')

/** The record key of a value, or of the removal, of a key. */
export function recordKey(slot: number, db: number, key: Uint8Array, generation: number, isRemoved: boolean): Buffer {
  const out = Buffer.allocUnsafe(BEFORE + key.length + AFTER)
  out.writeUInt16BE(slot, 0)
  out.writeUInt32BE(db, 2)
  out.writeUInt32BE(key.length, 6)
  out.set(key, BEFORE)
  out.writeUIntBE(generation, BEFORE + key.length, 6)
  out[BEFORE + key.length + 6] = isRemoved ? REMOVED : 0
  return out
}

/** The parts of a record key. Throws RecordError. */
export function readRecordKey(bytes: Buffer): { db: number; key: Buffer; generation: number; isRemoved: boolean } {
  const end = bytes.length - AFTER
  if (end < BEFORE || bytes.readUInt32BE(6) !== end - BEFORE)
    throw new RecordError('a record has a key of another form')
  return {
    db: bytes.readUInt32BE(2),
    key: bytes.subarray(BEFORE, end),
    generation: bytes.readUIntBE(end, 6),
    isRemoved: bytes[end + 6] === REMOVED,
  }
}

/** The generation of a record key. */
export const generationOf = (bytes: Buffer): number => bytes.readUIntBE(bytes.length - AFTER, 6)

/** Whether two record keys are about the same key. */
export function isSameKey(one: Buffer, other: Buffer): boolean {
  if (one.length !== other.length) return false
  // Neighbours differ near the end, if they differ.
  for (let i = one.length - AFTER - 1; i >= 0; i--) if (one[i] !== other[i]) return false
  return true
}

// --- values --------------------------------------------------------------------------------------------------------------

const TYPES = ['string', 'list', 'set', 'zset', 'hash', 'stream'] as const

/** Field numbers with their wire types: 0 varint, 2 length and bytes. */
const tag = (field: number, wireType: 0 | 2): number => (field << 3) | wireType

/** The message `Record`. */
export function encodeValue(value: Value, expireAt: number): Uint8Array {
  const out = protobuf.Writer.create()
  const type = TYPES.indexOf(value.type)
  if (type !== 0) out.uint32(tag(1, 0)).uint32(type)
  if (expireAt !== 0) out.uint32(tag(2, 0)).uint64(expireAt)
  const bytes = value.type === 'string' ? value.bytes : dumpValue(value, false)
  out.uint32(tag(3, 2)).bytes(bytes)
  if (value.type === 'string') out.uint32(tag(4, 0)).uint32(crc16(bytes, 0, bytes.length))
  return out.finish()
}

/** Reads the message `Record`; the value borrows from `bytes`. Throws RecordError. */
export function decodeValue(bytes: Buffer): { value: Value; expireAt: number } {
  try {
    const from = protobuf.Reader.create(bytes)
    let type = 0
    let expireAt = 0
    let payload = EMPTY
    let check: number | undefined
    while (from.pos < from.len) {
      const field = from.uint32()
      if (field === tag(1, 0)) type = from.uint32()
      else if (field === tag(2, 0)) expireAt = Number(String(from.uint64()))
      // Of a Buffer the reader gives a Buffer.
      else if (field === tag(3, 2)) payload = from.bytes() as Buffer
      else if (field === tag(4, 0)) check = from.uint32()
      else from.skipType(field & 7)
    }
    return { value: valueFrom(type, payload, check), expireAt }
  } catch (cause) {
    if (cause instanceof RangeError || cause instanceof RdbError)
      throw new RecordError(`a record is damaged: ${cause.message}`, { cause })
    throw cause
  }
}

const EMPTY: Buffer = Buffer.alloc(0)

function valueFrom(type: number, payload: Buffer, check: number | undefined): Value {
  const name = TYPES[type]
  if (name === undefined) throw new RecordError(`a record has the unknown type ${type}`)
  if (name === 'string') {
    if (check !== crc16(payload, 0, payload.length)) throw new RecordError('a record is damaged: its checksum is wrong')
    return { type: 'string', bytes: payload, raw: false }
  }
  const value = loadDump(payload)
  if (value.type !== (name as string)) throw new RecordError(`a record says ${name} and holds ${value.type}`)
  return value
}

// --- commits -------------------------------------------------------------------------------------------------------------

/** The fields of the message `Commit` in order, from number 1 on: first all numbers, then all texts. */
const NUMBERS = ['generation', 'oldest', 'chain', 'offset', 'secondOffset', 'db'] as const
const TEXTS = ['replid', 'replid2'] as const

/** The message `Commit`. */
export function encodeCommit(commit: Commit): Uint8Array {
  const out = protobuf.Writer.create()
  for (const [i, name] of NUMBERS.entries()) out.uint32(tag(1 + i, 0)).sint64(commit[name])
  for (const [i, name] of TEXTS.entries()) out.uint32(tag(1 + NUMBERS.length + i, 2)).string(commit[name])
  return out.finish()
}

/** Reads the message `Commit`. Throws RecordError. */
export function decodeCommit(bytes: Buffer): Commit {
  const numbers = { generation: 0, oldest: 0, chain: 0, offset: 0, secondOffset: 0, db: 0 }
  const texts = { replid: '', replid2: '' }
  try {
    const from = protobuf.Reader.create(bytes)
    while (from.pos < from.len) {
      const field = from.uint32()
      const place = (field >> 3) - 1
      const number = NUMBERS[place]
      const text = TEXTS[place - NUMBERS.length]
      if (number !== undefined) numbers[number] = Number(String(from.sint64()))
      else if (text !== undefined) texts[text] = from.string()
      else from.skipType(field & 7)
    }
  } catch (cause) {
    throw new RecordError('the commit of the checkpoint is damaged', { cause })
  }
  return { ...numbers, ...texts }
}
