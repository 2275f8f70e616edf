/** Streams as sequences of entries: adding, reading ranges, removing. Reading on is `stream-read.ts`, groups `stream-groups.ts`. */
import { NODE_SIZE_LIMIT, StreamValue } from '../../store/types/stream.ts'
import { compareIds, formatId, isZero, nextId, type StreamId, type Uint64 } from '../../store/types/stream-id.ts'
import { fail, NO_SUCH_KEY, SYNTAX, wrongArity } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { clamp, int64, position } from './args.ts'
import { type ArgumentDoc, family, firstKey } from './define.ts'
import { KEY, option } from './docs.ts'
import {
  boundAt,
  INVALID_ID,
  idAt,
  idsFrom,
  parseUint64,
  readId,
  readStream,
  replyEntries,
  replyId,
  stream,
  streamForWrite,
} from './stream-args.ts'
import { exactRequest, readTrim, TRIM, type TrimOption, type TrimWords, trimOption } from './stream-trim.ts'

const START: ArgumentDoc = { name: 'start', type: 'string' }
const END: ArgumentDoc = { name: 'end', type: 'string' }
const COUNT: ArgumentDoc = { name: 'count', type: 'integer', token: 'COUNT', optional: true }
const IDS: ArgumentDoc = { name: 'id', type: 'string', multiple: true }

export const streamCommands = family(
  stream({
    name: 'xadd',
    arity: -5,
    flags: ['write', 'denyoom', 'fast'],
    keys: {
      ...firstKey('RW', 'update'),
      notes: 'UPDATE instead of INSERT because of the optional trimming feature',
    },
    since: '5.0.0',
    summary: 'Appends a new entry to a stream',
    complexity: 'O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.',
    tips: ['nondeterministic_output'],
    arguments: [
      KEY,
      option('NOMKSTREAM', '6.2.0'),
      { ...TRIM, optional: true },
      {
        name: 'id_or_auto',
        type: 'oneof',
        arguments: [
          { name: 'auto_id', type: 'pure-token', token: '*' },
          { name: 'id', type: 'string' },
        ],
      },
      {
        name: 'field_value',
        type: 'block',
        multiple: true,
        arguments: [
          { name: 'field', type: 'string' },
          { name: 'value', type: 'string' },
        ],
      },
    ],
    run: add,
  }),
  stream({
    name: 'xdel',
    arity: -3,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'delete'),
    since: '5.0.0',
    summary:
      'Removes the specified entries from the stream. Returns the number of items actually deleted, that may be different from the number of IDs passed in case certain IDs do not exist.',
    complexity: 'O(1) for each single item to delete in the stream, regardless of the stream size.',
    arguments: [KEY, IDS],
    run(call, argv) {
      const key = argv.key(1)
      const value = streamForWrite(call.db, key)
      if (value === undefined) return call.reply.integer(0)
      const deleted = idsFrom(argv, 2).filter((id) => value.delete(id)).length
      if (deleted > 0) call.db.changed(key, deleted)
      call.reply.integer(deleted)
    },
  }),
  stream({
    name: 'xlen',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO'),
    since: '5.0.0',
    summary: 'Return the number of entries in a stream',
    complexity: 'O(1)',
    arguments: [KEY],
    run: ({ db, reply }, argv) => reply.integer(readStream(db, argv.key(1))?.size ?? 0),
  }),
  stream({
    name: 'xrange',
    arity: -4,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '5.0.0',
    summary: 'Return a range of elements in a stream, with IDs matching the specified IDs interval',
    complexity:
      'O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).',
    arguments: [KEY, START, END, COUNT],
    run: (call, argv) => range(call, argv, 1),
  }),
  stream({
    name: 'xrevrange',
    arity: -4,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '5.0.0',
    summary:
      'Return a range of elements in a stream, with IDs matching the specified IDs interval, in reverse order (from greater to smaller IDs) compared to XRANGE',
    complexity:
      'O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).',
    arguments: [KEY, END, START, COUNT],
    run: (call, argv) => range(call, argv, -1),
  }),
  stream({
    name: 'xsetid',
    arity: -3,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'update'),
    since: '5.0.0',
    summary: 'An internal command for replicating stream values',
    complexity: 'O(1)',
    arguments: [
      KEY,
      { name: 'last-id', type: 'string' },
      { name: 'entries_added', type: 'integer', token: 'ENTRIESADDED', since: '7.0.0', optional: true },
      { name: 'max_deleted_entry_id', type: 'string', token: 'MAXDELETEDID', since: '7.0.0', optional: true },
    ],
    run: setId,
  }),
  stream({
    name: 'xtrim',
    arity: -4,
    flags: ['write'],
    keys: firstKey('RW', 'delete'),
    since: '5.0.0',
    summary: "Trims the stream to (approximately if '~' is passed) a certain size",
    complexity:
      'O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation.',
    tips: ['nondeterministic_output'],
    arguments: [KEY, TRIM],
    run: trim,
  }),
)

interface AddOptions {
  readonly create: boolean
  readonly trim: TrimOption | undefined
  /** The argument that is the id. */
  readonly idAt: number
  /** `*`, `<ms>-*`, or all of the id. */
  readonly id: 'auto' | { readonly ms: Uint64 } | StreamId
}

function add(call: Call, argv: Argv): void {
  const { db, reply } = call
  const options = readAddOptions(call, argv)
  const from = options.idAt + 1
  if (argv.count - from < 2 || (argv.count - from) % 2 === 1) throw wrongArity('xadd')
  if (options.id !== 'auto' && 'seq' in options.id && isZero(options.id))
    throw fail('The ID specified in XADD must be greater than 0-0')
  const key = argv.key(1)
  const known = streamForWrite(db, key)
  if (known === undefined && !options.create) return reply.nil()
  const value = known ?? new StreamValue()
  const id = newId(call, value, options)
  checkSize(argv, from)
  const { streamNodeMaxBytes: maxBytes, streamNodeMaxEntries: maxEntries } = call.server.config.values
  value.append(id, argv, from, argv.count, { maxBytes, maxEntries })
  const trimmed = options.trim === undefined ? 0 : value.trim(options.trim)
  if (known === undefined) db.write(key, value, 0)
  else db.changed(key)
  if (trimmed > 0) db.changed(key, trimmed)
  propagateAdd(call, argv, options, value, id)
  replyId(reply, id)
}

function readAddOptions(call: Call, argv: Argv): AddOptions {
  const words: TrimWords = { thresholdAt: 0, approximate: false }
  let create = true
  let i = 2
  for (; i < argv.count; i++) {
    if (argv.length(i) === 1 && argv.text(i) === '*') break
    const end = readTrim(argv, i, words)
    if (end >= 0) i = end
    else if (argv.word(i) === 'nomkstream') create = false
    else break
  }
  const id = i < argv.count ? givenId(argv.text(i)) : 'auto'
  return { create, trim: trimOption(call, words), idAt: i, id }
}

function givenId(text: string): AddOptions['id'] {
  if (text === '*') return 'auto'
  if (!text.endsWith('-*')) return readId(text)
  const ms = parseUint64(text.slice(0, -2))
  if (ms === undefined) throw INVALID_ID
  return { ms }
}

/** The id of the entry to add: greater than all before. */
function newId(call: Call, value: StreamValue, { id }: AddOptions): StreamId {
  const following = nextId(value.lastId)
  if (following === undefined) throw fail('The stream has exhausted the last possible ID, unable to add more items')
  if (id === 'auto') return value.lastId.ms < call.now ? { ms: call.now, seq: 0 } : following
  const given = 'seq' in id ? id : value.idWithin(id.ms)
  if (given === undefined || compareIds(given, value.lastId) <= 0)
    throw fail('The ID specified in XADD is equal or smaller than the target stream top item')
  return given
}

function checkSize(argv: Argv, from: number): void {
  let size = 0
  for (let i = from; i < argv.count; i++) size += argv.length(i)
  if (size > NODE_SIZE_LIMIT) throw fail('Elements are too large to be stored')
}

/** Replicas are told the very id, and the outcome of an approximate trim. What is exact already goes out as it came. */
function propagateAdd(call: Call, argv: Argv, options: AddOptions, value: StreamValue, id: StreamId): void {
  const isGiven = options.id !== 'auto' && 'seq' in options.id
  if ((isGiven && options.trim?.approximate !== true) || !call.server.propagation.wanted) return
  const words = exactRequest(argv, options.trim, value)
  if (!isGiven) words[options.idAt] = Buffer.from(formatId(id))
  call.propagate(words)
}

function range({ db, reply }: Call, argv: Argv, direction: 1 | -1): void {
  const [startAt, endAt] = direction > 0 ? [2, 3] : [3, 2]
  const start = boundAt(argv, startAt, 'start')
  const end = boundAt(argv, endAt, 'end')
  let count = Number.POSITIVE_INFINITY
  for (let i = 4; i < argv.count; i += 2) {
    if (i + 1 >= argv.count || argv.word(i) !== 'count') throw SYNTAX
    count = position(argv, i + 1)
  }
  const value = readStream(db, argv.key(1))
  if (value === undefined) reply.array(0)
  else if (count <= 0) reply.nilArray()
  else replyEntries(reply, value.range(start, end, direction), count)
}

function trim(call: Call, argv: Argv): void {
  const words: TrimWords = { thresholdAt: 0, approximate: false }
  for (let i = 2; i < argv.count; i++) {
    i = readTrim(argv, i, words)
    if (i < 0) throw SYNTAX
  }
  const option = trimOption(call, words)!
  const key = argv.key(1)
  const value = streamForWrite(call.db, key)
  const trimmed = value?.trim(option) ?? 0
  if (value !== undefined && trimmed > 0) {
    call.db.changed(key, trimmed)
    if (option.approximate) call.propagate(exactRequest(argv, option, value))
  }
  call.reply.integer(trimmed)
}

function setId(call: Call, argv: Argv): void {
  const id = idAt(argv, 2)
  const { added, maxDeleted } = readCounters(argv, id)
  const key = argv.key(1)
  const value = streamForWrite(call.db, key)
  if (value === undefined) throw NO_SUCH_KEY
  const { last } = value
  if (last !== undefined && compareIds(id, last.id) < 0)
    throw fail('The ID specified in XSETID is smaller than the target stream top item')
  if (added !== undefined && value.size > added)
    throw fail('The entries_added specified in XSETID is smaller than the target stream length')
  value.lastId = id
  if (added !== undefined) value.entriesAdded = added
  if (maxDeleted !== undefined && !isZero(maxDeleted)) value.maxDeletedId = maxDeleted
  call.db.changed(key)
  call.reply.ok()
}

function readCounters(argv: Argv, id: StreamId): { added: number | undefined; maxDeleted: StreamId | undefined } {
  let added: number | undefined
  let maxDeleted: StreamId | undefined
  for (let i = 3; i < argv.count; i += 2) {
    const name = argv.word(i)
    if (i + 1 >= argv.count) throw SYNTAX
    if (name === 'entriesadded') {
      const count = int64(argv, i + 1)
      if (count < 0) throw fail('entries_added must be positive')
      added = clamp(count)
    } else if (name === 'maxdeletedid') {
      maxDeleted = idAt(argv, i + 1)
      if (compareIds(id, maxDeleted) < 0)
        throw fail('The ID specified in XSETID is smaller than the provided max_deleted_entry_id')
    } else throw SYNTAX
  }
  return { added, maxDeleted }
}
