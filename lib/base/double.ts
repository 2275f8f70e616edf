/** Doubles as C reads and prints them: what a real server stores, answers and replicates as the text of a score. */

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const HEXADECIMAL = /^([+-]?)0x([0-9a-f]*)\.?([0-9a-f]*)(?:p([+-]?\d+))?$/i
const INFINITE = /^[+-]?inf(?:inity)?$/i
/** The mantissa has a digit that is not zero. */
const NOT_ZERO = /^[+-]?(?:0x[0.]*[1-9a-f]|[0.]*[1-9])/i

/** What strtod makes of a text that it takes as a whole: decimal, hexadecimal, "inf". Beyond the range of doubles it is
 *  infinite or zero. Undefined for anything else, NaN included. */
export function readDouble(text: string): number | undefined {
  if (DECIMAL.test(text)) return Number(text)
  if (INFINITE.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  const [, sign, whole = '', fraction = '', power = '0'] = HEXADECIMAL.exec(text) ?? []
  if (whole === '' && fraction === '') return undefined
  // Both steps are exact, apart from the one rounding that a mantissa of more than 53 bits asks for.
  const size = Number(BigInt(`0x${whole}${fraction}`)) * 2 ** (Number(power) - fraction.length * 4)
  return sign === '-' ? -size : size
}

/** As many decimal digits are an integer that a double holds exactly. */
const EXACT_DIGITS = 15

/** What `readDouble` makes of bytes[start, end) when they are but few digits, after a minus perhaps, as most scores are: no text is
 *  made of them. Undefined for anything else. */
export function parseDigits(bytes: Uint8Array, start: number, end: number): number | undefined {
  const isNegative = bytes[start] === 0x2d
  const first = isNegative ? start + 1 : start
  if (first >= end || end - first > EXACT_DIGITS) return undefined
  let value = 0
  for (let i = first; i < end; i++) {
    const digit = bytes[i]! - 0x30
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  return isNegative ? -value : value
}

/** As `readDouble`; a number beyond the range of doubles is undefined too. */
export function parseDouble(text: string): number | undefined {
  const value = readDouble(text)
  if (value === undefined) return undefined
  const outOfRange = value === 0 ? NOT_ZERO.test(text) : !Number.isFinite(value) && !INFINITE.test(text)
  return outOfRange ? undefined : value
}

/** Significant digits: enough to tell any two doubles apart. */
const DIGITS = 17
/** Below 10 to this power, and from 10^DIGITS on, `%g` chooses the form with an exponent. */
const LEAST_PLAIN = -4

/** A double as C prints it with `%.17g`: 0.1 is 0.10000000000000001; infinities are inf and -inf. */
export function formatDouble(value: number): string {
  if (Number.isSafeInteger(value)) return Object.is(value, -0) ? '-0' : String(value)
  return formatGeneral(value, DIGITS)
}

/** The same with fewer significant digits: `%.<places>g`. */
export function formatGeneral(value: number, places: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const [mantissa, power] = value.toExponential(places - 1).split('e') as [string, string]
  const exponent = Number(power)
  const sign = value < 0 ? '-' : ''
  const digits = roundTie(value, places - exponent, mantissa.replace(/[-.]/g, '')).replace(/0+$/, '')
  if (exponent >= LEAST_PLAIN && exponent < places) return sign + withPoint(digits, exponent + 1)
  const size = String(Math.abs(exponent)).padStart(2, '0')
  return `${sign}${withPoint(digits, 1)}e${exponent < 0 ? '-' : '+'}${size}`
}

/** From here on JavaScript would print an exponent; there is no fraction either. */
const LARGE = 1e21

/** A double as C prints it with `%.<places>f`. */
export function formatFixed(value: number, places: number): string {
  if (!Number.isFinite(value)) return formatDouble(value)
  if (Math.abs(value) >= LARGE) return `${BigInt(value)}.${'0'.repeat(places)}`
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  return sign + roundTie(value, places + 1, Math.abs(value).toFixed(places))
}

/** C rounds what lies exactly between two texts to the even one, JavaScript away from zero. Such a value has one digit
 *  more than is printed: scaled by as many powers of two as it has decimal places, it is an odd integer. */
function roundTie(value: number, places: number, digits: string): string {
  const isTie = Math.abs(value * 2 ** places) % 2 === 1
  const last = digits.charCodeAt(digits.length - 1) - 0x30
  return isTie && last % 2 === 1 ? digits.slice(0, -1) + String(last - 1) : digits
}

/** Digits with the decimal point after `whole` of them: none, or fewer than none, when the number is below one. */
function withPoint(digits: string, whole: number): string {
  if (whole <= 0) return `0.${'0'.repeat(-whole)}${digits}`
  if (digits.length <= whole) return digits.padEnd(whole, '0')
  return `${digits.slice(0, whole)}.${digits.slice(whole)}`
}
