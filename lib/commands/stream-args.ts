/** What the stream commands share: ids as arguments, streams and groups found or missed, entries as replies. */
import type { Database } from '../../store/keyspace.ts'
import type { StreamValue } from '../../store/types/stream.ts'
import type { Group } from '../../store/types/stream-groups.ts'
import {
  exact,
  ID_TEXT,
  MAX_ID,
  MIN_ID,
  nextId,
  previousId,
  type StreamId,
  UINT64_MAX,
  type Uint64,
  writeIdText,
} from '../../store/types/stream-id.ts'
import type { StreamEntry } from '../../store/types/stream-node.ts'
import type { Key } from '../base/key.ts'
import { ClientError, fail, WRONG_TYPE } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Command } from './define.ts'

/** A row of the family. */
export const stream = (row: Omit<Command, 'group'>): Command => ({ group: 'stream', ...row })

export const INVALID_ID = fail('Invalid stream ID specified as stream command argument')

/** Ids as they almost always are: their numbers are exact. */
const PLAIN = /^(\d{1,15})(?:-(\d{1,15}))?$/
/** What C's strtoull takes. */
const UNSIGNED = /^[ \t-\r]*\+?(\d+)$/
/** Longer texts are no ids. */
const MOST_CHARACTERS = 127

/** An id; `seq` where its text has milliseconds only. Throws INVALID_ID, also for `-` and `+`. */
export const idAt = (argv: Argv, i: number, seq: Uint64 = 0): StreamId => readId(argv.text(i), seq)

/** As `idAt`; undefined when it is none. */
export function parseId(text: string, seq: Uint64 = 0): StreamId | undefined {
  const plain = PLAIN.exec(text)
  if (plain !== null) return { ms: Number(plain[1]), seq: plain[2] === undefined ? seq : Number(plain[2]) }
  if (text.length > MOST_CHARACTERS) return undefined
  const [words] = text.split('\0', 1) as [string]
  const dash = words.indexOf('-')
  const ms = parseUint64(dash < 0 ? words : words.slice(0, dash))
  const given = dash < 0 ? seq : parseUint64(words.slice(dash + 1))
  return ms === undefined || given === undefined ? undefined : { ms, seq: given }
}

/** As `idAt`, from text. */
export function readId(text: string, seq: Uint64 = 0): StreamId {
  const id = parseId(text, seq)
  if (id === undefined) throw INVALID_ID
  return id
}

/** Milliseconds, or a sequence number; undefined for anything else. */
export function parseUint64(text: string): Uint64 | undefined {
  const digits = UNSIGNED.exec(text)?.[1]
  if (digits === undefined) return undefined
  const value = BigInt(digits)
  return value > UINT64_MAX ? undefined : exact(value)
}

/** The two ends of an interval of ids: what `-`, `+` and incomplete ids mean, and how `(` leaves the id itself out. */
const BOUNDS = {
  start: { missing: 0, inward: nextId },
  end: { missing: UINT64_MAX, inward: previousId },
} as const

/** One end of an interval of ids. Throws INVALID_ID, or "invalid start ID for the interval" when there is nothing beyond `(`. */
export function boundAt(argv: Argv, i: number, side: keyof typeof BOUNDS): StreamId {
  const text = argv.text(i)
  const { missing, inward } = BOUNDS[side]
  if (text === '-') return MIN_ID
  if (text === '+') return MAX_ID
  if (text.length < 2 || text[0] !== '(') return readId(text, missing)
  const id = inward(readId(text.slice(1), missing))
  if (id === undefined) throw fail(`invalid ${side} ID for the interval`)
  return id
}

/** The ids from argument `from` on. */
export function idsFrom(argv: Argv, from: number): StreamId[] {
  const ids: StreamId[] = []
  for (let i = from; i < argv.count; i++) ids.push(idAt(argv, i))
  return ids
}

/** The stream at a key; undefined when there is none. Throws WRONG_TYPE. */
export function readStream(db: Database, key: Key): StreamValue | undefined {
  const value = db.read(key)
  if (value !== undefined && value.type !== 'stream') throw WRONG_TYPE
  return value
}

/** As `readStream`, for a command that will write; one that reads entries as well counts as a reader. */
export function streamForWrite(db: Database, key: Key, counts = false): StreamValue | undefined {
  const value = db.readForWrite(key, counts)
  if (value !== undefined && value.type !== 'stream') throw WRONG_TYPE
  return value
}

export const noGroup = (text: string): ClientError => new ClientError(`NOGROUP ${text}`)

/** The group that argument 2 names, of the stream that argument 1 names. Throws NOGROUP. */
export function groupOf(value: StreamValue | undefined, argv: Argv): { value: StreamValue; group: Group } {
  const group = value?.groups.get(argv.text(2))
  if (value === undefined || group === undefined)
    throw noGroup(`No such key '${argv.text(1)}' or consumer group '${argv.text(2)}'`)
  return { value, group }
}

export const replyId = (reply: Reply, id: StreamId): void => reply.bulkRange(ID_TEXT, writeIdText(id), ID_TEXT.length)

/** An id and the fields and values that belong to it, in one array also in RESP3. */
export function replyEntry(reply: Reply, entry: StreamEntry): void {
  reply.array(2)
  replyId(reply, entry.id)
  reply.array(entry.size * 2)
  entry.put(reply)
}

/** The first `most` of the entries, at least one. */
export function replyEntries(reply: Reply, entries: Iterable<StreamEntry>, most = Number.POSITIVE_INFINITY): void {
  const mark = reply.length
  let count = 0
  for (const entry of entries) {
    replyEntry(reply, entry)
    if (++count >= most) break
  }
  reply.arrayFrom(mark, count)
}

/** The first `most` of them. */
export function* take<T>(things: Iterable<T>, most: number): Generator<T> {
  let left = most
  if (left > 0)
    for (const thing of things) {
      yield thing
      if (--left === 0) return
    }
}
