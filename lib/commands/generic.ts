/** Keys as such, whatever they hold: presence, removal, names, databases. */
import { copyValue } from '../../store/value.ts'
import { globMatch } from '../base/glob.ts'
import { fail, NO_SUCH_KEY, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { databaseIndex } from './args.ts'
import { allKeys, type Command, family, firstKey, twoKeys } from './define.ts'
import { KEY, KEYS, option } from './docs.ts'
import { migrate } from './migrate.ts'
import { object } from './object.ts'
import { scan } from './scan.ts'

/** A row of the family. */
const generic = (row: Omit<Command, 'group'>): Command => ({ group: 'generic', ...row })

const RENAME_ARGUMENTS = [KEY, { name: 'newkey', type: 'key', keySpec: 1 } as const]

export const genericCommands = family(
  generic({
    name: 'copy',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: twoKeys(['RO', 'access'], ['OW', 'update']),
    since: '6.2.0',
    summary: 'Copy a key',
    complexity: 'O(N) worst case for collections, where N is the number of nested items. O(1) for string values.',
    arguments: [
      { name: 'source', type: 'key', keySpec: 0 },
      { name: 'destination', type: 'key', keySpec: 1 },
      { name: 'destination-db', type: 'integer', token: 'DB', optional: true },
      option('REPLACE'),
    ],
    run: copy,
  }),
  generic({
    name: 'del',
    arity: -2,
    flags: ['write'],
    keys: allKeys('RM', 'delete'),
    since: '1.0.0',
    summary: 'Delete a key',
    complexity:
      'O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than a string, the individual complexity for this key is O(M) where M is the number of elements in the list, set, sorted set or hash. Removing a single key that holds a string value is O(1).',
    tips: ['request_policy:multi_shard', 'response_policy:agg_sum'],
    arguments: [KEYS],
    run: remove,
  }),
  generic({
    name: 'exists',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: allKeys('RO'),
    since: '1.0.0',
    summary: 'Determine if a key exists',
    complexity: 'O(N) where N is the number of keys to check.',
    tips: ['request_policy:multi_shard', 'response_policy:agg_sum'],
    arguments: [KEYS],
    run: (call, argv) => call.reply.integer(countPresent(call, argv, false)),
  }),
  generic({
    name: 'keys',
    arity: 2,
    flags: ['readonly'],
    since: '1.0.0',
    summary: 'Find all keys matching the given pattern',
    complexity:
      'O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length.',
    tips: ['request_policy:all_shards', 'nondeterministic_output_order'],
    categories: ['dangerous'],
    arguments: [{ name: 'pattern', type: 'pattern' }],
    run: listKeys,
  }),
  generic({
    name: 'move',
    arity: 3,
    flags: ['write', 'fast'],
    keys: firstKey('RW', 'access', 'update'),
    since: '1.0.0',
    summary: 'Move a key to another database',
    complexity: 'O(1)',
    arguments: [KEY, { name: 'db', type: 'integer' }],
    run: move,
  }),
  generic({
    name: 'randomkey',
    arity: 1,
    flags: ['readonly'],
    since: '1.0.0',
    summary: 'Return a random key from the keyspace',
    complexity: 'O(1)',
    tips: ['request_policy:all_shards', 'nondeterministic_output'],
    run({ server, db, reply }) {
      const name = db.randomKey(server.random.float)
      if (name === undefined) reply.nil()
      else reply.name(name)
    },
  }),
  generic({
    name: 'rename',
    arity: 3,
    flags: ['write'],
    keys: twoKeys(['RW', 'access', 'delete'], ['OW', 'update']),
    since: '1.0.0',
    summary: 'Rename a key',
    complexity: 'O(1)',
    arguments: RENAME_ARGUMENTS,
    run(call, argv) {
      rename(call, argv, true)
      call.reply.ok()
    },
  }),
  generic({
    name: 'renamenx',
    arity: 3,
    flags: ['write', 'fast'],
    keys: twoKeys(['RW', 'access', 'delete'], ['OW', 'insert']),
    since: '1.0.0',
    summary: 'Rename a key, only if the new key does not exist',
    complexity: 'O(1)',
    arguments: RENAME_ARGUMENTS,
    run: (call, argv) => call.reply.integer(rename(call, argv, false) ? 1 : 0),
  }),
  generic({
    name: 'touch',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: allKeys('RO'),
    since: '3.2.1',
    summary: 'Alters the last access time of a key(s). Returns the number of existing keys specified.',
    complexity: 'O(N) where N is the number of keys that will be touched.',
    tips: ['request_policy:multi_shard', 'response_policy:agg_sum'],
    arguments: [KEYS],
    run: (call, argv) => call.reply.integer(countPresent(call, argv, true)),
  }),
  generic({
    name: 'type',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: firstKey('RO'),
    since: '1.0.0',
    summary: 'Determine the type stored at key',
    complexity: 'O(1)',
    arguments: [KEY],
    run({ db, reply }, argv) {
      reply.simple(db.view(argv.key(1), false)?.type ?? 'none')
    },
  }),
  generic({
    name: 'unlink',
    arity: -2,
    flags: ['write', 'fast'],
    keys: allKeys('RM', 'delete'),
    since: '4.0.0',
    summary: 'Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking.',
    complexity:
      'O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread in order to reclaim memory, where N is the number of allocations the deleted objects where composed of.',
    tips: ['request_policy:multi_shard', 'response_policy:agg_sum'],
    arguments: [KEYS],
    run: remove,
  }),
  scan,
  object,
  migrate,
)

function remove({ db, reply }: Call, argv: Argv): void {
  let removed = 0
  for (let i = 1; i < argv.count; i++) if (db.remove(argv.key(i))) removed++
  reply.integer(removed)
}

/** A key named twice counts twice. */
function countPresent({ db }: Call, argv: Argv, touch: boolean): number {
  let present = 0
  for (let i = 1; i < argv.count; i++) if (db.view(argv.key(i), touch) !== undefined) present++
  return present
}

function listKeys({ db, reply }: Call, argv: Argv): void {
  const pattern = argv.own(1)
  const everything = pattern.equals(STAR)
  const mark = reply.length
  let count = 0
  for (const { bytes, start, end, data } of db.keys()) {
    if (!everything && !globMatch(pattern, bytes, false, start, end)) continue
    reply.bulkRange(bytes, start, end, data)
    count++
  }
  reply.arrayFrom(mark, count)
}

const STAR = Buffer.from('*')

/** False when the new name is taken and `replace` is not wanted. A key keeps its deadline; renaming it to itself does nothing. */
function rename({ db }: Call, argv: Argv, replace: boolean): boolean {
  const from = argv.key(1)
  const to = argv.key(2)
  const value = db.readForWrite(from)
  if (value === undefined) throw NO_SUCH_KEY
  if (from.text() === to.text()) return replace
  if (!replace && db.readForWrite(to) !== undefined) return false
  const expireAt = db.expireAt(from) ?? 0
  db.remove(from)
  db.write(to, value, expireAt)
  return true
}

const SAME_OBJECT = fail('source and destination objects are the same')

function copy(call: Call, argv: Argv): void {
  const { server, client, db, reply } = call
  let replace = false
  let target = client.db
  for (let i = 3; i < argv.count; i++) {
    const name = argv.word(i)
    if (name === 'replace') replace = true
    else if (name === 'db' && i + 1 < argv.count) target = databaseIndex(call, argv, ++i)
    else throw SYNTAX
  }
  if (server.cluster !== undefined && target !== 0)
    throw fail('Copying to another database is not allowed in cluster mode')
  const from = argv.key(1)
  const to = argv.key(2)
  if (target === client.db && from.text() === to.text()) throw SAME_OBJECT
  const value = db.read(from)
  const other = server.keyspace.databases[target]!
  if (value === undefined || (other.readForWrite(to) !== undefined && !replace)) return reply.integer(0)
  other.write(to, copyValue(value), db.expireAt(from) ?? 0)
  reply.integer(1)
}

function move(call: Call, argv: Argv): void {
  const { server, client, db, reply } = call
  if (server.cluster !== undefined) throw fail('MOVE is not allowed in cluster mode')
  const target = databaseIndex(call, argv, 2)
  if (target === client.db) throw SAME_OBJECT
  const key = argv.key(1)
  const other = server.keyspace.databases[target]!
  const value = db.readForWrite(key)
  if (value === undefined || other.readForWrite(key) !== undefined) return reply.integer(0)
  const expireAt = db.expireAt(key) ?? 0
  db.remove(key)
  other.write(key, value, expireAt)
  reply.integer(1)
}
