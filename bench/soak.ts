/** A mixed cluster under load and faults for many minutes, with a memory of every acknowledged write:
 *
 *      npm run soak [-- minutes [seed]]
 *
 *  Three primaries, a replica of the other kind for each, and a spare node. ioredis and node-redis increment counters all the time,
 *  one group of them with WAIT 1 after each write. Faults follow each other, drawn from a seed that is printed first. At the end
 *  every counter is compared with what its client remembers. Exits with 1 when a confirmed write is gone, when an acknowledged one is
 *  gone that no fault excuses, or when a client met an error while nothing was broken. Needs redis-server and redis-cli. */
import assert from 'node:assert/strict'
import Table from 'cli-table3'
import { type Random, seededRandom, systemRandom } from '../lib/base/random.ts'
import { ask } from '../test/support/client.ts'
import { type Cluster, settled } from '../test/support/cluster.ts'
import { sleep } from '../test/support/eventually.ts'
import { type Network, startNetwork } from '../test/support/network.ts'
import { logTails } from '../test/support/process.ts'
import { closeRelays } from '../test/support/relay.ts'
import { run } from './support/run.ts'
import { CALM, type Clients, startClients, type Toll } from './support/soak-clients.ts'
import { cast, FAULTS, type Fault, NODE_TIMEOUT_MS, oneOf } from './support/soak-faults.ts'

const MINUTES = Number(process.argv[2] ?? 20)
const SEED = Number(process.argv[3] ?? systemRandom.below(2 ** 31))
assert(MINUTES > 0 && Number.isSafeInteger(SEED), 'usage: npm run soak [-- minutes [seed]]')

/** Two node timeouts, in which voters do not vote about the same primary again, and a little more. */
const CALM_MS = 2 * NODE_TIMEOUT_MS + 500
const SETTLE_LIMIT_MS = 60_000
const LOG_LINES = 25

/** Every fault that had its turn, in order. */
type Played = readonly Fault[]

async function startStage(): Promise<Network> {
  const network = await startNetwork({
    kinds: ['rookery', 'redis'],
    replicas: [2, 1, 1],
    nodeTimeoutMs: NODE_TIMEOUT_MS,
    // A write is on disk before it is acknowledged: who is killed and comes back as a primary has it.
    conf: { appendonly: 'yes', appendfsync: 'always', 'cluster-allow-replica-migration': 'no' },
  })
  await makeSpare(network)
  return network
}

/** Turns the second replica of the first shard into a primary without slots. */
async function makeSpare({ cluster, place }: Network): Promise<void> {
  const [first, spare] = [cluster.primaries[0]!, cluster.replicas[0]![1]!]
  await ask(spare.port, 'CLUSTER', 'RESET')
  const { data, bus } = place(first)
  await ask(spare.port, 'CLUSTER', 'MEET', '127.0.0.1', data.port, bus.port)
  await settled(cluster.nodes, SETTLE_LIMIT_MS)
}

/** Plays faults until the time is over. Throws when the cluster does not recover from one. */
async function torment(network: Network, clients: Clients, random: Random): Promise<Played> {
  const { cluster } = network
  const until = performance.now() + MINUTES * 60_000
  const played: Fault[] = []
  let deck: Fault[] = []
  while (performance.now() < until) {
    await sleep(CALM_MS)
    if (deck.length === 0) deck = shuffled(random, FAULTS)
    const fault = deck.pop()!
    const { shards, spare } = await cast(cluster.nodes)
    const shard = oneOf(random, shards)
    say(`${fault.name}: ${shard.primary.kind} leads ${shard.replica.kind} at ${shard.primary.port}`)
    clients.enter(fault.name)
    await fault.play({ network, random, shards, shard, spare })
    await recovered(cluster, clients)
    clients.enter(CALM)
    played.push(fault)
  }
  return played
}

async function recovered({ nodes }: Cluster, clients: Clients): Promise<void> {
  await settled(nodes, SETTLE_LIMIT_MS)
  await clients.everyCounterMoves(SETTLE_LIMIT_MS)
}

function shuffled<T>(random: Random, all: readonly T[]): T[] {
  const left = [...all]
  return Array.from(all, () => left.splice(random.below(left.length), 1)[0]!)
}

const HEAD = [
  'cause',
  'times',
  'acknowledged',
  'confirmed',
  'lost',
  'of these confirmed',
  'noack',
  'in doubt',
  'gap ms',
]

function tableOf(tolls: ReadonlyMap<string, Toll>, played: Played): string {
  const table = new Table({ head: HEAD, style: { head: [], border: [] } })
  for (const [cause, toll] of tolls) {
    const times = played.filter(({ name }) => name === cause).length
    const { acknowledged, confirmed, lost, lostConfirmed, noack, inDoubt, longestGapMs } = toll
    const cells = [acknowledged, confirmed, lost, lostConfirmed, noack, inDoubt, longestGapMs.toFixed(0)]
    table.push([cause, times || '', ...cells])
  }
  return table.toString()
}

/** What must not have happened, in words; empty after a good run. */
function complaints(tolls: ReadonlyMap<string, Toll>): string[] {
  const found: string[] = []
  for (const [cause, { lost, lostConfirmed, errors }] of tolls) {
    const mayLose = FAULTS.some((fault) => fault.name === cause && fault.mayLose)
    if (lostConfirmed > 0) found.push(`${cause}: ${lostConfirmed} writes that a replica had confirmed are gone`)
    if (lost > 0 && !mayLose) found.push(`${cause}: ${lost} acknowledged writes are gone`)
    for (const [message, times] of errors)
      if (cause === CALM || !EXPECTED.test(message)) found.push(`${cause}: ${times} x ${message}`)
  }
  return found
}

/** What a client may meet while a primary is replaced, a slot moves or a node is away; the library's name goes before it. */
const EXPECTED = new RegExp(
  [
    'no answer in',
    'CLUSTERDOWN',
    'MOVED',
    'ASK',
    'TRYAGAIN',
    'READONLY',
    'LOADING',
    'ECONNRE(FUSED|SET)',
    'EPIPE',
    'Connection is closed',
    'Socket closed',
    'Disconnects client',
    'Failed to refresh slots cache',
    'Too many Cluster redirections',
    'Cluster(.)*(retries|reconnect)',
    'max retries per request',
  ].join('|'),
)

const startedAt = performance.now()
function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0).padStart(5)
  process.stdout.write(`${seconds} s  ${text}\n`)
}

async function soak(): Promise<void> {
  say(`seed ${SEED}, ${MINUTES} minutes`)
  const network = await startStage()
  const clients = await startClients(network.place(network.cluster.nodes[0]!).data.port, CALM)
  try {
    await clients.everyCounterMoves(SETTLE_LIMIT_MS)
    const played = await torment(network, clients, seededRandom(SEED))
    clients.enter('the comparison at the end')
    await clients.stop()
    say(`${played.length} faults\n${tableOf(clients.tolls, played)}`)
    const found = complaints(clients.tolls)
    say(found.length === 0 ? 'nothing was lost that must not be' : found.join('\n'))
    if (found.length > 0) process.exitCode = 1
  } catch (error) {
    say(`${tableOf(clients.tolls, [])}\n${logTails(LOG_LINES)}`)
    throw error
  } finally {
    closeRelays()
  }
}

await run(soak)
