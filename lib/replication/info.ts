/** What INFO replication and ROLE tell. */
import type { Millis } from '../base/brand.ts'
import { type AttachedReplica, lagSeconds } from './attached.ts'
import type { ReplicaSide } from './replica.ts'
import type { Replication } from './role.ts'

type Rows = readonly (readonly [name: string, value: string | number])[]

/** Directives that only INFO shows. */
export interface InfoSettings {
  readonly replicaPriority: number
  readonly replicaReadOnly: boolean
  readonly replicaAnnounced: boolean
  readonly minReplicasToWrite: number
  readonly minReplicasMaxLag: number
}

/** The rows of INFO's section "Replication", in a real server's order. */
export function replicationRows(replication: Replication, settings: InfoSettings, now: Millis): Rows {
  const { stream, primary, link } = replication
  const good: Rows =
    settings.minReplicasToWrite > 0 && settings.minReplicasMaxLag > 0
      ? [['min_slaves_good_slaves', primary.good(now, settings.minReplicasMaxLag)]]
      : []
  return [
    ['role', link === undefined ? 'master' : 'slave'],
    ...(link === undefined ? [] : linkRows(link, stream.offset, settings, now)),
    ['connected_slaves', primary.replicas.length],
    ...good,
    ...primary.replicas.map((replica, i) => [`slave${i}`, replicaText(replica, now)] as const),
    ['master_failover_state', replication.failover.state],
    ['master_replid', stream.replid],
    ['master_replid2', stream.replid2],
    ['master_repl_offset', stream.offset],
    ['second_repl_offset', stream.secondOffset],
    ['repl_backlog_active', stream.hasBacklog ? 1 : 0],
    ['repl_backlog_size', stream.backlogSize],
    ['repl_backlog_first_byte_offset', stream.firstByteOffset],
    ['repl_backlog_histlen', stream.backlogLength],
  ]
}

function linkRows(link: ReplicaSide, offset: number, settings: InfoSettings, now: Millis): Rows {
  const secondsSince = (at: number): number => Math.floor(Math.max(0, now - at) / 1000)
  const { transfer } = link
  return [
    ['master_host', link.host],
    ['master_port', link.port],
    ['master_link_status', link.isUp ? 'up' : 'down'],
    ['master_last_io_seconds_ago', link.isUp ? secondsSince(link.lastIoAt) : -1],
    ['master_sync_in_progress', transfer === undefined ? 0 : 1],
    ['slave_read_repl_offset', link.readOffset],
    ['slave_repl_offset', offset],
    ...(transfer === undefined ? [] : transferRows(transfer, secondsSince(link.lastIoAt))),
    ...(link.isUp
      ? []
      : ([['master_link_down_since_seconds', link.downSince === 0 ? -1 : secondsSince(link.downSince)]] as const)),
    ['slave_priority', settings.replicaPriority],
    ['slave_read_only', settings.replicaReadOnly ? 1 : 0],
    ['replica_announced', settings.replicaAnnounced ? 1 : 0],
  ]
}

function transferRows({ total, received }: { total: number; received: number }, idleSeconds: number): Rows {
  return [
    ['master_sync_total_bytes', total],
    ['master_sync_read_bytes', received],
    ['master_sync_left_bytes', total - received],
    ['master_sync_perc', total === 0 ? '0.00' : ((received / total) * 100).toFixed(2)],
    ['master_sync_last_io_seconds_ago', idleSeconds],
  ]
}

function replicaText(replica: AttachedReplica, now: Millis): string {
  const { ip, facts, state, ackedOffset } = replica
  return `ip=${ip},port=${facts.listeningPort},state=${state},offset=${ackedOffset},lag=${lagSeconds(replica, now)}`
}

/** ROLE: the reply's elements. */
export type RoleReply =
  | readonly ['master', number, readonly (readonly [ip: string, port: string, offset: string])[]]
  | readonly ['slave', host: string, port: number, state: string, offset: number]

export function roleReply({ stream, primary, link }: Replication): RoleReply {
  if (link !== undefined) return ['slave', link.host, link.port, link.state, link.isUp ? stream.offset : -1]
  const online = primary.replicas.filter((replica) => replica.state === 'online')
  return [
    'master',
    stream.offset,
    online.map(({ ip, facts, ackedOffset }) => [ip, String(facts.listeningPort), String(ackedOffset)] as const),
  ]
}
