/** ACL: users, what they may do, and what they were refused. */
import { fail, wrongArity } from '../errors.ts'
import { type Argv, argvOf } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Selector } from '../server/acl-selector.ts'
import type { Call } from '../server/call.ts'
import { aclCategories, CATEGORIES } from './categories.ts'
import { type Command, type CommandFlag, family } from './define.ts'
import { word } from './docs.ts'
import { replyHelp, tooManyArguments } from './help.ts'

const ANYBODY: readonly CommandFlag[] = ['noscript', 'loading', 'stale']
const OPERATOR: readonly CommandFlag[] = ['admin', ...ANYBODY]

/** A subcommand, for administrators unless it says otherwise. */
const sub = (row: Omit<Command, 'group' | 'flags'> & Partial<Command>): Command => ({
  group: 'server',
  flags: OPERATOR,
  ...row,
})

const PER_USER = 'O(N). Where N is the number of configured users.'

export const aclCommands = family({
  name: 'acl',
  arity: -2,
  flags: [],
  group: 'server',
  since: '6.0.0',
  summary: 'A container for Access List Control commands ',
  complexity: 'Depends on subcommand.',
  subcommands: [
    sub({
      name: 'cat',
      arity: -2,
      flags: ANYBODY,
      since: '6.0.0',
      summary: 'List the ACL categories or the commands inside a category',
      complexity: 'O(1) since the categories and commands are a fixed set.',
      arguments: [{ name: 'categoryname', type: 'string', optional: true }],
      run: categories,
    }),
    sub({
      name: 'deluser',
      arity: -3,
      since: '6.0.0',
      summary: 'Remove the specified ACL users and the associated rules',
      complexity: 'O(1) amortized time considering the typical user.',
      arguments: [{ name: 'username', type: 'string', multiple: true }],
      run: deleteUsers,
    }),
    sub({
      name: 'dryrun',
      arity: -4,
      since: '7.0.0',
      summary: 'Returns whether the user can execute the given command without executing the command.',
      complexity: 'O(1).',
      arguments: [
        { name: 'username', type: 'string' },
        { name: 'command', type: 'string' },
        { name: 'arg', type: 'string', optional: true, multiple: true },
      ],
      run: dryRun,
    }),
    sub({
      name: 'genpass',
      arity: -2,
      flags: ANYBODY,
      since: '6.0.0',
      summary: 'Generate a pseudorandom secure password to use for ACL users',
      complexity: 'O(1)',
      arguments: [{ name: 'bits', type: 'integer', optional: true }],
      run: generatePassword,
    }),
    sub({
      name: 'getuser',
      arity: 3,
      since: '6.0.0',
      summary: 'Get the rules for a specific ACL user',
      complexity: 'O(N). Where N is the number of password, command and pattern rules that the user has.',
      arguments: [{ name: 'username', type: 'string' }],
      run: getUser,
    }),
    sub({
      name: 'help',
      arity: 2,
      flags: ['loading', 'stale'],
      since: '6.0.0',
      summary: 'Show helpful text about the different subcommands',
      complexity: 'O(1)',
      run: ({ reply }) => replyHelp(reply, 'ACL', HELP),
    }),
    sub({
      name: 'list',
      arity: 2,
      since: '6.0.0',
      summary: 'List the current ACL rules in ACL config file format',
      complexity: PER_USER,
      run: ({ server, reply }) =>
        texts(
          reply,
          server.acl.lines.map((line) => `user ${line}`),
        ),
    }),
    sub({
      name: 'load',
      arity: 2,
      since: '6.0.0',
      summary: 'Reload the ACLs from the configured ACL file',
      complexity: PER_USER,
      run: load,
    }),
    sub({
      name: 'log',
      arity: -2,
      since: '6.0.0',
      summary: 'List latest events denied because of ACLs in place',
      complexity: 'O(N) with N being the number of entries shown.',
      arguments: [
        {
          name: 'operation',
          type: 'oneof',
          optional: true,
          arguments: [{ name: 'count', type: 'integer' }, word('RESET')],
        },
      ],
      run: showLog,
    }),
    sub({
      name: 'save',
      arity: 2,
      since: '6.0.0',
      summary: 'Save the current ACL rules in the configured ACL file',
      complexity: PER_USER,
      run: save,
    }),
    sub({
      name: 'setuser',
      arity: -3,
      since: '6.0.0',
      summary: 'Modify or create the rules for a specific ACL user',
      complexity: 'O(N). Where N is the number of rules provided.',
      arguments: [
        { name: 'username', type: 'string' },
        { name: 'rule', type: 'string', optional: true, multiple: true },
      ],
      run: setUser,
    }),
    sub({
      name: 'users',
      arity: 2,
      since: '6.0.0',
      summary: 'List the username of all the configured ACL rules',
      complexity: PER_USER,
      run: ({ server, reply }) =>
        texts(
          reply,
          server.acl.users.map(({ name }) => name),
        ),
    }),
    sub({
      name: 'whoami',
      arity: 2,
      flags: ANYBODY,
      since: '6.0.0',
      summary: 'Return the name of the user associated to the current connection',
      complexity: 'O(1)',
      run: ({ client, reply }) => reply.name(client.user?.name ?? 'default'),
    }),
  ],
})

const HELP = `
CAT [<category>]
    List all commands that belong to <category>, or all command categories
    when no category is specified.
DELUSER <username> [<username> ...]
    Delete a list of users.
DRYRUN <username> <command> [<arg> ...]
    Returns whether the user can execute the given command without executing the command.
GETUSER <username>
    Get the user's details.
GENPASS [<bits>]
    Generate a secure 256-bit user password. The optional \`bits\` argument can
    be used to specify a different size.
LIST
    Show users details in config file format.
LOAD
    Reload users from the ACL file.
LOG [<count> | RESET]
    Show the ACL log entries.
SAVE
    Save the current config to the ACL file.
SETUSER <username> <attribute> [<attribute> ...]
    Create or modify a user with the specified attributes.
USERS
    List all the registered usernames.
WHOAMI
    Return the current connection username.
`

function texts(reply: Reply, all: readonly string[]): void {
  reply.array(all.length)
  for (const one of all) reply.name(one)
}

const argumentsFrom = (argv: Argv, from: number): string[] =>
  Array.from({ length: argv.count - from }, (_, i) => argv.text(from + i))

function setUser({ server, reply }: Call, argv: Argv): void {
  const name = argv.text(2)
  if (/[\s\0]/.test(name)) throw fail("Usernames can't contain spaces or null characters")
  server.acl.setUser(name, argumentsFrom(argv, 3))
  reply.ok()
}

/** Names after the default user's are not deleted. */
function deleteUsers({ server, reply }: Call, argv: Argv): void {
  let deleted = 0
  for (const name of argumentsFrom(argv, 2)) {
    if (name === 'default') throw fail("The 'default' user cannot be removed")
    if (server.acl.delete(name)) deleted++
  }
  reply.integer(deleted)
}

function getUser({ server, reply }: Call, argv: Argv): void {
  const user = server.acl.user(argv.text(2))
  if (user === undefined) return reply.nil()
  const [root, ...others] = user.selectors
  reply.map(6)
  reply.text('flags')
  reply.set(user.flags.length)
  for (const flag of user.flags) reply.text(flag)
  reply.text('passwords')
  texts(reply, user.passwords)
  replyRules(reply, root)
  reply.text('selectors')
  reply.array(others.length)
  for (const selector of others) {
    reply.map(3)
    replyRules(reply, selector)
  }
}

function replyRules(reply: Reply, selector: Selector): void {
  const { commands, keys, channels } = selector.describe()
  for (const part of ['commands', commands, 'keys', keys, 'channels', channels]) reply.name(part)
}

/** Without an argument the categories; with one the commands in it, subcommands only where their container is not. */
function categories({ server, reply }: Call, argv: Argv): void {
  if (argv.count > 3) throw tooManyArguments('ACL', argv)
  if (argv.count === 2) return texts(reply, CATEGORIES)
  const category = argv.word(2)
  if (!CATEGORIES.some((one) => one === category)) throw fail(`Unknown category '${argv.text(2)}'`)
  const found = [...server.commands.all()].filter((entry) => aclCategories(entry).includes(category))
  texts(
    reply,
    found.map(({ fullName }) => fullName),
  )
}

const DEFAULT_BITS = 256
const MAX_BITS = 4096

function generatePassword({ server, reply }: Call, argv: Argv): void {
  if (argv.count > 3) throw tooManyArguments('ACL', argv)
  const bits = argv.count === 3 ? argv.integer(2) : DEFAULT_BITS
  if (bits <= 0 || bits > MAX_BITS)
    throw fail('ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096')
  reply.text(server.random.hex(Math.ceil(bits / 4)))
}

/** What a user would be told of a request that is not made. */
function dryRun({ server, reply }: Call, argv: Argv): void {
  const user = server.acl.user(argv.text(2))
  if (user === undefined) throw fail(`User '${argv.text(2)}' not found`)
  const request = argvOf(Array.from({ length: argv.count - 3 }, (_, i) => argv.at(3 + i)))
  const entry = server.commands.find(request)
  if (entry === undefined) throw fail(`Command '${argv.text(3)}' not found`)
  if (entry.arity > 0 ? request.count !== entry.arity : request.count < -entry.arity) throw wrongArity(entry.fullName)
  const denial = user.denies(entry, request)
  if (denial === undefined) return reply.ok()
  const what =
    denial.reason === 'command'
      ? `run the '${entry.fullName}' command`
      : `access the '${request.text(denial.at)}' ${denial.reason}`
  reply.name(`This user has no permissions to ${what}`)
}

const DEFAULT_COUNT = 10

function showLog({ server, reply, now }: Call, argv: Argv): void {
  if (argv.count > 3) throw tooManyArguments('ACL', argv)
  if (argv.count === 3 && argv.word(2) === 'reset') {
    server.acl.log.reset()
    return reply.ok()
  }
  const entries = server.acl.log.newest(argv.count === 3 ? Math.max(0, argv.integer(2)) : DEFAULT_COUNT)
  reply.array(entries.length)
  for (const { entry, count, at } of entries) {
    const { reason, context, object, username, clientInfo } = entry
    reply.map(7)
    reply.text('count')
    reply.integer(count)
    for (const part of ['reason', reason, 'context', context, 'object', object, 'username', username]) reply.name(part)
    reply.text('age-seconds')
    reply.double(String((now - at) / 1000))
    reply.text('client-info')
    reply.text(clientInfo)
  }
}

/** Throws when there is no file. */
function checkFile({ server }: Call): void {
  if (server.config.values.aclfile === '')
    throw fail(
      'This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.',
    )
}

function load(call: Call): void {
  checkFile(call)
  const refusal = call.server.acl.load()
  if (refusal !== undefined) throw fail(refusal)
  call.reply.ok()
}

function save(call: Call): void {
  checkFile(call)
  const refusal = call.server.acl.save()
  if (refusal !== undefined) {
    call.server.log.warning(`Saving the ACL file: ${refusal}`)
    throw fail('There was an error trying to save the ACLs. Please check the server logs for more information')
  }
  call.reply.ok()
}
