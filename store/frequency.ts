/** How often a key is used, as Redis counts it under an LFU policy: in the 24 bits that otherwise hold the time of the last access are
 *  the minute in which the counter last became smaller (16 bits) and the counter (8 bits). It is logarithmic: the higher it is, the
 *  less likely is an access to raise it. And it fades: every so many minutes without an access take one from it. */
import type { Millis } from '../lib/base/brand.ts'
import type { Clock } from './entries.ts'

/** The two directives. `lfuDecayTime`: minutes that take one off; 0: none do. */
export interface FrequencySettings {
  readonly lfuLogFactor: number
  readonly lfuDecayTime: number
}

/** The counter of a key that is new: without it, new keys would be the first to go. */
const FIRST = 5
const MOST = 255
const MINUTE_MASK = 0xffff

const minuteOf = (now: Millis): number => Math.floor(now / 60_000) & MINUTE_MASK
const wordOf = (minute: number, counter: number): Clock => (minute << 8) | counter

export class Frequency {
  /** Read each time: CONFIG SET changes them. */
  readonly #settings: FrequencySettings
  readonly #float: () => number

  constructor(settings: FrequencySettings, float: () => number) {
    this.#settings = settings
    this.#float = float
  }

  /** What a new key notes. */
  first(now: Millis): Clock {
    return wordOf(minuteOf(now), FIRST)
  }

  /** What a key notes of which the counter is known (RESTORE FREQ). */
  known(now: Millis, counter: number): Clock {
    return wordOf(minuteOf(now), counter)
  }

  /** What a key notes that is used. */
  used(word: Clock, now: Millis): Clock {
    const counter = this.counter(word, now)
    if (counter === MOST) return wordOf(minuteOf(now), counter)
    const odds = 1 / (Math.max(0, counter - FIRST) * this.#settings.lfuLogFactor + 1)
    return wordOf(minuteOf(now), this.#float() < odds ? counter + 1 : counter)
  }

  /** The counter as it is by now. */
  counter(word: Clock, now: Millis): number {
    const { lfuDecayTime } = this.#settings
    const minutes = (minuteOf(now) - (word >>> 8)) & MINUTE_MASK
    return lfuDecayTime === 0 ? word & MOST : Math.max(0, (word & MOST) - Math.floor(minutes / lfuDecayTime))
  }
}
