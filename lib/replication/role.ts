/** Primary or replica of whom: the node's replication as the rest of it sees it. Switching keeps the one stream and its history. */
import type { Millis, Offset } from '../base/brand.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Argv } from '../resp/argv.ts'
import type { ReplicaClient } from './attached.ts'
import { PrimarySide, type Snapshot } from './primary.ts'
import { type Dial, ReplicaSide } from './replica.ts'
import type { SettingsHolder } from './settings.ts'
import { ReplicationStream } from './stream.ts'
import type { Loading } from './transfer.ts'

export interface ReplicationParts {
  readonly config: SettingsHolder
  readonly log: Log
  readonly random: Random
  readonly now: () => Millis
  readonly dial: Dial
  /** The data set as it is now. */
  readonly snapshot: () => Snapshot
  /** A new data set beside the present one. */
  readonly load: () => Loading
}

/** What the node does about changes of replication; it is built later than this, so it puts itself in place. */
export interface ReplicationHost {
  /** Carries out a command of the primary's stream, in a database; `argv` is borrowed. Its reply goes nowhere. */
  apply(argv: Argv, db: number): void
  /** The node became a replica, or a primary. */
  roleChanged(isReplica: boolean): void
  /** The link to the primary went up or down. */
  linkChanged(up: boolean): void
}

export class Replication {
  readonly stream: ReplicationStream
  readonly primary: PrimarySide
  host: ReplicationHost = { apply() {}, roleChanged() {}, linkChanged() {} }
  readonly #parts: ReplicationParts
  #link: ReplicaSide | undefined
  #wasUp = false

  /** A primary without replicas. */
  constructor(parts: ReplicationParts) {
    const { config, log, random, snapshot } = parts
    this.#parts = parts
    this.stream = new ReplicationStream(random.hex(40), config.values.replBacklogSize)
    this.primary = new PrimarySide({ stream: this.stream, config, log, random, snapshot })
  }

  /** Where effects of commands go. */
  get sink(): ReplicationStream {
    return this.stream
  }

  /** Bytes of the history so far (master_repl_offset). */
  get offset(): Offset {
    return this.stream.offset
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

  /** Replicas that count for min-replicas-to-write. */
  goodReplicas(): number {
    return this.primary.good(this.#parts.now(), this.#parts.config.values.minReplicasMaxLag)
  }

  /** Becomes a replica of the node at `host`:`port`, or of another one than before. Resumes if the histories meet. */
  follow(host: string, port: number): void {
    const { config, log, dial, now, load } = this.#parts
    const wasReplica = this.isReplica
    this.#link?.stop()
    this.stream.follow()
    this.#link = new ReplicaSide(
      {
        stream: this.stream,
        config,
        log,
        dial,
        now,
        load,
        apply: (argv, db) => this.host.apply(argv, db),
        historyChanged: () => this.primary.disconnectAll(now()),
        progressed: () => this.#progressed(),
      },
      host,
      port,
    )
    if (!wasReplica) this.host.roleChanged(true)
    this.#link.tick()
    this.#progressed()
  }

  /** Becomes a primary: the history goes on under a new id, and replicas ask again to learn it. */
  lead(): void {
    if (this.#link === undefined) return
    const { log, random, now } = this.#parts
    this.#link.stop()
    this.#link = undefined
    this.stream.becomePrimary(random.hex(40))
    log.notice(
      `Setting secondary replication ID to ${this.stream.replid2}, valid up to offset: ${this.stream.secondOffset}. New replication ID is ${this.stream.replid}`,
    )
    this.primary.disconnectAll(now())
    this.#progressed()
    this.host.roleChanged(false)
  }

  /** Why nobody can synchronise with us now; undefined: they can. */
  get cannotServe(): string | undefined {
    return this.isReplica && !this.linkUp ? "NOMASTERLINK Can't SYNC while not connected with my master" : undefined
  }

  /** A replica's connection is gone. */
  replicaLeft(client: ReplicaClient): void {
    this.primary.detach(client, this.#parts.now())
  }

  /** The end of an event-loop turn: the stream's bytes leave. */
  flush(): void {
    this.primary.endTurn()
  }

  /** Several times a second. */
  tick(now: Millis): void {
    const { values } = this.#parts.config
    if (values.replBacklogSize !== this.stream.backlogSize) this.stream.resize(values.replBacklogSize)
    this.#link?.tick()
    this.primary.tick(now)
  }

  #progressed(): void {
    this.flush()
    if (this.linkUp === this.#wasUp) return
    this.#wasUp = this.linkUp
    this.host.linkChanged(this.linkUp)
  }
}
