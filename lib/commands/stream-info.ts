/** XINFO: a look at a stream, its groups and their consumers. */
import type { StreamValue } from '../../store/types/stream.ts'
import type { Consumer, Group, Pending } from '../../store/types/stream-groups.ts'
import { ID_SIZE, MAX_ID, MIN_ID, type StreamId, writeId } from '../../store/types/stream-id.ts'
import { NO_SUCH_KEY } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Call } from '../server/call.ts'
import { position } from './args.ts'
import { type Command, family, type KeyPositions } from './define.ts'
import { KEY } from './docs.ts'
import { HELP_ROW, replyHelp, tooManyArguments } from './help.ts'
import { noGroup, readStream, replyEntries, replyEntry, replyId, stream, take } from './stream-args.ts'

const KEY_AT_2: KeyPositions = { first: 2, last: 2, step: 1, flags: ['RO', 'access'] }

const xinfo: Command = stream({
  name: 'xinfo',
  arity: -2,
  flags: [],
  since: '5.0.0',
  summary: 'A container for stream introspection commands',
  complexity: 'Depends on subcommand.',
  subcommands: [
    stream({
      name: 'consumers',
      arity: 4,
      flags: ['readonly'],
      keys: KEY_AT_2,
      since: '5.0.0',
      summary: 'List the consumers in a consumer group',
      complexity: 'O(1)',
      tips: ['nondeterministic_output'],
      arguments: [KEY, { name: 'groupname', type: 'string' }],
      run(call, argv) {
        const group = streamAt(call, argv).groups.get(argv.text(3))
        if (group === undefined)
          throw noGroup(`No such consumer group '${argv.text(3)}' for key name '${argv.text(2)}'`)
        replyList(call.reply, group.consumers, (consumer) => replyFields(call, CONSUMER_FIELDS, consumer))
      },
    }),
    stream({
      name: 'groups',
      arity: 3,
      flags: ['readonly'],
      keys: KEY_AT_2,
      since: '5.0.0',
      summary: 'List the consumer groups of a stream',
      complexity: 'O(1)',
      arguments: [KEY],
      run(call, argv) {
        const value = streamAt(call, argv)
        replyList(call.reply, value.groups, (group) => replyFields(call, GROUP_FIELDS, { value, group }))
      },
    }),
    stream({
      ...HELP_ROW,
      run: ({ reply }) => replyHelp(reply, 'XINFO', HELP),
    }),
    stream({
      name: 'stream',
      arity: -3,
      flags: ['readonly'],
      keys: KEY_AT_2,
      since: '5.0.0',
      summary: 'Get information about a stream',
      complexity: 'O(1)',
      arguments: [
        KEY,
        {
          name: 'full',
          type: 'block',
          token: 'FULL',
          optional: true,
          arguments: [{ name: 'count', type: 'integer', token: 'COUNT', optional: true }],
        },
      ],
      run(call, argv) {
        const value = streamAt(call, argv)
        const count = readFull(argv)
        if (count === undefined) replyFields(call, SUMMARY_FIELDS, value)
        else replyFields(call, FULL_FIELDS, { value, count })
      },
    }),
  ],
})

export const streamInfoCommands = family(xinfo)

function streamAt({ db }: Call, argv: Argv): StreamValue {
  const value = readStream(db, argv.key(2))
  if (value === undefined) throw NO_SUCH_KEY
  return value
}

/** How many entries FULL is to show of each list; undefined without it. */
function readFull(argv: Argv): number | undefined {
  if (argv.count === 3) return undefined
  const hasCount = argv.count === 6 && argv.word(4) === 'count'
  if (argv.word(3) !== 'full' || !(argv.count === 4 || hasCount)) throw tooManyArguments('XINFO', argv)
  const count = hasCount ? position(argv, 5) : DEFAULT_COUNT
  if (count === 0) return Number.POSITIVE_INFINITY
  return count < 0 ? DEFAULT_COUNT : count
}

const DEFAULT_COUNT = 10

/** Names, and how the value of each is answered. */
type Fields<T> = readonly (readonly [name: string, put: (reply: Reply, of: T, call: Call) => void])[]

function replyFields<T>(call: Call, fields: Fields<T>, of: T): void {
  const { reply } = call
  reply.map(fields.length)
  for (const [name, put] of fields) {
    reply.text(name)
    put(reply, of, call)
  }
}

function replyList<T>(reply: Reply, things: Iterable<T> & { readonly size: number }, put: (thing: T) => void): void {
  reply.array(things.size)
  for (const thing of things) put(thing)
}

function replyCount(reply: Reply, count: number | undefined): void {
  if (count === undefined) reply.nil()
  else reply.integer(count)
}

const STREAM_FIELDS: Fields<StreamValue> = [
  ['length', (reply, { size }) => reply.integer(size)],
  ['radix-tree-keys', (reply, { nodeCount }) => reply.integer(nodeCount)],
  ['radix-tree-nodes', (reply, value) => reply.integer(radixNodes(Array.from(value.nodes(), ({ id }) => id)))],
  ['last-generated-id', (reply, { lastId }) => replyId(reply, lastId)],
  ['max-deleted-entry-id', (reply, { maxDeletedId }) => replyId(reply, maxDeletedId)],
  ['entries-added', (reply, { entriesAdded }) => reply.integer(entriesAdded)],
  ['recorded-first-entry-id', (reply, { firstId }) => replyId(reply, firstId)],
]

const SUMMARY_FIELDS: Fields<StreamValue> = [
  ...STREAM_FIELDS,
  ['groups', (reply, { groups }) => reply.integer(groups.size)],
  ['first-entry', (reply, { first }) => (first === undefined ? reply.nil() : replyEntry(reply, first))],
  ['last-entry', (reply, { last }) => (last === undefined ? reply.nil() : replyEntry(reply, last))],
]

const GROUP_FIELDS: Fields<{ readonly value: StreamValue; readonly group: Group }> = [
  ['name', (reply, { group }) => reply.name(group.name)],
  ['consumers', (reply, { group }) => reply.integer(group.consumers.size)],
  ['pending', (reply, { group }) => reply.integer(group.pending.size)],
  ['last-delivered-id', (reply, { group }) => replyId(reply, group.lastId)],
  ['entries-read', (reply, { group }) => replyCount(reply, group.entriesRead)],
  ['lag', (reply, { value, group }) => replyCount(reply, value.lag(group))],
]

const CONSUMER_FIELDS: Fields<Consumer> = [
  ['name', (reply, { name }) => reply.name(name)],
  ['pending', (reply, { pending }) => reply.integer(pending.size)],
  ['idle', (reply, { seenAt }, { now }) => reply.integer(Math.max(0, now - seenAt))],
  // Of Redis 7.2, as is active-time below; -1: never.
  [
    'inactive',
    (reply, { activeAt }, { now }) => reply.integer(activeAt === undefined ? -1 : Math.max(0, now - activeAt)),
  ],
]

/** A stream, or a part of one, of whose lists `count` elements are shown. */
interface Full {
  readonly value: StreamValue
  readonly count: number
}

const FULL_FIELDS: Fields<Full> = [
  ...STREAM_FIELDS.map(
    ([name, put]) => [name, (reply: Reply, { value }: Full, call: Call) => put(reply, value, call)] as const,
  ),
  ['entries', (reply, { value, count }) => replyEntries(reply, value.range(MIN_ID, MAX_ID), count)],
  [
    'groups',
    (reply, full, call) =>
      replyList(reply, full.value.groups, (group) => replyFields(call, FULL_GROUP_FIELDS, { ...full, group })),
  ],
]

const FULL_GROUP_FIELDS: Fields<Full & { readonly group: Group }> = [
  ['name', (reply, { group }) => reply.name(group.name)],
  ['last-delivered-id', (reply, { group }) => replyId(reply, group.lastId)],
  ['entries-read', (reply, { group }) => replyCount(reply, group.entriesRead)],
  ['lag', (reply, { value, group }) => replyCount(reply, value.lag(group))],
  ['pel-count', (reply, { group }) => reply.integer(group.pending.size)],
  ['pending', (reply, { group, count }) => replyPending(reply, group.pending, count, true)],
  [
    'consumers',
    (reply, { group, count }, call) =>
      replyList(reply, group.consumers, (consumer) => replyFields(call, FULL_CONSUMER_FIELDS, { consumer, count })),
  ],
]

const FULL_CONSUMER_FIELDS: Fields<{ readonly consumer: Consumer; readonly count: number }> = [
  ['name', (reply, { consumer }) => reply.name(consumer.name)],
  ['seen-time', (reply, { consumer }) => reply.integer(consumer.seenAt)],
  ['active-time', (reply, { consumer }) => reply.integer(consumer.activeAt ?? -1)],
  ['pel-count', (reply, { consumer }) => reply.integer(consumer.pending.size)],
  ['pending', (reply, { consumer, count }) => replyPending(reply, consumer.pending, count, false)],
]

function replyPending(reply: Reply, pending: Iterable<Pending>, count: number, named: boolean): void {
  const shown = [...take(pending, count)]
  reply.array(shown.length)
  for (const { id, consumer, deliveredAt, deliveries } of shown) {
    reply.array(named ? 4 : 3)
    replyId(reply, id)
    if (named) reply.name(consumer.name)
    reply.integer(deliveredAt)
    reply.integer(deliveries)
  }
}

/** How many nodes a radix tree has whose keys are these ids: a real server keeps its listpacks in one, and tells. */
function radixNodes(ids: readonly StreamId[]): number {
  const keys = ids.map((id) => {
    const key = Buffer.alloc(ID_SIZE)
    writeId(id, key)
    return key
  })
  return keys.length === 0 ? 1 : radixNodesOf(keys, 0)
}

/** As `radixNodes`, of keys in order that agree in their first `depth` bytes. What all of them share next is one node; where
 *  they part is one, and one begins at each end. */
function radixNodesOf(keys: readonly Buffer[], depth: number): number {
  if (depth === ID_SIZE) return 1
  const [first, last] = [keys[0]!, keys.at(-1)!]
  let shared = depth
  while (shared < ID_SIZE && first[shared] === last[shared]) shared++
  if (shared > depth) return 1 + radixNodesOf(keys, shared)
  let nodes = 1
  for (let from = 0, to = 1; from < keys.length; from = to, to++) {
    while (to < keys.length && keys[to]![depth] === keys[from]![depth]) to++
    nodes += radixNodesOf(keys.slice(from, to), depth + 1)
  }
  return nodes
}

const HELP = `
CONSUMERS <key> <groupname>
    Show consumers of <groupname>.
GROUPS <key>
    Show the stream consumer groups.
STREAM <key> [FULL [COUNT <count>]
    Show information about the stream.
`
