/** How fast `redis-cli --cluster reshard` moves slots with their keys, while nobody disturbs it:
 *
 *      npm run bench:reshard [-- --keys 100000 --slots 1000 --rounds 3]
 *
 *  Three primaries of ours, then three redis-servers, in turn. Needs redis-server and redis-cli. */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { slotOf } from '../lib/base/slot.ts'
import { clusterTool } from '../test/support/cli.ts'
import { ask } from '../test/support/client.ts'
import { firstSlot, myId, startCluster } from '../test/support/cluster.ts'
import { type Kind, stopEverything } from '../test/support/process.ts'
import { fill } from './support/filling.ts'
import { median } from './support/median.ts'
import { run } from './support/run.ts'

const { values: options } = parseArgs({
  options: {
    keys: { type: 'string', default: '100000' },
    slots: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
  },
})
const NODES = 3
const VALUE = 'v'.repeat(64)

interface Speed {
  readonly keys: number
  readonly slots: number
  /** Of all nodes, for each slot. */
  readonly cpuMicros: number
}

/** Moves slots from the first of three nodes to the second: how many a second. */
async function reshard(kind: Kind): Promise<Speed> {
  const { primaries } = await startCluster({ kinds: [kind], primaries: NODES })
  const [from, to] = [primaries[0]!, primaries[1]!]
  const names = Array.from({ length: Number(options.keys) }, (_, i) => `key:${i}`)
  const own = primaries.map((_, i) =>
    names.filter((name) => {
      const slot = slotOf(Buffer.from(name))
      return slot >= firstSlot(i, NODES) && slot < firstSlot(i + 1, NODES)
    }),
  )
  await Promise.all(primaries.map(({ port }, i) => fill(port, own[i]!.length, (at) => ['SET', own[i]![at]!, VALUE])))
  const before = Number(await ask(from.port, 'DBSIZE'))
  const [source, target] = [await myId(from), await myId(to)]
  const cpuBefore = await cpuMicros(primaries)
  const startedAt = performance.now()
  await clusterTool(
    'reshard',
    ...[from.address, '--cluster-from', source, '--cluster-to', target],
    ...['--cluster-slots', options.slots, '--cluster-pipeline', 100],
  )
  const seconds = (performance.now() - startedAt) / 1000
  const moved = before - Number(await ask(from.port, 'DBSIZE'))
  const cpu = (await cpuMicros(primaries)) - cpuBefore
  await stopEverything()
  const slots = Number(options.slots)
  return { keys: moved / seconds, slots: slots / seconds, cpuMicros: cpu / slots }
}

async function cpuMicros(nodes: readonly { readonly port: number }[]): Promise<number> {
  let sum = 0
  for (const { port } of nodes)
    for (const [, seconds] of String(await ask(port, 'INFO', 'cpu')).matchAll(/used_cpu_(?:user|sys):([\d.]+)/g))
      sum += Number(seconds) * 1e6
  return sum
}

await run(async () => {
  const speeds: Readonly<Record<Kind, Speed[]>> = { rookery: [], redis: [] }
  for (let round = 0; round < Number(options.rounds); round++)
    for (const kind of ['rookery', 'redis'] as const) speeds[kind].push(await reshard(kind))
  const table = new Table({ head: ['', 'keys/s', 'slots/s', 'CPU us/slot'], style: { head: [], border: [] } })
  const columns = ['keys', 'slots', 'cpuMicros'] as const
  for (const [kind, all] of Object.entries(speeds))
    table.push([kind, ...columns.map((what) => median(all.map((one) => one[what])).toFixed(0))])
  process.stdout.write(`${table.toString()}\n`)
})
