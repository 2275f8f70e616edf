/** maxmemory-clients: when the connections together take more than that, the largest go. */
import type { Client } from './client.ts'
import { clientLine, clientMemory } from './client-line.ts'
import type { Server } from './server.ts'

/** Bytes; 0 = no limit. A percentage is one of maxmemory. */
function limitOf({ config: { values } }: Server): number {
  const limit = values.maxmemoryClients
  return 'bytes' in limit ? limit.bytes : Math.floor((values.maxmemory * limit.percent) / 100)
}

/** Drops clients until the rest is within the limit; those with CLIENT NO-EVICT, and links between servers, stay. */
export function evictClients(server: Server): void {
  const limit = limitOf(server)
  if (limit === 0) return
  const sizes = new Map<Client, number>()
  for (const client of server.clients.values())
    if (!client.replica && !client.primary) sizes.set(client, clientMemory(client))
  let sum = 0
  for (const bytes of sizes.values()) sum += bytes
  if (sum < limit) return
  for (const [client, bytes] of [...sizes].sort(([, a], [, b]) => b - a)) {
    if (sum < limit) return
    if (client.noEvict) continue
    sum -= bytes
    server.stats.evictedClients++
    server.log.notice(`Evicting client: ${clientLine(server, client)}`)
    server.disconnect(client)
  }
}
