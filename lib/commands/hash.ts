/** Hashes: fields with their values. */
import { HashValue } from '../../store/types/hash.ts'
import { integerBytes } from '../../store/types/string.ts'
import { INFINITE } from '../base/extended.ts'
import type { Key } from '../base/key.ts'
import { fail, SYNTAX, wrongArity } from '../errors.ts'
import { deadlinesCommand } from '../replication/hash-deadlines.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { INT64_MAX, int64, integerWithin } from './args.ts'
import { addFloat, addInteger, float } from './counter.ts'
import { type ArgumentDoc, type Command, family, firstKey } from './define.ts'
import { KEY, option, VALUE } from './docs.ts'
import { draw, drawCount, drawnOf } from './draw.ts'
import { elementScan } from './element-scan.ts'
import { hashAt } from './hash-expiry.ts'

const FIELD: ArgumentDoc = { name: 'field', type: 'string' }
const FIELDS: ArgumentDoc = { ...FIELD, multiple: true }
const PAIRS: ArgumentDoc = { name: 'field_value', type: 'block', multiple: true, arguments: [FIELD, VALUE] }

/** A row of the family. */
const hash = (row: Omit<Command, 'group'>): Command => ({ group: 'hash', ...row })

/** HGETALL, HKEYS, HVALS. */
const listing = (name: string, summary: string, fields: boolean, values: boolean): Command =>
  hash({
    name,
    arity: 2,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '2.0.0',
    summary,
    complexity: 'O(N) where N is the size of the hash.',
    tips: ['nondeterministic_output_order'],
    arguments: [KEY],
    run(call, argv) {
      const { reply } = call
      const value = readHash(call, argv)
      const size = value?.size ?? 0
      if (fields && values) reply.map(size)
      else reply.array(size)
      for (let spot = value?.first() ?? -1; value !== undefined && spot >= 0; spot = value.next(spot)) {
        if (fields) value.putField(spot, reply)
        if (values) value.putValue(spot, reply)
      }
    },
  })

/** HINCRBY, HINCRBYFLOAT. */
const increment = (row: Pick<Command, 'name' | 'since' | 'summary' | 'run'>, type: 'integer' | 'double'): Command =>
  hash({
    ...row,
    arity: 4,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'access', 'update'),
    complexity: 'O(1)',
    arguments: [KEY, FIELD, { name: 'increment', type }],
  })

export const hashCommands = family(
  hash({
    name: 'hdel',
    arity: -3,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'delete'),
    since: '2.0.0',
    summary: 'Delete one or more hash fields',
    complexity: 'O(N) where N is the number of fields to be removed.',
    arguments: [KEY, FIELDS],
    run: deleteFields,
  }),
  hash({
    name: 'hexists',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO'),
    since: '2.0.0',
    summary: 'Determine if a hash field exists',
    complexity: 'O(1)',
    arguments: [KEY, FIELD],
    run: (call, argv) => call.reply.integer((readHash(call, argv)?.find(argv.key(2)) ?? -1) >= 0 ? 1 : 0),
  }),
  hash({
    name: 'hget',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO', 'access'),
    since: '2.0.0',
    summary: 'Get the value of a hash field',
    complexity: 'O(1)',
    arguments: [KEY, FIELD],
    run: (call, argv) => replyValue(call, readHash(call, argv), argv.key(2)),
  }),
  listing('hgetall', 'Get all the fields and values in a hash', true, true),
  increment(
    {
      name: 'hincrby',
      since: '2.0.0',
      summary: 'Increment the integer value of a hash field by the given number',
      run: incrementInteger,
    },
    'integer',
  ),
  increment(
    {
      name: 'hincrbyfloat',
      since: '2.6.0',
      summary: 'Increment the float value of a hash field by the given amount',
      run: incrementFloat,
    },
    'double',
  ),
  listing('hkeys', 'Get all the fields in a hash', true, false),
  hash({
    name: 'hlen',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO'),
    since: '2.0.0',
    summary: 'Get the number of fields in a hash',
    complexity: 'O(1)',
    arguments: [KEY],
    run: (call, argv) => call.reply.integer(readHash(call, argv)?.size ?? 0),
  }),
  hash({
    name: 'hmget',
    arity: -3,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO', 'access'),
    since: '2.0.0',
    summary: 'Get the values of all the given hash fields',
    complexity: 'O(N) where N is the number of fields being requested.',
    arguments: [KEY, FIELDS],
    run(call, argv) {
      const value = readHash(call, argv)
      call.reply.array(argv.count - 2)
      for (let i = 2; i < argv.count; i++) replyValue(call, value, argv.key(i))
    },
  }),
  hash({
    name: 'hmset',
    arity: -4,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'update'),
    since: '2.0.0',
    summary: 'Set multiple hash fields to multiple values',
    complexity: 'O(N) where N is the number of fields being set.',
    deprecated: { since: '4.0.0', replacedBy: '`HSET` with multiple field-value pairs' },
    arguments: [KEY, PAIRS],
    run(call, argv) {
      setPairs(call, argv)
      call.reply.ok()
    },
  }),
  hash({
    name: 'hrandfield',
    arity: -2,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '6.2.0',
    summary: 'Get one or multiple random fields from a hash',
    complexity: 'O(N) where N is the number of fields returned',
    tips: ['nondeterministic_output'],
    arguments: [
      KEY,
      {
        name: 'options',
        type: 'block',
        optional: true,
        arguments: [{ name: 'count', type: 'integer' }, option('WITHVALUES')],
      },
    ],
    run: randomFields,
  }),
  elementScan(
    { name: 'hscan', group: 'hash', summary: 'Incrementally iterate hash fields and associated values' },
    2,
    readHash,
  ),
  hash({
    name: 'hset',
    arity: -4,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'update'),
    since: '2.0.0',
    summary: 'Set the string value of a hash field',
    complexity:
      'O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs.',
    arguments: [KEY, PAIRS],
    run: (call, argv) => call.reply.integer(setPairs(call, argv)),
  }),
  hash({
    name: 'hsetnx',
    arity: 4,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'insert'),
    since: '2.0.0',
    summary: 'Set the value of a hash field, only if the field does not exist',
    complexity: 'O(1)',
    arguments: [KEY, FIELD, VALUE],
    run(call, argv) {
      const old = writableHash(call, argv)
      if (old !== undefined && old.find(argv.key(2)) >= 0) return call.reply.integer(0)
      call.reply.integer(setPairs(call, argv))
    },
  }),
  hash({
    name: 'hstrlen',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO'),
    since: '3.2.0',
    summary: 'Get the length of the value of a hash field',
    complexity: 'O(1)',
    arguments: [KEY, FIELD],
    run(call, argv) {
      const value = readHash(call, argv)
      const spot = value?.find(argv.key(2)) ?? -1
      call.reply.integer(value === undefined || spot < 0 ? 0 : value.valueLength(spot))
    },
  }),
  listing('hvals', 'Get all the values in a hash', false, true),
)

/** The hash at argument 1, counted as an access. Throws WRONG_TYPE. */
function readHash(call: Call, argv: Argv): HashValue | undefined {
  return hashAt(call, argv.key(1), 'read')
}

/** As `readHash`, for a command that will write. */
function writableHash(call: Call, argv: Argv): HashValue | undefined {
  return hashAt(call, argv.key(1), 'write')
}

/** Replies the value of a field, or nil. */
export function replyValue({ reply }: Call, value: HashValue | undefined, field: Key): void {
  const spot = value?.find(field) ?? -1
  if (value === undefined || spot < 0) reply.nil()
  else value.putValue(spot, reply)
}

/** Sets the pairs from argument 2 on; returns how many fields are new. */
function setPairs(call: Call, argv: Argv): number {
  if (argv.count % 2 !== 0) throw wrongArity(call.entry.fullName)
  const { db, server } = call
  const key = argv.key(1)
  const old = writableHash(call, argv)
  const value = old ?? new HashValue()
  let added = 0
  for (let i = 2; i < argv.count; i += 2)
    if (value.set(argv.key(i), argv.buffer, server.config.values, argv.starts[i + 1], argv.ends[i + 1])) added++
  if (old === undefined) db.write(key, value, 0)
  else db.changed(key, (argv.count - 2) / 2)
  return added
}

function deleteFields(call: Call, argv: Argv): void {
  const { db, reply } = call
  const key = argv.key(1)
  const value = writableHash(call, argv)
  if (value === undefined) return reply.integer(0)
  let deleted = 0
  for (let i = 2; i < argv.count; i++) if (value.delete(argv.key(i))) deleted++
  if (value.size === 0) db.remove(key)
  else if (deleted > 0) db.changed(key, deleted)
  reply.integer(deleted)
}

/** The value of the field at argument 2. */
function oldValue(call: Call, argv: Argv): Buffer | undefined {
  const value = writableHash(call, argv)
  const spot = value?.find(argv.key(2)) ?? -1
  return spot < 0 ? undefined : value?.value(spot)
}

/** Changes the value of the field at argument 2, which keeps its deadline; gives that, 0 = none. */
function setField(call: Call, argv: Argv, bytes: Buffer): number {
  const { db, server } = call
  const key = argv.key(1)
  const old = writableHash(call, argv)
  const value = old ?? new HashValue()
  const deadline = value.deadlines === undefined ? 0 : value.deadlineOf(argv.key(2).text())
  value.set(argv.key(2), bytes, server.config.values)
  if (deadline !== 0) value.setDeadline(argv.key(2).text(), deadline)
  if (old === undefined) db.write(key, value, 0)
  else db.changed(key)
  return deadline
}

function incrementInteger(call: Call, argv: Argv): void {
  const by = int64(argv, 3)
  const sum = addInteger(oldValue(call, argv), by, NOT_INTEGER_VALUE)
  setField(call, argv, integerBytes(sum))
  call.reply.integer(sum)
}

/** Replicas get the result: their arithmetic may differ. */
function incrementFloat(call: Call, argv: Argv): void {
  const by = float(argv, 3)
  if (by === INFINITE) throw fail('value is NaN or Infinity')
  const sum = addFloat(oldValue(call, argv), by, NOT_FLOAT_VALUE)
  const deadline = setField(call, argv, sum)
  const set = ['HSET', argv.own(1), argv.own(2), sum]
  if (deadline === 0) call.propagate(set)
  else call.propagate(set, deadlinesCommand(argv.own(1), [argv.own(2)], deadline))
  call.reply.bulk(sum)
}

const NOT_INTEGER_VALUE = fail('hash value is not an integer')
const NOT_FLOAT_VALUE = fail('hash value is not a float')

/** Half of what a count may be: each field comes with its value. */
const MOST_PAIRS = INT64_MAX / 2n

function randomFields(call: Call, argv: Argv): void {
  const { server, reply } = call
  if (argv.count === 2) return randomField(call, readHash(call, argv))
  const count = drawCount(argv, 2)
  const withValues = argv.count === 4 && argv.word(3) === 'withvalues'
  if (argv.count > 3 && !withValues) throw SYNTAX
  if (withValues) integerWithin(argv, 2, -MOST_PAIRS, MOST_PAIRS, 'value is out of range')
  const value = readHash(call, argv)
  if (value === undefined) return reply.array(0)
  const drawn = drawnOf(value.size, count)
  reply.array(withValues && !reply.resp3 ? drawn * 2 : drawn)
  for (const place of draw(server.random, value.size, count)) {
    const spot = value.spot(place)
    if (withValues && reply.resp3) reply.array(2)
    value.putField(spot, reply)
    if (withValues) value.putValue(spot, reply)
  }
}

function randomField({ server, reply }: Call, value: HashValue | undefined): void {
  if (value === undefined) reply.nil()
  else value.putField(value.spot(server.random.below(value.size)), reply)
}
