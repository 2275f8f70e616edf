/** Strings as whole values, one or several at once. */
import type { View } from '../../store/entries.ts'
import type { Database } from '../../store/keyspace.ts'
import { stringOf } from '../../store/types/string.ts'
import type { Key } from '../base/key.ts'
import { SYNTAX, wrongArity } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import {
  futureDeadline,
  isPast,
  MILLISECONDS,
  ownFrom,
  readString,
  SECONDS,
  type TimeUnit,
  UNITS,
  viewString,
} from './args.ts'
import { type ArgumentDoc, allKeys, type Command, family, firstKey, type KeyPositions } from './define.ts'
import { expiration, KEY, KEYS, option, VALUE, word } from './docs.ts'
import { lcs } from './lcs.ts'

const pairs = (...flags: string[]): KeyPositions => ({ first: 1, last: -1, step: 2, flags })
const PAIRS: ArgumentDoc = { name: 'key_value', type: 'block', multiple: true, arguments: [KEY, VALUE] }

/** A row of the family. */
const string = (row: Omit<Command, 'group'>): Command => ({ group: 'string', ...row })

export const stringCommands = family(
  string({
    name: 'get',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO', 'access'),
    since: '1.0.0',
    summary: 'Get the value of a key',
    complexity: 'O(1)',
    arguments: [KEY],
    run: (call, argv) => replyView(call, viewString(call.db, argv.key(1))),
  }),
  string({
    name: 'getdel',
    arity: 2,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'access', 'delete'),
    since: '6.2.0',
    summary: 'Get the value of a key and delete the key',
    complexity: 'O(1)',
    arguments: [KEY],
    run(call, argv) {
      const key = argv.key(1)
      const bytes = readString(call.db, key)
      if (call.db.remove(key)) call.propagate(['DEL', key.own()])
      replyString(call, bytes)
    },
  }),
  string({
    name: 'getex',
    arity: -2,
    flags: ['write', 'fast'],
    keys: { ...firstKey('RW', 'access', 'update'), notes: 'RW and UPDATE because it changes the TTL' },
    since: '6.2.0',
    summary: 'Get the value of a key and optionally set its expiration',
    complexity: 'O(1)',
    arguments: [KEY, expiration('PERSIST')],
    run: getAndExpire,
  }),
  string({
    name: 'getset',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'access', 'update'),
    since: '1.0.0',
    summary: 'Set the string value of a key and return its old value',
    complexity: 'O(1)',
    deprecated: { since: '6.2.0', replacedBy: '`SET` with the `!GET` argument' },
    arguments: [KEY, VALUE],
    run(call, argv) {
      const key = argv.key(1)
      const old = readString(call.db, key)
      const value = stringOf(argv.own(2))
      call.db.write(key, value, 0)
      call.propagate(['SET', key.own(), value.bytes])
      replyString(call, old)
    },
  }),
  string({
    name: 'mget',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: allKeys('RO', 'access'),
    since: '1.0.0',
    summary: 'Get the values of all the given keys',
    complexity: 'O(N) where N is the number of keys to retrieve.',
    tips: ['request_policy:multi_shard'],
    arguments: [KEYS],
    run(call, argv) {
      call.reply.array(argv.count - 1)
      for (let i = 1; i < argv.count; i++) {
        const view = call.db.view(argv.key(i))
        replyView(call, view?.type === 'string' ? view : undefined)
      }
    },
  }),
  string({
    name: 'mset',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: pairs('OW', 'update'),
    since: '1.0.1',
    summary: 'Set multiple keys to multiple values',
    complexity: 'O(N) where N is the number of keys to set.',
    tips: ['request_policy:multi_shard', 'response_policy:all_succeeded'],
    arguments: [PAIRS],
    run(call, argv) {
      checkPairs(argv, 'mset')
      setPairs(call, argv)
      call.reply.ok()
    },
  }),
  string({
    name: 'msetnx',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: pairs('OW', 'insert'),
    since: '1.0.1',
    summary: 'Set multiple keys to multiple values, only if none of the keys exist',
    complexity: 'O(N) where N is the number of keys to set.',
    tips: ['request_policy:multi_shard', 'response_policy:agg_min'],
    arguments: [PAIRS],
    run(call, argv) {
      checkPairs(argv, 'msetnx')
      for (let i = 1; i < argv.count; i += 2)
        if (call.db.viewForWrite(argv.key(i)) !== undefined) return call.reply.integer(0)
      setPairs(call, argv)
      call.reply.integer(1)
    },
  }),
  string({
    name: 'psetex',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: firstKey('OW', 'update'),
    since: '2.6.0',
    summary: 'Set the value and expiration in milliseconds of a key',
    complexity: 'O(1)',
    arguments: [KEY, { name: 'milliseconds', type: 'integer' }, VALUE],
    run: (call, argv) => setWithDeadline(call, argv, 3, futureDeadline(call, argv, 2, MILLISECONDS)),
  }),
  string({
    name: 'set',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: {
      ...firstKey('RW', 'access', 'update', 'variable_flags'),
      notes: 'RW and ACCESS due to the optional `GET` argument',
    },
    since: '1.0.0',
    summary: 'Set the string value of a key',
    complexity: 'O(1)',
    arguments: [
      KEY,
      VALUE,
      { name: 'condition', type: 'oneof', since: '2.6.12', optional: true, arguments: [word('NX'), word('XX')] },
      option('GET', '6.2.0'),
      {
        name: 'expiration',
        type: 'oneof',
        optional: true,
        arguments: [
          { name: 'seconds', type: 'integer', token: 'EX', since: '2.6.12' },
          { name: 'milliseconds', type: 'integer', token: 'PX', since: '2.6.12' },
          { name: 'unix-time-seconds', type: 'unix-time', token: 'EXAT', since: '6.2.0' },
          { name: 'unix-time-milliseconds', type: 'unix-time', token: 'PXAT', since: '6.2.0' },
          word('KEEPTTL', '6.0.0'),
        ],
      },
    ],
    run(call, argv) {
      if (argv.count > 3) return setWithOptions(call, argv)
      setArgument(call.db, argv, 1, 2)
      call.reply.ok()
    },
  }),
  string({
    name: 'setex',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: firstKey('OW', 'update'),
    since: '2.0.0',
    summary: 'Set the value and expiration of a key',
    complexity: 'O(1)',
    arguments: [KEY, { name: 'seconds', type: 'integer' }, VALUE],
    run: (call, argv) => setWithDeadline(call, argv, 3, futureDeadline(call, argv, 2, SECONDS)),
  }),
  string({
    name: 'setnx',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('OW', 'insert'),
    since: '1.0.0',
    summary: 'Set the value of a key, only if the key does not exist',
    complexity: 'O(1)',
    arguments: [KEY, VALUE],
    run(call, argv) {
      const key = argv.key(1)
      const isNew = call.db.viewForWrite(key) === undefined
      if (isNew) setArgument(call.db, argv, 1, 2)
      call.reply.integer(isNew ? 1 : 0)
    },
  }),
  lcs,
)

function replyString({ reply }: Call, bytes: Buffer | undefined): void {
  if (bytes === undefined) reply.nil()
  else reply.bulk(bytes)
}

/** A small string is copied from where it lies; of a large one the reply keeps a reference. */
function replyView({ reply }: Call, view: View | undefined): void {
  if (view === undefined) reply.nil()
  else if (view.data === undefined) reply.bulk(view.bytes)
  else reply.bulkRange(view.bytes, view.start, view.end, view.data)
}

/** Stores argument `value` at key argument `key`, from the read buffer straight to where it will lie. */
const setArgument = (db: Database, argv: Argv, key: number, value: number): void =>
  db.writeBytes(argv.key(key), argv.buffer, argv.starts[value]!, argv.ends[value]!, 0, argv.data)

/** What SET and GETEX are asked to do beside their main business. */
interface Options {
  nx: boolean
  xx: boolean
  get: boolean
  keepTtl: boolean
  persist: boolean
  /** Argument index of the deadline; 0 = none given. */
  timeAt: number
  unit: TimeUnit | undefined
}

/** Reads the options from argument `from` on; words may come twice, but must not contradict one another. */
function readOptions(argv: Argv, from: number, of: 'set' | 'getex'): Options {
  const options: Options = {
    nx: false,
    xx: false,
    get: false,
    keepTtl: false,
    persist: false,
    timeAt: 0,
    unit: undefined,
  }
  for (let i = from; i < argv.count; i++) {
    const name = argv.word(i)
    const unit = UNITS.get(name)
    if (unit !== undefined) {
      const other = options.unit !== undefined && options.unit !== unit
      if (other || options.keepTtl || options.persist || ++i >= argv.count) throw SYNTAX
      options.unit = unit
      options.timeAt = i
    } else if (of === 'set' && name === 'nx' && !options.xx) options.nx = true
    else if (of === 'set' && name === 'xx' && !options.nx) options.xx = true
    else if (of === 'set' && name === 'get') options.get = true
    else if (of === 'set' && name === 'keepttl' && options.unit === undefined) options.keepTtl = true
    else if (of === 'getex' && name === 'persist' && options.unit === undefined) options.persist = true
    else throw SYNTAX
  }
  return options
}

function setWithOptions(call: Call, argv: Argv): void {
  const { db, reply } = call
  const options = readOptions(argv, 3, 'set')
  const expireAt = options.unit === undefined ? 0 : futureDeadline(call, argv, options.timeAt, options.unit)
  const key = argv.key(1)
  const old = options.get ? readString(db, key) : undefined
  const exists = db.viewForWrite(key) !== undefined
  if (options.nx ? exists : options.xx && !exists) return replyString(call, old)
  if (expireAt !== 0) {
    storeWithDeadline(call, key, argv.own(2), expireAt)
  } else {
    db.write(key, stringOf(argv.own(2)), options.keepTtl ? 'keepTtl' : 0)
    if (options.get) call.propagate(withoutGet(argv))
  }
  if (options.get) replyString(call, old)
  else reply.ok()
}

/** Replicas have no use for the old value. */
const withoutGet = (argv: Argv): Buffer[] => ownFrom(argv, 0).filter((_, i) => i < 3 || argv.word(i) !== 'get')

function setWithDeadline(call: Call, argv: Argv, valueAt: number, expireAt: number): void {
  storeWithDeadline(call, argv.key(1), argv.own(valueAt), expireAt)
  call.reply.ok()
}

/** Replicas get the instant, not the span: it shall not depend on when they read it. */
function storeWithDeadline(call: Call, key: Key, bytes: Buffer, expireAt: number): void {
  call.db.write(key, stringOf(bytes), expireAt)
  call.propagate(['SET', key.own(), bytes, 'PXAT', String(expireAt)])
}

function getAndExpire(call: Call, argv: Argv): void {
  const { db } = call
  const key = argv.key(1)
  const options = readOptions(argv, 2, 'getex')
  const bytes = readString(db, key)
  if (bytes === undefined) return call.reply.nil()
  if (options.unit !== undefined) {
    const expireAt = futureDeadline(call, argv, options.timeAt, options.unit)
    if (!options.unit.relative && isPast(call, expireAt)) {
      db.remove(key)
      call.propagate(['DEL', key.own()])
    } else {
      db.setExpireAt(key, expireAt)
      call.propagate(['PEXPIREAT', key.own(), String(expireAt)])
    }
  } else if (options.persist && db.expireAt(key) !== 0) {
    db.setExpireAt(key, 0)
    call.propagate(['PERSIST', key.own()])
  }
  call.reply.bulk(bytes)
}

function checkPairs(argv: Argv, name: string): void {
  if (argv.count % 2 === 0) throw wrongArity(name)
}

function setPairs({ db }: Call, argv: Argv): void {
  for (let i = 1; i < argv.count; i += 2) setArgument(db, argv, i, i + 1)
}
