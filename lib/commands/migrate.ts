/** MIGRATE: moves keys to another server. */
import type { Key } from '../base/key.ts'
import { fail, SYNTAX } from '../errors.ts'
import { migrateKeys } from '../migrate/keys.ts'
import { type Argv, keepArgv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { position } from './args.ts'
import type { Command } from './define.ts'
import { option } from './docs.ts'

export const migrate: Command = {
  name: 'migrate',
  group: 'generic',
  arity: -6,
  flags: ['write', 'movablekeys'],
  keys: {
    first: 3,
    last: 3,
    step: 1,
    find: keyArguments,
    specs: [
      { flags: ['RW', 'access', 'delete'], begin: 3, last: 0, step: 1 },
      { flags: ['RW', 'access', 'delete', 'incomplete'], begin: { keyword: 'KEYS', from: -2 }, last: -1, step: 1 },
    ],
  },
  since: '2.6.0',
  summary: 'Atomically transfer a key from a Redis instance to another one.',
  complexity:
    'This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target instance. See the pages of these commands for time complexity. Also an O(N) data transfer between the two instances is performed.',
  tips: ['nondeterministic_output'],
  categories: ['dangerous'],
  arguments: [
    { name: 'host', type: 'string' },
    { name: 'port', type: 'integer' },
    {
      name: 'key_or_empty_string',
      type: 'oneof',
      arguments: [
        { name: 'key', type: 'key', keySpec: 0 },
        { name: 'empty_string', type: 'pure-token', token: '' },
      ],
    },
    { name: 'destination-db', type: 'integer' },
    { name: 'timeout', type: 'integer' },
    option('COPY', '3.0.0'),
    option('REPLACE', '3.0.0'),
    {
      name: 'authentication',
      type: 'oneof',
      optional: true,
      arguments: [
        { name: 'password', type: 'string', token: 'AUTH', since: '4.0.7', optional: true },
        {
          name: 'username_password',
          type: 'block',
          token: 'AUTH2',
          since: '6.0.0',
          optional: true,
          arguments: [
            { name: 'username', type: 'string' },
            { name: 'password', type: 'string' },
          ],
        },
      ],
    },
    { name: 'key', type: 'key', keySpec: 1, token: 'KEYS', since: '3.0.6', optional: true, multiple: true },
  ],
  run: start,
}

/** How many arguments follow an option. */
const WORDS_AFTER: ReadonlyMap<string, number> = new Map([
  ['copy', 0],
  ['replace', 0],
  ['auth', 1],
  ['auth2', 2],
])

/** The key in its place, or all that follow KEYS when that place is empty. */
function keyArguments(argv: Argv): readonly number[] {
  for (let i = 6; i < argv.count && argv.length(3) === 0; i++) {
    const name = argv.word(i)
    if (name === 'keys') return Array.from({ length: argv.count - i - 1 }, (_, j) => i + 1 + j)
    i += WORDS_AFTER.get(name) ?? 0
  }
  return [3]
}

interface Options {
  copy: boolean
  replace: boolean
  auth: Buffer[] | undefined
}

function readOptions(argv: Argv): Options {
  const options: Options = { copy: false, replace: false, auth: undefined }
  for (let i = 6; i < argv.count; i++) {
    const name = argv.word(i)
    if (name === 'keys') {
      if (argv.length(3) === 0) break
      throw fail('When using MIGRATE KEYS option, the key argument must be set to the empty string')
    }
    const words = WORDS_AFTER.get(name)
    if (words === undefined || i + words >= argv.count) throw SYNTAX
    if (name === 'copy') options.copy = true
    else if (name === 'replace') options.replace = true
    else options.auth = Array.from({ length: words }, (_, j) => argv.own(i + 1 + j))
    i += words
  }
  return options
}

const DEFAULT_TIMEOUT_MS = 1000
/** The longest timer Node has. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

function start(call: Call, argv: Argv): void {
  const { server, client, db, reply } = call
  const options = readOptions(argv)
  const timeoutMs = position(argv, 5)
  const targetDb = position(argv, 4)
  // The commands after it in the transaction could not wait for it.
  if (client.multi !== undefined) throw fail('MIGRATE is not allowed in transactions')
  const places = keyArguments(argv).filter((i) => db.view(argv.key(i)) !== undefined)
  if (places.length === 0) return reply.simple('NOKEY')
  const kept = keepArgv(argv)
  const keys = new Map<string, Key>()
  for (const i of places) keys.set(kept.key(i).text(), kept.key(i))
  migrateKeys(server, client, {
    host: argv.text(1),
    port: Number.parseInt(argv.text(2), 10) || 0,
    targetDb,
    timeoutMs: timeoutMs <= 0 ? DEFAULT_TIMEOUT_MS : Math.min(timeoutMs, MAX_TIMEOUT_MS),
    ...options,
    keys,
  })
}
