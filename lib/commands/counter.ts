/** Strings that are numbers. */
import { INTEGER_TEXT, stringOf, writeInteger } from '../../store/types/string.ts'
import { parseInt64, parseInteger } from '../base/bytes.ts'
import { addExtended, type Extended, formatExtended, INFINITE, parseExtended, ZERO } from '../base/extended.ts'
import { type ClientError, fail, NOT_FLOAT, NOT_INTEGER, OVERFLOW } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { int64, stringForWrite, viewStringForWrite } from './args.ts'
import { type Command, family, firstKey } from './define.ts'
import { KEY } from './docs.ts'

const counter = (row: Pick<Command, 'name' | 'arity' | 'since' | 'summary' | 'arguments' | 'run'>): Command => ({
  group: 'string',
  flags: ['write', 'denyoom', 'fast'],
  keys: firstKey('RW', 'access', 'update'),
  complexity: 'O(1)',
  ...row,
})

export const counterCommands = family(
  counter({
    name: 'decr',
    arity: 2,
    since: '1.0.0',
    summary: 'Decrement the integer value of a key by one',
    arguments: [KEY],
    run: (call, argv) => increment(call, argv, -1),
  }),
  counter({
    name: 'decrby',
    arity: 3,
    since: '1.0.0',
    summary: 'Decrement the integer value of a key by the given number',
    arguments: [KEY, { name: 'decrement', type: 'integer' }],
    run(call, argv) {
      const by = int64(argv, 2)
      if (by === INT64_MIN) throw fail('decrement would overflow')
      increment(call, argv, -by)
    },
  }),
  counter({
    name: 'incr',
    arity: 2,
    since: '1.0.0',
    summary: 'Increment the integer value of a key by one',
    arguments: [KEY],
    run: (call, argv) => increment(call, argv, 1),
  }),
  counter({
    name: 'incrby',
    arity: 3,
    since: '1.0.0',
    summary: 'Increment the integer value of a key by the given amount',
    arguments: [KEY, { name: 'increment', type: 'integer' }],
    run: (call, argv) => increment(call, argv, int64(argv, 2)),
  }),
  counter({
    name: 'incrbyfloat',
    arity: 3,
    since: '2.6.0',
    summary: 'Increment the float value of a key by the given amount',
    arguments: [KEY, { name: 'increment', type: 'double' }],
    run: incrementFloat,
  }),
)

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)

function increment(call: Call, argv: Argv, by: number | bigint): void {
  const key = argv.key(1)
  const old = viewStringForWrite(call.db, key)
  const sum = addInteger(old?.bytes, by, NOT_INTEGER, old?.start, old?.end)
  const start = writeInteger(sum)
  call.db.writeBytes(key, INTEGER_TEXT, start, INTEGER_TEXT.length, 'keepTtl')
  call.reply.integer(sum)
}

const ZERO_TEXT = Buffer.from('0')

/** The sum of a stored integer, old[start, end) (none counts as 0), and another: a number as long as that is exact, which is nearly always. Throws
 *  `notInteger` when what is stored is none, and OVERFLOW. */
export function addInteger(
  old: Uint8Array | undefined,
  by: number | bigint,
  notInteger: ClientError,
  start?: number,
  end?: number,
): number | bigint {
  const bytes = old ?? ZERO_TEXT
  const small = parseInteger(bytes, start, end)
  if (small !== undefined && typeof by === 'number' && Number.isSafeInteger(small + by)) return small + by
  const large = parseInt64(bytes, start, end)
  if (large === undefined) throw notInteger
  const sum = large + BigInt(by)
  if (sum > INT64_MAX || sum < INT64_MIN) throw OVERFLOW
  return sum
}

/** Argument `i` as a float. Throws NOT_FLOAT. */
export function float(argv: Argv, i: number): Extended {
  const value = parseExtended(argv.at(i))
  if (value === undefined) throw NOT_FLOAT
  return value
}

/** The sum of a stored float (none counts as 0) and another, as it is stored. Throws `notFloat` when what is stored is none, and
 *  when the sum is not finite. */
export function addFloat(old: Uint8Array | undefined, by: Extended, notFloat: ClientError): Buffer {
  const value = old === undefined ? ZERO : parseExtended(old)
  if (value === undefined) throw notFloat
  const sum = addExtended(value, by)
  if (sum === INFINITE) throw fail('increment would produce NaN or Infinity')
  return Buffer.from(formatExtended(sum), 'latin1')
}

/** Replicas get the result: their arithmetic may differ. */
function incrementFloat(call: Call, argv: Argv): void {
  const key = argv.key(1)
  const old = stringForWrite(call.db, key)
  const bytes = addFloat(old?.bytes, float(argv, 2), NOT_FLOAT)
  call.db.write(key, stringOf(bytes), 'keepTtl')
  call.propagate(['SET', key.own(), bytes, 'KEEPTTL'])
  call.reply.bulk(bytes)
}
