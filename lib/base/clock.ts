/** The one place that reads the wall clock; everything else is given the time. */
import type { Millis } from './brand.ts'

/** Unix time in milliseconds. */
export const wallClock = (): Millis => Date.now() as Millis

/** Unix time in milliseconds as it was when the process started, and from then on by a clock that nobody sets: for judging others
 *  by the time that has passed. */
export const steadyClock = (): Millis => Math.floor(performance.timeOrigin + performance.now()) as Millis

/** Microseconds of a clock that never goes back: for durations only. */
export const monotonicMicros = (): number => Math.round(performance.now() * 1000)
