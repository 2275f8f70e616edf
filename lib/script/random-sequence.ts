/** drand48's sequence, which redis-server gives its scripts on every platform: x' = 0x5DEECE66D x + 11 modulo 2^48. */

const MULTIPLIER = 0x5deece66dn
const INCREMENT = 11n
const MASK = 2n ** 48n - 1n
const LOW_OF_SEED = 0x330en
const BITS_DRAWN = 31n
const RANGE = 2 ** 31 - 1

export class RandomSequence {
  #state = 0n

  constructor(seed: number) {
    this.seed(seed)
  }

  seed(seed: number): void {
    this.#state = (BigInt(seed | 0) << 16n) | LOW_OF_SEED
    this.#state &= MASK
  }

  /** A number from 0, below 1. */
  next(): number {
    this.#state = (this.#state * MULTIPLIER + INCREMENT) & MASK
    return (Number(this.#state >> (48n - BITS_DRAWN)) % RANGE) / RANGE
  }
}
