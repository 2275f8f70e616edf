/** Deadlines of keys: setting, asking, taking back. */
import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import {
  deadline,
  isPast,
  MILLISECONDS,
  ownFrom,
  SECONDS,
  type TimeUnit,
  UNIX_MILLISECONDS,
  UNIX_SECONDS,
} from './args.ts'
import { type ArgumentDoc, type Command, family, firstKey } from './define.ts'
import { KEY, word } from './docs.ts'

type Row = Pick<Command, 'name' | 'since' | 'summary'>

/** EXPIRE and its kin, which differ in how they write the time. */
const setter = (row: Row, unit: TimeUnit, time: ArgumentDoc): Command => ({
  ...row,
  group: 'generic',
  arity: -3,
  flags: ['write', 'fast'],
  keys: firstKey('RW', 'update'),
  complexity: 'O(1)',
  arguments: [
    KEY,
    time,
    {
      name: 'condition',
      type: 'oneof',
      since: '7.0.0',
      optional: true,
      arguments: [word('NX'), word('XX'), word('GT'), word('LT')],
    },
  ],
  run: (call, argv) => setDeadline(call, argv, unit),
})

/** TTL and its kin. */
const getter = (row: Row, unit: TimeUnit): Command => ({
  ...row,
  group: 'generic',
  arity: 2,
  flags: ['readonly', 'fast'],
  keys: firstKey('RO', 'access'),
  complexity: 'O(1)',
  ...(unit.relative ? { tips: ['nondeterministic_output'] } : {}),
  arguments: [KEY],
  run: (call, argv) => replyDeadline(call, argv, unit),
})

export const expireCommands = family(
  setter({ name: 'expire', since: '1.0.0', summary: "Set a key's time to live in seconds" }, SECONDS, {
    name: 'seconds',
    type: 'integer',
  }),
  setter(
    { name: 'expireat', since: '1.2.0', summary: 'Set the expiration for a key as a UNIX timestamp' },
    UNIX_SECONDS,
    {
      name: 'unix-time-seconds',
      type: 'unix-time',
    },
  ),
  getter({ name: 'expiretime', since: '7.0.0', summary: 'Get the expiration Unix timestamp for a key' }, UNIX_SECONDS),
  {
    name: 'persist',
    group: 'generic',
    arity: 2,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'update'),
    since: '2.2.0',
    summary: 'Remove the expiration from a key',
    complexity: 'O(1)',
    arguments: [KEY],
    run({ db, reply }, argv) {
      const key = argv.key(1)
      const had = (db.expireAt(key) ?? 0) !== 0
      if (had) db.setExpireAt(key, 0)
      reply.integer(had ? 1 : 0)
    },
  },
  setter({ name: 'pexpire', since: '2.6.0', summary: "Set a key's time to live in milliseconds" }, MILLISECONDS, {
    name: 'milliseconds',
    type: 'integer',
  }),
  setter(
    {
      name: 'pexpireat',
      since: '2.6.0',
      summary: 'Set the expiration for a key as a UNIX timestamp specified in milliseconds',
    },
    UNIX_MILLISECONDS,
    { name: 'unix-time-milliseconds', type: 'unix-time' },
  ),
  getter(
    { name: 'pexpiretime', since: '7.0.0', summary: 'Get the expiration Unix timestamp for a key in milliseconds' },
    UNIX_MILLISECONDS,
  ),
  getter({ name: 'pttl', since: '2.6.0', summary: 'Get the time to live for a key in milliseconds' }, MILLISECONDS),
  getter({ name: 'ttl', since: '1.0.0', summary: 'Get the time to live for a key in seconds' }, SECONDS),
)

type Condition = 'nx' | 'xx' | 'gt' | 'lt'

function readConditions(argv: Argv): ReadonlySet<Condition> {
  const found = new Set<Condition>()
  for (let i = 3; i < argv.count; i++) {
    const name = argv.word(i)
    if (name !== 'nx' && name !== 'xx' && name !== 'gt' && name !== 'lt')
      throw fail(`Unsupported option ${argv.text(i)}`)
    found.add(name)
  }
  if (found.has('nx') && found.size > 1) throw fail('NX and XX, GT or LT options at the same time are not compatible')
  if (found.has('gt') && found.has('lt')) throw fail('GT and LT options at the same time are not compatible')
  return found
}

/** Whether a key with the deadline `old` (0 = none, which is later than any) may get `next`. */
function allows(conditions: ReadonlySet<Condition>, old: number, next: number): boolean {
  if (conditions.has('nx') && old !== 0) return false
  if (conditions.has('xx') && old === 0) return false
  if (conditions.has('gt') && (old === 0 || next <= old)) return false
  return !(conditions.has('lt') && old !== 0 && next >= old)
}

/** Replicas get the instant, not the span; and a DEL when it is in the past already. */
function setDeadline(call: Call, argv: Argv, unit: TimeUnit): void {
  const { db, reply } = call
  const conditions = readConditions(argv)
  const expireAt = deadline(call, argv, 2, unit)
  const key = argv.key(1)
  const old = db.expireAt(key)
  if (old === undefined || !allows(conditions, old, expireAt)) return reply.integer(0)
  if (isPast(call, expireAt)) {
    db.remove(key)
    call.propagate(['DEL', key.own()])
  } else {
    db.setExpireAt(key, expireAt)
    const isAbsolute = !unit.relative && unit.ms === 1
    if (!isAbsolute) call.propagate(['PEXPIREAT', key.own(), String(expireAt), ...ownFrom(argv, 3)])
  }
  reply.integer(1)
}

/** -2: no such key. -1: no deadline. Seconds are rounded, not cut off. */
function replyDeadline({ db, now, reply }: Call, argv: Argv, unit: TimeUnit): void {
  const key = argv.key(1)
  if (db.view(key, false) === undefined) return reply.integer(-2)
  const expireAt = db.expireAt(key) ?? 0
  if (expireAt === 0) return reply.integer(-1)
  const value = unit.relative ? Math.max(0, expireAt - now) : expireAt
  reply.integer(unit.ms === 1 ? value : Math.floor((value + 500) / 1000))
}
