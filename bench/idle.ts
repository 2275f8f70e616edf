/** What an idle cluster of real processes costs, and whether it stands still: each node's bus messages, bytes and CPU.
 *
 *      npm run bench:idle [-- --nodes 6 --seconds 20 --node-timeout 15000 --kinds rookery,redis]
 *      npm run bench:idle -- --nodes 60 --seconds 60 --node-timeout 5000 --kinds rookery
 *
 *  Half of the nodes are primaries, each with a replica. Messages and CPU are what the nodes count themselves (CLUSTER
 *  INFO, INFO cpu); bytes are the messages times the size of a ping. A node that is suspected at any look is an alarm.
 *  Needs redis-server for its kind. */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { GOSSIP_ENTRY_SIZE, HEADER_SIZE } from '../bus/layout.ts'
import { closeClients, fields } from '../test/support/client.ts'
import { startCluster } from '../test/support/cluster.ts'
import { sleep } from '../test/support/eventually.ts'
import type { Kind, Server } from '../test/support/process.ts'

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '6' },
    seconds: { type: 'string', default: '20' },
    'node-timeout': { type: 'string', default: '15000' },
    kinds: { type: 'string', default: 'rookery,redis' },
  },
})
const NODES = Number(options.nodes)
const SECONDS = Number(options.seconds)
const NODE_TIMEOUT_MS = Number(options['node-timeout'])
const LOOK_EVERY_MS = 2000
/** Between ours: the shard id. */
const EXTENSIONS: Readonly<Record<Kind, number>> = { rookery: 48, redis: 0 }

/** A ping mentions a tenth of the nodes and at least three. */
const pingSize = (kind: Kind): number =>
  HEADER_SIZE + GOSSIP_ENTRY_SIZE * Math.max(3, Math.floor(NODES / 10)) + EXTENSIONS[kind]

interface Reading {
  readonly messages: number
  readonly cpuSeconds: number
}

async function read(nodes: readonly Server[]): Promise<Reading> {
  let [messages, cpuSeconds] = [0, 0]
  for (const { port } of nodes) {
    const info = await fields(port, 'CLUSTER', 'INFO')
    const cpu = await fields(port, 'INFO', 'cpu')
    messages += Number(info['cluster_stats_messages_sent'])
    cpuSeconds += Number(cpu['used_cpu_user']) + Number(cpu['used_cpu_sys'])
  }
  return { messages, cpuSeconds }
}

/** How many nodes see the cluster in another state than ok, or slots of a node that is suspected. */
async function countAlarms(nodes: readonly Server[]): Promise<number> {
  const infos = await Promise.all(nodes.map(({ port }) => fields(port, 'CLUSTER', 'INFO')))
  return infos.filter((info) => info['cluster_state'] !== 'ok' || info['cluster_slots_ok'] !== '16384').length
}

const table = new Table({
  head: ['nodes', 'program', 'messages/s', 'kB/s', 'CPU %', 'alarms'],
  style: { head: [], border: [] },
})
for (const kind of options.kinds.split(',') as Kind[]) table.push([NODES, kind, ...(await measure(kind))])
closeClients()
process.stdout.write(`each node, over ${SECONDS} s, node timeout ${NODE_TIMEOUT_MS} ms\n${table.toString()}\n`)

async function measure(kind: Kind): Promise<(string | number)[]> {
  const shards = Math.ceil(NODES / 2)
  const nodeTimeoutMs = NODE_TIMEOUT_MS
  const { nodes } = await startCluster({ kinds: [kind], primaries: shards, replicas: 1, nodeTimeoutMs })
  await sleep(2 * LOOK_EVERY_MS)
  const start = performance.now()
  const before = await read(nodes)
  let alarms = 0
  while (performance.now() - start < SECONDS * 1000) {
    await sleep(LOOK_EVERY_MS)
    alarms += await countAlarms(nodes)
  }
  const after = await read(nodes)
  const seconds = (performance.now() - start) / 1000
  const messages = (after.messages - before.messages) / nodes.length / seconds
  const cpu = (after.cpuSeconds - before.cpuSeconds) / nodes.length / seconds
  for (const node of nodes) node.abandon()
  return [messages.toFixed(2), ((messages * pingSize(kind)) / 1000).toFixed(1), (cpu * 100).toFixed(2), alarms]
}
