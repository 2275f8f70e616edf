/** Saying hello, who one is, and goodbye. */
import { parseInteger } from '../base/bytes.ts'
import { ClientError, DB_RANGE, fail, SYNTAX, wrongArity } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { REDIS_VERSION } from '../server/version.ts'
import { clientContainer, setName } from './client.ts'
import { family } from './define.ts'

export const connectionCommands = family(
  {
    name: 'auth',
    arity: -2,
    flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
    group: 'connection',
    since: '1.0.0',
    summary: 'Authenticate to the server',
    complexity: 'O(N) where N is the number of passwords defined for the user',
    arguments: [
      { name: 'username', type: 'string', since: '6.0.0', optional: true },
      { name: 'password', type: 'string' },
    ],
    run: auth,
  },
  {
    name: 'echo',
    arity: 2,
    flags: ['loading', 'stale', 'fast'],
    group: 'connection',
    since: '1.0.0',
    summary: 'Echo the given string',
    complexity: 'O(1)',
    arguments: [{ name: 'message', type: 'string' }],
    run: ({ reply }, argv) => reply.bulkRange(argv.buffer, argv.starts[1]!, argv.ends[1]!),
  },
  {
    name: 'hello',
    arity: -1,
    flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
    group: 'connection',
    since: '6.0.0',
    summary: 'Handshake with Redis',
    complexity: 'O(1)',
    arguments: [
      {
        name: 'arguments',
        type: 'block',
        optional: true,
        arguments: [
          { name: 'protover', type: 'integer' },
          {
            name: 'username_password',
            type: 'block',
            token: 'AUTH',
            optional: true,
            arguments: [
              { name: 'username', type: 'string' },
              { name: 'password', type: 'string' },
            ],
          },
          { name: 'clientname', type: 'string', token: 'SETNAME', optional: true },
        ],
      },
    ],
    run: hello,
  },
  {
    name: 'ping',
    arity: -1,
    flags: ['fast'],
    group: 'connection',
    since: '1.0.0',
    summary: 'Ping the server',
    complexity: 'O(1)',
    tips: ['request_policy:all_shards', 'response_policy:all_succeeded'],
    arguments: [{ name: 'message', type: 'string', optional: true }],
    run: ping,
  },
  {
    name: 'quit',
    arity: -1,
    flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
    group: 'connection',
    since: '1.0.0',
    summary: 'Close the connection',
    complexity: 'O(1)',
    run({ client, reply }) {
      reply.ok()
      client.closing = true
    },
  },
  {
    name: 'reset',
    arity: 1,
    flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
    group: 'connection',
    since: '6.2.0',
    summary: 'Reset the connection',
    complexity: 'O(1)',
    run: reset,
  },
  {
    name: 'select',
    arity: 2,
    flags: ['loading', 'stale', 'fast'],
    group: 'connection',
    since: '1.0.0',
    summary: 'Change the selected database for the current connection',
    complexity: 'O(1)',
    arguments: [{ name: 'index', type: 'integer' }],
    run: select,
  },
  clientContainer,
)

const WRONG_PASS = new ClientError('WRONGPASS invalid username-password pair or user is disabled.')
const HELLO_NO_AUTH = new ClientError(
  'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
)
const NO_PROTO = new ClientError('NOPROTO unsupported protocol version')

/** A RESP2 connection in subscriber mode has only messages to read: PONG comes as one. */
function ping({ client, reply }: Call, argv: Argv): void {
  if (argv.count > 2) throw wrongArity('ping')
  if (client.subscriber && !reply.resp3) {
    reply.array(2)
    reply.text('pong')
    if (argv.count === 2) reply.bulkRange(argv.buffer, argv.starts[1]!, argv.ends[1]!)
    else reply.text('')
  } else if (argv.count === 2) reply.bulkRange(argv.buffer, argv.starts[1]!, argv.ends[1]!)
  else reply.simple('PONG')
}

/** Latin1. */
function authenticate(call: Call, user: string, password: string): void {
  if (!call.server.acl.authenticate(call, user, password)) throw WRONG_PASS
}

function auth(call: Call, argv: Argv): void {
  if (argv.count > 3) throw SYNTAX
  if (argv.count === 2 && call.server.acl.defaultUser.nopass)
    throw fail(
      'AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
    )
  const user = argv.count === 3 ? argv.text(1) : 'default'
  authenticate(call, user, argv.text(argv.count - 1))
  call.reply.ok()
}

interface Greeting {
  /** 2 or 3; undefined leaves the protocol as it is. */
  readonly protocol: number | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  readonly name: string | undefined
}

function readHello(argv: Argv): Greeting {
  let protocol: number | undefined
  if (argv.count > 1) {
    protocol = parseInteger(argv.at(1))
    if (protocol === undefined) throw fail('Protocol version is not an integer or out of range')
    if (protocol !== 2 && protocol !== 3) throw NO_PROTO
  }
  let user: string | undefined
  let password: string | undefined
  let name: string | undefined
  for (let i = 2; i < argv.count; i++) {
    const option = argv.word(i)
    const more = argv.count - 1 - i
    if (option === 'auth' && more >= 2) {
      user = argv.text(i + 1)
      password = argv.text(i + 2)
      i += 2
    } else if (option === 'setname' && more >= 1) name = argv.text(++i)
    else throw fail(`Syntax error in HELLO option '${argv.text(i)}'`)
  }
  return { protocol, user, password, name }
}

function hello(call: Call, argv: Argv): void {
  const { server, client, reply } = call
  const { protocol, user, password, name } = readHello(argv)
  if (user !== undefined && password !== undefined) authenticate(call, user, password)
  if (!client.authenticated && !server.acl.isOpen) throw HELLO_NO_AUTH
  if (name !== undefined) setName(client, name)
  if (protocol !== undefined) reply.resp3 = protocol === 3
  reply.map(7)
  const line = (field: string, value: string): void => {
    reply.text(field)
    reply.text(value)
  }
  line('server', 'redis')
  line('version', REDIS_VERSION)
  reply.text('proto')
  reply.integer(reply.resp3 ? 3 : 2)
  reply.text('id')
  reply.integer(client.id)
  line('mode', server.cluster === undefined ? 'standalone' : 'cluster')
  line('role', server.replication.isReplica ? 'replica' : 'master')
  reply.text('modules')
  reply.array(0)
}

function select({ server, client, reply }: Call, argv: Argv): void {
  const index = argv.integer(1)
  if (server.cluster !== undefined && index !== 0) throw fail('SELECT is not allowed in cluster mode')
  if (index < 0 || index >= server.keyspace.databases.length) throw DB_RANGE
  client.db = index
  reply.ok()
}

/** Back to what a new connection is. */
function reset({ server, client, reply }: Call): void {
  if (client.replica || client.primary) throw fail('can only reset normal client connections')
  server.discardTransaction(client)
  server.pubsub.forget(client)
  server.tracking.disable(client)
  server.monitors.delete(client)
  client.monitor = false
  client.db = 0
  client.name = ''
  server.acl.welcome(client)
  client.asking = false
  client.readonly = false
  client.noTouch = false
  client.replyMode = 'on'
  reply.resp3 = false
  reply.simple('RESET')
}
