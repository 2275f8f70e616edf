/** CONFIG: the directives in force, changed, and written back to their file. */

import type { Millis } from '../base/brand.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { type Client, isLocal } from '../server/client.ts'
import type { Server } from '../server/server.ts'
import type { Command, CommandFlag } from './define.ts'
import { HELP_ROW, replyHelp } from './help.ts'

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
        server.keyspace.resetStats()
        server.commands.resetStats()
        reply.ok()
      },
    },
    {
      ...HELP_ROW,
      group: 'server',
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
  // The commands after it in the transaction could not wait for it.
  const moves = pairs.map(([name]) => name.toLowerCase()).find((name) => ADDRESSES.has(name))
  if (moves !== undefined && client.multi !== undefined) throw fail('addresses cannot be changed in transactions')
  const before = server.config.get(...pairs.map(([name]) => name))
  const refusal = server.config.set(pairs, { setProtected })
  if (refusal !== undefined) throw fail(refusal)
  for (const notice of server.config.takeNotices()) server.log.notice(notice)
  if (moves === undefined) return reply.ok()
  answerMoved(server, client, () => {
    server.config.set(before, { setProtected: true })
    return `CONFIG SET failed (possibly related to argument '${moves}') - ${ADDRESSES.get(moves)}`
  })
}

/** What is answered when an address cannot be had. */
const ADDRESSES: ReadonlyMap<string, string> = new Map([
  ['port', 'Unable to listen on this port. Check server logs.'],
  ['tls-port', 'Unable to listen on this port. Check server logs.'],
  ['bind', 'Failed to bind to specified addresses.'],
])

/** Answers when the server listens at its new address, or cannot; then everything is undone, which tells why. */
function answerMoved(server: Server, client: Client, undo: () => string): void {
  // What CLIENT REPLY holds back now would not be held back later.
  const muted = client.replyMode !== 'on'
  server.block(client, { kind: 'move', timeoutAt: 0 as Millis, leave() {} })
  void server.moving.then((moved) => {
    const why = moved ? undefined : undo()
    if (client.closed) return
    if (!muted) {
      if (why === undefined) client.reply.ok()
      else server.replyError(client, fail(why))
    }
    server.unblock(client)
    server.flushLater(client)
  })
}

function rewrite({ server, reply }: Call): void {
  // Users that a file of their own declares are not declared here too.
  const refusal = server.config.rewrite(server.config.values.aclfile === '' ? server.acl.lines : [])
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
