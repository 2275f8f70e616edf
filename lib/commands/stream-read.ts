/** XREAD and XREADGROUP: what came after an id, or what a group has not read yet, waiting for it if asked to. */
import type { StreamValue } from '../../store/types/stream.ts'
import type { Consumer, Group } from '../../store/types/stream-groups.ts'
import { compareIds, MAX_ID, MIN_ID, nextId, previousId, type StreamId } from '../../store/types/stream-id.ts'
import type { StreamEntry } from '../../store/types/stream-node.ts'
import { type Key, keyOf } from '../base/key.ts'
import { ClientError, fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Call } from '../server/call.ts'
import { INT64_MAX, INT64_MIN, integerWithin, position } from './args.ts'
import { type ArgumentDoc, family, type KeyPositions } from './define.ts'
import { option } from './docs.ts'
import {
  INVALID_ID,
  idAt,
  noGroup,
  readStream,
  replyEntry,
  replyId,
  stream,
  streamForWrite,
  take,
} from './stream-args.ts'
import { tellClaim, tellNewConsumer, tellPosition } from './stream-effects.ts'

/** Half of what follows STREAMS are keys, the other half ids. */
const streamKeys = (from: number): KeyPositions => ({
  first: 0,
  last: 0,
  step: 0,
  find: keysAfterStreams,
  specs: [{ flags: ['RO', 'access'], begin: { keyword: 'STREAMS', from }, last: -1, step: 1, limit: 2 }],
})

const COUNT: ArgumentDoc = { name: 'count', type: 'integer', token: 'COUNT', optional: true }
const BLOCK: ArgumentDoc = { name: 'milliseconds', type: 'integer', token: 'BLOCK', optional: true }
const STREAMS: ArgumentDoc = {
  name: 'streams',
  type: 'block',
  token: 'STREAMS',
  arguments: [
    { name: 'key', type: 'key', keySpec: 0, multiple: true },
    { name: 'id', type: 'string', multiple: true },
  ],
}

export const streamReadCommands = family(
  stream({
    name: 'xread',
    arity: -4,
    flags: ['readonly', 'blocking', 'movablekeys'],
    keys: streamKeys(1),
    since: '5.0.0',
    summary:
      'Return never seen elements in multiple streams, with IDs greater than the ones reported by the caller for each stream. Can block.',
    complexity:
      'For each stream mentioned: O(N) with N being the number of elements being returned, it means that XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will pay O(M) time in order to serve the M clients blocked on the stream getting new data.',
    arguments: [COUNT, BLOCK, STREAMS],
    run: read,
  }),
  stream({
    name: 'xreadgroup',
    arity: -7,
    flags: ['write', 'blocking', 'movablekeys'],
    keys: streamKeys(4),
    since: '5.0.0',
    summary:
      'Return new entries from a stream using a consumer group, or access the history of the pending entries for a given consumer. Can block.',
    complexity:
      'For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.',
    arguments: [
      {
        name: 'group_consumer',
        type: 'block',
        token: 'GROUP',
        arguments: [
          { name: 'group', type: 'string' },
          { name: 'consumer', type: 'string' },
        ],
      },
      COUNT,
      BLOCK,
      option('NOACK'),
      STREAMS,
    ],
    run: read,
  }),
)

function keysAfterStreams(argv: Argv): readonly number[] {
  for (let i = 1; i < argv.count; i++)
    if (argv.word(i) === 'streams') return Array.from({ length: (argv.count - i - 1) >> 1 }, (_, n) => i + 1 + n)
  return []
}

/** As whom a group is read. Latin1 names. */
interface Reader {
  readonly group: string
  readonly consumer: string
  readonly noAck: boolean
}

interface Options {
  readonly reader: Reader | undefined
  readonly count: number
  /** Undefined: do not wait. */
  readonly blockMs: number | undefined
  /** Argument of the first key; as many ids follow the keys. */
  readonly keysAt: number
  readonly keys: number
}

/** What is asked of one stream: entries after an id, or those new to the group. */
interface Want {
  readonly key: Buffer
  readonly after: StreamId | 'new'
}

/** An entry, or the id of one that was deleted since it was delivered. */
type Line = StreamEntry | { readonly deleted: StreamId }

interface Found {
  readonly key: Buffer
  readonly lines: Iterable<Line>
}

function read(call: Call, argv: Argv): void {
  const options = readOptions(call, argv)
  const wants: Want[] = []
  for (let i = 0; i < options.keys; i++) wants.push(readWant(call, argv, options, i))
  // Replicas are told what a group notes, never the request.
  if (options.reader !== undefined) call.propagate()
  const found = wants.flatMap((want) => look(call, want, options) ?? [])
  if (found.length > 0) replyFound(call, found)
  else if (options.blockMs === undefined) call.reply.nilArray()
  else block(call, wants, options, options.blockMs)
}

function readOptions(call: Call, argv: Argv): Options {
  const isGroupRead = call.entry.command.name === 'xreadgroup'
  let reader: { group: string; consumer: string } | undefined
  let noAck = false
  let count = 0
  let blockMs: number | undefined
  for (let i = 1; i < argv.count; i++) {
    const name = argv.word(i)
    const left = argv.count - 1 - i
    if (name === 'block' && left > 0) blockMs = milliseconds(argv, ++i)
    else if (name === 'count' && left > 0) count = position(argv, ++i)
    else if (name === 'group' && left > 1) {
      if (!isGroupRead) throw groupOnly('GROUP')
      reader = { group: argv.text(i + 1), consumer: argv.text(i + 2) }
      i += 2
    } else if (name === 'noack') {
      if (!isGroupRead) throw groupOnly('NOACK')
      noAck = true
    } else if (name === 'streams' && left > 0) {
      if (left % 2 === 1) throw UNBALANCED
      if (isGroupRead && reader === undefined) throw fail('Missing GROUP option for XREADGROUP')
      const most = count > 0 ? count : Number.POSITIVE_INFINITY
      return { reader: reader && { ...reader, noAck }, count: most, blockMs, keysAt: i + 1, keys: left / 2 }
    } else break
  }
  throw SYNTAX
}

/** How long to wait; 0 = for ever. */
function milliseconds(argv: Argv, i: number): number {
  const ms = integerWithin(argv, i, INT64_MIN, INT64_MAX, 'timeout is not an integer or out of range')
  if (ms < 0) throw fail('timeout is negative')
  return ms
}

const groupOnly = (name: string): ClientError =>
  fail(`The ${name} option is only supported by XREADGROUP. You called XREAD instead.`)

const UNBALANCED = fail("Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.")

function readWant(call: Call, argv: Argv, { reader, keysAt, keys }: Options, i: number): Want {
  const keyAt = keysAt + i
  const at = keyAt + keys
  const key = argv.own(keyAt)
  const value = readStream(call.db, argv.key(keyAt))
  if (reader !== undefined && value?.groups.get(reader.group) === undefined)
    throw noGroup(
      `No such key '${argv.text(keyAt)}' or consumer group '${reader.group}' in XREADGROUP with GROUP option`,
    )
  const special = argv.length(at) === 1 ? SPECIAL[argv.text(at)] : undefined
  return { key, after: special === undefined ? idAt(argv, at) : special(value, reader !== undefined) }
}

/** Ids that are words. */
const SPECIAL: Readonly<Record<string, (value: StreamValue | undefined, isGroupRead: boolean) => Want['after']>> = {
  /** What comes from now on. */
  $(value, isGroupRead) {
    if (isGroupRead)
      throw fail(
        'The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.',
      )
    return value?.lastId ?? MIN_ID
  },
  '>'(_value, isGroupRead) {
    if (!isGroupRead)
      throw fail('The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.')
    return 'new'
  },
  /** The last entry, and what comes after it: of Redis 7.4. */
  '+'(value, isGroupRead) {
    if (isGroupRead) throw INVALID_ID
    const { last } = value ?? {}
    return (last === undefined ? value?.lastId : previousId(last.id)) ?? MIN_ID
  },
}

/** Looks for what is wanted of one stream; undefined when there is nothing, which a consumer's history never is. */
function look(call: Call, { key, after }: Want, { reader, count }: Options): Found | undefined {
  const at = keyOf(key)
  // A group takes note of what it reads.
  const value = reader === undefined ? readStream(call.db, at) : streamForWrite(call.db, at, true)
  const group = reader && value?.groups.get(reader.group)
  if (value === undefined) return undefined
  if (reader !== undefined && group !== undefined) {
    const turn: Turn = { call, key: at, value, group, reader, count }
    if (after !== 'new') return { key, lines: history(turn, after) }
    const lines = deliver(turn)
    return lines.length === 0 ? undefined : { key, lines }
  }
  const { last } = value
  if (after === 'new' || last === undefined || compareIds(last.id, after) <= 0) return undefined
  return { key, lines: entriesAfter(value, after, count) }
}

/** One after the other, so that those of a long stream are never in memory at once. */
function* entriesAfter(value: StreamValue, after: StreamId, count: number): Generator<StreamEntry> {
  const from = nextId(after)
  if (from !== undefined) yield* take(value.range(from, MAX_ID), count)
}

/** A consumer's turn to read one stream. */
interface Turn {
  readonly call: Call
  readonly key: Key
  readonly value: StreamValue
  readonly group: Group
  readonly reader: Reader
  readonly count: number
}

/** Delivers what the group has not read yet. */
function deliver(turn: Turn): readonly StreamEntry[] {
  const { call, key, value, group, reader, count } = turn
  const lines = [...entriesAfter(value, group.lastId, count)]
  if (lines.length === 0) {
    group.askedBy(reader.consumer, call.now)
    return lines
  }
  const consumer = hearFrom(turn)
  for (const { id } of lines) {
    value.advance(group, id)
    if (!reader.noAck) tellClaim(call, key, group, group.deliver(id, consumer, call.now))
  }
  if (reader.noAck) tellPosition(call, key, group)
  call.db.changed(key, lines.length)
  return lines
}

/** Delivers once more what the consumer has not acknowledged. Replicas are not told: it is no loss. */
function history(turn: Turn, after: StreamId): Line[] {
  const { pending } = hearFrom(turn)
  const { call, value, count } = turn
  const from = nextId(after)
  if (from === undefined) return []
  return Array.from(take(pending.from(from), count), (one) => {
    const entry = value.get(one.id)
    if (entry !== undefined) {
      one.deliveredAt = call.now
      one.deliveries++
    }
    return entry ?? { deleted: one.id }
  })
}

/** The consumer, new to its group or not. */
function hearFrom({ call, key, group, reader: { consumer: name, noAck } }: Turn): Consumer {
  const isNew = group.consumers.get(name) === undefined
  const consumer = group.hearFrom(name, call.now)
  if (!isNew) return consumer
  call.db.changed(key, 1, 'joined')
  // Otherwise the claims that follow tell of it.
  if (noAck) tellNewConsumer(call, key, group, name)
  return consumer
}

/** Keys with what was found there: a map in RESP3. */
function replyFound({ reply }: Call, found: readonly Found[]): void {
  if (reply.resp3) reply.map(found.length)
  else reply.array(found.length)
  for (const { key, lines } of found) {
    if (!reply.resp3) reply.array(2)
    reply.bulk(key)
    const mark = reply.length
    let count = 0
    for (const line of lines) {
      replyLine(reply, line)
      count++
    }
    reply.arrayFrom(mark, count)
  }
}

function replyLine(reply: Reply, line: Line): void {
  if ('put' in line) return replyEntry(reply, line)
  reply.array(2)
  replyId(reply, line.deleted)
  reply.nilArray()
}

const KEY_GONE = new ClientError('UNBLOCKED the stream key no longer exists')
const GROUP_GONE = noGroup('the consumer group this client was blocked on no longer exists')

/** Waits for entries at any of the streams. Who reads as a group also hears that the stream or the group is no more. */
function block(call: Call, wants: readonly Want[], options: Options, timeoutMs: number): void {
  const { reader } = options
  const byKey = new Map<string, Want>()
  for (const want of wants) {
    const name = want.key.latin1Slice()
    if (!byKey.has(name)) byKey.set(name, want)
  }
  call.server.blockedKeys.wait(call, [...byKey.keys()], {
    timeoutMs,
    timedOut: ({ reply }) => reply.nilArray(),
    unblockOnDelete: reader !== undefined,
    serve(served, key) {
      const value = served.db.peek(key)
      if (value?.type !== 'stream') {
        if (reader === undefined) return false
        throw KEY_GONE
      }
      if (reader !== undefined && value.groups.get(reader.group) === undefined) throw GROUP_GONE
      const found = look(served, byKey.get(key.text())!, options)
      if (found !== undefined) replyFound(served, [found])
      return found !== undefined
    },
  })
}
