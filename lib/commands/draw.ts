/** Drawing elements at random: HRANDFIELD, SRANDMEMBER, ZRANDMEMBER. */
import type { Random } from '../base/random.ts'
import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import { INT64_MAX, integerWithin } from './args.ts'

/** More draws than this make a reply that no buffer holds. */
const MOST = 2 ** 28

/** How many elements argument `i` asks for: negative when each draw is by itself, so that one may come twice. Throws an "out of
 *  range" error. */
export function drawCount(argv: Argv, i: number): number {
  const count = integerWithin(argv, i, -INT64_MAX, INT64_MAX)
  if (count < -MOST) throw fail('value is out of range')
  return count
}

/** How many come of `size` elements when `count` are asked for. */
export const drawnOf = (size: number, count: number): number => (count < 0 ? -count : Math.min(count, size))

/** The places below `size`, which is at least 1, of the elements drawn. */
export function* draw(random: Random, size: number, count: number): Generator<number> {
  if (count < 0) for (let i = count; i < 0; i++) yield random.below(size)
  else if (count >= size) for (let place = 0; place < size; place++) yield place
  else if (count < size * SPARSE) yield* shuffledSparsely(random, size, count)
  else yield* shuffled(random, size, count)
}

/** Up to this share of all places it takes less to write down those that have moved than all of them. */
const SPARSE = 1 / 16

/** The head of a shuffle of all places. */
function* shuffled(random: Random, size: number, count: number): Generator<number> {
  const places = new Uint32Array(size)
  for (let place = 0; place < size; place++) places[place] = place
  for (let i = 0; i < count; i++) {
    const from = i + random.below(size - i)
    const drawn = places[from]!
    places[from] = places[i]!
    yield drawn
  }
}

/** As `shuffled`, with only those written down that have moved. */
function* shuffledSparsely(random: Random, size: number, count: number): Generator<number> {
  const moved = new Map<number, number>()
  for (let i = 0; i < count; i++) {
    const from = i + random.below(size - i)
    yield moved.get(from) ?? from
    moved.set(from, moved.get(i) ?? i)
  }
}
