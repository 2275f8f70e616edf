/** How long a slot is without service when its primary is killed, and when an operator asks for a failover:
 *
 *      npm run bench:failover [-- --rounds 5 --node-timeout 2000 --clusters ours,redis,mixed]
 *
 *  Three primaries with a replica each, one client that increments one key as fast as it can and remembers every answer.
 *  The gap is the longest time between two answers. In the mixed cluster real primaries are the voters and the replicas
 *  are ours: detection is theirs, what comes after it ours. Needs redis-server. */
import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { ask, type Client, connect } from '../test/support/client.ts'
import { type Cluster, keyIn, roleOf, settled, startCluster } from '../test/support/cluster.ts'
import { eventually, sleep } from '../test/support/eventually.ts'
import { type Kind, type Server, stopEverything } from '../test/support/process.ts'
import { median } from './support/median.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    'node-timeout': { type: 'string', default: '2000' },
    clusters: { type: 'string', default: 'ours,redis,mixed' },
  },
})
const ROUNDS = Number(options.rounds)
const NODE_TIMEOUT_MS = Number(options['node-timeout'])

/** The program of each node: primaries first. */
const CLUSTERS: Readonly<Record<string, readonly Kind[]>> = {
  ours: ['rookery'],
  redis: ['redis'],
  mixed: ['redis', 'redis', 'redis', 'rookery', 'rookery', 'rookery'],
}

const PACE_MS = 1
/** A server that does not answer for so long is taken for dead, and another one is asked. */
const PATIENCE_MS = 200
const SETTLE_MS = 500

interface Probe {
  /** Longest time without an answer since `reset`. */
  readonly gapMs: () => number
  reset(): void
  /** How many increments were acknowledged and are gone. */
  stop(): Promise<number>
}

/** Increments `key` on whoever serves it. */
async function probe(ports: readonly number[], key: string): Promise<Probe> {
  let port = ports[0]!
  let [gapMs, lastAt, acknowledged, value, running] = [0, performance.now(), 0, 0, true]
  let client: Client | undefined
  const increment = async (): Promise<void> => {
    client ??= await connect(port, PATIENCE_MS)
    const reply = await client.outcome('INCR', key)
    const moved = /^MOVED \d+ [^:]*:(\d+)/.exec(reply)?.[1]
    if (!/^\d+$/.test(reply)) throw Object.assign(new Error(reply), { moved: Number(moved ?? 0) })
    const now = performance.now()
    gapMs = Math.max(gapMs, now - lastAt)
    lastAt = now
    acknowledged++
    value = Number(reply)
    await sleep(PACE_MS)
  }
  const elsewhere = async (error: unknown): Promise<void> => {
    client?.close()
    client = undefined
    const moved = error instanceof Error && 'moved' in error ? Number(error.moved) : 0
    port = moved || ports[(ports.indexOf(port) + 1) % ports.length]!
    if (moved === 0) await sleep(PACE_MS)
  }
  const loop = (async () => {
    while (running) await increment().catch(elsewhere)
  })()
  await eventually(async () => acknowledged > 10, { what: 'the probe is served', withinMs: 5000 })
  return {
    gapMs: () => Math.max(gapMs, performance.now() - lastAt),
    reset() {
      gapMs = 0
    },
    async stop() {
      running = false
      await loop
      client?.close()
      return Math.max(0, acknowledged - value)
    },
  }
}

interface Sample {
  readonly gapMs: number
  readonly lost: number
}

/** Lets `disturb` take the first shard from one node to another, and measures what a client notices of it. */
async function measure(cluster: Cluster, from: Server, to: Server, disturb: () => Promise<unknown>): Promise<Sample> {
  const key = keyIn(0)
  await ask(from.port, 'DEL', key)
  const client = await probe(
    [from, ...cluster.nodes.filter((node) => node !== from)].map(({ port }) => port),
    key,
  )
  await sleep(SETTLE_MS)
  client.reset()
  await disturb()
  await eventually(() => roleOf(to), {
    what: 'the replica is a primary',
    withinMs: 10 * NODE_TIMEOUT_MS + 10_000,
    until: (role) => role === 'master',
  })
  await sleep(SETTLE_MS)
  const gapMs = client.gapMs()
  return { gapMs, lost: await client.stop() }
}

/** An operator's failover to `to`. Voters vote only once in two node timeouts about one primary, so it may need patience. */
async function handOver(cluster: Cluster, from: Server, to: Server): Promise<Sample> {
  await settled(cluster.nodes)
  await sleep(2 * NODE_TIMEOUT_MS + SETTLE_MS)
  return measure(cluster, from, to, () => ask(to.port, 'CLUSTER', 'FAILOVER'))
}

async function crash(cluster: Cluster, from: Server, to: Server): Promise<Sample> {
  await settled(cluster.nodes)
  await sleep(2 * NODE_TIMEOUT_MS + SETTLE_MS)
  const sample = await measure(cluster, from, to, () => from.kill())
  await from.restart()
  return sample
}

async function run(name: string): Promise<string[]> {
  const kinds = CLUSTERS[name]
  assert(kinds, `--clusters knows ${Object.keys(CLUSTERS).join(', ')}, not ${name}`)
  const cluster = await startCluster({ kinds, replicas: 1, nodeTimeoutMs: NODE_TIMEOUT_MS })
  const [first, second] = [cluster.primaries[0]!, cluster.replicas[0]![0]!]
  const killed: Sample[] = []
  const asked: Sample[] = []
  for (let round = 0; round < ROUNDS; round++) {
    killed.push(await crash(cluster, first, second))
    await handOver(cluster, second, first)
    asked.push(await handOver(cluster, first, second))
    await handOver(cluster, second, first)
  }
  await stopEverything()
  const gaps = killed.map(({ gapMs }) => gapMs)
  const lost = [...killed, ...asked].reduce((sum, sample) => sum + sample.lost, 0)
  const cells = [
    median(gaps),
    Math.max(...gaps),
    median(gaps) - NODE_TIMEOUT_MS,
    median(asked.map(({ gapMs }) => gapMs)),
  ]
  return [name, ...cells.map((ms) => ms.toFixed(0)), String(lost)]
}

const table = new Table({
  head: ['cluster', 'killed: median ms', 'longest ms', 'median beyond node timeout', 'asked: median ms', 'lost writes'],
  style: { head: [], border: [] },
})
// The servers of test/support do not keep a process from ending; while their end is awaited nothing else does.
const awake = setInterval(() => {}, 60_000)
try {
  for (const name of options.clusters.split(',')) table.push(await run(name))
  process.stdout.write(`node timeout ${NODE_TIMEOUT_MS} ms, ${ROUNDS} rounds\n${table.toString()}\n`)
} finally {
  await stopEverything()
  clearInterval(awake)
}
