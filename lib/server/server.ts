/** The server: its clients, its data and the nouns commands reach through `call.server`. It knows no socket: the listener
 *  feeds it bytes, `endTurn` hands replies back. */
import type { Keyspace } from '../../store/keyspace.ts'
import type { Millis, Offset } from '../base/brand.ts'
import { wallClock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { type Random, systemRandom } from '../base/random.ts'
import type { Wire } from '../base/socket-wire.ts'
import type { CommandEntry, CommandTable } from '../commands/table.ts'
import type { Config } from '../config.ts'
import { type ClientError, FORCED_UNBLOCK, fail } from '../errors.ts'
import { KeyLocks } from '../migrate/locks.ts'
import type { Persistence } from '../persistence.ts'
import type { Replication } from '../replication/role.ts'
import type { Argv } from '../resp/argv.ts'
import { encodeRequest } from '../resp/argv.ts'
import { Scripting } from '../script/scripting.ts'
import { Acl } from './acl.ts'
import { BlockedKeys } from './blocked-keys.ts'
import { CallStack } from './call-stack.ts'
import { type Blocked, Client, internalClient, isLocal } from './client.ts'
import { evictClients } from './client-eviction.ts'
import type { ClusterDoor } from './cluster-door.ts'
import { execute, muteReply, serve } from './dispatch.ts'
import { Eviction } from './eviction.ts'
import { LatencyMonitor } from './latency.ts'
import { LookAhead } from './look-ahead.ts'
import { feedMonitors } from './monitor.ts'
import { Notifications } from './notifications.ts'
import { isTooLong, overLimit } from './output-limits.ts'
import { Pause } from './pause.ts'
import { Propagation } from './propagate.ts'
import { PubSub } from './pubsub.ts'
import { Slowlog } from './slowlog.ts'
import { ServerStats } from './stats.ts'
import { Stopwatch } from './stopwatch.ts'
import { TrackingTable } from './tracking.ts'
import { Watches } from './watches.ts'

export interface ServerParts {
  readonly config: Config
  readonly log: Log
  readonly commands: CommandTable
  readonly keyspace: Keyspace
  readonly replication: Replication
  readonly random?: Random
}

/** What the node around the server does on its behalf. */
export interface ServerHost {
  /** Calls `endTurn` after the sockets of this event-loop turn were read. */
  requestEndTurn(): void
  /** Calls `endWaits` at that time, or a little later. */
  wakeAt(time: Millis): void
  /** Looks out for the next request for a moment instead of sleeping: it is expected at once. */
  expectRequest(): void
  /** SHUTDOWN: stops the process in good order. */
  shutdown(): void
}

export class Server {
  readonly config: Config
  readonly log: Log
  readonly commands: CommandTable
  readonly keyspace: Keyspace
  readonly replication: Replication
  readonly random: Random
  readonly startedAt: Millis = wallClock()
  /** 40 hex characters, new at each start. */
  readonly runId: string
  /** Our own version, for INFO; the composition root knows it. */
  version = '0.0.0'
  readonly clients = new Map<number, Client>()
  readonly eviction: Eviction
  readonly propagation: Propagation
  readonly pubsub = new PubSub()
  readonly slowlog = new Slowlog()
  readonly latency = new LatencyMonitor(this)
  readonly acl: Acl
  readonly calls = new CallStack(this)
  readonly stopwatch = new Stopwatch(this)
  readonly lookAhead = new LookAhead()
  readonly monitors = new Set<Client>()
  readonly watches = new Watches()
  readonly notifications = new Notifications(this)
  readonly tracking = new TrackingTable(this)
  readonly blockedKeys = new BlockedKeys(this)
  readonly pause = new Pause(this)
  readonly migrating = new KeyLocks(this)
  readonly stats = new ServerStats()
  readonly scripting: Scripting
  /** Undefined when cluster-enabled is no. */
  cluster: ClusterDoor | undefined
  host: ServerHost = { requestEndTurn() {}, wakeAt() {}, expectRequest() {}, shutdown() {} }
  /** Settled when clients are awaited where the configuration says; false when that was impossible and is to be undone. */
  moving: Promise<boolean> = Promise.resolve(true)
  /** Undefined in a server that keeps its data in memory only. */
  persistence: Persistence | undefined
  /** The time of this batch. */
  now: Millis = wallClock()
  /** The data set is being loaded. */
  loading = false
  /** DEBUG PAUSE-CRON: the timers do nothing. */
  cronPaused = false
  /** DEBUG SET-ACTIVE-EXPIRE. */
  activeExpire = true
  #nextClientId = 1
  /** As whom the primary's commands run. */
  readonly #primaryClient: Client
  #flushing: Client[] = []
  /** Clients whose wait has a deadline. */
  readonly #timed = new Set<Client>()
  #resumed: Client[] = []

  constructor(parts: ServerParts) {
    this.config = parts.config
    this.log = parts.log
    this.commands = parts.commands
    this.keyspace = parts.keyspace
    this.replication = parts.replication
    this.random = parts.random ?? systemRandom
    this.runId = this.random.hex(40)
    this.acl = new Acl(this)
    this.eviction = new Eviction(this)
    this.scripting = new Scripting(this, internalClient('lua', this.now))
    this.propagation = new Propagation(parts.replication.sink)
    this.#primaryClient = internalClient('', this.now)
    this.notifications.configure(this.config.values.notifyKeyspaceEvents)
    this.config.onChange(['notify-keyspace-events'], ({ notifyKeyspaceEvents }) => {
      this.notifications.configure(notifyKeyspaceEvents)
      return undefined
    })
    this.keyspace.hooks = {
      touched: (db, key, what) => {
        if (what !== 'missed') {
          this.watches.touched(db, key)
          this.blockedKeys.touched(db, key)
          if (this.tracking.on) this.tracking.touched(key, what)
        }
        if (this.notifications.on) this.notifications.note(db, key, what)
      },
      expired: (db, key) => {
        if (this.propagation.wanted) this.propagation.add(db, encodeRequest(['DEL', key.own()]))
      },
      fieldsExpired: (db, key, fields) => {
        const names = fields.map((field) => Buffer.from(field, 'latin1'))
        if (this.propagation.wanted) this.propagation.add(db, encodeRequest(['HDEL', key.own(), ...names]))
      },
      exchanged: () => this.tracking.flushed(),
      awaited: (db) => [...this.watches.names(db), ...this.blockedKeys.names(db)],
    }
  }

  /** A connection came in. */
  connect(wire: Wire, addresses: { address: string; localAddress: string; tls: boolean }): Client {
    const { values } = this.config
    const client = new Client({
      id: this.#nextClientId++,
      now: this.now,
      ...addresses,
      wire,
      limits: { maxBulkLength: values.protoMaxBulkLen, unauthenticated: false },
    })
    client.reply.isTooLong = (bytes) => isTooLong(this, client, bytes)
    this.acl.welcome(client)
    this.clients.set(client.id, client)
    this.stats.connections++
    return client
  }

  /** Bytes came in; borrowed for the duration of the call. */
  receive(client: Client, chunk: Buffer): void {
    this.refreshClock()
    client.lastSeenAt = this.now
    this.stats.inputBytes += chunk.length
    this.stats.reads++
    client.parser.feed(chunk)
    this.#serve(client)
  }

  /** As far as its bytes reach. Who has to wait is not read from any more once it has sent the next request; most send none. */
  #serve(client: Client): void {
    const { parser } = client
    serve(this, client)
    parser.settle()
    if (client.blocked !== undefined && parser.pending > 0 && !client.paused) {
      client.paused = true
      client.wire.pause()
    }
    this.flushLater(client)
  }

  /** Carries out a command of our primary's stream. Nobody is answered; nothing is judged by deadlines, because the
   *  primary has judged already and will say DEL. */
  apply(argv: Argv, db: number): void {
    // Who loads has read it once for all: that is a tenth of a start.
    if (!this.loading) this.refreshClock()
    this.keyspace.expiry = 'ignore'
    this.stopwatch.start()
    const client = this.#primaryClient
    client.db = db
    const entry = this.commands.find(argv)
    if (entry?.command.run !== undefined) execute(this, client, entry, argv)
    else this.log.warning(`Our primary sent the unknown command '${argv.text(0)}': it was skipped`)
    client.reply.rewind(0)
    client.multi = undefined
    if (!this.loading) this.refreshClock()
    this.host.requestEndTurn()
  }

  /** The connection is gone, or is to be gone now. */
  disconnect(client: Client): void {
    if (client.closed) return
    client.closed = true
    client.closing = true
    this.unblock(client)
    this.clients.delete(client.id)
    this.monitors.delete(client)
    this.watches.forget(client)
    this.pubsub.forget(client)
    if (client.tracking !== undefined) this.tracking.disable(client)
    if (client.replica) this.replication.replicaLeft(client)
    client.wire.destroy()
  }

  /** The node became a replica. A wait that only a primary can end would last for ever: its clients are told and leave. */
  demoted(): void {
    this.refreshClock()
    for (const client of this.clients.values()) {
      if (client.blocked === undefined || !ENDED_BY_DEMOTION.has(client.blocked.kind)) continue
      this.replyError(client, FORCED_UNBLOCK)
      client.closing = true
      this.unblock(client)
      this.flushLater(client)
    }
  }

  /** Lets the client wait; `unblock` or the timeout ends it. */
  block(client: Client, wait: Blocked): void {
    client.blocked = wait
    if (wait.timedOut === undefined || wait.timeoutAt === 0) return
    this.#timed.add(client)
    this.host.wakeAt(wait.timeoutAt)
  }

  /** Ends the waits whose time is over. */
  endWaits(): void {
    this.refreshClock()
    for (const client of this.#timed) {
      const wait = client.blocked
      if (wait?.timedOut === undefined) this.#timed.delete(client)
      else if (wait.timeoutAt > this.now) this.host.wakeAt(wait.timeoutAt)
      else {
        this.answerLate(client, wait.timedOut)
        this.unblock(client)
      }
    }
  }

  /** Writes the reply to a request that had to wait, unless the client wants none. */
  answerLate(client: Client, write: (client: Client) => void): void {
    const mark = client.reply.length
    write(client)
    if (client.replyMode !== 'on') muteReply(client, mark)
  }

  /** Ends a client's wait, if it is in one. Its reply, if any, is the caller's to write. */
  unblock(client: Client): void {
    const wait = client.blocked
    if (wait === undefined) return
    client.blocked = undefined
    this.#timed.delete(client)
    wait.leave(client)
    if (client.closed) return
    if (client.paused) {
      client.paused = false
      client.wire.resume()
    }
    // Not at once: the one who ended the wait may be in the middle of a command.
    this.#resumed.push(client)
    this.host.requestEndTurn()
  }

  /** The client's replies leave at the end of the turn. */
  flushLater(client: Client): void {
    if (client.flushQueued) return
    client.flushQueued = true
    if (this.#flushing.push(client) === 1) this.host.requestEndTurn()
  }

  /** The end of an event-loop turn: resumed clients go on, the stream's bytes leave, then every reply in one write each. */
  endTurn(): void {
    evictClients(this)
    this.eviction.goOn()
    // Keys that changed outside of commands: expired, evicted, purged, loaded.
    this.blockedKeys.serveReady()
    while (this.#resumed.length > 0) {
      const resumed = this.#resumed
      this.#resumed = []
      this.refreshClock()
      for (const client of resumed) {
        if (!client.closed) this.#serve(client)
      }
    }
    this.tracking.endTurn()
    if (this.scripting.busy) this.scripting.goOn()
    this.cluster?.endTurn()
    this.replication.flush()
    this.persistence?.endTurn()
    const unsafeFrom = this.persistence?.unsafeFrom
    if (unsafeFrom !== undefined) this.#refuseReplies(unsafeFrom)
    const flushing = this.#flushing
    this.#flushing = []
    for (const client of flushing) this.#flush(client)
    this.cluster?.replied()
  }

  /** The disk refuses: whoever wrote what is not there must not be told that it was done. Nor can it be told that it was not, for it
   *  may yet be; only the end of the connection says nothing. */
  #refuseReplies(unsafeFrom: number): void {
    for (const client of this.#flushing) if (client.writeOffset > unsafeFrom) this.disconnect(client)
  }

  #flush(client: Client): void {
    client.flushQueued = false
    if (client.closed) return
    if (overLimit(this, client)) return this.disconnect(client)
    const { wire, reply } = client
    this.stats.outputBytes += reply.length
    if (reply.length > 0) this.stats.writes++
    reply.take((bytes) => wire.write(bytes))
    if (client.closing) wire.end()
  }

  /** Ends a connection that has lost its rights. The one that is being served is told its reply first. */
  cutOff(client: Client): void {
    if (client === this.calls.current) client.closing = true
    else this.disconnect(client)
  }

  /** Closes a connection after its replies have left. */
  closeLater(client: Client): void {
    client.closing = true
    this.flushLater(client)
  }

  /** What was counted so far, while the data set was loaded, is nobody's traffic. */
  forgetStats(): void {
    this.stats.reset()
    this.commands.resetStats()
  }

  refreshClock(): void {
    this.now = wallClock()
    this.keyspace.now = this.now
    // A replica's data, and that of a primary about to hand over, changes only by what its stream says.
    this.keyspace.expiry =
      this.replication.isReplica || this.pause.mode !== undefined || this.scripting.busy ? 'hide' : 'remove'
  }

  replyError(client: Client, error: ClientError): void {
    client.reply.error(error.text)
    this.stats.countError(error.text)
  }

  /** Offset after what was propagated so far. */
  streamOffset(): Offset {
    return this.replication.offset
  }

  /** After every command: statistics, monitors. */
  executed(client: Client, entry: CommandEntry, argv: Argv, failed: boolean): void {
    const { stats } = entry
    stats.calls++
    if (failed) stats.failed++
    this.stats.commands++
    client.lastCommand = entry.fullName
    if (this.monitors.size > 0) feedMonitors(this, client, entry, argv)
  }

  /** Commands the owner of the server has to allow first. */
  refusedByOwner(client: Client, entry: CommandEntry): ClientError | undefined {
    const what = PROTECTED.get(entry.fullName)
    if (what === undefined) return undefined
    const allowed = this.config.values[what === 'DEBUG' ? 'enableDebugCommand' : 'enableModuleCommand']
    if (allowed === 'yes' || (allowed === 'local' && isLocal(client))) return undefined
    return fail(
      `${what} command not allowed. If the enable-${what.toLowerCase()}-command option is set to "local", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.`,
    )
  }

  /** Forgets a transaction and its watched keys. */
  discardTransaction(client: Client): void {
    client.multi = undefined
    this.watches.forget(client)
  }
}

const PROTECTED: ReadonlyMap<string, 'DEBUG' | 'MODULE'> = new Map([
  ['debug', 'DEBUG'],
  ['module|load', 'MODULE'],
  ['module|loadex', 'MODULE'],
  ['module|unload', 'MODULE'],
])

const ENDED_BY_DEMOTION: ReadonlySet<Blocked['kind']> = new Set(['wait', 'key'])
