/** DEBUG's subcommands about the inside of a server: what test suites look at or set right there. */
import { dumpValue } from '../../store/rdb/dump.ts'
import { encodingName, type Value } from '../../store/value.ts'
import type { Millis } from '../base/brand.ts'
import { parseInteger } from '../base/bytes.ts'
import { globMatch } from '../base/glob.ts'
import { fail, NO_SUCH_KEY } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import { mayWait } from '../server/blocked-keys.ts'
import type { Call } from '../server/call.ts'
import { crash } from '../server/machine.ts'
import { tooManyArguments } from './help.ts'

/** How many words a subcommand takes at least and at most (DEBUG and itself counted), and what it does. */
export type DebugRow = readonly [least: number, most: number, run: (call: Call, argv: Argv) => void]

export const INTERNALS: readonly (readonly [name: string, row: DebugRow])[] = [
  ['assert', [2, 2, end('=== ASSERTION FAILED ===')]],
  ['change-repl-id', [2, 2, changeReplicationId]],
  ['htstats', [3, 4, databaseStats]],
  ['htstats-key', [3, 4, valueStats]],
  ['listpack', [3, 3, showForm('listpack', 'Listpack')]],
  ['oom', [2, 2, end('Out Of Memory, as DEBUG OOM wants it')]],
  ['panic', [2, 2, end('Guru Meditation: DEBUG PANIC called')]],
  ['loadaof', [2, 2, loadAppendOnlyFile]],
  ['pause-cron', [3, 3, pauseCron]],
  ['quicklist', [3, 4, showForm('quicklist', 'Quicklist')]],
  ['quicklist-packed-threshold', [3, 3, packedThreshold]],
  ['replicate', [3, Number.POSITIVE_INFINITY, replicate]],
  ['replybuffer', [2, Number.POSITIVE_INFINITY, replyBuffer]],
  ['sdslen', [3, 3, stringLengths]],
  ['stringmatch-len', [4, 4, matchLength]],
]

export const INTERNALS_HELP = `
ASSERT
    Crash by assertion failed.
CHANGE-REPL-ID
    Change the replication IDs of the instance.
    Dangerous: should be used only for testing the replication subsystem.
HTSTATS <dbid>
    Return how many keys the specified database has, with and without expire.
HTSTATS-KEY <key>
    Like HTSTATS but for the hash table stored at <key>'s value.
LISTPACK <key>
    Show low level info about the listpack encoding of <key>, in the log.
OOM
    Crash the server simulating an out-of-memory error.
PANIC
    Crash the server simulating a panic.
LOADAOF
    Flush the AOF buffers on disk and reload the AOF in memory.
PAUSE-CRON <0|1>
    Stop periodic cron job processing.
QUICKLIST <key> [<0|1>]
    Show low level info about the quicklist encoding of <key>, in the log.
QUICKLIST-PACKED-THRESHOLD <size>
    Accepted: large elements are not kept apart from others here.
REPLICATE <string>
    Replicates the provided string to replicas, allowing data divergence.
REPLYBUFFER <PEAK-RESET-TIME <NEVER|RESET|time>|RESIZING <0|1>>
    Accepted: reply buffers are not resized here.
SDSLEN <key>
    Show how long \`key\` and its string are, and how far the string may grow
    in its place.
STRINGMATCH-LEN <pattern> <string>
    Return whether a glob pattern matches.
`

/** Replicas that know the history by its old id have to begin anew. */
function changeReplicationId({ server, reply }: Call): void {
  server.log.notice('Changing replication IDs after receiving change-repl-id')
  server.replication.stream.disown(server.random.hex(40))
  reply.ok()
}

/** Of a hash table, where there are no chains to tell of. */
const statsOf = (size: number): string =>
  `Hash table 0 stats (main hash table):\n${size === 0 ? 'No stats available for empty dictionaries' : ` number of elements: ${size}`}\n`

/** One table holds all keys, and those with a deadline are a list of it. */
function databaseStats({ server, reply }: Call, argv: Argv): void {
  const db = server.keyspace.databases[argv.integer(2)]
  if (db === undefined) throw fail('Out of range database')
  reply.verbatim(`[Dictionary HT]\n${statsOf(db.size)}[Expires HT]\n${statsOf(db.expiring)}`)
}

const TABLES: ReadonlySet<string> = new Set(['hashtable', 'skiplist'])

function valueStats(call: Call, argv: Argv): void {
  const value = valueAt(call, argv)
  if (value.type === 'string' || value.type === 'stream' || !TABLES.has(encodingName(value)))
    throw fail('The value stored at the specified key is not represented using an hash table')
  call.reply.verbatim(statsOf(value.size))
}

function valueAt({ db }: Call, argv: Argv): Value {
  const value = db.peek(argv.key(2))
  if (value === undefined) throw NO_SUCH_KEY
  return value
}

/** Writes a value of that encoding to the log: nobody reads the standard output. */
function showForm(encoding: string, title: string) {
  return (call: Call, argv: Argv): void => {
    const value = valueAt(call, argv)
    if (encodingName(value) !== encoding) throw fail(`Not a ${encoding} encoded object.`)
    call.server.log.notice(`${title} of '${argv.text(2)}', as DUMP has it: ${dumpValue(value).toString('hex')}`)
    call.reply.simple(`${title} structure printed on stdout`)
  }
}

/** There is no allocator to ask: a text takes what it is long. */
function stringLengths(call: Call, argv: Argv): void {
  const value = valueAt(call, argv)
  if (value.type !== 'string' || encodingName(value) === 'int') throw fail('Not an sds encoded string.')
  const key = argv.length(2)
  const { length } = value.bytes
  const room = value.room?.length ?? length
  call.reply.simple(
    `key_sds_len:${key}, key_sds_avail:0, key_zmalloc: ${key}, val_sds_len:${length}, val_sds_avail:${room - length}, val_zmalloc: ${room}`,
  )
}

/** The log says why; the process ends as it would for that reason. */
function end(text: string) {
  return ({ server }: Call): void => {
    server.log.warning(text)
    crash('SIGABRT')
  }
}

/** Replicas are told what was not done here. */
function replicate({ server, reply }: Call, argv: Argv): void {
  server.replication.stream.appendControl(Array.from({ length: argv.count - 2 }, (_, i) => argv.own(i + 2)))
  reply.ok()
}

/** A real server exits when it cannot load: here the data set stays, and the reply says why. */
function loadAppendOnlyFile(call: Call): void {
  const { server, client } = call
  const { persistence } = server
  if (persistence === undefined || !mayWait(call)) throw fail('DEBUG LOADAOF is not possible here')
  const answer = (write: () => void): void => {
    if (!client.closed) server.answerLate(client, write)
    server.unblock(client)
    server.flushLater(client)
  }
  server.block(client, { kind: 'move', timeoutAt: 0 as Millis, leave() {} })
  persistence.reload().then(
    () => answer(() => client.reply.ok()),
    (failure: Error) =>
      answer(() => server.replyError(client, fail(`Error trying to load the AOF: ${failure.message}`))),
  )
}

function pauseCron({ server, reply }: Call, argv: Argv): void {
  server.cronPaused = (parseInteger(argv.at(2)) ?? 0) !== 0
  reply.ok()
}

const MOST_PACKED = 4 * 1024 ** 3

/** Bytes, or so many kb, mb or gb. */
function packedThreshold({ reply }: Call, argv: Argv): void {
  const [, digits, unit = ''] = /^(\d+)([kmg]?)b?$/.exec(argv.word(2)) ?? []
  if (digits === undefined || Number(digits) * 1024 ** ' kmg'.indexOf(unit || ' ') > MOST_PACKED)
    throw fail('argument must be a memory value bigger than 1 and smaller than 4gb')
  reply.ok()
}

const REPLY_BUFFER = ['resizing', 'peak-reset-time']

function replyBuffer({ reply }: Call, argv: Argv): void {
  if (argv.count !== 4 || !REPLY_BUFFER.includes(argv.word(2))) throw tooManyArguments('DEBUG', argv)
  reply.ok()
}

function matchLength({ reply }: Call, argv: Argv): void {
  reply.integer(globMatch(argv.at(2), argv.at(3)) ? 1 : 0)
}
