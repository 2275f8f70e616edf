/** Every timer of a node: the cluster tick, expiry, idle clients, waits with a deadline, replication's second hand. */

import { activeExpireCycle } from '../store/expire.ts'
import type { Millis } from './base/brand.ts'
import { monotonicMicros, wallClock } from './base/clock.ts'
import type { Driver } from './driver.ts'
import { lookout } from './lookout.ts'
import { enforceLimits } from './server/output-limits.ts'
import type { Server } from './server/server.ts'

const TICK_MS = 100
/** The longest timer Node has; a wait that is longer is looked at again then. */
const MAX_TIMER_MS = 2 ** 31 - 1
/** Share of the time the active expire cycle may take, as `hz` and effort 1 give it on a real server: 25 %. It is taken in slices, so
 *  that nobody waits for all of it. */
const EXPIRE_SLICE_MS = 2
const EXPIRE_REST_MS = 6

export interface Cron {
  stop(): void
}

/** Starts the timers; they run until `stop`. */
export function startCron(server: Server, driver: Driver | undefined): Cron {
  let ticks = 0
  const expiry = startExpiry(server)
  const timer = setInterval(() => {
    if (server.cronPaused) return
    ticks++
    server.refreshClock()
    driver?.feed({ type: 'tick' })
    server.pause.expire(server.now)
    server.stats.sample(server.now)
    server.eviction.sample()
    expiry.cycle()
    // A picture of the data in the middle of a script would be of half of what it does.
    if (!server.scripting.busy) server.persistence?.tick()
    if (ticks % 10 === 0) everySecond(server)
    server.endTurn()
  }, TICK_MS)
  const wake = wakeTimer(server)
  let turn: NodeJS.Immediate | undefined
  server.host = {
    ...server.host,
    requestEndTurn() {
      turn ??= setImmediate(() => {
        turn = undefined
        server.endTurn()
      })
    },
    wakeAt: wake.at,
    expectRequest: lookout(server.stats),
  }
  return {
    stop() {
      clearInterval(timer)
      expiry.stop()
      wake.stop()
      if (turn !== undefined) clearImmediate(turn)
    },
  }
}

function everySecond(server: Server): void {
  server.replication.everySecond()
  if (server.cluster !== undefined) server.blockedKeys.redirectMoved(server.cluster.view)
  enforceLimits(server)
  const { timeout } = server.config.values
  for (const client of server.clients.values()) {
    const exempt = client.replica || client.primary || client.blocked !== undefined || client.subscriber
    if (timeout > 0 && !exempt && server.now - client.lastSeenAt > timeout * 1000) {
      server.log.verbose('Closing idle client')
      server.disconnect(client)
    }
  }
}

/** Keys whose time has come are removed here even if nobody asks for them, unless the data has to stand still. While there is much to
 *  do, slice follows slice. */
function startExpiry(server: Server): { cycle(): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined
  const cycle = (): void => {
    clearTimeout(timer)
    if (server.keyspace.expiry !== 'remove' || !server.activeExpire || server.loading) return
    const begun = monotonicMicros()
    activeExpireCycle(server.keyspace, EXPIRE_SLICE_MS)
    const spent = monotonicMicros() - begun
    server.latency.note('expire-cycle', spent)
    if (spent < EXPIRE_SLICE_MS * 1000) return
    timer = setTimeout(() => {
      server.refreshClock()
      cycle()
      server.endTurn()
    }, EXPIRE_REST_MS)
  }
  return { cycle, stop: () => clearTimeout(timer) }
}

/** One timer for the earliest deadline of all waits. */
function wakeTimer(server: Server): { at(time: Millis): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined
  let due = Number.POSITIVE_INFINITY
  return {
    at(time) {
      if (time >= due) return
      clearTimeout(timer)
      due = time
      timer = setTimeout(
        () => {
          due = Number.POSITIVE_INFINITY
          server.endWaits()
          server.endTurn()
        },
        Math.min(Math.max(0, time - wallClock()), MAX_TIMER_MS),
      )
    },
    stop: () => clearTimeout(timer),
  }
}
