/** A cluster as its nodes describe it: read from every node, compared, and judged ready or not with the reason. */
import { type NodeRow, parseNodesText } from '../../bus/view.ts'
import { Connection } from '../client/connection.ts'

/** Where a node's client port is. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** What one node says of itself and of the others. */
export interface NodeReport {
  readonly address: Address
  readonly id: string
  readonly state: 'ok' | 'fail'
  readonly nodes: readonly NodeRow[]
  /** INFO replication, by field. */
  readonly replication: Readonly<Record<string, string>>
}

export const addressText = (address: Address): string => `${address.host}:${address.port}`

/** Asks one node. Rejects when it does not answer within `timeoutMs`. */
export async function readNode(address: Address, timeoutMs: number): Promise<NodeReport> {
  const connection = await Connection.open({ ...address, timeoutMs })
  try {
    const [info, nodes, replication] = await Promise.all([
      connection.text('CLUSTER', 'INFO'),
      connection.text('CLUSTER', 'NODES'),
      connection.text('INFO', 'replication'),
    ])
    const rows = parseNodesText(nodes)
    const myself = rows.find((row) => row.flags.has('myself'))
    if (myself === undefined) throw new Error(`${addressText(address)} does not list itself in CLUSTER NODES`)
    return {
      address,
      id: myself.id,
      state: fields(info)['cluster_state'] === 'ok' ? 'ok' : 'fail',
      nodes: rows,
      replication: fields(replication),
    }
  } finally {
    connection.close()
  }
}

/** `name:value` lines. */
export function fields(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) found[line.slice(0, colon)] = line.slice(colon + 1)
  }
  return found
}

/** Why a cluster is not ready yet, in words; undefined when it is: every node knows exactly these nodes, all agree on the
 *  owner of every slot, all links are up, and every replica is in sync with its primary. */
export function whyNotReady(reports: readonly NodeReport[]): string | undefined {
  const expected = slotOwners(reports[0]!)
  for (const report of reports) {
    const why = whyNodeNotReady(report, reports, expected)
    if (why !== undefined) return `${addressText(report.address)} ${why}`
  }
  return undefined
}

const UNREACHABLE = ['fail', 'fail?', 'handshake', 'noaddr']

function whyNodeNotReady(report: NodeReport, reports: readonly NodeReport[], expected: string): string | undefined {
  for (const other of reports) {
    const row = report.nodes.find((candidate) => candidate.id === other.id)
    if (row === undefined) return `does not know ${addressText(other.address)} yet`
    if (UNREACHABLE.some((flag) => row.flags.has(flag)))
      return `cannot reach ${addressText(other.address)} (flags ${[...row.flags].join(',')}); is its bus port ${row.busPort} open?`
    if (!row.connected) return `has no link to the bus port ${row.busPort} of ${addressText(other.address)}`
  }
  if (report.nodes.length !== reports.length) return `knows ${report.nodes.length} nodes instead of ${reports.length}`
  if (report.state !== 'ok') return 'says cluster_state:fail'
  if (slotOwners(report) !== expected) return `does not agree with ${addressText(reports[0]!.address)} about the slots`
  const { replication } = report
  if (replication['role'] === 'slave' && replication['master_link_status'] !== 'up')
    return `is not in sync with its primary ${replication['master_host']}:${replication['master_port']}`
  const replicas = report.nodes.filter((row) => row.primary === report.id).length
  if (replication['role'] === 'master' && Number(replication['connected_slaves']) < replicas)
    return `has ${replication['connected_slaves']} of ${replicas} replicas attached`
  return undefined
}

/** Slots by owner, as text that is equal exactly when two nodes agree. */
function slotOwners(report: NodeReport): string {
  return report.nodes
    .map((row) => `${row.id} ${row.primary ?? '-'} ${row.slots.join(' ')}`)
    .sort()
    .join('\n')
}
