/** Parts of strings: growing, patching, measuring, cutting out. */
import { append, overwrite, rangeOf, stringOf } from '../../store/types/string.ts'
import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { checkLength, clamp, int64, position, readString, stringForWrite, viewString } from './args.ts'
import { type ArgumentDoc, type Command, family, firstKey } from './define.ts'
import { KEY, VALUE } from './docs.ts'

const RANGE: readonly ArgumentDoc[] = [KEY, { name: 'start', type: 'integer' }, { name: 'end', type: 'integer' }]

/** A row of the family. */
const string = (row: Omit<Command, 'group'>): Command => ({ group: 'string', ...row })

export const substringCommands = family(
  string({
    name: 'append',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'insert'),
    since: '2.0.0',
    summary: 'Append a value to a key',
    complexity:
      'O(1). The amortized time complexity is O(1) assuming the appended value is small and the already present value is of any size, since the dynamic string library used by Redis will double the free space available on every reallocation.',
    arguments: [KEY, VALUE],
    run: appendTo,
  }),
  string({
    name: 'getrange',
    arity: 4,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '2.4.0',
    summary: 'Get a substring of the string stored at a key',
    complexity:
      'O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.',
    arguments: RANGE,
    run: getRange,
  }),
  string({
    name: 'setrange',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: firstKey('RW', 'update'),
    since: '2.2.0',
    summary: 'Overwrite part of a string at key starting at the specified offset',
    complexity:
      'O(1), not counting the time taken to copy the new string in place. Usually, this string is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument.',
    arguments: [KEY, { name: 'offset', type: 'integer' }, VALUE],
    run: setRange,
  }),
  string({
    name: 'strlen',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO'),
    since: '2.2.0',
    summary: 'Get the length of the value stored in a key',
    complexity: 'O(1)',
    arguments: [KEY],
    run(call, argv) {
      const view = viewString(call.db, argv.key(1))
      call.reply.integer(view === undefined ? 0 : view.end - view.start)
    },
  }),
  string({
    name: 'substr',
    arity: 4,
    flags: ['readonly'],
    keys: firstKey('RO', 'access'),
    since: '1.0.0',
    summary: 'Get a substring of the string stored at a key',
    complexity:
      'O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.',
    deprecated: { since: '2.0.0', replacedBy: '`GETRANGE`' },
    arguments: RANGE,
    run: getRange,
  }),
)

function appendTo(call: Call, argv: Argv): void {
  const { db, reply } = call
  const key = argv.key(1)
  const old = stringForWrite(db, key)
  if (old !== undefined) checkLength(call, old.bytes.length + argv.length(2))
  const value = old === undefined ? stringOf(argv.own(2)) : append(old, argv.at(2))
  db.write(key, value, 'keepTtl')
  reply.integer(value.bytes.length)
}

function getRange({ db, reply }: Call, argv: Argv): void {
  const start = int64(argv, 2)
  const end = int64(argv, 3)
  const bytes = readString(db, argv.key(1))
  // Before they are cut to size: far below the beginning the two would become the same.
  if (bytes === undefined || (end < 0 && start < 0 && start > end)) return reply.text('')
  const { from, to } = rangeOf(bytes.length, clamp(start), clamp(end))
  reply.bulk(bytes.subarray(from, to))
}

function setRange(call: Call, argv: Argv): void {
  const { db, reply } = call
  const offset = position(argv, 2)
  if (offset < 0) throw fail('offset is out of range')
  const key = argv.key(1)
  const old = stringForWrite(db, key)?.bytes
  if (argv.length(3) === 0) return reply.integer(old?.length ?? 0)
  checkLength(call, offset + argv.length(3))
  const value = overwrite(old ?? Buffer.alloc(0), offset, argv.at(3))
  db.write(key, value, 'keepTtl')
  reply.integer(value.bytes.length)
}
