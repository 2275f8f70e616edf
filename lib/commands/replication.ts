/** Replication: what replicas say to their primary, what people ask about it, and WAIT. */
import type { Millis } from '../base/brand.ts'
import { parseInteger } from '../base/bytes.ts'
import { ClientError, fail, SYNTAX } from '../errors.ts'
import { roleReply } from '../replication/info.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Call } from '../server/call.ts'
import { type ArgumentDoc, type CommandFlag, family } from './define.ts'

const SYNC_FLAGS: readonly CommandFlag[] = ['admin', 'noscript', 'no_async_loading', 'no_multi']
const ROLE_FLAGS: readonly CommandFlag[] = ['admin', 'noscript', 'stale', 'no_async_loading']

const replicaOfArguments: readonly ArgumentDoc[] = [
  {
    name: 'args',
    type: 'oneof',
    arguments: [
      {
        name: 'host-port',
        type: 'block',
        arguments: [
          { name: 'host', type: 'string' },
          { name: 'port', type: 'integer' },
        ],
      },
      {
        name: 'no-one',
        type: 'block',
        arguments: [
          { name: 'no', type: 'pure-token', token: 'NO' },
          { name: 'one', type: 'pure-token', token: 'ONE' },
        ],
      },
    ],
  },
]

const replicaOfRow = {
  arity: 3,
  flags: ROLE_FLAGS,
  group: 'server',
  summary: 'Make the server a replica of another instance, or promote it as master.',
  complexity: 'O(1)',
  arguments: replicaOfArguments,
  run: replicaOf,
} as const

export const replicationCommands = family(
  {
    name: 'psync',
    arity: -3,
    flags: SYNC_FLAGS,
    group: 'server',
    since: '2.8.0',
    summary: 'Internal command used for replication',
    arguments: [
      { name: 'replicationid', type: 'string' },
      { name: 'offset', type: 'integer' },
    ],
    run(call, argv) {
      const primary = serving(call)
      primary.psync(call.client, argv.text(1), argv.integer(2), call.now)
    },
  },
  {
    name: 'replconf',
    arity: -1,
    flags: ['admin', 'noscript', 'loading', 'stale', 'allow_busy'],
    group: 'server',
    since: '3.0.0',
    summary: 'An internal command for configuring the replication stream',
    complexity: 'O(1)',
    internal: true,
    run: replconf,
  },
  { ...replicaOfRow, name: 'replicaof', since: '5.0.0' },
  {
    name: 'role',
    arity: 1,
    flags: ['noscript', 'loading', 'stale', 'fast'],
    group: 'server',
    since: '2.8.12',
    summary: 'Return the role of the instance in the context of replication',
    complexity: 'O(1)',
    categories: ['admin', 'dangerous'],
    run: ({ server, reply }) => write(reply, roleReply(server.replication)),
  },
  { ...replicaOfRow, name: 'slaveof', since: '1.0.0', deprecated: { since: '5.0.0', replacedBy: '`REPLICAOF`' } },
  {
    name: 'sync',
    arity: 1,
    flags: SYNC_FLAGS,
    group: 'server',
    since: '1.0.0',
    summary: 'Internal command used for replication',
    run: (call) => serving(call).sync(call.client, call.now),
  },
  {
    name: 'wait',
    arity: 3,
    flags: ['noscript'],
    group: 'generic',
    since: '3.0.0',
    summary:
      'Wait for the synchronous replication of all the write commands sent in the context of the current connection',
    complexity: 'O(1)',
    tips: ['request_policy:all_shards', 'response_policy:agg_min'],
    categories: ['connection'],
    arguments: [
      { name: 'numreplicas', type: 'integer' },
      { name: 'timeout', type: 'integer' },
    ],
    run: wait,
  },
)

/** The primary's side, if it can serve a snapshot or the stream to this client now. What it sends does not pass through the reply, so
 *  nothing may be waiting there. What the wire still buffers is no obstacle: the rest follows it, and a TLS wire has always something. */
function serving({ server, client, reply }: Call): Call['server']['replication']['primary'] {
  const { cannotServe, primary } = server.replication
  if (cannotServe !== undefined) throw new ClientError(cannotServe)
  if (reply.length > 0 && !client.replica) throw fail('SYNC and PSYNC are invalid with pending output')
  return primary
}

// --- REPLCONF ------------------------------------------------------------------------------------------------------------

/** What an option does with its value, argument `i`; true when REPLCONF then gives no reply at all. */
type Option = (call: Call, argv: Argv, i: number) => boolean

/** An address fits into 46 bytes in every server. */
const MAX_ADDRESS = 46

const OPTIONS: ReadonlyMap<string, Option> = new Map<string, Option>([
  [
    'listening-port',
    (call, argv, i) => {
      factsOf(call).listeningPort = argv.integer(i)
      return false
    },
  ],
  [
    'ip-address',
    (call, argv, i) => {
      if (argv.length(i) >= MAX_ADDRESS)
        throw fail(`REPLCONF ip-address provided by replica instance is too long: ${argv.length(i)} bytes`)
      factsOf(call).announcedIp = argv.text(i)
      return false
    },
  ],
  [
    'capa',
    (call, argv, i) => {
      const capability = argv.word(i)
      if (capability === 'eof') factsOf(call).eof = true
      else if (capability === 'psync2') factsOf(call).psync2 = true
      return false
    },
  ],
  [
    'ack',
    (call, argv, i) => {
      const offset = parseInteger(argv.at(i))
      if (offset !== undefined) call.server.replication.primary.acknowledge(call.client, offset)
      return true
    },
  ],
  ['getack', () => true],
  [
    'rdb-only',
    (call, argv, i) => {
      const value = argv.integer(i)
      if (value !== 0 && value !== 1) throw fail('value is out of range, value must between 0 and 1')
      factsOf(call).rdbOnly = value === 1
      return false
    },
  ],
  [
    'rdb-filter-only',
    (_, argv, i) => {
      if (argv.text(i).trim() !== '') throw fail(`Unsupported rdb-filter-only option: ${argv.text(i)}`)
      return false
    },
  ],
])

const factsOf = ({ server, client }: Call): ReturnType<typeof server.replication.primary.factsOf> =>
  server.replication.primary.factsOf(client)

function replconf(call: Call, argv: Argv): void {
  if (argv.count % 2 === 0) throw SYNTAX
  for (let i = 1; i < argv.count; i += 2) {
    const option = OPTIONS.get(argv.word(i))
    if (option === undefined) throw fail(`Unrecognized REPLCONF option: ${argv.text(i)}`)
    if (option(call, argv, i + 1)) return
  }
  call.reply.ok()
}

// --- roles ---------------------------------------------------------------------------------------------------------------

function replicaOf({ server, client, reply }: Call, argv: Argv): void {
  const { replication, log } = server
  if (server.cluster !== undefined) throw fail('REPLICAOF not allowed in cluster mode.')
  if (argv.word(1) === 'no' && argv.word(2) === 'one') {
    if (replication.isReplica) log.notice(`MASTER MODE enabled (user request from '${client.address}')`)
    replication.lead()
    return reply.ok()
  }
  if (client.replica) throw fail('Command is not valid when client is a replica.')
  const port = parseInteger(argv.at(2))
  if (port === undefined || port < 0 || port > 65535) throw fail('Invalid master port')
  const host = argv.text(1)
  const { link } = replication
  if (link?.host.toLowerCase() === host.toLowerCase() && link.port === port)
    return reply.simple('OK Already connected to specified master')
  replication.follow({ host, port })
  log.notice(`REPLICAOF ${host}:${port} enabled (user request from '${client.address}')`)
  reply.ok()
}

/** Nested values as arrays, text as bulk strings. */
type Nested = string | number | readonly Nested[]

function write(reply: Reply, value: Nested): void {
  if (typeof value === 'number') reply.integer(value)
  else if (typeof value === 'string') reply.text(value)
  else {
    reply.array(value.length)
    for (const item of value) write(reply, item)
  }
}

// --- WAIT ----------------------------------------------------------------------------------------------------------------

/** Inside a transaction nobody can wait: the count is what it is. */
function wait({ server, client, reply, now }: Call, argv: Argv): void {
  const { primary, isReplica } = server.replication
  if (isReplica)
    throw fail(
      'WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.',
    )
  const replicas = argv.integer(1)
  const timeoutMs = timeout(argv, 2)
  const offset = client.writeOffset
  const have = primary.acknowledged(offset)
  if (have >= replicas || client.multi !== undefined) return reply.integer(have)
  const answer = (): void => reply.integer(primary.acknowledged(offset))
  const leave = primary.whenAcknowledged(offset, replicas, () => {
    answer()
    server.unblock(client)
  })
  server.block(client, {
    kind: 'wait',
    timeoutAt: (timeoutMs === 0 ? 0 : now + timeoutMs) as Millis,
    timedOut: answer,
    leave,
  })
}

function timeout(argv: Argv, i: number): number {
  const value = parseInteger(argv.at(i))
  if (value === undefined) throw fail('timeout is not an integer or out of range')
  if (value < 0) throw fail('timeout is negative')
  return value
}
