/** CONFIG: the directives in force, changed, and written back to their file. */
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { isLocal } from '../server/client.ts'
import type { Command, CommandFlag } from './define.ts'
import { replyHelp } from './help.ts'

const ADMIN: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale']

export const configContainer: Command = {
  name: 'config',
  arity: -2,
  flags: [],
  group: 'server',
  since: '2.0.0',
  summary: 'A container for server configuration commands',
  complexity: 'Depends on subcommand.',
  subcommands: [
    {
      name: 'get',
      arity: -3,
      flags: ADMIN,
      group: 'server',
      since: '2.0.0',
      summary: 'Get the values of configuration parameters',
      complexity: 'O(N) when N is the number of configuration parameters provided',
      arguments: [
        { name: 'parameter', type: 'block', multiple: true, arguments: [{ name: 'parameter', type: 'string' }] },
      ],
      run({ server, reply }, argv) {
        const found = server.config.get(...textsFrom(argv, 2))
        reply.map(found.length)
        for (const [name, value] of found) {
          reply.text(name)
          reply.text(value)
        }
      },
    },
    {
      name: 'set',
      arity: -4,
      flags: ADMIN,
      group: 'server',
      since: '2.0.0',
      summary: 'Set configuration parameters to the given values',
      complexity: 'O(N) when N is the number of configuration parameters provided',
      tips: ['request_policy:all_nodes', 'response_policy:all_succeeded'],
      arguments: [
        {
          name: 'parameter_value',
          type: 'block',
          multiple: true,
          arguments: [
            { name: 'parameter', type: 'string' },
            { name: 'value', type: 'string' },
          ],
        },
      ],
      run: set,
    },
    {
      name: 'rewrite',
      arity: 2,
      flags: ADMIN,
      group: 'server',
      since: '2.8.0',
      summary: 'Rewrite the configuration file with the in memory configuration',
      complexity: 'O(1)',
      run: rewrite,
    },
    {
      name: 'resetstat',
      arity: 2,
      flags: ADMIN,
      group: 'server',
      since: '2.0.0',
      summary: 'Reset the stats returned by INFO',
      complexity: 'O(1)',
      run({ server, reply }) {
        server.stats.reset()
        server.commands.resetStats()
        reply.ok()
      },
    },
    {
      name: 'help',
      arity: 2,
      flags: ['loading', 'stale'],
      group: 'server',
      since: '5.0.0',
      summary: 'Show helpful text about the different subcommands',
      complexity: 'O(1)',
      run: ({ reply }) => replyHelp(reply, 'CONFIG', HELP),
    },
  ],
}

const HELP = `
GET <pattern>
    Return parameters matching the glob-like <pattern> and their values.
SET <directive> <value>
    Set the configuration <directive> to <value>.
RESETSTAT
    Reset statistics reported by the INFO command.
REWRITE
    Rewrite the configuration file.
`

function set({ server, client, reply }: Call, argv: Argv): void {
  const texts = textsFrom(argv, 2)
  if (texts.length % 2 !== 0) throw SYNTAX
  const pairs = texts.flatMap((name, i): [string, string][] => (i % 2 === 0 ? [[name, texts[i + 1]!]] : []))
  const owner = server.config.values.enableProtectedConfigs
  const setProtected = owner === 'yes' || (owner === 'local' && isLocal(client))
  const refusal = server.config.set(pairs, { setProtected })
  if (refusal !== undefined) throw fail(refusal)
  for (const notice of server.config.takeNotices()) server.log.notice(notice)
  reply.ok()
}

function rewrite({ server, reply }: Call): void {
  const refusal = server.config.rewrite()
  if (refusal !== undefined) {
    server.log.warning(`CONFIG REWRITE failed: ${refusal}`)
    throw fail(refusal)
  }
  server.log.notice('CONFIG REWRITE executed with success.')
  reply.ok()
}

/** Arguments as text: configuration files are UTF-8, and so are the values they hold. */
function textsFrom(argv: Argv, first: number): string[] {
  const texts: string[] = []
  for (let i = first; i < argv.count; i++) texts.push(argv.at(i).toString())
  return texts
}
