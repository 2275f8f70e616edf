/** INFO: what a node tells about itself, section by section, in a real server's words and order. What has no meaning here is
 *  left out, unless a real server too prints it as a plain zero when it is not in use. */

import type { CommandEntry } from '../commands/table.ts'
import { replicationRows } from '../replication/info.ts'
import { waitsByWish } from './blocking.ts'
import type { Client } from './client.ts'
import { cpuTime, executable, osName, pid } from './machine.ts'
import { memoryRows } from './memory-info.ts'
import type { Server } from './server.ts'
import { REDIS_VERSION } from './version.ts'

export type Rows = readonly (readonly [name: string, value: string | number])[]

interface Section {
  /** The words that ask for it. */
  readonly words: readonly string[]
  readonly title: string
  /** Part of INFO without arguments. */
  readonly usual: boolean
  readonly rows: (server: Server) => Rows
}

/** One row for each section, in the order in which they are printed. */
const SECTIONS: readonly Section[] = [
  { words: ['server'], title: 'Server', usual: true, rows: serverRows },
  { words: ['clients'], title: 'Clients', usual: true, rows: clientRows },
  { words: ['memory'], title: 'Memory', usual: true, rows: memoryRows },
  { words: ['persistence'], title: 'Persistence', usual: true, rows: persistenceRows },
  { words: ['stats'], title: 'Stats', usual: true, rows: statsRows },
  {
    words: ['replication'],
    title: 'Replication',
    usual: true,
    rows: ({ replication, config, now }) => replicationRows(replication, config.values, now),
  },
  { words: ['cpu'], title: 'CPU', usual: true, rows: cpuRows },
  { words: ['modules', 'module_list'], title: 'Modules', usual: true, rows: () => [] },
  { words: ['commandstats'], title: 'Commandstats', usual: false, rows: commandRows },
  { words: ['errorstats'], title: 'Errorstats', usual: true, rows: errorRows },
  { words: ['latencystats'], title: 'Latencystats', usual: false, rows: latencyRows },
  {
    words: ['cluster'],
    title: 'Cluster',
    usual: true,
    rows: ({ cluster }) => [['cluster_enabled', cluster === undefined ? 0 : 1]],
  },
  { words: ['keyspace'], title: 'Keyspace', usual: true, rows: keyspaceRows },
]

/** The text of INFO for these section names (lowercase); none means the usual ones. Unknown names are passed over. */
export function infoText(server: Server, names: readonly string[]): string {
  const wanted = new Set(names.length === 0 ? ['default'] : names)
  const everything = wanted.has('all') || wanted.has('everything')
  const usual = wanted.has('default')
  return SECTIONS.filter(
    (section) => everything || (usual && section.usual) || section.words.some((word) => wanted.has(word)),
  )
    .map(({ title, rows }) => {
      const lines = rows(server).map(([name, value]) => `${name}:${value}\r\n`)
      return `# ${title}\r\n${lines.join('')}`
    })
    .join('\r\n')
}

function serverRows(server: Server): Rows {
  const { values, file } = server.config
  const uptime = Math.floor((server.now - server.startedAt) / 1000)
  return [
    ['redis_version', REDIS_VERSION],
    ['rookery_version', server.version],
    ['redis_git_sha1', '00000000'],
    ['redis_git_dirty', 0],
    ['redis_build_id', 0],
    ['redis_mode', server.cluster === undefined ? 'standalone' : 'cluster'],
    ['os', osName],
    ['arch_bits', 64],
    ['monotonic_clock', 'node performance.now'],
    ['multiplexing_api', 'libuv'],
    ['atomicvar_api', 'none'],
    ['gcc_version', '0.0.0'],
    ['process_id', pid],
    ['process_supervised', 'no'],
    ['run_id', server.runId],
    ['tcp_port', values.port],
    ['server_time_usec', server.now * 1000],
    ['uptime_in_seconds', uptime],
    ['uptime_in_days', Math.floor(uptime / 86_400)],
    ['hz', values.hz],
    ['configured_hz', values.hz],
    ['lru_clock', Math.floor(server.now / 1000) & 0xffffff],
    ['executable', executable],
    ['config_file', file ?? ''],
    ['io_threads_active', 0],
  ]
}

function clientRows(server: Server): Rows {
  const clients = [...server.clients.values()]
  const most = (measure: (client: Client) => number): number => Math.max(0, ...clients.map(measure))
  return [
    ['connected_clients', clients.filter((client) => !client.replica).length],
    ['cluster_connections', server.cluster?.view.links.size ?? 0],
    ['maxclients', server.config.values.maxclients],
    ['client_recent_max_input_buffer', most((client) => client.parser.pending)],
    ['client_recent_max_output_buffer', most((client) => client.wire.buffered)],
    ['blocked_clients', clients.filter(waitsByWish).length],
    ['tracking_clients', server.tracking.counts.clients],
    [
      'clients_in_timeout_table',
      clients.filter(({ blocked }) => blocked !== undefined && blocked.timeoutAt > 0).length,
    ],
  ]
}

function persistenceRows({ persistence, loading }: Server): Rows {
  return persistence?.rows(loading) ?? [['loading', loading ? 1 : 0]]
}

function statsRows(server: Server): Rows {
  const { stats, keyspace, pubsub, replication, tracking, eviction } = server
  const { rates } = stats
  const sync = replication.primary.stats
  return [
    ['total_connections_received', stats.connections],
    ['total_commands_processed', stats.commands],
    ['instantaneous_ops_per_sec', Math.round(rates.commands)],
    ['total_net_input_bytes', stats.inputBytes],
    ['total_net_output_bytes', stats.outputBytes],
    ['total_net_repl_input_bytes', stats.replicationInputBytes],
    ['total_net_repl_output_bytes', stats.replicationOutputBytes],
    ['instantaneous_input_kbps', rates.input.toFixed(2)],
    ['instantaneous_output_kbps', rates.output.toFixed(2)],
    ['instantaneous_input_repl_kbps', rates.replicationInput.toFixed(2)],
    ['instantaneous_output_repl_kbps', rates.replicationOutput.toFixed(2)],
    ['rejected_connections', stats.rejectedConnections],
    ['sync_full', sync.full],
    ['sync_partial_ok', sync.partialOk],
    ['sync_partial_err', sync.partialRefused],
    ['expired_keys', keyspace.stats.expired],
    ['expired_stale_perc', '0.00'],
    ['expired_time_cap_reached_count', 0],
    ['expire_cycle_cpu_milliseconds', 0],
    ['evicted_keys', keyspace.stats.evicted],
    ['evicted_clients', stats.evictedClients],
    ['total_eviction_exceeded_time', Math.floor(eviction.exceeded.total / 1000)],
    ['current_eviction_exceeded_time', Math.floor(eviction.exceeded.current / 1000)],
    ['keyspace_hits', keyspace.stats.hits],
    ['keyspace_misses', keyspace.stats.misses],
    ['pubsub_channels', pubsub.size('channel')],
    ['pubsub_patterns', pubsub.size('pattern')],
    ['pubsubshard_channels', pubsub.size('shard')],
    ['latest_fork_usec', 0],
    ['total_forks', 0],
    ['migrate_cached_sockets', 0],
    ['slave_expires_tracked_keys', 0],
    ['active_defrag_hits', 0],
    ['active_defrag_misses', 0],
    ['active_defrag_key_hits', 0],
    ['active_defrag_key_misses', 0],
    ['total_active_defrag_time', 0],
    ['current_active_defrag_time', 0],
    ['tracking_total_keys', tracking.counts.keys],
    ['tracking_total_items', tracking.counts.items],
    ['tracking_total_prefixes', tracking.counts.prefixes],
    ['unexpected_error_replies', 0],
    ['total_error_replies', stats.errorReplies],
    ['dump_payload_sanitizations', 0],
    ['total_reads_processed', stats.reads],
    ['total_writes_processed', stats.writes],
    ['io_threaded_reads_processed', 0],
    ['io_threaded_writes_processed', 0],
    ['reply_buffer_shrinks', 0],
    ['reply_buffer_expands', 0],
  ]
}

function cpuRows(): Rows {
  const { user, system } = cpuTime()
  return [
    ['used_cpu_sys', system.toFixed(6)],
    ['used_cpu_user', user.toFixed(6)],
    ['used_cpu_sys_children', '0.000000'],
    ['used_cpu_user_children', '0.000000'],
    ['used_cpu_sys_main_thread', system.toFixed(6)],
    ['used_cpu_user_main_thread', user.toFixed(6)],
  ]
}

/** Commands that were called or refused at least once. */
function commandRows(server: Server): Rows {
  const rows: [string, string][] = []
  const add = ({ fullName, stats }: CommandEntry): void => {
    const { calls, micros, rejected, failed } = stats
    if (calls + rejected + failed === 0) return
    const mean = calls === 0 ? 0 : micros / calls
    rows.push([
      `cmdstat_${fullName}`,
      `calls=${calls},usec=${Math.round(micros)},usec_per_call=${mean.toFixed(2)},rejected_calls=${rejected},failed_calls=${failed}`,
    ])
  }
  for (const entry of server.commands.entries.values()) {
    add(entry)
    for (const sub of entry.subcommands?.values() ?? []) add(sub)
  }
  return rows
}

/** Percentiles of what latency-tracking has seen, in microseconds. */
function latencyRows({ commands, config }: Server): Rows {
  const percentiles = config.values.latencyTrackingInfoPercentiles
  const rows: [string, string][] = []
  for (const { fullName, stats } of commands.all()) {
    const { latency } = stats
    if (latency === undefined) continue
    const parts = percentiles.map((percent) => `p${percent}=${(latency.percentile(percent) / 1000).toFixed(3)}`)
    rows.push([`latency_percentiles_usec_${fullName}`, parts.join(',')])
  }
  return rows
}

function errorRows({ stats }: Server): Rows {
  const sorted = [...stats.errors].sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.map(([prefix, count]) => [`errorstat_${prefix}`, `count=${count}`])
}

function keyspaceRows({ keyspace }: Server): Rows {
  const filled = keyspace.databases.filter((db) => db.size > 0)
  return filled.map((db) => [`db${db.index}`, `keys=${db.size},expires=${db.expiring},avg_ttl=0`])
}
