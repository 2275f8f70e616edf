/** Text as a configuration line must show it, so that `splitInline` reads the same bytes back. */

const NAMED: ReadonlyMap<number, string> = new Map([
  [0x5c, '\\\\'],
  [0x22, '\\"'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x09, '\\t'],
  [0x07, '\\a'],
  [0x08, '\\b'],
])

/** The UTF-8 bytes of `text` between double quotes, everything but printable ASCII escaped. */
export const quote = (text: string): string => quoteBytes(Buffer.from(text))

/** As `quote`, for bytes: the form in which MONITOR shows arguments. */
export function quoteBytes(bytes: Uint8Array): string {
  let quoted = '"'
  for (const byte of bytes)
    quoted +=
      NAMED.get(byte) ??
      (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`)
  return `${quoted}"`
}
