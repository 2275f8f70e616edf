/** Sets: members put in, looked for, taken out. What draws them at random is in set-draw.ts, what combines sets in set-algebra.ts. */

import { SetValue } from '../../store/types/set.ts'
import type { Value } from '../../store/value.ts'
import type { Key } from '../base/key.ts'
import { WRONG_TYPE } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Call } from '../server/call.ts'
import { type ArgumentDoc, type Command, family, firstKey, twoKeys } from './define.ts'
import { KEY } from './docs.ts'
import { elementScan } from './element-scan.ts'

const MEMBER: ArgumentDoc = { name: 'member', type: 'string' }
const MEMBERS: ArgumentDoc = { ...MEMBER, multiple: true }

/** A row of the family. */
export const set = (row: Omit<Command, 'group'>): Command => ({ group: 'set', ...row })

export const setCommands = family(
  set({
    name: 'sadd',
    arity: -3,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'insert'),
    since: '1.0.0',
    summary: 'Add one or more members to a set',
    complexity:
      'O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.',
    arguments: [KEY, MEMBERS],
    run: addMembers,
  }),
  set({
    name: 'scard',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO'),
    since: '1.0.0',
    summary: 'Get the number of members in a set',
    complexity: 'O(1)',
    arguments: [KEY],
    run: (call, argv) => call.reply.integer(readSet(call, argv)?.size ?? 0),
  }),
  set({
    name: 'sismember',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO'),
    since: '1.0.0',
    summary: 'Determine if a given value is a member of a set',
    complexity: 'O(1)',
    arguments: [KEY, MEMBER],
    run: (call, argv) => replyMembership(call, argv, readSet(call, argv), 2),
  }),
  set({
    name: 'smembers',
    arity: 2,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '1.0.0',
    summary: 'Get all the members in a set',
    complexity: 'O(N) where N is the set cardinality.',
    tips: ['nondeterministic_output_order'],
    arguments: [KEY],
    run(call, argv) {
      const value = readSet(call, argv)
      replyMembers(call.reply, value?.size ?? 0, value?.keys() ?? [])
    },
  }),
  set({
    name: 'smismember',
    arity: -3,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO', 'access'),
    since: '6.2.0',
    summary: 'Returns the membership associated with the given elements for a set',
    complexity: 'O(N) where N is the number of elements being checked for membership',
    arguments: [KEY, MEMBERS],
    run(call, argv) {
      const value = readSet(call, argv)
      call.reply.array(argv.count - 2)
      for (let i = 2; i < argv.count; i++) replyMembership(call, argv, value, i)
    },
  }),
  set({
    name: 'smove',
    arity: 4,
    flags: ['write', 'fast'],
    keys: twoKeys(['RW', 'access', 'delete'], ['RW', 'insert']),
    since: '1.0.0',
    summary: 'Move a member from one set to another',
    complexity: 'O(1)',
    arguments: [{ name: 'source', type: 'key', keySpec: 0 }, { name: 'destination', type: 'key', keySpec: 1 }, MEMBER],
    run: (call, argv) => call.reply.integer(moveMember(call, argv) ? 1 : 0),
  }),
  set({
    name: 'srem',
    arity: -3,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'delete'),
    since: '1.0.0',
    summary: 'Remove one or more members from a set',
    complexity: 'O(N) where N is the number of members to be removed.',
    arguments: [KEY, MEMBERS],
    run: removeMembers,
  }),
  elementScan({ name: 'sscan', group: 'set', summary: 'Incrementally iterate Set elements' }, 1, readSet),
)

/** What is at a key, if it is a set or nothing. Throws WRONG_TYPE. */
export function asSet(value: Value | undefined): SetValue | undefined {
  if (value === undefined || value.type === 'set') return value
  throw WRONG_TYPE
}

/** The set at argument 1, counted as an access. Throws WRONG_TYPE. */
export function readSet({ db }: Call, argv: Argv): SetValue | undefined {
  return asSet(db.read(argv.key(1)))
}

/** Answers with `count` members: a set in RESP3. */
export function replyMembers(reply: Reply, count: number, members: Iterable<Key>): void {
  reply.set(count)
  for (const member of members) replyMember(reply, member)
}

export const replyMember = (reply: Reply, { bytes, start, end, data }: Key): void =>
  reply.bulkRange(bytes, start, end, data)

function replyMembership({ reply }: Call, argv: Argv, value: SetValue | undefined, i: number): void {
  reply.integer(value?.has(argv.key(i)) ? 1 : 0)
}

function addMembers({ db, server, reply }: Call, argv: Argv): void {
  const key = argv.key(1)
  const old = asSet(db.readForWrite(key))
  const value = old ?? new SetValue()
  let added = 0
  for (let i = 2; i < argv.count; i++) if (value.add(argv.key(i), server.config.values)) added++
  if (old === undefined) db.write(key, value, 0)
  else if (added > 0) db.changed(key, added)
  reply.integer(added)
}

function removeMembers(call: Call, argv: Argv): void {
  const key = argv.key(1)
  const value = asSet(call.db.readForWrite(key))
  let removed = 0
  if (value !== undefined) {
    for (let i = 2; i < argv.count; i++) if (value.remove(argv.key(i))) removed++
    removedFrom(call, key, value, removed)
  }
  call.reply.integer(removed)
}

/** Tells the keyspace that a set has lost members; one without any is no set. */
export function removedFrom({ db }: Call, key: Key, value: SetValue, removed: number): void {
  if (value.size === 0) db.remove(key)
  else if (removed > 0) db.changed(key, removed)
}

/** False when the source has no such member. */
function moveMember(call: Call, argv: Argv): boolean {
  const { db, server } = call
  const [from, to, member] = [argv.key(1), argv.key(2), argv.key(3)]
  const source = asSet(db.readForWrite(from))
  if (source === undefined) return false
  const old = asSet(db.readForWrite(to))
  if (source === old) return source.has(member)
  if (!source.remove(member)) return false
  removedFrom(call, from, source, 1)
  const target = old ?? new SetValue()
  const isNew = target.add(member, server.config.values)
  if (old === undefined) db.write(to, target, 0)
  else if (isNew) db.changed(to)
  return true
}
