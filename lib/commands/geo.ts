/** Places on earth: members of a sorted set whose scores are geohashes. Searching among them is in geo-search.ts. */
import { decodePoint, distanceM, encodePoint, hashText, isOnMap, type Point } from '../../store/types/geohash.ts'
import { formatFixed } from '../base/double.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Call } from '../server/call.ts'
import { type ArgumentDoc, type Command, family, firstKey } from './define.ts'
import { KEY, option, word } from './docs.ts'
import { type AddOptions, addMembers, NO_OPTIONS } from './zset.ts'
import { double, MEMBER, MEMBERS, readZSet } from './zset-args.ts'

/** A row of the family. */
export const geo = (row: Omit<Command, 'group'>): Command => ({ group: 'geo', ...row })

export const LON_LAT: readonly ArgumentDoc[] = [
  { name: 'longitude', type: 'double' },
  { name: 'latitude', type: 'double' },
]
export const UNIT: ArgumentDoc = {
  name: 'unit',
  type: 'oneof',
  arguments: [word('M'), word('KM'), word('FT'), word('MI')],
}

export const geoCommands = family(
  geo({
    name: 'geoadd',
    arity: -5,
    flags: ['write', 'denyoom'],
    keys: firstKey('RW', 'update'),
    since: '3.2.0',
    summary: 'Add one or more geospatial items in the geospatial index represented using a sorted set',
    complexity: 'O(log(N)) for each item added, where N is the number of elements in the sorted set.',
    arguments: [
      KEY,
      { name: 'condition', type: 'oneof', since: '6.2.0', optional: true, arguments: [word('NX'), word('XX')] },
      { ...option('CH', '6.2.0'), name: 'change' },
      { name: 'longitude_latitude_member', type: 'block', multiple: true, arguments: [...LON_LAT, MEMBER] },
    ],
    run: addPlaces,
  }),
  geo({
    name: 'geodist',
    arity: -4,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '3.2.0',
    summary: 'Returns the distance between two members of a geospatial index',
    complexity: 'O(log(N))',
    arguments: [
      KEY,
      { name: 'member1', type: 'string' },
      { name: 'member2', type: 'string' },
      { ...UNIT, optional: true },
    ],
    run: replyDistanceBetween,
  }),
  geo({
    name: 'geohash',
    arity: -2,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '3.2.0',
    summary: 'Returns members of a geospatial index as standard geohash strings',
    complexity: 'O(log(N)) for each member requested, where N is the number of elements in the sorted set.',
    arguments: [KEY, MEMBERS],
    run: (call, argv) =>
      forEachMember(call, argv, ({ reply }, point) => {
        if (point === undefined) reply.nil()
        else reply.text(hashText(point))
      }),
  }),
  geo({
    name: 'geopos',
    arity: -2,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '3.2.0',
    summary: 'Returns longitude and latitude of members of a geospatial index',
    complexity: 'O(N) where N is the number of members requested.',
    arguments: [KEY, MEMBERS],
    run: (call, argv) =>
      forEachMember(call, argv, ({ reply }, point) => {
        if (point === undefined) reply.nilArray()
        else replyPoint(reply, point)
      }),
  }),
)

/** Metres in each unit. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ['m', 1],
  ['km', 1000],
  ['ft', 0.3048],
  ['mi', 1609.34],
])

/** Metres in the unit that argument `i` names. */
export function unit(argv: Argv, i: number): number {
  const metres = UNITS.get(argv.word(i))
  if (metres === undefined) throw fail('unsupported unit provided. please use M, KM, FT, MI')
  return metres
}

/** A place from two arguments. Throws when it is not on the map. */
export function point(argv: Argv, i: number): Point {
  const point = { longitude: double(argv, i), latitude: double(argv, i + 1) }
  if (isOnMap(point)) return point
  throw fail(`invalid longitude,latitude pair ${formatFixed(point.longitude, 6)},${formatFixed(point.latitude, 6)}`)
}

/** As many decimal places as C prints of a coordinate, without the zeros at the end. */
const coordinate = (degrees: number): string => formatFixed(degrees, 17).replace(/\.?0+$/, '')

export function replyPoint(reply: Reply, { longitude, latitude }: Point): void {
  reply.array(2)
  reply.double(coordinate(longitude))
  reply.double(coordinate(latitude))
}

/** A distance is text in RESP3 too. */
export const replyDistance = (reply: Reply, distance: number): void => reply.text(formatFixed(distance, 4))

/** Becomes ZADD, for replicas too: their arithmetic may differ. */
function addPlaces(call: Call, argv: Argv): void {
  let options: AddOptions = NO_OPTIONS
  let at = 2
  for (; at < argv.count; at++) {
    const name = argv.word(at)
    if (name !== 'nx' && name !== 'xx' && name !== 'ch') break
    options = { ...options, [name]: true }
  }
  const words = argv.count - at
  if (words === 0 || words % 3 !== 0 || (options.nx && options.xx)) throw SYNTAX
  const scores: number[] = []
  for (let i = at; i < argv.count; i += 3) scores.push(encodePoint(point(argv, i)))
  const { dirty } = call.server.keyspace
  addMembers(call, argv, { scores, membersAt: at + 2, step: 3 }, options)
  if (call.server.keyspace.dirty === dirty) return
  const rest = scores.flatMap((score, i) => [String(score), argv.own(at + 3 * i + 2)])
  const before = Array.from({ length: at - 1 }, (_, i) => argv.own(i + 1))
  call.propagate(['zadd', ...before, ...rest])
}

function replyDistanceBetween(call: Call, argv: Argv): void {
  const { db, reply } = call
  if (argv.count > 5) throw SYNTAX
  const metres = argv.count === 5 ? unit(argv, 4) : 1
  const value = readZSet(db, argv.key(1))
  const from = value?.score(argv.text(2))
  const to = value?.score(argv.text(3))
  if (from === undefined || to === undefined) reply.nil()
  else replyDistance(reply, distanceM(decodePoint(from), decodePoint(to)) / metres)
}

/** Replies with an array of what `answer` writes for each member; it gets undefined for one that is not there. */
function forEachMember(call: Call, argv: Argv, answer: (call: Call, point: Point | undefined) => void): void {
  const value = readZSet(call.db, argv.key(1))
  call.reply.array(argv.count - 2)
  for (let i = 2; i < argv.count; i++) {
    const score = value?.score(argv.text(i))
    answer(call, score === undefined ? undefined : decodePoint(score))
  }
}
