/** Bytes as text between double quotes, so that `splitInline` reads the same bytes back: configuration lines, MONITOR. */

const NAMED: ReadonlyMap<number, string> = new Map([
  [0x5c, '\\\\'],
  [0x22, '\\"'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x09, '\\t'],
  [0x07, '\\a'],
  [0x08, '\\b'],
])

/** Everything but printable ASCII is escaped. */
export function quoteBytes(bytes: Uint8Array): string {
  let quoted = '"'
  for (const byte of bytes)
    quoted +=
      NAMED.get(byte) ??
      (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`)
  return `${quoted}"`
}
