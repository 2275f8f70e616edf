/** Ports for test servers: a pair p and p + 10000, the client port and the bus port that follows from it. */
import { createServer } from 'node:net'

/** Below the range from which operating systems draw the ports of outgoing connections, so that nothing slips in between our look and
 *  the server's own bind; four digits (bus: five), so that ports can be masked in raw replies without changing a length. */
const FIRST = 5000
const COUNT = 5000
/** Test files run in several processes at once; each draws from a part of its own, so that no two find the same port free. */
const WORKERS = 8
const worker = Number(process.env['MOCHA_WORKER_ID'] ?? 0) % WORKERS
const PART = Math.floor(COUNT / WORKERS)
const HIGH_FIRST = 61_000
const HIGH_COUNT = 4500
const BUS_DISTANCE = 10000
/** A plain server somebody runs on the default port is not ours to disturb, even while it is down. */
const DEFAULT_PORT = 6379

/** Ports that were given, or are being looked at: who looks takes the port for a moment, and another's server may be about to bind it. */
const taken = new Set<number>([DEFAULT_PORT])

/** A free client port whose bus port is free too. No pair is given twice by one process. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + worker * PART + Math.floor(Math.random() * PART)
    if (taken.has(port)) continue
    taken.add(port)
    if ((await isFree(port)) && (await isFree(port + BUS_DISTANCE))) return port
  }
  throw new Error(`no free pair of ports from ${FIRST} to ${FIRST + COUNT}`)
}

/** A free port so high that no bus port 10000 above it exists; above the range of outgoing connections too. */
export async function freeHighPort(): Promise<number> {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = HIGH_FIRST + Math.floor(Math.random() * HIGH_COUNT)
    if (await isFree(port)) return port
  }
  throw new Error(`no free port from ${HIGH_FIRST} on`)
}

/** As `freePort`, for programs that take `count` ports in a row: gives the first. */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < COUNT; tries++) {
    const first = await freePort()
    const others = Array.from({ length: count - 1 }, (_, i) => first + 1 + i)
    if (others.some((port) => taken.has(port))) continue
    for (const port of others) taken.add(port)
    const free = await Promise.all(others.flatMap((port) => [isFree(port), isFree(port + BUS_DISTANCE)]))
    if (free.every(Boolean)) return first
  }
  throw new Error(`no ${count} free ports in a row`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
