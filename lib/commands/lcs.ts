/** LCS: the longest common subsequence of two strings, with the ranges where it lies. */
import { ClientError, fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { position } from './args.ts'
import type { Command } from './define.ts'
import { option } from './docs.ts'

export const lcs: Command = {
  name: 'lcs',
  group: 'string',
  arity: -3,
  flags: ['readonly'],
  keys: { first: 1, last: 2, step: 1, flags: ['RO', 'access'] },
  since: '7.0.0',
  summary: 'Find longest common substring',
  complexity: 'O(N*M) where N and M are the lengths of s1 and s2, respectively',
  arguments: [
    { name: 'key1', type: 'key', keySpec: 0 },
    { name: 'key2', type: 'key', keySpec: 0 },
    option('LEN'),
    option('IDX'),
    { name: 'len', type: 'integer', token: 'MINMATCHLEN', optional: true },
    option('WITHMATCHLEN'),
  ],
  run: replyLcs,
}

interface Options {
  length: boolean
  ranges: boolean
  withMatchLength: boolean
  minMatchLength: number
}

function readOptions(argv: Argv): Options {
  const options = { length: false, ranges: false, withMatchLength: false, minMatchLength: 0 }
  for (let i = 3; i < argv.count; i++) {
    const name = argv.word(i)
    if (name === 'idx') options.ranges = true
    else if (name === 'len') options.length = true
    else if (name === 'withmatchlen') options.withMatchLength = true
    else if (name === 'minmatchlen' && i + 1 < argv.count) options.minMatchLength = Math.max(0, position(argv, ++i))
    else throw SYNTAX
  }
  return options
}

const NOT_STRINGS = new ClientError('ERR The specified keys must contain string values')

function stringAt(call: Call, argv: Argv, i: number): Buffer {
  const value = call.db.read(argv.key(i))
  if (value !== undefined && value.type !== 'string') throw NOT_STRINGS
  return value?.bytes ?? Buffer.alloc(0)
}

function replyLcs(call: Call, argv: Argv): void {
  const { reply } = call
  const a = stringAt(call, argv, 1)
  const b = stringAt(call, argv, 2)
  const options = readOptions(argv)
  if (options.length && options.ranges) throw fail('If you want both the length and indexes, please just use IDX.')
  const cells = (a.length + 1) * (b.length + 1)
  if (cells * Uint32Array.BYTES_PER_ELEMENT > call.server.config.values.protoMaxBulkLen)
    throw fail('Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len')
  const lengths = lengthTable(a, b)
  if (options.length) return reply.integer(lengths[cells - 1]!)
  const found = walkBack(a, b, lengths)
  if (!options.ranges) return reply.bulk(found.bytes)
  replyRanges(call, found, options)
}

/** lengths[i * (b.length + 1) + j]: of the longest common subsequence of the first i bytes of a and the first j of b. */
function lengthTable(a: Uint8Array, b: Uint8Array): Uint32Array {
  const width = b.length + 1
  const lengths = new Uint32Array((a.length + 1) * width)
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++) {
      const at = i * width + j
      const above = lengths[at - width]!
      const before = lengths[at - 1]!
      lengths[at] = a[i - 1] === b[j - 1] ? lengths[at - width - 1]! + 1 : Math.max(above, before)
    }
  return lengths
}

/** Bytes that match without a gap, as inclusive positions in both strings. */
interface Match {
  readonly aStart: number
  readonly aEnd: number
  readonly bStart: number
  readonly bEnd: number
}

interface Found {
  readonly bytes: Buffer
  /** Last match first. */
  readonly matches: readonly Match[]
}

function walkBack(a: Uint8Array, b: Uint8Array, lengths: Uint32Array): Found {
  const width = b.length + 1
  let left = lengths[lengths.length - 1]!
  const bytes = Buffer.allocUnsafe(left)
  const matches: Match[] = []
  let i = a.length
  let j = b.length
  /** Bytes of the match that is open; 0 = none is. */
  let run = 0
  const close = (): void => {
    if (run > 0) matches.push({ aStart: i, aEnd: i + run - 1, bStart: j, bEnd: j + run - 1 })
    run = 0
  }
  while (i > 0 && j > 0) {
    if (a[i - 1] === b[j - 1]) {
      bytes[--left] = a[i - 1]!
      i--
      j--
      run++
      continue
    }
    close()
    if (lengths[(i - 1) * width + j]! > lengths[i * width + j - 1]!) i--
    else j--
  }
  close()
  return { bytes, matches }
}

function replyRanges({ reply }: Call, found: Found, options: Options): void {
  const matches = found.matches.filter((match) => match.aEnd - match.aStart + 1 >= options.minMatchLength)
  reply.map(2)
  reply.text('matches')
  reply.array(matches.length)
  for (const { aStart, aEnd, bStart, bEnd } of matches) {
    reply.array(options.withMatchLength ? 3 : 2)
    for (const [start, end] of [
      [aStart, aEnd],
      [bStart, bEnd],
    ] as const) {
      reply.array(2)
      reply.integer(start)
      reply.integer(end)
    }
    if (options.withMatchLength) reply.integer(aEnd - aStart + 1)
  }
  reply.text('len')
  reply.integer(found.bytes.length)
}
