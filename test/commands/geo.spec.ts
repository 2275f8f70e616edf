/** Places on earth: what a real server answers, and what replicas are told. */
import fc from 'fast-check'
import { Differential, type Request, requests, someInteger } from '../support/differential.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const key = fc.constantFrom('a', 'b', '{a}x')
const member = fc.constantFrom('rome', 'oslo', 'quito', 'suva', 'x', '')
const strange = fc.constantFrom('180.1', '-1e30', 'inf', 'nan', 'x', '', '0.0078125', '85.05112879')
const longitude = fc.oneof(
  { weight: 12, arbitrary: fc.double({ min: -180, max: 180, noNaN: true }).map(String) },
  { weight: 12, arbitrary: fc.double({ min: 10, max: 12, noNaN: true }).map(String) },
  { weight: 3, arbitrary: fc.constantFrom('0', '-180', '180', '179.999999', '-179.999999') },
  { weight: 1, arbitrary: strange },
)
const latitude = fc.oneof(
  { weight: 12, arbitrary: fc.double({ min: -85, max: 85, noNaN: true }).map(String) },
  { weight: 12, arbitrary: fc.double({ min: 40, max: 42, noNaN: true }).map(String) },
  { weight: 3, arbitrary: fc.constantFrom('0', '-85.05112878', '85.05112878', '84', '-84') },
  { weight: 1, arbitrary: strange },
)
const unit = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('m', 'km', 'KM', 'ft', 'mi') },
  { weight: 1, arbitrary: fc.constantFrom('cm', '') },
)
const length = fc.oneof(
  { weight: 9, arbitrary: fc.double({ min: 0, max: 6, noNaN: true }).map((x) => String(10 ** x)) },
  { weight: 1, arbitrary: fc.constantFrom('0', '-1', 'x', '1e9', '20037727', 'inf') },
)
const count = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 4 }) }, someInteger)
const flag = fc.constantFrom('WITHCOORD', 'withdist', 'WITHHASH', 'ASC', 'desc', 'ANY', 'STOREDIST', 'foo')
const order = fc.constantFrom('ASC', 'DESC')
const place = [longitude, latitude, member] as const

const PLACES = requests([
  ['geoadd', key, ...place],
  ['geoadd', key, ...place, ...place, ...place],
  ['geoadd', key, ...place, ...place, ...place, ...place, ...place, ...place],
  ['geoadd', key, fc.constantFrom('NX', 'xx', 'CH', 'GT', 'incr'), ...place],
  ['geoadd', key, 'XX', 'CH', ...place, ...place],
  ['geoadd', key, 'NX', 'XX', ...place],
  ['geoadd', key, 'NX', ...place, longitude],
  ['geopos', key, member, member],
  ['geopos', key],
  ['geohash', key, member, member],
  ['geodist', key, member, member],
  ['geodist', key, member, member, unit],
  ['zadd', key, fc.constantFrom('0', '1', '4503599627370495', '3.5'), member],
  ['zscore', key, member],
  ['set', key, 'text'],
  ['del', key],
])

const from = fc.oneof(
  member.map((name) => ['FROMMEMBER', name]),
  fc.tuple(longitude, latitude).map(([x, y]) => ['fromlonlat', x, y]),
)
const by = fc.oneof(
  fc.tuple(length, unit).map(([radius, u]) => ['BYRADIUS', radius, u]),
  fc.tuple(length, length, unit).map(([width, height, u]) => ['bybox', width, height, u]),
)
const options = fc.oneof(
  fc.constant<string[]>([]),
  flag.map((one) => [one]),
  fc.tuple(flag, flag, flag),
  fc.constant(['WITHCOORD', 'WITHDIST', 'WITHHASH', 'ASC']),
  fc.tuple(fc.constant('COUNT'), count.map(String), flag),
  fc.tuple(fc.constant('COUNT'), count.map(String), fc.constant('ANY'), flag),
  from,
  by,
)

/** GEOSEARCH, now and then with its parts in another order. */
const search: fc.Arbitrary<Request> = fc
  .tuple(key, key, from, by, options, fc.boolean(), fc.constantFrom('geosearch', 'GEOSEARCHSTORE', 'geosearch'))
  .map(([target, source, one, two, rest, swapped, name]) => [
    name,
    ...(name === 'geosearch' ? [] : [target]),
    source,
    ...(swapped ? [...rest, ...two, ...one] : [...one, ...two, ...rest]),
  ])

const RADIUS = requests([
  ['georadius', key, longitude, latitude, length, unit],
  ['georadius_ro', key, longitude, latitude, length, unit, flag],
  ['georadius', key, longitude, latitude, length, unit, 'COUNT', count, order],
  ['georadius', key, longitude, latitude, length, unit, flag, 'STORE', key],
  ['georadius_ro', key, longitude, latitude, length, unit, 'STORE', key],
  ['georadiusbymember', key, member, length, unit, 'WITHDIST', flag],
  ['georadiusbymember_ro', key, member, length, unit, 'count', count, 'any'],
  ['georadiusbymember', key, member, length, unit, 'STORE', key],
  ['zrange', key, '0', '-1', 'WITHSCORES'],
])

describeBeside('geo commands answer like redis-server 7.0', function () {
  this.timeout(60_000)
  let both: Differential
  before(async () => {
    both = await Differential.start()
  })
  after(stopEverything)

  it('and tell replicas the same', () => {
    // The scores of places on the date line need 54 bits: the text of ours is of the double that both store.
    const changes = fc.oneof(PLACES, search, RADIUS).filter((words) => !words.includes('180'))
    return fc.assert(
      fc.asyncProperty(fc.array(changes, { minLength: 20, maxLength: 60, size: 'max' }), (all) =>
        both.compareStreams(all),
      ),
      { numRuns: 60 },
    )
  })

  it('places of scores that are no whole numbers, or below zero', () =>
    both.compare(
      ['-0.25', '0.5', '-1', '-5.5'].flatMap((score) => [
        ['ZADD', 'geo', score, 'a'],
        ['GEOPOS', 'geo', 'a'],
      ]),
    ))

  it('places added and looked at', () => both.agree(PLACES, 100))
  it('places searched for', () => both.agree(fc.oneof(PLACES, search, search, RADIUS), 300))
})
