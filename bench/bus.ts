/** What a pong costs, with 3 and with 100 gossip entries, in a cluster of 1000 nodes: encoding it, decoding it, and taking
 *  it in when it says nothing new:
 *
 *      npm run bench:bus [-- --seconds 1]
 *
 *  Bytes allocated for a message are counted between two collections, which needs --expose-gc. */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { decode, encode, isRefusal } from '../bus/codec.ts'
import { NODE_FLAGS } from '../bus/layout.ts'
import type { GossipEntry, Message } from '../bus/message.ts'
import { writeSection } from '../bus/section.ts'
import { type Cluster, type ClusterNode, createNode } from '../bus/state.ts'
import { step } from '../bus/step.ts'
import { addNode } from '../bus/table.ts'
import type { NodeId } from '../lib/base/brand.ts'
import { addRow, makeCluster, messageFrom } from '../test/bus/hand-made.ts'

const { values: options } = parseArgs({ options: { seconds: { type: 'string', default: '1' } } })
const SECONDS = Number(options.seconds)
const NODES = 1000
/** So many messages between two looks at the clock, and for the count of bytes: few enough for the young generation. */
const BATCH = 50

interface Cost {
  readonly perSecond: number
  readonly bytesEach: number
}

/** Runs `work` for the time of the bench. */
function measure(work: () => unknown): Cost {
  for (let i = 0; i < 20 * BATCH; i++) work()
  global.gc?.()
  const before = process.memoryUsage()
  for (let i = 0; i < BATCH; i++) work()
  const after = process.memoryUsage()
  const bytes = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  let count = 0
  const start = cpuSeconds()
  while (cpuSeconds() - start < SECONDS) for (let i = 0; i < BATCH; i++, count++) work()
  return { perSecond: count / (cpuSeconds() - start), bytesEach: bytes / BATCH }
}

/** What this process has used, which other processes do not change much. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** A cluster of primaries, and one of them that we have links to. */
function scene(): { c: Cluster; sender: ClusterNode } {
  const c = makeCluster()
  const sender = addRow(c, 's')
  while (c.nodes.size < NODES) {
    const node = createNode(c, c.random.hex(40) as NodeId)
    addNode(c, Object.assign(node, { ip: `10.0.0.${c.nodes.size % 250}`, port: 7000, busPort: 17000 }))
  }
  return { c, sender }
}

function mentioning(c: Cluster, sender: ClusterNode, count: number): Message {
  const others = [...c.nodes.values()].filter((node) => node !== sender && node !== c.myself).slice(0, count)
  const gossip = others.map(
    ({ id, ip, port, busPort }): GossipEntry => ({
      ...{ id, ip, port, busPort },
      ...{ pingSentSec: 0, pongReceivedSec: 0, flags: NODE_FLAGS.primary, otherPort: 0 },
    }),
  )
  return messageFrom(sender, { type: 'pong', gossip: writeSection(gossip), extensions: [] })
}

const { c, sender } = scene()
const table = new Table({
  head: ['entries', 'work', 'messages per second of CPU', 'bytes allocated each'],
  style: { head: [], border: [] },
})
for (const entries of [3, 100]) {
  const message = mentioning(c, sender, entries)
  const frame = encode(message)
  const link = sender.outbound!.id
  const rows: Readonly<Record<string, () => unknown>> = {
    encode: () => encode(message),
    decode: () => decode(frame),
    'decode and take in': () => {
      const decoded = decode(frame)
      if (isRefusal(decoded)) throw new Error(decoded.refused)
      return step(c, { type: 'message', link, message: decoded }, c.now)
    },
  }
  for (const [name, work] of Object.entries(rows)) {
    const { perSecond, bytesEach } = measure(work)
    table.push([entries, name, perSecond.toFixed(0), global.gc ? bytesEach.toFixed(0) : '-'])
  }
}
process.stdout.write(`${frameSizes()}\n${table.toString()}\n`)

function frameSizes(): string {
  const sizes = [3, 100].map(
    (entries) => `${encode(mentioning(c, sender, entries)).length} bytes with ${entries} entries`,
  )
  return `a pong has ${sizes.join(', ')}`
}
