/** What is done for clients ten times a second: pauses and waits end, the idle and the greedy are dropped. */

import { expireWaits } from './blocking.ts'
import type { Client } from './client.ts'
import { memoryInUse } from './machine.ts'
import { overLimit } from './output-limits.ts'
import type { Server } from './server.ts'

/** Called by the cron every 100 ms with a fresh `server.now`. */
export function clientsCron(server: Server): void {
  server.pause.expire(server.now)
  expireWaits(server)
  for (const client of server.clients.values()) {
    if (isIdle(server, client)) {
      server.log.verbose('Closing idle client')
      server.disconnect(client)
    } else if (overLimit(server, client)) server.disconnect(client)
  }
  server.stats.sample(server.now, memoryInUse().used)
}

/** Silent for longer than `timeout` seconds, and not one of those whose nature is to be silent. */
function isIdle(server: Server, client: Client): boolean {
  const { timeout } = server.config.values
  if (timeout === 0 || client.replica || client.primary || client.blocked !== undefined || client.subscriber)
    return false
  return server.now - client.lastSeenAt > timeout * 1000
}
