/** Hash fields that are taken, or set, together with their deadlines (Redis 8.0): HGETDEL, HGETEX, HSETEX. */
import { HashValue } from '../../store/types/hash.ts'
import type { Key } from '../base/key.ts'
import { fail, wrongArity } from '../errors.ts'
import { deadlinesCommand } from '../replication/hash-deadlines.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { integerWithin, isPast, ownFrom, UNITS } from './args.ts'
import { type Command, family, firstKey } from './define.ts'
import { expiration, KEY, VALUE, word } from './docs.ts'
import { replyValue } from './hash.ts'
import { FIELDS, fieldsRemoved, fieldsTimed, firstField, hashAt, NO_FIELDS, readDeadline } from './hash-expiry.ts'

/** A row of the family. */
const fields = (row: Omit<Command, 'group' | 'since'>): Command => ({ group: 'hash', since: '8.0.0', ...row })

export const hashFieldsCommands = family(
  fields({
    name: 'hgetdel',
    summary: 'Returns the value of a field and deletes it from the hash.',
    arity: -5,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'access', 'delete'),
    complexity: 'O(N) where N is the number of specified fields',
    arguments: [KEY, FIELDS],
    run: takeFields,
  }),
  fields({
    name: 'hgetex',
    summary: 'Get the value of one or more fields of a given hash key, and optionally set their expiration.',
    arity: -5,
    flags: ['write', 'fast'],
    keys: { ...firstKey('RW', 'access', 'update'), notes: 'RW and UPDATE because it changes the TTL' },
    complexity: 'O(N) where N is the number of specified fields',
    arguments: [KEY, expiration('PERSIST'), FIELDS],
    run: getAndTime,
  }),
  fields({
    name: 'hsetex',
    summary: 'Set the value of one or more fields of a given hash key, and optionally set their expiration.',
    arity: -6,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'update'),
    complexity: 'O(N) where N is the number of fields being set.',
    arguments: [
      KEY,
      { name: 'condition', type: 'oneof', optional: true, arguments: [word('FNX'), word('FXX')] },
      expiration('KEEPTTL'),
      {
        name: 'fields',
        type: 'block',
        token: 'FIELDS',
        arguments: [
          { name: 'numfields', type: 'integer' },
          { name: 'data', type: 'block', multiple: true, arguments: [{ name: 'field', type: 'string' }, VALUE] },
        ],
      },
    ],
    run: setAndTime,
  }),
)

/** A field named twice is there only once. */
function takeFields(call: Call, argv: Argv): void {
  const key = argv.key(1)
  const hash = hashAt(call, key, 'write')
  const from = firstField(argv, 2, NO_FIELDS)
  call.reply.array(argv.count - from)
  const taken: Buffer[] = []
  for (let i = from; i < argv.count; i++) {
    replyValue(call, hash, argv.key(i))
    if (hash?.delete(argv.key(i))) taken.push(argv.own(i))
  }
  if (hash !== undefined && taken.length > 0) fieldsRemoved(call, key, hash, taken)
}

function getAndTime(call: Call, argv: Argv): void {
  const key = argv.key(1)
  const hash = hashAt(call, key, 'write')
  const option = argv.word(2)
  const unit = UNITS.get(option)
  const at = unit === undefined ? 0 : readDeadline(call, argv, 3, unit)
  const persists = option === 'persist'
  const from = firstField(argv, unit !== undefined ? 4 : persists ? 3 : 2, NO_FIELDS)
  const removes = unit !== undefined && isPast(call, at)
  const changed: Buffer[] = []
  call.reply.array(argv.count - from)
  for (let i = from; i < argv.count; i++) {
    const field = argv.key(i)
    replyValue(call, hash, field)
    if (hash === undefined || hash.find(field) < 0) continue
    if (unit === undefined && !(persists && hash.deadlineOf(field.text()) !== 0)) continue
    changed.push(argv.own(i))
    if (removes) hash.delete(field)
    else hash.setDeadline(field.text(), at)
  }
  if (hash === undefined || changed.length === 0) return
  if (removes) fieldsRemoved(call, key, hash, changed)
  else fieldsTimed(call, key, changed, at)
}

/** What HSETEX is asked to do. */
interface Options {
  condition: string | undefined
  keepTtl: boolean
  /** The deadline; undefined = none given. */
  at: number | undefined
  /** The first field. */
  from: number
}

const ONE_CONDITION = fail('Only one of FXX or FNX arguments can be specified')
const ONE_EXPIRATION = fail('Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified')

/** The words before the fields, in any order. */
function readOptions(call: Call, argv: Argv): Options {
  const options: Options = { condition: undefined, keepTtl: false, at: undefined, from: 0 }
  for (let i = 2; i < argv.count; i++) {
    const name = argv.word(i)
    const unit = UNITS.get(name)
    if (name === 'fields') {
      options.from = firstPair(call, argv, i)
      return options
    }
    if (unit !== undefined || name === 'keepttl') {
      if (options.keepTtl || options.at !== undefined) throw ONE_EXPIRATION
      if (unit === undefined) options.keepTtl = true
      else options.at = readDeadline(call, argv, ++i, unit)
    } else if (isCondition(call, name)) {
      if (options.condition !== undefined) throw ONE_CONDITION
      options.condition = name
    } else throw fail(`unknown argument: ${argv.text(i)}`)
  }
  throw wrongArity(call.entry.fullName)
}

/** Valkey has conditions of the key as well, which it tells its replicas when they were written in small letters. */
const isCondition = ({ client }: Call, name: string): boolean =>
  name === 'fnx' || name === 'fxx' || (client.primary && (name === 'nx' || name === 'xx'))

/** The first field after the word FIELDS, argument `i`; the rest are pairs. */
function firstPair(call: Call, argv: Argv, i: number): number {
  if (i >= argv.count - 3) throw wrongArity(call.entry.fullName)
  const count = integerWithin(argv, i + 1, 1n, 2n ** 31n - 1n, 'invalid number of fields')
  if (count * 2 !== argv.count - i - 2) throw wrongArity(call.entry.fullName)
  return i + 2
}

/** FNX: none of the fields is there; FXX: all are. Our primary has looked already, at fields whose time had not come: here
 *  others may be left that it has not told us to remove, because it replaced them. */
function allows(call: Call, argv: Argv, hash: HashValue | undefined, { condition, from }: Options): boolean {
  if (condition === undefined || call.client.primary) return true
  for (let i = from; i < argv.count; i += 2) {
    const isThere = hash !== undefined && hash.find(argv.key(i)) >= 0
    if (isThere !== (condition === 'fxx')) return false
  }
  return true
}

/** A deadline in the past: the fields are set, and removed at once. */
function setAndTime(call: Call, argv: Argv): void {
  const options = readOptions(call, argv)
  const key = argv.key(1)
  const old = hashAt(call, key, 'write')
  if (!allows(call, argv, old, options)) return call.reply.integer(0)
  if (options.at !== undefined && isPast(call, options.at)) {
    setPairs(call, argv, old, { ...options, at: undefined })
    removePairs(call, argv, key, options.from)
  } else {
    // In words that a replica of Redis 7.0 understands too.
    const set = ['HSET', key.own(), ...ownFrom(argv, options.from)]
    const timed = setPairs(call, argv, old, options)
    call.propagate(set, ...[...timed].map(([at, fields]) => deadlinesCommand(key.own(), fields, at)))
  }
  call.reply.integer(1)
}

/** Sets the pairs; returns which fields have which deadline now. */
function setPairs(call: Call, argv: Argv, old: HashValue | undefined, options: Options): Map<number, Buffer[]> {
  const { db, server } = call
  const key = argv.key(1)
  const hash = old ?? new HashValue()
  const timed = new Map<number, Buffer[]>()
  for (let i = options.from; i < argv.count; i += 2) {
    const field = argv.key(i)
    const at = options.keepTtl ? hash.deadlineOf(field.text()) : (options.at ?? 0)
    hash.set(field, argv.buffer, server.config.values, argv.starts[i + 1], argv.ends[i + 1])
    if (at === 0) continue
    hash.setDeadline(field.text(), at)
    const same = timed.get(at)
    if (same === undefined) timed.set(at, [argv.own(i)])
    else same.push(argv.own(i))
  }
  if (old === undefined) db.write(key, hash, 0)
  else {
    if (timed.size > 0) db.noteDeadlines(key)
    db.changed(key, (argv.count - options.from) / 2)
  }
  return timed
}

function removePairs(call: Call, argv: Argv, key: Key, from: number): void {
  const hash = hashAt(call, key, 'write')
  if (hash === undefined) return
  const removed: Buffer[] = []
  for (let i = from; i < argv.count; i += 2) if (hash.delete(argv.key(i))) removed.push(argv.own(i))
  fieldsRemoved(call, key, hash, removed)
}
