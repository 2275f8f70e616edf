/** Randomness as an input: the system's for a node, a seeded one for tests and the simulator. */
import { randomBytes } from 'node:crypto'

export interface Random {
  /** A float in [0, 1). */
  float(): number
  /** An integer in [0, bound). */
  below(bound: number): number
  /** `length` lowercase hexadecimal characters. */
  hex(length: number): string
}

export const systemRandom: Random = {
  float: () => Math.random(),
  below: (bound) => Math.floor(Math.random() * bound),
  hex: (length) =>
    randomBytes(Math.ceil(length / 2))
      .toString('hex')
      .slice(0, length),
}

/** xoshiro128** from a 32-bit seed: equal seeds give equal worlds on every machine. */
export function seededRandom(seed: number): Random {
  let s0 = splitmix(seed)
  let s1 = splitmix(s0 ^ 0x9e3779b9)
  let s2 = splitmix(s1 ^ 0x85ebca6b)
  let s3 = splitmix(s2 ^ 0xc2b2ae35) | 1
  const next = (): number => {
    const result = Math.imul(rotl(Math.imul(s1, 5), 7), 9) >>> 0
    const t = s1 << 9
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = rotl(s3, 11)
    return result
  }
  const float = (): number => next() / 0x1_0000_0000
  return {
    float,
    below: (bound) => Math.floor(float() * bound),
    hex(length) {
      let text = ''
      while (text.length < length) text += next().toString(16).padStart(8, '0')
      return text.slice(0, length)
    },
  }
}

const rotl = (x: number, k: number): number => (x << k) | (x >>> (32 - k))

function splitmix(seed: number): number {
  let z = (seed + 0x9e3779b9) | 0
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
  return (z ^ (z >>> 15)) | 0
}
