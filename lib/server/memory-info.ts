/** The memory section of INFO and MEMORY STATS: what can be known from inside a JavaScript heap. */
import { clientMemory } from './client-line.ts'
import type { Rows } from './info.ts'
import { engine, memoryInUse, totalMemory } from './machine.ts'
import type { Server } from './server.ts'

/** Bytes. `overhead` is what is not data: the program itself, the backlog, connections. */
export interface MemoryFigures {
  readonly used: number
  readonly resident: number
  readonly heap: number
  readonly peak: number
  readonly startup: number
  readonly overhead: number
  readonly backlog: number
  readonly replicas: number
  readonly clients: number
}

/** In use when the server's code had been loaded. */
const STARTUP = memoryInUse().used

export function memoryFigures(server: Server): MemoryFigures {
  const { used, resident, heap } = memoryInUse()
  const { stats, replication } = server
  stats.notePeak(used)
  let replicas = 0
  let clients = 0
  for (const client of server.clients.values())
    if (client.replica) replicas += clientMemory(client)
    else clients += clientMemory(client)
  const backlog = replication.stream.hasBacklog ? replication.stream.backlogSize : 0
  const overhead = Math.min(used, STARTUP + replicas + clients + backlog)
  return { used, resident, heap, peak: stats.peakMemory, startup: STARTUP, overhead, backlog, replicas, clients }
}

/** Bytes for people, as a real server writes them: 894.85K. */
export function human(bytes: number): string {
  if (bytes < 1024) return `${bytes}B`
  const units = ['K', 'M', 'G', 'T', 'P']
  let value = bytes / 1024
  let unit = 0
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return `${value.toFixed(2)}${units[unit]}`
}

const percent = (part: number, whole: number): string => (whole === 0 ? '0.00' : ((part / whole) * 100).toFixed(2))

/** The rows of INFO's section "Memory". */
export function memoryRows(server: Server): Rows {
  const { maxmemory, maxmemoryPolicy } = server.config.values
  const m = memoryFigures(server)
  const dataset = m.used - m.overhead
  return [
    ['used_memory', m.used],
    ['used_memory_human', human(m.used)],
    ['used_memory_rss', m.resident],
    ['used_memory_rss_human', human(m.resident)],
    ['used_memory_peak', m.peak],
    ['used_memory_peak_human', human(m.peak)],
    ['used_memory_peak_perc', `${percent(m.used, m.peak)}%`],
    ['used_memory_overhead', m.overhead],
    ['used_memory_startup', m.startup],
    ['used_memory_dataset', dataset],
    ['used_memory_dataset_perc', `${percent(dataset, Math.max(0, m.used - m.startup))}%`],
    ['allocator_allocated', m.used],
    ['allocator_active', m.heap],
    ['allocator_resident', m.resident],
    ['total_system_memory', totalMemory],
    ['total_system_memory_human', human(totalMemory)],
    ['used_memory_lua', 0],
    ['used_memory_vm_eval', 0],
    ['used_memory_lua_human', '0B'],
    ['used_memory_scripts_eval', 0],
    ['number_of_cached_scripts', 0],
    ['number_of_functions', 0],
    ['number_of_libraries', 0],
    ['used_memory_vm_functions', 0],
    ['used_memory_vm_total', 0],
    ['used_memory_vm_total_human', '0B'],
    ['used_memory_functions', 0],
    ['used_memory_scripts', 0],
    ['used_memory_scripts_human', '0B'],
    ['maxmemory', maxmemory],
    ['maxmemory_human', human(maxmemory)],
    ['maxmemory_policy', maxmemoryPolicy],
    ['mem_fragmentation_ratio', (m.resident / m.used).toFixed(2)],
    ['mem_fragmentation_bytes', m.resident - m.used],
    ['mem_not_counted_for_evict', 0],
    ['mem_replication_backlog', m.backlog],
    ['mem_total_replication_buffers', m.backlog + m.replicas],
    ['mem_clients_slaves', m.replicas],
    ['mem_clients_normal', m.clients],
    ['mem_cluster_links', 0],
    ['mem_aof_buffer', 0],
    ['mem_allocator', engine],
    ['active_defrag_running', 0],
    ['lazyfree_pending_objects', 0],
    ['lazyfreed_objects', 0],
  ]
}
