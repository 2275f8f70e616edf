/** SCAN: every key, a few at a time. */
import type { Database } from '../../store/keyspace.ts'
import { typeName } from '../../store/value.ts'
import { globMatch } from '../base/glob.ts'
import type { Key } from '../base/key.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import { position } from './args.ts'
import type { Command } from './define.ts'

export const scan: Command = {
  name: 'scan',
  group: 'generic',
  arity: -2,
  flags: ['readonly'],
  since: '2.8.0',
  summary: 'Incrementally iterate the keys space',
  complexity:
    'O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.',
  tips: ['nondeterministic_output', 'request_policy:special'],
  arguments: [
    { name: 'cursor', type: 'integer' },
    { name: 'pattern', type: 'pattern', token: 'MATCH', optional: true },
    { name: 'count', type: 'integer', token: 'COUNT', optional: true },
    { name: 'type', type: 'string', token: 'TYPE', since: '6.0.0', optional: true },
  ],
  run({ db, reply }, argv) {
    const cursor = readCursor(argv.text(1))
    const options = readOptions(argv, 2, 'scan')
    const { next, keys } = db.scan(cursor, options.count)
    reply.array(2)
    reply.text(String(next))
    const mark = reply.length
    let count = 0
    for (const key of keys) {
      if (options.pattern !== undefined && !globMatch(options.pattern, key.bytes)) continue
      if (!isFound(db, key, options.type)) continue
      reply.bulk(key.bytes)
      count++
    }
    reply.arrayFrom(mark, count)
  },
}

/** Past its deadline a key is removed here, if it may be, and not named in any case. */
function isFound(db: Database, key: Key, type: string | undefined): boolean {
  if (type === undefined) return db.expireAt(key) !== undefined
  const value = db.peek(key)
  return value !== undefined && typeName(value) === type
}

const MAX_CURSOR = 2n ** 64n - 1n

/** A cursor is what C's strtoul takes for an unsigned 64-bit number: empty is 0, a sign is allowed. What no server has given
 *  out is an end of the scan like any other. */
export function readCursor(text: string): number {
  if (!/^(?:[+-]?\d+)?$/.test(text)) throw INVALID_CURSOR
  const size = BigInt(text.replace(/^[+-]/, ''))
  if (size > MAX_CURSOR) throw INVALID_CURSOR
  const value = text.startsWith('-') ? BigInt.asUintN(64, -size) : size
  return Number(value)
}

const INVALID_CURSOR = fail('invalid cursor')

/** What every SCAN can be asked for; TYPE by SCAN alone, NOVALUES by HSCAN alone. */
export interface ScanOptions {
  readonly pattern: Buffer | undefined
  readonly count: number
  /** Lowercase. */
  readonly type: string | undefined
  /** Fields without their values. */
  readonly noValues: boolean
}

const DEFAULT_COUNT = 10

/** Reads the options from argument `from` on. */
export function readOptions(argv: Argv, from: number, command: 'scan' | 'hscan' | 'other'): ScanOptions {
  let pattern: Buffer | undefined
  let count = DEFAULT_COUNT
  let type: string | undefined
  let noValues = false
  for (let i = from; i < argv.count; i += 2) {
    const name = argv.word(i)
    if (name === 'novalues' && command === 'hscan') {
      noValues = true
      // It stands alone, where the others come with a value.
      i--
      continue
    }
    if (i + 1 >= argv.count) throw SYNTAX
    if (name === 'match') pattern = argv.own(i + 1)
    else if (name === 'type' && command === 'scan') type = argv.word(i + 1)
    else if (name === 'count') {
      count = position(argv, i + 1)
      if (count < 1) throw SYNTAX
    } else throw SYNTAX
  }
  return { pattern, count, type, noValues }
}
