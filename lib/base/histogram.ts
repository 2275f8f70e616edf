/** How often values of which size were seen, from 1 to 10^9, each known to better than one percent: buckets of equal width between two
 *  powers of two, 128 of them, as HdrHistogram lays them out with two significant digits. */

const LEAST = 1
const MOST = 1_000_000_000
/** Below this every value has a bucket of its own. */
const EXACT = 256
const HALF_BITS = 7
const HALF = 1 << HALF_BITS

export class Histogram {
  /** By bucket; grows to the largest value seen. */
  #counts: number[] = []
  #total = 0

  get total(): number {
    return this.#total
  }

  /** Counts a value, which is moved into the range. */
  record(value: number, times = 1): void {
    const bucket = bucketOf(Math.min(MOST, Math.max(LEAST, Math.floor(value))))
    while (this.#counts.length <= bucket) this.#counts.push(0)
    this.#counts[bucket]! += times
    this.#total += times
  }

  /** A value that so many percent of all are not above: the largest of its bucket. 0 when nothing was seen. */
  percentile(percent: number): number {
    const wanted = Math.max(1, Math.floor((percent / 100) * this.#total + 0.5))
    let seen = 0
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count
      if (seen >= wanted) return largestOf(bucket)
    }
    return 0
  }

  /** How many values are at most `first`, twice that, four times ...: pairs of the largest value of the bucket of that bound, and how
   *  many there are up to there, wherever that has become more. */
  *doublings(first: number): Generator<readonly [most: number, count: number]> {
    let seen = 0
    let bucket = 0
    for (let bound = first; seen < this.#total; bound *= 2) {
      const before = seen
      for (const last = bucketOf(bound); bucket <= last; bucket++) seen += this.#counts[bucket] ?? 0
      if (seen > before) yield [largestOf(bucketOf(bound)), seen]
    }
  }
}

/** The first 256 values, then 128 buckets for each doubling. */
function bucketOf(value: number): number {
  if (value < EXACT) return value
  const shift = 31 - Math.clz32(value) - HALF_BITS
  return shift * HALF + (value >>> shift)
}

function largestOf(bucket: number): number {
  if (bucket < EXACT) return bucket
  const shift = (bucket >> HALF_BITS) - 1
  return (bucket - shift * HALF + 1) * 2 ** shift - 1
}
