/** The replica's side: dials the primary, introduces itself, loads a snapshot or resumes, then follows the stream; when anything goes
 *  wrong it begins again. A state machine over a connection it is given: sockets are in dial.ts, time comes from outside. */
import { RdbError } from '../../store/rdb/source.ts'
import type { Millis } from '../base/brand.ts'
import type { Log } from '../base/log.ts'
import { type Argv, encodeRequest } from '../resp/argv.ts'
import { ProtocolError } from '../resp/parser.ts'
import { Applier } from './applier.ts'
import { Handshake, type HandshakeResult } from './handshake.ts'
import type { SettingsHolder } from './settings.ts'
import type { ReplicationStream } from './stream.ts'
import { type Loading, Transfer } from './transfer.ts'

/** A connection to the primary. After `close` it reports nothing any more. */
export interface Link {
  write(bytes: Buffer): void
  close(): void
}

export interface LinkEvents {
  opened(): void
  /** The chunk is the receiver's to keep. */
  received(chunk: Buffer): void
  closed(why: string): void
}

/** Opens a connection; the events come later, never during the call. */
export type Dial = (host: string, port: number, events: LinkEvents) => Link

export interface ReplicaParts {
  readonly stream: ReplicationStream
  readonly config: SettingsHolder
  readonly log: Log
  readonly dial: Dial
  readonly now: () => Millis
  /** Begins a data set beside the present one. */
  readonly load: () => Loading
  /** Whether the data has to stay as it is for now: what the primary sends meanwhile is taken afterwards. */
  readonly mustWait: () => boolean
  /** Carries out a command of the primary. */
  readonly apply: (argv: Argv, db: number) => void
  /** The primary's data are ours now, and we follow its stream. */
  readonly synchronised: () => void
  /** The history has another id now: our own replicas must ask for it. */
  readonly historyChanged: () => void
  /** FAILOVER: the primary is to be asked to become one, and this is what it answered. */
  readonly handover: { readonly isAsking: boolean; answered(accepted: boolean): void }
  /** That many bytes have come, and are carried out as far as they go. */
  readonly progressed: (bytes: number) => void
}

/** Between attempts, connecting, introducing itself, receiving a snapshot, following. As ROLE calls them. */
export type LinkState = 'connect' | 'connecting' | 'handshake' | 'sync' | 'connected'

const RETRY_MS = 1000
const NEWLINE_MS = 1000
const NEWLINE = Buffer.from('\n')
const LF = 0x0a
/** No reply of a handshake is longer. */
const MAX_LINE = 64 * 1024

export class ReplicaSide {
  readonly host: string
  readonly port: number
  readonly #parts: ReplicaParts
  #state: LinkState = 'connect'
  #link: Link | undefined
  #handshake: Handshake | undefined
  /** What a finished transfer will make of our stream. */
  #target = { replid: '', offset: 0 }
  #transfer: Transfer | undefined
  #applier: Applier | undefined
  /** What came while the data had to stay as it is. */
  #waiting: Buffer[] = []
  /** An unfinished line of the handshake. */
  #line: Buffer = Buffer.alloc(0)
  /** The primary sent what we do not understand: what we have may not be what it thinks. */
  #resumeForbidden = false
  #dialedAt = Number.NEGATIVE_INFINITY
  #lastIoAt: Millis
  #downSince: Millis
  #newlineAt = 0
  /** The primary has asked what we have when our disk did not have this much of it: it hears of that too. */
  #fsyncAwaited = Number.POSITIVE_INFINITY

  /** Does nothing before the first `everySecond`. `downSince`: when we last had a link to a primary of these data; 0 = never. */
  constructor(parts: ReplicaParts, target: { readonly host: string; readonly port: number }, downSince: Millis) {
    this.#parts = parts
    this.host = target.host
    this.port = target.port
    this.#lastIoAt = parts.now()
    this.#downSince = downSince
  }

  get state(): LinkState {
    return this.#state
  }

  get isUp(): boolean {
    return this.#state === 'connected'
  }

  /** When the primary last sent anything. */
  get lastIoAt(): Millis {
    return this.#lastIoAt
  }

  /** Since when the link is down; 0 = we have never had one. Meaningless while it is up. */
  get downSince(): Millis {
    return this.#downSince
  }

  /** Stream bytes that have arrived, those of an unfinished transaction included. */
  get readOffset(): number {
    return this.#applier?.received ?? this.#parts.stream.offset
  }

  /** The snapshot being received. */
  get transfer(): Transfer | undefined {
    return this.#transfer
  }

  /** Once a second: dials when there is no connection, acknowledges, gives up on a silent primary. */
  everySecond(): void {
    const now = this.#parts.now()
    const { replTimeout } = this.#parts.config.values
    if (this.#state === 'connect') this.#dial(now)
    else if (now - this.#lastIoAt > replTimeout * 1000) this.#lost('timeout: nothing received')
    else if (this.isUp) this.#acknowledge()
  }

  /** The end of a turn: takes what had to wait, and tells a primary that has asked what is on our disk by now. */
  endTurn(): void {
    if (this.#waiting.length > 0 && !this.#parts.mustWait()) this.#receive(Buffer.concat(this.#waiting.splice(0)))
    if ((this.#parts.stream.keeper?.fsynced ?? -1) >= this.#fsyncAwaited && this.isUp) this.#acknowledge()
  }

  /** Closes the link for good. */
  stop(): void {
    this.#disconnect()
  }

  // --- the connection --------------------------------------------------------------------------------------------------

  #dial(now: Millis): void {
    const { log, dial } = this.#parts
    log.notice(`Connecting to MASTER ${this.host}:${this.port}`)
    this.#state = 'connecting'
    this.#dialedAt = now
    this.#lastIoAt = now
    const link = dial(this.host, this.port, {
      opened: () => this.#link === link && this.#opened(),
      received: (chunk) => this.#link === link && this.#received(chunk),
      closed: (why) => this.#link === link && this.#lost(why),
    })
    this.#link = link
  }

  #opened(): void {
    const { log, config, stream } = this.#parts
    log.notice('MASTER <-> REPLICA sync started')
    this.#state = 'handshake'
    this.#lastIoAt = this.#parts.now()
    const resumeAt = this.#resumeForbidden ? undefined : { replid: stream.replid, next: stream.offset + 1 }
    if (resumeAt !== undefined)
      log.notice(`Trying a partial resynchronization (request ${resumeAt.replid}:${resumeAt.next}).`)
    this.#handshake = new Handshake({
      settings: config.values,
      resumeAt,
      asksToLead: this.#parts.handover.isAsking,
      log,
      send: (bytes) => this.#link?.write(bytes),
    })
  }

  #received(chunk: Buffer): void {
    this.#lastIoAt = this.#parts.now()
    if (this.#parts.mustWait()) this.#waiting.push(chunk)
    else this.#receive(chunk)
  }

  #receive(chunk: Buffer): void {
    const link = this.#link
    try {
      let rest: Buffer | undefined = chunk
      while (rest !== undefined && rest.length > 0 && this.#link === link) rest = this.#take(rest)
    } catch (error) {
      if (error instanceof ProtocolError) this.#resumeForbidden = true
      else if (!(error instanceof RdbError)) throw error
      this.#lost(error.message)
    }
    this.#parts.progressed(chunk.length)
  }

  /** Gives bytes to whoever reads now; what it leaves is for who reads next. */
  #take(bytes: Buffer): Buffer | undefined {
    if (this.#applier !== undefined) {
      this.#applier.take(bytes)
      return undefined
    }
    if (this.#transfer !== undefined) return this.#load(this.#transfer, bytes)
    return this.#reply(bytes)
  }

  /** The connection is gone or of no use. The next attempt comes at once, unless the last one was just now. */
  #lost(why: string): void {
    const now = this.#parts.now()
    this.#parts.log.warning(`Connection with master ${this.host}:${this.port} lost: ${why}`)
    this.#disconnect()
    if (now - this.#dialedAt >= RETRY_MS) this.#dial(now)
  }

  #disconnect(): void {
    if (this.isUp) this.#downSince = this.#parts.now()
    const link = this.#link
    this.#link = undefined
    this.#handshake = undefined
    this.#transfer = undefined
    this.#applier = undefined
    this.#waiting = []
    this.#line = Buffer.alloc(0)
    this.#state = 'connect'
    link?.close()
  }

  // --- handshake -------------------------------------------------------------------------------------------------------

  /** Takes one line; bare newlines only say that the primary is alive. */
  #reply(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf(LF)
    const line = Buffer.concat([this.#line, end < 0 ? bytes : bytes.subarray(0, end)])
    if (line.length > MAX_LINE) throw new ProtocolError('no end to a reply in the handshake')
    this.#line = end < 0 ? line : Buffer.alloc(0)
    if (end < 0) return undefined
    const text = line.toString('latin1').trimEnd()
    const result = text === '' ? undefined : this.#handshake?.line(text)
    if (result !== undefined) this.#settled(result)
    return bytes.subarray(end + 1)
  }

  #settled(result: HandshakeResult): void {
    const { log, stream, config, load, historyChanged, handover } = this.#parts
    this.#handshake = undefined
    if (result.type === 'refused') {
      this.#lost(result.why)
      if (result.at === 'psync') handover.answered(false)
      return
    }
    handover.answered(true)
    if (result.type === 'full') {
      log.notice(`Full resync from master: ${result.replid}:${result.offset}`)
      this.#state = 'sync'
      this.#target = result
      this.#transfer = new Transfer(load(), config.values)
      return
    }
    log.notice('Successful partial resynchronization with master.')
    if (stream.resume(result.replid ?? stream.replid)) {
      log.notice(`Master replication ID changed to ${stream.replid}`)
      historyChanged()
    }
    this.#follow(stream.db)
  }

  // --- snapshot --------------------------------------------------------------------------------------------------------

  #load(transfer: Transfer, bytes: Buffer): Buffer | undefined {
    const rest = transfer.take(bytes)
    if (rest === undefined) {
      this.#stayAlive()
      return undefined
    }
    const { log, stream, historyChanged } = this.#parts
    transfer.commit()
    this.#transfer = undefined
    this.#resumeForbidden = false
    stream.adopt(this.#target.replid, this.#target.offset, transfer.db)
    log.notice(`MASTER <-> REPLICA sync: Finished with success, keys loaded: ${transfer.keys}`)
    historyChanged()
    this.#follow(transfer.db)
    return rest
  }

  /** A primary waits for our ACK while we load; a newline tells it that we still do. */
  #stayAlive(): void {
    const now = this.#parts.now()
    if (now - this.#newlineAt < NEWLINE_MS) return
    this.#newlineAt = now
    this.#link?.write(NEWLINE)
  }

  // --- stream ----------------------------------------------------------------------------------------------------------

  #follow(db: number): void {
    const { stream, apply, synchronised } = this.#parts
    this.#state = 'connected'
    synchronised()
    this.#applier = new Applier({ stream, apply, acknowledge: () => this.#answer() }, db)
    this.#acknowledge()
  }

  /** To REPLCONF GETACK. */
  #answer(): void {
    this.#acknowledge()
    const { offset, keeper } = this.#parts.stream
    if (keeper !== undefined && keeper.fsynced < offset) this.#fsyncAwaited = offset
  }

  #acknowledge(): void {
    this.#fsyncAwaited = Number.POSITIVE_INFINITY
    const { offset, keeper } = this.#parts.stream
    // Redis 7.0 reads no further than the offset.
    const fsynced = keeper === undefined ? [] : ['FACK', String(Math.max(0, keeper.fsynced))]
    this.#link?.write(encodeRequest(['REPLCONF', 'ACK', String(offset), ...fsynced]))
  }
}
