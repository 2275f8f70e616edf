/** Accepting clients: TCP, TLS and unix sockets. The server's only socket file. */
import { chmodSync, existsSync, unlinkSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { defaultPath } from '../base/raw-socket.ts'
import { plainPath, type SocketPath } from '../base/socket-wire.ts'
import { reasonOf } from '../base/system-error.ts'
import { isWelcome } from '../config.ts'
import type { Client } from './client.ts'
import { protectedModeRefusal } from './protected-mode.ts'
import type { Server } from './server.ts'

export interface ListenOptions {
  /** Addresses as `bind` gives them: `*` is every IPv4, `::*` every IPv6 address; a leading `-` marks one that may be missing. */
  readonly bind: readonly string[]
  /** 0 = none. */
  readonly port: number
  readonly tlsPort: number
  readonly tlsOptions?: tls.TlsOptions
  /** '' = none. */
  readonly unixSocket: string
  /** File mode of the unix socket; 0 = as the umask says. */
  readonly unixSocketMode: number
  readonly backlog: number
  /** How sockets without TLS are read and written, if not as everywhere. */
  readonly sockets?: SocketPath
}

/** A port or path that cannot be listened on; the message names it. */
export class ListenError extends Error {}

/** Established connections stay, whatever becomes of the place they came in by. */
export interface Listener {
  /** Listens where `options` say, and there only. When that cannot be had it listens where it did before, and a ListenError says why. */
  move(options: ListenOptions): Promise<void>
  /** Stops accepting. */
  close(): Promise<void>
}

/** Opens every port; when one fails all are closed again and a ListenError says which. */
export async function listen(server: Server, options: ListenOptions): Promise<Listener> {
  const open = new Map<Spot, net.Server | undefined>()
  const move = async (to: ListenOptions): Promise<void> => {
    const wanted = spotsOf(server, to)
    const gone = [...open.keys()].filter((spot) => !wanted.some((one) => isSame(one, spot)))
    const fresh = wanted.filter((spot) => ![...open.keys()].some((one) => isSame(one, spot)))
    // Closed first: an address may include another on the same port.
    shut(open, gone)
    try {
      for (const spot of fresh) open.set(spot, await spot.open())
    } catch (error) {
      shut(open, fresh)
      for (const spot of gone) open.set(spot, await spot.open())
      throw error
    }
  }
  await move(options)
  return {
    move,
    async close() {
      await Promise.all([...open.values()].map((listener) => new Promise((done) => listener?.close(done) ?? done(0))))
    },
  }
}

/** Throws, in the words of the TLS library, for certificates and keys that cannot be used. */
export function checkTls(options: tls.TlsOptions): void {
  tls.createSecureContext(options)
}

/** One place to listen at. */
interface Spot {
  readonly place: string
  /** By its object: certificates that were read anew are others. */
  readonly tlsOptions: tls.TlsOptions | undefined
  /** Undefined for an address that is missing and may be. */
  open(): Promise<net.Server | undefined>
}

const isSame = (one: Spot, other: Spot): boolean => one.place === other.place && one.tlsOptions === other.tlsOptions

function spotsOf(server: Server, options: ListenOptions): Spot[] {
  const { bind: addresses, port, tlsPort, tlsOptions = {}, unixSocket, backlog } = options
  const sockets = options.sockets ?? defaultPath()
  const plain = (address: string): Spot => ({
    place: `${address} ${port}`,
    tlsOptions: undefined,
    open: () => bind(plainServer(server, sockets), address, port, backlog),
  })
  const secure = (address: string): Spot => ({
    place: `${address} ${tlsPort}`,
    tlsOptions,
    open: () => bind(tlsServer(server, tlsOptions), address, tlsPort, backlog),
  })
  const local: Spot = {
    place: unixSocket,
    tlsOptions: undefined,
    open: () => bindUnix(plainServer(server, sockets), options),
  }
  return [
    ...addresses.flatMap((address) => [
      ...(port > 0 ? [plain(address)] : []),
      ...(tlsPort > 0 ? [secure(address)] : []),
    ]),
    ...(unixSocket === '' ? [] : [local]),
  ]
}

/** The port is free at once; what `close` would wait for are the connections that came in by it. */
function shut(open: Map<Spot, net.Server | undefined>, spots: readonly Spot[]): void {
  for (const spot of spots) {
    open.get(spot)?.close()
    open.delete(spot)
  }
}

/** The host names of one `bind` word. */
export function bindHost(address: string): { host: string; optional: boolean } {
  const optional = address.startsWith('-')
  const name = optional ? address.slice(1) : address
  return { host: name === '*' ? '0.0.0.0' : name === '::*' ? '::' : name, optional }
}

async function bind(
  listener: net.Server,
  address: string,
  port: number,
  backlog: number,
): Promise<net.Server | undefined> {
  const { host, optional } = bindHost(address)
  try {
    return await opened(listener, { host, port, backlog, ipv6Only: host.includes(':') })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (optional && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT')) return undefined
    throw new ListenError(`Could not create server TCP listening socket ${host}:${port}: bind: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

async function bindUnix(listener: net.Server, options: ListenOptions): Promise<net.Server> {
  const path = options.unixSocket
  try {
    // A socket left by a killed process would be in the way; one in use cannot be told apart, as with a real server.
    if (existsSync(path)) unlinkSync(path)
    await opened(listener, { path, backlog: options.backlog })
    if (options.unixSocketMode !== 0) chmodSync(path, options.unixSocketMode)
    return listener
  } catch (error) {
    throw new ListenError(`Failed opening Unix socket: bind: ${path}: ${reasonOf(error)}`, { cause: error })
  }
}

function opened(listener: net.Server, options: net.ListenOptions): Promise<net.Server> {
  return new Promise((done, failed) => {
    listener.once('error', failed)
    listener.listen(options, () => {
      listener.off('error', failed)
      done(listener)
    })
  })
}

const plainServer = (server: Server, path: SocketPath): net.Server =>
  net.createServer({ noDelay: true, allowHalfOpen: false }, (socket) => accept(server, socket, path))

function tlsServer(server: Server, options: tls.TlsOptions): net.Server {
  const listener = tls.createServer(options, (socket) => {
    if (isWelcome(server.config.values, socket)) accept(server, socket, plainPath)
    else socket.destroy()
  })
  listener.on('tlsClientError', (error) => server.log.verbose(`Error accepting a client connection: ${error.message}`))
  return listener
}

function accept(server: Server, socket: net.Socket, path: SocketPath): void {
  const { values } = server.config
  const refusal =
    server.clients.size >= values.maxclients
      ? '-ERR max number of clients reached\r\n'
      : protectedModeRefusal(server.config, socket.remoteAddress)
  if (refusal !== undefined) {
    server.stats.rejectedConnections++
    socket.on('error', () => socket.destroy())
    socket.end(refusal)
    return
  }
  if (values.tcpKeepalive > 0) socket.setKeepAlive(true, values.tcpKeepalive * 1000)
  const client: Client = server.connect(path.wireOf(socket), {
    address: endpoint(socket.remoteAddress, socket.remotePort, values.unixsocket),
    localAddress: endpoint(socket.localAddress, socket.localPort, values.unixsocket),
    tls: socket instanceof tls.TLSSocket,
  })
  path.listen(socket, (chunk) => server.receive(client, chunk))
  socket.on('error', (error) => server.log.verbose(`Reading from client: ${error.message}`))
  socket.on('close', () => server.disconnect(client))
}

/** `ip:port`, `[v6]:port`; unix sockets have no address: `path:0`. */
function endpoint(ip: string | undefined, port: number | undefined, path: string): string {
  if (ip === undefined || port === undefined) return `${path}:0`
  const plain = ip.startsWith('::ffff:') ? ip.slice(7) : ip
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`
}
