/** Geohashes: places on earth as integers of 52 bits, so that near ones are near in a sorted set. The earth is cut in
 *  half again and again, by longitude and by latitude in turn; each step adds a bit of either, which says on which side
 *  of the cut a place lies. */

/** Degrees. */
export interface Point {
  readonly longitude: number
  readonly latitude: number
}

/** Bounds in degrees. */
interface Area {
  readonly west: number
  readonly east: number
  readonly south: number
  readonly north: number
}

/** What is near the poles has no hash: it would not fit the web's square map. */
const WORLD: Area = { west: -180, east: 180, south: -85.05112878, north: 85.05112878 }
/** Of the hashes that other people use. */
const WHOLE_WORLD: Area = { west: -180, east: 180, south: -90, north: 90 }

/** Bits of longitude, and of latitude, in a score. */
const STEPS = 26
/** A score is put together from two halves, because a number has only 32 bits to work on. Places on the eastern or
 *  northern edge of the map have one bit more than others. */
const HALF_STEPS = STEPS / 2
const EARTH_RADIUS_M = 6372797.560856
/** Half the width of the map, at the equator. */
const MAP_HALF_M = 20037726.37

/** A piece of the earth: its column from the west and its row from the south, of 2^steps each. */
interface Cell {
  readonly column: number
  readonly row: number
  readonly steps: number
}

/** Where somebody looks. Metres. */
export type Shape = { readonly center: Point } & (
  | { readonly radius: number }
  /** Of a box. */
  | { readonly width: number; readonly height: number }
)

export const isOnMap = ({ longitude, latitude }: Point): boolean =>
  longitude >= WORLD.west && longitude <= WORLD.east && latitude >= WORLD.south && latitude <= WORLD.north

/** The score of a place that is on the map. */
export const encodePoint = (point: Point): number => firstScore(cellAt(WORLD, point, STEPS))

/** The place of a score: the middle of its cell. */
export function decodePoint(score: number): Point {
  const { west, east, south, north } = areaOf(cellOf(score))
  return {
    longitude: clamp((west + east) / 2, WORLD.west, WORLD.east),
    latitude: clamp((south + north) / 2, WORLD.south, WORLD.north),
  }
}

const ALPHABET = '0123456789bcdefghjkmnpqrstuvwxyz'

/** The hash of a place as text, as other people write it: 11 letters, the last always 0 for lack of bits. */
export function hashText(point: Point): string {
  let rest = firstScore(cellAt(WHOLE_WORLD, point, STEPS))
  // Ten letters are fifty bits.
  rest = Math.floor(rest / 4)
  let text = '0'
  for (let i = 0; i < 10; i++) {
    text = ALPHABET.charAt(rest % 32) + text
    rest = Math.floor(rest / 32)
  }
  return text
}

/** Metres between two places on a sphere. */
export function distanceM(a: Point, b: Point): number {
  const v = Math.sin((radians(b.longitude) - radians(a.longitude)) / 2)
  if (v === 0) return latitudeDistanceM(a, b)
  const [from, to] = [radians(a.latitude), radians(b.latitude)]
  const u = Math.sin((to - from) / 2)
  return 2 * EARTH_RADIUS_M * Math.asin(Math.sqrt(u * u + Math.cos(from) * Math.cos(to) * v * v))
}

const latitudeDistanceM = (a: Point, b: Point): number =>
  EARTH_RADIUS_M * Math.abs(radians(b.latitude) - radians(a.latitude))

/** Metres from the centre of a shape; undefined for a place outside. */
export function distanceWithin(shape: Shape, point: Point): number | undefined {
  const { center } = shape
  if ('radius' in shape) {
    const distance = distanceM(center, point)
    return distance > shape.radius ? undefined : distance
  }
  if (latitudeDistanceM(point, center) > shape.height / 2) return undefined
  const alongParallel = distanceM(point, { longitude: center.longitude, latitude: point.latitude })
  return alongParallel > shape.width / 2 ? undefined : distanceM(center, point)
}

/** Scores from `from` on, `to` excluded. */
export interface ScoreRange {
  readonly from: number
  readonly to: number
}

/** Where to look for what is within a shape: the cell of its centre and those around it that it reaches into, in the
 *  order in which a real server looks. The cells are as small as nine of them can be and still cover the shape. */
export function coveringRanges(shape: Shape): readonly ScoreRange[] {
  const { center } = shape
  const bounds = boundsOf(shape)
  let cell = cellAt(WORLD, center, stepsFor(reachOf(shape), center.latitude))
  if (cell.steps > 1 && !isCovered(bounds, cell)) cell = cellAt(WORLD, center, cell.steps - 1)
  const ranges: ScoreRange[] = []
  let last = 0
  for (const [i, [east, north]] of DIRECTIONS.entries()) {
    if (cell.steps >= 2 && !reaches(bounds, areaOf(cell), east, north)) continue
    const neighbour = move(cell, east, north)
    const from = firstScore(neighbour)
    // Of large cells there are few: the one to the east may be the one to the west too.
    if (last > 0 && ranges.at(-1)?.from === from) continue
    ranges.push({ from, to: from + 2 ** (2 * (STEPS - cell.steps)) })
    last = i
  }
  return ranges
}

/** Steps to the east and to the north. */
const DIRECTIONS: readonly (readonly [east: number, north: number])[] = [
  [0, 0],
  [0, 1],
  [0, -1],
  [1, 0],
  [-1, 0],
  [1, 1],
  [-1, 1],
  [1, -1],
  [-1, -1],
]

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value))
const DEGREE = Math.PI / 180
const radians = (degrees: number): number => degrees * DEGREE
const degrees = (radians: number): number => radians / DEGREE

/** How far a shape reaches from its centre. */
const reachOf = (shape: Shape): number =>
  'radius' in shape ? shape.radius : Math.sqrt((shape.width / 2) ** 2 + (shape.height / 2) ** 2)

/** A box of degrees around a shape. Its sides are meridians, so it is the wider the nearer to the pole. */
function boundsOf(shape: Shape): Area {
  const { longitude, latitude } = shape.center
  const [width, height] = 'radius' in shape ? [shape.radius, shape.radius] : [shape.width / 2, shape.height / 2]
  const tall = degrees(height / EARTH_RADIUS_M)
  const edge = latitude < 0 ? latitude - tall : latitude + tall
  const wide = degrees(width / EARTH_RADIUS_M / Math.cos(radians(edge)))
  return { west: longitude - wide, east: longitude + wide, south: latitude - tall, north: latitude + tall }
}

/** How many steps lead to cells of about that size. */
function stepsFor(reachM: number, latitude: number): number {
  if (reachM === 0) return STEPS
  let steps = -1
  for (let reach = reachM; reach < MAP_HALF_M; reach *= 2) steps++
  // Cells are narrow near the poles.
  if (Math.abs(latitude) > 66) steps--
  if (Math.abs(latitude) > 80) steps--
  return clamp(steps, 1, STEPS)
}

/** Whether a cell and its eight neighbours hold all of the bounds. */
function isCovered(bounds: Area, cell: Cell): boolean {
  return (
    // As a real server asks: of bounds that are no number it believes the same.
    !(areaOf(move(cell, 0, 1)).north < bounds.north) &&
    !(areaOf(move(cell, 0, -1)).south > bounds.south) &&
    !(areaOf(move(cell, 1, 0)).east < bounds.east) &&
    !(areaOf(move(cell, -1, 0)).west > bounds.west)
  )
}

/** Whether the bounds reach out of a cell in these directions. */
function reaches(bounds: Area, area: Area, east: number, north: number): boolean {
  return !(
    (north < 0 && area.south < bounds.south) ||
    (north > 0 && area.north > bounds.north) ||
    (east < 0 && area.west < bounds.west) ||
    (east > 0 && area.east > bounds.east)
  )
}

function cellAt({ west, east, south, north }: Area, { longitude, latitude }: Point, steps: number): Cell {
  const count = 2 ** steps
  return {
    column: Math.floor(((longitude - west) / (east - west)) * count),
    row: Math.floor(((latitude - south) / (north - south)) * count),
    steps,
  }
}

/** The cell so far to the east and to the north. */
const move = ({ column, row, steps }: Cell, east: number, north: number): Cell => ({
  column: shift(column, east, 2 ** steps),
  row: shift(row, north, 2 ** steps),
  steps,
})

/** Behind the last comes the first; on the edge of the map one may stay, one step behind the last. */
const shift = (place: number, by: number, count: number): number => (by === 0 ? place : (place + by + count) % count)

function areaOf({ column, row, steps }: Cell): Area {
  const count = 2 ** steps
  const { west, east, south, north } = WORLD
  return {
    west: west + (column / count) * (east - west),
    east: west + ((column + 1) / count) * (east - west),
    south: south + (row / count) * (north - south),
    north: south + ((row + 1) / count) * (north - south),
  }
}

/** The lowest score in a cell: its bits in turn, longitude first. */
function firstScore({ column, row, steps }: Cell): number {
  const scale = 2 ** (STEPS - steps)
  const [x, y] = [column * scale, row * scale]
  const high = spread(x >>> HALF_STEPS) * 2 + spread(y >>> HALF_STEPS)
  const low = spread(x % HALF_COUNT) * 2 + spread(y % HALF_COUNT)
  return high * 2 ** STEPS + low
}

const HALF_COUNT = 2 ** HALF_STEPS

/** The smallest cell of a score. */
function cellOf(score: number): Cell {
  const whole = Math.trunc(score)
  const high = Math.floor(whole / 2 ** STEPS)
  const low = whole % 2 ** STEPS
  return {
    column: gather(high >>> 1) * HALF_COUNT + gather(low >>> 1),
    row: gather(high) * HALF_COUNT + gather(low),
    steps: STEPS,
  }
}

/** The lowest 16 bits, each with a zero above it. */
function spread(bits: number): number {
  let spread = bits & 0xffff
  spread = (spread | (spread << 8)) & 0x00ff00ff
  spread = (spread | (spread << 4)) & 0x0f0f0f0f
  spread = (spread | (spread << 2)) & 0x33333333
  return (spread | (spread << 1)) & 0x55555555
}

/** Every second bit, from the lowest on. */
function gather(bits: number): number {
  let gathered = bits & 0x55555555
  gathered = (gathered | (gathered >>> 1)) & 0x33333333
  gathered = (gathered | (gathered >>> 2)) & 0x0f0f0f0f
  gathered = (gathered | (gathered >>> 4)) & 0x00ff00ff
  return (gathered | (gathered >>> 8)) & 0xffff
}
