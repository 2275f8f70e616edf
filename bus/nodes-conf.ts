/** nodes.conf: what a node must know again after a restart. One line for each node past its handshake, as CLUSTER NODES
 *  prints it (`node-line.ts`), then `vars` lines of name and value pairs:
 *
 *      <node line>...
 *      vars shards <id>=<shard id>,... names <id>=<human name>,...
 *      vars currentEpoch <n> lastVoteEpoch <n>
 *
 *  It is the file of redis-server 7.0, so that a node can change hands in both directions. 7.0 has no column for shard
 *  ids and human names and refuses the fields later versions put behind the hostname, but it skips variables it does
 *  not know: there they live, percent-encoded.
 *
 *  The epochs come last on purpose. Without lastVoteEpoch a node could vote twice in one epoch, so a file that was cut
 *  short must never be mistaken for a whole one: every proper beginning of a file we write is refused.
 *
 *  While a reshard goes on, lines may follow that say what became of single slots since (`slotLine`). */
import { epoch, ID_LENGTH, type Millis, type NodeId, type ShardId, SLOT_COUNT } from '../lib/base/brand.ts'
import type { Random } from '../lib/base/random.ts'
import { FLAG_NAMES, NodeLineError, type NodeRow, nodeLine, readId, readNodeLine } from './node-line.ts'
import { addSlots, bindSlot, rebindSlot, unbindSlot } from './slots.ts'
import {
  type Cluster,
  type ClusterNode,
  type ClusterOptions,
  createCluster,
  createNode,
  isVoter,
  type LocalFacts,
} from './state.ts'
import { addNode, setReplicaOf } from './table.ts'
import { splitTokens } from './tokens.ts'

/** A damaged nodes.conf: which line (1-based) and why. A node must not start from it. */
export class NodesConfError extends Error {
  override readonly name = 'NodesConfError'
  readonly line: number
  readonly reason: string
  constructor(line: number, reason: string, options?: ErrorOptions) {
    super(`nodes.conf line ${line}: ${reason}`, options)
    this.line = line
    this.reason = reason
  }
}

/** A fact about a node that 7.0 has no column for: the variable it is kept in, and where it lives. */
interface Extra {
  readonly variable: string
  get(node: ClusterNode): string
  set(node: ClusterNode, text: string): void
}

const EXTRAS: readonly Extra[] = [
  { variable: 'shards', get: (node) => node.shard, set: setShard },
  {
    variable: 'names',
    get: (node) => node.humanName,
    set(node, text) {
      node.humanName = text
    },
  },
]

/** The fields 7.2 and Valkey 8 write behind the hostname. */
const AUX: Readonly<Record<string, (c: Cluster, node: ClusterNode, text: string) => void>> = {
  'shard-id': (_, node, text) => setShard(node, text),
  nodename(_, node, text) {
    node.humanName = text
  },
  'client-ipv4'(_, node, text) {
    node.clientIpv4 = text
  },
  'client-ipv6'(_, node, text) {
    node.clientIpv6 = text
  },
  'tcp-port'() {},
  'tls-port': setTlsPort,
}

/** The whole file. A reshard writes it for each slot, so it is put together in few steps. */
export function writeNodesConf(c: Cluster): string {
  let text = ''
  for (const node of c.nodes.values()) if (!node.handshake) text += `${nodeLine(c, node)}\n`
  text += 'vars'
  for (const extra of EXTRAS) {
    let pairs = ''
    for (const node of c.nodes.values()) {
      const value = node.handshake ? '' : extra.get(node)
      if (value !== '') pairs += `${pairs && ','}${writePair(node, value)}`
    }
    if (pairs !== '') text += ` ${extra.variable} ${pairs}`
  }
  return `${text}\nvars currentEpoch ${c.currentEpoch} lastVoteEpoch ${c.lastVoteEpoch}\n`
}

/** A line behind the rest of the file: what became of one slot since. It says so as variables, and replaces nothing that other lines say. */
export const slotLine = (c: Cluster, s: number): string =>
  `vars slot ${s},${idOf(c.owners[s])},${idOf(c.migratingTo.get(s))},${idOf(c.importingFrom.get(s))}\n`

const idOf = (node: ClusterNode | undefined): string => node?.id ?? '-'

/** The cluster a file describes, in the forms of Redis 3 to 7.2, Valkey 8 and ours. An absent or empty file is the
 *  caller's: it is a new node, not a damaged one. Throws a NodesConfError. */
export function readNodesConf(
  text: string,
  init: { options: ClusterOptions; facts: LocalFacts; random: Random; now: Millis },
): Cluster {
  const file = parse(text)
  const myself = [...file.rows.values()].find(({ row }) => row.flags.has('myself'))
  checkAt(file.lastLine, myself, 'no node is flagged myself')
  const c = createCluster({ ...init, id: myself.row.id })
  for (const id of file.rows.keys()) if (id !== c.myself.id) addNode(c, createNode(c, id))
  for (const entry of file.rows.values()) at(entry.line, () => fillRow(c, entry.row))
  for (const entry of file.rows.values()) at(entry.line, () => attachRow(c, entry.row))
  // Slots last: the first slot of a primary asks whether any primary has replicas.
  for (const entry of file.rows.values()) at(entry.line, () => bindRow(c, entry.row))
  for (const { line, value } of file.slotChanges) at(line, () => changeSlot(c, value))
  c.lostSlots.clear()
  // So that redis-server, which skips such lines, finds a file without them.
  if (file.slotChanges.length > 0) c.unsaved = 'later'
  for (const node of c.nodes.values()) if (node !== c.myself) addSlots(c.recalled, node.slots)
  restoreShards(c, file)
  restoreEpochs(c, file)
  c.size = [...c.nodes.values()].filter(isVoter).length
  return c
}

interface Variable {
  readonly line: number
  readonly value: string
}

interface Parsed {
  readonly rows: ReadonlyMap<NodeId, { readonly line: number; readonly row: NodeRow }>
  /** Variables by lowercase name; later lines win. */
  readonly vars: ReadonlyMap<string, Variable>
  /** All values of the variable `slot`, in order. */
  readonly slotChanges: readonly Variable[]
  readonly lastLine: number
}

function parse(text: string): Parsed {
  const lines = text.split('\n')
  const rest = lines.pop()
  checkAt(lines.length + 1, rest === '', 'the last line has no end: the file was cut short')
  const rows = new Map<NodeId, { line: number; row: NodeRow }>()
  const vars = new Map<string, Variable>()
  const slotChanges: Variable[] = []
  let sawMyself = false
  for (const [index, content] of lines.entries()) {
    const line = index + 1
    const words = splitTokens(content)
    checkAt(line, words, 'a quote is not closed')
    if (words.length === 0) continue
    if (words[0]?.toLowerCase() === 'vars') {
      checkAt(line, words.length % 2 === 1, 'a variable has no value')
      for (let i = 1; i < words.length; i += 2) {
        const [name, value] = [words[i]!.toLowerCase(), words[i + 1]!]
        if (name === 'slot') slotChanges.push({ line, value })
        else vars.set(name, { line, value })
      }
      continue
    }
    const row = at(line, () => readNodeLine(words))
    checkAt(line, !rows.has(row.id), `node ${row.id} has a line already`)
    checkAt(line, !(sawMyself && row.flags.has('myself')), 'a second node is flagged myself')
    sawMyself ||= row.flags.has('myself')
    rows.set(row.id, { line, row })
  }
  return { rows, vars, slotChanges, lastLine: Math.max(1, lines.length) }
}

/** What a line says about the node alone. */
function fillRow(c: Cluster, row: NodeRow): void {
  const node = c.nodes.get(row.id)!
  for (const flag of row.flags) check(FLAG_NAMES.includes(flag), `unknown flag ${JSON.stringify(flag)}`)
  node.role = row.flags.has('slave') ? 'replica' : 'primary'
  node.health = row.flags.has('fail') ? 'fail' : row.flags.has('fail?') ? 'pfail' : 'ok'
  node.handshake = row.flags.has('handshake')
  node.noAddress = row.flags.has('noaddr')
  node.noFailover = row.flags.has('nofailover')
  node.ip = row.ip
  node.port = row.port
  node.busPort = row.busPort
  node.hostname = row.hostname
  // The instants of another run mean nothing now; that there was one does.
  node.pingSentAt = row.pingSentAt === 0 ? (0 as Millis) : c.now
  node.pongReceivedAt = row.pongReceivedAt === 0 ? (0 as Millis) : c.now
  // The column of a replica shows its primary's epoch.
  node.configEpoch = epoch(node.role === 'replica' ? 0 : row.configEpoch)
  for (const [name, value] of row.aux) {
    const set = AUX[name]
    check(set, `unknown field ${JSON.stringify(name)}`)
    set(c, node, value)
  }
}

/** Whom the node replicates. A primary without a line of its own becomes a row without address, as real servers do. */
function attachRow(c: Cluster, row: NodeRow): void {
  if (row.primary === undefined) return
  const node = c.nodes.get(row.id)!
  check(node.role === 'replica', 'a master that replicates another node')
  check(row.primary !== row.id, 'a node that replicates itself')
  setReplicaOf(c, node, rowOf(c, row.primary))
}

/** Slots, and our own marks on them. */
function bindRow(c: Cluster, row: NodeRow): void {
  const node = c.nodes.get(row.id)!
  check(node === c.myself || row.marks.length === 0, 'migrating or importing slots of another node')
  for (const [first, last] of row.slots) {
    for (let s = first; s <= last; s++) check(bindSlot(c, node, s), `slot ${s} is owned twice`)
  }
  for (const mark of row.marks) {
    const marks = mark.kind === 'migrating' ? c.migratingTo : c.importingFrom
    marks.set(mark.slot, rowOf(c, mark.node))
  }
}

/** What a slot line says; it is all there is to know about the slot. */
function changeSlot(c: Cluster, text: string): void {
  const [slot = '', ...ids] = text.split(',')
  const s = Number(slot)
  check(
    /^\d+$/.test(slot) && s < SLOT_COUNT && ids.length === 3,
    `${JSON.stringify(text)} does not say whose slot it is`,
  )
  const [owner, target, source] = ids.map((id) => (id === '-' ? undefined : rowOf(c, readId(id))))
  if (owner) rebindSlot(c, owner, s)
  else unbindSlot(c, s)
  setMark(c.migratingTo, s, target)
  setMark(c.importingFrom, s, source)
}

function setMark(marks: Map<number, ClusterNode>, s: number, node: ClusterNode | undefined): void {
  if (node) marks.set(s, node)
  else marks.delete(s)
}

/** Shard ids and names from our variables; then replicas nobody spoke for belong to their primary's shard. */
function restoreShards(c: Cluster, file: Parsed): void {
  const spokenFor = new Set<NodeId>()
  for (const { line, row } of file.rows.values()) {
    if (!row.aux.has('shard-id')) continue
    spokenFor.add(row.id)
    const primary = row.primary === undefined ? undefined : file.rows.get(row.primary)?.row
    const theirs = primary?.aux.get('shard-id') ?? row.aux.get('shard-id')
    checkAt(line, theirs === row.aux.get('shard-id'), "a replica in another shard than its master's")
  }
  for (const extra of EXTRAS) {
    const variable = file.vars.get(extra.variable)
    if (!variable) continue
    for (const pair of variable.value.split(',')) {
      const [id, value] = at(variable.line, () => readPair(pair))
      const node = c.nodes.get(id as NodeId)
      if (!node || (extra.variable === 'shards' && spokenFor.has(node.id))) continue
      at(variable.line, () => extra.set(node, value))
      if (extra.variable === 'shards') spokenFor.add(node.id)
    }
  }
  for (const node of c.nodes.values()) if (node.primary && !spokenFor.has(node.id)) node.shard = node.primary.shard
}

function restoreEpochs(c: Cluster, file: Parsed): void {
  const read = (name: string): number => {
    const variable = file.vars.get(name.toLowerCase())
    checkAt(file.lastLine, variable, `${name} is missing: the file was cut short`)
    const value = Number(variable.value)
    const whole = /^\d+$/.test(variable.value) && Number.isSafeInteger(value)
    checkAt(variable.line, whole, `${JSON.stringify(variable.value)} is no epoch`)
    return value
  }
  // A config epoch nobody has heard of yet was still given out: never give it out again.
  const highest = [...c.nodes.values()].reduce((max, node) => Math.max(max, node.configEpoch), read('currentEpoch'))
  c.currentEpoch = epoch(highest)
  c.lastVoteEpoch = epoch(read('lastVoteEpoch'))
}

function rowOf(c: Cluster, id: NodeId): ClusterNode {
  const known = c.nodes.get(id)
  if (known) return known
  const node = createNode(c, id)
  node.noAddress = true
  addNode(c, node)
  return node
}

function setShard(node: ClusterNode, text: string): void {
  check(text.length === ID_LENGTH && !/\s/.test(text), `${JSON.stringify(text)} is no shard id`)
  node.shard = text as ShardId
}

// Since 7.2 the column has the TCP port and the field the TLS port; a row keeps first the one the bus announces.
function setTlsPort(c: Cluster, node: ClusterNode, text: string): void {
  const tlsPort = Number(text)
  check(/^\d{1,5}$/.test(text) && tlsPort <= 65535, `${JSON.stringify(text)} is no port`)
  if (c.options.tlsCluster && tlsPort !== 0) [node.port, node.otherPort] = [tlsPort, node.port]
  else node.otherPort = tlsPort
}

// The apostrophe, which needs no encoding in a URL, would open a quote here.
const writePair = (node: ClusterNode, value: string): string =>
  `${node.id}=${/^\w*$/.test(value) ? value : encodeURIComponent(value).replaceAll("'", '%27')}`

function readPair(text: string): readonly [string, string] {
  const equals = text.indexOf('=')
  check(equals >= 0, `${JSON.stringify(text)} is no id=value pair`)
  try {
    return [text.slice(0, equals), decodeURIComponent(text.slice(equals + 1))]
  } catch (cause) {
    throw new NodeLineError(`${JSON.stringify(text)} is badly encoded`, { cause })
  }
}

/** Runs a reader of one line and says which line it was when it fails. */
function at<T>(line: number, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof NodeLineError) throw new NodesConfError(line, cause.message, { cause })
    throw cause
  }
}

function check(claim: unknown, why: string): asserts claim {
  if (!claim) throw new NodeLineError(why)
}

function checkAt(line: number, claim: unknown, why: string): asserts claim {
  if (!claim) throw new NodesConfError(line, why)
}
