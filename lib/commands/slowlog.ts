/** SLOWLOG: what took too long. */
import { parseInteger } from '../base/bytes.ts'
import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { family } from './define.ts'
import { replyHelp, tooManyArguments } from './help.ts'

export const slowlogCommands = family({
  name: 'slowlog',
  arity: -2,
  flags: [],
  group: 'server',
  since: '2.2.12',
  summary: 'A container for slow log commands',
  complexity: 'Depends on subcommand.',
  subcommands: [
    {
      name: 'get',
      arity: -2,
      flags: ['admin', 'loading', 'stale'],
      group: 'server',
      since: '2.2.12',
      summary: "Get the slow log's entries",
      complexity: 'O(N) where N is the number of entries returned',
      tips: ['request_policy:all_nodes', 'nondeterministic_output'],
      arguments: [{ name: 'count', type: 'integer', optional: true }],
      run: get,
    },
    {
      name: 'help',
      arity: 2,
      flags: ['loading', 'stale'],
      group: 'server',
      since: '6.2.0',
      summary: 'Show helpful text about the different subcommands',
      complexity: 'O(1)',
      run: ({ reply }) => replyHelp(reply, 'SLOWLOG', HELP),
    },
    {
      name: 'len',
      arity: 2,
      flags: ['admin', 'loading', 'stale'],
      group: 'server',
      since: '2.2.12',
      summary: "Get the slow log's length",
      complexity: 'O(1)',
      tips: ['request_policy:all_nodes', 'response_policy:agg_sum', 'nondeterministic_output'],
      run: ({ server, reply }) => reply.integer(server.slowlog.length),
    },
    {
      name: 'reset',
      arity: 2,
      flags: ['admin', 'loading', 'stale'],
      group: 'server',
      since: '2.2.12',
      summary: 'Clear all entries from the slow log',
      complexity: 'O(N) where N is the number of entries in the slowlog',
      tips: ['request_policy:all_nodes', 'response_policy:all_succeeded'],
      run({ server, reply }) {
        server.slowlog.reset()
        reply.ok()
      },
    },
  ],
})

const HELP = `
GET [<count>]
    Return top <count> entries from the slowlog (default: 10, -1 mean all).
    Entries are made of:
    id, timestamp, time in microseconds, arguments array, client IP and port,
    client name
LEN
    Return the length of the slowlog.
RESET
    Reset the slowlog.
`
const DEFAULT_COUNT = 10

function get({ server, reply }: Call, argv: Argv): void {
  if (argv.count > 3) throw tooManyArguments('SLOWLOG', argv)
  const count = argv.count === 2 ? DEFAULT_COUNT : parseInteger(argv.at(2))
  if (count === undefined || count < -1) throw fail('count should be greater than or equal to -1')
  const entries = server.slowlog.newest(count === -1 ? server.slowlog.length : count)
  reply.array(entries.length)
  for (const entry of entries) {
    reply.array(6)
    reply.integer(entry.id)
    reply.integer(entry.time)
    reply.integer(entry.micros)
    reply.array(entry.args.length)
    for (const arg of entry.args) reply.bulk(arg)
    reply.text(entry.address)
    reply.text(entry.name)
  }
}
