/** Floats of 64 significant bits, the x87 `long double` in which a real server adds up INCRBYFLOAT and HINCRBYFLOAT. Exact
 *  integers stand in for the hardware: every operation computes the true result and rounds it once, half to even. */

/** A finite number: mantissa x 2^exponent. */
export interface Extended {
  readonly mantissa: bigint
  readonly exponent: number
}

export const ZERO: Extended = { mantissa: 0n, exponent: 0 }
/** Either infinity: whoever meets it refuses, so the sign does not matter. */
export const INFINITE: Extended = { mantissa: 1n, exponent: Number.POSITIVE_INFINITY }

const BITS = 64
/** Of the smallest denormal number and of the largest number, for mantissas of 64 bits. */
const LEAST_EXPONENT = -16445
const GREATEST_EXPONENT = 16320
/** Decimal or binary exponents beyond this are out of range whatever the mantissa: it has at most `MAX_TEXT` digits. */
const ABSURD_EXPONENT = 50_000
const MAX_TEXT = 5 * 1024
/** Digits after the point that are printed. */
const PLACES = 17
const SCALE = 10n ** BigInt(PLACES)

const DECIMAL = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i
const HEXADECIMAL = /^([+-]?)0x([0-9a-f]*)\.?([0-9a-f]*)(?:p([+-]?\d+))?$/i
const INFINITY = /^[+-]?inf(inity)?$/i

/** Reads what C's strtold takes as a whole: decimal, hexadecimal, "inf". Undefined for anything else, for NaN, and for what is
 *  too large or too small for the format. */
export function parseExtended(bytes: Uint8Array): Extended | undefined {
  if (bytes.length === 0 || bytes.length >= MAX_TEXT) return undefined
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).latin1Slice()
  if (INFINITY.test(text)) return INFINITE
  const hex = HEXADECIMAL.exec(text)
  const [, sign, whole = '', fraction = '', power = '0'] = hex ?? DECIMAL.exec(text) ?? []
  if (whole === '' && fraction === '') return undefined
  const digits = BigInt(`${hex ? '0x' : ''}${whole}${fraction}`)
  if (digits === 0n) return ZERO
  const exponent = Number(power) - fraction.length * (hex ? 4 : 1)
  if (Math.abs(exponent) > ABSURD_EXPONENT) return undefined
  const value = hex ? round(digits, 1n, exponent) : fromDecimal(digits, exponent)
  if (value === INFINITE || value.mantissa === 0n) return undefined
  return sign === '-' ? { mantissa: -value.mantissa, exponent: value.exponent } : value
}

/** The sum; INFINITE when an operand is or when it is too large. */
export function addExtended(a: Extended, b: Extended): Extended {
  if (a === INFINITE || b === INFINITE) return INFINITE
  const exponent = Math.min(a.exponent, b.exponent)
  const sum = (a.mantissa << BigInt(a.exponent - exponent)) + (b.mantissa << BigInt(b.exponent - exponent))
  if (sum >= 0n) return round(sum, 1n, exponent)
  const rounded = round(-sum, 1n, exponent)
  return rounded === INFINITE ? INFINITE : { mantissa: -rounded.mantissa, exponent: rounded.exponent }
}

/** As C prints it with `%.17Lf`, without trailing zeros. */
export function formatExtended({ mantissa, exponent }: Extended): string {
  if (exponent >= 0) return (mantissa << BigInt(exponent)).toString()
  const size = mantissa < 0n ? -mantissa : mantissa
  const scaled = halfToEven(size * SCALE, 1n << BigInt(-exponent))
  if (scaled === 0n) return '0'
  const digits = scaled.toString().padStart(PLACES + 1, '0')
  const fraction = digits.slice(-PLACES).replace(/0+$/, '')
  return `${mantissa < 0n ? '-' : ''}${digits.slice(0, -PLACES)}${fraction === '' ? '' : '.'}${fraction}`
}

function fromDecimal(digits: bigint, exponent: number): Extended {
  const power = 10n ** BigInt(Math.abs(exponent))
  return exponent < 0 ? round(digits, power, 0) : round(digits * power, 1n, 0)
}

/** numerator / denominator x 2^exponent, as near as 64 bits can say it. */
function round(numerator: bigint, denominator: bigint, exponent: number): Extended {
  if (numerator === 0n) return ZERO
  // So many bits are too many: the quotient has 64 of its own after the shift, or 65, then it is shifted once more.
  let excess = bitLength(numerator) - bitLength(denominator) - BITS
  if (shifted(numerator, -excess - BITS) >= shifted(denominator, excess + BITS)) excess++
  excess = Math.max(excess, LEAST_EXPONENT - exponent)
  const mantissa = halfToEven(shifted(numerator, -excess), shifted(denominator, excess))
  const scale = exponent + excess
  const tooLarge = scale > GREATEST_EXPONENT || (scale === GREATEST_EXPONENT && mantissa >> BigInt(BITS) > 0n)
  return tooLarge ? INFINITE : { mantissa, exponent: scale }
}

const bitLength = (value: bigint): number => {
  const hex = value.toString(16)
  return hex.length * 4 - Math.clz32(Number.parseInt(hex[0]!, 16)) + 28
}

/** Shifted left; a negative distance leaves it as it is (the other side of the fraction is shifted instead). */
const shifted = (value: bigint, by: number): bigint => (by > 0 ? value << BigInt(by) : value)

function halfToEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator
  const rest = (numerator - quotient * denominator) * 2n
  if (rest < denominator) return quotient
  return rest > denominator || (quotient & 1n) === 1n ? quotient + 1n : quotient
}
