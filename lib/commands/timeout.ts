/** How long a blocking command waits. */
import { type Extended, INFINITE, parseExtended } from '../base/extended.ts'
import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'

/** Argument `i`, seconds with fractions, in milliseconds, rounded up; 0 = for ever. */
export function timeoutSeconds(argv: Argv, i: number): number {
  const seconds = parseExtended(argv.at(i))
  if (seconds === undefined) throw fail('timeout is not a float or out of range')
  if (argv.at(i)[0] === MINUS && seconds.mantissa !== 0n) throw fail('timeout is negative')
  const ms = milliseconds(seconds)
  if (ms >= TOO_LONG) throw fail('timeout is out of range')
  return Math.min(ms, Number.MAX_SAFE_INTEGER)
}

const MINUS = 0x2d
const TOO_LONG = 2 ** 63

/** The least span is a millisecond: nothing would mean for ever. */
function milliseconds(seconds: Extended): number {
  if (seconds === INFINITE) return Number.POSITIVE_INFINITY
  if (seconds.mantissa === 0n) return 0
  return Math.max(1, Math.ceil(Number(seconds.mantissa) * 2 ** seconds.exponent * 1000))
}
