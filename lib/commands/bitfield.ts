/** BITFIELD: integers of any width inside a string, read, set and counted up in one go. */
import { clampTo, type FieldType, type Overflow, readField, writeField } from '../../store/types/bitmap.ts'
import { parseInt64, parseInteger } from '../base/bytes.ts'
import { fail, NOT_INTEGER, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { borrowString, viewStringForWrite } from './args.ts'
import { type ArgumentDoc, type Command, firstKey } from './define.ts'
import { KEY, word } from './docs.ts'

const ENCODING: ArgumentDoc = { name: 'encoding', type: 'string' }
const OFFSET: ArgumentDoc = { name: 'offset', type: 'integer' }

const GET: ArgumentDoc = { name: 'encoding_offset', type: 'block', token: 'GET', arguments: [ENCODING, OFFSET] }
const WRITE: ArgumentDoc = {
  name: 'write',
  type: 'block',
  arguments: [
    {
      name: 'wrap_sat_fail',
      type: 'oneof',
      token: 'OVERFLOW',
      optional: true,
      arguments: [word('WRAP'), word('SAT'), word('FAIL')],
    },
    {
      name: 'write_operation',
      type: 'oneof',
      arguments: [
        {
          name: 'encoding_offset_value',
          type: 'block',
          token: 'SET',
          arguments: [ENCODING, OFFSET, { name: 'value', type: 'integer' }],
        },
        {
          name: 'encoding_offset_increment',
          type: 'block',
          token: 'INCRBY',
          arguments: [ENCODING, OFFSET, { name: 'increment', type: 'integer' }],
        },
      ],
    },
  ],
}

export const bitfieldCommands: readonly Command[] = [
  {
    name: 'bitfield',
    arity: -2,
    flags: ['write', 'denyoom'],
    keys: {
      ...firstKey('RW', 'access', 'update', 'variable_flags'),
      notes: 'This command allows both access and modification of the key',
    },
    group: 'bitmap',
    since: '3.2.0',
    summary: 'Perform arbitrary bitfield integer operations on strings',
    complexity: 'O(1) for each subcommand specified',
    arguments: [KEY, { name: 'operation', type: 'oneof', optional: true, multiple: true, arguments: [GET, WRITE] }],
    run: (call, argv) => bitField(call, argv, parse(call, argv)),
  },
  {
    name: 'bitfield_ro',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO', 'access'),
    group: 'bitmap',
    since: '6.0.0',
    summary: 'Perform arbitrary bitfield integer operations on strings. Read-only variant of BITFIELD',
    complexity: 'O(1) for each subcommand specified',
    arguments: [KEY, { ...GET, optional: true, multiple: true, multipleToken: true }],
    run(call, argv) {
      const steps = parse(call, argv)
      if (steps.some((step) => step.kind !== 'get')) throw fail('BITFIELD_RO only supports the GET subcommand')
      bitField(call, argv, steps)
    },
  },
]

interface Step {
  readonly kind: 'get' | 'set' | 'incrby'
  readonly type: FieldType
  /** In bits. */
  readonly offset: number
  readonly operand: bigint
  readonly overflow: Overflow
}

/** How many words a step has. */
const WORDS: Readonly<Record<string, number>> = { get: 3, set: 4, incrby: 4, overflow: 2 }

/** All steps, checked before the first one is carried out. */
function parse(call: Call, argv: Argv): Step[] {
  const steps: Step[] = []
  let overflow: Overflow = 'wrap'
  for (let i = 2; i < argv.count; ) {
    const kind = argv.word(i)
    const words = WORDS[kind]
    if (words === undefined || i + words > argv.count) throw SYNTAX
    if (kind === 'overflow') overflow = overflowAt(argv, i + 1)
    else {
      const type = typeAt(argv, i + 1)
      const offset = fieldOffset(call, argv, i + 2, type)
      const operand = kind === 'get' ? 0n : parseInt64(argv.buffer, argv.starts[i + 3], argv.ends[i + 3])
      if (operand === undefined) throw NOT_INTEGER
      steps.push({ kind: kind as Step['kind'], type, offset, operand, overflow })
    }
    i += words
  }
  return steps
}

function overflowAt(argv: Argv, i: number): Overflow {
  const name = argv.word(i)
  if (name === 'wrap' || name === 'sat' || name === 'fail') return name
  throw fail('Invalid OVERFLOW type specified')
}

function typeAt(argv: Argv, i: number): FieldType {
  const mark = argv.text(i)[0]
  const bits = parseInteger(argv.buffer, argv.starts[i]! + 1, argv.ends[i])
  const signed = mark === 'i'
  if ((!signed && mark !== 'u') || bits === undefined || bits < 1 || bits > (signed ? 64 : 63))
    throw fail('Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.')
  return { signed, bits }
}

/** In bits, or with `#` in fields of the type's width. */
function fieldOffset(call: Call, argv: Argv, i: number, type: FieldType): number {
  const counted = argv.length(i) > 0 && argv.buffer[argv.starts[i]!] === 0x23
  const value = parseInteger(argv.buffer, argv.starts[i]! + (counted ? 1 : 0), argv.ends[i])
  const offset = value === undefined ? -1 : counted ? value * type.bits : value
  if (offset < 0 || Math.floor(offset / 8) >= call.server.config.values.protoMaxBulkLen)
    throw fail('bit offset is not an integer or out of range')
  return offset
}

function bitField(call: Call, argv: Argv, steps: readonly Step[]): void {
  const { db, reply } = call
  const key = argv.key(1)
  const writes = steps.filter((step) => step.kind !== 'get')
  if (writes.length === 0) {
    const bytes = borrowString(db, key) ?? NOTHING
    reply.array(steps.length)
    for (const { offset, type } of steps) reply.integer(readField(bytes, offset, type))
    return
  }
  const old = viewStringForWrite(db, key)
  const isNew = old === undefined
  const lengthBefore = isNew ? -1 : old.end - old.start
  const first = writes.reduce((least, { offset }) => Math.min(least, Math.floor(offset / 8)), Number.POSITIVE_INFINITY)
  const length = writes.reduce((most, { offset, type }) => Math.max(most, Math.ceil((offset + type.bits) / 8)), 0)
  const view = db.edit(key, first, length)
  const bytes = view.bytes.subarray(view.start, view.end)
  let changed = bytes.length > lengthBefore
  reply.array(steps.length)
  for (const step of steps) {
    const was = readField(bytes, step.offset, step.type)
    const wanted = step.kind === 'incrby' ? was + step.operand : asOperand(step)
    const value = step.kind === 'get' ? was : clampTo(wanted, step.type, step.overflow)
    if (value === undefined) reply.nil()
    else {
      if (step.kind !== 'get') writeField(bytes, step.offset, step.type, value)
      if (value !== was) changed = true
      reply.integer(step.kind === 'incrby' ? value : was)
    }
  }
  if (changed) db.changed(key, 1, isNew ? 'created' : 'changed')
}

const NOTHING = Buffer.alloc(0)

/** What SET writes: for an unsigned field a negative number is a very large one. */
const asOperand = ({ type, operand }: Step): bigint => (type.signed ? operand : BigInt.asUintN(64, operand))
