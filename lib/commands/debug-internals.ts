/** DEBUG's subcommands about the inside of a server: what test suites look at or set right there. */
import { dumpValue } from '../../store/rdb/dump.ts'
import { encodingName } from '../../store/value.ts'
import { parseInteger } from '../base/bytes.ts'
import { globMatch } from '../base/glob.ts'
import { fail, NO_SUCH_KEY } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { tooManyArguments } from './help.ts'

/** How many words a subcommand takes at least and at most (DEBUG and itself counted), and what it does. */
export type DebugRow = readonly [least: number, most: number, run: (call: Call, argv: Argv) => void]

export const INTERNALS: readonly (readonly [name: string, row: DebugRow])[] = [
  ['change-repl-id', [2, 2, changeReplicationId]],
  ['htstats', [3, 4, tableStats]],
  ['listpack', [3, 3, showListpack]],
  ['pause-cron', [3, 3, pauseCron]],
  ['quicklist-packed-threshold', [3, 3, packedThreshold]],
  ['replybuffer', [2, Number.POSITIVE_INFINITY, replyBuffer]],
  ['stringmatch-len', [4, 4, matchLength]],
]

export const INTERNALS_HELP = `
CHANGE-REPL-ID
    Change the replication IDs of the instance.
    Dangerous: should be used only for testing the replication subsystem.
HTSTATS <dbid>
    Return how many keys the specified database has, with and without expire.
LISTPACK <key>
    Show low level info about the listpack encoding of <key>, in the log.
PAUSE-CRON <0|1>
    Stop periodic cron job processing.
QUICKLIST-PACKED-THRESHOLD <size>
    Accepted: large elements are not kept apart from others here.
REPLYBUFFER <PEAK-RESET-TIME <NEVER|RESET|time>|RESIZING <0|1>>
    Accepted: reply buffers are not resized here.
STRINGMATCH-LEN <pattern> <string>
    Return whether a glob pattern matches.
`

/** Replicas that know the history by its old id have to begin anew. */
function changeReplicationId({ server, reply }: Call): void {
  server.log.notice('Changing replication IDs after receiving change-repl-id')
  server.replication.stream.disown(server.random.hex(40))
  reply.ok()
}

/** One table holds all keys and those with a deadline are a list of it: there are no chains to tell of. */
function tableStats({ server, reply }: Call, argv: Argv): void {
  const db = server.keyspace.databases[argv.integer(2)]
  if (db === undefined) throw fail('Out of range database')
  const table = (title: string, size: number): string =>
    `[${title} HT]\nHash table 0 stats (main hash table):\n${size === 0 ? 'No stats available for empty dictionaries' : ` number of elements: ${size}`}\n`
  reply.verbatim(table('Dictionary', db.size) + table('Expires', db.expiring))
}

function showListpack({ server, db, reply }: Call, argv: Argv): void {
  const value = db.peek(argv.key(2))
  if (value === undefined) throw NO_SUCH_KEY
  if (encodingName(value) !== 'listpack') throw fail('Not a listpack encoded object.')
  server.log.notice(`Listpack of '${argv.text(2)}', as DUMP has it: ${dumpValue(value).toString('hex')}`)
  reply.simple('Listpack structure printed on stdout')
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
