/** DUMP payloads: one value with its type byte, then the RDB version (u16 LE) and the CRC64 of all before it. No key, no deadline. */
import { own } from '../../lib/base/bytes.ts'
import type { Value } from '../value.ts'
import { Crc64 } from './crc64.ts'
import { STRING, writerOf } from './forms.ts'
import { isReadable } from './reader.ts'
import { MAX_INT32_TEXT, MIN_COMPRESSED, Sink } from './sink.ts'
import { type Decoding, decodeWhole, RdbError, Source, UnsupportedTypeError } from './source.ts'
import { DEFAULT_LIMITS, type Limits, readValue } from './types.ts'
import { LIBRARY, RDB_VERSION } from './writer.ts'
import { finish } from './writing.ts'

/** Version and checksum. */
const FOOTER = 2 + 8

/** The payload DUMP answers. `compress`: rdbcompression. */
export function dumpValue(value: Value, compress = true): Buffer {
  if (value.type === 'string' && isPlain(value.bytes, compress)) return dumpPlain(value.bytes)
  const out = new Sink(compress)
  const { code, write } = writerOf(value)
  out.u8(code)
  finish(write(out))
  return seal(out)
}

/** Strings of these lengths, the shorter ones if they may be compressed, are written as they are. */
const PLAIN = { shortest: MAX_INT32_TEXT + 1, shortHead: 0x40, longest: 0x3fff }

const isPlain = ({ length }: Uint8Array, compress: boolean): boolean =>
  length >= PLAIN.shortest && length <= (compress ? MIN_COMPRESSED - 1 : PLAIN.longest)

/** As a whole, in few steps: a reshard is over before code that runs for each of its keys is compiled. */
function dumpPlain(bytes: Uint8Array): Buffer {
  const { length } = bytes
  const start = length < PLAIN.shortHead ? 2 : 3
  const end = start + length
  const payload = Buffer.allocUnsafe(end + FOOTER)
  payload[0] = STRING
  if (start === 2) payload[1] = length
  else payload.writeUInt16BE((PLAIN.shortHead << 8) | length, 1)
  payload.set(bytes, start)
  payload.writeUInt16LE(RDB_VERSION, end)
  new Crc64().update(payload, 0, end + 2).writeTo(payload, end + 2)
  return payload
}

/** What `dumpPlain` has written; undefined for what is to be read step by step. */
function loadPlain(body: Buffer): Value | undefined {
  const first = body[1]
  if (body[0] !== STRING || first === undefined || first >= 2 * PLAIN.shortHead) return undefined
  const start = first < PLAIN.shortHead ? 2 : 3
  if (body.length < start) return undefined
  const length = start === 2 ? first : body.readUInt16BE(1) & PLAIN.longest
  return start + length === body.length ? { type: 'string', bytes: own(body.subarray(start)), raw: false } : undefined
}

/** The payload FUNCTION DUMP answers: the libraries' sources. */
export function dumpLibraries(sources: readonly Uint8Array[], compress = true): Buffer {
  const out = new Sink(compress)
  for (const source of sources) {
    out.u8(LIBRARY)
    out.string(source)
  }
  return seal(out)
}

function seal(out: Sink): Buffer {
  out.u16(RDB_VERSION)
  const checksum = out.checksum()
  out.bytes(checksum)
  return Buffer.concat(out.take())
}

/** The value RESTORE stores; it owns its bytes. Throws RdbError with a real server's words when the payload is too short, of a newer
 *  version or damaged ("DUMP payload version or checksum are wrong"), or whole but senseless ("Bad data format"), and
 *  UnsupportedTypeError. `limits`: how far collections stay packed. `whole`: see `readValue`. */
export function loadDump(payload: Buffer, limits = DEFAULT_LIMITS, whole?: Value): Value {
  const body = unseal(payload)
  const plain = loadPlain(body)
  if (plain !== undefined) return plain
  try {
    const value = decodeWhole(readTyped(sourceOf(body), limits, whole))
    if (value !== undefined) return value
  } catch (cause) {
    if (cause instanceof UnsupportedTypeError || !(cause instanceof RdbError)) throw cause
    throw new RdbError(BAD_FORMAT, { cause })
  }
  throw new RdbError(BAD_FORMAT)
}

const BAD_FORMAT = 'Bad data format'

/** Whether a payload, which is whole, is of a newer version than those we write: then what we write is read by servers that cannot read it. */
export const isNewer = (payload: Buffer): boolean => versionOf(payload) > RDB_VERSION

const versionOf = (payload: Buffer): number => payload.readUInt16LE(payload.length - FOOTER)

/** The sources FUNCTION RESTORE is given, copied. Throws RdbError as `loadDump` does, with the words for libraries. */
export function loadLibraries(payload: Buffer): readonly Buffer[] {
  const sources = decodeWhole(readLibraries(sourceOf(unseal(payload))))
  if (sources === undefined) throw new RdbError('failed loading functions payload')
  return sources
}

function* readLibraries(from: Source): Decoding<readonly Buffer[]> {
  const sources: Buffer[] = []
  while (from.available > 0) {
    if ((yield* from.u8()) !== LIBRARY) throw new RdbError('given type is not a function')
    sources.push(Buffer.from(yield* from.string()))
  }
  return sources
}

/** What stands before the footer. */
function unseal(payload: Buffer): Buffer {
  const body = payload.length - FOOTER
  if (body < 0 || !isIntact(payload, body)) throw new RdbError('DUMP payload version or checksum are wrong')
  return payload.subarray(0, body)
}

function sourceOf(bytes: Buffer): Source {
  const source = new Source()
  source.push(bytes)
  return source
}

function isIntact(payload: Buffer, body: number): boolean {
  if (!isReadable(versionOf(payload))) return false
  return new Crc64().update(payload, 0, body + 2).standsAt(payload, body + 2)
}

function* readTyped(from: Source, limits: Limits, whole?: Value): Decoding<Value> {
  return yield* readValue(from, yield* from.u8(), limits, whole)
}
