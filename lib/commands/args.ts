/** Reading arguments: the checks that several families share, with a real server's error texts. */
import type { View } from '../../store/entries.ts'
import type { Database } from '../../store/keyspace.ts'
import type { StringValue } from '../../store/value.ts'
import { parseInt64, parseInteger } from '../base/bytes.ts'
import type { Key } from '../base/key.ts'
import { DB_RANGE, fail, invalidExpire, NOT_INTEGER, WRONG_TYPE } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'

export const INT64_MAX = 2n ** 63n - 1n
export const INT64_MIN = -(2n ** 63n)

/** The bytes of a string, counted as an access; undefined when missing. Throws WRONG_TYPE. */
export function readString(db: Database, key: Key): Buffer | undefined {
  const value = db.read(key)
  if (value === undefined) return undefined
  if (value.type !== 'string') throw WRONG_TYPE
  return value.bytes
}

/** As `readString`, but the bytes stay where they are: borrowed until the keyspace changes. Throws WRONG_TYPE. */
export function viewString(db: Database, key: Key): View | undefined {
  const view = db.view(key)
  if (view !== undefined && view.type !== 'string') throw WRONG_TYPE
  return view
}

/** As `viewString`, for a command that lets go of the bytes at once. Throws WRONG_TYPE. */
export function lookAtString(db: Database, key: Key): View | undefined {
  const view = db.look(key)
  if (view !== undefined && view.type !== 'string') throw WRONG_TYPE
  return view
}

/** As `readString`, but the bytes are those in the store: borrowed until the keyspace changes. Throws WRONG_TYPE. */
export function borrowString(db: Database, key: Key): Buffer | undefined {
  const view = lookAtString(db, key)
  return view?.bytes.subarray(view.start, view.end)
}

/** As `viewString`, for a command that will write. */
export function viewStringForWrite(db: Database, key: Key): View | undefined {
  const view = db.viewForWrite(key)
  if (view !== undefined && view.type !== 'string') throw WRONG_TYPE
  return view
}

/** As `readString`, for a command that will write. */
export function stringForWrite(db: Database, key: Key): StringValue | undefined {
  const value = db.readForWrite(key)
  if (value !== undefined && value.type !== 'string') throw WRONG_TYPE
  return value
}

/** A signed 64-bit integer, as a number while that is exact. Throws NOT_INTEGER. */
export function int64(argv: Argv, i: number): number | bigint {
  const small = parseInteger(argv.buffer, argv.starts[i], argv.ends[i])
  if (small !== undefined) return small
  const large = parseInt64(argv.buffer, argv.starts[i], argv.ends[i])
  if (large === undefined) throw NOT_INTEGER
  return large
}

/** A 64-bit count or position; what is beyond 2^53 comes back as that: no string, keyspace or timeout is so large. */
export const position = (argv: Argv, i: number): number => clamp(int64(argv, i))

/** A 64-bit integer, or 2^53 - 1 with its sign when it is beyond that. */
export const clamp = (value: number | bigint): number =>
  Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)))

/** A 64-bit integer from `min` to `max`, clamped as `position` is. Throws an error of `text`, or a real server's words when there is none. */
export function integerWithin(argv: Argv, i: number, min: bigint, max: bigint, text?: string): number {
  const value = parseInt64(argv.buffer, argv.starts[i], argv.ends[i])
  if (value !== undefined && value >= min && value <= max) return clamp(value)
  if (text !== undefined) throw fail(text)
  throw value === undefined ? NOT_INTEGER : fail(`value is out of range, value must between ${min} and ${max}`)
}

/** A count: 0 or more. */
export const positiveInteger = (argv: Argv, i: number, text = 'value is out of range, must be positive'): number =>
  integerWithin(argv, i, 0n, INT64_MAX, text)

/** Where indexes `start` to `stop` (inclusive, negative from the end) lie in a sequence: [from, to). Empty when nothing is left. */
export function indexRange(size: number, start: number, stop: number): { from: number; to: number } {
  const from = start < 0 ? Math.max(0, size + start) : start
  const to = Math.min(stop < 0 ? size + stop : stop, size - 1) + 1
  return from < to ? { from, to } : { from: 0, to: 0 }
}

/** Copies of the arguments from `i` on. */
export function ownFrom(argv: Argv, i: number): Buffer[] {
  const words: Buffer[] = []
  for (let j = i; j < argv.count; j++) words.push(argv.own(j))
  return words
}

/** A database number. Throws DB_RANGE when there is no such database. */
export function databaseIndex(call: Call, argv: Argv, i: number): number {
  const index = int64(argv, i)
  if (index < -(2 ** 31) || index >= 2 ** 31)
    throw fail('value is out of range, value must between -2147483648 and 2147483647')
  if (index < 0 || index >= call.server.config.values.databases) throw DB_RANGE
  return Number(index)
}

/** What a deadline is written in: relative or Unix time, in seconds or milliseconds. */
export interface TimeUnit {
  readonly ms: 1 | 1000
  readonly relative: boolean
}

export const SECONDS: TimeUnit = { ms: 1000, relative: true }
export const MILLISECONDS: TimeUnit = { ms: 1, relative: true }
export const UNIX_SECONDS: TimeUnit = { ms: 1000, relative: false }
export const UNIX_MILLISECONDS: TimeUnit = { ms: 1, relative: false }

/** By the options that name them. */
export const UNITS: ReadonlyMap<string, TimeUnit> = new Map([
  ['ex', SECONDS],
  ['px', MILLISECONDS],
  ['exat', UNIX_SECONDS],
  ['pxat', UNIX_MILLISECONDS],
])

/** The deadline argument `i` asks for, in Unix milliseconds; past or negative is possible. Throws NOT_INTEGER, and "invalid
 *  expire time" when 64 bits cannot hold it. Deadlines beyond 2^53 ms (the year 287396) become that. */
export function deadline(call: Call, argv: Argv, i: number, unit: TimeUnit): number {
  const value = int64(argv, i)
  const base = unit.relative ? call.now : 0
  if (typeof value === 'number') return clamp(value * unit.ms + base)
  const milliseconds = value * BigInt(unit.ms)
  if (milliseconds < INT64_MIN || milliseconds > INT64_MAX - BigInt(base)) throw invalidExpire(call.entry.fullName)
  return clamp(milliseconds + BigInt(base))
}

/** As `deadline`, where only a positive argument is allowed (SET, GETEX). */
export function futureDeadline(call: Call, argv: Argv, i: number, unit: TimeUnit): number {
  if (int64(argv, i) <= 0) throw invalidExpire(call.entry.fullName)
  return deadline(call, argv, i, unit)
}

/** Whether a deadline has passed already, so that the key it is for had better be removed at once. Not on a replica: only
 *  the primary removes. */
export const isPast = (call: Call, expireAt: number): boolean =>
  expireAt <= call.now && call.server.keyspace.expiry === 'remove'

/** Refuses a string that would grow beyond proto-max-bulk-len. */
export function checkLength(call: Call, length: number): void {
  if (call.client.primary || length <= call.server.config.values.protoMaxBulkLen) return
  throw fail('string exceeds maximum allowed size (proto-max-bulk-len)')
}
