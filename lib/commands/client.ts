/** CLIENT: what a connection says about itself, and what an operator may do to others. */

import type { Millis } from '../base/brand.ts'
import { parseInteger } from '../base/bytes.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import { endWait } from '../server/blocking.ts'
import type { Call } from '../server/call.ts'
import type { Client } from '../server/client.ts'
import { clientLine } from '../server/client-line.ts'
import { position } from './args.ts'
import { killClients, listedClients } from './client-filter.ts'
import { CLIENT_HELP } from './client-help.ts'
import type { Command, CommandFlag } from './define.ts'
import { word } from './docs.ts'
import { HELP_ROW, replyHelp, tooManyArguments } from './help.ts'
import { trackingSubcommands } from './tracking.ts'

const ANYBODY: readonly CommandFlag[] = ['noscript', 'loading', 'stale']
const OPERATOR: readonly CommandFlag[] = ['admin', ...ANYBODY]

/** A subcommand. */
const sub = (row: Omit<Command, 'group'>): Command => ({ group: 'connection', ...row })

export const clientContainer: Command = {
  name: 'client',
  arity: -2,
  flags: [],
  group: 'connection',
  since: '2.4.0',
  summary: 'A container for client connection commands',
  complexity: 'Depends on subcommand.',
  subcommands: [
    sub({
      name: 'getname',
      arity: 2,
      flags: ANYBODY,
      since: '2.6.9',
      summary: 'Get the current connection name',
      complexity: 'O(1)',
      run({ client, reply }) {
        if (client.name === '') reply.nil()
        else reply.text(client.name)
      },
    }),
    sub({
      ...HELP_ROW,
      run: ({ reply }) => replyHelp(reply, 'CLIENT', CLIENT_HELP),
    }),
    sub({
      name: 'id',
      arity: 2,
      flags: ANYBODY,
      since: '5.0.0',
      summary: 'Returns the client ID for the current connection',
      complexity: 'O(1)',
      run: ({ client, reply }) => reply.integer(client.id),
    }),
    sub({
      name: 'info',
      arity: 2,
      flags: ANYBODY,
      since: '6.2.0',
      summary: 'Returns information about the current client connection.',
      complexity: 'O(1)',
      tips: ['nondeterministic_output'],
      run: (call) => show(call, [call.client]),
    }),
    sub({
      name: 'kill',
      arity: -3,
      flags: OPERATOR,
      since: '2.4.0',
      summary: 'Kill the connection of a client',
      complexity: 'O(N) where N is the number of client connections',
      arguments: [
        {
          name: 'filter',
          type: 'oneof',
          arguments: [
            { name: 'ip:port', type: 'string', deprecated: '2.8.12' },
            {
              name: 'new-format',
              type: 'oneof',
              multiple: true,
              arguments: [
                { name: 'client-id', type: 'integer', token: 'ID', since: '2.8.12', optional: true },
                {
                  name: 'normal_master_slave_pubsub',
                  type: 'oneof',
                  token: 'TYPE',
                  since: '2.8.12',
                  optional: true,
                  arguments: [
                    word('NORMAL'),
                    word('MASTER', '3.2.0'),
                    word('SLAVE'),
                    word('REPLICA', '5.0.0'),
                    word('PUBSUB'),
                  ],
                },
                { name: 'username', type: 'string', token: 'USER', optional: true },
                { name: 'ip:port', type: 'string', token: 'ADDR', optional: true },
                { name: 'ip:port', type: 'string', token: 'LADDR', since: '6.2.0', optional: true },
                { name: 'yes/no', type: 'string', token: 'SKIPME', optional: true },
              ],
            },
          ],
        },
      ],
      run: killClients,
    }),
    sub({
      name: 'list',
      arity: -2,
      flags: OPERATOR,
      since: '2.4.0',
      summary: 'Get the list of client connections',
      complexity: 'O(N) where N is the number of client connections',
      tips: ['nondeterministic_output'],
      arguments: [
        {
          name: 'normal_master_replica_pubsub',
          type: 'oneof',
          token: 'TYPE',
          since: '5.0.0',
          optional: true,
          arguments: [word('NORMAL'), word('MASTER'), word('REPLICA'), word('PUBSUB')],
        },
        {
          name: 'id',
          type: 'block',
          token: 'ID',
          since: '6.2.0',
          optional: true,
          arguments: [{ name: 'client-id', type: 'integer', multiple: true }],
        },
      ],
      run: (call, argv) => show(call, listedClients(call.server, argv)),
    }),
    sub({
      name: 'no-evict',
      arity: 3,
      flags: OPERATOR,
      since: '7.0.0',
      summary: 'Set client eviction mode for the current connection',
      complexity: 'O(1)',
      arguments: [
        {
          name: 'enabled',
          type: 'oneof',
          arguments: [word('ON'), word('OFF')],
        },
      ],
      run({ client, reply }, argv) {
        client.noEvict = onOff(argv, 2)
        reply.ok()
      },
    }),
    sub({
      name: 'pause',
      arity: -3,
      flags: OPERATOR,
      since: '2.9.50',
      summary: 'Stop processing commands from clients for some time',
      complexity: 'O(1)',
      arguments: [
        { name: 'timeout', type: 'integer' },
        {
          name: 'mode',
          type: 'oneof',
          since: '6.2.0',
          optional: true,
          arguments: [word('WRITE'), word('ALL')],
        },
      ],
      run: pause,
    }),
    sub({
      name: 'reply',
      arity: 3,
      flags: ANYBODY,
      since: '3.2.0',
      summary: 'Instruct the server whether to reply to commands',
      complexity: 'O(1)',
      arguments: [
        {
          name: 'on_off_skip',
          type: 'oneof',
          arguments: [word('ON'), word('OFF'), word('SKIP')],
        },
      ],
      run: replyMode,
    }),
    sub({
      name: 'setname',
      arity: 3,
      flags: ANYBODY,
      since: '2.6.9',
      summary: 'Set the current connection name',
      complexity: 'O(1)',
      arguments: [{ name: 'connection-name', type: 'string' }],
      run({ client, reply }, argv) {
        setName(client, argv.text(2))
        reply.ok()
      },
    }),
    sub({
      name: 'unblock',
      arity: -3,
      flags: OPERATOR,
      since: '5.0.0',
      summary: 'Unblock a client blocked in a blocking command from a different connection',
      complexity: 'O(log N) where N is the number of client connections',
      arguments: [
        { name: 'client-id', type: 'integer' },
        {
          name: 'timeout_error',
          type: 'oneof',
          optional: true,
          arguments: [word('TIMEOUT'), word('ERROR')],
        },
      ],
      run: unblock,
    }),
    sub({
      name: 'unpause',
      arity: 2,
      flags: OPERATOR,
      since: '6.2.0',
      summary: 'Resume processing of clients that were paused',
      complexity: 'O(N) Where N is the number of paused clients',
      run({ server, reply }) {
        server.pause.resume()
        reply.ok()
      },
    }),
    sub({
      name: 'no-touch',
      arity: 3,
      flags: ANYBODY,
      since: '7.2.0',
      summary: 'Controls whether commands sent by the client affect the LRU/LFU of accessed keys.',
      complexity: 'O(1)',
      arguments: [
        {
          name: 'enabled',
          type: 'oneof',
          arguments: [word('ON'), word('OFF')],
        },
      ],
      run({ client, reply }, argv) {
        client.noTouch = onOff(argv, 2)
        reply.ok()
      },
    }),
    sub({
      name: 'setinfo',
      arity: 4,
      flags: ANYBODY,
      since: '7.2.0',
      summary: 'Sets information specific to the client or connection.',
      complexity: 'O(1)',
      tips: ['request_policy:all_nodes', 'response_policy:all_succeeded'],
      arguments: [
        {
          name: 'attr',
          type: 'oneof',
          arguments: [
            { name: 'libname', type: 'string', token: 'LIB-NAME' },
            { name: 'libver', type: 'string', token: 'LIB-VER' },
          ],
        },
      ],
      run: setInfo,
    }),
    ...trackingSubcommands,
  ],
}

/** Throws when `text` could not stand in CLIENT LIST: every character has to be visible ASCII. */
function checkAttribute(text: string, what: string): void {
  if (/[^!-~]/.test(text)) throw fail(`${what} cannot contain spaces, newlines or special characters.`)
}

/** Names a connection; '' takes the name back. */
export function setName(client: Client, name: string): void {
  checkAttribute(name, 'Client names')
  client.name = name
}

function setInfo({ client, reply }: Call, argv: Argv): void {
  const option = argv.word(2)
  const value = argv.text(3)
  if (option !== 'lib-name' && option !== 'lib-ver') throw fail(`Unrecognized option '${argv.text(2)}'`)
  checkAttribute(value, option)
  if (option === 'lib-name') client.libraryName = value
  else client.libraryVersion = value
  reply.ok()
}

/** The line shows the command that asks for it. */
function show({ server, client, entry, reply }: Call, clients: Iterable<Client>): void {
  client.lastCommand = entry.fullName
  let text = ''
  for (const one of clients) text += `${clientLine(server, one)}\n`
  reply.verbatim(text)
}

function onOff(argv: Argv, i: number): boolean {
  const word = argv.word(i)
  if (word !== 'on' && word !== 'off') throw SYNTAX
  return word === 'on'
}

function pause({ server, reply, now }: Call, argv: Argv): void {
  if (argv.count > 4) throw tooManyArguments('CLIENT', argv)
  const mode = argv.count === 4 ? argv.word(3) : 'all'
  if (mode !== 'all' && mode !== 'write') throw fail('CLIENT PAUSE mode must be WRITE or ALL')
  const lasting = parseInteger(argv.at(2))
  if (lasting === undefined) throw fail('timeout is not an integer or out of range')
  if (lasting < 0) throw fail('timeout is negative')
  server.pause.pause(mode, (now + lasting) as Millis)
  reply.ok()
}

/** OFF and SKIP are not answered: the dispatcher takes back what is written while the mode is not `on`. */
function replyMode({ client, reply }: Call, argv: Argv): void {
  const word = argv.word(2)
  if (word === 'on' || word === 'off') client.replyMode = word
  else if (word !== 'skip') throw SYNTAX
  else if (client.replyMode !== 'off') client.replyMode = 'skip-next'
  if (word === 'on') reply.ok()
}

function unblock({ server, reply }: Call, argv: Argv): void {
  if (argv.count > 4) throw tooManyArguments('CLIENT', argv)
  const how = argv.count === 4 ? argv.word(3) : 'timeout'
  if (how !== 'timeout' && how !== 'error') throw fail('CLIENT UNBLOCK reason should be TIMEOUT or ERROR')
  const target = server.clients.get(position(argv, 2))
  reply.integer(target !== undefined && endWait(server, target, how) ? 1 : 0)
}
