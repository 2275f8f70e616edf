/** Waiting clients: who counts as one, and ending a wait from outside. */
import { UNBLOCKED } from '../errors.ts'
import type { Client } from './client.ts'
import type { Server } from './server.ts'

/** Whether a client waits of its own will (for data, for acknowledgements): `blocked_clients` counts these. */
export const waitsByWish = ({ blocked }: Client): boolean => blocked?.kind === 'wait' || blocked?.kind === 'key'

/** Ends a wait before its time, answered like a timeout or by an error. False for a client that does not wait, or whose
 *  wait nothing but its cause can end (a pause). */
export function endWait(server: Server, client: Client, how: 'timeout' | 'error'): boolean {
  const wait = client.blocked
  if (wait?.timedOut === undefined) return false
  server.answerLate(client, how === 'timeout' ? wait.timedOut : () => server.replyError(client, UNBLOCKED))
  server.unblock(client)
  return true
}
