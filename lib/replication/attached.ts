/** One replica that reads our stream, from its PSYNC on: first the snapshot, then the stream behind it. */
import type { Millis } from '../base/brand.ts'
import type { Wire } from '../base/socket-wire.ts'

/** A client as replication sees it. */
export interface ReplicaClient {
  readonly id: number
  /** `ip:port` of its end of the connection. */
  readonly address: string
  readonly wire: Pick<Wire, 'write' | 'buffered' | 'whenWritten' | 'destroy'>
  /** When it last sent anything; a replica that is busy loading sends bare newlines. */
  readonly lastSeenAt: Millis
  /** It receives the stream: set here, for good. */
  replica: boolean
}

/** What REPLCONF told us before PSYNC. */
export interface ReplicaFacts {
  listeningPort: number
  /** replica-announce-ip; '' = the address it connects from. */
  announcedIp: string
  /** It takes a snapshot of unknown length, ended by a mark. */
  eof: boolean
  /** It takes a new replication id with +CONTINUE. */
  psync2: boolean
  /** It wants the snapshot and no stream after it. */
  rdbOnly: boolean
}

export const unknownReplica = (): ReplicaFacts => ({
  listeningPort: 0,
  announcedIp: '',
  eof: false,
  psync2: false,
  rdbOnly: false,
})

/** Waiting for a snapshot to begin, receiving it, or following the stream. As INFO calls them. */
export type ReplicaState = 'wait_bgsave' | 'send_bulk' | 'online'

export class AttachedReplica {
  readonly client: ReplicaClient
  readonly facts: ReplicaFacts
  /** It said SYNC, not PSYNC: it gets no reply line, and owes us no ACK. */
  readonly isOld: boolean
  state: ReplicaState = 'wait_bgsave'
  ackedOffset = 0
  /** How much of the stream it has on its disk; -1 = it keeps no append-only file. */
  fsyncedOffset = -1
  /** Its backlog of unsent stream is above the soft limit since then; 0 = it is below. */
  overSoftSince = 0
  /** Stream bytes kept back while it receives and loads the snapshot. */
  #held: Buffer[] = []
  #heldBytes = 0
  /** What becomes of stream bytes: they are not for it, kept back, or go to the wire. */
  #stream: 'ignored' | 'held' | 'flowing' = 'ignored'
  /** What the wire had buffered when it last changed, and when that was: a transfer that moves is a sign of life. */
  #buffered = 0
  #movedAt: Millis
  /** Stream bytes given to the wire. They follow the snapshot there, so what is still buffered consists of them first of all. */
  #streamed = 0

  /** Told of every byte that goes to the wire. */
  readonly #sent: (bytes: number) => void

  constructor(init: {
    client: ReplicaClient
    facts: ReplicaFacts
    isOld: boolean
    now: Millis
    sent: (bytes: number) => void
  }) {
    this.client = init.client
    this.facts = init.facts
    this.isOld = init.isOld
    this.#movedAt = init.now
    this.#sent = init.sent
  }

  get ip(): string {
    return (
      this.facts.announcedIp || this.client.address.slice(0, this.client.address.lastIndexOf(':')).replace(/[[\]]/g, '')
    )
  }

  /** As the log names it. */
  get name(): string {
    const { listeningPort } = this.facts
    return listeningPort > 0 ? `${this.ip}:${listeningPort}` : `client id #${this.client.id}`
  }

  /** Bytes of the stream that have not left this process for it: what the output buffer limit counts. The snapshot does not. */
  get outstanding(): number {
    return this.#heldBytes + Math.min(this.client.wire.buffered, this.#streamed)
  }

  /** It wants a snapshot, and none is being made for it. */
  get isWaiting(): boolean {
    return this.state === 'wait_bgsave' && this.#stream === 'ignored'
  }

  /** The snapshot has left, and the replica need not say that it has found its end. */
  get isSupplied(): boolean {
    return this.#stream === 'flowing' && this.client.wire.buffered === 0
  }

  /** When it last gave a sign of life: it sent something, or, while it receives the snapshot, took something. */
  aliveAt(now: Millis): Millis {
    const { buffered } = this.client.wire
    if (this.state === 'send_bulk' && buffered !== this.#buffered) {
      this.#buffered = buffered
      this.#movedAt = now
    }
    return Math.max(this.client.lastSeenAt, this.#movedAt) as Millis
  }

  send(bytes: Buffer): void {
    this.#sent(bytes.length)
    this.client.wire.write(bytes)
  }

  /** Resolves when no more than so many bytes have not left this process, or the connection is gone. */
  whenBelow(bytes: number): Promise<void> {
    const { wire } = this.client
    return new Promise((done) => (wire.buffered <= bytes ? done() : wire.whenWritten(done)))
  }

  /** Keeps the stream back from now on; `like`: from where it is kept back for that one. */
  hold(like?: AttachedReplica): void {
    this.#stream = 'held'
    if (like === undefined) return
    this.#held = like.#held.slice()
    this.#heldBytes = like.#heldBytes
  }

  /** Bytes of the stream, in order. */
  deliver(bytes: Buffer): void {
    if (this.#stream === 'ignored' || this.facts.rdbOnly) return
    if (this.#stream === 'flowing') {
      this.#streamed += bytes.length
      this.send(bytes)
      return
    }
    this.#keep(bytes)
    this.#heldBytes += bytes.length
  }

  /** Turns are short and follow each other in the backlog's blocks: one view of many is written in one go later. */
  #keep(bytes: Buffer): void {
    const last = this.#held.at(-1)
    const isNext = last?.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset
    if (!isNext) this.#held.push(bytes)
    else this.#held[this.#held.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + bytes.length)
  }

  /** Lets the stream flow, first what was kept back. */
  release(): void {
    this.#stream = 'flowing'
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    for (const bytes of held) this.deliver(bytes)
  }
}

/** Seconds since a replica was last heard from. */
export const lagSeconds = (replica: AttachedReplica, now: Millis): number =>
  Math.floor(Math.max(0, now - replica.client.lastSeenAt) / 1000)
