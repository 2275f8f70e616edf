/** Words of a configuration line, split by the quoting rules Redis uses for nodes.conf. */

// A word is bare text, and may end in one quoted part; a closing quote must be followed by a blank or the end.
const WORD = /([^\s"']*)(?:"((?:\\.|[^"\\])*)"|'((?:\\'|\\(?!')|[^'\\])*)')?(?=\s|$)/sy

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' }

/** The words of a line; undefined when a quote is not closed or is followed by text, as in `"a"b`.
 *  Within "..." \n \r \t \b \a \xHH and \<any> are escapes, within '...' only \'. */
export function splitTokens(line: string): string[] | undefined {
  const words: string[] = []
  let at = 0
  for (;;) {
    while (at < line.length && /\s/.test(line[at]!)) at++
    if (at === line.length) return words
    WORD.lastIndex = at
    const match = WORD.exec(line)
    if (!match) return undefined
    const [all, bare = '', double, single] = match
    words.push(bare + unescapeDouble(double ?? '') + (single ?? '').replaceAll("\\'", "'"))
    at += all.length
  }
}

const unescapeDouble = (text: string): string =>
  text.replace(/\\(?:x([0-9a-fA-F]{2})|(.))/gs, (_, hex: string | undefined, char: string) =>
    hex === undefined ? (ESCAPES[char] ?? char) : String.fromCharCode(Number.parseInt(hex, 16)),
  )
