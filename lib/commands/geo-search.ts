/** Places within a circle or a box: GEOSEARCH, and GEORADIUS as it was called before. */
import { coveringRanges, decodePoint, distanceWithin, type Shape } from '../../store/types/geohash.ts'
import { Members } from '../../store/types/members.ts'
import { keyOfText, putText } from '../../store/types/names.ts'
import type { Cut } from '../../store/types/ranked.ts'
import type { ZSetValue } from '../../store/types/zset.ts'
import { assert } from '../base/assert.ts'
import { ascending } from '../base/order.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { type ArgumentDoc, type Command, family, firstKey, type KeyPositions } from './define.ts'
import { KEY, option, word } from './docs.ts'
import { geo, LON_LAT, replyDistance, replyPoint, UNIT } from './geo.ts'
import {
  type Dialect,
  type Query,
  RADIUS_OPTIONS,
  RADIUS_READ_OPTIONS,
  readQuery,
  SEARCH_OPTIONS,
  SEARCH_STORE_OPTIONS,
} from './geo-query.ts'
import { MEMBER, ranksWithin, readZSet, storeMembers } from './zset-args.ts'

const RADIUS: ArgumentDoc = { name: 'radius', type: 'double' }
const ORDER: ArgumentDoc = { name: 'order', type: 'oneof', optional: true, arguments: [word('ASC'), word('DESC')] }
const WITH: readonly ArgumentDoc[] = [option('WITHCOORD'), option('WITHDIST'), option('WITHHASH')]
const count = (anySince?: string): ArgumentDoc => ({
  name: 'count',
  type: 'block',
  optional: true,
  arguments: [{ name: 'count', type: 'integer', token: 'COUNT' }, option('ANY', anySince)],
})
const FROM_BY: readonly ArgumentDoc[] = [
  {
    name: 'from',
    type: 'oneof',
    arguments: [
      { ...MEMBER, token: 'FROMMEMBER' },
      { name: 'longitude_latitude', type: 'block', token: 'FROMLONLAT', arguments: LON_LAT },
    ],
  },
  {
    name: 'by',
    type: 'oneof',
    arguments: [
      { name: 'circle', type: 'block', arguments: [{ ...RADIUS, token: 'BYRADIUS' }, UNIT] },
      {
        name: 'box',
        type: 'block',
        arguments: [{ name: 'width', type: 'double', token: 'BYBOX' }, { name: 'height', type: 'double' }, UNIT],
      },
    ],
  },
]

const RADIUS_COST =
  'O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.'
const SEARCH_COST =
  'O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape'

/** GEORADIUS and its kin. Without `_ro` they may store, so they count as writing. */
function radius(name: string, row: Pick<Command, 'arity' | 'since' | 'summary'>): Command {
  const byMember = name.startsWith('georadiusbymember')
  const readonly = name.endsWith('_ro')
  const optionsAt = -row.arity
  const from = byMember ? [MEMBER] : LON_LAT
  const newer = readonly ? '`GEOSEARCH`' : '`GEOSEARCH` and `GEOSEARCHSTORE`'
  const how = byMember ? '`BYRADIUS` and `FROMMEMBER` arguments' : '`BYRADIUS` argument'
  const options = readonly ? RADIUS_READ_OPTIONS : RADIUS_OPTIONS
  return geo({
    name,
    flags: readonly ? ['readonly'] : ['write', 'denyoom', 'movablekeys'],
    keys: readonly ? firstKey('RO', 'access') : storedKeys(optionsAt),
    complexity: RADIUS_COST,
    deprecated: { since: '6.2.0', replacedBy: `${newer} with the ${how}` },
    arguments: [
      KEY,
      ...from,
      RADIUS,
      UNIT,
      ...WITH,
      count(byMember ? undefined : '6.2.0'),
      ORDER,
      ...(readonly ? [] : STORES),
    ],
    run: (call, argv) => search(call, argv, { keyAt: 1, center: byMember ? 'member' : 'point', options }),
    ...row,
  })
}

const STORES: readonly ArgumentDoc[] = [
  { name: 'key', type: 'key', token: 'STORE', optional: true, keySpec: 1 },
  { name: 'key', type: 'key', token: 'STOREDIST', optional: true, keySpec: 2 },
]

/** The key, and the one that the last STORE or STOREDIST names. */
const storedKeys = (optionsAt: number): KeyPositions => ({
  first: 1,
  last: 1,
  step: 1,
  find(argv) {
    let stored: number | undefined
    for (let i = 5; i + 1 < argv.count; i++) if (['store', 'storedist'].includes(argv.word(i))) stored = ++i
    return stored === undefined ? [1] : [1, stored]
  },
  specs: [
    { flags: ['RO', 'access'], begin: 1, last: 0, step: 1 },
    { flags: ['OW', 'update'], begin: { keyword: 'STORE', from: optionsAt }, last: 0, step: 1 },
    { flags: ['OW', 'update'], begin: { keyword: 'STOREDIST', from: optionsAt }, last: 0, step: 1 },
  ],
})

export const geoSearchCommands = family(
  radius('georadius', {
    arity: -6,
    since: '3.2.0',
    summary:
      'Query a sorted set representing a geospatial index to fetch members matching a given maximum distance from a point',
  }),
  radius('georadius_ro', { arity: -6, since: '3.2.10', summary: 'A read-only variant for GEORADIUS' }),
  radius('georadiusbymember', {
    arity: -5,
    since: '3.2.0',
    summary:
      'Query a sorted set representing a geospatial index to fetch members matching a given maximum distance from a member',
  }),
  radius('georadiusbymember_ro', { arity: -5, since: '3.2.10', summary: 'A read-only variant for GEORADIUSBYMEMBER' }),
  geo({
    name: 'geosearch',
    arity: -7,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '6.2.0',
    summary: 'Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle.',
    complexity: SEARCH_COST,
    arguments: [KEY, ...FROM_BY, ORDER, count(), ...WITH],
    run: (call, argv) => search(call, argv, { keyAt: 1, center: undefined, options: SEARCH_OPTIONS }),
  }),
  geo({
    name: 'geosearchstore',
    arity: -8,
    flags: ['write', 'denyoom'],
    keys: {
      first: 1,
      last: 2,
      step: 1,
      specs: [
        { flags: ['OW', 'update'], begin: 1, last: 0, step: 1 },
        { flags: ['RO', 'access'], begin: 2, last: 0, step: 1 },
      ],
    },
    since: '6.2.0',
    summary:
      'Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle, and store the result in another key.',
    complexity: SEARCH_COST,
    arguments: [
      { name: 'destination', type: 'key', keySpec: 0 },
      { name: 'source', type: 'key', keySpec: 1 },
      ...FROM_BY,
      ORDER,
      count(),
      option('STOREDIST'),
    ],
    run: (call, argv) => search(call, argv, { keyAt: 2, center: undefined, options: SEARCH_STORE_OPTIONS }),
  }),
)

/** The places that were found, one at each index: there may be many, and no object is made of each. */
interface Found {
  readonly members: string[]
  readonly scores: number[]
  /** Metres. */
  readonly distances: number[]
}

function search(call: Call, argv: Argv, dialect: Dialect): void {
  const value = readZSet(call.db, argv.key(dialect.keyAt))
  const query = readQuery(argv, dialect, value)
  const found = value === undefined ? NOTHING_FOUND : find(value, query)
  const order = inOrder(found, query)
  if (query.storeAt === 0) return replyFound(call, found, order, query)
  const { members, scores, distances } = found
  const stored = new Members()
  for (const i of order)
    stored.addScored(keyOfText(members[i]!), query.storeDistance ? distances[i]! / query.unit : scores[i]!)
  storeMembers(call, argv.key(query.storeAt), stored)
}

const NOTHING_FOUND: Found = { members: [], scores: [], distances: [] }

/** The indexes of the places that are wanted, in the order that is. */
function inOrder({ distances }: Found, { order, count, any }: Query): Uint32Array {
  // The nearest are wanted when not all are.
  const direction = order ?? (count > 0 && !any ? 'asc' : undefined)
  const sign = direction === 'desc' ? -1 : 1
  const indexes =
    direction === undefined
      ? Uint32Array.from(distances, (_, i) => i)
      : ascending(Float64Array.from(distances, (distance) => sign * distance))
  return count > 0 ? indexes.subarray(0, count) : indexes
}

/** The places within the shape, as they come; no more than are asked for when any will do. */
function find(value: ZSetValue, { center, extent, count, any }: Query): Found {
  assert(center !== undefined && extent !== undefined, 'a search without a shape')
  const shape: Shape = { center, ...extent }
  const most = any ? count : Number.POSITIVE_INFINITY
  const found: Found = { members: [], scores: [], distances: [] }
  for (const range of coveringRanges(shape)) {
    const { from, to } = ranksWithin(value, { from: cutAt(range.from), to: cutAt(range.to) })
    value.visit(from, to, false, (member, score) => {
      if (found.members.length >= most) return
      const distance = distanceWithin(shape, decodePoint(score))
      if (distance === undefined) return
      found.members.push(member)
      found.scores.push(score)
      found.distances.push(distance)
    })
  }
  return found
}

/** The place before all members of a score. */
const cutAt = (score: number): Cut => ({ score, tie: () => false })

function replyFound({ reply }: Call, found: Found, order: Uint32Array, query: Query): void {
  const { withDistance, withHash, withPoint } = query
  const extras = Number(withDistance) + Number(withHash) + Number(withPoint)
  reply.array(order.length)
  for (const i of order) {
    if (extras > 0) reply.array(1 + extras)
    putText(found.members[i]!, reply)
    if (withDistance) replyDistance(reply, found.distances[i]! / query.unit)
    if (withHash) reply.integer(Math.trunc(found.scores[i]!))
    if (withPoint) replyPoint(reply, decodePoint(found.scores[i]!))
  }
}
