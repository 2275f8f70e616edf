/** The one stream of the node's effects: RESP commands numbered by byte offset, under the id of their history. Replicas, the backlog and
 *  the append-only file all receive these bytes.
 *
 *  Two counts are easily confused: `offset` is how many bytes the history has so far; what PSYNC asks for is the number of the next
 *  byte, which is one more. */
import { assert } from '../base/assert.ts'
import type { Offset } from '../base/brand.ts'
import { encodeRequest } from '../resp/argv.ts'
import { Backlog } from './backlog.ts'

/** A replication id: 40 hexadecimal characters. */
export type ReplicationId = string

/** What INFO shows where there is no second id. */
export const NO_ID: ReplicationId = '0'.repeat(40)

/** Gets the bytes of a turn, in order; they stay unchanged, so they may be kept and shared. */
export type StreamReader = (bytes: Buffer) => void

/** What a restart, or whoever goes on with a history, must know of it. */
export interface History {
  readonly replid: ReplicationId
  readonly replid2: ReplicationId
  /** The first byte that `replid2` does not share; -1 without one. */
  readonly secondOffset: number
  /** Bytes of the history so far. */
  readonly offset: number
  /** The database in which the next command runs. */
  readonly db: number
}

/** Where the stream is kept for good: the append-only file. It hears of a turn before any reader does. */
export interface StreamKeeper {
  /** With the bytes before this offset, the data set is on the disk for good; -1: it is not. */
  readonly fsynced: number
  /** Bytes of a turn, in order; borrowed for the duration of the call. */
  append(parts: readonly Buffer[]): void
  /** The history goes on under other ids. */
  renamed(): void
  /** The data set was replaced, and with it the history. */
  replaced(): void
  /** Whether the bytes from an offset on are kept. */
  has(from: number): boolean
  /** The bytes from one offset to another. */
  read(from: number, to: number): AsyncIterable<Buffer>
}

const NO_DB = -1
const NOTHING = Buffer.alloc(0)
const MIN_BACKLOG = 16 * 1024

export class ReplicationStream {
  #replid: ReplicationId
  #replid2: ReplicationId = NO_ID
  #secondOffset = -1
  #offset = 0
  /** The database the stream's last SELECT named. */
  #db = NO_DB
  /** The bytes come from our primary; our own effects are not part of the history. */
  #following = false
  #backlog: Backlog | undefined
  #backlogSize: number
  /** The last bytes that were added, held[#heldFrom, #heldTo), are still where they came from: requests that stand one behind the
   *  other in a read buffer are copied together. At 100 requests a read this halves the cost of the stream. */
  #held: Uint8Array = NOTHING
  #heldFrom = 0
  #heldTo = 0
  /** How far the readers have been served. */
  #flushed = 0
  readonly #readers = new Set<StreamReader>()
  /** With one the stream is never idle, and its history never ends for want of readers. */
  keeper: StreamKeeper | undefined
  /** The history a restart has found, as long as nothing was added to it. */
  #found: History | undefined

  /** A history of which nobody has heard yet. `backlogSize`: repl-backlog-size. */
  constructor(replid: ReplicationId, backlogSize: number) {
    this.#replid = replid
    this.#backlogSize = backlogSize
  }

  get replid(): ReplicationId {
    return this.#replid
  }

  /** The history we followed before our promotion, or NO_ID. */
  get replid2(): ReplicationId {
    return this.#replid2
  }

  /** The first byte that `replid2` does not share with our history; -1 without one. */
  get secondOffset(): number {
    return this.#secondOffset
  }

  /** Bytes of the history so far (master_repl_offset), those of the turn that were not flushed yet included. */
  get offset(): Offset {
    // Checked where it comes from elsewhere; here it only grows, by what this process has written.
    return this.#offset as Offset
  }

  /** The database in which the stream's next command runs unless a SELECT comes first. */
  get db(): number {
    return Math.max(0, this.#db)
  }

  /** All of it, for whoever goes on with it. */
  get history(): History {
    const { replid, replid2, secondOffset, offset, db } = this
    return { replid, replid2, secondOffset, offset, db }
  }

  get isFollowing(): boolean {
    return this.#following
  }

  get hasBacklog(): boolean {
    return this.#backlog !== undefined
  }

  /** Number of the first byte that can still be read; 0 without a backlog. */
  get firstByteOffset(): number {
    return this.#backlog === undefined ? 0 : this.#backlog.start + 1
  }

  get backlogLength(): number {
    return this.#backlog === undefined ? 0 : this.#offset - this.#backlog.start
  }

  get backlogSize(): number {
    return this.#backlogSize
  }

  /** Changes repl-backlog-size; no less than 16 KiB is kept. A smaller one takes effect at the next flush. */
  resize(backlogSize: number): void {
    this.#backlogSize = backlogSize
    if (this.#backlog !== undefined) this.#backlog.size = Math.max(MIN_BACKLOG, backlogSize)
  }

  // --- writing ---------------------------------------------------------------------------------------------------------

  /** Effects of ours would go nowhere: they need not even be encoded. As in Redis 7.0 the offset then stands still. */
  get idle(): boolean {
    return this.#backlog === undefined || this.#following
  }

  /** Adds one command, bytes[start, end) as RESP, to be run in database `db`. They are borrowed until `settle`. */
  append(db: number, bytes: Uint8Array, start = 0, end = bytes.length): void {
    if (this.idle) return
    if (db !== this.#db) {
      this.#db = db
      const select = encodeRequest(['SELECT', String(db)])
      this.#write(select, 0, select.length)
    }
    this.#write(bytes, start, end)
  }

  /** Adds one command, to be run in database `db`. */
  appendCommand(db: number, parts: readonly (Buffer | string)[]): void {
    if (!this.idle) this.append(db, encodeRequest(parts))
  }

  /** Adds a command that has nothing to do with any database: PING, REPLCONF GETACK. */
  appendControl(parts: readonly (Buffer | string)[]): void {
    if (this.idle) return
    const bytes = encodeRequest(parts)
    this.#write(bytes, 0, bytes.length)
  }

  /** The next command is preceded by SELECT: somebody who begins to read here does not know the database. */
  reselect(): void {
    this.#db = NO_DB
  }

  /** Adds bytes exactly as they came from our primary, after what they say was done. `db`: the database they end in. */
  relay(bytes: Uint8Array, start: number, end: number, db: number): void {
    assert(this.#following, 'bytes relayed without a primary')
    this.#db = db
    this.#write(bytes, start, end)
  }

  /** Copies what was borrowed: the buffer it stands in is about to change. */
  settle(): void {
    if (this.#heldTo === this.#heldFrom) return
    this.#backlog?.append(this.#held, this.#heldFrom, this.#heldTo)
    this.#held = NOTHING
    this.#heldFrom = this.#heldTo = 0
  }

  /** The end of an event-loop turn: hands what the turn has added to every reader, in shared buffers. */
  flush(): void {
    this.settle()
    const backlog = this.#backlog
    if (backlog === undefined || backlog.end === this.#flushed) return
    const parts = this.#readers.size > 0 ? backlog.read(this.#flushed) : backlog.borrow(this.#flushed)
    this.#flushed = backlog.end
    this.keeper?.append(parts)
    for (const part of parts) for (const reader of this.#readers) reader(part)
    backlog.trim()
  }

  /** Calls `reader` with the bytes of every turn from now on, until the returned function is called. */
  subscribe(reader: StreamReader): () => void {
    this.#readers.add(reader)
    return () => void this.#readers.delete(reader)
  }

  #write(bytes: Uint8Array, start: number, end: number): void {
    this.#offset += end - start
    if (bytes === this.#held && start === this.#heldTo) {
      this.#heldTo = end
      return
    }
    this.settle()
    this.#held = bytes
    this.#heldFrom = start
    this.#heldTo = end
  }

  // --- reading ---------------------------------------------------------------------------------------------------------

  /** Whether someone who knows our history as `replid` and wants its byte number `next` can be served from the backlog. */
  canResume(replid: ReplicationId, next: number): boolean {
    const shared = replid === this.#replid || (replid === this.#replid2 && next <= this.#secondOffset)
    if (!shared || this.#backlog === undefined || next > this.#offset + 1) return false
    return next >= this.firstByteOffset || (this.keeper?.has(next - 1) ?? false)
  }

  /** Whether the bytes from number `next` on are in memory. */
  isRemembered(next: number): boolean {
    return this.#backlog !== undefined && next >= this.firstByteOffset
  }

  /** The bytes from number `next` on, for someone who can resume, if they are in memory. */
  readFrom(next: number): Buffer[] {
    this.settle()
    assert(this.#backlog !== undefined, 'read without a backlog')
    return this.#backlog.read(next - 1)
  }

  // --- histories -------------------------------------------------------------------------------------------------------

  /** The first replica attaches: from here on the bytes are kept. What was written before them nobody can know, so the history
   *  gets a new id. */
  open(fresh: ReplicationId): void {
    if (this.#backlog !== undefined) return
    this.#rename(fresh)
    this.#keep()
  }

  /** The history that a restart has found. Others may have more of it than survived here, so what we add is a history of our own,
   *  which forks from it; `follow` goes back to the old one if nothing was added. */
  restore(found: History, fresh: ReplicationId): void {
    assert(this.#backlog === undefined, 'a history restored over another')
    this.#found = found
    this.#replid = found.replid
    this.#offset = found.offset
    this.#shift(fresh)
    this.#keep()
  }

  /** Nobody has read for long (repl-backlog-ttl): stops keeping bytes. The offset will stand still while data changes, so the history
   *  ends. */
  close(fresh: ReplicationId): void {
    this.flush()
    this.#rename(fresh)
    this.#backlog = undefined
  }

  /** A primary becomes a replica. Its id and offset stay: they are where it tries to resume. */
  follow(): void {
    this.flush()
    this.#following = true
    const found = this.#found
    this.#found = undefined
    if (found === undefined || found.offset !== this.#offset) return
    this.#replid = found.replid
    this.#replid2 = found.replid2
    this.#secondOffset = found.secondOffset
    this.#db = found.db
    this.keeper?.renamed()
  }

  /** A full synchronisation is done: we are now at `offset` of the history `replid`, and our own past is void. */
  adopt(replid: ReplicationId, offset: number, db: number): void {
    assert(this.#following, 'a history adopted without a primary')
    this.#rename(replid)
    this.#offset = offset
    this.#db = db
    this.#keep()
    this.keeper?.replaced()
  }

  /** Our primary let us resume, perhaps under a new id because it was promoted meanwhile. True when the id changed: our replicas must
   *  learn it. */
  resume(replid: ReplicationId): boolean {
    assert(this.#following, 'a history resumed without a primary')
    if (this.#backlog === undefined) this.#keep()
    if (replid === this.#replid) return false
    this.flush()
    this.#shift(replid)
    this.keeper?.renamed()
    return true
  }

  /** A replica becomes a primary: the bytes it adds are a history of its own, which forks from the old one here. */
  becomePrimary(fresh: ReplicationId): void {
    this.flush()
    this.#following = false
    this.#shift(fresh)
    this.reselect()
    this.keeper?.renamed()
  }

  /** A new id whose history shares nothing with another. */
  /** DEBUG CHANGE-REPL-ID: the history gets another id, and nobody can go on with the old one. */
  disown(fresh: ReplicationId): void {
    this.flush()
    this.#rename(fresh)
    this.keeper?.renamed()
  }

  #rename(replid: ReplicationId): void {
    this.#replid = replid
    this.#replid2 = NO_ID
    this.#secondOffset = -1
  }

  /** A new id; up to here the old one means the same bytes. */
  #shift(replid: ReplicationId): void {
    this.#replid2 = this.#replid
    this.#secondOffset = this.#offset + 1
    this.#replid = replid
  }

  #keep(): void {
    this.#held = NOTHING
    this.#heldFrom = this.#heldTo = 0
    this.#backlog = new Backlog(Math.max(MIN_BACKLOG, this.#backlogSize), this.#offset)
    this.#flushed = this.#offset
  }
}
