/** How far the bus scales: simulated clusters of the real core and codec, under our rules and under redis-server's:
 *
 *      npm run bench:scale [-- --nodes 10,100,300,1000 --rules ours,redis --node-timeout 15000 --seconds 15]
 *
 *  Bytes and messages are what one node sends. CPU is the time this process used (network and clock of the simulator
 *  included), divided by nodes and virtual seconds. Then one slot changes its owner, and then one primary, a tenth and a
 *  third of the shards' primaries crash, each at once. A world of 1000 nodes has a million links: it wants 4 GB, and time:
 *  each crash is told on stderr as soon as its primaries are replaced. */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { type Crowd, crashPrimaries, moveSlot, type Rules, startCrowd } from '../bus/sim/crowd.ts'

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '10,100,300,1000' },
    rules: { type: 'string', default: 'ours,redis' },
    'node-timeout': { type: 'string', default: '15000' },
    seconds: { type: 'string', default: '15' },
    /** Leaves the failures out. */
    'traffic-only': { type: 'boolean', default: false },
  },
})
const NODE_TIMEOUT_MS = Number(options['node-timeout'])
const WINDOW_MS = Number(options.seconds) * 1000
const PATIENCE_MS = 40 * NODE_TIMEOUT_MS
/** Shares of the primaries that crash at once; the first is one primary alone. */
const SHARES = [0, 0.1, 0.33]

const table = new Table({
  head: [
    'nodes',
    'rules',
    'kB/s',
    'messages/s',
    'CPU %',
    'slot known',
    'crash of',
    'detected',
    'replaced',
    'elections',
    'denied',
  ],
  style: { head: [], border: [] },
})
for (const nodes of options.nodes.split(',').map(Number)) {
  for (const rules of options.rules.split(',')) addRows(nodes, rules as Rules)
}
process.stdout.write(`node timeout ${NODE_TIMEOUT_MS} ms; ms are virtual\n${table.toString()}\n`)

function addRows(nodes: number, rules: Rules): void {
  const crowd = startCrowd(nodes / 2, rules, NODE_TIMEOUT_MS)
  const first = [nodes, rules, ...measureTraffic(crowd, nodes), Math.round(moveSlot(crowd, PATIENCE_MS))]
  process.stderr.write(`${nodes} nodes under the rules of ${rules}: ${first.slice(2).join(' ')}\n`)
  let next = 0
  for (const share of options['traffic-only'] ? [] : SHARES) {
    const count = Math.max(1, Math.floor(share * crowd.shards))
    if (next + count > crowd.shards - 2) break
    const victims = Array.from({ length: count }, () => next++)
    crowd.world.advance(NODE_TIMEOUT_MS)
    crowd.reset()
    const { detectedMs, replacedMs } = crashPrimaries(crowd, victims, PATIENCE_MS)
    const { elections, denied } = crowd.counters
    const head = share === 0 ? first : ['', '', '', '', '', '']
    process.stderr.write(
      `${nodes} ${rules}: ${count} crashed, FAIL after ${detectedMs.toFixed(0)}, replaced after ${replacedMs.toFixed(0)} ms, ${elections} elections\n`,
    )
    table.push([...head, count, Math.round(detectedMs), Math.round(replacedMs), elections, denied])
  }
  if (options['traffic-only']) table.push([...first, '-', '-', '-', '-', '-'])
}

/** kB/s, messages/s and CPU % of a node, once the start is forgotten. */
function measureTraffic({ world, counters, reset }: Crowd, nodes: number): string[] {
  world.advance(NODE_TIMEOUT_MS)
  reset()
  const before = process.cpuUsage()
  world.advance(WINDOW_MS)
  const { user, system } = process.cpuUsage(before)
  const perNodeSecond = (x: number): number => (x * 1000) / nodes / WINDOW_MS
  const { bytes, messages } = counters
  const share = perNodeSecond((user + system) / 1e6) * 100
  return [(perNodeSecond(bytes) / 1000).toFixed(1), perNodeSecond(messages).toFixed(2), share.toFixed(3)]
}
