/** The primary's side: replicas attach with PSYNC, get a snapshot or the missing bytes, then every byte of the stream, and acknowledge.
 *  A replica serves its own replicas in the same way, with its primary's stream. */
import type { Disk } from '../../store/disk.ts'
import type { RdbOptions } from '../../store/rdb/writer.ts'
import type { Millis } from '../base/brand.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { reasonOf } from '../base/system-error.ts'
import { AttachedReplica, lagSeconds, type ReplicaClient, type ReplicaFacts, unknownReplica } from './attached.ts'
import type { SettingsHolder } from './settings.ts'
import type { ReplicationStream } from './stream.ts'
import { line, type Snapshot, Supply } from './supply.ts'

export interface PrimaryParts {
  readonly stream: ReplicationStream
  readonly config: SettingsHolder
  readonly log: Log
  readonly random: Random
  /** Takes a snapshot of the data set as it is now, with facts about it. */
  readonly snapshot: (options: Pick<RdbOptions, 'aux' | 'compress'>) => Snapshot
  /** Where a snapshot lies whose length must be known before it is sent. */
  readonly disk: Disk
  readonly spoolPath: () => string
  /** Asks for the end of a turn, after the event loop has been round. */
  readonly requestEndTurn: () => void
  /** Told of every byte sent to replicas. */
  readonly sent: (bytes: number) => void
}

/** How often full and partial synchronisations were asked for, for INFO. */
export interface SyncStats {
  full: number
  partialOk: number
  partialRefused: number
}

/** Somebody who waits for replicas to have received the stream up to an offset, or for disks to have it (WAIT, WAITAOF). */
interface Waiter {
  readonly isMet: () => boolean
  readonly done: () => void
}

/** What is read of a file for a replica before it has taken what came before. */
const AHEAD = 1024 * 1024
/** Nothing of the stream, not even what it was before its first byte. */
const NEVER = -1

export class PrimarySide {
  readonly stats: SyncStats = { full: 0, partialOk: 0, partialRefused: 0 }
  /** A failover has stopped the writes: a PING or a GETACK would move the offset that the replica is to reach. */
  pingsPaused = false
  readonly #parts: PrimaryParts
  /** What clients said with REPLCONF; most of them go on to PSYNC. */
  readonly #facts = new WeakMap<ReplicaClient, ReplicaFacts>()
  readonly #replicas = new Map<ReplicaClient, AttachedReplica>()
  /** Ends our reading of the stream. Without replicas we do not: what readers were given has to be kept for them. */
  #leaveStream: (() => void) | undefined
  readonly #waiters = new Set<Waiter>()
  #acksWanted = false
  /** How much of the stream was on our own disk when the waiters were last looked at. */
  #fsynced = NEVER
  #snapshotWanted = false
  /** The snapshot that is on its way. */
  #supply: Supply | undefined
  /** Called at the end of the next turn. */
  #turnEnded: (() => void)[] = []
  #pingedAt = 0
  /** Since when a backlog is kept that nobody reads; 0 = that is not so. */
  #aloneSince = 0

  constructor(parts: PrimaryParts) {
    this.#parts = parts
  }

  /** The replicas, in the order they came. */
  get replicas(): readonly AttachedReplica[] {
    return [...this.#replicas.values()]
  }

  /** What a client has told about itself as a replica. */
  factsOf(client: ReplicaClient): ReplicaFacts {
    let facts = this.#facts.get(client)
    if (facts === undefined) {
      facts = unknownReplica()
      this.#facts.set(client, facts)
    }
    return facts
  }

  // --- attaching -------------------------------------------------------------------------------------------------------

  /** PSYNC: goes on from byte `next` of the history `replid` if we still have it, otherwise from a snapshot. Answers by itself. Who is attached already is not heard. */
  psync(client: ReplicaClient, replid: string, next: number, now: Millis): void {
    const { stream, log } = this.#parts
    if (this.#replicas.has(client)) return
    const replica = this.#attach(client, false, now)
    log.notice(`Replica ${replica.name} asks for synchronization`)
    if (stream.canResume(replid, next)) return this.#resume(replica, next)
    if (replid !== '?') {
      this.stats.partialRefused++
      log.notice(`Partial resynchronization not accepted: ${this.#whyNot(replid, next)}`)
    }
    this.#requestFull(replica)
  }

  /** SYNC, of clients older than PSYNC and of redis-cli: a snapshot, without a word before it. */
  sync(client: ReplicaClient, now: Millis): void {
    if (!this.#replicas.has(client)) this.#requestFull(this.#attach(client, true, now))
  }

  /** Its connection is gone. */
  detach(client: ReplicaClient): void {
    const replica = this.#replicas.get(client)
    if (replica === undefined) return
    this.#replicas.delete(client)
    if (this.#replicas.size === 0) {
      this.#leaveStream?.()
      this.#leaveStream = undefined
    }
    this.#parts.log.notice(`Connection with replica ${replica.name} lost.`)
  }

  /** Closes every replica's connection, so that they ask again and learn what has changed. */
  disconnectAll(): void {
    for (const { client } of this.replicas) {
      client.wire.destroy()
      this.detach(client)
    }
    this.#goOn()
  }

  #attach(client: ReplicaClient, isOld: boolean, now: Millis): AttachedReplica {
    const { sent } = this.#parts
    const replica = new AttachedReplica({ client, facts: this.factsOf(client), isOld, now, sent })
    client.replica = true
    return replica
  }

  #add(replica: AttachedReplica): void {
    this.#replicas.set(replica.client, replica)
    this.#leaveStream ??= this.#parts.stream.subscribe((bytes) => {
      for (const one of this.#replicas.values()) one.deliver(bytes)
    })
  }

  #whyNot(replid: string, next: number): string {
    const { stream } = this.#parts
    if (replid !== stream.replid && replid !== stream.replid2)
      return `Replication ID mismatch (Replica asked for '${replid}', my replication IDs are '${stream.replid}' and '${stream.replid2}')`
    if (replid !== stream.replid && next > stream.secondOffset)
      return `Requested offset for second ID was ${next}, but I can reply up to ${stream.secondOffset}`
    return `lack of backlog (Replica request was: ${next}).`
  }

  #resume(replica: AttachedReplica, next: number): void {
    const { stream, log } = this.#parts
    stream.flush()
    const missing = stream.isRemembered(next) ? stream.readFrom(next) : undefined
    this.stats.partialOk++
    log.notice(
      `Partial resynchronization request from ${replica.name} accepted. Sending ${stream.offset - next + 1} bytes of backlog starting from offset ${next}.`,
    )
    replica.send(line(replica.facts.psync2 ? `+CONTINUE ${stream.replid}` : '+CONTINUE'))
    replica.state = 'online'
    this.#add(replica)
    replica.hold()
    if (missing === undefined) return void this.#resumeFromFile(replica, next - 1)
    replica.release()
    for (const bytes of missing) replica.deliver(bytes)
  }

  /** Sends what only the append-only file still has; what the stream adds meanwhile waits behind it. */
  async #resumeFromFile(replica: AttachedReplica, from: number): Promise<void> {
    const { stream } = this.#parts
    try {
      for await (const bytes of stream.keeper?.read(from, stream.offset) ?? []) {
        if (!this.#replicas.has(replica.client)) return
        replica.send(bytes)
        await replica.whenBelow(AHEAD)
      }
      replica.release()
    } catch (failure) {
      this.#drop(replica, `reading the append-only file: ${reasonOf(failure)}`)
    }
  }

  // --- full synchronisation --------------------------------------------------------------------------------------------

  #requestFull(replica: AttachedReplica): void {
    const { stream, log, random } = this.#parts
    log.notice(`Full resync requested by replica ${replica.name}`)
    this.stats.full++
    this.#snapshotWanted = true
    this.#add(replica)
    if (stream.hasBacklog) return
    stream.open(random.hex(40))
    log.notice(`Replication backlog created, my new replication IDs are '${stream.replid}' and '${stream.replid2}'`)
  }

  /** Gives everyone who waits one and the same snapshot; who comes later waits for the next, unless nothing of it was sent yet. */
  #startTransfers(): void {
    if (!this.#snapshotWanted || this.#supply?.state === 'sending') return
    this.#snapshotWanted = false
    const waiting = this.replicas.filter((replica) => replica.isWaiting)
    if (waiting.length === 0) return
    const isOpen = this.#supply?.state === 'open'
    if (!isOpen) this.#supply = this.#openSupply(waiting)
    const supply = this.#supply!
    for (const replica of waiting) supply.join(replica)
    if (!isOpen) void this.#run(supply)
  }

  /** A snapshot at the stream's present offset. The stream names its database anew after it: nobody knows the old one. */
  #openSupply(waiting: readonly AttachedReplica[]): Supply {
    const { stream, config, random, snapshot, disk, spoolPath, log } = this.#parts
    if (!stream.isFollowing) stream.reselect()
    const { replid, offset } = stream
    const aux = [
      ['repl-stream-db', String(stream.db)],
      ['repl-id', replid],
      ['repl-offset', String(offset)],
    ] as const
    const isMarked = config.values.replDisklessSync && waiting.every(({ facts }) => facts.eof)
    log.notice(`Starting BGSAVE for SYNC with target: ${isMarked ? 'replicas sockets' : 'disk'}`)
    return new Supply({
      snapshot: snapshot({ aux, compress: config.values.rdbcompression }),
      replid,
      offset,
      mark: isMarked ? random.hex(40) : undefined,
      disk,
      path: spoolPath(),
      isAttached: (replica) => this.#replicas.get(replica.client) === replica,
      nextTurn: () => this.#nextTurn(),
    })
  }

  async #run(supply: Supply): Promise<void> {
    try {
      await supply.run()
    } catch (failure) {
      for (const replica of supply.replicas) this.#drop(replica, `no snapshot for it: ${reasonOf(failure)}`)
    }
    if (!this.replicas.some((replica) => replica.isWaiting)) return
    this.#snapshotWanted = true
    this.#parts.requestEndTurn()
  }

  #nextTurn(): Promise<void> {
    this.#parts.requestEndTurn()
    return new Promise((done) => void this.#turnEnded.push(done))
  }

  #goOn(): void {
    for (const done of this.#turnEnded.splice(0)) done()
  }

  // --- acknowledgements ------------------------------------------------------------------------------------------------

  /** REPLCONF ACK; `fsynced`: how much of the stream it has on its disk, if it keeps an append-only file. */
  acknowledge(client: ReplicaClient, offset: number, fsynced = NEVER): void {
    const replica = this.#replicas.get(client)
    if (replica === undefined || replica.state === 'wait_bgsave') return
    if (offset > replica.ackedOffset) replica.ackedOffset = offset
    if (fsynced > replica.fsyncedOffset) replica.fsyncedOffset = fsynced
    this.#loaded(replica)
    this.#serveWaiters()
  }

  /** How many replicas have received the stream up to `offset`. */
  acknowledged(offset: number): number {
    let count = 0
    for (const { state, ackedOffset } of this.#replicas.values())
      if (state === 'online' && ackedOffset >= offset) count++
    return count
  }

  /** How many replicas have the stream up to `offset` on their disks. */
  fsynced(offset: number): number {
    let count = 0
    for (const { state, fsyncedOffset } of this.#replicas.values())
      if (state === 'online' && fsyncedOffset >= offset) count++
    return count
  }

  /** Calls `done` once a condition on what replicas, or our disk, have is met, and asks the replicas what they have. The returned
   *  function ends the wait. */
  whenMet(isMet: () => boolean, done: () => void): () => void {
    const waiter: Waiter = { isMet, done }
    this.#waiters.add(waiter)
    this.#acksWanted = true
    return () => void this.#waiters.delete(waiter)
  }

  /** Replicas that are online and were heard from within `maxLagSeconds`. */
  good(now: Millis, maxLagSeconds: number): number {
    return this.replicas.filter((replica) => replica.state === 'online' && lagSeconds(replica, now) <= maxLagSeconds)
      .length
  }

  #serveWaiters(): void {
    for (const waiter of this.#waiters) {
      if (!waiter.isMet()) continue
      this.#waiters.delete(waiter)
      waiter.done()
    }
  }

  /** It has the whole snapshot. */
  #loaded(replica: AttachedReplica): void {
    if (replica.state !== 'send_bulk' || replica.facts.rdbOnly) return
    replica.state = 'online'
    replica.release()
    this.#parts.log.notice(`Synchronization with replica ${replica.name} succeeded`)
  }

  // --- time ------------------------------------------------------------------------------------------------------------

  /** The end of a turn: its bytes leave, then those who came in it get their snapshot. */
  endTurn(): void {
    const { stream } = this.#parts
    if (this.#acksWanted && !this.pingsPaused) {
      this.#acksWanted = false
      stream.appendControl(['REPLCONF', 'GETACK', '*'])
    }
    stream.flush()
    const fsynced = stream.keeper?.fsynced ?? NEVER
    if (fsynced !== this.#fsynced) {
      this.#fsynced = fsynced
      this.#serveWaiters()
    }
    this.#startTransfers()
    this.#goOn()
  }

  /** Once a second: pings, timeouts, limits, and the end of a backlog that nobody reads. */
  everySecond(now: Millis): void {
    const { stream, config } = this.#parts
    for (const replica of this.replicas) {
      if (replica.isSupplied) this.#loaded(replica)
      // It has nothing to read yet, and would give us up.
      if (replica.state === 'wait_bgsave') replica.send(NEWLINE)
      const why = this.#whyDrop(replica, now)
      if (why !== undefined) this.#drop(replica, why)
    }
    if (
      this.#replicas.size > 0 &&
      !this.pingsPaused &&
      now - this.#pingedAt >= config.values.replPingReplicaPeriod * 1000
    ) {
      this.#pingedAt = now
      stream.appendControl(['ping'])
    }
    this.#closeUnread(now)
    this.endTurn()
  }

  #whyDrop(replica: AttachedReplica, now: Millis): string | undefined {
    const { replTimeout, clientOutputBufferLimit } = this.#parts.config.values
    const { hard, soft, softSeconds } = clientOutputBufferLimit.replica
    const { outstanding } = replica
    if (soft === 0 || outstanding <= soft) replica.overSoftSince = 0
    else if (replica.overSoftSince === 0) replica.overSoftSince = now
    if (hard > 0 && outstanding > hard) return 'output buffer limits exceeded'
    if (replica.overSoftSince > 0 && now - replica.overSoftSince > softSeconds * 1000)
      return 'output buffer limits exceeded'
    if (replica.state === 'wait_bgsave') return undefined
    const isSilent = now - replica.aliveAt(now) > replTimeout * 1000
    return isSilent && !replica.isOld ? 'timed out' : undefined
  }

  #drop(replica: AttachedReplica, why: string): void {
    this.#parts.log.warning(`Disconnecting replica ${replica.name}: ${why}`)
    replica.client.wire.destroy()
    this.detach(replica.client)
  }

  #closeUnread(now: Millis): void {
    const { stream, config, log, random } = this.#parts
    const { replBacklogTtl } = config.values
    const isKept = stream.isFollowing || stream.keeper !== undefined
    const isUnread = this.#replicas.size === 0 && !isKept && stream.hasBacklog && replBacklogTtl > 0
    if (!isUnread) {
      this.#aloneSince = 0
      return
    }
    if (this.#aloneSince === 0) this.#aloneSince = now
    if (now - this.#aloneSince <= replBacklogTtl * 1000) return
    stream.close(random.hex(40))
    log.notice(`Replication backlog freed after ${replBacklogTtl} seconds without connected replicas.`)
  }
}

const NEWLINE = Buffer.from('\n')
