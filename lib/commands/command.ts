/** COMMAND: the command table, told to clients. */
import { globMatch } from '../base/glob.ts'
import { fail, SYNTAX } from '../errors.ts'
import { type Argv, argvOf } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { aclCategories } from './categories.ts'
import { replyDocs, replyInfo } from './command-docs.ts'
import { family } from './define.ts'
import { HELP_ROW, replyHelp } from './help.ts'
import { hasKeys, keysWithFlags } from './key-specs.ts'
import type { CommandEntry } from './table.ts'

export const commandCommands = family({
  name: 'command',
  arity: -1,
  flags: ['loading', 'stale'],
  group: 'server',
  since: '2.8.13',
  summary: 'Get array of Redis command details',
  complexity: 'O(N) where N is the total number of Redis commands',
  tips: ['nondeterministic_output_order'],
  categories: ['connection'],
  subcommands: [
    {
      name: 'count',
      arity: 2,
      flags: ['loading', 'stale'],
      group: 'server',
      since: '2.8.13',
      summary: 'Get total number of Redis commands',
      complexity: 'O(1)',
      categories: ['connection'],
      run: ({ server, reply }) => reply.integer(server.commands.entries.size),
    },
    {
      name: 'docs',
      arity: -2,
      flags: ['loading', 'stale'],
      group: 'server',
      since: '7.0.0',
      summary: 'Get array of specific Redis command documentation',
      complexity: 'O(N) where N is the number of commands to look up',
      tips: ['nondeterministic_output_order'],
      categories: ['connection'],
      arguments: [{ name: 'command-name', type: 'string', optional: true, multiple: true }],
      run: docs,
    },
    {
      name: 'getkeys',
      arity: -4,
      flags: ['loading', 'stale'],
      group: 'server',
      since: '2.8.13',
      summary: 'Extract keys given a full Redis command',
      complexity: 'O(N) where N is the number of arguments to the command',
      categories: ['connection'],
      run: getKeys,
    },
    {
      name: 'getkeysandflags',
      arity: -4,
      flags: ['loading', 'stale'],
      group: 'server',
      since: '7.0.0',
      summary: 'Extract keys and access flags given a full Redis command',
      complexity: 'O(N) where N is the number of arguments to the command',
      categories: ['connection'],
      run: getKeysAndFlags,
    },
    {
      ...HELP_ROW,
      group: 'server',
      categories: ['connection'],
      run: ({ reply }) => replyHelp(reply, 'COMMAND', HELP),
    },
    {
      name: 'info',
      arity: -2,
      flags: ['loading', 'stale'],
      group: 'server',
      since: '2.8.13',
      summary: 'Get array of specific Redis command details, or all when no argument is given.',
      complexity: 'O(N) where N is the number of commands to look up',
      tips: ['nondeterministic_output_order'],
      categories: ['connection'],
      arguments: [{ name: 'command-name', type: 'string', optional: true, multiple: true }],
      run: info,
    },
    {
      name: 'list',
      arity: -2,
      flags: ['loading', 'stale'],
      group: 'server',
      since: '7.0.0',
      summary: 'Get an array of Redis command names',
      complexity: 'O(N) where N is the total number of Redis commands',
      tips: ['nondeterministic_output_order'],
      categories: ['connection'],
      arguments: [
        {
          name: 'filterby',
          type: 'oneof',
          token: 'FILTERBY',
          optional: true,
          arguments: [
            { name: 'module-name', type: 'string', token: 'MODULE' },
            { name: 'category', type: 'string', token: 'ACLCAT' },
            { name: 'pattern', type: 'pattern', token: 'PATTERN' },
          ],
        },
      ],
      run: list,
    },
  ],
  run: all,
})

const HELP = `
(no subcommand)
    Return details about all Redis commands.
COUNT
    Return the total number of commands in this Redis server.
LIST
    Return a list of all commands in this Redis server.
INFO [<command-name> ...]
    Return details about multiple Redis commands.
    If no command names are given, documentation details for all
    commands are returned.
DOCS [<command-name> ...]
    Return documentation details about multiple Redis commands.
    If no command names are given, documentation details for all
    commands are returned.
GETKEYS <full-command>
    Return the keys from a full Redis command.
GETKEYSANDFLAGS <full-command>
    Return the keys and the access flags from a full Redis command.
`

function all({ server, reply }: Call, argv: Argv): void {
  if (argv.count > 1) throw fail(`unknown subcommand '${argv.text(1).slice(0, 128)}'. Try COMMAND HELP.`)
  const { entries } = server.commands
  reply.array(entries.size)
  for (const entry of entries.values()) replyInfo(reply, entry)
}

function info(call: Call, argv: Argv): void {
  const { server, reply } = call
  if (argv.count === 2) {
    reply.array(server.commands.entries.size)
    for (const entry of server.commands.entries.values()) replyInfo(reply, entry)
    return
  }
  reply.array(argv.count - 2)
  for (let i = 2; i < argv.count; i++) {
    const entry = server.commands.get(argv.word(i))
    if (entry === undefined) reply.nil()
    else replyInfo(reply, entry)
  }
}

function docs({ server, reply }: Call, argv: Argv): void {
  const found: CommandEntry[] = []
  if (argv.count === 2) found.push(...server.commands.entries.values())
  for (let i = 2; i < argv.count; i++) {
    const entry = server.commands.get(argv.word(i))
    if (entry !== undefined) found.push(entry)
  }
  reply.map(found.length)
  for (const entry of found) {
    reply.text(entry.fullName)
    replyDocs(reply, entry)
  }
}

type Filter = (argv: Argv, i: number) => (entry: CommandEntry) => boolean

/** Filters of COMMAND LIST by their word; `i` is the argument after it. Modules there are none. */
const FILTERS: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ['module', () => () => false],
  [
    'aclcat',
    (argv, i) => {
      const category = argv.word(i)
      return (entry) => aclCategories(entry).includes(category)
    },
  ],
  ['pattern', (argv, i) => (entry) => globMatch(argv.at(i), Buffer.from(entry.fullName, 'latin1'), true)],
])

const everything: Filter = () => () => true

function list({ server, reply }: Call, argv: Argv): void {
  const isFiltered = argv.count === 5 && argv.word(2) === 'filterby'
  const filter = argv.count === 2 ? everything : isFiltered ? FILTERS.get(argv.word(3)) : undefined
  if (filter === undefined) throw SYNTAX
  const matches = filter(argv, 4)
  const names = [...server.commands.all()].filter(matches).map(({ fullName }) => fullName)
  reply.array(names.length)
  for (const name of names) reply.text(name)
}

/** The request that follows COMMAND GETKEYS, and its keys. Throws when there are none to be had. */
function subjectKeys({ server }: Call, argv: Argv) {
  const parts: Buffer[] = []
  for (let i = 2; i < argv.count; i++) parts.push(argv.at(i))
  const subject = argvOf(parts)
  const entry = server.commands.find(subject)
  if (entry === undefined) throw fail('Invalid command specified')
  const { keys, arity } = entry.command
  if (!hasKeys(keys)) throw fail('The command has no key arguments')
  if (arity > 0 ? subject.count !== arity : subject.count < -arity)
    throw fail('Invalid number of arguments specified for command')
  const found = keysWithFlags(entry, subject)
  if (found.length === 0 && !entry.command.flags.includes('no_mandatory_keys'))
    throw fail('Invalid arguments specified for command')
  return { subject, found }
}

function getKeys(call: Call, argv: Argv): void {
  const { subject, found } = subjectKeys(call, argv)
  call.reply.array(found.length)
  for (const { index } of found) call.reply.bulk(subject.at(index))
}

function getKeysAndFlags(call: Call, argv: Argv): void {
  const { reply } = call
  const { subject, found } = subjectKeys(call, argv)
  reply.array(found.length)
  for (const { index, flags } of found) {
    reply.array(2)
    reply.bulk(subject.at(index))
    reply.set(flags.length)
    for (const flag of flags) reply.simple(flag)
  }
}
