/** HyperLogLog: counting what is different in little space. */
import type { Database } from '../../store/keyspace.ts'
import { CorruptHyperLogLog, estimate, HyperLogLog, isHyperLogLog, REGISTERS } from '../../store/types/hyperloglog.ts'
import type { Key } from '../base/key.ts'
import { ClientError, fail, WRONG_TYPE } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { type Command, family, firstKey } from './define.ts'
import { KEY, KEYS } from './docs.ts'
import { selfTest } from './hyperloglog-test.ts'

const NOT_ONE = new ClientError('WRONGTYPE Key is not a valid HyperLogLog string value.')
const CORRUPT = new ClientError('INVALIDOBJ Corrupted HLL object detected')

/** A row of the family: what a damaged value is found to be in the middle of the work is told the client. */
const hyperloglog = (row: Omit<Command, 'group' | 'since'> & { run: NonNullable<Command['run']> }): Command => ({
  group: 'hyperloglog',
  since: '2.8.9',
  ...row,
  run(call, argv) {
    try {
      row.run(call, argv)
    } catch (error) {
      throw error instanceof CorruptHyperLogLog ? CORRUPT : error
    }
  },
})

export const hyperloglogCommands = family(
  hyperloglog({
    name: 'pfadd',
    arity: -2,
    flags: ['write', 'denyoom', 'fast'],
    keys: firstKey('RW', 'insert'),
    summary: 'Adds the specified elements to the specified HyperLogLog.',
    complexity: 'O(1) to add every element.',
    arguments: [KEY, { name: 'element', type: 'string', optional: true, multiple: true }],
    run: pfAdd,
  }),
  hyperloglog({
    name: 'pfcount',
    arity: -2,
    flags: ['readonly', 'may_replicate'],
    keys: {
      first: 1,
      last: -1,
      step: 1,
      flags: ['RW', 'access'],
      notes: 'RW because it may change the internal representation of the key, and propagate to replicas',
    },
    summary: 'Return the approximated cardinality of the set(s) observed by the HyperLogLog at key(s).',
    complexity:
      'O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys.',
    arguments: [KEYS],
    run: pfCount,
  }),
  hyperloglog({
    name: 'pfdebug',
    arity: 3,
    flags: ['write', 'denyoom', 'admin'],
    keys: { first: 2, last: 2, step: 1, flags: ['RW', 'access'] },
    summary: 'Internal commands for debugging HyperLogLog values',
    complexity: 'N/A',
    internal: true,
    arguments: [{ name: 'subcommand', type: 'string' }, KEY],
    run: pfDebug,
  }),
  hyperloglog({
    name: 'pfmerge',
    arity: -2,
    flags: ['write', 'denyoom'],
    keys: {
      first: 1,
      last: -1,
      step: 1,
      specs: [
        { flags: ['RW', 'access', 'insert'], begin: 1, last: 0, step: 1 },
        { flags: ['RO', 'access'], begin: 2, last: -1, step: 1 },
      ],
    },
    summary: 'Merge N different HyperLogLogs into a single one.',
    complexity: 'O(N) to merge N HyperLogLogs, but with high constant times.',
    arguments: [
      { name: 'destkey', type: 'key', keySpec: 0 },
      { name: 'sourcekey', type: 'key', keySpec: 1, multiple: true },
    ],
    run: pfMerge,
  }),
  hyperloglog({
    name: 'pfselftest',
    arity: 1,
    flags: ['admin'],
    summary: 'An internal command for testing HyperLogLog values',
    complexity: 'N/A',
    internal: true,
    run({ reply }) {
      const wrong = selfTest()
      if (wrong !== undefined) throw new ClientError(`TESTFAILED ${wrong}`)
      reply.ok()
    },
  }),
)

/** A copy of the one at `key` to work on; undefined when the key is missing. `counts`: it is only read. */
function read(db: Database, key: Key, counts = false): HyperLogLog | undefined {
  const value = db.readForWrite(key, counts)
  if (value === undefined) return undefined
  if (value.type !== 'string') throw WRONG_TYPE
  if (!isHyperLogLog(value.bytes)) throw NOT_ONE
  return new HyperLogLog(value.bytes)
}

const store = (db: Database, key: Key, log: HyperLogLog): void =>
  db.write(key, { type: 'string', bytes: log.bytes, raw: true }, 'keepTtl')

const sparseLimit = (call: Call): number => call.server.config.values.hllSparseMaxBytes

function pfAdd(call: Call, argv: Argv): void {
  const key = argv.key(1)
  const old = read(call.db, key)
  const log = old ?? HyperLogLog.empty()
  let grown = old === undefined
  for (let i = 2; i < argv.count; i++) grown = log.add(argv.at(i), sparseLimit(call)) || grown
  if (grown) {
    log.cached = undefined
    store(call.db, key, log)
  }
  call.reply.integer(grown ? 1 : 0)
}

function pfCount(call: Call, argv: Argv): void {
  const registers = new Uint8Array(REGISTERS)
  if (argv.count > 2) {
    for (let i = 1; i < argv.count; i++) read(call.db, argv.key(i), true)?.mergeInto(registers)
    return call.reply.integer(estimate(registers))
  }
  const key = argv.key(1)
  const log = read(call.db, key, true)
  if (log === undefined) return call.reply.integer(0)
  if (log.cached === undefined) {
    log.mergeInto(registers)
    log.cached = estimate(registers)
    // The key changes, so replicas hear of it; a replica itself keeps its data as it is.
    if (!call.server.replication.isReplica || call.client.primary) store(call.db, key, log)
    return call.reply.integer(log.cached!)
  }
  call.reply.integer(log.cached)
}

function pfMerge(call: Call, argv: Argv): void {
  const registers = new Uint8Array(REGISTERS)
  let dense = false
  for (let i = 1; i < argv.count; i++) {
    const source = read(call.db, argv.key(i), true)
    if (source === undefined) continue
    dense ||= !source.isSparse
    source.mergeInto(registers)
  }
  const key = argv.key(1)
  const log = read(call.db, key) ?? HyperLogLog.empty()
  if (dense) log.makeDense()
  for (let i = 0; i < REGISTERS; i++) if (registers[i]! > 0) log.raise(i, registers[i]!, sparseLimit(call))
  log.cached = undefined
  store(call.db, key, log)
  call.reply.ok()
}

/** What PFDEBUG does with a log, by its subcommand. */
const DEBUG: Readonly<Record<string, (call: Call, log: HyperLogLog, key: Key) => void>> = {
  getreg(call, log, key) {
    const registers = new Uint8Array(REGISTERS)
    if (log.isSparse) {
      log.makeDense()
      store(call.db, key, log)
    }
    log.mergeInto(registers)
    call.reply.array(REGISTERS)
    for (const register of registers) call.reply.integer(register)
  },
  encoding: (call, log) => call.reply.simple(log.isSparse ? 'sparse' : 'dense'),
  todense(call, log, key) {
    const { isSparse } = log
    if (isSparse) {
      log.makeDense()
      store(call.db, key, log)
    }
    call.reply.integer(isSparse ? 1 : 0)
  },
}

function pfDebug(call: Call, argv: Argv): void {
  const log = read(call.db, argv.key(2))
  if (log === undefined) throw fail('The specified key does not exist')
  const run = Object.hasOwn(DEBUG, argv.word(1)) ? DEBUG[argv.word(1)] : undefined
  if (run === undefined) throw fail(`Unknown PFDEBUG subcommand '${argv.text(1)}'`)
  run(call, log, argv.key(2))
}
