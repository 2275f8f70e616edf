/** One line about one node, as CLUSTER NODES prints it and nodes.conf keeps it:
 *
 *      <id> <ip>:<port>@<bus port>[,<hostname>] <flags> <primary's id or -> <ping sent> <pong received> <config epoch>
 *      <connected or disconnected> [<slot> or <first>-<last>]... [[<slot>->-<id>] or [<slot>-<-<id>]]...
 *
 *  Before 4.0 the bus port was missing; since 7.2 the file (not the command) has `,<name>=<value>` fields behind the
 *  hostname. Times are Unix milliseconds, 0 for none. */
import { isNodeId, type NodeId, SLOT_COUNT } from '../lib/base/brand.ts'
import { slotText } from './slots.ts'
import type { Cluster, ClusterNode } from './state.ts'

/** A line that was read: what it says, believed but not yet connected to anything. */
export interface NodeRow {
  readonly id: NodeId
  readonly ip: string
  readonly port: number
  readonly busPort: number
  readonly hostname: string
  /** The named fields of a file written since 7.2 ("shard-id", "tls-port"...). */
  readonly aux: ReadonlyMap<string, string>
  /** As printed, `primary` and `replica` turned into master and slave; empty for `noflags`. */
  readonly flags: ReadonlySet<string>
  readonly primary: NodeId | undefined
  readonly pingSentAt: number
  readonly pongReceivedAt: number
  readonly configEpoch: number
  readonly connected: boolean
  /** Inclusive ranges. */
  readonly slots: ReadonlyArray<readonly [number, number]>
  readonly marks: readonly SlotMark[]
}

/** A slot on its way from or to another node; only the line of the node that was asked has any. */
export interface SlotMark {
  readonly kind: 'migrating' | 'importing'
  readonly slot: number
  readonly node: NodeId
}

/** A line that cannot be read; the message says why. */
export class NodeLineError extends Error {
  override readonly name = 'NodeLineError'
}

/** Every flag a line can have, `noflags` apart, in the order real servers print them. */
export const FLAG_NAMES: readonly string[] = [
  'myself',
  'master',
  'slave',
  'fail?',
  'fail',
  'handshake',
  'noaddr',
  'nofailover',
]

/** The line of a node, without its end. `tls` says which port to show a client that may have come over TLS; left out,
 *  it is the port the bus itself announces, as in nodes.conf. */
export function nodeLine(c: Cluster, node: ClusterNode, tls = c.options.tlsCluster): string {
  const hostname = plain(node.hostname)
  const address = `${plain(node.ip)}:${clientPort(c, node, tls)}@${node.busPort}${hostname && `,${hostname}`}`
  const times = `${node.pingSentAt} ${node.pongReceivedAt} ${(node.primary ?? node).configEpoch}`
  const link = node.outbound || node === c.myself ? 'connected' : 'disconnected'
  const slots = node.slotCount === 0 ? '' : ` ${slotText(node)}`
  const marks = node === c.myself ? markText(c) : ''
  return `${node.id} ${address} ${flagText(c, node)} ${node.primary?.id ?? '-'} ${times} ${link}${slots}${marks}`
}

/** A node in handshake has no role yet. */
function flagText(c: Cluster, node: ClusterNode): string {
  let text = node === c.myself ? ',myself' : ''
  if (node.role === 'replica') text += ',slave'
  else if (!node.handshake) text += ',master'
  if (node.health === 'pfail') text += ',fail?'
  else if (node.health === 'fail') text += ',fail'
  if (node.handshake) text += ',handshake'
  if (node.noAddress) text += ',noaddr'
  if (node.noFailover) text += ',nofailover'
  return text === '' ? 'noflags' : text.slice(1)
}

/** The port a client should use: TLS clients of a TLS cluster, and plain ones of a plain cluster, get the port the bus
 *  announces; the others the other one, if there is one. */
export const clientPort = (c: Cluster, node: ClusterNode, tls: boolean): number =>
  tls === c.options.tlsCluster ? node.port : node.otherPort || node.port

/** Reads the words of one line. Throws a NodeLineError. */
export function readNodeLine(words: readonly string[]): NodeRow {
  const [id = '', address = '', flags = '', primary = '', ping = '', pong = '', configEpoch = '', link = ''] = words
  check(words.length >= 8, `${words.length} words, at least 8 expected`)
  check(link === 'connected' || link === 'disconnected', `${JSON.stringify(link)} is no link state`)
  const items = words.slice(8)
  return {
    id: readId(id),
    ...readAddress(address),
    flags: new Set(flags === 'noflags' ? [] : flags.split(',').map((flag) => MODERN_FLAGS[flag] ?? flag)),
    primary: primary === '-' ? undefined : readId(primary),
    pingSentAt: readNumber(ping, 'ping time'),
    pongReceivedAt: readNumber(pong, 'pong time'),
    configEpoch: readNumber(configEpoch, 'config epoch'),
    connected: link === 'connected',
    slots: items.filter((item) => !item.startsWith('[')).map(readRange),
    marks: items.filter((item) => item.startsWith('[')).map(readMark),
  }
}

const MODERN_FLAGS: Readonly<Record<string, string>> = { primary: 'master', replica: 'slave' }

// Addresses and hostnames may be whatever a peer announced. A blank, comma or newline in one would add words or whole
// lines to a file that is read back at the next start: such text is not printed.
const plain = (text: string): string => (/^[\w.:%-]*$/.test(text) ? text : '')

/** Each mark behind a blank. */
function markText(c: Cluster): string {
  const slots = new Set([...c.migratingTo.keys(), ...c.importingFrom.keys()])
  return [...slots]
    .sort((a, b) => a - b)
    .map((s) => {
      const to = c.migratingTo.get(s)
      return to ? ` [${s}->-${to.id}]` : ` [${s}-<-${c.importingFrom.get(s)!.id}]`
    })
    .join('')
}

// ip:port[@busPort][,hostname[,name=value]...]; an IPv6 text is bare, so the port is after the last colon.
function readAddress(text: string): Pick<NodeRow, 'ip' | 'port' | 'busPort' | 'hostname' | 'aux'> {
  const [address = '', hostname = '', ...fields] = text.split(',')
  const match = /^(.*):(\d+)(?:@(\d+))?$/.exec(address)
  check(match, `${JSON.stringify(address)} is no address`)
  const port = readPort(match[2]!)
  const busPort = match[3] === undefined ? port + 10000 : readPort(match[3])
  return { ip: match[1]!, port, busPort, hostname, aux: new Map(fields.map(readField)) }
}

function readField(text: string): readonly [string, string] {
  const equals = text.indexOf('=')
  check(equals > 0, `${JSON.stringify(text)} is no name=value field`)
  check(!/[!#$%&()*+;<>?@[\]^{|}~]/.test(text), `${JSON.stringify(text)} has a character fields must not have`)
  return [text.slice(0, equals), text.slice(equals + 1)]
}

function readRange(text: string): readonly [number, number] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text)
  check(match, `${JSON.stringify(text)} is no slot range`)
  const first = readSlot(match[1]!)
  const last = readSlot(match[2] ?? match[1]!)
  check(first <= last, `slot range ${text} is backwards`)
  return [first, last]
}

function readMark(text: string): SlotMark {
  const match = /^\[(\d+)-([<>])-([^\]]*)\]$/.exec(text)
  check(match, `${JSON.stringify(text)} is no migrating or importing slot`)
  return {
    kind: match[2] === '>' ? 'migrating' : 'importing',
    slot: readSlot(match[1]!),
    node: readId(match[3]!),
  }
}

/** Throws a NodeLineError for what is no node id. */
export function readId(text: string): NodeId {
  check(isNodeId(text), `${JSON.stringify(text)} is no node id`)
  return text
}

function readSlot(text: string): number {
  const slot = readNumber(text, 'slot')
  check(slot < SLOT_COUNT, `slot ${text} is out of range`)
  return slot
}

function readPort(text: string): number {
  const port = readNumber(text, 'port')
  check(port <= 65535, `port ${text} is out of range`)
  return port
}

function readNumber(text: string, what: string): number {
  const value = Number(text)
  check(/^\d+$/.test(text) && Number.isSafeInteger(value), `${JSON.stringify(text)} is no ${what}`)
  return value
}

function check(claim: unknown, why: string): asserts claim {
  if (!claim) throw new NodeLineError(why)
}
