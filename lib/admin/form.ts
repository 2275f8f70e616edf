/** Forming a cluster out of empty nodes: slots in even shares, one MEET each, replicas where they belong. */
import { SLOT_COUNT } from '../base/brand.ts'
import { Connection } from '../client/connection.ts'
import { type Address, fields, readNode } from './topology.ts'

export interface Layout {
  readonly primaries: number
  /** For each primary. */
  readonly replicas: number
}

/** The share of slots of primary `i` of `n`, inclusive: as even as `redis-cli --cluster create` makes them. */
export function slotShare(i: number, n: number): readonly [number, number] {
  const perNode = SLOT_COUNT / n
  const first = Math.round(i * perNode)
  return [first, i === n - 1 ? SLOT_COUNT - 1 : Math.round((i + 1) * perNode) - 1]
}

/** Makes one cluster of these nodes, which must hold no keys; what they know of each other is forgotten first. The first `primaries` own the slots, the others replicate them in
 *  turn. `settle` waits between the steps until a condition holds. Returns before the nodes agree; see `whyNotReady`. */
export async function formCluster(
  addresses: readonly Address[],
  layout: Layout,
  settle: (what: string, holds: () => Promise<boolean>) => Promise<void>,
): Promise<void> {
  const connections = await Promise.all(addresses.map((address) => Connection.open({ ...address, timeoutMs: 10_000 })))
  try {
    await Promise.all(connections.map(clear))
    await Promise.all(connections.map((node, i) => node.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)))
    const primaries = connections.slice(0, layout.primaries)
    await Promise.all(
      primaries.map((node, i) => node.call('CLUSTER', 'ADDSLOTSRANGE', ...slotShare(i, layout.primaries))),
    )
    const [first, ...others] = addresses
    await Promise.all(others.map(({ host, port }) => connections[0]!.call('CLUSTER', 'MEET', host, port)))
    await settle('every node knows every other', async () => {
      const reports = await Promise.all(addresses.map((address) => readNode(address, 5000)))
      return reports.every(
        (report) => report.nodes.filter((row) => !row.flags.has('handshake')).length === reports.length,
      )
    })
    const { nodes } = await readNode(first!, 5000)
    const ids = addresses.map((address) => nodes.find((row) => row.port === address.port)!.id)
    await Promise.all(
      connections
        .slice(layout.primaries)
        .map((node, i) => node.call('CLUSTER', 'REPLICATE', ids[i % layout.primaries]!)),
    )
  } finally {
    for (const connection of connections) connection.close()
  }
}

/** Takes back what a forming that was interrupted has done. Rejects for a primary with keys: those are somebody's. */
async function clear(node: Connection): Promise<void> {
  const info = fields(await node.text('CLUSTER', 'INFO'))
  const isNew =
    info['cluster_known_nodes'] === '1' && info['cluster_slots_assigned'] === '0' && info['cluster_my_epoch'] === '0'
  if (!isNew) await node.call('CLUSTER', 'RESET', 'HARD')
}
