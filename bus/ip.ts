/** IP addresses as text: what may be dialled, in the one spelling every node uses for it. */

/** The canonical text of an IPv4 or IPv6 address, as inet_pton and inet_ntop give it; undefined for anything else, host
 *  names and zones included. Two spellings of one address would otherwise be two nodes. */
export function normalizeIp(text: string): string | undefined {
  if (readIpv4(text)) return text
  const groups = readIpv6(text)
  return groups && writeIpv6(groups)
}

/** Four decimal bytes without leading zeros, which some read as octal; undefined for anything else. */
function readIpv4(text: string): number[] | undefined {
  const parts = text.split('.')
  const isByte = (part: string): boolean => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255
  return parts.length === 4 && parts.every(isByte) ? parts.map(Number) : undefined
}

/** The eight groups of an IPv6 address. */
function readIpv6(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map(readGroups)
  if (!head || (halves.length === 2 && !tail)) return undefined
  if (!tail) return head.length === 8 ? head : undefined
  const missing = 8 - head.length - tail.length
  return missing > 0 ? [...head, ...new Array<number>(missing).fill(0), ...tail] : undefined
}

/** Groups of up to four hexadecimal digits; the last may be an IPv4 address, worth two. */
function readGroups(text: string): number[] | undefined {
  const groups: number[] = []
  const parts = text === '' ? [] : text.split(':')
  for (const [i, part] of parts.entries()) {
    const ipv4 = i === parts.length - 1 ? readIpv4(part) : undefined
    if (ipv4) groups.push(ipv4[0]! * 256 + ipv4[1]!, ipv4[2]! * 256 + ipv4[3]!)
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16))
    else return undefined
  }
  return groups
}

/** The longest run of at least two zero groups, the first of equals, becomes `::`; IPv4-mapped addresses end dotted. */
function writeIpv6(groups: readonly number[]): string {
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (mapped) return `::ffff:${[groups[6]!, groups[7]!].flatMap((g) => [g >> 8, g & 255]).join('.')}`
  let [bestAt, bestLength] = [0, 1]
  for (let at = 0; at < 8; at++) {
    let length = 0
    while (groups[at + length] === 0) length++
    if (length > bestLength) [bestAt, bestLength] = [at, length]
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':')
  return bestLength < 2 ? hex(groups) : `${hex(groups.slice(0, bestAt))}::${hex(groups.slice(bestAt + bestLength))}`
}
