/** Clusters of real processes, of one kind or of several, and how their nodes see each other. */
import assert from 'node:assert/strict'
import { SLOT_COUNT } from '../../lib/base/brand.ts'
import { slotOf } from '../../lib/base/slot.ts'
import { ask, fields } from './client.ts'
import { eventually, sleep } from './eventually.ts'
import { freePort } from './ports.ts'
import { type Conf, type Kind, type Server, startServer } from './process.ts'

export interface ClusterOptions {
  /** Node i runs kinds[i modulo length]. With two kinds and an odd number of primaries every replica is of the other kind than its primary. */
  readonly kinds: readonly Kind[]
  readonly primaries?: number
  /** Replicas of each primary: one number for all, or one for each. */
  readonly replicas?: number | readonly number[]
  readonly nodeTimeoutMs?: number
  readonly conf?: Conf
  /** What node i, on this port, has in its configuration beside `conf`. */
  readonly confOf?: (i: number, port: number) => Promise<Conf>
}

export interface Cluster {
  /** Primaries first, in slot order, then replicas: the first of each primary, the second of each, … As born; roles may change. */
  readonly nodes: readonly Server[]
  readonly primaries: readonly Server[]
  /** replicas[i] are the replicas primary i was born with. */
  readonly replicas: readonly (readonly Server[])[]
}

/** One line of CLUSTER NODES. */
export interface NodeLine {
  readonly id: string
  readonly port: number
  readonly flags: readonly string[]
  /** Id of its primary, for a replica. */
  readonly primary: string | undefined
  readonly epoch: number
  readonly link: string
  /** First and last slot of each range. */
  readonly slots: readonly (readonly [number, number])[]
  /** Open slots as printed: "[77->-id]", "[93-<-id]". */
  readonly open: readonly string[]
}

const SETTLE_LIMIT_MS = 30_000

/** Starts and joins a cluster by MEET, ADDSLOTSRANGE and REPLICATE, and waits until every node sees the same and every replica is in sync. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { primaries: shards = 3, replicas = 0 } = options
  const wanted = Array.from({ length: shards }, (_, i) => (typeof replicas === 'number' ? replicas : replicas[i]!))
  const count = shards + wanted.reduce((sum, n) => sum + n, 0)
  const nodes = await startNodes(options, count)
  const cluster = { nodes, primaries: nodes.slice(0, shards), replicas: wanted.map((): Server[] => []) }
  let next = shards
  for (let round = 0; next < count; round++) {
    for (const [i, n] of wanted.entries()) if (round < n) cluster.replicas[i]!.push(nodes[next++]!)
  }
  await shareSlots(cluster.primaries)
  await meet(nodes)
  await attachReplicas(cluster)
  await settled(nodes)
  return cluster
}

/** Cluster nodes that know nobody and own nothing. */
export async function startNodes(options: ClusterOptions, count: number): Promise<Server[]> {
  const conf = { 'cluster-enabled': 'yes', 'cluster-node-timeout': options.nodeTimeoutMs ?? 2000, ...options.conf }
  const start = async (i: number): Promise<Server> => {
    const port = await freePort()
    const kind = options.kinds[i % options.kinds.length]!
    return startServer({ kind, port, conf: { ...conf, ...(await options.confOf?.(i, port)) } })
  }
  const nodes: Server[] = []
  while (nodes.length < count) {
    const group = Math.min(START_AT_ONCE, count - nodes.length)
    nodes.push(...(await Promise.all(Array.from({ length: group }, (_, i) => start(nodes.length + i)))))
  }
  return nodes
}

/** More programs starting at one instant would hold each other up for too long. */
const START_AT_ONCE = 10

/** The first slot of primary i of so many. */
export const firstSlot = (i: number, primaries: number): number => Math.round((i * SLOT_COUNT) / primaries)

async function shareSlots(primaries: readonly Server[]): Promise<void> {
  const from = (i: number): number => firstSlot(i, primaries.length)
  for (const [i, { port }] of primaries.entries()) {
    await ask(port, 'CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
    await ask(port, 'CLUSTER', 'ADDSLOTSRANGE', from(i), from(i + 1) - 1)
  }
}

/** Introduces the first node to all others and waits until everybody knows everybody. */
export async function meet(nodes: readonly Server[]): Promise<void> {
  const [first, ...others] = nodes
  for (const { port } of others)
    await ask(first!.port, 'CLUSTER', 'MEET', '127.0.0.1', port, (await busPortOf(port)) || port + 10_000)
  const strangers = async (): Promise<number> => {
    const views = await Promise.all(nodes.map((node) => nodeLines(node.port)))
    return views.filter((view) => view.filter((n) => !n.flags.includes('handshake')).length < nodes.length).length
  }
  await eventually(strangers, {
    what: 'every node knows every other',
    withinMs: SETTLE_LIMIT_MS,
    until: (n) => n === 0,
  })
}

const busPortOf = async (port: number): Promise<number> =>
  Number(((await ask(port, 'CONFIG', 'GET', 'cluster-port')) as string[])[1])

async function attachReplicas(cluster: Cluster): Promise<void> {
  for (const [i, replicas] of cluster.replicas.entries()) {
    const id = await myId(cluster.primaries[i]!)
    for (const { port } of replicas) await ask(port, 'CLUSTER', 'REPLICATE', id)
  }
}

/** Waits until all of `nodes` agree on ids, roles and slots, see state ok and nobody failing, and every replica has its link up. */
export async function settled(nodes: readonly Pick<Server, 'port'>[], withinMs = SETTLE_LIMIT_MS): Promise<void> {
  await eventually(() => unsettled(nodes), {
    what: 'the cluster has settled',
    withinMs,
    until: (why) => why === undefined,
  })
}

/** What is not yet as `settled` wants it. */
async function unsettled(nodes: readonly Pick<Server, 'port'>[]): Promise<string | undefined> {
  const views = await Promise.all(nodes.map((node) => nodeLines(node.port)))
  const pictures = views.map(picture)
  const differs = pictures.findIndex((p) => p !== pictures[0])
  if (differs > 0) return `${nodes[0]!.port} sees\n${pictures[0]}\n${nodes[differs]!.port} sees\n${pictures[differs]}`
  if (/fail|handshake|noaddr/.test(pictures[0]!)) return pictures[0]
  for (const { port } of nodes) {
    const info = await fields(port, 'CLUSTER', 'INFO')
    if (info['cluster_state'] !== 'ok') return `${port} has cluster_state:${info['cluster_state']}`
    const link = (await fields(port, 'INFO', 'replication'))['master_link_status']
    if (link === 'down') return `${port} has its replication link down`
  }
  return undefined
}

function picture(view: readonly NodeLine[]): string {
  const line = (n: NodeLine): string =>
    [
      n.id.slice(0, 8),
      n.port,
      n.flags.filter((flag) => flag !== 'myself'),
      n.primary?.slice(0, 8) ?? '-',
      n.slots.join(' '),
    ].join(' ')
  return view.map(line).sort().join('\n')
}

/** CLUSTER NODES as one node sees it. */
export async function nodeLines(port: number): Promise<NodeLine[]> {
  const text = String(await ask(port, 'CLUSTER', 'NODES'))
  return text.trimEnd().split('\n').map(parseNodeLine)
}

function parseNodeLine(line: string): NodeLine {
  const [id, address, flags, primary, , , epoch, link, ...slots] = line.split(' ')
  const port = /:(\d+)@/.exec(address ?? '')?.[1]
  assert(id?.length === 40 && port && flags && epoch && link, `not a CLUSTER NODES line: ${line}`)
  return {
    id,
    port: Number(port),
    flags: flags.split(','),
    primary: primary === '-' ? undefined : primary,
    epoch: Number(epoch),
    link,
    slots: slots.filter((text) => !text.startsWith('[')).map(parseRange),
    open: slots.filter((text) => text.startsWith('[')),
  }
}

function parseRange(text: string): readonly [number, number] {
  const [first, last = first] = text.split('-').map(Number)
  return [first!, last!]
}

/** What a node says of itself. */
export async function myself(node: Server): Promise<NodeLine> {
  const line = (await nodeLines(node.port)).find((n) => n.flags.includes('myself'))
  assert(line, `${node.port} does not list itself`)
  return line
}

/** How `observer` sees `node`; undefined when it does not know it. */
export async function lineOf(node: Server, observer: Server): Promise<NodeLine | undefined> {
  return (await nodeLines(observer.port)).find((n) => n.port === node.port)
}

const knownAt = async (id: string, nodes: readonly Server[]): Promise<number> => {
  const views = await Promise.all(nodes.map((node) => nodeLines(node.port)))
  return views.filter((lines) => lines.some((line) => line.id === id)).length
}

/** Nobody knows `id` now, nor at any time in the next `ms`. */
export async function staysGone(id: string, nodes: readonly Server[], ms: number): Promise<void> {
  await eventually(() => knownAt(id, nodes), { what: 'nobody knows it', withinMs: 5000, until: (n) => n === 0 })
  for (const until = performance.now() + ms; performance.now() < until; await sleep(100))
    assert.equal(await knownAt(id, nodes), 0, 'it came back')
}

export const myId = async (node: Server): Promise<string> => String(await ask(node.port, 'CLUSTER', 'MYID'))

/** "master" or "slave", as the node itself says. */
export async function roleOf(node: Server): Promise<string> {
  return (await fields(node.port, 'INFO', 'replication'))['role'] ?? ''
}

/** Waits until a node says that it is a primary. */
export const leads = (node: Server, withinMs = 20_000): Promise<string> =>
  eventually(() => roleOf(node), {
    what: `${node.kind} at ${node.port} is a primary`,
    withinMs,
    until: (role) => role === 'master',
  })

/** Number of slots in a node line. */
export const slotCount = (line: NodeLine): number =>
  line.slots.reduce((sum, [first, last]) => sum + last - first + 1, 0)

/** A key in `slot`, found by trying; the same one each time. `nth` gives further ones. */
export function keyIn(slot: number, nth = 0): string {
  return `{${tagIn(slot)}}${nth}`
}

const tags = new Map<number, string>()

/** A hash tag whose keys fall into `slot`. */
export function tagIn(slot: number): string {
  for (let i = tags.size; !tags.has(slot); i++) {
    const tag = `t${i}`
    const hit = slotOf(Buffer.from(tag))
    if (!tags.has(hit)) tags.set(hit, tag)
  }
  return tags.get(slot)!
}
