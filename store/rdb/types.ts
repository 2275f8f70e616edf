/** How values are read: a row for each type byte of the format. What has no `read` is known by name only and refused. What comes
 *  packed is looked at to the last bit, and what is beyond our own limits is kept as if it had been added piece by piece. */
import { own } from '../../lib/base/bytes.ts'
import { readDouble } from '../../lib/base/double.ts'
import { type Key, keyOf } from '../../lib/base/key.ts'
import { DEFAULT_HASH_LIMITS, type HashLimits, HashValue } from '../types/hash.ts'
import { Intset } from '../types/intset.ts'
import { ListValue } from '../types/list.ts'
import { Listpack, PackedError } from '../types/listpack.ts'
import { DEFAULT_SET_LIMITS, type Member, type SetLimits, SetValue } from '../types/set.ts'
import { DEFAULT_ZSET_LIMITS, type ZSetLimits, ZSetValue } from '../types/zset.ts'
import type { Value } from '../value.ts'
import { type Decoding, EmptyValueError, RdbError, type Source, UnsupportedTypeError } from './source.ts'
import { readStream } from './stream.ts'
import { ziplistElements } from './ziplist.ts'
import { zipmapPairs } from './zipmap.ts'

/** How far collections stay packed. Named as in the configuration. */
export interface Limits extends HashLimits, SetLimits, ZSetLimits {
  readonly listMaxListpackSize: number
}

/** What Redis ships with: for data that is read without a configuration. */
export const DEFAULT_LIMITS: Limits = {
  ...DEFAULT_HASH_LIMITS,
  ...DEFAULT_SET_LIMITS,
  ...DEFAULT_ZSET_LIMITS,
  listMaxListpackSize: -2,
}

/** What a node of a list is: one element as it is, or a listpack. */
const PLAIN = 1
export const PACKED = 2

interface TypeRow {
  readonly code: number
  /** As an error message should call it. */
  readonly name: string
  readonly read?: (from: Source, limits: Limits, whole?: Value) => Decoding<Value>
}

const ROWS: readonly TypeRow[] = [
  {
    code: 0,
    name: 'string',
    *read(from) {
      return { type: 'string', bytes: own(yield* from.string()), raw: false }
    },
  },
  {
    code: 1,
    name: 'list',
    *read(from, limits) {
      const list = new ListValue()
      for (let left = yield* from.length(); left > 0; left--) {
        const { bytes, start, end, data } = from.shortString() ?? keyOf(yield* from.string())
        list.push('right', limits.listMaxListpackSize, bytes, start, end, data)
      }
      return list
    },
  },
  {
    code: 2,
    name: 'set',
    *read(from, limits, whole) {
      const set = whole?.type === 'set' ? whole : new SetValue()
      for (let left = yield* from.length(); left > 0; left--)
        addMember(set, from.shortString() ?? keyOf(yield* from.string()), limits)
      return set
    },
  },
  {
    code: 3,
    name: 'zset',
    *read(from, limits) {
      const zset = new ZSetValue()
      for (let left = yield* from.length(); left > 0; left--)
        addScored(zset, from.shortString() ?? keyOf(yield* from.string()), yield* readTextDouble(from), limits)
      return zset
    },
  },
  {
    code: 4,
    name: 'hash',
    *read(from, limits, whole) {
      const hash = whole?.type === 'hash' ? whole : new HashValue()
      for (let left = yield* from.length(); left > 0; left--)
        addField(
          hash,
          from.shortString() ?? keyOf(yield* from.string()),
          from.shortString() ?? keyOf(yield* from.string()),
          limits,
        )
      return hash
    },
  },
  {
    code: 5,
    name: 'zset',
    *read(from, limits, whole) {
      const zset = whole?.type === 'zset' ? whole : new ZSetValue()
      for (let left = yield* from.length(); left > 0; left--)
        addScored(
          zset,
          from.shortString() ?? keyOf(yield* from.string()),
          (yield* from.bytes(8)).readDoubleLE(0),
          limits,
        )
      return zset
    },
  },
  { code: 6, name: 'module value' },
  { code: 7, name: 'module value' },
  {
    code: 9,
    name: 'hash',
    *read(from, limits) {
      return hashOf(zipmapPairs(yield* from.string()), limits)
    },
  },
  {
    code: 10,
    name: 'list',
    *read(from) {
      return ListValue.fromPacked(repacked(yield* from.string()))
    },
  },
  {
    code: 11,
    name: 'set',
    *read(from, limits) {
      const set = new SetValue(Intset.from(own(yield* from.string())))
      return set.size <= limits.setMaxIntsetEntries ? set : setOf(set, limits)
    },
  },
  {
    code: 12,
    name: 'zset',
    *read(from, limits) {
      return zsetFromPacked(repacked(yield* from.string()), limits)
    },
  },
  {
    code: 13,
    name: 'hash',
    *read(from, limits) {
      return hashFromPacked(repacked(yield* from.string()), limits)
    },
  },
  {
    code: 14,
    name: 'list',
    *read(from) {
      const list = new ListValue()
      for (let left = yield* from.length(); left > 0; left--) list.append(repacked(yield* from.string()))
      return list
    },
  },
  { code: 15, name: 'stream', read: (from) => readStream(from, 1) },
  {
    code: 16,
    name: 'hash',
    *read(from, limits) {
      return hashFromPacked(own(yield* from.string()), limits)
    },
  },
  {
    code: 17,
    name: 'zset',
    *read(from, limits) {
      return zsetFromPacked(own(yield* from.string()), limits)
    },
  },
  {
    code: 18,
    name: 'list',
    *read(from, limits, whole) {
      const list = whole?.type === 'list' ? whole : new ListValue()
      for (let left = yield* from.length(); left > 0; left--) {
        const container = yield* from.length()
        const bytes = yield* from.string()
        if (container === PACKED) list.append(own(bytes))
        else if (container === PLAIN) list.push('right', limits.listMaxListpackSize, bytes)
        else throw new RdbError(`list node in container ${container}`)
      }
      return list
    },
  },
  {
    code: 19,
    name: 'stream',
    read: (from, _limits, whole) => readStream(from, 2, whole?.type === 'stream' ? whole : undefined),
  },
  {
    code: 20,
    name: 'set',
    *read(from, limits) {
      return setOf(listpackElements(yield* from.string()), limits)
    },
  },
  { code: 21, name: 'stream', read: (from) => readStream(from, 3) },
  // Valkey 9: behind each pair the deadline of the field, -1 for none.
  {
    code: 22,
    name: 'hash',
    *read(from, limits) {
      const hash = new HashValue()
      for (let left = yield* from.length(); left > 0; left--) {
        const field = yield* readPair(from, hash, limits)
        const at = yield* from.i64()
        setDeadline(hash, field, at === -1 ? 0 : at)
      }
      return hash
    },
  },
  { code: 23, name: 'hash of a Redis 7.4 pre-release' },
  // Redis 7.4: the earliest deadline; before each pair how much later, less one, that of the field is, 0 for none.
  {
    code: 24,
    name: 'hash',
    *read(from, limits) {
      const earliest = yield* from.i64()
      const hash = new HashValue()
      for (let left = yield* from.length(); left > 0; left--) {
        const later = yield* from.length()
        const field = yield* readPair(from, hash, limits)
        setDeadline(hash, field, later === 0 ? 0 : earliest + later - 1)
      }
      return hash
    },
  },
  // The same, packed: the earliest deadline, then field, value and deadline (0 for none) in turn.
  {
    code: 25,
    name: 'hash',
    *read(from, limits) {
      yield* from.bytes(8)
      const hash = new HashValue()
      const elements = [...listpackElements(yield* from.string())]
      if (elements.length % 3 !== 0) throw new RdbError('hash of fields without deadlines')
      for (let i = 0; i < elements.length; i += 3) {
        const field = keyOf(elements[i]!)
        addField(hash, field, keyOf(elements[i + 1]!), limits)
        setDeadline(hash, field, Number(elements[i + 2]!.latin1Slice()))
      }
      return hash
    },
  },
]

const BY_CODE: ReadonlyMap<number, TypeRow> = new Map(ROWS.map((row) => [row.code, row]))

/** Reads the value that follows a type byte; it owns its bytes. What was written in parts (see frozen.ts) is read in parts: each adds its
 *  elements to `whole`, which is returned, if it has that type. Throws RdbError for a type that is unknown, UnsupportedTypeError
 *  for one that we cannot hold, and EmptyValueError, after the last byte, for a collection without elements. */
export function readValue(from: Source, code: number, limits: Limits, whole?: Value): Decoding<Value> {
  const row = BY_CODE.get(code)
  if (row === undefined) throw new RdbError(`unknown value type ${code}`)
  if (row.read === undefined) throw new UnsupportedTypeError(`unsupported type ${row.name} (${code})`)
  return readSound(row.read(from, limits, whole))
}

function* readSound(decoding: Decoding<Value>): Decoding<Value> {
  try {
    const value = yield* decoding
    if (value.type === 'string' || value.type === 'stream' || value.size > 0) return value
    throw new EmptyValueError(`${value.type} without elements`)
  } catch (cause) {
    if (cause instanceof PackedError) throw new RdbError(cause.message, { cause })
    throw cause
  }
}

function addMember(set: SetValue, member: Member, limits: Limits): void {
  if (!set.add(member, limits)) throw new RdbError('set member twice')
}

function addField(hash: HashValue, field: Key, value: Key, limits: Limits): void {
  if (!hash.set(field, value.bytes, limits, value.start, value.end)) throw new RdbError('hash field twice')
}

/** Reads a field and its value; returns the field. */
function* readPair(from: Source, hash: HashValue, limits: Limits): Decoding<Key> {
  const field = from.shortString() ?? keyOf(yield* from.string())
  addField(hash, field, from.shortString() ?? keyOf(yield* from.string()), limits)
  return field
}

function setDeadline(hash: HashValue, field: Key, at: number): void {
  if (!(at >= 0 && at <= Number.MAX_SAFE_INTEGER)) throw new RdbError('deadline of a hash field')
  if (at !== 0) hash.setDeadline(field.text(), at)
}

function addScored(zset: ZSetValue, member: Member, score: number | undefined, limits: Limits): void {
  if (score === undefined || Number.isNaN(score)) throw new RdbError('zset score')
  if (zset.score(member) !== undefined) throw new RdbError('zset member twice')
  zset.add(member, score, limits)
}

function setOf(members: Iterable<Buffer | string>, limits: Limits): SetValue {
  const set = new SetValue()
  for (const member of members) addMember(set, typeof member === 'string' ? member : keyOf(member), limits)
  return set
}

function hashOf(pairs: Iterable<readonly [field: Buffer, value: Buffer]>, limits: Limits): HashValue {
  const hash = new HashValue()
  for (const [field, value] of pairs) addField(hash, keyOf(field), keyOf(value), limits)
  return hash
}

/** Of what comes packed a real server looks at the number of elements only, not at how long they are. */
function hashFromPacked(bytes: Buffer, limits: Limits): HashValue {
  const hash = HashValue.fromPacked(bytes)
  return hash.size <= limits.hashMaxListpackEntries ? hash : hashOf(hash, limits)
}

function zsetFromPacked(bytes: Buffer, limits: Limits): ZSetValue {
  const packed = ZSetValue.fromPacked(bytes)
  if (packed.size <= limits.zsetMaxListpackEntries) return packed
  const zset = new ZSetValue()
  for (const [member, score] of packed.entries()) addScored(zset, member, score, limits)
  return zset
}

/** A listpack of the elements of a ziplist. */
function repacked(ziplist: Buffer): Buffer {
  const pack = Listpack.empty()
  for (const element of ziplistElements(ziplist)) pack.append(element)
  return pack.bytes
}

function* listpackElements(bytes: Buffer): Generator<Buffer> {
  const pack = Listpack.from(bytes)
  for (let at = pack.first(); at >= 0; at = pack.next(at)) yield pack.get(at)
}

/** What stands instead of the length of a double's text. */
const SPECIAL_DOUBLES: ReadonlyMap<number, number> = new Map([
  [253, Number.NaN],
  [254, Number.POSITIVE_INFINITY],
  [255, Number.NEGATIVE_INFINITY],
])

function* readTextDouble(from: Source): Decoding<number | undefined> {
  const length = yield* from.u8()
  return SPECIAL_DOUBLES.get(length) ?? readDouble((yield* from.bytes(length)).latin1Slice())
}
