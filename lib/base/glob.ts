/** Glob patterns as Redis matches them: * ? [abc] [^a-z] and backslash escapes, over bytes. */

const STAR = 0x2a
const QUESTION = 0x3f
const OPEN = 0x5b
const CLOSE = 0x5d
const CARET = 0x5e
const BACKSLASH = 0x5c
const DASH = 0x2d

/** Whether text[from, to) matches `pattern`; with `nocase` ASCII letters compare without case.
 *  Iterative with one backtrack point for the last star, so hostile patterns cost at most O(pattern x text). */
export function globMatch(pattern: Uint8Array, text: Uint8Array, nocase = false, from = 0, to = text.length): boolean {
  let p = 0
  let t = from
  let starAt = -1
  let starText = 0
  while (t < to) {
    if (p < pattern.length && pattern[p] === STAR) {
      starAt = p++
      starText = t
      continue
    }
    const next = p < pattern.length ? matchOne(pattern, p, text[t]!, nocase) : -1
    if (next >= 0) {
      p = next
      t++
      continue
    }
    if (starAt < 0) return false
    p = starAt + 1
    t = ++starText
  }
  while (p < pattern.length && pattern[p] === STAR) p++
  return p === pattern.length
}

/** Matches one byte against the pattern element at `p`; returns where the next element starts, or -1. */
function matchOne(pattern: Uint8Array, p: number, byte: number, nocase: boolean): number {
  const c = pattern[p]!
  if (c === QUESTION) return p + 1
  if (c === OPEN) return matchClass(pattern, p + 1, byte, nocase)
  const literal = c === BACKSLASH && p + 1 < pattern.length ? p + 1 : p
  return same(pattern[literal]!, byte, nocase) ? literal + 1 : -1
}

function matchClass(pattern: Uint8Array, from: number, byte: number, nocase: boolean): number {
  let p = from
  const negated = pattern[p] === CARET
  if (negated) p++
  let found = false
  for (;;) {
    // An unclosed class ends at the end of the pattern, as a real server reads it.
    if (p >= pattern.length) return found !== negated ? p : -1
    if (pattern[p] === BACKSLASH && p + 1 < pattern.length) {
      p++
      if (same(pattern[p]!, byte, nocase)) found = true
    } else if (pattern[p] === CLOSE) {
      return found !== negated ? p + 1 : -1
    } else if (p + 2 < pattern.length && pattern[p + 1] === DASH) {
      let low = fold(pattern[p]!, nocase)
      let high = fold(pattern[p + 2]!, nocase)
      if (low > high) [low, high] = [high, low]
      const b = fold(byte, nocase)
      if (b >= low && b <= high) found = true
      p += 2
    } else if (same(pattern[p]!, byte, nocase)) found = true
    p++
  }
}

const fold = (byte: number, nocase: boolean): number => (nocase && byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte)
const same = (a: number, b: number, nocase: boolean): boolean => fold(a, nocase) === fold(b, nocase)
