/** One request from argv to reply: the checks in Redis's order, then the command, then what follows from it. */
import type { CommandEntry } from '../commands/table.ts'
import {
  ClientError,
  fail,
  LOADING,
  MASTER_DOWN,
  NO_AUTH,
  NO_REPLICAS,
  NOT_IN_MULTI,
  READ_ONLY,
  wrongArity,
} from '../errors.ts'
import { type Argv, encodeRequest, keepArgv } from '../resp/argv.ts'
import { ProtocolError } from '../resp/parser.ts'
import type { Call } from './call.ts'
import type { Client } from './client.ts'
import { route, routeAll } from './route.ts'
import type { Server } from './server.ts'

/** Takes a client's whole requests until one blocks it, it is to be closed, or bytes run out. */
export function serve(server: Server, client: Client): void {
  const { parser } = client
  server.stopwatch.start()
  let calm = isCalm(server, client)
  try {
    if (client.postponed !== undefined && client.blocked === undefined) {
      const argv = client.postponed
      client.postponed = undefined
      handle(server, client, server.commands.find(argv), argv)
      calm = isCalm(server, client)
    }
    while (client.blocked === undefined && !client.closing) {
      if (!parser.isAhead) server.lookAhead.at(server.keyspace.databases[client.db]!, parser)
      if (!parser.next()) break
      const { argv } = parser
      const entry = server.commands.find(argv)
      if (calm && entry?.isOrdinary === true) {
        handleInCalm(server, client, entry, argv)
        if (!entry.isPlain) calm = isCalm(server, client)
      } else {
        handle(server, client, entry, argv)
        calm = isCalm(server, client)
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    server.log.verbose(`${error.message} from client: ${client.address}`)
    client.reply.error(`ERR ${error.message}`)
    client.closing = true
  }
  server.stopwatch.endRun()
  server.propagation.settle()
}

/** Nothing of what `check` and `mustWait` look for is the case, whatever the command; nor is there anything to be done about its reply.
 *  Plain commands cannot change that. Asked once for each pipeline instead of for each command; what that gains is said at the parser's `#whole`. */
function isCalm(server: Server, client: Client): boolean {
  const { values } = server.config
  return (
    client.authenticated &&
    client.user?.unrestricted === true &&
    !client.noTouch &&
    client.multi === undefined &&
    !client.asking &&
    client.replyMode === 'on' &&
    !client.primary &&
    !client.replica &&
    !client.subscriber &&
    !server.loading &&
    !server.scripting.busy &&
    !server.replication.isReplica &&
    server.persistence?.refusal === undefined &&
    values.minReplicasToWrite === 0 &&
    values.maxmemory === 0 &&
    server.pause.mode === undefined &&
    !server.migrating.any
  )
}

/** An ordinary command while all is calm: it can only have the wrong number of arguments, or belong to another node. */
function handleInCalm(server: Server, client: Client, entry: CommandEntry, argv: Argv): void {
  const { cluster } = server
  const refusal = hasArity(entry, argv)
    ? cluster && route(cluster.view, server.keyspace.databases[0]!, client, entry, argv)
    : wrongArity(entry.fullName)
  if (refusal === undefined) execute(server, client, entry, argv)
  else reject(server, client, entry, refusal)
}

/** Requests that are carried out, not queued, inside MULTI. */
const NOT_QUEUED = new Set(['exec', 'discard', 'multi', 'watch', 'quit', 'reset'])

function handle(server: Server, client: Client, entry: CommandEntry | undefined, argv: Argv): void {
  const { reply } = client
  const mark = reply.length
  if (entry === undefined) {
    if (isWebBrowser(argv)) return refuseBrowser(server, client)
    reject(server, client, undefined, unknownCommand(argv))
  } else {
    const refusal = check(server, client, entry, argv)
    if (refusal !== undefined) reject(server, client, entry, refusal)
    else if (mustWait(server, client, entry, argv)) return
    else if (client.multi !== undefined && !NOT_QUEUED.has(entry.fullName)) {
      // What cannot succeed any more is not kept, and EXEC is routed by what is.
      if (!client.multi.aborted && !client.watchBroken) client.multi.queue.push({ entry, argv: keepArgv(argv) })
      reply.simple('QUEUED')
    } else if (client.noTouch) executeUntouched(server, client, entry, argv)
    else execute(server, client, entry, argv)
    if (client.asking && client.multi === undefined && entry.fullName !== 'asking') client.asking = false
  }
  if (client.replyMode !== 'on' && client.blocked === undefined) {
    muteReply(client, mark)
    server.calls.sendPushes()
  }
}

/** CLIENT NO-TOUCH: keys do not notice that they are used, except by TOUCH. */
function executeUntouched(server: Server, client: Client, entry: CommandEntry, argv: Argv): void {
  const { keyspace } = server
  keyspace.untouched = entry.fullName !== 'touch'
  execute(server, client, entry, argv)
  keyspace.untouched = false
}

/** CLIENT REPLY OFF and SKIP: what the request answered is taken back. */
export function muteReply(client: Client, mark: number): void {
  if (client.replyMode === 'skip-next') {
    client.replyMode = 'skip'
    return
  }
  client.reply.rewind(mark)
  if (client.replyMode === 'skip') client.replyMode = 'on'
}

function reject(server: Server, client: Client, entry: CommandEntry | undefined, refusal: ClientError): void {
  if (entry !== undefined) entry.stats.rejected++
  // What the client writes there is lost to all if this node forgets that it sent it.
  if (refusal.text.startsWith('ASK ')) server.cluster?.persist()
  if (client.multi === undefined) return server.replyError(client, refusal)
  if (entry?.fullName !== 'exec') {
    client.multi.aborted = true
    return server.replyError(client, refusal)
  }
  // A transaction that cannot be carried out is over, and the reason is told as EXEC's own error.
  server.discardTransaction(client)
  const reason = refusal.text.replace(/^ERR /, '')
  server.replyError(client, new ClientError(`EXECABORT Transaction discarded because of: ${reason}`))
}

/** Runs a command and does what follows from it. Also called for each command of a transaction. */
export function execute(server: Server, client: Client, entry: CommandEntry, argv: Argv): void {
  const { calls, keyspace, propagation, stopwatch } = server
  const frame = calls.enter(client, entry, argv)
  const dirtyBefore = keyspace.dirty
  const startedAt = stopwatch.begin(entry)
  propagation.begin()
  let failed = false
  try {
    entry.command.run!(frame, argv)
  } catch (error) {
    failed = true
    frame.failed(error)
  }
  if (frame.effects !== undefined) for (const bytes of frame.effects) propagation.add(client.db, bytes)
  else if (keyspace.dirty !== dirtyBefore || frame.forced) addRequest(server, client, argv)
  propagation.end()
  if (keyspace.dirty !== dirtyBefore) client.writeOffset = server.streamOffset()
  if (server.notifications.pending) server.notifications.tell(entry, argv)
  if (server.tracking.on) server.tracking.executed(client, entry, argv)
  calls.leave()
  server.executed(client, entry, argv, failed)
  stopwatch.end(client, entry, argv, startedAt)
  if (!calls.busy) server.blockedKeys.serveReady()
}

/** Serves a client that was blocked, as a unit of its own: what `act` changes is replicated as it says, never as the request
 *  that blocked. False when there was nothing for the client. */
export function serveBlocked(
  server: Server,
  client: Client,
  entry: CommandEntry,
  argv: Argv,
  act: (call: Call) => boolean,
): boolean {
  const { calls, keyspace, propagation, stopwatch } = server
  const frame = calls.enter(client, entry, argv)
  const dirtyBefore = keyspace.dirty
  const startedAt = stopwatch.begin(entry)
  propagation.begin()
  let served = true
  try {
    served = act(frame)
  } catch (error) {
    entry.stats.failed++
    frame.failed(error)
  }
  for (const bytes of frame.effects ?? []) propagation.add(client.db, bytes)
  propagation.end()
  if (keyspace.dirty !== dirtyBefore) client.writeOffset = server.streamOffset()
  if (server.notifications.pending) server.notifications.tell(entry, argv)
  calls.leave()
  if (served && client.replyMode !== 'on') {
    muteReply(client, frame.mark)
    server.calls.sendPushes()
  }
  stopwatch.endServed(entry, startedAt)
  return served
}

/** The client's very bytes go to the stream; the inline form is written anew. */
function addRequest(server: Server, client: Client, argv: Argv): void {
  if (!server.propagation.wanted) return
  if (argv.rawEnd > 0) return server.propagation.add(client.db, argv.buffer, argv.rawStart, argv.rawEnd)
  const parts: Buffer[] = []
  for (let i = 0; i < argv.count; i++) parts.push(argv.at(i))
  server.propagation.add(client.db, encodeRequest(parts))
}

function check(server: Server, client: Client, entry: CommandEntry, argv: Argv): ClientError | undefined {
  const { command } = entry
  if (command.run === undefined) return badContainer(entry, argv)
  if (!hasArity(entry, argv)) return wrongArity(entry.fullName)
  if (client.primary) return undefined
  return (
    notAllowed(server, client, entry, argv) ??
    elsewhere(server, client, entry, argv) ??
    server.eviction.refuses(client, entry) ??
    refusedWrite(server, client, entry) ??
    notInThisMode(server, client, entry)
  )
}

const hasArity = ({ arity }: CommandEntry, argv: Argv): boolean =>
  arity > 0 ? argv.count === arity : argv.count >= -arity

/** A container without its subcommand, or with one it does not have. */
function badContainer(entry: CommandEntry, argv: Argv): ClientError {
  if (argv.count < 2) return wrongArity(entry.fullName)
  return fail(`unknown subcommand '${clip(argv.text(1))}'. Try ${entry.command.name.toUpperCase()} HELP.`)
}

function notAllowed(server: Server, client: Client, entry: CommandEntry, argv: Argv): ClientError | undefined {
  if (client.multi !== undefined && entry.command.flags.includes('no_multi')) return NOT_IN_MULTI
  if (!client.authenticated && !server.acl.isOpen && !entry.command.flags.includes('no_auth')) return NO_AUTH
  return server.refusedByOwner(client, entry) ?? server.acl.refuses(client, entry, argv)
}

function elsewhere(server: Server, client: Client, entry: CommandEntry, argv: Argv): ClientError | undefined {
  const { cluster } = server
  if (cluster === undefined) return undefined
  const db = server.keyspace.databases[0]!
  if (entry.fullName !== 'exec')
    return entry.command.keys === undefined ? undefined : route(cluster.view, db, client, entry, argv)
  const { multi } = client
  if (multi === undefined) return undefined
  const refusal = routeAll(cluster.view, db, client, multi.queue)
  if (refusal !== undefined) server.discardTransaction(client)
  return refusal
}

function refusedWrite(server: Server, client: Client, entry: CommandEntry): ClientError | undefined {
  const writes =
    entry.isWrite || (entry.fullName === 'exec' && client.multi?.queue.some((queued) => queued.entry.isWrite) === true)
  const { replication, persistence } = server
  // PING too, so that whoever watches over the node hears of it.
  if ((writes || entry.fullName === 'ping') && persistence?.refusal !== undefined) return persistence.refusal
  if (!writes) return undefined
  if (replication.isReplica) return server.config.values.replicaReadOnly ? READ_ONLY : undefined
  const least = server.config.values.minReplicasToWrite
  return least > 0 && replication.goodReplicas() < least ? NO_REPLICAS : undefined
}

const SUBSCRIBER_COMMANDS = new Set([
  'ping',
  'subscribe',
  'ssubscribe',
  'sunsubscribe',
  'psubscribe',
  'unsubscribe',
  'punsubscribe',
  'quit',
  'reset',
])

function notInThisMode(server: Server, client: Client, entry: CommandEntry): ClientError | undefined {
  const { flags } = entry.command
  if (!client.reply.resp3 && client.subscriber && !SUBSCRIBER_COMMANDS.has(entry.fullName))
    return fail(
      `Can't execute '${entry.fullName}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`,
    )
  const { replication } = server
  if (
    replication.isReplica &&
    !replication.linkUp &&
    !server.config.values.replicaServeStaleData &&
    !flags.includes('stale')
  )
    return MASTER_DOWN
  if (server.loading && !flags.includes('loading')) return LOADING
  return server.scripting.busy && !flags.includes('allow_busy') ? server.scripting.refusal : undefined
}

/** Puts a request off while clients are paused or one of its keys is being migrated; it is taken again after that. */
function mustWait(server: Server, client: Client, entry: CommandEntry, argv: Argv): boolean {
  if (client.primary || client.replica) return false
  const wait = server.pause.holds(client, entry) ?? server.migrating.holds(client, entry, argv)
  if (wait === undefined) return false
  client.postponed = keepArgv(argv)
  server.block(client, wait)
  return true
}

/** The first words of an HTTP request: a web page may be using a visitor's browser to reach this server. */
const isWebBrowser = (argv: Argv): boolean => ['post', 'host:'].includes(argv.word(0))

/** Nothing is answered: the body of the request could hold commands. */
function refuseBrowser(server: Server, client: Client): void {
  server.log.warning(
    `Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis instance. Connection from ${client.address} aborted.`,
  )
  server.disconnect(client)
}

function unknownCommand(argv: Argv): ClientError {
  let args = ''
  for (let i = 1; i < argv.count && args.length < 128; i++) args += `'${argv.text(i).slice(0, 128 - args.length)}' `
  return fail(`unknown command '${clip(argv.text(0))}', with args beginning with: ${args}`)
}

const clip = (text: string): string => text.slice(0, 128)
