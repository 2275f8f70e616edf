/** The sockets of MIGRATE: outgoing connections on which every step has a time limit, kept open for a while between uses. */
import net from 'node:net'
import tls from 'node:tls'
import type { Millis } from '../base/brand.ts'
import { steadyClock } from '../base/clock.ts'
import { defaultPath } from '../base/raw-socket.ts'
import { NOTHING, plainPath, type SocketPath, type Wire } from '../base/socket-wire.ts'
import { Reply } from '../resp/reply.ts'

/** How a connection let us down. */
export class LinkFailure extends Error {
  /** While the connection was being made: the name is unknown, or nobody answered in time. */
  readonly connecting: boolean
  readonly timedOut: boolean
  constructor(message: string, kind: { connecting?: boolean; timedOut?: boolean; cause?: unknown }) {
    super(message, { cause: kind.cause })
    this.connecting = kind.connecting ?? false
    this.timedOut = kind.timedOut ?? false
  }
}

interface Step {
  readonly timeoutMs: number
  readonly connecting: boolean
  readonly done: (error?: LinkFailure) => void
}

/** Replies to MIGRATE are short; an error quotes little. */
const MAX_LINE = 64 * 1024
/** So much is given to the kernel at a time. */
const PIECE = 64 * 1024
const CR = 0x0d
const LF = 0x0a

export class TargetLink {
  readonly #socket: net.Socket
  /** From when the connection stands. */
  #wire!: Wire
  /** What is being waited for: at most one thing at a time. */
  #step: Step | undefined
  /** When the time of the last step is over. */
  #deadline = 0
  /** Goes off then, or before: a timer for each step would cost more than the step. */
  #timer: NodeJS.Timeout | undefined
  #timerAt = 0
  /** Replies not yet read: #received[#at...]. */
  #received: Buffer = NOTHING
  #at = 0
  #failure: LinkFailure | undefined
  /** The database the target has selected for us; -1 when that is not certain. */
  selected = -1
  /** Not a server older than Redis 7.4, as far as we know. */
  knowsFieldDeadlines = true
  /** What is to be sent: it leaves with `flush`. */
  readonly request = new Reply()
  /** How many elements of the last array have not come yet. */
  #elements = 0

  /** Over a socket that has just begun to connect. */
  constructor(socket: net.Socket) {
    this.#socket = socket
    // It is for clients, whose connections keep the process alive.
    socket.unref()
    socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(failureOf(error)))
    socket.on('close', () => this.#fail(new LinkFailure('connection closed', {})))
  }

  /** The connection stands and is between a reply and the next request. */
  get usable(): boolean {
    return this.#failure === undefined && this.#at === this.#received.length
  }

  /** Resolves when the connection stands. Rejects with a LinkFailure, as the steps below do. */
  ready(event: 'connect' | 'secureConnect', path: SocketPath, timeoutMs: number): Promise<void> {
    const socket = this.#socket
    socket.once(event, () => {
      this.#wire = path.wireOf(socket)
      path.listen(socket, (chunk) => {
        const rest = this.#received.subarray(this.#at)
        this.#received = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
        this.#at = 0
        this.#settle()
      })
    })
    return this.#wait(timeoutMs, true, (done) => void socket.once(event, done))
  }

  /** Sends the request, in pieces of which each has the time. Resolves when the kernel has taken the last. */
  async flush(timeoutMs: number): Promise<void> {
    const pieces: Buffer[] = []
    let taken: boolean | undefined
    this.request.take((bytes) => {
      if (taken === undefined && bytes.length <= PIECE) {
        taken = this.#write(bytes)
        return taken
      }
      for (let at = 0; at < bytes.length; at += PIECE) pieces.push(bytes.subarray(at, at + PIECE))
      return false
    })
    if (taken === false) await this.#drained(timeoutMs)
    for (const piece of pieces) if (!this.#write(piece)) await this.#drained(timeoutMs)
  }

  /** Whether the kernel has taken the bytes at once. */
  #write(bytes: Buffer): boolean {
    return this.#failure === undefined && this.#wire.write(bytes)
  }

  #drained(timeoutMs: number): Promise<void> {
    // Who learns here that the connection is gone is told the reason by its end.
    return this.#wait(timeoutMs, false, (done) => this.#wire.whenWritten(() => this.#socket.destroyed || done()))
  }

  /** Adds the first line of each reply, without its end, until there are so many; those that came before a failure are there, too.
   *  Replies are simple, or arrays of what is simple. */
  async replies(lines: string[], count: number, timeoutMs: number): Promise<void> {
    while (lines.length < count || this.#elements > 0) {
      const received = this.#received
      const end = received.indexOf(LF, this.#at)
      if (end >= 0) {
        if (this.#elements > 0) this.#elements--
        else {
          const line = received.latin1Slice(this.#at, received[end - 1] === CR ? end - 1 : end)
          lines.push(line)
          if (line.startsWith('*')) this.#elements = Number(line.slice(1))
        }
        this.#at = end + 1
        continue
      }
      if (received.length - this.#at > MAX_LINE) this.#fail(new LinkFailure('that is no reply', {}))
      await this.#wait(timeoutMs, false, () => {})
    }
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#socket.destroy()
  }

  #wait(timeoutMs: number, connecting: boolean, begin: (done: () => void) => void): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      const done = (error?: LinkFailure): void => (error === undefined ? resolve() : reject(error))
      this.#step = { timeoutMs, connecting, done }
      this.#deadline = steadyClock() + timeoutMs
      if (this.#timer === undefined || this.#timerAt > this.#deadline) this.#setTimer(timeoutMs)
      begin(() => this.#settle())
    })
  }

  #setTimer(ms: number): void {
    clearTimeout(this.#timer)
    this.#timerAt = this.#deadline
    this.#timer = setTimeout(() => this.#look(), ms).unref()
  }

  /** The timer has gone off. Often the step it was for is long over, and another has more time. */
  #look(): void {
    this.#timer = undefined
    const step = this.#step
    if (step === undefined) return
    const left = this.#deadline - steadyClock()
    if (left > 0) return this.#setTimer(left)
    const { timeoutMs, connecting } = step
    this.#fail(new LinkFailure(`nothing for ${timeoutMs} ms`, { connecting, timedOut: true }))
  }

  #settle(error?: LinkFailure): void {
    const step = this.#step
    this.#step = undefined
    step?.done(error)
  }

  /** The first failure is the one that counts; the connection is of no use after it. */
  #fail(failure: LinkFailure): void {
    if (this.#failure !== undefined) return
    this.#failure = failure
    this.close()
    this.#settle(failure)
  }
}

/** A refused connection is found out by a real server only when it writes; a name that has no address, before that. */
const failureOf = (error: NodeJS.ErrnoException): LinkFailure =>
  new LinkFailure(error.message, { connecting: error.syscall === 'getaddrinfo', timedOut: error.code === 'ETIMEDOUT' })

/** Lets `ms` pass. */
export const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref())

/** How long a connection is kept when nobody uses it, and how many are. */
const IDLE_MS = 10_000
const MOST = 64

interface Idle {
  readonly address: string
  readonly link: TargetLink
  readonly since: Millis
}

/** Connections between uses, by address. One that is in use is nobody else's. */
export class LinkPool {
  readonly #idleMs: number
  readonly #most: number
  readonly #sockets = defaultPath()
  /** In the order in which they came. */
  readonly #idle = new Set<Idle>()
  /** Goes off when the oldest of them may be due. */
  #timer: NodeJS.Timeout | undefined
  /** Options of TLS connections (tls-cluster); undefined: plain ones. */
  secure: () => tls.ConnectionOptions | undefined = () => undefined

  constructor({ idleMs = IDLE_MS, most = MOST } = {}) {
    this.#idleMs = idleMs
    this.#most = most
  }

  /** How many connections wait to be used again. */
  get size(): number {
    return this.#idle.size
  }

  /** A connection to that address: an idle one, unless it has to be `fresh`, or a new one. Rejects with a LinkFailure. */
  async take(host: string, port: number, timeoutMs: number, fresh: boolean): Promise<TargetLink> {
    const address = `${host}:${port}`
    for (const idle of this.#idle) {
      if (idle.address !== address) continue
      this.#idle.delete(idle)
      if (!fresh && idle.link.usable) return idle.link
      idle.link.close()
    }
    if (!(port >= 0 && port < 65536)) throw new LinkFailure('no such port', { connecting: true })
    const options = this.#secureOptions()
    if (options === undefined) {
      const link = new TargetLink(net.connect({ host, port, noDelay: true }))
      await link.ready('connect', this.#sockets, timeoutMs)
      return link
    }
    const link = new TargetLink(tls.connect({ ...options, host, port }).setNoDelay(true))
    await link.ready('secureConnect', plainPath, timeoutMs)
    return link
  }

  /** Gives a connection back, to be closed when nobody takes it for a while. */
  give(host: string, port: number, link: TargetLink): void {
    if (!link.usable) return link.close()
    for (const oldest of this.#idle) {
      if (this.#idle.size < this.#most) break
      this.#close(oldest)
    }
    this.#idle.add({ address: `${host}:${port}`, link, since: steadyClock() })
    this.#timer ??= setTimeout(() => this.#closeDue(), this.#idleMs).unref()
  }

  /** Closes what is idle. */
  close(): void {
    for (const idle of this.#idle) this.#close(idle)
  }

  /** Closes what has been idle for long enough. */
  #closeDue(): void {
    this.#timer = undefined
    for (const idle of this.#idle) {
      const left = idle.since + this.#idleMs - steadyClock()
      if (left > 0) {
        this.#timer = setTimeout(() => this.#closeDue(), left).unref()
        return
      }
      this.#close(idle)
    }
  }

  #secureOptions(): tls.ConnectionOptions | undefined {
    try {
      return this.secure()
    } catch (cause) {
      throw new LinkFailure('the TLS directives do not make a connection', { connecting: true, cause })
    }
  }

  #close(idle: Idle): void {
    this.#idle.delete(idle)
    idle.link.close()
  }
}
