/** The server as a whole: its databases, its clock, what it tells about itself, and its end. */

import { wallClock } from '../base/clock.ts'
import { ClientError, DB_RANGE, fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { infoText } from '../server/info.ts'
import { integerWithin } from './args.ts'
import { type Command, family } from './define.ts'
import { word } from './docs.ts'
import { lolwut } from './lolwut.ts'

/** FLUSHALL and FLUSHDB: their flags are understood, and mean the same here. Replicas are told even if there was nothing,
 *  for they may have something. */
const flushing = (name: string, summary: string, complexity: string, remove: (call: Call) => number): Command => ({
  name,
  arity: -1,
  flags: ['write'],
  group: 'server',
  since: '1.0.0',
  summary,
  complexity,
  tips: ['request_policy:all_shards', 'response_policy:all_succeeded'],
  categories: ['keyspace', 'dangerous'],
  arguments: [
    { name: 'async', type: 'oneof', optional: true, arguments: [word('ASYNC', '4.0.0'), word('SYNC', '6.2.0')] },
  ],
  run: (call, argv) => flush(call, argv, remove),
})

export const serverCommands = family(
  {
    name: 'bgrewriteaof',
    arity: 1,
    flags: ['admin', 'noscript', 'no_async_loading'],
    group: 'server',
    since: '1.0.0',
    summary: 'Asynchronously rewrite the append-only file',
    complexity: 'O(1)',
    run: (call) => call.reply.simple(diskOf(call).rewrite()),
  },
  {
    name: 'bgsave',
    arity: -1,
    flags: ['admin', 'noscript', 'no_async_loading'],
    group: 'server',
    since: '1.0.0',
    summary: 'Asynchronously save the dataset to disk',
    complexity: 'O(1)',
    arguments: [{ name: 'schedule', type: 'pure-token', token: 'SCHEDULE', since: '3.2.2', optional: true }],
    run: backgroundSave,
  },
  {
    name: 'dbsize',
    arity: 1,
    flags: ['readonly', 'fast'],
    group: 'server',
    since: '1.0.0',
    summary: 'Return the number of keys in the selected database',
    complexity: 'O(1)',
    tips: ['request_policy:all_shards', 'response_policy:agg_sum'],
    categories: ['keyspace'],
    run: ({ db, reply }) => reply.integer(db.size),
  },
  flushing(
    'flushall',
    'Remove all keys from all databases',
    'O(N) where N is the total number of keys in all databases',
    (call) => call.server.keyspace.flushAll(),
  ),
  flushing(
    'flushdb',
    'Remove all keys from the current database',
    'O(N) where N is the number of keys in the selected database',
    (call) => call.db.flush(),
  ),
  {
    name: 'info',
    arity: -1,
    flags: ['loading', 'stale'],
    group: 'server',
    since: '1.0.0',
    summary: 'Get information and statistics about the server',
    complexity: 'O(1)',
    tips: ['nondeterministic_output', 'request_policy:all_shards', 'response_policy:special'],
    categories: ['dangerous'],
    arguments: [{ name: 'section', type: 'string', optional: true, multiple: true }],
    run: info,
  },
  {
    name: 'lastsave',
    arity: 1,
    flags: ['loading', 'stale', 'fast'],
    group: 'server',
    since: '1.0.0',
    summary: 'Get the UNIX time stamp of the last successful save to disk',
    complexity: 'O(1)',
    tips: ['nondeterministic_output'],
    categories: ['admin', 'dangerous'],
    run: (call) => call.reply.integer(Math.floor(diskOf(call).snapshots.savedAt / 1000)),
  },
  lolwut,
  {
    name: 'monitor',
    arity: 1,
    flags: ['admin', 'noscript', 'loading', 'stale'],
    group: 'server',
    since: '1.0.0',
    summary: 'Listen for all requests received by the server in real time',
    run: monitor,
  },
  {
    name: 'save',
    arity: 1,
    flags: ['admin', 'noscript', 'no_async_loading', 'no_multi'],
    group: 'server',
    since: '1.0.0',
    summary: 'Synchronously save the dataset to disk',
    complexity: 'O(N) where N is the total number of keys in all databases',
    run(call) {
      if (!diskOf(call).saveNow()) throw SAVE_FAILED
      call.reply.ok()
    },
  },
  {
    name: 'shutdown',
    arity: -1,
    flags: ['admin', 'noscript', 'loading', 'stale', 'no_multi', 'allow_busy'],
    group: 'server',
    since: '1.0.0',
    summary: 'Synchronously save the dataset to disk and then shut down the server',
    complexity:
      'O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)',
    arguments: [
      {
        name: 'nosave_save',
        type: 'oneof',
        optional: true,
        arguments: [
          { name: 'nosave', type: 'pure-token', token: 'NOSAVE' },
          { name: 'save', type: 'pure-token', token: 'SAVE' },
        ],
      },
      { name: 'now', type: 'pure-token', token: 'NOW', since: '7.0.0', optional: true },
      { name: 'force', type: 'pure-token', token: 'FORCE', since: '7.0.0', optional: true },
      { name: 'abort', type: 'pure-token', token: 'ABORT', since: '7.0.0', optional: true },
    ],
    run: shutdown,
  },
  {
    name: 'swapdb',
    arity: 3,
    flags: ['write', 'fast'],
    group: 'server',
    since: '4.0.0',
    summary: 'Swaps two Redis databases',
    complexity: 'O(N) where N is the count of clients watching or blocking on keys from both databases.',
    categories: ['keyspace', 'dangerous'],
    arguments: [
      { name: 'index1', type: 'integer' },
      { name: 'index2', type: 'integer' },
    ],
    run: swapDatabases,
  },
  {
    name: 'time',
    arity: 1,
    flags: ['loading', 'stale', 'fast'],
    group: 'server',
    since: '2.6.0',
    summary: 'Return the current server time',
    complexity: 'O(1)',
    tips: ['nondeterministic_output'],
    run: time,
  },
)

function info({ server, reply }: Call, argv: Argv): void {
  const names: string[] = []
  for (let i = 1; i < argv.count; i++) names.push(argv.word(i))
  reply.verbatim(infoText(server, names))
}

function flush(call: Call, argv: Argv, remove: (call: Call) => number): void {
  if (argv.count > 2 || (argv.count === 2 && !/^(a)?sync$/.test(argv.word(1)))) throw SYNTAX
  remove(call)
  call.server.tracking.flushed()
  call.forcePropagate()
  call.reply.ok()
}

function swapDatabases(call: Call, argv: Argv): void {
  const { server, reply } = call
  if (server.cluster !== undefined) throw fail('SWAPDB is not allowed in cluster mode')
  const [first, second] = ['first', 'second'].map((which, i) => {
    const index = integerWithin(argv, i + 1, -(2n ** 31n), 2n ** 31n - 1n, `invalid ${which} DB index`)
    return server.keyspace.databases[index]
  })
  if (first === undefined || second === undefined) throw DB_RANGE
  if (first !== second) first.swapWith(second)
  call.forcePropagate()
  reply.ok()
}

function time({ reply }: Call): void {
  const now = wallClock()
  reply.array(2)
  reply.text(String(Math.floor(now / 1000)))
  reply.text(String((now % 1000) * 1000))
}

/** What the node keeps on the disk. Only a server in a test has none. */
function diskOf({ server }: Call): NonNullable<typeof server.persistence> {
  if (server.persistence === undefined) throw fail('this server keeps its data in memory only')
  return server.persistence
}

/** A real server says no more either; the log does. */
const SAVE_FAILED = new ClientError('ERR')

function backgroundSave(call: Call, argv: Argv): void {
  if (argv.count > 2 || (argv.count === 2 && argv.word(1) !== 'schedule')) throw SYNTAX
  call.reply.simple(diskOf(call).save(argv.count === 2))
}

const SHUTDOWN_WORDS = ['nosave', 'save', 'now', 'force', 'abort']

/** What has to be on the disk is put there first; if that fails the server goes on, unless it is to be FORCEd. */
function shutdown({ server }: Call, argv: Argv): void {
  const words = new Set<string>()
  for (let i = 1; i < argv.count; i++) words.add(argv.word(i))
  const isSenseless = (words.has('abort') && words.size > 1) || (words.has('save') && words.has('nosave'))
  if (isSenseless || [...words].some((word) => !SHUTDOWN_WORDS.includes(word))) throw SYNTAX
  if (words.has('abort')) throw fail('No shutdown in progress.')
  // What a script has done so far is not to be saved: half of it is missing.
  if (server.scripting.busy && !words.has('nosave')) throw server.scripting.refusal
  server.log.warning('User requested shutdown...')
  const how = words.has('save') ? 'save' : words.has('nosave') ? 'nosave' : 'by rules'
  if (server.persistence?.prepareToEnd(how) === false && !words.has('force'))
    throw fail('Errors trying to SHUTDOWN. Check logs.')
  server.host.shutdown()
}

function monitor({ server, client, reply }: Call): void {
  if (client.multi !== undefined) throw fail("MONITOR isn't allowed for DENY BLOCKING client")
  if (client.monitor || client.replica) return
  client.monitor = true
  server.monitors.add(client)
  reply.ok()
}
