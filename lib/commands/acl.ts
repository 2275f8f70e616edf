/** ACL, as far as it goes with one user: `default`, who may do everything once the password is given. */
import { createHash } from 'node:crypto'
import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { aclCategories, CATEGORIES } from './categories.ts'
import { family } from './define.ts'
import { replyHelp, tooManyArguments } from './help.ts'

export const aclCommands = family({
  name: 'acl',
  arity: -2,
  flags: [],
  group: 'server',
  since: '6.0.0',
  summary: 'A container for Access List Control commands ',
  complexity: 'Depends on subcommand.',
  subcommands: [
    {
      name: 'cat',
      arity: -2,
      flags: ['noscript', 'loading', 'stale'],
      group: 'server',
      since: '6.0.0',
      summary: 'List the ACL categories or the commands inside a category',
      complexity: 'O(1) since the categories and commands are a fixed set.',
      arguments: [{ name: 'categoryname', type: 'string', optional: true }],
      run: categories,
    },
    {
      name: 'genpass',
      arity: -2,
      flags: ['noscript', 'loading', 'stale'],
      group: 'server',
      since: '6.0.0',
      summary: 'Generate a pseudorandom secure password to use for ACL users',
      complexity: 'O(1)',
      arguments: [{ name: 'bits', type: 'integer', optional: true }],
      run: generatePassword,
    },
    {
      name: 'getuser',
      arity: 3,
      flags: ['admin', 'noscript', 'loading', 'stale'],
      group: 'server',
      since: '6.0.0',
      summary: 'Get the rules for a specific ACL user',
      complexity: 'O(N). Where N is the number of password, command and pattern rules that the user has.',
      arguments: [{ name: 'username', type: 'string' }],
      run: getUser,
    },
    {
      name: 'help',
      arity: 2,
      flags: ['loading', 'stale'],
      group: 'server',
      since: '6.0.0',
      summary: 'Show helpful text about the different subcommands',
      complexity: 'O(1)',
      run: ({ reply }) => replyHelp(reply, 'ACL', HELP),
    },
    {
      name: 'list',
      arity: 2,
      flags: ['admin', 'noscript', 'loading', 'stale'],
      group: 'server',
      since: '6.0.0',
      summary: 'List the current ACL rules in ACL config file format',
      complexity: 'O(N). Where N is the number of configured users.',
      run: listUsers,
    },
    {
      name: 'users',
      arity: 2,
      flags: ['admin', 'noscript', 'loading', 'stale'],
      group: 'server',
      since: '6.0.0',
      summary: 'List the username of all the configured ACL rules',
      complexity: 'O(N). Where N is the number of configured users.',
      run: users,
    },
    {
      name: 'whoami',
      arity: 2,
      flags: ['noscript', 'loading', 'stale'],
      group: 'server',
      since: '6.0.0',
      summary: 'Return the name of the user associated to the current connection',
      complexity: 'O(1)',
      run: ({ client, reply }) => reply.text(client.user),
    },
  ],
})

const HELP = `
CAT [<category>]
    List all commands that belong to <category>, or all command categories
    when no category is specified.
GETUSER <username>
    Get the user's details.
GENPASS [<bits>]
    Generate a secure 256-bit user password. The optional \`bits\` argument can
    be used to specify a different size.
LIST
    Show users details in config file format.
USERS
    List all the registered usernames.
WHOAMI
    Return the current connection username.
`

/** SHA-256 of the password in hexadecimal, or undefined when none is needed. */
function passwordHash({ server }: Call): string | undefined {
  const { requirepass } = server.config.values
  return requirepass === '' ? undefined : createHash('sha256').update(requirepass).digest('hex')
}

function listUsers(call: Call): void {
  const hash = passwordHash(call)
  call.reply.array(1)
  call.reply.text(`user default on ${hash === undefined ? 'nopass' : `#${hash}`} ~* &* +@all`)
}

function users({ reply }: Call): void {
  reply.array(1)
  reply.text('default')
}

function getUser(call: Call, argv: Argv): void {
  const { reply } = call
  if (argv.text(2) !== 'default') return reply.nil()
  const hash = passwordHash(call)
  const flags = hash === undefined ? ['on', 'nopass'] : ['on']
  const passwords = hash === undefined ? [] : [hash]
  reply.map(6)
  reply.text('flags')
  reply.set(flags.length)
  for (const flag of flags) reply.text(flag)
  reply.text('passwords')
  reply.array(passwords.length)
  for (const password of passwords) reply.text(password)
  for (const [name, rule] of [
    ['commands', '+@all'],
    ['keys', '~*'],
    ['channels', '&*'],
  ] as const) {
    reply.text(name)
    reply.text(rule)
  }
  reply.text('selectors')
  reply.array(0)
}

/** Without an argument the categories; with one the commands in it, subcommands only where their container is not. */
function categories({ server, reply }: Call, argv: Argv): void {
  if (argv.count > 3) throw tooManyArguments('ACL', argv)
  let words: readonly string[] = CATEGORIES
  if (argv.count === 3) {
    const category = argv.word(2)
    if (!words.includes(category)) throw fail(`Unknown category '${argv.text(2)}'`)
    const found: string[] = []
    for (const entry of server.commands.entries.values())
      for (const one of [entry, ...(entry.subcommands?.values() ?? [])])
        if (aclCategories(one).includes(category)) found.push(one.fullName)
    words = found
  }
  reply.array(words.length)
  for (const word of words) reply.text(word)
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
