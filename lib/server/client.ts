/** One connection: what it has said about itself, what it waits for, and its two buffers. */
import type { Millis, Offset } from '../base/brand.ts'
import type { Wire } from '../base/socket-wire.ts'
import type { CommandEntry } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'
import { type ParserLimits, RequestParser } from '../resp/parser.ts'
import { Reply } from '../resp/reply.ts'
import type { User } from './acl-user.ts'
import type { Tracking } from './tracking.ts'
import type { WatchedKey } from './watches.ts'

/** Why a client waits, and what ends it. While it is set no further request of the client is taken. */
export interface Blocked {
  /** As CLIENT LIST and INFO see it: 'wait' and 'key' waits count as blocked_clients; the others do not. */
  readonly kind: 'wait' | 'key' | 'pause' | 'migrate' | 'move' | 'shutdown' | 'script'
  /** Unix milliseconds; 0 = for ever. */
  readonly timeoutAt: Millis
  /** Writes the reply for a timeout. Absent: it never times out. */
  readonly timedOut?: (client: Client) => void
  /** Undone when the wait ends for any reason, disconnection included: take it off whatever list it is on. */
  readonly leave: (client: Client) => void
}

/** A transaction being queued. */
export interface Multi {
  readonly queue: { readonly entry: CommandEntry; readonly argv: Argv }[]
  /** A command was refused while queueing: EXEC aborts. */
  aborted: boolean
}

export class Client {
  readonly id: number
  readonly createdAt: Millis
  /** `ip:port`, `[v6]:port` or `path:0` of a unix socket. */
  readonly address: string
  readonly localAddress: string
  /** It came in over TLS. */
  readonly tls: boolean
  readonly wire: Wire
  readonly parser: RequestParser
  readonly reply = new Reply()
  readonly limits: ParserLimits
  lastSeenAt: Millis
  name = ''
  libraryName = ''
  libraryVersion = ''
  /** Undefined for our primary, who may do everything. */
  user: User | undefined = undefined
  authenticated = false
  db = 0
  /** READONLY was sent: a replica may answer reads. */
  readonly = false
  /** One-shot ASKING. */
  asking = false
  /** This connection is the link to our primary: its commands are obeyed without the checks for ordinary clients. */
  primary = false
  /** It sent SYNC, PSYNC or a replica's REPLCONF: it receives the stream. */
  replica = false
  monitor = false
  noEvict = false
  noTouch = false
  tracking: Tracking | undefined = undefined
  /** CLIENT REPLY: on, off, or off for the next command only ('skip-next' becomes 'skip'). */
  replyMode: 'on' | 'off' | 'skip-next' | 'skip' = 'on'
  multi: Multi | undefined
  /** Watched keys: the transaction fails once one was touched. */
  watched: WatchedKey[] | undefined
  /** A watched key was touched. */
  watchBroken = false
  readonly channels = new Set<string>()
  readonly patterns = new Set<string>()
  readonly shardChannels = new Set<string>()
  blocked: Blocked | undefined
  /** A request put off by a pause or a locked key: taken again when the wait ends. */
  postponed: Argv | undefined
  /** Stream offset right after this client's last write: what WAIT waits for. */
  writeOffset = 0 as Offset
  lastCommand: string = 'NULL'
  /** No more requests are taken; it closes when its replies have left. */
  closing = false
  closed = false
  /** Its replies wait for the end of the turn. */
  flushQueued = false
  /** It waits and has sent more: nothing is read from it until its wait is over. */
  paused = false
  /** Output above the soft limit since then; 0 = below it. */
  overSoftLimitAt = 0 as Millis

  constructor(init: {
    id: number
    now: Millis
    address: string
    localAddress: string
    tls: boolean
    wire: Wire
    limits: ParserLimits
  }) {
    this.id = init.id
    this.createdAt = init.now
    this.lastSeenAt = init.now
    this.address = init.address
    this.localAddress = init.localAddress
    this.tls = init.tls
    this.wire = init.wire
    this.limits = init.limits
    this.parser = new RequestParser(init.limits)
  }

  /** In subscriber mode a RESP2 connection may only manage its subscriptions. */
  get subscriber(): boolean {
    return this.channels.size + this.patterns.size + this.shardChannels.size > 0
  }
}

/** It came in over the unix socket: such addresses are the path and port 0. */
export const isUnix = (client: Client): boolean => client.address.endsWith(':0')

/** On this machine: over loopback or the unix socket. */
export const isLocal = (client: Client): boolean =>
  client.address.startsWith('127.') || client.address.startsWith('[::1]') || isUnix(client)

/** A client without a connection; MONITOR shows the address. */
export function internalClient(address: string, now: Millis): Client {
  const wire: Wire = {
    write: () => true,
    buffered: 0,
    whenWritten() {},
    pause() {},
    resume() {},
    end() {},
    destroy() {},
  }
  const client = new Client({
    id: 0,
    now,
    address,
    localAddress: '',
    tls: false,
    wire,
    limits: { maxBulkLength: Number.MAX_SAFE_INTEGER, unauthenticated: false },
  })
  client.primary = true
  client.authenticated = true
  return client
}
