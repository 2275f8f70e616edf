/** Ziplist: how lists, hashes and sorted sets were packed before Redis 7 (reference section 11): u32 LE total, u32 LE offset of the
 *  last entry, u16 LE count, entries, 0xFF. We only ever read one: its elements go into what we keep instead. */
import { PackedError } from '../types/listpack.ts'
import { readInt64 } from '../types/listpack-entry.ts'
import { integerBytes } from '../types/string.ts'

const HEADER = 10
const END = 0xff
/** A count that the header cannot hold. */
const UNKNOWN = 0xffff
/** First byte of the length of the entry before, when that takes four more bytes. */
const LONG = 0xfe

/** The first byte of an entry's own data from which on it is an integer; what is below is a string. */
const INTEGER = 0xc0
/** Integers that are their own first byte: 0 to 12. */
const FIRST_IMMEDIATE = 0xf1
const LAST_IMMEDIATE = 0xfd

type IntegerForm = readonly [width: number, read: (bytes: Buffer, at: number) => number | bigint]

const INTEGERS: ReadonlyMap<number, IntegerForm> = new Map<number, IntegerForm>([
  [0xc0, [2, (bytes, at) => bytes.readInt16LE(at)]],
  [0xd0, [4, (bytes, at) => bytes.readInt32LE(at)]],
  [0xe0, [8, readInt64]],
  [0xf0, [3, (bytes, at) => bytes.readIntLE(at, 3)]],
  [0xfe, [1, (bytes, at) => bytes.readInt8(at)]],
])

/** The elements in order: strings borrowed from `bytes`, integers as decimal text. Throws PackedError, at the latest after the
 *  last element, unless the bytes are a ziplist to the last bit. */
export function* ziplistElements(bytes: Buffer): Generator<Buffer> {
  const end = bytes.length - 1
  if (end < HEADER || bytes.readUInt32LE(0) !== bytes.length || bytes[end] !== END)
    throw new PackedError('ziplist frame')
  let count = 0
  let last = HEADER
  for (let at = HEADER; at < end; count++) {
    const body = at + (bytes[at] === LONG ? 5 : 1)
    if (body >= end || lengthBefore(bytes, at) !== at - last) throw new PackedError('ziplist entry')
    last = at
    const element = elementAt(bytes, body, end)
    yield element.bytes
    at = element.end
  }
  if (bytes.readUInt32LE(4) !== last) throw new PackedError('ziplist tail')
  const claimed = bytes.readUInt16LE(8)
  if (claimed !== count && claimed !== UNKNOWN) throw new PackedError('ziplist count')
}

const lengthBefore = (bytes: Buffer, at: number): number =>
  bytes[at] === LONG ? bytes.readUInt32LE(at + 1) : bytes[at]!

interface Element {
  readonly bytes: Buffer
  readonly end: number
}

function elementAt(bytes: Buffer, at: number, end: number): Element {
  const first = bytes[at]!
  if (first >= FIRST_IMMEDIATE && first <= LAST_IMMEDIATE)
    return { bytes: integerBytes(first - FIRST_IMMEDIATE), end: at + 1 }
  if (first < INTEGER) return stringAt(bytes, at, end)
  const [width, read] = INTEGERS.get(first) ?? []
  if (width === undefined || read === undefined || at + 1 + width > end) throw new PackedError('ziplist integer')
  return { bytes: integerBytes(read(bytes, at + 1)), end: at + 1 + width }
}

/** The top two bits say how long the length is: 6, 14 or 32 bits, big-endian unlike all else here. */
function stringAt(bytes: Buffer, at: number, end: number): Element {
  const first = bytes[at]!
  const start = at + (first < 0x40 ? 1 : first < 0x80 ? 2 : 5)
  if (start > end) throw new PackedError('ziplist string')
  const length = first < 0x40 ? first : first < 0x80 ? bytes.readUInt16BE(at) & 0x3fff : bytes.readUInt32BE(at + 1)
  if (start + length > end) throw new PackedError('ziplist string')
  return { bytes: bytes.subarray(start, start + length), end: start + length }
}
