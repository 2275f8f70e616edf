/** The durable form of a key and its value: one LevelDB record. The key is plain, so that the records of a slot are neighbours; the
 *  value is the message `Record` of record.proto, whose schema can grow.
 *
 *  LevelDB is given both as text with one character for each byte. A string crosses into JavaScript in less than a third of the time
 *  of a Buffer: 0.28 instead of 0.94 microseconds of the main thread for a record of a small key, which is most of a start. The price
 *  is a second byte on the disk for bytes from 0x80 on. */
import protobuf from 'protobufjs/minimal.js'
import { Key } from '../lib/base/key.ts'
import { crc16 } from '../lib/base/slot.ts'
import { dumpValue, loadDump } from './rdb/dump.ts'
import { RdbError } from './rdb/source.ts'
import type { Limits } from './rdb/types.ts'
import type { SegmentHead } from './segments.ts'
import { FieldDeadlines } from './types/field-deadlines.ts'
import type { Value } from './value.ts'

/** Bytes as LevelDB gets them: latin1. */
export type RecordText = string

/** A record is not what we wrote. */
export class RecordError extends Error {}

/** Which records count, and where in which history they are a picture of the data set. */
export interface Commit extends SegmentHead {
  /** Records of later generations do not count. */
  readonly generation: number
  /** Nor do those of earlier ones: a whole data set was written under this generation. */
  readonly oldest: number
  /** Sources of the function libraries. */
  readonly libraries: readonly Uint8Array[]
}

// --- keys ----------------------------------------------------------------------------------------------------------------

/** Slot u16, database u32, length of the key u32, the key, generation u48, what the record says u8; all big-endian. The length before
 *  the key makes the records of one key neighbours, the newest of them the last. */
const BEFORE = 2 + 4 + 4
const AFTER = 6 + 1

/** What a record says of its key: it has this value, or it was removed. */
const REMOVED = 1

/** Behind every record: the highest slot is 0x3fff. */
export const COMMIT_KEY: RecordText = '\xff\xffcommit'
/** All records are below. */
export const RECORDS_END: RecordText = '\xff\xff'

/** The record key of a value, or of the removal, of a key. */
export function recordKey(
  slot: number,
  db: number,
  key: Uint8Array,
  generation: number,
  isRemoved: boolean,
): RecordText {
  const length = BEFORE + key.length + AFTER
  const out = roomFor(length)
  out.writeUInt16BE(slot, 0)
  out.writeUInt32BE(db, 2)
  out.writeUInt32BE(key.length, 6)
  out.set(key, BEFORE)
  out.writeUIntBE(generation, BEFORE + key.length, 6)
  out[length - 1] = isRemoved ? REMOVED : 0
  return out.latin1Slice(0, length)
}

const u16 = (text: RecordText, at: number): number => text.charCodeAt(at) * 256 + text.charCodeAt(at + 1)

/** The generation of a record key. */
export function generationOf(text: RecordText): number {
  const at = text.length - AFTER
  return (u16(text, at) * 65_536 + u16(text, at + 2)) * 65_536 + u16(text, at + 4)
}

/** Whether a record key says that its key was removed. */
export const isRemoval = (text: RecordText): boolean => text.charCodeAt(text.length - 1) === REMOVED

/** Whether two record keys are about the same key. */
export function isSameKey(one: RecordText, other: RecordText): boolean {
  if (one.length !== other.length) return false
  // Neighbours differ near the end, if they differ.
  for (let i = one.length - AFTER - 1; i >= 0; i--) if (one.charCodeAt(i) !== other.charCodeAt(i)) return false
  return true
}

/** Memory that is used again and again: nothing in it outlives the call. */
let scratch = Buffer.allocUnsafeSlow(4096)

function roomFor(length: number): Buffer {
  if (length > scratch.length) scratch = Buffer.allocUnsafeSlow(length * 2)
  return scratch
}

// --- values --------------------------------------------------------------------------------------------------------------

const TYPES = ['string', 'list', 'set', 'zset', 'hash', 'stream'] as const

/** Field numbers with their wire types: 0 varint, 2 length and bytes. */
const tag = (field: number, wireType: 0 | 2): number => (field << 3) | wireType

/** The message `Record`. */
export function encodeValue(value: Value, expireAt: number): RecordText {
  const out = protobuf.Writer.create()
  const type = TYPES.indexOf(value.type)
  if (type !== 0) out.uint32(tag(1, 0)).uint32(type)
  if (expireAt !== 0) out.uint32(tag(2, 0)).uint64(expireAt)
  const bytes = value.type === 'string' ? value.bytes : dumpValue(value, false)
  out.uint32(tag(3, 2)).bytes(bytes)
  if (value.type === 'string') out.uint32(tag(4, 0)).uint32(crc16(bytes, 0, bytes.length))
  if (value.type === 'hash' && value.deadlines !== undefined) out.uint32(tag(5, 2)).bytes(value.deadlines.encode())
  return textOf(out)
}

/** One record after the other, without an object for each: what it was pointed at last. */
export class RecordReader {
  db = 0
  /** Borrowed until the next record. */
  readonly key = new Key(scratch, 0, 0)
  /** Unix milliseconds; 0 = never. */
  expireAt = 0
  /** The value's bytes are bytes[start, end): a string's own, or a DUMP payload. Borrowed until the next record. */
  bytes: Buffer = scratch
  start = 0
  end = 0
  /** Of a hash's fields; copied. */
  #deadlines: Buffer | undefined
  #type = 0
  readonly #from = protobuf.Reader.create(scratch)

  /** Points at a record. Throws RecordError when it is none. */
  read(name: RecordText, message: RecordText): void {
    const bytes = roomFor(name.length + message.length)
    const end = name.length - AFTER
    bytes.latin1Write(name, 0)
    if (end < BEFORE || bytes.readUInt32BE(6) !== end - BEFORE)
      throw new RecordError('a record has a key of another form')
    bytes.latin1Write(message, name.length)
    this.db = bytes.readUInt32BE(2)
    this.key.set(bytes, BEFORE, end)
    this.bytes = bytes
    try {
      this.#fields(bytes, name.length, message.length)
    } catch (cause) {
      throw new RecordError(`the record of key ${JSON.stringify(this.key.text())} is damaged`, { cause })
    }
  }

  get isString(): boolean {
    return this.#type === 0
  }

  /** The value, whatever its type; it owns its bytes. `limits`: how far collections stay packed. Throws RecordError. */
  value(limits?: Limits): Value {
    const bytes = Buffer.from(this.bytes.subarray(this.start, this.end))
    if (this.isString) return { type: 'string', bytes, raw: false }
    try {
      const value = loadDump(bytes, limits)
      if (value.type === 'hash' && this.#deadlines !== undefined)
        value.deadlines = FieldDeadlines.decode(this.#deadlines)
      if (value.type === TYPES[this.#type]) return value
    } catch (cause) {
      if (!(cause instanceof RdbError)) throw cause
    }
    throw new RecordError(`the record of key ${JSON.stringify(this.key.text())} is damaged`)
  }

  #fields(bytes: Buffer, start: number, length: number): void {
    const from = this.#from
    from.buf = bytes
    from.pos = start
    from.len = start + length
    this.#type = 0
    this.expireAt = 0
    this.start = this.end = 0
    this.#deadlines = undefined
    let check: number | undefined
    while (from.pos < from.len) {
      const field = from.uint32()
      if (field === tag(1, 0)) this.#type = from.uint32()
      else if (field === tag(2, 0)) this.expireAt = Number(String(from.uint64()))
      else if (field === tag(3, 2)) {
        const size = from.uint32()
        this.start = from.pos
        this.end = from.skip(size).pos
      } else if (field === tag(4, 0)) check = from.uint32()
      else if (field === tag(5, 2)) this.#deadlines = Buffer.from(from.bytes())
      else from.skipType(field & 7)
    }
    if (this.isString && check !== crc16(bytes, this.start, this.end)) throw new RecordError('wrong checksum')
  }
}

function textOf(out: protobuf.Writer): RecordText {
  const bytes = out.finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).latin1Slice()
}

// --- commits -------------------------------------------------------------------------------------------------------------

/** The fields of the message `Commit` in order, from number 1 on: first all numbers, then all texts. */
const NUMBERS = ['generation', 'oldest', 'chain', 'offset', 'secondOffset', 'db'] as const
const TEXTS = ['replid', 'replid2'] as const
/** After them: any number of libraries. */
const LIBRARIES = 1 + NUMBERS.length + TEXTS.length

/** The message `Commit`. */
export function encodeCommit(commit: Commit): RecordText {
  const out = protobuf.Writer.create()
  for (const [i, name] of NUMBERS.entries()) out.uint32(tag(1 + i, 0)).sint64(commit[name])
  for (const [i, name] of TEXTS.entries()) out.uint32(tag(1 + NUMBERS.length + i, 2)).string(commit[name])
  for (const library of commit.libraries) out.uint32(tag(LIBRARIES, 2)).bytes(library)
  return textOf(out)
}

/** Reads the message `Commit`. Throws RecordError. */
export function decodeCommit(text: RecordText): Commit {
  const numbers = { generation: 0, oldest: 0, chain: 0, offset: 0, secondOffset: 0, db: 0 }
  const texts = { replid: '', replid2: '' }
  const libraries: Buffer[] = []
  try {
    const from = protobuf.Reader.create(Buffer.from(text, 'latin1'))
    while (from.pos < from.len) {
      const field = from.uint32()
      const place = (field >> 3) - 1
      const number = NUMBERS[place]
      const text = TEXTS[place - NUMBERS.length]
      if (number !== undefined) numbers[number] = Number(String(from.sint64()))
      else if (text !== undefined) texts[text] = from.string()
      else if (field >> 3 === LIBRARIES) libraries.push(Buffer.from(from.bytes()))
      else from.skipType(field & 7)
    }
  } catch (cause) {
    throw new RecordError('the commit of the checkpoint is damaged', { cause })
  }
  return { ...numbers, ...texts, libraries }
}
