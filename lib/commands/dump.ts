/** DUMP and RESTORE: one value as bytes, in the format of RDB files. */
import { dumpValue, isNewer, loadDump } from '../../store/rdb/dump.ts'
import { RdbError } from '../../store/rdb/source.ts'
import type { Value } from '../../store/value.ts'
import { BUSY_KEY, fail, SYNTAX } from '../errors.ts'
import { deadlinesCommand } from '../replication/hash-deadlines.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { deadline, isPast, MILLISECONDS, ownFrom, position, UNIX_MILLISECONDS } from './args.ts'
import { type Command, family, firstKey } from './define.ts'
import { KEY, option } from './docs.ts'

/** RESTORE, and the name under which MIGRATE sends it: that one is served by a node that only imports the slot. */
const restore: Omit<Command, 'name' | 'since' | 'summary' | 'group'> = {
  arity: -4,
  flags: ['write', 'denyoom'],
  keys: firstKey('OW', 'update'),
  complexity:
    'O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).',
  categories: ['keyspace', 'dangerous'],
  arguments: [
    KEY,
    { name: 'ttl', type: 'integer' },
    { name: 'serialized-value', type: 'string' },
    option('REPLACE', '3.0.0'),
    option('ABSTTL', '5.0.0'),
    { name: 'seconds', type: 'integer', token: 'IDLETIME', since: '5.0.0', optional: true },
    { name: 'frequency', type: 'integer', token: 'FREQ', since: '5.0.0', optional: true },
  ],
  run: restoreKey,
}

export const dumpCommands = family(
  {
    name: 'dump',
    group: 'generic',
    arity: 2,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '2.6.0',
    summary: 'Return a serialized version of the value stored at the specified key.',
    complexity:
      'O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1).',
    tips: ['nondeterministic_output'],
    arguments: [KEY],
    run({ server, db, reply }, argv) {
      const value = db.read(argv.key(1))
      if (value === undefined) reply.nil()
      else reply.bulk(dumpValue(value, server.config.values.rdbcompression))
    },
  },
  {
    name: 'restore',
    group: 'generic',
    since: '2.6.0',
    summary: 'Create a key using the provided serialized value, previously obtained using DUMP.',
    ...restore,
  },
  {
    name: 'restore-asking',
    group: 'server',
    since: '3.0.0',
    summary: 'An internal command for migrating keys in a cluster',
    internal: true,
    ...restore,
    flags: ['write', 'denyoom', 'asking'],
  },
)

interface Options {
  replace: boolean
  absolute: boolean
  /** Seconds. */
  idle: number | undefined
  frequency: number | undefined
}

function readOptions(argv: Argv): Options {
  const options: Options = { replace: false, absolute: false, idle: undefined, frequency: undefined }
  for (let i = 4; i < argv.count; i++) {
    const name = argv.word(i)
    const more = i + 1 < argv.count
    if (name === 'replace') options.replace = true
    else if (name === 'absttl') options.absolute = true
    else if (name === 'idletime' && more && options.frequency === undefined) {
      options.idle = position(argv, ++i)
      if (options.idle < 0) throw fail('Invalid IDLETIME value, must be >= 0')
    } else if (name === 'freq' && more && options.idle === undefined) {
      options.frequency = position(argv, ++i)
      if (options.frequency < 0 || options.frequency > 255) throw fail('Invalid FREQ value, must be >= 0 and <= 255')
    } else throw SYNTAX
  }
  return options
}

function restoreKey(call: Call, argv: Argv): void {
  const { db, reply } = call
  const options = readOptions(argv)
  const key = argv.key(1)
  if (!options.replace && db.readForWrite(key) !== undefined) throw BUSY_KEY
  const ttl = position(argv, 2)
  if (ttl < 0) throw fail('Invalid TTL value, must be >= 0')
  const payload = argv.at(3)
  const value = load(call, payload)
  const expireAt = ttl === 0 ? 0 : deadline(call, argv, 2, options.absolute ? UNIX_MILLISECONDS : MILLISECONDS)
  if (expireAt !== 0 && isPast(call, expireAt)) {
    if (options.replace && db.remove(key)) call.propagate(['DEL', key.own()])
    return reply.ok()
  }
  db.write(key, value, expireAt)
  if (options.idle !== undefined) db.setIdle(key, options.idle * 1000)
  if (options.frequency !== undefined) db.setFrequency(key, options.frequency)
  const relative = expireAt !== 0 && !options.absolute
  if (relative || isNewer(payload)) propagate(call, argv, value, relative ? expireAt : undefined)
  reply.ok()
}

/** Replicas get the instant, not the span (undefined: it is one, or there is none), and a payload that the oldest of them can read. */
function propagate(call: Call, argv: Argv, value: Value, expireAt: number | undefined): void {
  const words = ownFrom(argv, 0)
  const newer = isNewer(words[3]!)
  if (newer) words[3] = dumpValue(value)
  if (expireAt !== undefined) words[2] = Buffer.from(String(expireAt))
  const restore = expireAt === undefined ? words : [...words, 'ABSTTL']
  call.propagate(restore, ...(newer ? deadlinesOf(words[1]!, value) : []))
}

/** In the stream they are told beside the payload. */
function deadlinesOf(key: Buffer, value: Value): (Buffer | string)[][] {
  if (value.type !== 'hash' || value.deadlines === undefined) return []
  return Array.from(value.deadlines.byTime(), ([at, fields]) =>
    deadlinesCommand(
      key,
      fields.map((field) => Buffer.from(field, 'latin1')),
      at,
    ),
  )
}

function load(call: Call, payload: Buffer): Value {
  try {
    return loadDump(payload, call.server.config.values)
  } catch (cause) {
    if (cause instanceof RdbError) throw fail(cause.message)
    throw cause
  }
}
