/** An RDB file as it arrives: fed chunk by chunk, it gives the items as soon as they are whole. It stops at the end of the file,
 *  so that what comes behind it (the stream, the mark of a diskless transfer) is left to its reader. */
import { FieldDeadlines } from '../types/field-deadlines.ts'
import type { Value } from '../value.ts'
import { type Decoding, EmptyValueError, RdbError, Source, UnsupportedTypeError } from './source.ts'
import { DEFAULT_LIMITS, type Limits, readValue } from './types.ts'
import { FIELD_DEADLINES } from './writer.ts'

/** Of Redis 7.4 and 8.0. */
const NEWEST_VERSION = 12
/** Of Valkey 9, which counts by itself. */
const VALKEY_VERSION = 80
/** From this version on the file ends with a checksum. */
const FIRST_WITH_CHECKSUM = 5

/** Whether we read RDB data and DUMP payloads of this version. */
export const isReadable = (version: number): boolean =>
  (version >= 1 && version <= NEWEST_VERSION) || version === VALKEY_VERSION

export interface RdbKey {
  readonly type: 'key'
  readonly db: number
  readonly key: Buffer
  readonly value: Value
  /** Unix milliseconds; 0 = none. It may have passed: whether the key then counts is the caller's to say. */
  readonly expireAt: number
  /** Seconds since the last access, when the file says so (LRU policies). */
  readonly idleSeconds: number | undefined
}

export type RdbItem =
  /** A fact about the file: redis-ver, repl-id, repl-offset, repl-stream-db ... */
  | { readonly type: 'aux'; readonly name: string; readonly value: string }
  /** How many keys, and keys with a deadline, the database holds that starts here. */
  | { readonly type: 'sizes'; readonly db: number; readonly keys: number; readonly expires: number }
  /** Source of a function library. */
  | { readonly type: 'library'; readonly source: Buffer }
  | RdbKey

export class RdbReader {
  readonly #source = new Source()
  readonly #context: Context
  readonly #items: Generator<RdbItem | undefined, void, undefined>
  #done = false

  /** `limits`: how far collections stay packed. */
  constructor(limits = DEFAULT_LIMITS) {
    this.#context = { limits, db: 0, expireAt: 0, idleSeconds: undefined, deadlines: undefined, skipped: 0 }
    this.#items = readItems(this.#source, this.#context)
  }

  /** The whole file has been read and its checksum is right. */
  get done(): boolean {
    return this.#done
  }

  /** Keys that were left out because they hold a collection without elements: some old servers wrote such. */
  get skipped(): number {
    return this.#context.skipped
  }

  /** Takes a chunk and gives the items it completes. Buffers in items may be parts of chunks: whoever keeps one for long copies it.
   *  Throws RdbError, after which the reader is useless. */
  *feed(chunk: Buffer): Generator<RdbItem, void> {
    this.#source.push(chunk)
    while (!this.#done) {
      const { done, value } = this.#items.next()
      if (done) this.#done = true
      else if (value === undefined) return
      else yield value
    }
  }

  /** The bytes behind the file that came with its chunks. */
  rest(): Buffer {
    return this.#source.rest()
  }
}

/** What stands before a key and applies to that key only, the database it is in, and how it is to be read. */
interface Context {
  readonly limits: Limits
  db: number
  expireAt: number
  idleSeconds: number | undefined
  /** Of the fields of a hash. */
  deadlines: FieldDeadlines | undefined
  skipped: number
}

function* readItems(from: Source, context: Context): Generator<RdbItem | undefined, void, undefined> {
  const version = yield* readVersion(from)
  for (;;) {
    const code = yield* from.u8()
    if (code === EOF) break
    const opcode = OPCODES.get(code)
    if (opcode !== undefined) {
      const item = yield* opcode(from, context)
      if (item !== undefined) yield item
      continue
    }
    const key = yield* readKey(from, context, code)
    if (key === undefined) context.skipped++
    else yield key
    context.expireAt = 0
    context.idleSeconds = undefined
    context.deadlines = undefined
  }
  if (version >= FIRST_WITH_CHECKSUM) yield* verify(from)
}

function* readVersion(from: Source): Decoding<number> {
  const magic = (yield* from.bytes(9)).latin1Slice()
  if (!/^(?:REDIS\d{4}|VALKEY\d{3})$/.test(magic)) throw new RdbError('wrong signature at the start of the RDB data')
  const version = Number(magic.replace(/^[A-Z]+/, ''))
  if (!isReadable(version)) throw new RdbError(`can't handle RDB format version ${version}`)
  return version
}

/** A key and its value; undefined when the value is empty. */
function* readKey(from: Source, context: Context, code: number): Decoding<RdbKey | undefined> {
  const key = yield* from.string()
  const { limits, db, expireAt, idleSeconds, deadlines } = context
  try {
    const value = yield* readValue(from, code, limits)
    if (value.type === 'hash') value.deadlines ??= deadlines
    return { type: 'key', db, key, value, expireAt, idleSeconds }
  } catch (cause) {
    if (cause instanceof EmptyValueError) return undefined
    if (!(cause instanceof RdbError)) throw cause
    const Kind = cause instanceof UnsupportedTypeError ? UnsupportedTypeError : RdbError
    throw new Kind(`${cause.message}, key ${JSON.stringify(key.toString('latin1'))} of database ${db}`, { cause })
  }
}

/** A checksum of zero says that the writer made none. */
function* verify(from: Source): Decoding<void> {
  const computed = from.checksum()
  const written = yield* from.bytes(8)
  if (!written.equals(computed) && written.some((byte) => byte !== 0))
    throw new RdbError('wrong RDB checksum: the data is damaged')
}

const EOF = 255

type Opcode = (from: Source, context: Context) => Decoding<RdbItem | undefined>

const OPCODES: ReadonlyMap<number, Opcode> = new Map<number, Opcode>([
  [254, selectDb],
  [253, expireSeconds],
  [252, expireMillis],
  [251, sizes],
  [250, aux],
  [249, frequency],
  [248, idle],
  [247, moduleAux],
  [246, oldFunction],
  [245, library],
  [244, slotInfo],
])

function* selectDb(from: Source, context: Context): Decoding<undefined> {
  context.db = yield* from.length()
  return undefined
}

function* expireSeconds(from: Source, context: Context): Decoding<undefined> {
  context.expireAt = (yield* from.bytes(4)).readInt32LE(0) * 1000
  return undefined
}

function* expireMillis(from: Source, context: Context): Decoding<undefined> {
  context.expireAt = yield* from.i64()
  return undefined
}

function* sizes(from: Source, context: Context): Decoding<RdbItem> {
  const keys = yield* from.length()
  return { type: 'sizes', db: context.db, keys, expires: yield* from.length() }
}

function* aux(from: Source, context: Context): Decoding<RdbItem | undefined> {
  const name = (yield* from.string()).toString('latin1')
  if (name === FIELD_DEADLINES) {
    context.deadlines = FieldDeadlines.decode(yield* from.string())
    if (context.deadlines === undefined) throw new RdbError('the deadlines of hash fields are damaged')
    return undefined
  }
  return { type: 'aux', name, value: (yield* from.string()).toString('latin1') }
}

/** The LFU counter: we keep no such clock. */
function* frequency(from: Source): Decoding<undefined> {
  yield* from.u8()
  return undefined
}

function* idle(from: Source, context: Context): Decoding<undefined> {
  context.idleSeconds = yield* from.length()
  return undefined
}

/** Data of a module: only that module knows what it means, so it cannot be kept, and must not be lost in silence. */
function* moduleAux(from: Source): Decoding<undefined> {
  const id = yield* from.length()
  throw new RdbError(`the RDB data contains data of a module we do not have (id ${id})`)
}

// biome-ignore lint/correctness/useYield: a row like the others that needs no bytes to refuse
function* oldFunction(): Decoding<undefined> {
  throw new RdbError('functions in the format of a 7.0 pre-release')
}

function* library(from: Source): Decoding<RdbItem> {
  return { type: 'library', source: yield* from.string() }
}

/** Redis 7.4: slot, keys, keys with a deadline: a hint for sizing tables. */
function* slotInfo(from: Source): Decoding<undefined> {
  for (let i = 0; i < 3; i++) yield* from.length()
  return undefined
}
