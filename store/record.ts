/** The durable form of a key and its value: one LevelDB record. The key is plain, so that the records of a slot are neighbours; the
 *  value is the message `Record` of record.proto, whose schema can grow.
 *
 *  LevelDB is given both as text with one character for each byte. A string crosses into JavaScript in less than a third of the time
 *  of a Buffer: 0.28 instead of 0.94 microseconds of the main thread for a record of a small key, which is most of a start. The price
 *  is a second byte on the disk for bytes from 0x80 on. */
import protobuf from 'protobufjs/minimal.js'
import { dataOf } from '../lib/base/copy.ts'
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

/** A record as LevelDB has it. */
export type RecordEntry = readonly [key: RecordText, value: RecordText]

const NONE: readonly RecordEntry[] = []

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
 *  the key makes the records of one key neighbours, the newest of them the last. A value that is too large for one record goes on in
 *  others, behind it: they have the number of the part, u32 from 1 on, between the generation and what they say. */
const BEFORE = 2 + 4 + 4
const AFTER = 6 + 1

/** What a record says of its key, but that it has this value: it was removed, or this is a further part of the value. */
const REMOVED = 1
const PART = 2
const PART_NUMBER = 4

/** Behind every record: the highest slot is 0x3fff. */
export const COMMIT_KEY: RecordText = '\xff\xffcommit'
/** All records are below. */
export const RECORDS_END: RecordText = '\xff\xff'

/** The record key of a value, or of a further part of it, or of the removal, of a key. */
export function recordKey(
  slot: number,
  db: number,
  key: Uint8Array,
  generation: number,
  isRemoved: boolean,
  part = 0,
): RecordText {
  const length = BEFORE + key.length + AFTER + (part === 0 ? 0 : PART_NUMBER)
  const out = roomFor(length)
  out.writeUInt16BE(slot, 0)
  out.writeUInt32BE(db, 2)
  out.writeUInt32BE(key.length, 6)
  out.set(key, BEFORE)
  out.writeUIntBE(generation, BEFORE + key.length, 6)
  if (part !== 0) out.writeUInt32BE(part, length - 1 - PART_NUMBER)
  out[length - 1] = part !== 0 ? PART : isRemoved ? REMOVED : 0
  return out.latin1Slice(0, length)
}

const u16 = (text: RecordText, at: number): number => text.charCodeAt(at) * 256 + text.charCodeAt(at + 1)

/** Where the key ends in a record key. */
const keyEnd = (text: RecordText): number => BEFORE + u16(text, 6) * 65_536 + u16(text, 8)

/** The generation of a record key. */
export function generationOf(text: RecordText): number {
  const at = keyEnd(text)
  return (u16(text, at) * 65_536 + u16(text, at + 2)) * 65_536 + u16(text, at + 4)
}

/** Whether a record key says that its key was removed. */
export const isRemoval = (text: RecordText): boolean => text.charCodeAt(text.length - 1) === REMOVED

/** Whether a record key is that of a further part of a value. */
export const isPart = (text: RecordText): boolean => text.charCodeAt(text.length - 1) === PART

/** Whether two record keys are about the same key. */
export function isSameKey(one: RecordText, other: RecordText): boolean {
  // Neighbours differ near the end, if they differ.
  for (let i = keyEnd(one) - 1; i >= 0; i--) if (one.charCodeAt(i) !== other.charCodeAt(i)) return false
  return true
}

/** Memory that is used again and again: nothing in it outlives the call. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024)

/** What does not fit there gets memory of its own, which goes with it. */
const roomFor = (length: number): Buffer => (length <= scratch.length ? scratch : Buffer.allocUnsafeSlow(length))

// --- values --------------------------------------------------------------------------------------------------------------

const TYPES = ['string', 'list', 'set', 'zset', 'hash', 'stream'] as const

/** Field numbers with their wire types: 0 varint, 2 length and bytes. */
const tag = (field: number, wireType: 0 | 2): number => (field << 3) | wireType

/** Room for what stands around the bytes: the tags and numbers of five fields, of at most eight bytes each. */
const AROUND = 10 * 8

/** The message `Record`. Written by hand, and read so: protobufjs makes an object for each number, and there are as many records as keys. */
export function encodeValue(value: Value, expireAt: number): RecordText {
  const type = TYPES.indexOf(value.type)
  const bytes = value.type === 'string' ? value.bytes : dumpValue(value, false)
  const deadlines = value.type === 'hash' ? value.deadlines?.encode() : undefined
  const out = roomFor(AROUND + bytes.length + (deadlines?.length ?? 0))
  let at = 0
  if (type !== 0) at = putNumber(out, at, 1, type)
  if (expireAt !== 0) at = putNumber(out, at, 2, expireAt)
  at = putBytes(out, at, 3, bytes)
  if (value.type === 'string') at = putNumber(out, at, 4, crc16(bytes, 0, bytes.length))
  if (deadlines !== undefined) at = putBytes(out, at, 5, deadlines)
  return out.latin1Slice(0, at)
}

/** Writes a field at a place; returns where the next begins. */
function putNumber(out: Buffer, at: number, field: number, value: number): number {
  return putVarint(out, putVarint(out, at, tag(field, 0)), value)
}

function putBytes(out: Buffer, at: number, field: number, bytes: Uint8Array): number {
  const start = putVarint(out, putVarint(out, at, tag(field, 2)), bytes.length)
  out.set(bytes, start)
  return start + bytes.length
}

/** Seven bits a byte, the lowest first; all but the last have the highest bit set. */
function putVarint(out: Buffer, at: number, value: number): number {
  let rest = value
  let end = at
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out[end++] = (rest % 0x80) | 0x80
  out[end] = rest
  return end + 1
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
  /** The memory behind `bytes`. */
  data = dataOf(scratch)
  start = 0
  end = 0
  /** Of a hash's fields; copied. */
  #deadlines: Buffer | undefined
  #type = 0
  #parts: readonly RecordEntry[] = NONE
  /** What was not read yet of the message: bytes[#at, #limit). */
  #at = 0
  #limit = 0

  /** Points at a record; `parts`: those of the further parts of its value. Throws RecordError when it is none. */
  read(name: RecordText, message: RecordText, parts: readonly RecordEntry[] = NONE): void {
    const bytes = roomFor(name.length + message.length)
    const data = dataOf(bytes)
    const end = name.length - (isPart(name) ? AFTER + PART_NUMBER : AFTER)
    this.#parts = parts
    bytes.latin1Write(name, 0)
    bytes.latin1Write(message, name.length)
    if (end < BEFORE || data.getUint32(6) !== end - BEFORE) throw new RecordError('a record has a key of another form')
    this.bytes = bytes
    this.data = data
    this.db = data.getUint32(2)
    this.key.set(bytes, BEFORE, end, data)
    this.#at = name.length
    this.#limit = name.length + message.length
    if (!this.#fields()) throw this.#damaged
  }

  get isString(): boolean {
    return this.#type === 0
  }

  /** The value, whatever its type; it owns its bytes. `limits`: how far collections stay packed. Throws RecordError. */
  value(limits?: Limits): Value {
    const value = this.#decode(limits)
    const deadlines = this.#deadlines
    if (this.#parts.length > 0) {
      const further = new RecordReader()
      for (const [name, message] of this.#parts) {
        further.read(name, message)
        further.#decode(limits, value)
      }
    }
    // Not before all fields are there: a field that is set loses its deadline.
    if (value.type === 'hash' && deadlines !== undefined) value.deadlines = FieldDeadlines.decode(deadlines)
    return value
  }

  /** The value in this record alone, or `whole`, to which the elements in it are added. */
  #decode(limits?: Limits, whole?: Value): Value {
    const bytes = Buffer.from(this.bytes.subarray(this.start, this.end))
    if (this.isString) return { type: 'string', bytes, raw: false }
    try {
      const value = loadDump(bytes, limits, whole)
      if (value.type === TYPES[this.#type] && (whole === undefined || value === whole)) return value
    } catch (cause) {
      if (!(cause instanceof RdbError)) throw cause
    }
    throw this.#damaged
  }

  get #damaged(): RecordError {
    return new RecordError(`the record of key ${JSON.stringify(this.key.text())} is damaged`)
  }

  /** Reads the message; false when it is none. Fields that a later version adds are passed over. */
  #fields(): boolean {
    this.#type = 0
    this.expireAt = 0
    this.start = this.end = 0
    this.#deadlines = undefined
    let check = -1
    while (this.#at < this.#limit) {
      const field = this.#varint()
      const value = this.#varint()
      const start = this.#at
      if ((field & 7) === 2) this.#at += value
      else if ((field & 7) !== 0) return false
      if (field === tag(1, 0)) this.#type = value
      else if (field === tag(2, 0)) this.expireAt = value
      else if (field === tag(3, 2)) {
        this.start = start
        this.end = this.#at
      } else if (field === tag(4, 0)) check = value
      else if (field === tag(5, 2)) this.#deadlines = Buffer.from(this.bytes.subarray(start, this.#at))
    }
    if (this.#at > this.#limit) return false
    return !this.isString || check === crc16(this.bytes, this.start, this.end)
  }

  /** The next number; what it would be behind the end does no harm, for then the message is none. */
  #varint(): number {
    const { data } = this
    let value = 0
    for (let unit = 1; this.#at < this.#limit; unit *= 0x80) {
      const byte = data.getUint8(this.#at++)
      value += (byte & 0x7f) * unit
      if (byte < 0x80) return value
    }
    this.#at = this.#limit + 1
    return value
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
