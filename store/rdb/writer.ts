/** An RDB file as a sequence of chunks, made while the keys are walked. What it emits, Redis 7.0 and everything newer can read. */
import type { Value } from '../value.ts'
import { writerOf } from './forms.ts'
import { Sink } from './sink.ts'

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
const LIBRARY = 245

/** Chunks are handed out when about this much has gathered. */
const CHUNK = 64 * 1024

/** Writes `entries`, whose databases must come one after the other. The entries are pulled as the chunks are. */
export function* writeRdb(entries: Iterable<RdbEntry>, options: RdbOptions): Generator<Buffer, void> {
  const out = new Sink(options.compress)
  writeHead(out, options)
  let db = -1
  for (const entry of entries) {
    if (entry.db !== db) {
      db = entry.db
      writeDatabase(out, db, options)
    }
    writeEntry(out, entry)
    if (out.pending >= CHUNK) yield* out.take()
  }
  out.u8(EOF)
  const checksum = out.checksum()
  out.bytes(checksum)
  yield* out.take()
}

function writeHead(out: Sink, { aux, libraries = [] }: RdbOptions): void {
  out.bytes(Buffer.from(`REDIS${String(RDB_VERSION).padStart(4, '0')}`, 'latin1'))
  for (const [name, value] of aux) {
    out.u8(AUX)
    out.string(Buffer.from(name, 'latin1'))
    out.string(Buffer.from(value, 'latin1'))
  }
  for (const source of libraries) {
    out.u8(LIBRARY)
    out.string(source)
  }
}

function writeDatabase(out: Sink, db: number, { sizes }: RdbOptions): void {
  out.u8(SELECT_DB)
  out.length(db)
  const size = sizes?.(db)
  if (size === undefined) return
  out.u8(SIZES)
  out.length(size.keys)
  out.length(size.expires)
}

function writeEntry(out: Sink, { key, value, expireAt }: RdbEntry): void {
  if (expireAt !== 0) {
    out.u8(EXPIRE_MILLIS)
    out.i64(expireAt)
  }
  const { code, write } = writerOf(value)
  out.u8(code)
  out.string(key)
  write(out, value)
}
