/** The one place that reads the wall clock; everything else is given the time. */
import type { Millis } from './brand.ts'

/** Unix time in milliseconds. */
export const wallClock = (): Millis => Date.now() as Millis

/** Microseconds of a clock that never goes back: for durations only. */
export const monotonicMicros = (): number => Math.round(performance.now() * 1000)
