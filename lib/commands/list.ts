/** Lists: elements put in, looked at, changed and removed in place. What pops or moves them is in list-pop.ts and list-move.ts. */

import type { Database } from '../../store/keyspace.ts'
import { ListValue, type Side } from '../../store/types/list.ts'
import type { Key } from '../base/key.ts'
import { fail, INDEX_RANGE, NO_SUCH_KEY, SYNTAX, WRONG_TYPE } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { INT64_MIN, indexRange, int64, position, positiveInteger } from './args.ts'
import { type ArgumentDoc, type Command, family, firstKey } from './define.ts'
import { KEY, word } from './docs.ts'

/** A row of the family. */
export const list = (row: Omit<Command, 'group'>): Command => ({ group: 'list', ...row })

const ELEMENT: ArgumentDoc = { name: 'element', type: 'string' }
const ELEMENTS: ArgumentDoc = { ...ELEMENT, multiple: true }
const INDEX: ArgumentDoc = { name: 'index', type: 'integer' }
const COUNT: ArgumentDoc = { name: 'count', type: 'integer' }
const RANGE: readonly ArgumentDoc[] = [KEY, { name: 'start', type: 'integer' }, { name: 'stop', type: 'integer' }]

/** LPUSH, RPUSH and their forms for lists that exist. */
const push = (name: string, side: Side, row: Pick<Command, 'since' | 'summary'>, mayCreate = true): Command =>
  list({
    name,
    arity: -3,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'insert'),
    complexity:
      'O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.',
    arguments: [KEY, ELEMENTS],
    run: (call, argv) => pushAll(call, argv, side, mayCreate),
    ...row,
  })

export const listCommands = family(
  list({
    name: 'lindex',
    arity: 3,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '1.0.0',
    summary: 'Get an element from a list by its index',
    complexity:
      'O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).',
    arguments: [KEY, INDEX],
    run({ db, reply }, argv) {
      const element = readList(db, argv.key(1))?.get(position(argv, 2))
      if (element === undefined) reply.nil()
      else reply.bulk(element)
    },
  }),
  list({
    name: 'linsert',
    arity: 5,
    flags: ['write', 'denyoom'],
    keys: firstKey('RW', 'insert'),
    since: '2.2.0',
    summary: 'Insert an element before or after another element in a list',
    complexity:
      'O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N).',
    arguments: [
      KEY,
      { name: 'where', type: 'oneof', arguments: [word('BEFORE'), word('AFTER')] },
      { name: 'pivot', type: 'string' },
      ELEMENT,
    ],
    run: insert,
  }),
  list({
    name: 'llen',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO'),
    since: '1.0.0',
    summary: 'Get the length of a list',
    complexity: 'O(1)',
    arguments: [KEY],
    run: ({ db, reply }, argv) => reply.integer(readList(db, argv.key(1))?.size ?? 0),
  }),
  list({
    name: 'lpos',
    arity: -3,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '6.0.6',
    summary: 'Return the index of matching elements on a list',
    complexity:
      'O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.',
    arguments: [
      KEY,
      ELEMENT,
      { name: 'rank', type: 'integer', token: 'RANK', optional: true },
      { name: 'num-matches', type: 'integer', token: 'COUNT', optional: true },
      { name: 'len', type: 'integer', token: 'MAXLEN', optional: true },
    ],
    run: findPositions,
  }),
  push('lpush', 'left', { since: '1.0.0', summary: 'Prepend one or multiple elements to a list' }),
  push('lpushx', 'left', { since: '2.2.0', summary: 'Prepend an element to a list, only if the list exists' }, false),
  list({
    name: 'lrange',
    arity: 4,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '1.0.0',
    summary: 'Get a range of elements from a list',
    complexity:
      'O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.',
    arguments: RANGE,
    run({ db, reply }, argv) {
      const start = position(argv, 2)
      const stop = position(argv, 3)
      const value = readList(db, argv.key(1))
      const { from, to } = indexRange(value?.size ?? 0, start, stop)
      reply.array(to - from)
      value?.put(reply, from, to - from)
    },
  }),
  list({
    name: 'lrem',
    arity: 4,
    flags: ['write'],
    keys: firstKey('RW', 'delete'),
    since: '1.0.0',
    summary: 'Remove elements from a list',
    complexity: 'O(N+M) where N is the length of the list and M is the number of elements removed.',
    arguments: [KEY, COUNT, ELEMENT],
    run(call, argv) {
      const count = position(argv, 2)
      const key = argv.key(1)
      const value = listForWrite(call.db, key)
      const removed = value?.remove(argv.at(3), count) ?? 0
      if (removed > 0) removedFrom(call, key, value!, removed)
      call.reply.integer(removed)
    },
  }),
  list({
    name: 'lset',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: firstKey('RW', 'update'),
    since: '1.0.0',
    summary: 'Set the value of an element in a list by its index',
    complexity:
      'O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).',
    arguments: [KEY, INDEX, ELEMENT],
    run(call, argv) {
      const key = argv.key(1)
      const value = listForWrite(call.db, key)
      if (value === undefined) throw NO_SUCH_KEY
      if (!value.set(position(argv, 2), fillOf(call), argv.at(3))) throw INDEX_RANGE
      call.db.changed(key)
      call.reply.ok()
    },
  }),
  list({
    name: 'ltrim',
    arity: 4,
    flags: ['write'],
    keys: firstKey('RW', 'delete'),
    since: '1.0.0',
    summary: 'Trim a list to the specified range',
    complexity: 'O(N) where N is the number of elements to be removed by the operation.',
    arguments: RANGE,
    run: trim,
  }),
  push('rpush', 'right', { since: '1.0.0', summary: 'Append one or multiple elements to a list' }),
  push('rpushx', 'right', { since: '2.2.0', summary: 'Append an element to a list, only if the list exists' }, false),
)

/** The list at a key, counted as an access; undefined when missing. Throws WRONG_TYPE. */
export const readList = (db: Database, key: Key): ListValue | undefined => asList(db.read(key))

/** As `readList`, for a command that will write. */
export const listForWrite = (db: Database, key: Key): ListValue | undefined => asList(db.readForWrite(key))

function asList(value: ReturnType<Database['read']>): ListValue | undefined {
  if (value !== undefined && value.type !== 'list') throw WRONG_TYPE
  return value
}

/** list-max-listpack-size. */
export const fillOf = ({ server }: Call): number => server.config.values.listMaxListpackSize

/** Tells the keyspace that a list has lost elements, perhaps its last. */
export function removedFrom({ db }: Call, key: Key, value: ListValue, count: number): void {
  if (value.size === 0) db.remove(key)
  else db.changed(key, count)
}

/** Tells the keyspace that a list has gained elements; `isNew`: it is not there yet. */
export function addedTo({ db }: Call, key: Key, value: ListValue, isNew: boolean, count: number): void {
  if (isNew) db.write(key, value, 0)
  else db.changed(key, count)
}

function pushAll(call: Call, argv: Argv, side: Side, mayCreate: boolean): void {
  const key = argv.key(1)
  const old = listForWrite(call.db, key)
  if (old === undefined && !mayCreate) return call.reply.integer(0)
  const value = old ?? new ListValue()
  const fill = fillOf(call)
  for (let i = 2; i < argv.count; i++) value.push(side, fill, argv.buffer, argv.starts[i], argv.ends[i], argv.data)
  addedTo(call, key, value, old === undefined, argv.count - 2)
  call.reply.integer(value.size)
}

const PLACES: ReadonlySet<string> = new Set(['before', 'after'])
const isPlace = (word: string): word is 'before' | 'after' => PLACES.has(word)

function insert(call: Call, argv: Argv): void {
  const { db, reply } = call
  const where = argv.word(2)
  if (!isPlace(where)) throw SYNTAX
  const key = argv.key(1)
  const value = listForWrite(db, key)
  if (value === undefined) return reply.integer(0)
  if (!value.insert(where, argv.at(3), fillOf(call), argv.at(4))) return reply.integer(-1)
  db.changed(key)
  reply.integer(value.size)
}

function trim(call: Call, argv: Argv): void {
  const start = position(argv, 2)
  const stop = position(argv, 3)
  const key = argv.key(1)
  const value = listForWrite(call.db, key)
  if (value !== undefined) {
    const { from, to } = indexRange(value.size, start, stop)
    const removed = value.drop('right', value.size - to) + value.drop('left', from)
    removedFrom(call, key, value, removed)
  }
  call.reply.ok()
}

function findPositions({ db, reply }: Call, argv: Argv): void {
  const { rank, count, within } = readPositionOptions(argv)
  const most = count === undefined ? 1 : count === 0 ? Number.POSITIVE_INFINITY : count
  const found = readList(db, argv.key(1))?.positions(argv.at(2), rank, most, within) ?? []
  if (count !== undefined) {
    reply.array(found.length)
    for (const index of found) reply.integer(index)
  } else if (found[0] === undefined) reply.nil()
  else reply.integer(found[0])
}

/** `count` 0 asks for all, `within` is how many elements may be looked at. */
function readPositionOptions(argv: Argv): { rank: number; count: number | undefined; within: number } {
  let rank = 1
  let count: number | undefined
  let within = 0
  for (let i = 3; i < argv.count; i += 2) {
    const option = argv.word(i)
    if (i + 1 === argv.count) throw SYNTAX
    if (option === 'rank') rank = readRank(argv, i + 1)
    else if (option === 'count') count = positiveInteger(argv, i + 1, "COUNT can't be negative")
    else if (option === 'maxlen') within = positiveInteger(argv, i + 1, "MAXLEN can't be negative")
    else throw SYNTAX
    if (rank === 0) throw ZERO_RANK
  }
  return { rank, count, within: within === 0 ? Number.POSITIVE_INFINITY : within }
}

/** The lowest number there is has no opposite: a real server ends up with what amounts to -1. */
const readRank = (argv: Argv, i: number): number => (int64(argv, i) === INT64_MIN ? -1 : position(argv, i))

const ZERO_RANK = fail(
  "RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
)
