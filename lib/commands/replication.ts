/** Replication: what replicas say to their primary, what people ask about it, changes of role, and waiting for replicas. */
import type { Millis } from '../base/brand.ts'
import { parseInteger } from '../base/bytes.ts'
import { ClientError, fail, SYNTAX } from '../errors.ts'
import type { FailoverRequest } from '../replication/failover.ts'
import { setsDeadlines } from '../replication/hash-deadlines.ts'
import { roleReply } from '../replication/info.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Call } from '../server/call.ts'
import { integerWithin, position, positiveInteger } from './args.ts'
import { type ArgumentDoc, type CommandFlag, family } from './define.ts'
import { option } from './docs.ts'
import { applyDeadlines } from './hash-expiry.ts'

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
    name: 'failover',
    arity: -1,
    flags: ['admin', 'noscript', 'stale'],
    group: 'server',
    since: '6.2.0',
    summary: 'Start a coordinated failover between this server and one of its replicas.',
    complexity: 'O(1)',
    arguments: [
      {
        name: 'target',
        type: 'block',
        token: 'TO',
        optional: true,
        arguments: [{ name: 'host', type: 'string' }, { name: 'port', type: 'integer' }, option('FORCE')],
      },
      option('ABORT'),
      { name: 'milliseconds', type: 'integer', token: 'TIMEOUT', optional: true },
    ],
    run: failover,
  },
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
      if (argv.count > 3 && argv.word(3) === 'failover' && !call.client.replica) takeOver(call, argv.text(1))
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
  {
    name: 'waitaof',
    arity: 4,
    flags: ['noscript'],
    group: 'generic',
    since: '7.2.0',
    summary:
      'Wait until the write commands of the current connection are on disk, in the append-only files of the server and of replicas',
    complexity: 'O(1)',
    tips: ['request_policy:all_shards', 'response_policy:agg_min'],
    categories: ['connection'],
    arguments: [
      { name: 'numlocal', type: 'integer' },
      { name: 'numreplicas', type: 'integer' },
      { name: 'timeout', type: 'integer' },
    ],
    run: waitAof,
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
      if (call.client.primary && setsDeadlines(argv)) {
        applyDeadlines(call, argv)
        return true
      }
      const offset = parseInteger(argv.at(i))
      const hasFsynced = argv.count > i + 2 && argv.word(i + 1) === 'fack'
      const fsynced = hasFsynced ? parseInteger(argv.at(i + 2)) : undefined
      if (offset !== undefined) call.server.replication.primary.acknowledge(call.client, offset, fsynced)
      return true
    },
  ],
  ['getack', () => true],
  // What we send is for replicas of any.
  ['version', () => false],
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

function failover({ server, reply }: Call, argv: Argv): void {
  const { failover } = server.replication
  if (server.cluster !== undefined)
    throw fail('FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead.')
  if (argv.count === 2 && argv.word(1) === 'abort') failover.cancel()
  else failover.start(failoverRequest(argv))
  reply.ok()
}

/** Each option once, in any order. */
function failoverRequest(argv: Argv): FailoverRequest {
  let target: FailoverRequest['target']
  let timeoutMs = 0
  let force = false
  for (let i = 1; i < argv.count; i++) {
    const word = argv.word(i)
    if (word === 'timeout' && i + 1 < argv.count && timeoutMs === 0) {
      timeoutMs = position(argv, ++i)
      if (timeoutMs <= 0) throw fail('FAILOVER timeout must be greater than 0')
    } else if (word === 'to' && i + 2 < argv.count && target === undefined) {
      target = { host: argv.text(i + 1), port: position(argv, i + 2) }
      i += 2
    } else if (word === 'force' && !force) force = true
    else throw SYNTAX
  }
  return { target, timeoutMs, force }
}

/** PSYNC FAILOVER: our primary wants to be our replica, and has what we have. In a cluster roles change by its own rules alone. */
function takeOver({ server, client }: Call, replid: string): void {
  const { replication, log } = server
  log.notice(`Failover request received for replid ${replid}.`)
  if (!replication.isReplica) throw fail("PSYNC FAILOVER can't be sent to a master.")
  if (server.cluster !== undefined) throw fail('PSYNC FAILOVER not allowed in cluster mode.')
  if (replid.toLowerCase() !== replication.stream.replid) throw fail('PSYNC FAILOVER replid must match my replid.')
  replication.lead()
  log.notice(`MASTER MODE enabled (failover request from '${client.address}')`)
}

function replicaOf({ server, client, reply }: Call, argv: Argv): void {
  const { replication, log } = server
  if (server.cluster !== undefined) throw fail('REPLICAOF not allowed in cluster mode.')
  if (replication.failover.state !== 'no-failover') throw fail('REPLICAOF not allowed while failing over.')
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

// --- WAIT, WAITAOF -------------------------------------------------------------------------------------------------------

/** Inside a transaction nobody can wait: the count is what it is. */
function wait(call: Call, argv: Argv): void {
  const { primary, isReplica } = call.server.replication
  if (isReplica)
    throw fail(
      'WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.',
    )
  const replicas = argv.integer(1)
  const timeoutMs = timeout(argv, 2)
  const offset = call.client.writeOffset
  waitUntil(call, timeoutMs, {
    isMet: () => primary.acknowledged(offset) >= replicas,
    answer: (reply) => reply.integer(primary.acknowledged(offset)),
  })
}

/** What is in our own append-only file counts one; so does each replica that says it has it in its own. */
function waitAof(call: Call, argv: Argv): void {
  const { replication, config } = call.server
  const { primary } = replication
  const local = integerWithin(argv, 1, 0n, 1n)
  const replicas = positiveInteger(argv, 2)
  const timeoutMs = timeout(argv, 3)
  if (replication.isReplica)
    throw fail(
      'WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.',
    )
  const isImpossible = (): boolean => local > 0 && !config.values.appendonly
  if (isImpossible()) throw NO_APPEND_ONLY_FILE
  const offset = call.client.writeOffset
  const haveLocal = (): number => (replication.fsynced >= offset ? 1 : 0)
  waitUntil(call, timeoutMs, {
    isMet: () => isImpossible() || (haveLocal() >= local && primary.fsynced(offset) >= replicas),
    answer(reply) {
      // The file was given up while somebody waited for it.
      if (isImpossible()) return reply.error(NO_APPEND_ONLY_FILE.text)
      reply.array(2)
      reply.integer(haveLocal())
      reply.integer(primary.fsynced(offset))
    },
  })
}

const NO_APPEND_ONLY_FILE = fail('WAITAOF cannot be used when numlocal is set but appendonly is disabled.')

/** Answers once a condition is met or the time is over: at once where nobody can wait. */
function waitUntil(
  { server, client, reply, now }: Call,
  timeoutMs: number,
  { isMet, answer }: { readonly isMet: () => boolean; readonly answer: (reply: Reply) => void },
): void {
  if (isMet() || client.multi !== undefined) return answer(reply)
  const leave = server.replication.primary.whenMet(isMet, () => {
    answer(reply)
    server.unblock(client)
  })
  server.block(client, {
    kind: 'wait',
    timeoutAt: (timeoutMs === 0 ? 0 : now + timeoutMs) as Millis,
    timedOut: () => answer(reply),
    leave,
  })
}

function timeout(argv: Argv, i: number): number {
  const value = parseInteger(argv.at(i))
  if (value === undefined) throw fail('timeout is not an integer or out of range')
  if (value < 0) throw fail('timeout is negative')
  return value
}
