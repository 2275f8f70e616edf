/** Bytes: the small operations every plane needs on them. */

/** A copy that outlives the buffer it was read from. */
export function own(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes)
}

/** Parses a signed 64-bit decimal integer exactly as Redis's string2ll: no blanks, no plus sign, no leading zeros,
 *  no "-0". Returns undefined for anything else. Values beyond 2^53 come back as bigint only through `parseInt64`. */
export function parseInteger(bytes: Uint8Array, start = 0, end = bytes.length): number | undefined {
  const length = end - start
  if (length === 0 || length > 20) return undefined
  let i = start
  const negative = bytes[i] === 0x2d
  if (negative && ++i === end) return undefined
  const first = bytes[i]! - 0x30
  if (first === 0) return length === 1 ? 0 : undefined
  if (first < 1 || first > 9) return undefined
  let value = first
  for (i++; i < end; i++) {
    const digit = bytes[i]! - 0x30
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  if (value > Number.MAX_SAFE_INTEGER) return undefined
  return negative ? -value : value
}

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)

/** As `parseInteger`, over the whole signed 64-bit range. */
export function parseInt64(bytes: Uint8Array, start = 0, end = bytes.length): bigint | undefined {
  const small = parseInteger(bytes, start, end)
  if (small !== undefined) return BigInt(small)
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
  if (!/^-?[1-9][0-9]{0,18}$/.test(text)) return undefined
  const value = BigInt(text)
  return value >= INT64_MIN && value <= INT64_MAX ? value : undefined
}
