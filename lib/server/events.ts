/** The names of keyspace events: one row for each command that changes keys, as redis-server 7.0 calls what it
 *  does. A command without a row raises only what is not its own doing: `new`, `expired`, `keymiss`. */
import type { Touch } from '../../store/keyspace.ts'
import { parseInteger } from '../base/bytes.ts'
import type { Argv } from '../resp/argv.ts'

/** The letters of notify-keyspace-events that name a kind of event. */
export type EventClass = 'g' | '$' | 'l' | 's' | 'h' | 'z' | 'x' | 'e' | 't' | 'm' | 'd' | 'n'

/** One key and what one step of a command did to it. */
export interface Touched {
  readonly db: number
  readonly name: Buffer
  readonly what: Touch
}

export type Raise = (letter: EventClass, event: string, touched: Touched) => void

/** The event of every key a command changes. */
export interface EventRow {
  readonly letter: EventClass
  readonly name: string
  /** When the key is gone afterwards: its own event and then `del` (a pop), or `del` alone (a store of nothing). */
  readonly gone: 'both' | 'del'
}

/** A command with more to tell: it is given all that was touched, in order. */
export type EventTeller = (all: readonly Touched[], argv: Argv, raise: Raise) => void

/** The events of one step, by a row; without one only what every command can cause. */
export function eventsOf(touched: Touched, row: EventRow | undefined, raise: Raise): void {
  const { what } = touched
  if (what === 'expired') raise('x', 'expired', touched)
  else if (what === 'evicted') raise('e', 'evicted', touched)
  else if (what === 'missed') raise('m', 'keymiss', touched)
  else if (what === 'thinned') raise('h', 'hdel', touched)
  else if (what === 'lapsed') raise('h', 'hexpired', touched)
  else if (what === 'emptied') {
    raise('h', 'hexpired', touched)
    raise('g', 'del', touched)
  } else if (what === 'joined') raise('t', 'xgroup-createconsumer', touched)
  else if (what === 'replaced') return
  else {
    if (what === 'created') raise('n', 'new', touched)
    if (row !== undefined && (what !== 'removed' || row.gone === 'both')) raise(row.letter, row.name, touched)
    if (what === 'removed') raise('g', 'del', touched)
  }
}

const own = (letter: EventClass, name: string): EventRow => ({ letter, name, gone: 'both' })
const stored = (letter: EventClass, name: string): EventRow => ({ letter, name, gone: 'del' })
/** The same row for several commands. */
const each = (names: string, row: EventRow | EventTeller) => names.split(' ').map((name) => [name, row] as const)
/** Commands of which the event has their own name. */
const named = (letter: EventClass, names: string) => names.split(' ').flatMap((name) => each(name, own(letter, name)))
const storing = (letter: EventClass, names: string) =>
  names.split(' ').flatMap((name) => each(name, stored(letter, name)))

/** Steps that only some commands explain; the others mean what they always mean. */
const special =
  (explain: (touched: Touched, argv: Argv, raise: Raise) => boolean): EventTeller =>
  (all, argv, raise) => {
    for (const touched of all) if (!explain(touched, argv, raise)) eventsOf(touched, undefined, raise)
  }

const isWrite = ({ what }: Touched): boolean => what === 'created' || what === 'changed' || what === 'removed'

/** By a row that the arguments choose. */
const chosen =
  (choose: (argv: Argv) => EventRow): EventTeller =>
  (all, argv, raise) => {
    const row = choose(argv)
    for (const touched of all) eventsOf(touched, row, raise)
  }

const hasWord = (argv: Argv, word: RegExp, from: number): boolean => {
  for (let i = from; i < argv.count; i++) if (word.test(argv.word(i))) return true
  return false
}

/** A value, and then the deadline it was given. */
const set: EventTeller = (all, argv, raise) => {
  const command = argv.word(0)
  const timed = command === 'set' ? hasWord(argv, /^[ep]x(at)?$/, 3) : command !== 'setnx'
  for (const touched of all) {
    eventsOf(touched, own('$', 'set'), raise)
    if (timed && isWrite(touched)) raise('g', 'expire', touched)
  }
}

/** A deadline in the past removes the fields instead, and with the last of them the key. */
const fieldDeadlines: EventTeller = (all, argv, raise) => {
  const timed = argv.word(2) === 'persist' ? 'hpersist' : 'hexpire'
  for (const touched of all) eventsOf(touched, own('h', touched.what === 'removed' ? 'hdel' : timed), raise)
}

/** HSETEX sets fields, then gives them a deadline, by an option that stands first or after a condition; in the past it removes them. */
const setFields: EventTeller = (all, argv, raise) => {
  const timed = /^[ep]x(at)?$/.test(argv.word(2)) || /^[ep]x(at)?$/.test(argv.word(3))
  const isPast = all.some(({ what }) => what === 'thinned' || what === 'removed')
  for (const touched of all) {
    eventsOf(touched, own('h', touched.what === 'removed' ? 'hdel' : 'hset'), raise)
    if (timed && !isPast && isWrite(touched)) raise('h', 'hexpire', touched)
  }
}

/** A key that gets another name or database is new there before it is told that it moved. */
const moved =
  (from: string, to: string): EventTeller =>
  (all, _, raise) => {
    for (const touched of all) if (!isWrite(touched)) eventsOf(touched, undefined, raise)
    const target = all.find(({ what }) => what === 'created' || what === 'changed')
    const source = all.find((touched) => touched.what === 'removed' && touched !== target)
    if (target === undefined || source === undefined) return
    raise('n', 'new', target)
    raise('g', from, source)
    raise('g', to, target)
  }

/** A copy replaces what was there: it is new in any case. */
const replaced = (name: string): EventTeller =>
  special((touched, _, raise) => {
    if (touched.what !== 'created' && touched.what !== 'changed') return false
    raise('n', 'new', touched)
    raise('g', name, touched)
    return true
  })

/** Two steps with an event each, always in this order: an element is pushed before it is popped, an entry added before others are
 *  trimmed away. */
const twoSteps =
  (letter: EventClass, names: (argv: Argv) => readonly [first: string, then: string]): EventTeller =>
  (all, argv, raise) => {
    const [first, then] = names(argv)
    let writes = 0
    for (const touched of all) eventsOf(touched, own(letter, isWrite(touched) && writes++ > 0 ? then : first), raise)
  }

const pushAndPop = (argv: Argv): readonly [string, string] => {
  const isOld = /poplpush$/.test(argv.word(0))
  return [isOld || argv.word(4) === 'left' ? 'lpush' : 'rpush', isOld || argv.word(3) === 'right' ? 'rpop' : 'lpop']
}

/** LMPOP and its kin: the word after the keys says from where. */
const popAt = (letter: EventClass, count: number, prefix: (word: string) => string): EventTeller =>
  chosen((argv) => own(letter, prefix(argv.word(count + 1 + (parseInteger(argv.at(count)) ?? 0)))))
const listEnd = (word: string): string => (word === 'left' ? 'lpop' : 'rpop')
const zsetEnd = (word: string): string => (word === 'min' ? 'zpopmin' : 'zpopmax')

/** The member leaves before it arrives. */
const setMove: EventTeller = (all, argv, raise) => {
  const source = argv.at(1)
  for (const touched of all) if (!isWrite(touched)) eventsOf(touched, undefined, raise)
  const writes = all.filter(isWrite)
  for (const touched of writes) if (touched.name.equals(source)) eventsOf(touched, own('s', 'srem'), raise)
  for (const touched of writes) if (!touched.name.equals(source)) eventsOf(touched, own('s', 'sadd'), raise)
}

export const EVENTS: ReadonlyMap<string, EventRow | EventTeller> = new Map<string, EventRow | EventTeller>([
  // Keys as such
  ...each('del unlink migrate getdel', stored('g', 'del')),
  ...each('expire pexpire expireat pexpireat', stored('g', 'expire')),
  ...named('g', 'persist'),
  ...each('rename renamenx', moved('rename_from', 'rename_to')),
  ...each('move', moved('move_from', 'move_to')),
  ...each('copy', replaced('copy_to')),
  ...each('restore restore-asking', replaced('restore')),
  ...each('sort', stored('l', 'sortstore')),

  // Strings
  ...each('set setnx setex psetex', set),
  ...each('getset mset msetnx', own('$', 'set')),
  ...each(
    'getex',
    chosen((argv) => stored('g', argv.count === 3 ? 'persist' : 'expire')),
  ),
  ...each('incr decr incrby decrby', own('$', 'incrby')),
  ...named('$', 'append incrbyfloat setrange setbit pfadd'),
  ...each('bitfield', own('$', 'setbit')),
  ...each('bitop', stored('$', 'set')),
  ...each('pfmerge', own('$', 'pfadd')),

  // Lists
  ...named('l', 'lpush rpush linsert lset lrem ltrim lpop rpop'),
  ...each('lpushx', own('l', 'lpush')),
  ...each('rpushx', own('l', 'rpush')),
  ...each('blpop', own('l', 'lpop')),
  ...each('brpop', own('l', 'rpop')),
  ...each('lmove blmove rpoplpush brpoplpush', twoSteps('l', pushAndPop)),
  ...each('lmpop', popAt('l', 1, listEnd)),
  ...each('blmpop', popAt('l', 2, listEnd)),

  // Sets
  ...named('s', 'sadd srem spop'),
  ...each('smove', setMove),
  ...storing('s', 'sinterstore sunionstore sdiffstore'),

  // Hashes
  ...named('h', 'hset hincrby hincrbyfloat hdel'),
  ...each('hsetnx hmset', own('h', 'hset')),
  ...named('h', 'hpersist'),
  ...each('hexpire hpexpire hexpireat hpexpireat hgetex', fieldDeadlines),
  ...each('hgetdel', own('h', 'hdel')),
  ...each('hsetex', setFields),

  // Sorted sets
  ...each(
    'zadd',
    chosen((argv) => own('z', hasWord(argv, /^incr$/, 2) ? 'zincr' : 'zadd')),
  ),
  ...each('zincrby', own('z', 'zincr')),
  ...each('geoadd', own('z', 'zadd')),
  ...named('z', 'zrem zremrangebyscore zremrangebyrank zremrangebylex zpopmin zpopmax'),
  ...each('bzpopmin', own('z', 'zpopmin')),
  ...each('bzpopmax', own('z', 'zpopmax')),
  ...each('zmpop', popAt('z', 1, zsetEnd)),
  ...each('bzmpop', popAt('z', 2, zsetEnd)),
  ...storing('z', 'zunionstore zinterstore zdiffstore zrangestore geosearchstore'),
  ...each('georadius georadiusbymember', stored('z', 'georadiusstore')),

  // Streams
  ...each(
    'xadd',
    twoSteps('t', () => ['xadd', 'xtrim']),
  ),
  ...named('t', 'xdel xtrim xsetid'),
  ...['create', 'setid', 'destroy', 'createconsumer', 'delconsumer'].flatMap((sub) =>
    each(`xgroup|${sub}`, own('t', `xgroup-${sub}`)),
  ),
])
