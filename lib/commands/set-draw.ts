/** Members of sets drawn at random, to be looked at or taken out. */
import type { SetValue } from '../../store/types/set.ts'
import type { Key } from '../base/key.ts'
import { SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { positiveInteger } from './args.ts'
import { family, firstKey } from './define.ts'
import { KEY } from './docs.ts'
import { draw, drawCount, drawnOf } from './draw.ts'
import { asSet, readSet, removedFrom, replyMember, replyMembers, set } from './set.ts'

export const setDrawCommands = family(
  set({
    name: 'spop',
    arity: -2,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'access', 'delete'),
    since: '1.0.0',
    summary: 'Remove and return one or multiple random members from a set',
    complexity: 'Without the count argument O(1), otherwise O(N) where N is the value of the passed count.',
    tips: ['nondeterministic_output'],
    arguments: [KEY, { name: 'count', type: 'integer', since: '3.2.0', optional: true }],
    run(call, argv) {
      if (argv.count > 3) throw SYNTAX
      if (argv.count === 3) popSeveral(call, argv.key(1), positiveInteger(argv, 2))
      else popOne(call, argv.key(1))
    },
  }),
  set({
    name: 'srandmember',
    arity: -2,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '1.0.0',
    summary: 'Get one or multiple random members from a set',
    complexity: 'Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.',
    tips: ['nondeterministic_output'],
    arguments: [KEY, { name: 'count', type: 'integer', since: '2.6.0', optional: true }],
    run(call, argv) {
      if (argv.count > 3) throw SYNTAX
      if (argv.count === 3) randomMembers(call, argv)
      else replyOne(call, readSet(call, argv))
    },
  }),
)

const randomPlace = ({ server }: Call, value: SetValue): number => server.random.below(value.size)

/** Replicas are told which. */
function popOne(call: Call, key: Key): void {
  const value = asSet(call.db.readForWrite(key))
  if (value === undefined) return call.reply.nil()
  const taken = takeSome(call, value, 1)
  removedFrom(call, key, value, 1)
  call.propagate(...removalsOf(key, taken))
}

function popSeveral(call: Call, key: Key, count: number): void {
  const { db, reply } = call
  const value = asSet(db.readForWrite(key))
  if (value === undefined || count === 0) return reply.set(0)
  if (count >= value.size) {
    replyMembers(reply, value.size, value.keys())
    db.remove(key)
    return call.propagate(['DEL', key.own()])
  }
  reply.set(count)
  const taken = takeSome(call, value, count)
  removedFrom(call, key, value, count)
  call.propagate(...removalsOf(key, taken))
}

/** Takes members out and answers with them. Returns them too when replicas are to be told. */
function takeSome(call: Call, value: SetValue, count: number): Buffer[] {
  const { wanted } = call.server.propagation
  const taken: Buffer[] = []
  for (let i = 0; i < count; i++) {
    const place = randomPlace(call, value)
    const member = value.at(place)
    replyMember(call.reply, member)
    if (wanted) taken.push(member.own())
    value.removeAt(place)
  }
  return taken
}

/** Members in one command, at most. */
const BATCH = 1024

function removalsOf(key: Key, members: readonly Buffer[]): (readonly (Buffer | string)[])[] {
  const commands: (readonly (Buffer | string)[])[] = []
  for (let i = 0; i < members.length; i += BATCH) commands.push(['SREM', key.own(), ...members.slice(i, i + BATCH)])
  return commands
}

function randomMembers(call: Call, argv: Argv): void {
  const { server, reply } = call
  const count = drawCount(argv, 2)
  const value = readSet(call, argv)
  if (value === undefined) return reply.array(0)
  reply.array(drawnOf(value.size, count))
  for (const place of draw(server.random, value.size, count)) replyMember(reply, value.at(place))
}

function replyOne(call: Call, value: SetValue | undefined): void {
  if (value === undefined) call.reply.nil()
  else replyMember(call.reply, value.at(randomPlace(call, value)))
}
