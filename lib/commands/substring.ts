/** Parts of strings: growing, patching, measuring, cutting out. */
import { rangeOf } from '../../store/types/string.ts'
import type { Key } from '../base/key.ts'
import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { checkLength, clamp, int64, lookAtString, position, viewStringForWrite } from './args.ts'
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
      const view = lookAtString(call.db, argv.key(1))
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
  const old = viewStringForWrite(db, key)
  if (old === undefined) {
    db.writeBytes(key, argv.buffer, argv.starts[2]!, argv.ends[2]!, 0)
    return reply.integer(argv.length(2))
  }
  const from = old.end - old.start
  checkLength(call, from + argv.length(2))
  writeInPlace(call, key, from, argv.at(2), 'changed')
}

/** Writes `bytes` at `offset` of a string and replies with its length. */
function writeInPlace({ db, reply }: Call, key: Key, offset: number, bytes: Buffer, what: 'created' | 'changed'): void {
  const view = db.edit(key, offset, offset + bytes.length)
  view.bytes.set(bytes, view.start + offset)
  const length = view.end - view.start
  db.changed(key, 1, what)
  reply.integer(length)
}

function getRange({ db, reply }: Call, argv: Argv): void {
  const start = int64(argv, 2)
  const end = int64(argv, 3)
  const view = lookAtString(db, argv.key(1))
  // Before they are cut to size: far below the beginning the two would become the same.
  if (view === undefined || (end < 0 && start < 0 && start > end)) return reply.text('')
  const { from, to } = rangeOf(view.end - view.start, clamp(start), clamp(end))
  reply.bulkRange(view.bytes, view.start + from, view.start + to, view.data)
}

function setRange(call: Call, argv: Argv): void {
  const { db, reply } = call
  const offset = position(argv, 2)
  if (offset < 0) throw fail('offset is out of range')
  const key = argv.key(1)
  const old = viewStringForWrite(db, key)
  if (argv.length(3) === 0) return reply.integer(old === undefined ? 0 : old.end - old.start)
  checkLength(call, offset + argv.length(3))
  writeInPlace(call, key, offset, argv.at(3), old === undefined ? 'created' : 'changed')
}
