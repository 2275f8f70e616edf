/** The links of the bus as TCP or TLS connections: listens, dials, cuts what arrives into messages. It decides nothing;
 *  whom to dial and what to say is the core's. The folder's only socket file. */
import { once } from 'node:events'
import { connect as connectTcp, createServer, isIPv6, type Server, Socket } from 'node:net'
import {
  connect as connectTls,
  createSecureContext,
  createServer as createTlsServer,
  type SecureContext,
  type SecureContextOptions,
  type Server as TlsServer,
} from 'node:tls'
import { assert } from '../lib/base/assert.ts'
import type { Millis } from '../lib/base/brand.ts'
import { wallClock } from '../lib/base/clock.ts'
import type { Log } from '../lib/base/log.ts'
import { decode, isRefusal, messageName, type Refusal } from './codec.ts'
import { FrameSplitter } from './frame.ts'
import type { BodyType, Message } from './message.ts'
import type { LinkId } from './state.ts'

/** What a transport tells. Nothing is told from within a call to the transport, and nothing after `close`. */
export interface TransportEvents {
  /** Somebody dialled us; addresses are IP literals, IPv4 never in its IPv6-mapped form. */
  accepted(link: LinkId, remoteIp: string, localIp: string): void
  /** A dial succeeded. */
  up(link: LinkId): void
  /** A link of either direction is gone, or a dial failed: once for each link, never for one the core dropped. */
  down(link: LinkId, why: string): void
  message(link: LinkId, message: Message): void
  /** A frame was no message (already logged); with `dropped`, `down` follows. Not told of other protocol versions. */
  refused(link: LinkId, reason: string, dropped: boolean): void
  /** A whole frame arrived, whatever its worth: for the counters of CLUSTER INFO. */
  received(link: LinkId, name: BodyType | 'unknown'): void
}

/** One row of CLUSTER LINKS. */
export interface LinkInfo {
  readonly createdAt: Millis
  /** Redis's event letters: r when we read from it, w when bytes wait to be written. */
  readonly events: '' | 'r' | 'w' | 'rw'
  readonly bufferedBytes: number
}

/** Links between nodes, by the ids the core gave them or took from `allocateLinkId`. Unknown ids are ignored: a link may
 *  fail while the core still speaks of it. */
export interface Transport {
  /** Opens the bus port on every host; gives the port, which matters when 0 was asked for. Rejects, naming the port,
   *  when it cannot be had; then none is open. */
  listen(): Promise<number>
  connect(link: LinkId, ip: string, port: number): void
  /** Sends one frame to each link that exists, also to one still being dialled: it goes out when the dial succeeds. */
  send(links: readonly LinkId[], frame: Buffer): void
  /** What is sent from now on waits for `release`, and then leaves in one write for each link: those in whose name it is sent, clients,
   *  are answered first, as by a real server, and do not wait for what other nodes are told. */
  hold(): void
  release(): void
  /** Closes a link without telling the core, who knows. What waits to be sent is lost. */
  drop(link: LinkId): void
  /** Bytes waiting to be sent. */
  buffered(link: LinkId): number
  info(link: LinkId): LinkInfo | undefined
  /** Links to come speak TLS with this certificate, or plain TCP without one; those there are stay as they are. Throws, and changes
   *  nothing, for certificates that cannot be used. */
  secure(tls: SecureContextOptions | undefined): void
  /** Closes the port and every link at once. */
  close(): Promise<void>
}

export interface TransportOptions {
  /** Hosts in the syntax of the `bind` directive: `*`, `::*`, and a `-` before addresses that may be missing. */
  readonly listen: { readonly host: readonly string[]; readonly port: number }
  /** Both directions speak TLS and show this certificate; the peer's must be signed by `ca`. Names in certificates are
   *  not compared: nodes know each other by address, as in Redis. */
  readonly tls?: SecureContextOptions
  /** Source address of dialled links (`bind-source-addr`); used for targets of its own family. */
  readonly bindSource?: string
  readonly keepAliveMs: number
  readonly on: TransportEvents
  allocateLinkId(): LinkId
  readonly log: Log
}

/** A transport over TCP, or TLS when `options.tls` is given. Throws for certificates that cannot be read. */
export function createTransport(options: TransportOptions): Transport {
  return new TcpTransport(options)
}

interface Wire {
  readonly id: LinkId
  readonly socket: Socket
  readonly frames: FrameSplitter
  readonly createdAt: Millis
  up: boolean
  /** Why it will go down, once it is known. */
  why: string
}

/** What TLS takes in each direction. */
interface Tls {
  readonly context: SecureContext
  /** Listens nowhere: it is handed what the ports accept. */
  readonly server: TlsServer
}

class TcpTransport implements Transport {
  private readonly options: TransportOptions
  private tls: Tls | undefined
  private readonly wires = new Map<LinkId, Wire>()
  private readonly servers: Server[] = []
  /** Raw accepted sockets, among them those whose TLS handshake is not over: no links yet, but to be closed with us. */
  private readonly accepted = new Set<Socket>()
  /** Sockets with frames that wait; undefined when none has to. */
  private held: Set<Socket> | undefined
  private closed = false

  constructor(options: TransportOptions) {
    this.options = options
    this.secure(options.tls)
  }

  async listen(): Promise<number> {
    let { port } = this.options.listen
    try {
      for (const host of this.options.listen.host) port = (await this.open(host, port)) ?? port
      if (this.servers.length === 0) throw new Error(NO_ADDRESS)
    } catch (error) {
      await this.closeServers()
      const why = error instanceof Error ? error.message : String(error)
      throw new Error(`Failed listening on port ${port} (cluster): ${why}`, { cause: error })
    }
    return port
  }

  connect(link: LinkId, ip: string, port: number): void {
    if (this.closed) return
    const wire = this.attach(link, this.dial(ip, port))
    wire.socket.once(this.tls ? 'secureConnect' : 'connect', () => {
      this.rise(wire)
      this.options.on.up(link)
    })
  }

  send(links: readonly LinkId[], frame: Buffer): void {
    for (const link of links) {
      const socket = this.wires.get(link)?.socket
      if (!socket || socket.destroyed) continue
      if (this.held && !this.held.has(socket)) {
        this.held.add(socket)
        socket.cork()
      }
      socket.write(frame)
    }
  }

  hold(): void {
    this.held ??= new Set()
  }

  release(): void {
    const held = this.held
    this.held = undefined
    if (held) for (const socket of held) socket.uncork()
  }

  drop(link: LinkId): void {
    const wire = this.wires.get(link)
    this.wires.delete(link)
    wire?.socket.destroy()
  }

  buffered(link: LinkId): number {
    return this.wires.get(link)?.socket.writableLength ?? 0
  }

  info(link: LinkId): LinkInfo | undefined {
    const wire = this.wires.get(link)
    if (!wire) return undefined
    const bufferedBytes = wire.socket.writableLength
    const waiting = bufferedBytes > 0
    const events = wire.up ? (waiting ? 'rw' : 'r') : waiting ? 'w' : ''
    return { createdAt: wire.createdAt, events, bufferedBytes }
  }

  secure(tls: SecureContextOptions | undefined): void {
    if (!tls) {
      this.tls = undefined
      return
    }
    const server = createTlsServer({ ...tls, ...MUTUAL })
    server.on('tlsClientError', (error) => this.notAccepted(error))
    server.on('secureConnection', (socket) => this.accept(socket))
    this.tls = { context: createSecureContext(tls), server }
  }

  async close(): Promise<void> {
    this.closed = true
    for (const link of [...this.wires.keys()]) this.drop(link)
    for (const socket of this.accepted) socket.destroy()
    await this.closeServers()
  }

  /** Opens one address; undefined when it is missing and may be. */
  private async open(directive: string, port: number): Promise<number | undefined> {
    const { host, optional } = bindAddress(directive)
    const server = createServer()
    try {
      // IPv6 sockets take no IPv4: `*` and `::*` stand side by side, and nobody is known as ::ffff:10.0.0.1.
      server.listen({ host, port, ipv6Only: isIPv6(host) })
      await once(server, 'listening')
    } catch (error) {
      if (optional && isMissingAddress(error)) return undefined
      throw error
    }
    this.servers.push(server)
    this.serve(server)
    const address = server.address()
    return typeof address === 'object' && address ? address.port : port
  }

  private serve(server: Server): void {
    server.on('error', (error) => this.notAccepted(error))
    server.on('connection', (socket) => {
      this.accepted.add(socket)
      socket.once('close', () => this.accepted.delete(socket))
      if (this.tls) this.tls.server.emit('connection', socket)
      else this.accept(socket)
    })
  }

  private notAccepted(error: Error): void {
    this.options.log.verbose(`Error accepting cluster node connection: ${error.message}`)
  }

  private accept(socket: Socket): void {
    const { remoteAddress, remotePort, localAddress } = socket
    if (this.closed || !remoteAddress || !localAddress) {
      socket.destroy()
      return
    }
    this.options.log.verbose(`Accepting cluster node connection from ${remoteAddress}:${remotePort}`)
    const wire = this.attach(this.options.allocateLinkId(), socket)
    this.rise(wire)
    this.options.on.accepted(wire.id, remoteAddress, localAddress)
  }

  /** A socket on its way to the address. One that cannot even be tried fails like any other, a moment later. */
  private dial(ip: string, port: number): Socket {
    const { bindSource } = this.options
    const localAddress = bindSource && isIPv6(bindSource) === isIPv6(ip) ? bindSource : undefined
    try {
      if (ip === '' || port === 0) throw new Error(`no address to dial (${ip}:${port})`)
      const target = { host: ip, port, localAddress }
      if (!this.tls) return connectTcp(target)
      return connectTls({ ...target, secureContext: this.tls.context, ...MUTUAL, checkServerIdentity: () => undefined })
    } catch (error) {
      return new Socket().destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }

  private attach(id: LinkId, socket: Socket): Wire {
    assert(!this.wires.has(id), `link ${id} is new`)
    const wire: Wire = {
      id,
      socket,
      frames: new FrameSplitter(),
      createdAt: wallClock(),
      up: false,
      why: 'connection closed',
    }
    this.wires.set(id, wire)
    socket.on('data', (chunk) => this.receive(wire, chunk))
    // A peer that stops talking is gone: the bus has no use for half a connection.
    socket.on('end', () => socket.destroy())
    socket.on('error', (error) => {
      wire.why = error.message
    })
    socket.on('close', () => this.lost(wire))
    return wire
  }

  private rise(wire: Wire): void {
    wire.socket.setNoDelay(true)
    wire.socket.setKeepAlive(true, this.options.keepAliveMs)
    wire.up = true
  }

  private lost(wire: Wire): void {
    if (this.wires.get(wire.id) !== wire) return
    this.wires.delete(wire.id)
    this.options.log.debug(wire.up ? `I/O error reading from node link: ${wire.why}` : `Dial failed: ${wire.why}`)
    this.options.on.down(wire.id, wire.why)
  }

  /** Any of these messages may make the core drop the link, which leaves the rest of the chunk unread. */
  private receive(wire: Wire, chunk: Buffer): void {
    wire.frames.feed(chunk)
    while (!wire.socket.destroyed) {
      const frame = wire.frames.next()
      if (frame === undefined) return
      const decoded = Buffer.isBuffer(frame) ? this.take(wire, frame) : frame
      if (isRefusal(decoded)) this.refuse(wire, decoded)
      else this.options.on.message(wire.id, decoded)
    }
  }

  private take(wire: Wire, frame: Buffer): Message | Refusal {
    this.options.on.received(wire.id, messageName(frame))
    return decode(frame)
  }

  private refuse(wire: Wire, refusal: Refusal): void {
    if (refusal.fate === 'ignore') return
    this.options.log.warning(refusal.refused)
    this.options.on.refused(wire.id, refusal.refused, refusal.fate === 'drop')
    if (refusal.fate === 'drop') {
      wire.why = refusal.refused
      wire.socket.destroy()
    }
  }

  private async closeServers(): Promise<void> {
    const closing = this.servers.splice(0).map((server) => {
      server.close()
      return once(server, 'close')
    })
    await Promise.all(closing)
  }
}

const NO_ADDRESS = 'No bind address is configured, but it is required for the Cluster bus.'

/** Each side shows a certificate and refuses one it cannot trust. */
const MUTUAL = { requestCert: true, rejectUnauthorized: true } as const

/** One word of the `bind` directive. */
function bindAddress(directive: string): { host: string; optional: boolean } {
  const optional = directive.startsWith('-')
  const host = optional ? directive.slice(1) : directive
  return { host: host === '*' ? '0.0.0.0' : host === '::*' ? '::' : host, optional }
}

/** This machine does not have the address, or not its whole family. */
function isMissingAddress(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' || code === 'EINVAL'
}
