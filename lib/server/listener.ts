/** Accepting clients: TCP, TLS and unix sockets. The server's only socket file. */
import { chmodSync, existsSync, unlinkSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { reasonOf } from '../base/system-error.ts'
import { isWelcome } from '../config.ts'
import type { Client } from './client.ts'
import { protectedModeRefusal } from './protected-mode.ts'
import { openRawPath } from './raw-socket.ts'
import type { Server } from './server.ts'
import { plainPath, type SocketPath } from './socket-wire.ts'

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
  /** How sockets without TLS are read and written. By default the short way where there is one; ROOKERY_SOCKETS=plain keeps a
   *  process off it. */
  readonly sockets?: SocketPath
}

/** A port or path that cannot be listened on; the message names it. */
export class ListenError extends Error {}

export interface Listener {
  /** Stops accepting; established connections stay. */
  close(): Promise<void>
}

/** Opens every port; when one fails all are closed again and a ListenError says which. */
export async function listen(server: Server, options: ListenOptions): Promise<Listener> {
  const listeners: net.Server[] = []
  const sockets = options.sockets ?? defaultPath()
  const close = async (): Promise<void> => {
    await Promise.all(listeners.map((listener) => new Promise((done) => listener.close(done))))
  }
  try {
    for (const address of options.bind) {
      if (options.port > 0) await bind(listeners, plainServer(server, sockets), address, options.port, options.backlog)
      if (options.tlsPort > 0)
        await bind(listeners, tlsServer(server, options.tlsOptions ?? {}), address, options.tlsPort, options.backlog)
    }
    if (options.unixSocket !== '') await bindUnix(listeners, plainServer(server, sockets), options)
  } catch (error) {
    await close()
    throw error
  }
  return { close }
}

/** The host names of one `bind` word. */
export function bindHost(address: string): { host: string; optional: boolean } {
  const optional = address.startsWith('-')
  const name = optional ? address.slice(1) : address
  return { host: name === '*' ? '0.0.0.0' : name === '::*' ? '::' : name, optional }
}

async function bind(
  listeners: net.Server[],
  listener: net.Server,
  address: string,
  port: number,
  backlog: number,
): Promise<void> {
  const { host, optional } = bindHost(address)
  try {
    await opened(listener, { host, port, backlog, ipv6Only: host.includes(':') })
    listeners.push(listener)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (optional && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT')) return
    throw new ListenError(`Could not create server TCP listening socket ${host}:${port}: bind: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

async function bindUnix(listeners: net.Server[], listener: net.Server, options: ListenOptions): Promise<void> {
  const path = options.unixSocket
  try {
    // A socket left by a killed process would be in the way; one in use cannot be told apart, as with a real server.
    if (existsSync(path)) unlinkSync(path)
    await opened(listener, { path, backlog: options.backlog })
    if (options.unixSocketMode !== 0) chmodSync(path, options.unixSocketMode)
    listeners.push(listener)
  } catch (error) {
    throw new ListenError(`Failed opening Unix socket: bind: ${path}: ${reasonOf(error)}`, { cause: error })
  }
}

function opened(listener: net.Server, options: net.ListenOptions): Promise<void> {
  return new Promise((done, failed) => {
    listener.once('error', failed)
    listener.listen(options, () => {
      listener.off('error', failed)
      done()
    })
  })
}

const defaultPath = (): SocketPath =>
  (process.env['ROOKERY_SOCKETS'] === 'plain' ? undefined : openRawPath()) ?? plainPath

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
