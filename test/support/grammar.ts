/** Random requests for any command, from what its row in the table says of its arguments. */
import fc from 'fast-check'
import type { ArgumentDoc, Command, Group } from '../../lib/commands/define.ts'
import type { CommandEntry } from '../../lib/commands/table.ts'
import { someInteger } from './differential.ts'
import type { Request } from './replies.ts'
import type { Argument } from './resp.ts'

/** Keys of each kind, so that commands meet values of their type more often than not. */
const KEYS_OF: Readonly<Partial<Record<Group, readonly string[]>>> = {
  string: ['s1', 's2', 's3'],
  bitmap: ['s1', 'bits'],
  hash: ['h1', 'h2'],
  list: ['l1', 'l2'],
  set: ['set1', 'set2', 'ints'],
  'sorted-set': ['z1', 'z2', 'set1'],
  geo: ['geo1', 'geo2'],
  hyperloglog: ['hll1', 'hll2'],
  stream: ['x1', 'x2'],
}
const ALL_KEYS = [...new Set(Object.values(KEYS_OF).flat()), '', 'nothing', '{s1}', 'k\r\n\x01']

/** No zero bytes: SORT ALPHA of a real server ends a text there. */
const someText = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<Argument>('a', 'b', 'c', 'field', 'member', '1', '2', '10', '-3') },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Argument>('', 'x'.repeat(70), '3.5', Buffer.from([1, 255, 13, 10]), 'Hello World'),
  },
  { weight: 1, arbitrary: fc.uint8Array({ min: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes)) },
)
const someCount = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -4, max: 6 }).map<Argument>(String) },
  { weight: 1, arbitrary: someInteger },
)
const someDouble = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -50, max: 50 }).map<Argument>((n) => String(n / 4)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Argument>(
      'inf',
      '-inf',
      '+inf',
      'nan',
      '1e300',
      '1e-300',
      '0x10',
      '-0',
      '',
      'x',
      '1e400',
    ),
  },
)

/** What else the arguments of that name are, in Redis's own grammar. */
const BY_NAME: Readonly<Record<string, fc.Arbitrary<Argument>>> = {
  id: streamId(),
  'id-or-auto': fc.oneof(streamId(), fc.constantFrom<Argument>('*', '5-*')),
  start: fc.oneof(someCount, streamId()),
  stop: fc.oneof(someCount, streamId()),
  end: fc.oneof(someCount, streamId()),
  min: bound(),
  max: bound(),
  group: fc.constantFrom<Argument>('g', 'h'),
  groupname: fc.constantFrom<Argument>('g', 'h'),
  key: fc.constantFrom<Argument>(...ALL_KEYS),
  cursor: fc.constant<Argument>('0'),
  encoding: fc.constantFrom<Argument>('u8', 'i5', 'u63', 'i64', 'u64', 'i0'),
  // Not so far out that a string of half a gigabyte comes of it.
  offset: fc.constantFrom<Argument>('0', '1', '7', '#1', '100', '-1', '4294967296', '9223372036854775807', 'x', ''),
  bit: fc.constantFrom<Argument>('0', '1', '2'),
  operation: fc.constantFrom<Argument>('AND', 'OR', 'XOR', 'NOT', 'nand'),
  // Not 180: the scores of places on the date line need 54 bits.
  longitude: fc.integer({ min: -181, max: 179 }).map<Argument>(String),
  latitude: fc.integer({ min: -86, max: 86 }).map<Argument>(String),
  radius: fc.constantFrom<Argument>('0', '100', '5000', '-1', '1e7'),
  width: fc.constantFrom<Argument>('0', '100', '5000', '-1'),
  height: fc.constantFrom<Argument>('0', '100', '5000', 'x'),
  index: fc.integer({ min: -3, max: 3 }).map<Argument>(String),
  db: fc.constantFrom<Argument>('0', '1', '16', '-1'),
  'destination-db': fc.constantFrom<Argument>('0', '1', '16'),
}

/** A moment: long past, or too far ahead for the tests to see. */
const someMoment = fc.constantFrom<Argument>('0', '1', '-1', '4000000000', '4000000000000', 'x')
/** A time to live that does not end while a test runs. */
const someLifetime = fc.constantFrom<Argument>('100000', '3600000', '0', '-1', '9223372036854775807', '')

function streamId(): fc.Arbitrary<Argument> {
  return fc.constantFrom<Argument>(
    '0',
    '1',
    '5',
    '5-1',
    '7-3',
    '0-0',
    '-',
    '+',
    '(5-1',
    '18446744073709551615-1',
    '$',
    '>',
    'x',
  )
}
function bound(): fc.Arbitrary<Argument> {
  return fc.oneof(someDouble, fc.constantFrom<Argument>('(1', '[a', '(b', '-', '+', '(inf', '['))
}

/** Requests for one command, mostly well-formed. */
export function requestOf(entry: CommandEntry): fc.Arbitrary<Request> {
  const { command, fullName } = entry
  const name = fullName.split('|')
  // Ids of the clock are left to the specs: no two servers look at it in the same millisecond.
  const settle = (argument: Argument): Argument => (fullName === 'xadd' && argument === '*' ? '8-*' : argument)
  return words(command, command.arguments ?? []).map((args) => [...name, ...args.map(settle)])
}

type Words = fc.Arbitrary<readonly Argument[]>

const join = (parts: readonly Words[]): Words => fc.tuple(...parts).map((all) => all.flat())
const NONE: Words = fc.constant([])

/** A sequence of arguments. A number of keys fits the keys behind it, nearly always. */
function words(command: Command, docs: readonly ArgumentDoc[]): Words {
  const parts: Words[] = []
  for (let i = 0; i < docs.length; i++) {
    const doc = docs[i]!
    const next = docs[i + 1]
    if (doc.name === 'numkeys' && next?.type === 'key') {
      parts.push(counted(fc.array(single(command, next), { minLength: 1, maxLength: 3 })))
      i++
    } else parts.push(occurrences(command, doc))
  }
  return join(parts)
}

const counted = (keys: fc.Arbitrary<readonly Argument[]>): Words =>
  fc
    .tuple(
      keys,
      fc.oneof({ weight: 15, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -3, max: 3 }) }),
    )
    .map(([all, wrong]) => [String(all.length + wrong), ...all])

/** One argument as often as it may come. */
function occurrences(command: Command, doc: ArgumentDoc): Words {
  const one = value(command, doc)
  const token: readonly Argument[] = doc.token === undefined || doc.type === 'pure-token' ? [] : [doc.token]
  let many: Words = one
  if (doc.multiple === true) {
    const times = fc.array(doc.multipleToken === true ? one.map((all) => [...token, ...all]) : one, {
      minLength: 1,
      maxLength: 3,
    })
    many = times.map((all) => all.flat())
  }
  const whole = doc.multipleToken === true ? many : many.map((all) => [...token, ...all])
  return doc.optional === true ? fc.oneof({ weight: 2, arbitrary: NONE }, { weight: 1, arbitrary: whole }) : whole
}

function value(command: Command, doc: ArgumentDoc): Words {
  const inner = doc.arguments ?? []
  if (doc.type === 'block') return words(command, inner)
  if (doc.type === 'oneof')
    return fc.oneof(...inner.map((choice) => occurrences(command, { ...choice, optional: false })))
  return single(command, doc).map((argument) => [argument])
}

function single(command: Command, doc: ArgumentDoc): fc.Arbitrary<Argument> {
  switch (doc.type) {
    case 'key':
      return keyOf(command)
    case 'pure-token':
      return fc.constant<Argument>(doc.token ?? doc.name)
    case 'unix-time':
      return someMoment
    case 'double':
      return BY_NAME[doc.name] ?? someDouble
    case 'pattern':
      return fc.constantFrom<Argument>('*', 'a*', '?', '[a-c]', 'nothing', '')
    default:
      if (/seconds$/.test(doc.name)) return someLifetime
      return BY_NAME[doc.name] ?? (doc.type === 'integer' ? someCount : someText)
  }
}

function keyOf({ group }: Command): fc.Arbitrary<Argument> {
  const own = KEYS_OF[group]
  const any = fc.constantFrom<Argument>(...ALL_KEYS)
  return own === undefined
    ? any
    : fc.oneof({ weight: 9, arbitrary: fc.constantFrom<Argument>(...own) }, { weight: 1, arbitrary: any })
}
