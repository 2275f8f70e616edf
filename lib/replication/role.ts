/** Primary or replica of whom: the node's replication as the rest of it sees it. Switching keeps the one stream and its history. */
import { join } from 'node:path'
import { type Disk, disk as realDisk } from '../../store/disk.ts'
import type { Keyspace } from '../../store/keyspace.ts'
import type { Millis, Offset } from '../base/brand.ts'
import { wallClock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Argv } from '../resp/argv.ts'
import type { ReplicaClient } from './attached.ts'
import { loadBeside, openSnapshot } from './dataset.ts'
import { Failover } from './failover.ts'
import { PrimarySide } from './primary.ts'
import { type Dial, ReplicaSide } from './replica.ts'
import type { SettingsHolder } from './settings.ts'
import { ReplicationStream } from './stream.ts'

/** Where to find a primary. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** What replication asks of the server. */
export interface ReplicationServer {
  /** Bytes of replication, for INFO. */
  readonly stats: { replicationInputBytes: number; replicationOutputBytes: number }
  /** Calls Replication.flush after the event loop has been round. */
  readonly host: { requestEndTurn(): void }
  /** A script is put aside: the data must stay as it is. */
  readonly scripting: { readonly busy: boolean }
  /** Holds writes back while a replica takes over. */
  readonly pause: { pauseForFailover(until: Millis): void; resumeFailover(): void }
  /** Carries out a command of our primary, in a database; `argv` is borrowed. The reply goes nowhere. */
  apply(argv: Argv, db: number): void
  /** We were a primary: clients that wait for something only a primary can give are sent away. */
  demoted(): void
}

export interface ReplicationParts {
  readonly config: SettingsHolder
  readonly log: Log
  readonly keyspace: Keyspace
  readonly random: Random
  readonly dial: Dial
  /** The server is built after this. */
  readonly server: () => ReplicationServer
  readonly now?: () => Millis
  readonly disk?: Disk
}

export class Replication {
  readonly stream: ReplicationStream
  readonly primary: PrimarySide
  readonly failover: Failover
  readonly #parts: ReplicationParts
  readonly #now: () => Millis
  #link: ReplicaSide | undefined
  #primarySyncs = 0

  /** A primary without replicas. */
  constructor(parts: ReplicationParts) {
    const { config, log, random, keyspace, server } = parts
    this.#parts = parts
    this.#now = parts.now ?? wallClock
    this.stream = new ReplicationStream(random.hex(40), config.values.replBacklogSize)
    this.primary = new PrimarySide({
      stream: this.stream,
      config,
      log,
      random,
      snapshot: (options) => openSnapshot(keyspace, options),
      disk: parts.disk ?? realDisk,
      spoolPath: () => join(config.values.dir, `temp-sync-${random.hex(16)}.rdb`),
      requestEndTurn: () => server().host.requestEndTurn(),
      sent: (bytes) => {
        server().stats.replicationOutputBytes += bytes
      },
    })
    this.failover = new Failover({
      log,
      now: this.#now,
      isReplica: () => this.isReplica,
      replicas: () => this.primary.replicas,
      offset: () => this.offset,
      pause: () => {
        this.primary.pingsPaused = true
        server().pause.pauseForFailover(Number.MAX_SAFE_INTEGER as Millis)
      },
      resume: () => {
        this.primary.pingsPaused = false
        server().pause.resumeFailover()
      },
      follow: (target) => this.follow(target),
      lead: () => this.lead(),
    })
  }

  /** Where effects of commands go. */
  get sink(): ReplicationStream {
    return this.stream
  }

  /** Bytes of the history so far (master_repl_offset). */
  get offset(): Offset {
    return this.stream.offset
  }

  /** How much of the history is on our disk; -1: nothing of it. */
  get fsynced(): number {
    return this.stream.keeper?.fsynced ?? -1
  }

  get isReplica(): boolean {
    return this.#link !== undefined
  }

  /** The link to our primary; undefined while we are one ourselves. */
  get link(): ReplicaSide | undefined {
    return this.#link
  }

  /** We follow our primary's stream right now. */
  get linkUp(): boolean {
    return this.#link?.isUp === true
  }

  /** How fresh our data is: when the primary last sent anything, or when the link to it went down. 0 when there was none yet: then our
   *  data is not its data. */
  get lastSeenAt(): Millis {
    if (this.#link === undefined) return 0 as Millis
    return this.#link.isUp ? this.#link.lastIoAt : this.#link.downSince
  }

  /** How often the data of whoever `follow` named have become ours. */
  get primarySyncs(): number {
    return this.#primarySyncs
  }

  /** Why nobody can synchronise with us now; undefined: they can. */
  get cannotServe(): string | undefined {
    if (this.failover.state !== 'no-failover') return "NOMASTERLINK Can't SYNC while failing over"
    return this.isReplica && !this.linkUp ? "NOMASTERLINK Can't SYNC while not connected with my master" : undefined
  }

  /** Replicas that count for min-replicas-to-write. */
  goodReplicas(): number {
    return this.primary.good(this.#now(), this.#parts.config.values.minReplicasMaxLag)
  }

  /** The node serves: follows the primary of the configuration, if it names one. */
  start(): void {
    const { replicaof } = this.#parts.config.values
    if (replicaof !== undefined) this.follow(replicaof)
  }

  /** The node stops: no link to a primary, no replicas. */
  stop(): void {
    this.#link?.stop()
    this.primary.disconnectAll()
  }

  /** Becomes a replica of that node, or of another one than before. Resumes if the histories meet. */
  follow(target: Target): void {
    const { config, log, dial, keyspace, server } = this.#parts
    const old = this.#link
    if (old?.host === target.host && old.port === target.port) {
      if (old.isUp) this.#primarySyncs++
      return
    }
    old?.stop()
    this.stream.follow()
    this.#link = new ReplicaSide(
      {
        stream: this.stream,
        config,
        log,
        dial,
        now: this.#now,
        load: () => loadBeside(keyspace),
        mustWait: () => server().scripting.busy,
        apply: (argv, db) => server().apply(argv, db),
        synchronised: () => void this.#primarySyncs++,
        historyChanged: () => this.primary.disconnectAll(),
        handover: this.failover,
        progressed: (bytes) => {
          server().stats.replicationInputBytes += bytes
          this.flush()
        },
      },
      target,
      old?.downSince ?? (0 as Millis),
    )
    log.role = 'S'
    if (old === undefined) server().demoted()
    this.#link.everySecond()
  }

  /** Becomes a primary: the history goes on under a new id, and replicas ask again to learn it. */
  lead(): void {
    if (this.#link === undefined) return
    const { log, random } = this.#parts
    this.#link.stop()
    this.#link = undefined
    const { stream } = this
    stream.becomePrimary(random.hex(40))
    log.role = 'M'
    log.notice(
      `Setting secondary replication ID to ${stream.replid2}, valid up to offset: ${stream.secondOffset}. New replication ID is ${stream.replid}`,
    )
    this.primary.disconnectAll()
  }

  /** A replica's connection is gone. */
  replicaLeft(client: ReplicaClient): void {
    this.primary.detach(client)
  }

  /** The end of an event-loop turn: the stream's bytes leave. */
  flush(): void {
    this.primary.endTurn()
    this.#link?.endTurn()
    this.failover.check()
  }

  /** Called once a second. */
  everySecond(): void {
    const { replBacklogSize } = this.#parts.config.values
    if (replBacklogSize !== this.stream.backlogSize) this.stream.resize(replBacklogSize)
    this.#link?.everySecond()
    this.primary.everySecond(this.#now())
  }
}
