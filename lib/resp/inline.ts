/** Splitting a line into words by Redis's quoting rules: used by inline requests and configuration lines.
 *  "..." knows \n \r \t \b \a \xHH and \<any>; '...' knows only \'. */

const ESCAPES: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09, b: 0x08, a: 0x07 }
const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d) || byte === 0
const isHex = (byte: number | undefined): boolean =>
  byte !== undefined && /^[0-9a-fA-F]$/.test(String.fromCharCode(byte))

/** The words of `line`, or undefined when a quote is not closed or is followed by something other than a blank. */
export function splitInline(line: Uint8Array): Buffer[] | undefined {
  const words: Buffer[] = []
  let i = 0
  for (;;) {
    while (i < line.length && isSpace(line[i]!)) i++
    if (i >= line.length) return words
    const word: number[] = []
    while (i < line.length && !isSpace(line[i]!)) {
      const byte = line[i]!
      if (byte !== 0x22 && byte !== 0x27) {
        word.push(byte)
        i++
        continue
      }
      const end = byte === 0x22 ? doubleQuoted(line, i + 1, word) : singleQuoted(line, i + 1, word)
      if (end === undefined || (end < line.length && !isSpace(line[end]!))) return undefined
      i = end
    }
    words.push(Buffer.from(word))
  }
}

function doubleQuoted(line: Uint8Array, from: number, word: number[]): number | undefined {
  let i = from
  while (i < line.length) {
    const byte = line[i]!
    if (byte === 0x22) return i + 1
    if (byte === 0x5c && i + 1 < line.length) {
      if (line[i + 1] === 0x78 && isHex(line[i + 2]) && isHex(line[i + 3])) {
        word.push(Number.parseInt(String.fromCharCode(line[i + 2]!, line[i + 3]!), 16))
        i += 4
        continue
      }
      word.push(ESCAPES[String.fromCharCode(line[i + 1]!)] ?? line[i + 1]!)
      i += 2
      continue
    }
    word.push(byte)
    i++
  }
  return undefined
}

function singleQuoted(line: Uint8Array, from: number, word: number[]): number | undefined {
  let i = from
  while (i < line.length) {
    const byte = line[i]!
    if (byte === 0x27) return i + 1
    const quoted = byte === 0x5c && line[i + 1] === 0x27
    word.push(quoted ? 0x27 : byte)
    i += quoted ? 2 : 1
  }
  return undefined
}
