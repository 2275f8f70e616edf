/** MurmurHash64A, the little-endian form Redis uses for HyperLogLog, in 32-bit halves. */

/** Scratch for the halves of a product. */
const product = new Uint32Array(2)

/** The low 64 bits of (ah:al) * (bh:bl) into `product` as [low, high]. */
function multiply(al: number, ah: number, bl: number, bh: number): void {
  const a0 = al & 0xffff
  const a1 = al >>> 16
  const b0 = bl & 0xffff
  const b1 = bl >>> 16
  const low = a0 * b0
  const middle = a1 * b0 + (low >>> 16)
  const carry = (middle & 0xffff) + a0 * b1
  product[0] = (carry << 16) | (low & 0xffff)
  const high = a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)
  product[1] = (high + Math.imul(al, bh) + Math.imul(ah, bl)) >>> 0
}

const M_LOW = 0x5bd1e995
const M_HIGH = 0xc6a4a793
const SHIFT = 47 - 32

/** The hash of `bytes` as [low, high] 32-bit halves. */
export function murmurHash64(bytes: Uint8Array, seed: number): readonly [low: number, high: number] {
  multiply(bytes.length >>> 0, 0, M_LOW, M_HIGH)
  let low = (product[0]! ^ seed) >>> 0
  let high = product[1]!
  const words = bytes.length & ~7
  for (let i = 0; i < words; i += 8) {
    multiply(word(bytes, i), word(bytes, i + 4), M_LOW, M_HIGH)
    const kLow = (product[0]! ^ (product[1]! >>> SHIFT)) >>> 0
    multiply(kLow, product[1]!, M_LOW, M_HIGH)
    multiply(low ^ product[0]!, high ^ product[1]!, M_LOW, M_HIGH)
    low = product[0]!
    high = product[1]!
  }
  if (words < bytes.length) {
    for (let i = bytes.length - 1; i >= words; i--) {
      const shift = (i - words) * 8
      if (shift < 32) low = (low ^ (bytes[i]! << shift)) >>> 0
      else high = (high ^ (bytes[i]! << (shift - 32))) >>> 0
    }
    multiply(low, high, M_LOW, M_HIGH)
    low = product[0]!
    high = product[1]!
  }
  multiply(low ^ (high >>> SHIFT), high, M_LOW, M_HIGH)
  return [(product[0]! ^ (product[1]! >>> SHIFT)) >>> 0, product[1]!]
}

const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
