/** A client in one line, as CLIENT LIST, CLIENT INFO and the log show it. */
import { type Client, isUnix } from './client.ts'
import type { Server } from './server.ts'

/** The letters of `flags=`, in Redis's order. */
const FLAGS: readonly (readonly [letter: string, has: (client: Client) => boolean])[] = [
  ['O', (client) => client.monitor],
  ['S', (client) => client.replica],
  ['M', (client) => client.primary],
  ['P', (client) => client.subscriber],
  ['x', (client) => client.multi !== undefined],
  ['b', (client) => client.blocked !== undefined],
  ['t', (client) => client.tracking !== undefined],
  ['R', (client) => client.tracking?.redirectBroken === true],
  ['B', (client) => client.tracking?.bcast === true],
  ['d', (client) => client.watchBroken],
  ['c', (client) => client.closing],
  ['U', isUnix],
  ['r', (client) => client.readonly],
  ['e', (client) => client.noEvict],
  ['T', (client) => client.noTouch],
]

function flagsOf(client: Client): string {
  const letters = FLAGS.filter(([, has]) => has(client)).map(([letter]) => letter)
  return letters.length === 0 ? 'N' : letters.join('')
}

/** Room for the fields, maps and first buffers of a connection; the rest is counted. */
const BASE_MEMORY = 6 * 1024

/** Bytes a connection takes: an estimate. */
export const clientMemory = (client: Client): number =>
  BASE_MEMORY + client.parser.pending + client.reply.length + client.wire.buffered + multiMemory(client)

const multiMemory = (client: Client): number =>
  client.multi?.queue.reduce((sum, { argv }) => sum + argv.buffer.length, 0) ?? 0

/** `id=4 addr=127.0.0.1:34688 laddr=... resp=2`, the fields of redis-server 7.0 in its order, without the line end.
 *  The descriptor of a socket is hidden from JavaScript, hence fd=-1. */
export function clientLine(server: Server, client: Client): string {
  const { reply, wire } = client
  const seconds = (since: number): number => Math.max(0, Math.floor((server.now - since) / 1000))
  const fields = {
    id: client.id,
    addr: client.address,
    laddr: client.localAddress,
    fd: -1,
    name: client.name,
    age: seconds(client.createdAt),
    idle: seconds(client.lastSeenAt),
    flags: flagsOf(client),
    db: client.db,
    sub: client.channels.size,
    psub: client.patterns.size,
    ssub: client.shardChannels.size,
    multi: client.multi === undefined ? -1 : client.multi.queue.length,
    qbuf: client.parser.pending,
    'qbuf-free': 0,
    'argv-mem': 0,
    'multi-mem': multiMemory(client),
    rbs: 0,
    rbp: 0,
    obl: reply.length,
    oll: 0,
    omem: wire.buffered,
    'tot-mem': clientMemory(client),
    events: wire.buffered > 0 ? 'rw' : 'r',
    cmd: client.lastCommand,
    user: client.user?.name ?? '(superuser)',
    redir: client.tracking?.redirect ?? -1,
    resp: reply.resp3 ? 3 : 2,
    // Of Redis 7.2: only for those who said it.
    ...(client.libraryName === '' ? {} : { 'lib-name': client.libraryName }),
    ...(client.libraryVersion === '' ? {} : { 'lib-ver': client.libraryVersion }),
  }
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}
