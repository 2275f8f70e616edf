/** MAXLEN and MINID: how XADD and XTRIM are told what to keep, and what replicas are told of it. */
import type { StreamValue, Trim } from '../../store/types/stream.ts'
import { formatId, MAX_ID } from '../../store/types/stream-id.ts'
import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { clamp, int64 } from './args.ts'
import type { ArgumentDoc } from './define.ts'
import { word } from './docs.ts'
import { idAt } from './stream-args.ts'

export const TRIM: ArgumentDoc = {
  name: 'trim',
  type: 'block',
  arguments: [
    { name: 'strategy', type: 'oneof', arguments: [word('MAXLEN'), word('MINID', '6.2.0')] },
    {
      name: 'operator',
      type: 'oneof',
      optional: true,
      arguments: [
        { name: 'equal', type: 'pure-token', token: '=' },
        { name: 'approximately', type: 'pure-token', token: '~' },
      ],
    },
    { name: 'threshold', type: 'string' },
    { name: 'count', type: 'integer', token: 'LIMIT', since: '6.2.0', optional: true },
  ],
}

/** What to trim, with the argument that says how much. */
export interface TrimOption extends Trim {
  readonly thresholdAt: number
}

/** What was read of the options so far. */
export interface TrimWords {
  keep?: Trim['keep']
  thresholdAt: number
  approximate: boolean
  limit?: number
}

/** Reads MAXLEN, MINID or LIMIT at argument `i` into `words`: returns its last argument, or -1 when it is none of them. */
export function readTrim(argv: Argv, i: number, words: TrimWords): number {
  const name = argv.word(i)
  if (i + 1 >= argv.count) return -1
  if (name === 'limit') {
    words.limit = count(argv, i + 1, 'LIMIT')
    return i + 1
  }
  if (name !== 'maxlen' && name !== 'minid') return -1
  if (words.keep !== undefined) throw fail('syntax error, MAXLEN and MINID options at the same time are not compatible')
  const operator = i + 2 < argv.count ? argv.text(i + 1) : ''
  words.approximate = operator === '~'
  words.thresholdAt = words.approximate || operator === '=' ? i + 2 : i + 1
  words.keep =
    name === 'maxlen' ? { length: count(argv, words.thresholdAt, 'MAXLEN') } : { from: idAt(argv, words.thresholdAt) }
  return words.thresholdAt
}

function count(argv: Argv, i: number, name: string): number {
  const value = int64(argv, i)
  if (value < 0) throw fail(`The ${name} argument must be >= 0.`)
  return clamp(value)
}

/** What the options add up to; undefined when nothing is to be trimmed. */
export function trimOption(call: Call, { keep, thresholdAt, approximate, limit }: TrimWords): TrimOption | undefined {
  if (keep === undefined && limit)
    throw fail('syntax error, LIMIT cannot be used without specifying a trimming strategy')
  if (keep === undefined && call.entry.command.name === 'xtrim')
    throw fail('syntax error, XTRIM must be called with a trimming strategy')
  // Primaries pass on a LIMIT that they have taken account of.
  if (limit !== undefined && !approximate && !call.client.primary)
    throw fail('syntax error, LIMIT cannot be used without the special ~ option')
  if (keep === undefined) return undefined
  return { keep, thresholdAt, approximate, limit: approximate ? (limit ?? defaultLimit(call)) : 0 }
}

/** A hundred nodes: more could take too long. */
function defaultLimit({ server }: Call): number {
  const entries = server.config.values.streamNodeMaxEntries * 100
  return entries > 0 ? Math.min(entries, 1_000_000) : 10_000
}

/** The request for replicas. How much an approximate trim removes depends on how entries lie in nodes: they are told the result. */
export function exactRequest(argv: Argv, trim: TrimOption | undefined, value: StreamValue): Buffer[] {
  const words: Buffer[] = []
  for (let i = 0; i < argv.count; i++) words.push(argv.own(i))
  if (trim?.approximate === true) {
    words[trim.thresholdAt - 1] = Buffer.from('=')
    const [first] = value.nodes()
    words[trim.thresholdAt] = Buffer.from('length' in trim.keep ? String(value.size) : formatId(first?.id ?? MAX_ID))
  }
  return words
}
