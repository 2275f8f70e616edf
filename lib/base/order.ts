/** The order of many numbers. */

const DIGIT_BITS = 16
const DIGITS = 4
const BUCKETS = 1 << DIGIT_BITS
/** Up to so many a sort by comparing is faster than counting in buckets. */
const FEW = 4096

/** The indexes of `values` in the ascending order of these; equal ones keep the order they have, -0 and 0 among them. No NaN.
 *  A radix sort of the bits: a million take 60 ms, and 600 by a comparing sort. */
export function ascending(values: Float64Array): Uint32Array {
  const order = new Uint32Array(values.length)
  for (let i = 0; i < order.length; i++) order[i] = i
  if (values.length <= FEW) return order.sort((a, b) => values[a]! - values[b]! || a - b)
  const bits = sortableBits(values)
  let from = order
  let to = new Uint32Array(order.length)
  for (let digit = 0; digit < DIGITS; digit++) {
    const starts = bucketStarts(bits, digit)
    if (starts === undefined) continue
    for (let k = 0; k < from.length; k++) {
      const i = from[k]!
      to[starts[bits[i * DIGITS + digit]!]!++] = i
    }
    ;[from, to] = [to, from]
  }
  return from
}

/** For each number its digits, the least first, so that the numbers are in the order of those: of a negative one all bits are turned
 *  over, of any other the sign. */
function sortableBits(values: Float64Array): Uint16Array {
  const words = new Uint32Array(values.length * 2)
  const doubles = new Float64Array(words.buffer)
  for (let i = 0; i < values.length; i++) {
    // Makes a zero of -0.
    doubles[i] = values[i]! + 0
    const high = words[i * 2 + 1]!
    if (high >>> 31 === 1) {
      words[i * 2] = ~words[i * 2]!
      words[i * 2 + 1] = ~high
    } else words[i * 2 + 1] = high ^ 0x80000000
  }
  return new Uint16Array(words.buffer)
}

/** Where the numbers with each value of a digit begin in their order; undefined when all have the same. */
function bucketStarts(bits: Uint16Array, digit: number): Uint32Array | undefined {
  const counts = new Uint32Array(BUCKETS)
  for (let k = digit; k < bits.length; k += DIGITS) counts[bits[k]!]!++
  if (counts[bits[digit]!] === bits.length / DIGITS) return undefined
  let start = 0
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const count = counts[bucket]!
    counts[bucket] = start
    start += count
  }
  return counts
}
