/** Bits of strings: single ones, counts, positions, and operations between strings. */
import { type BitOperation, bitAt, combine, countOnes, findBit } from '../../store/types/bitmap.ts'
import { rangeOf } from '../../store/types/string.ts'
import { parseInteger } from '../base/bytes.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { borrowString, position, readString, viewStringForWrite } from './args.ts'
import { bitfieldCommands } from './bitfield.ts'
import { type ArgumentDoc, type Command, family, firstKey } from './define.ts'
import { KEY, word } from './docs.ts'

const OFFSET: ArgumentDoc = { name: 'offset', type: 'integer' }
const START: ArgumentDoc = { name: 'start', type: 'integer' }
const END: ArgumentDoc = { name: 'end', type: 'integer' }
const UNIT: ArgumentDoc = {
  name: 'index_unit',
  type: 'oneof',
  since: '7.0.0',
  optional: true,
  arguments: [word('BYTE'), word('BIT')],
}

/** A row of the family. */
const bitmap = (row: Omit<Command, 'group'>): Command => ({ group: 'bitmap', ...row })

export const bitmapCommands = family(
  bitmap({
    name: 'bitcount',
    arity: -2,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '2.6.0',
    summary: 'Count set bits in a string',
    complexity: 'O(N)',
    arguments: [KEY, { name: 'index', type: 'block', optional: true, arguments: [START, END, UNIT] }],
    run: bitCount,
  }),
  bitmap({
    name: 'bitop',
    arity: -4,
    flags: ['write', 'denyoom'],
    keys: {
      first: 2,
      last: -1,
      step: 1,
      specs: [
        { flags: ['OW', 'update'], begin: 2, last: 0, step: 1 },
        { flags: ['RO', 'access'], begin: 3, last: -1, step: 1 },
      ],
    },
    since: '2.6.0',
    summary: 'Perform bitwise operations between strings',
    complexity: 'O(N)',
    arguments: [
      { name: 'operation', type: 'string' },
      { name: 'destkey', type: 'key', keySpec: 0 },
      { name: 'key', type: 'key', keySpec: 1, multiple: true },
    ],
    run: bitOp,
  }),
  bitmap({
    name: 'bitpos',
    arity: -3,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '2.8.7',
    summary: 'Find first bit set or clear in a string',
    complexity: 'O(N)',
    arguments: [
      KEY,
      { name: 'bit', type: 'integer' },
      {
        name: 'index',
        type: 'block',
        optional: true,
        arguments: [START, { name: 'end_index', type: 'block', optional: true, arguments: [END, UNIT] }],
      },
    ],
    run: bitPos,
  }),
  bitmap({
    name: 'getbit',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO', 'access'),
    since: '2.2.0',
    summary: 'Returns the bit value at offset in the string value stored at key',
    complexity: 'O(1)',
    arguments: [KEY, OFFSET],
    run(call, argv) {
      const offset = bitOffset(call, argv, 2)
      const bytes = borrowString(call.db, argv.key(1))
      call.reply.integer(bytes === undefined ? 0 : bitAt(bytes, offset))
    },
  }),
  bitmap({
    name: 'setbit',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: firstKey('RW', 'access', 'update'),
    since: '2.2.0',
    summary: 'Sets or clears the bit at offset in the string value stored at key',
    complexity: 'O(1)',
    arguments: [KEY, OFFSET, { name: 'value', type: 'integer' }],
    run: setBit,
  }),
  ...bitfieldCommands,
)

/** A bit's place. Throws when no string may be that long. */
export function bitOffset(call: Call, argv: Argv, i: number): number {
  const offset = parseInteger(argv.buffer, argv.starts[i], argv.ends[i])
  if (offset === undefined || offset < 0 || Math.floor(offset / 8) >= call.server.config.values.protoMaxBulkLen)
    throw fail('bit offset is not an integer or out of range')
  return offset
}

function setBit(call: Call, argv: Argv): void {
  const { db, reply } = call
  const offset = bitOffset(call, argv, 2)
  const bit = parseInteger(argv.buffer, argv.starts[3], argv.ends[3])
  if (bit !== 0 && bit !== 1) throw fail('bit is not an integer or out of range')
  const key = argv.key(1)
  const index = Math.floor(offset / 8)
  const old = viewStringForWrite(db, key)
  const isNew = old === undefined
  const grows = isNew || index >= old.end - old.start
  const { bytes, start } = db.edit(key, index, index + 1)
  const byte = bytes[start + index]!
  const mask = 0x80 >> (offset % 8)
  const was = (byte & mask) === 0 ? 0 : 1
  if (was !== bit || grows) {
    bytes[start + index] = bit === 1 ? byte | mask : byte & ~mask
    db.changed(key, 1, isNew ? 'created' : 'changed')
  }
  reply.integer(was)
}

/** The word BYTE or BIT at argument `i`, BYTE when there is none. */
function unitAt(argv: Argv, i: number): 1 | 8 {
  if (i >= argv.count) return 1
  const unit = argv.word(i)
  if (unit !== 'bit' && unit !== 'byte') throw SYNTAX
  return unit === 'bit' ? 8 : 1
}

/** The bits that a start and an end, counted in bytes or bits, enclose: [from, to). */
function bitRange(bytes: Buffer, start: number, end: number, perByte: 1 | 8): { from: number; to: number } {
  const { from, to } = rangeOf(bytes.length * perByte, start, end)
  const width = 8 / perByte
  return { from: from * width, to: to * width }
}

function bitCount({ db, reply }: Call, argv: Argv): void {
  const bytes = borrowString(db, argv.key(1))
  if (bytes === undefined) return reply.integer(0)
  if (argv.count === 2) return reply.integer(countOnes(bytes, 0, bytes.length * 8))
  if (argv.count !== 4 && argv.count !== 5) throw SYNTAX
  const start = position(argv, 2)
  const end = position(argv, 3)
  if (start < 0 && end < 0 && start > end) return reply.integer(0)
  const { from, to } = bitRange(bytes, start, end, unitAt(argv, 4))
  reply.integer(from < to ? countOnes(bytes, from, to) : 0)
}

function bitPos({ db, reply }: Call, argv: Argv): void {
  const wanted = position(argv, 2)
  if (wanted !== 0 && wanted !== 1) throw fail('The bit argument must be 1 or 0.')
  const bytes = borrowString(db, argv.key(1))
  // A missing string is endless zeros.
  if (bytes === undefined) return reply.integer(wanted === 1 ? -1 : 0)
  if (argv.count > 6) throw SYNTAX
  const start = argv.count > 3 ? position(argv, 3) : 0
  const unit = unitAt(argv, 5)
  const endGiven = argv.count > 4
  const end = endGiven ? position(argv, 4) : -1
  const { from, to } = bitRange(bytes, start, end, unit)
  if (from >= to) return reply.integer(-1)
  const found = findBit(bytes, wanted, from, to)
  // All ones up to an end that nobody named: the first zero is the one behind them.
  reply.integer(found < 0 && wanted === 0 && !endGiven ? to : found)
}

const OPERATIONS: ReadonlySet<string> = new Set<BitOperation>(['and', 'or', 'xor', 'not'])

function bitOp({ db, reply }: Call, argv: Argv): void {
  const operation = argv.word(1)
  if (!OPERATIONS.has(operation)) throw SYNTAX
  if (operation === 'not' && argv.count !== 4) throw fail('BITOP NOT must be called with a single source key.')
  const sources: Buffer[] = []
  for (let i = 3; i < argv.count; i++) sources.push(readString(db, argv.key(i)) ?? Buffer.alloc(0))
  const result = combine(operation as BitOperation, sources)
  if (result.length > 0) db.write(argv.key(2), { type: 'string', bytes: result, raw: true }, 0)
  else db.remove(argv.key(2))
  reply.integer(result.length)
}
