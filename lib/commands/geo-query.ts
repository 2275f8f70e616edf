/** What a search for places asks for: the arguments of GEOSEARCH and GEORADIUS. */
import { decodePoint, type Point } from '../../store/types/geohash.ts'
import type { ZSetValue } from '../../store/types/zset.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import { position } from './args.ts'
import { point, unit } from './geo.ts'
import { double } from './zset-args.ts'

/** What a search asks for. */
export interface Query {
  /** Which option named the centre: it may be named again, but not by the other. */
  centerBy: 'member' | 'point' | undefined
  /** Undefined also when the key is missing, so that its member cannot be found. */
  center: Point | undefined
  extent: Extent | undefined
  /** Metres in the unit in which distances are told. */
  unit: number
  withDistance: boolean
  withHash: boolean
  withPoint: boolean
  order: 'asc' | 'desc' | undefined
  /** 0: all. */
  count: number
  /** Any that are found will do, not only the nearest. */
  any: boolean
  /** Argument index of the key to store at; 0: none. */
  storeAt: number
  storeDistance: boolean
}

/** A shape without its centre, in metres. */
type Extent = { readonly radius: number } | { readonly width: number; readonly height: number }

/** What one of the commands takes. */
export interface Dialect {
  /** Argument index of the key to search at. */
  readonly keyAt: 1 | 2
  /** What stands before the options beside the radius; undefined: all are options. */
  readonly center: 'point' | 'member' | undefined
  readonly options: OptionTable
}

/** An option: how many words follow it, when it fits what was said before it, and what it means; its words begin at
 *  argument `at`. */
interface Option {
  readonly words: number
  readonly fits?: (query: Query) => boolean
  readonly read: (query: Query, argv: Argv, at: number, value: ZSetValue | undefined) => void
}

type OptionTable = ReadonlyMap<string, Option>

const set = (part: Partial<Query>): Option => ({ words: 0, read: (query) => Object.assign(query, part) })

const storeAt = (storeDistance: boolean): Option => ({
  words: 1,
  read: (query, _, at) => Object.assign(query, { storeAt: at, storeDistance }),
})

const FLAGS: Readonly<Record<string, Option>> = {
  withdist: set({ withDistance: true }),
  withhash: set({ withHash: true }),
  withcoord: set({ withPoint: true }),
  asc: set({ order: 'asc' }),
  desc: set({ order: 'desc' }),
  any: set({ any: true }),
  count: {
    words: 1,
    read(query, argv, at) {
      query.count = position(argv, at)
      if (query.count <= 0) throw fail('COUNT must be > 0')
    },
  },
}

const SHAPES: Readonly<Record<string, Option>> = {
  frommember: {
    words: 1,
    fits: ({ centerBy }) => centerBy !== 'point',
    read(query, argv, at, value) {
      query.centerBy = 'member'
      query.center = value && placeOf(value, argv.text(at))
    },
  },
  fromlonlat: {
    words: 2,
    fits: ({ centerBy }) => centerBy !== 'member',
    read(query, argv, at) {
      query.centerBy = 'point'
      query.center = point(argv, at)
    },
  },
  byradius: {
    words: 2,
    fits: ({ extent }) => extent === undefined || 'radius' in extent,
    read: readRadius,
  },
  bybox: {
    words: 3,
    fits: ({ extent }) => extent === undefined || 'width' in extent,
    read: readBox,
  },
}

const table = (options: Readonly<Record<string, Option>>): OptionTable => new Map(Object.entries(options))

/** The options of GEORADIUS_RO, GEORADIUS, GEOSEARCH and GEOSEARCHSTORE. */
export const RADIUS_READ_OPTIONS = table(FLAGS)
export const RADIUS_OPTIONS = table({ ...FLAGS, store: storeAt(false), storedist: storeAt(true) })
export const SEARCH_OPTIONS = table({ ...FLAGS, ...SHAPES })
export const SEARCH_STORE_OPTIONS = table({ ...FLAGS, ...SHAPES, storedist: set({ storeDistance: true }) })

/** Reads a search; `value`: the sorted set it is in, which may be missing. */
export function readQuery(argv: Argv, dialect: Dialect, value: ZSetValue | undefined): Query {
  const query: Query = {
    centerBy: dialect.center,
    center: undefined,
    extent: undefined,
    unit: 1,
    withDistance: false,
    withHash: false,
    withPoint: false,
    order: undefined,
    count: 0,
    any: false,
    storeAt: dialect.keyAt - 1,
    storeDistance: false,
  }
  const from = readCircle(query, argv, dialect, value)
  for (let at = from; at < argv.count; at++) {
    const row = dialect.options.get(argv.word(at))
    if (row === undefined || at + row.words >= argv.count || row.fits?.(query) === false) throw SYNTAX
    row.read(query, argv, at + 1, value)
    at += row.words
  }
  check(query, argv, dialect)
  return query
}

/** Reads what GEORADIUS is told before its options; returns where these begin. */
function readCircle(query: Query, argv: Argv, { keyAt, center }: Dialect, value: ZSetValue | undefined): number {
  if (center === undefined) return keyAt + 1
  const radiusAt = center === 'point' ? 4 : 3
  if (center === 'point') query.center = point(argv, 2)
  else if (value === undefined) return radiusAt + 2
  else query.center = placeOf(value, argv.text(2))
  readRadius(query, argv, radiusAt)
  return radiusAt + 2
}

function check(
  { storeAt, withDistance, withHash, withPoint, centerBy, extent, any, count }: Query,
  argv: Argv,
  dialect: Dialect,
): void {
  const inOptions = dialect.center === undefined
  const name = argv.text(0)
  if (storeAt > 0 && (withDistance || withHash || withPoint))
    throw fail(
      `${inOptions ? 'GEOSEARCHSTORE' : 'STORE option in GEORADIUS'} is not compatible with WITHDIST, WITHHASH and WITHCOORD options`,
    )
  if (centerBy === undefined) throw fail(`exactly one of FROMMEMBER or FROMLONLAT can be specified for ${name}`)
  if (inOptions && extent === undefined) throw fail(`exactly one of BYRADIUS and BYBOX can be specified for ${name}`)
  if (any && count === 0) throw fail('the ANY argument requires COUNT argument')
}

function readRadius(query: Query, argv: Argv, at: number): void {
  const radius = double(argv, at, fail('need numeric radius'))
  if (radius < 0) throw fail('radius cannot be negative')
  query.unit = unit(argv, at + 1)
  query.extent = { radius: radius * query.unit }
}

function readBox(query: Query, argv: Argv, at: number): void {
  const width = double(argv, at, fail('need numeric width'))
  const height = double(argv, at + 1, fail('need numeric height'))
  if (width < 0 || height < 0) throw fail('height or width cannot be negative')
  query.unit = unit(argv, at + 2)
  query.extent = { width: width * query.unit, height: height * query.unit }
}

function placeOf(value: ZSetValue, member: string): Point {
  const score = value.score(member)
  if (score === undefined) throw fail('could not decode requested zset member')
  return decodePoint(score)
}
