/** What a group has delivered and nobody has acknowledged: acknowledging it, looking at it, claiming it for another consumer. */
import type { Group, Pending } from '../../store/types/stream-groups.ts'
import { compareIds, MIN_ID, type StreamId } from '../../store/types/stream-id.ts'
import type { StreamEntry } from '../../store/types/stream-node.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Call } from '../server/call.ts'
import { INT64_MAX, INT64_MIN, integerWithin, position } from './args.ts'
import { type ArgumentDoc, family, firstKey } from './define.ts'
import { KEY, option } from './docs.ts'
import {
  boundAt,
  groupOf,
  idAt,
  idsFrom,
  parseId,
  readStream,
  replyEntries,
  replyId,
  stream,
  streamForWrite,
} from './stream-args.ts'
import { tellClaim, tellPosition } from './stream-effects.ts'

const GROUP: ArgumentDoc = { name: 'group', type: 'string' }
const CONSUMER: ArgumentDoc = { name: 'consumer', type: 'string' }
const MIN_IDLE: ArgumentDoc = { name: 'min-idle-time', type: 'string' }
const IDS: ArgumentDoc = { name: 'id', type: 'string', multiple: true }

export const streamPendingCommands = family(
  stream({
    name: 'xack',
    arity: -4,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'update'),
    since: '5.0.0',
    summary:
      'Marks a pending message as correctly processed, effectively removing it from the pending entries list of the consumer group. Return value of the command is the number of messages successfully acknowledged, that is, the IDs we were actually able to resolve in the PEL.',
    complexity: 'O(1) for each message ID processed.',
    arguments: [KEY, GROUP, IDS],
    run(call, argv) {
      const key = argv.key(1)
      const group = streamForWrite(call.db, key, true)?.groups.get(argv.text(2))
      if (group === undefined) return call.reply.integer(0)
      const count = idsFrom(argv, 3).filter((id) => group.acknowledge(id)).length
      if (count > 0) call.db.changed(key, count)
      call.reply.integer(count)
    },
  }),
  stream({
    name: 'xpending',
    arity: -3,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '5.0.0',
    summary:
      'Return information and entries from a stream consumer group pending entries list, that are messages fetched but never acknowledged.',
    complexity:
      'O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.',
    tips: ['nondeterministic_output'],
    arguments: [
      KEY,
      GROUP,
      {
        name: 'filters',
        type: 'block',
        optional: true,
        arguments: [
          { name: 'min-idle-time', type: 'integer', token: 'IDLE', since: '6.2.0', optional: true },
          { name: 'start', type: 'string' },
          { name: 'end', type: 'string' },
          { name: 'count', type: 'integer' },
          { ...CONSUMER, optional: true },
        ],
      },
    ],
    run: (call, argv) => (argv.count === 3 ? summarize(call, argv) : list(call, argv)),
  }),
  stream({
    name: 'xclaim',
    arity: -6,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'update'),
    since: '5.0.0',
    summary:
      'Changes (or acquires) ownership of a message in a consumer group, as if the message was delivered to the specified consumer.',
    complexity: 'O(log N) with N being the number of messages in the PEL of the consumer group.',
    tips: ['nondeterministic_output'],
    arguments: [
      KEY,
      GROUP,
      CONSUMER,
      MIN_IDLE,
      IDS,
      { name: 'ms', type: 'integer', token: 'IDLE', optional: true },
      { name: 'unix-time-milliseconds', type: 'unix-time', token: 'TIME', optional: true },
      { name: 'count', type: 'integer', token: 'RETRYCOUNT', optional: true },
      option('FORCE'),
      option('JUSTID'),
      { name: 'id', type: 'string', token: 'LASTID', optional: true },
    ],
    run: claim,
  }),
  stream({
    name: 'xautoclaim',
    arity: -6,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'delete'),
    since: '6.2.0',
    summary:
      'Changes (or acquires) ownership of messages in a consumer group, as if the messages were delivered to the specified consumer.',
    complexity: 'O(1) if COUNT is small.',
    tips: ['nondeterministic_output'],
    arguments: [
      KEY,
      GROUP,
      CONSUMER,
      MIN_IDLE,
      { name: 'start', type: 'string' },
      { name: 'count', type: 'integer', token: 'COUNT', optional: true },
      option('JUSTID'),
    ],
    run: autoClaim,
  }),
)

/** How many are pending, between which ids, and for whom. */
function summarize({ db, reply }: Call, argv: Argv): void {
  const { pending, consumers } = groupOf(readStream(db, argv.key(1)), argv).group
  reply.array(4)
  reply.integer(pending.size)
  if (pending.first === undefined || pending.last === undefined) {
    reply.nil()
    reply.nil()
    return reply.nilArray()
  }
  replyId(reply, pending.first.id)
  replyId(reply, pending.last.id)
  const busy = Array.from(consumers).filter((consumer) => consumer.pending.size > 0)
  reply.array(busy.length)
  for (const consumer of busy) {
    reply.array(2)
    reply.name(consumer.name)
    reply.text(String(consumer.pending.size))
  }
}

/** The pending entries of an interval one by one, all or those of one consumer. */
function list({ db, reply, now }: Call, argv: Argv): void {
  if (argv.count < 6 || argv.count > 9) throw SYNTAX
  const hasIdle = argv.word(3) === 'idle'
  const idleMs = hasIdle ? position(argv, 4) : 0
  if (hasIdle && argv.count < 8) throw SYNTAX
  const at = hasIdle ? 5 : 3
  const count = position(argv, at + 2)
  const start = boundAt(argv, at, 'start')
  const end = boundAt(argv, at + 1, 'end')
  const { group } = groupOf(readStream(db, argv.key(1)), argv)
  const { pending = undefined } = at + 3 < argv.count ? (group.consumers.get(argv.text(at + 3)) ?? {}) : group
  const found: Pending[] = []
  for (const one of pending?.from(start) ?? []) {
    if (found.length >= count || compareIds(one.id, end) > 0) break
    if (now - one.deliveredAt >= idleMs) found.push(one)
  }
  reply.array(found.length)
  for (const { id, consumer, deliveredAt, deliveries } of found) {
    reply.array(4)
    replyId(reply, id)
    reply.name(consumer.name)
    reply.integer(Math.max(0, now - deliveredAt))
    reply.integer(deliveries)
  }
}

/** What claiming does to an entry. */
interface Claim {
  readonly idleMs: number
  readonly deliveredAt: number
  /** Undefined: one more, unless only ids are asked for. */
  readonly deliveries: number | undefined
  readonly justId: boolean
}

interface ClaimOptions extends Claim {
  readonly ids: readonly StreamId[]
  readonly force: boolean
  readonly lastId: StreamId
}

function claim(call: Call, argv: Argv): void {
  const { db, reply } = call
  const key = argv.key(1)
  const { value, group } = groupOf(streamForWrite(db, key, true), argv)
  const options = readClaimOptions(call, argv)
  // Replicas are told what was claimed, not the request.
  call.propagate()
  group.askedBy(argv.text(3), call.now)
  const moved = compareIds(options.lastId, group.lastId) > 0
  if (moved) group.lastId = options.lastId
  const claimed: StreamEntry[] = []
  let forgotten = 0
  for (const id of options.ids) {
    const pending = group.pending.get(id)
    const entry = value.get(id)
    if (entry === undefined) {
      if (pending === undefined) continue
      // What was deleted from the stream cannot be claimed: replicas find that out when they are told to.
      tellClaim(call, key, group, pending)
      group.acknowledge(id)
      forgotten++
    } else if (pending === undefined ? options.force : isIdle(call, pending, options))
      claimed.push(takeOver(call, argv, group, entry, options))
  }
  const changes = claimed.length + forgotten
  if (moved && changes === 0) tellPosition(call, key, group)
  if (moved || changes > 0) db.changed(key, Math.max(1, changes))
  replyClaimed(reply, claimed, options.justId)
}

function readClaimOptions({ now }: Call, argv: Argv): ClaimOptions {
  const idleMs = integerOr(argv, 4, 'Invalid min-idle-time argument for XCLAIM')
  const ids: StreamId[] = []
  let i = 5
  for (; i < argv.count; i++) {
    const id = parseId(argv.text(i))
    if (id === undefined) break
    ids.push(id)
  }
  let [deliveredAt, deliveries, force, justId, lastId] = [now as number, -1, false, false, MIN_ID]
  for (; i < argv.count; i++) {
    const name = argv.word(i)
    const hasValue = i + 1 < argv.count
    if (name === 'force') force = true
    else if (name === 'justid') justId = true
    else if (name === 'idle' && hasValue) deliveredAt = now - integerOr(argv, ++i, invalidOption('IDLE'))
    else if (name === 'time' && hasValue) deliveredAt = integerOr(argv, ++i, invalidOption('TIME'))
    else if (name === 'retrycount' && hasValue) deliveries = integerOr(argv, ++i, invalidOption('RETRYCOUNT'))
    else if (name === 'lastid' && hasValue) lastId = idAt(argv, ++i)
    else throw fail(`Unrecognized XCLAIM option '${argv.text(i)}'`)
  }
  // A time that has not come, or never was, is that of the call.
  if (deliveredAt < 0 || deliveredAt > now) deliveredAt = now
  return { idleMs, ids, deliveredAt, deliveries: deliveries < 0 ? undefined : deliveries, force, justId, lastId }
}

const invalidOption = (name: string): string => `Invalid ${name} option argument for XCLAIM`

const integerOr = (argv: Argv, i: number, text: string): number => integerWithin(argv, i, INT64_MIN, INT64_MAX, text)

/** How many entries XAUTOCLAIM looks at for each that it may claim. */
const TRIES = 10

function autoClaim(call: Call, argv: Argv): void {
  const { db, reply } = call
  const idleMs = integerOr(argv, 4, 'Invalid min-idle-time argument for XAUTOCLAIM')
  const start = boundAt(argv, 5, 'start')
  const { count, justId } = readAutoClaimOptions(argv)
  const key = argv.key(1)
  const { value, group } = groupOf(streamForWrite(db, key, true), argv)
  call.propagate()
  group.askedBy(argv.text(3), call.now)
  const how: Claim = { idleMs, deliveredAt: call.now, deliveries: undefined, justId }
  const claimed: StreamEntry[] = []
  const deleted: Pending[] = []
  let next = MIN_ID
  let tries = count * TRIES
  for (const pending of group.pending.from(start)) {
    if (tries-- === 0 || claimed.length + deleted.length === count) {
      next = pending.id
      break
    }
    const entry = value.get(pending.id)
    if (entry === undefined) {
      tellClaim(call, key, group, pending)
      deleted.push(pending)
    } else if (isIdle(call, pending, how)) claimed.push(takeOver(call, argv, group, entry, how))
  }
  for (const { id } of deleted) group.acknowledge(id)
  const changes = claimed.length + deleted.length
  if (changes > 0) db.changed(key, changes)
  reply.array(3)
  replyId(reply, next)
  replyClaimed(reply, claimed, justId)
  reply.array(deleted.length)
  for (const { id } of deleted) replyId(reply, id)
}

/** No reply can be so large. */
const MOST_CLAIMS = INT64_MAX / 16n

function readAutoClaimOptions(argv: Argv): { count: number; justId: boolean } {
  let count = 100
  let justId = false
  for (let i = 6; i < argv.count; i++) {
    const name = argv.word(i)
    if (name === 'count' && i + 1 < argv.count) count = integerWithin(argv, ++i, 1n, MOST_CLAIMS, 'COUNT must be > 0')
    else if (name === 'justid') justId = true
    else throw SYNTAX
  }
  return { count, justId }
}

const isIdle = ({ now }: Call, { deliveredAt }: Pending, { idleMs }: Claim): boolean => now - deliveredAt >= idleMs

/** Makes an entry pending for the consumer that claims, which is created when this is its first. */
function takeOver(call: Call, argv: Argv, group: Group, entry: StreamEntry, how: Claim): StreamEntry {
  const name = argv.text(3)
  if (group.consumers.get(name) === undefined) call.db.changed(argv.key(1), 0, 'joined')
  const consumer = group.hearFrom(name, call.now)
  consumer.activeAt = call.now
  const pending = group.claim(entry.id, consumer)
  pending.deliveredAt = how.deliveredAt
  pending.deliveries = how.deliveries ?? pending.deliveries + (how.justId ? 0 : 1)
  tellClaim(call, argv.key(1), group, pending)
  return entry
}

function replyClaimed(reply: Reply, claimed: readonly StreamEntry[], justId: boolean): void {
  if (!justId) return replyEntries(reply, claimed)
  reply.array(claimed.length)
  for (const { id } of claimed) replyId(reply, id)
}
