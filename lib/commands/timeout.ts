/** How long a blocking command waits. */
import { INFINITE, parseExtended } from '../base/extended.ts'
import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import { clamp } from './args.ts'

/** Argument `i`, seconds with fractions, in milliseconds, rounded up; 0 = for ever. */
export function timeoutSeconds(argv: Argv, i: number): number {
  const seconds = parseExtended(argv.at(i))
  if (seconds === undefined) throw fail('timeout is not a float or out of range')
  const { mantissa, exponent } = seconds
  const ms =
    exponent < 0
      ? -((-mantissa * 1000n) >> BigInt(-exponent))
      : seconds === INFINITE
        ? TOO_LONG
        : (mantissa * 1000n) << BigInt(exponent)
  // What 64 bits cannot hold is not told apart from what is below zero.
  if (ms < 0 || ms >= TOO_LONG) throw fail('timeout is negative')
  return clamp(ms)
}

const TOO_LONG = 2n ** 63n
