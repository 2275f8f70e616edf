/** Geohashes: places as integers and back, and where to look for what is near. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  coveringRanges,
  decodePoint,
  distanceM,
  distanceWithin,
  encodePoint,
  hashText,
  isOnMap,
  type Point,
  type Shape,
} from '../../../store/types/geohash.ts'

const PALERMO: Point = { longitude: 13.361389, latitude: 38.115556 }
const CATANIA: Point = { longitude: 15.087269, latitude: 37.502669 }

const within = (longitude: number, latitude: number): fc.Arbitrary<Point> =>
  fc.record({
    longitude: fc.double({ min: -longitude, max: longitude, noNaN: true }),
    latitude: fc.double({ min: -latitude, max: latitude, noNaN: true }),
  })

describe('a geohash', () => {
  // The figures are those of Redis's documentation.
  it('is what Redis makes of a place', () => {
    assert.equal(encodePoint(PALERMO), 3479099956230698)
    assert.equal(encodePoint(CATANIA), 3479447370796909)
    assert.equal(hashText(decodePoint(encodePoint(PALERMO))), 'sqc8b49rny0')
    assert.equal(hashText(decodePoint(encodePoint(CATANIA))), 'sqdtr74hyu0')
    const metres = distanceM(decodePoint(encodePoint(PALERMO)), decodePoint(encodePoint(CATANIA)))
    assert.equal(metres.toFixed(4), '166274.1516')
  })

  it('tells a place to within a metre', () =>
    fc.assert(
      fc.property(within(180, 85.05112878), (point) => {
        assert.ok(distanceM(point, decodePoint(encodePoint(point))) < 1)
      }),
    ))

  it('is for places on the map', () => {
    assert.ok(isOnMap({ longitude: -180, latitude: 85.05112878 }))
    assert.ok(!isOnMap({ longitude: 180.1, latitude: 0 }))
    assert.ok(!isOnMap({ longitude: 0, latitude: 86 }))
    assert.ok(!isOnMap({ longitude: Number.POSITIVE_INFINITY, latitude: 0 }))
  })

  it('leads to everything within a shape: it lies in one of a few ranges', () =>
    fc.assert(
      fc.property(
        within(150, 60),
        fc.double({ min: 0, max: 6, noNaN: true }),
        fc.double({ min: 0, max: 2 * Math.PI, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.boolean(),
        (center, magnitude, direction, part, isBox) => {
          const radius = 10 ** magnitude
          const shape: Shape = isBox ? { center, width: radius * 2, height: radius } : { center, radius }
          const degrees = (radius * part) / 111_000
          const point = decodePoint(
            encodePoint({
              longitude:
                center.longitude + (degrees * Math.cos(direction)) / Math.cos((center.latitude * Math.PI) / 180),
              latitude: center.latitude + degrees * Math.sin(direction),
            }),
          )
          fc.pre(distanceWithin(shape, point) !== undefined)
          const ranges = coveringRanges(shape)
          const score = encodePoint(point)
          assert.ok(ranges.length <= 9)
          assert.ok(ranges.some(({ from, to }) => score >= from && score < to))
        },
      ),
      { numRuns: 1000 },
    ))
})
