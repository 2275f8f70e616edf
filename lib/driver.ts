/** Runs the cluster core inside the node: everything that happens becomes an event, every effect is carried out in order.
 *  The only file that joins the bus with the store, the server and replication. */
import type { SecureContextOptions } from 'node:tls'
import createDebug from 'debug'
import { encode } from '../bus/codec.ts'
import type { Effect } from '../bus/effect.ts'
import type { Answer, Event, Operation } from '../bus/event.ts'
import { awaitsStream } from '../bus/manual-failover.ts'
import { slotLine, writeNodesConf } from '../bus/nodes-conf.ts'
import type { Cluster, LocalFacts } from '../bus/state.ts'
import { step } from '../bus/step.ts'
import { createTransport, type Transport, type TransportOptions } from '../bus/transport.ts'
import type { NodesFile } from '../store/nodes-file.ts'
import { unreachable } from './base/assert.ts'
import type { Millis } from './base/brand.ts'
import { steadyClock, wallClock } from './base/clock.ts'
import type { Log } from './base/log.ts'
import { SlotPurge } from './purge.ts'
import type { ClusterDoor, LinkInfo } from './server/cluster-door.ts'
import type { Server } from './server/server.ts'

export interface DriverParts {
  readonly cluster: Cluster
  readonly server: Server
  readonly nodesFile: NodesFile
  readonly log: Log
  readonly transport: Pick<TransportOptions, 'listen' | 'tls' | 'bindSource' | 'keepAliveMs'>
  /** nodes.conf cannot be written any more: nothing the node decides from now on may be trusted to survive. */
  fatal(error: Error): void
}

type Clock = typeof wallClock

/** A moment told by one clock, as another one tells it. The core's own cannot be set: who sets the clock of a machine must neither
 *  make all others look dead nor the dead alive. */
const onClock = (time: Millis, from: Clock, to: Clock): Millis => (time - from() + to()) as Millis

/** Facts the core asks of the node; they are read when a step needs them, which is always synchronous. */
export function localFacts(server: () => Server, buffered: LocalFacts['bufferedOn']): LocalFacts {
  return {
    get replicationOffset() {
      return server().replication.offset
    },
    get primaryLinkUp() {
      return server().replication.linkUp
    },
    get hasPrimaryTarget() {
      return server().replication.isReplica
    },
    get primaryLastSeenAt() {
      const { lastSeenAt } = server().replication
      return lastSeenAt === 0 ? lastSeenAt : onClock(lastSeenAt, wallClock, steadyClock)
    },
    get primarySyncs() {
      return server().replication.primarySyncs
    },
    get loading() {
      return server().loading
    },
    keysInSlot: (slot) => server().keyspace.databases[0]!.countInSlot(slot),
    keyCount: () => server().keyspace.size,
    bufferedOn: buffered,
  }
}

/** How long nodes.conf may lag behind its drafts while it keeps changing, as it does in a reshard. */
const MOST_TICKS = 10

export class Driver implements ClusterDoor {
  readonly view: Cluster
  readonly #server: Server
  readonly #nodesFile: NodesFile
  readonly #log: Log
  readonly #fatal: (error: Error) => void
  readonly #transport: Transport
  readonly #purge: SlotPurge
  readonly #traces = new Map<string, createDebug.Debugger>()
  /** CLUSTER SAVECONFIG reports a failed save to its client instead of ending the process. */
  #saveError: Error | undefined
  #saveMayFail = false
  /** The change of role that has to wait until a script has ended: what it writes belongs to the history it was begun in. */
  #role: Extract<Effect, { type: 'follow' | 'lead' }> | undefined
  /** nodes.conf lacks something that others told us: the next tick writes it. */
  #unsaved = false
  /** Slots of which it does not say yet what became of them. Nor does it need to before somebody asks for it. */
  readonly #unsavedSlots = new Set<number>()
  /** What was saved since nodes.conf was written as a whole is behind it, in slot lines. */
  #hasSlotLines = false
  /** What was saved since the file itself was brought up to date. It is due when a whole tick has passed without more of it, or
   *  `MOST_TICKS` with. */
  #draft: 'none' | 'fresh' | 'due' = 'none'
  #draftTicks = 0
  #closed = false

  constructor(parts: DriverParts) {
    this.view = parts.cluster
    this.#server = parts.server
    this.#nodesFile = parts.nodesFile
    this.#log = parts.log
    this.#fatal = parts.fatal
    this.#purge = new SlotPurge(parts.server)
    this.#transport = createTransport({
      ...parts.transport,
      log: parts.log,
      allocateLinkId: () => this.view.nextLinkId++,
      on: {
        accepted: (link, remoteIp, localIp) => this.feed({ type: 'accepted', link, remoteIp, localIp }),
        up: (link) => this.feed({ type: 'link-up', link }),
        down: (link) => this.feed({ type: 'link-down', link }),
        message: (link, message) => {
          // The replica would take over without what a script has yet to write.
          if (message.body.type === 'mfstart' && parts.server.scripting.busy)
            parts.log.warning('A manual failover was asked for while a script is busy: it is not begun')
          else this.feed({ type: 'message', link, message })
        },
        refused() {},
        received() {},
      },
    })
  }

  /** Opens the bus port. Rejects when it is taken. */
  async listen(): Promise<void> {
    await this.#transport.listen()
  }

  /** The bus shows other certificates from now on, or speaks plain TCP. Throws for those that cannot be used. */
  secure(tls: SecureContextOptions | undefined): void {
    this.#transport.secure(tls)
  }

  /** Closes the port and every link. */
  async close(): Promise<void> {
    this.#closed = true
    this.#saveWhole()
    await this.#transport.close()
  }

  bufferedOn(link: number): number {
    return this.#transport.buffered(link)
  }

  /** One event through the core; its effects are carried out before this returns. */
  feed(event: Event): Answer | undefined {
    if (this.#closed) return undefined
    if (event.type === 'tick') this.#settleInTime()
    let answer: Answer | undefined
    for (const effect of step(this.view, event, steadyClock())) {
      if (effect.type === 'answer') answer = effect.answer
      else this.#carryOut(effect)
    }
    return answer
  }

  ask(operation: Operation): Answer | undefined {
    this.#hold()
    // It may be about a slot that is to get new keys.
    this.#purge.finish()
    this.#saveMayFail = operation.name === 'saveconfig'
    this.#saveError = undefined
    const answer = this.feed({ type: 'operator', operation })
    if (this.#saveMayFail) this.#settle()
    this.#saveMayFail = false
    if (this.#saveError === undefined) return answer
    return { error: `ERR error saving the cluster node config: ${(this.#saveError as Error).message}` }
  }

  persist(): void {
    if (this.#unsaved) this.#save(false)
    else if (this.#unsavedSlots.size > 0) this.#saveSlots()
  }

  endTurn(): void {
    this.#changeRole()
    this.#purge.slice()
    if (this.view.stateDirty || awaitsStream(this.view)) this.feed({ type: 'turn-end' })
  }

  replied(): void {
    this.#transport.release()
  }

  publish(sharded: boolean, channel: Uint8Array, message: Uint8Array): void {
    this.#hold()
    this.feed({ type: 'publish', sharded, channel, message })
  }

  /** What is sent in the name of a client leaves after the replies of this turn. */
  #hold(): void {
    this.#transport.hold()
    this.#server.host.requestEndTurn()
  }

  links(): readonly LinkInfo[] {
    const rows: LinkInfo[] = []
    for (const link of this.view.links.values()) {
      const info = this.#transport.info(link.id)
      if (info === undefined || link.node === undefined) continue
      rows.push({
        direction: link.outbound ? 'to' : 'from',
        node: link.node.id,
        createTime: info.createdAt,
        events: info.events,
        sendBufferAllocated: info.bufferedBytes,
        sendBufferUsed: info.bufferedBytes,
      })
    }
    return rows
  }

  #carryOut(effect: Exclude<Effect, { type: 'answer' }>): void {
    const server = this.#server
    switch (effect.type) {
      case 'save':
        return this.#save(effect.fsync)
      case 'save-later':
        this.#unsaved = true
        return
      case 'save-slot':
        this.#unsavedSlots.add(effect.slot)
        return effect.later ? undefined : this.#saveSlots()
      case 'connect':
        return this.#transport.connect(effect.link, effect.ip, effect.busPort)
      case 'drop':
        return this.#transport.drop(effect.link)
      case 'send':
        return this.#transport.send(effect.links, encode(effect.message))
      case 'follow':
      case 'lead':
        this.#role = effect
        return this.#changeRole()
      case 'purge':
        return this.#purge.add(effect.slots)
      case 'flush':
        return void server.keyspace.flushAll()
      case 'slots-lost':
        return server.pubsub.dropSlots(server, effect.slots)
      case 'pause-writes':
        server.replication.primary.pingsPaused = true
        return server.pause.pauseForFailover(onClock(effect.until, steadyClock, wallClock))
      case 'resume-writes':
        server.replication.primary.pingsPaused = false
        return server.pause.resumeFailover()
      case 'publish':
        return deliver(server, effect)
      case 'state':
        return
      case 'log':
        return this.#log.at(effect.level, effect.text)
      case 'trace':
        return this.#trace(effect.namespace, effect.text)
      default:
        return unreachable(effect)
    }
  }

  #changeRole(): void {
    const role = this.#role
    const { replication, scripting } = this.#server
    if (role === undefined || scripting.busy) return
    this.#role = undefined
    if (role.type === 'lead') return replication.lead()
    this.#purge.forget()
    replication.follow({ host: role.ip, port: this.#primaryPort(role) })
  }

  /** Ten times a second: what was saved takes its place. Not at once: that takes milliseconds, and who has just saved a vote or a win
   *  is in the middle of a failover, whose clients wait. */
  #settleInTime(): void {
    this.persist()
    if (this.#draft === 'none') return
    if (this.#draft === 'due' || ++this.#draftTicks > MOST_TICKS) this.#settle()
    else this.#draft = 'due'
  }

  #settle(): void {
    this.#saveWhole()
    this.#draft = 'none'
    this.#draftTicks = 0
    try {
      this.#nodesFile.settle()
    } catch (cause) {
      this.#cannotSave(cause)
    }
  }

  /** A text without slot lines, which only our nodes read. */
  #saveWhole(): void {
    if (this.#unsaved || this.#hasSlotLines || this.#unsavedSlots.size > 0) this.#save(false)
  }

  /** What this node promises the others, a vote or an epoch of its own, is on the disk before they hear of it. */
  #save(fsync: boolean): void {
    this.#unsaved = false
    this.#unsavedSlots.clear()
    this.#hasSlotLines = false
    this.#draft = 'fresh'
    try {
      this.#nodesFile.write(writeNodesConf(this.view), fsync)
    } catch (cause) {
      this.#cannotSave(cause)
    }
  }

  /** A reshard saves two or three times a slot, and the whole text grows with the cluster. */
  #saveSlots(): void {
    let lines = ''
    for (const slot of this.#unsavedSlots) lines += slotLine(this.view, slot)
    try {
      if (!this.#nodesFile.append(lines)) return this.#save(false)
    } catch (cause) {
      return this.#cannotSave(cause)
    }
    this.#unsavedSlots.clear()
    this.#hasSlotLines = true
    this.#draft = 'fresh'
  }

  #cannotSave(cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause))
    if (this.#saveMayFail) this.#saveError = error
    else this.#fatal(new Error(`Fatal: can't update cluster config file: ${error.message}`, { cause }))
  }

  /** Where replication dials: the TLS port under tls-replication, whichever of the two ports the bus speaks of. */
  #primaryPort(effect: Extract<Effect, { type: 'follow' }>): number {
    const { tlsReplication, tlsCluster } = this.#server.config.values
    return tlsReplication === tlsCluster || effect.otherPort === 0 ? effect.port : effect.otherPort
  }

  #trace(namespace: string, text: string): void {
    let trace = this.#traces.get(namespace)
    if (trace === undefined) {
      trace = createDebug(`rookery:${namespace}`)
      this.#traces.set(namespace, trace)
    }
    trace(text)
  }
}

function deliver(server: Server, effect: Extract<Effect, { type: 'publish' }>): void {
  const channel = Buffer.from(effect.channel)
  const message = Buffer.from(effect.message)
  if (effect.sharded) server.pubsub.deliverSharded(server, channel, message)
  else server.pubsub.deliver(server, channel, message)
}
