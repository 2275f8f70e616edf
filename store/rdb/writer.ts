/** An RDB file as a sequence of chunks, made while the keys are walked. What it emits, Redis 7.0 and everything newer can read. */
import type { Frozen } from '../frozen.ts'
import type { Value } from '../value.ts'
import { writerOf } from './forms.ts'
import { Sink } from './sink.ts'
import { finish, type Writing } from './writing.ts'

/** Version 10, of Redis 7.0: there is no negotiation, so the oldest reader we care for decides. */
export const RDB_VERSION = 10

/** One key to be written. */
export interface RdbEntry {
  readonly db: number
  readonly key: Uint8Array
  readonly value: Value
  /** Unix milliseconds; 0 = none. */
  readonly expireAt: number
}

/** One whose value goes on changing. */
export interface FrozenEntry extends Omit<RdbEntry, 'value'> {
  readonly value: Frozen
}

export interface RdbOptions {
  /** Facts that go to the head of the file, in order: repl-id, repl-offset, repl-stream-db ... */
  readonly aux: readonly (readonly [name: string, value: string])[]
  /** Numbers of keys, and of keys with a deadline, of a database: lets a reader size its tables. */
  readonly sizes?: (db: number) => { readonly keys: number; readonly expires: number }
  /** Function libraries' sources. */
  readonly libraries?: readonly Uint8Array[]
  /** rdbcompression. */
  readonly compress: boolean
}

const EOF = 255
const SELECT_DB = 254
const EXPIRE_MILLIS = 252
const SIZES = 251
const AUX = 250
/** Before the source of a library of functions. */
export const LIBRARY = 245

/** Chunks are handed out when about this much has gathered. */
const CHUNK = 64 * 1024

/** Writes `entries`. They are pulled as the chunks are. */
export function* writeRdb(entries: Iterable<RdbEntry>, options: RdbOptions): Generator<Buffer, void> {
  const out = new RdbWriter(options)
  for (const entry of entries) {
    out.entry(entry)
    if (out.pending >= CHUNK) yield* out.take()
  }
  out.end()
  yield* out.take()
}

/** An RDB file in the making: what was written is taken from it every now and then. */
export class RdbWriter {
  readonly #out: Sink
  readonly #options: RdbOptions
  readonly #sized = new Set<number>()
  #db = -1

  /** Writes the head. */
  constructor(options: RdbOptions) {
    this.#out = new Sink(options.compress)
    this.#options = options
    writeHead(this.#out, options)
  }

  /** Bytes waiting to be taken. */
  get pending(): number {
    return this.#out.pending
  }

  /** Hands out what was written since the last time. Large strings are references: their owner must not write into them. */
  take(): Buffer[] {
    return this.#out.take()
  }

  entry(entry: RdbEntry): void {
    finish(this.begin(entry))
  }

  /** Begins an entry that may take several steps; nothing else is to be written until it is finished. */
  begin(entry: RdbEntry | FrozenEntry): Writing | undefined {
    if (entry.db !== this.#db) this.#database(entry.db)
    return writeEntry(this.#out, entry)
  }

  /** Writes the end of the file, and the checksum. */
  end(): void {
    this.#out.u8(EOF)
    this.#out.bytes(this.#out.checksum())
  }

  /** The sizes stand where a database comes for the first time. */
  #database(db: number): void {
    const out = this.#out
    this.#db = db
    out.u8(SELECT_DB)
    out.length(db)
    const size = this.#sized.has(db) ? undefined : this.#options.sizes?.(db)
    if (size === undefined) return
    this.#sized.add(db)
    out.u8(SIZES)
    out.length(size.keys)
    out.length(size.expires)
  }
}

function writeHead(out: Sink, { aux, libraries = [] }: RdbOptions): void {
  out.bytes(Buffer.from(`REDIS${String(RDB_VERSION).padStart(4, '0')}`, 'latin1'))
  for (const [name, value] of aux) writeAux(out, name, Buffer.from(value, 'latin1'))
  for (const source of libraries) {
    out.u8(LIBRARY)
    out.string(source)
  }
}

/** Names the fact that stands before a hash: the deadlines of its fields. A real server passes over what it does not know, and version 10
 *  has no other place for them. */
export const FIELD_DEADLINES = 'rookery-hash-deadlines'

function writeAux(out: Sink, name: string, value: Buffer): void {
  out.u8(AUX)
  out.string(Buffer.from(name, 'latin1'))
  out.string(value)
}

function writeEntry(out: Sink, { key, value, expireAt }: RdbEntry | FrozenEntry): Writing | undefined {
  const known = value.type === 'frozen' ? value.known : value
  if (known?.type === 'hash' && known.deadlines !== undefined) writeAux(out, FIELD_DEADLINES, known.deadlines.encode())
  if (expireAt !== 0) {
    out.u8(EXPIRE_MILLIS)
    out.i64(expireAt)
  }
  const { code, write } = writerOf(value)
  out.u8(code)
  out.string(key)
  return write(out)
}
