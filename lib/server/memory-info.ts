/** The memory section of INFO and MEMORY STATS: what can be known from inside a JavaScript heap. */
import { clientMemory } from './client-line.ts'
import type { Rows } from './info.ts'
import { engine, memoryInUse, totalMemory } from './machine.ts'
import type { Server } from './server.ts'

/** What buffers take: bytes. */
export interface BufferFigures {
  readonly backlog: number
  /** Connections of replicas, and all others. */
  readonly replicas: number
  readonly clients: number
}

/** Bytes. `used`: keys, values and buffers, which is what maxmemory limits and MEMORY USAGE tells the parts of. The program itself is
 *  not in it: a limit that was chosen for a redis-server would be used up by an empty JavaScript engine. */
export interface MemoryFigures extends BufferFigures {
  readonly used: number
  /** All of `used` that is not data. */
  readonly overhead: number
  readonly peak: number
  /** Taken from the system for what is in `used`. */
  readonly active: number
  /** Of the whole process. */
  readonly resident: number
}

export function bufferFigures({ clients: all, replication }: Server): BufferFigures {
  let replicas = 0
  let clients = 0
  for (const client of all.values())
    if (client.replica) replicas += clientMemory(client)
    else clients += clientMemory(client)
  return { replicas, clients, backlog: replication.stream.hasBacklog ? replication.stream.backlogSize : 0 }
}

export function memoryFigures(server: Server): MemoryFigures {
  const { stats, keyspace } = server
  const buffers = bufferFigures(server)
  const overhead = buffers.backlog + buffers.clients + buffers.replicas
  const used = keyspace.weight + overhead
  stats.notePeak(used)
  const active = keyspace.memory.held + overhead
  return { ...buffers, used, overhead, active, peak: stats.peakMemory, resident: memoryInUse().resident }
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
  const { memory: vm, cache } = server.scripting
  const scripts = cache.bytes
  const functions = server.keyspace.libraries.reduce((sum, { length }) => sum + length, 0)
  return [
    ['used_memory', m.used],
    ['used_memory_human', human(m.used)],
    ['used_memory_rss', m.resident],
    ['used_memory_rss_human', human(m.resident)],
    ['used_memory_peak', m.peak],
    ['used_memory_peak_human', human(m.peak)],
    ['used_memory_peak_perc', `${percent(m.used, m.peak)}%`],
    ['used_memory_overhead', m.overhead],
    ['used_memory_startup', 0],
    ['used_memory_dataset', dataset],
    ['used_memory_dataset_perc', `${percent(dataset, m.used)}%`],
    ['allocator_allocated', m.used],
    ['allocator_active', m.active],
    ['allocator_resident', m.resident],
    ['total_system_memory', totalMemory],
    ['total_system_memory_human', human(totalMemory)],
    ['used_memory_lua', vm],
    ['used_memory_vm_eval', vm],
    ['used_memory_lua_human', human(vm)],
    ['used_memory_scripts_eval', scripts],
    ['number_of_cached_scripts', server.scripting.cache.count],
    ['number_of_functions', server.scripting.libraries.functionCount],
    ['number_of_libraries', server.scripting.libraries.count],
    // One interpreter serves scripts and functions.
    ['used_memory_vm_functions', 0],
    ['used_memory_vm_total', vm],
    ['used_memory_vm_total_human', human(vm)],
    ['used_memory_functions', functions],
    ['used_memory_scripts', scripts + functions],
    ['used_memory_scripts_human', human(scripts + functions)],
    ['maxmemory', maxmemory],
    ['maxmemory_human', human(maxmemory)],
    ['maxmemory_policy', maxmemoryPolicy],
    ['allocator_frag_ratio', (m.active / m.used).toFixed(2)],
    ['allocator_frag_bytes', m.active - m.used],
    ['allocator_rss_ratio', (m.resident / m.active).toFixed(2)],
    ['allocator_rss_bytes', m.resident - m.active],
    ['rss_overhead_ratio', '1.00'],
    ['rss_overhead_bytes', 0],
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
