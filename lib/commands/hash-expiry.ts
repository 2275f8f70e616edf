/** Deadlines of hash fields (Redis 7.4): setting, asking, taking back. */
import type { HashValue } from '../../store/types/hash.ts'
import type { Key } from '../base/key.ts'
import { fail, invalidExpire, WRONG_TYPE } from '../errors.ts'
import { DEADLINES_KEY, deadlinesCommand } from '../replication/hash-deadlines.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import {
  INT64_MAX,
  int64,
  integerWithin,
  isPast,
  MILLISECONDS,
  SECONDS,
  type TimeUnit,
  UNIX_MILLISECONDS,
  UNIX_SECONDS,
} from './args.ts'
import { type ArgumentDoc, type Command, family, firstKey } from './define.ts'
import { KEY, word } from './docs.ts'

type Row = Pick<Command, 'name' | 'summary'>

/** FIELDS numfields field [field ...] */
export const FIELDS: ArgumentDoc = {
  name: 'fields',
  type: 'block',
  token: 'FIELDS',
  arguments: [
    { name: 'numfields', type: 'integer' },
    { name: 'field', type: 'string', multiple: true },
  ],
}

const shared = {
  group: 'hash',
  since: '7.4.0',
  complexity: 'O(N) where N is the number of specified fields',
} as const

/** HEXPIRE and its kin, which differ in how they write the time. */
const setter = (row: Row, unit: TimeUnit, time: ArgumentDoc): Command => ({
  ...row,
  ...shared,
  arity: -6,
  flags: ['write', 'denyoom', 'fast'],
  keys: firstKey('RW', 'update'),
  arguments: [
    KEY,
    time,
    {
      name: 'condition',
      type: 'oneof',
      optional: true,
      arguments: [word('NX'), word('XX'), word('GT'), word('LT')],
    },
    FIELDS,
  ],
  run: (call, argv) => setDeadlines(call, argv, unit),
})

/** HTTL and its kin. */
const getter = (row: Row, unit: TimeUnit): Command => ({
  ...row,
  ...shared,
  arity: -5,
  flags: ['readonly', 'fast'],
  keys: firstKey('RO', 'access'),
  ...(unit.relative ? { tips: ['nondeterministic_output'] } : {}),
  arguments: [KEY, FIELDS],
  run: (call, argv) => replyDeadlines(call, argv, unit),
})

const SECONDS_DOC: ArgumentDoc = { name: 'seconds', type: 'integer' }
const MILLISECONDS_DOC: ArgumentDoc = { name: 'milliseconds', type: 'integer' }
const UNIX_SECONDS_DOC: ArgumentDoc = { name: 'unix-time-seconds', type: 'unix-time' }
const UNIX_MILLISECONDS_DOC: ArgumentDoc = { name: 'unix-time-milliseconds', type: 'unix-time' }

export const hashExpiryCommands = family(
  setter({ name: 'hexpire', summary: 'Set the time to live of hash fields in seconds' }, SECONDS, SECONDS_DOC),
  setter(
    { name: 'hexpireat', summary: 'Set the expiration of hash fields as a UNIX timestamp in seconds' },
    UNIX_SECONDS,
    UNIX_SECONDS_DOC,
  ),
  getter({ name: 'hexpiretime', summary: 'Get the expiration of hash fields as a UNIX timestamp' }, UNIX_SECONDS),
  {
    ...shared,
    name: 'hpersist',
    summary: 'Remove the expiration from hash fields',
    arity: -5,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'update'),
    arguments: [KEY, FIELDS],
    run: persist,
  },
  setter(
    { name: 'hpexpire', summary: 'Set the time to live of hash fields in milliseconds' },
    MILLISECONDS,
    MILLISECONDS_DOC,
  ),
  setter(
    { name: 'hpexpireat', summary: 'Set the expiration of hash fields as a UNIX timestamp in milliseconds' },
    UNIX_MILLISECONDS,
    UNIX_MILLISECONDS_DOC,
  ),
  getter(
    { name: 'hpexpiretime', summary: 'Get the expiration of hash fields as a UNIX timestamp in milliseconds' },
    UNIX_MILLISECONDS,
  ),
  getter({ name: 'hpttl', summary: 'Get the time to live of hash fields in milliseconds' }, MILLISECONDS),
  getter({ name: 'httl', summary: 'Get the time to live of hash fields in seconds' }, SECONDS),
)

/** The hash at argument 1 as a command sees it that reads, or writes. Throws WRONG_TYPE. */
export function hashAt({ db }: Call, key: Key, how: 'read' | 'write'): HashValue | undefined {
  const value = how === 'read' ? db.read(key) : db.readForWrite(key)
  if (value === undefined) return undefined
  if (value.type !== 'hash') throw WRONG_TYPE
  return value.deadlines === undefined ? value : db.living(key, value, how === 'write')
}

/** What is replied for a field. */
const MISSING = -2
const NO_DEADLINE = -1
const REFUSED = 0
const DONE = 1
const REMOVED = 2

type Condition = 'nx' | 'xx' | 'gt' | 'lt'
const isCondition = (name: string): name is Condition => /^(nx|xx|gt|lt)$/.test(name)

/** Whether a field with the deadline `old` (0 = none, which is later than any) may get `next`. */
function allows(condition: Condition | undefined, old: number, next: number): boolean {
  switch (condition) {
    case 'nx':
      return old === 0
    case 'xx':
      return old !== 0
    case 'gt':
      return old !== 0 && next > old
    case 'lt':
      return old === 0 || next < old
    default:
      return true
  }
}

/** The first field; the words before it are checked. `none`: the error for a number that is not positive. */
export function firstField(argv: Argv, i: number, none: string): number {
  if (i >= argv.count || argv.word(i) !== 'fields')
    throw fail('Mandatory argument FIELDS is missing or not at the right position')
  if (i + 1 >= argv.count) throw fail(none)
  const count = integerWithin(argv, i + 1, 1n, INT64_MAX, none)
  if (count !== argv.count - i - 2) throw fail('The `numfields` parameter must match the number of arguments')
  return i + 2
}

const NO_FIELDS_TO_SET = 'Parameter `numFields` should be greater than 0'
/** For a number of fields that is not positive. */
export const NO_FIELDS = 'Number of fields must be a positive integer'

/** Redis keeps deadlines of fields in 46 bits. */
const LATEST = 2 ** 46 - 1

/** The deadline argument `i` asks for, in Unix milliseconds; past is possible. Throws NOT_INTEGER, "must be >= 0" and "invalid expire
 *  time". */
export function readDeadline(call: Call, argv: Argv, i: number, unit: TimeUnit): number {
  const value = int64(argv, i)
  if (value < 0) throw fail('invalid expire time, must be >= 0')
  const at = Number(value) * unit.ms + (unit.relative ? call.now : 0)
  if (at <= LATEST) return at
  // Valkey has later ones too. What our primary says is not refused: the year 4199 is as good as any later.
  if (call.client.primary) return LATEST
  throw invalidExpire(call.entry.fullName)
}

/** Replicas get the instant, not the span; and a removal when it is in the past already. */
function setDeadlines(call: Call, argv: Argv, unit: TimeUnit): void {
  const key = argv.key(1)
  const hash = hashAt(call, key, 'write')
  const at = readDeadline(call, argv, 2, unit)
  const name = argv.word(3)
  const condition = isCondition(name) ? name : undefined
  const from = firstField(argv, condition === undefined ? 3 : 4, NO_FIELDS_TO_SET)
  const removes = isPast(call, at)
  const changed: Buffer[] = []
  const replies = fieldsFrom(argv, from, (field, i) => {
    if (hash === undefined || hash.find(field) < 0) return MISSING
    if (!allows(condition, hash.deadlineOf(field.text()), at)) return REFUSED
    changed.push(argv.own(i))
    if (removes) hash.delete(field)
    else hash.setDeadline(field.text(), at)
    return removes ? REMOVED : DONE
  })
  if (hash !== undefined && changed.length > 0) {
    if (removes) fieldsRemoved(call, key, hash, changed)
    else fieldsTimed(call, key, changed, at)
  }
  reply(call, replies)
}

function persist(call: Call, argv: Argv): void {
  const key = argv.key(1)
  const hash = hashAt(call, key, 'write')
  const from = firstField(argv, 2, NO_FIELDS)
  const changed: Buffer[] = []
  const replies = fieldsFrom(argv, from, (field, i) => {
    if (hash === undefined || hash.find(field) < 0) return MISSING
    if (hash.deadlineOf(field.text()) === 0) return NO_DEADLINE
    changed.push(argv.own(i))
    hash.setDeadline(field.text(), 0)
    return DONE
  })
  if (changed.length > 0) fieldsTimed(call, key, changed, 0)
  reply(call, replies)
}

/** To be called when fields of a hash were removed: without any its key goes too. Replicas are told of the fields. */
export function fieldsRemoved(call: Call, key: Key, hash: HashValue, fields: readonly Buffer[]): void {
  if (hash.size === 0) call.db.remove(key)
  else call.db.changed(key, fields.length, 'thinned')
  call.propagate(['HDEL', key.own(), ...fields])
}

/** To be called when fields of a hash were given a deadline; 0: it was taken away. Replicas are told. */
export function fieldsTimed(call: Call, key: Key, fields: readonly Buffer[], at: number): void {
  if (at !== 0) call.db.noteDeadlines(key)
  call.db.changed(key, fields.length)
  call.propagate(deadlinesCommand(key.own(), fields, at))
}

/** Seconds are rounded up. */
function replyDeadlines(call: Call, argv: Argv, unit: TimeUnit): void {
  const hash = hashAt(call, argv.key(1), 'read')
  const from = firstField(argv, 2, NO_FIELDS)
  const now = unit.relative ? call.now : 0
  reply(
    call,
    fieldsFrom(argv, from, (field) => {
      if (hash === undefined || hash.find(field) < 0) return MISSING
      const at = hash.deadlineOf(field.text())
      return at === 0 ? NO_DEADLINE : Math.ceil(Math.max(0, at - now) / unit.ms)
    }),
  )
}

/** What a function makes of every argument from `from` on. */
function fieldsFrom(argv: Argv, from: number, each: (field: Key, i: number) => number): readonly number[] {
  const results: number[] = []
  for (let i = from; i < argv.count; i++) results.push(each(argv.key(i), i))
  return results
}

function reply({ reply }: Call, results: readonly number[]): void {
  reply.array(results.length)
  for (const result of results) reply.integer(result)
}

/** The stream says which deadlines fields have from now on; it is said of fields that are there. */
export function applyDeadlines({ db }: Call, argv: Argv): void {
  const key = argv.key(DEADLINES_KEY)
  const hash = db.readForWrite(key)
  if (hash?.type !== 'hash') return
  for (let i = DEADLINES_KEY + 1; i + 1 < argv.count; i += 2)
    if (hash.find(argv.key(i)) >= 0) hash.setDeadline(argv.key(i).text(), argv.integer(i + 1))
  if (hash.deadlines !== undefined) db.noteDeadlines(key)
  db.changed(key)
}
