/** client-output-buffer-limit: a client that asks faster than it reads is dropped before it eats the memory. */
import type { Millis } from '../base/brand.ts'
import type { Client } from './client.ts'
import { clientLine } from './client-line.ts'
import type { Server } from './server.ts'

/** The class whose limits a client is under; a monitor is a normal client. */
export function limitClass(client: Client): 'normal' | 'replica' | 'pubsub' {
  if (client.replica) return 'replica'
  return client.subscriber ? 'pubsub' : 'normal'
}

/** Whether a client would have to go when its reply has so many bytes: the rest need not be put together. */
export function isTooLong(server: Server, client: Client, replyBytes: number): boolean {
  if (client.primary || client.replica) return false
  const { hard } = server.config.values.clientOutputBufferLimit[limitClass(client)]
  return hard > 0 && client.wire.buffered + replyBytes >= hard
}

/** Whether a client has to go: too much at once, or a little less for too long. Asked before its reply is sent, as a real server does,
 *  whatever the kernel would take of it. The log is told. */
export function overLimit(server: Server, client: Client): boolean {
  if (client.primary || client.replica) return false
  const { soft, softSeconds } = server.config.values.clientOutputBufferLimit[limitClass(client)]
  const bytes = client.wire.buffered + client.reply.length
  const overSoft = soft > 0 && bytes >= soft
  if (!overSoft) client.overSoftLimitAt = 0 as Millis
  else if (client.overSoftLimitAt === 0) client.overSoftLimitAt = server.now
  const tooLong = overSoft && server.now - client.overSoftLimitAt > softSeconds * 1000
  if (!tooLong && !isTooLong(server, client, client.reply.length)) return false
  server.log.warning(
    `Client ${clientLine(server, client)} scheduled to be closed ASAP for overcoming of output buffer limits.`,
  )
  return true
}

/** Drops the clients that are over their limit: called every second, because a soft limit runs out in silence. */
export function enforceLimits(server: Server): void {
  for (const client of server.clients.values()) if (overLimit(server, client)) server.disconnect(client)
}
