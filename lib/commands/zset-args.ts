/** What the commands for sorted sets share: reading arguments, finding values, replying with members and scores. */
import type { Database } from '../../store/keyspace.ts'
import type { Members } from '../../store/types/members.ts'
import { putText } from '../../store/types/names.ts'
import type { Cut } from '../../store/types/ranked.ts'
import { ZSetValue } from '../../store/types/zset.ts'
import { formatDouble, parseDigits, parseDouble, readDouble } from '../base/double.ts'
import type { Key } from '../base/key.ts'
import { type ClientError, fail, NOT_FLOAT, WRONG_TYPE } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Call } from '../server/call.ts'
import type { ArgumentDoc, Command } from './define.ts'

/** A row of the family. */
export const sortedSet = (row: Omit<Command, 'group'>): Command => ({ group: 'sorted-set', ...row })

export const MEMBER: ArgumentDoc = { name: 'member', type: 'string' }
export const MEMBERS: ArgumentDoc = { ...MEMBER, multiple: true }

/** The sorted set at a key, counted as an access; undefined when missing. Throws WRONG_TYPE. */
export function readZSet(db: Database, key: Key): ZSetValue | undefined {
  const value = db.read(key)
  if (value === undefined || value.type === 'zset') return value
  throw WRONG_TYPE
}

/** As `readZSet`, for a command that will write. */
export function zsetForWrite(db: Database, key: Key): ZSetValue | undefined {
  const value = db.readForWrite(key)
  if (value === undefined || value.type === 'zset') return value
  throw WRONG_TYPE
}

/** `count` members were removed. An empty sorted set is no sorted set. */
export function membersRemoved({ db }: Call, key: Key, value: ZSetValue, count: number): void {
  if (value.size === 0) db.remove(key)
  else db.changed(key, count)
}

/** Makes these scored members the sorted set at a key, which goes when there are none, and replies with their number. */
export function storeMembers({ db, reply, server }: Call, key: Key, members: Members): void {
  const { size } = members
  if (size === 0) db.remove(key)
  else db.write(key, ZSetValue.of(members, server.config.values), 0)
  reply.integer(size)
}

/** A floating point number. Throws `error`. */
export function double(argv: Argv, i: number, error: ClientError = NOT_FLOAT): number {
  const value = parseDigits(argv.buffer, argv.starts[i]!, argv.ends[i]!) ?? parseDouble(argv.text(i))
  if (value === undefined) throw error
  return value
}

export function replyScore(reply: Reply, score: number | undefined): void {
  if (score === undefined) reply.nil()
  else reply.double(formatDouble(score))
}

/** How members and scores are arranged: members alone; both in turn, also without a head of their own (`bare`); pairs,
 *  each an array; and what WITHSCORES asks for: pairs in RESP3, both in turn before. */
export type Arrangement = 'members' | 'flat' | 'bare' | 'pairs' | 'withScores'

/** Replies with the members of ranks [from, to). */
export function replyRanks(
  reply: Reply,
  value: ZSetValue | undefined,
  { from, to }: Ranks,
  reversed: boolean,
  arrangement: Arrangement,
): void {
  const put = openMembers(reply, to - from, arrangement)
  value?.visit(from, to, reversed, put)
}

/** Begins a reply of `count` members; each is to be handed to the function returned. */
export function openMembers(
  reply: Reply,
  count: number,
  arrangement: Arrangement,
): (member: string, score: number) => void {
  const alone = arrangement === 'members'
  const paired = arrangement === 'pairs' || (arrangement === 'withScores' && reply.resp3)
  if (arrangement !== 'bare') reply.array(alone || paired ? count : count * 2)
  return (member, score) => {
    if (paired) reply.array(2)
    putText(member, reply)
    if (!alone) reply.double(formatDouble(score))
  }
}

/** Ranks from the lowest score on, `to` excluded. */
export interface Ranks {
  readonly from: number
  readonly to: number
}

export const NO_RANKS: Ranks = { from: 0, to: 0 }

/** What lies between two places in the order. */
export interface Interval {
  readonly from: Cut
  readonly to: Cut
}

export function ranksWithin(value: ZSetValue, { from, to }: Interval): Ranks {
  const first = value.count(from)
  return { from: first, to: Math.max(first, value.count(to)) }
}

/** The scores from argument `min` to argument `max`: each a number, after `(` when it is excluded itself. */
export const scoreInterval = (argv: Argv, min: number, max: number): Interval => ({
  from: scoreCut(argv, min, '('),
  to: scoreCut(argv, max, ''),
})

const NOT_A_RANGE = fail('min or max is not a float')

/** `after`: the prefix of a score that comes before the place itself. As in C, the number begins after blanks, ends at
 *  a zero byte, and may be empty. */
function scoreCut(argv: Argv, i: number, after: '(' | ''): Cut {
  const text = argv.text(i)
  const prefix = text.startsWith('(') ? '(' : ''
  const number = text.slice(prefix.length).replace(/\0.*$/s, '')
  const score = number === '' ? 0 : readDouble(number.replace(/^[ \t-\r]+/, ''))
  if (score === undefined) throw NOT_A_RANGE
  return { score, tie: () => prefix === after }
}

/** The members from argument `min` to argument `max`: each after `[`, after `(` when it is excluded itself; or `-` for
 *  the very first and `+` for the very last. Only sets whose scores are all equal have such a range. */
export const memberInterval = (argv: Argv, min: number, max: number): Interval => ({
  from: memberCut(argv, min, '('),
  to: memberCut(argv, max, '['),
})

const NOT_A_MEMBER_RANGE = fail('min or max not valid string range item')

/** `after`: the prefix of a member that comes before the place itself. */
function memberCut(argv: Argv, i: number, after: '(' | '['): Cut {
  const text = argv.text(i)
  const prefix = text.charAt(0)
  if (text === '-' || text === '+') return byMember(() => text === '+')
  if (prefix !== '(' && prefix !== '[') throw NOT_A_MEMBER_RANGE
  const bound = text.slice(1)
  return byMember(prefix === after ? (member) => member <= bound : (member) => member < bound)
}

const byMember = (tie: Cut['tie']): Cut => ({ score: Number.NaN, tie })
