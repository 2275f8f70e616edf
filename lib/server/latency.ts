/** The latency monitor: of every kind of event that took longer than latency-monitor-threshold, the worst of each of the last
 *  seconds in which there was one. */
import type { Server } from './server.ts'

export interface Spike {
  /** Unix seconds. */
  readonly time: number
  readonly ms: number
}

/** One kind of event. Newest last. */
export interface Spikes {
  readonly last: Spike[]
  /** Of all time. */
  worst: number
}

/** Seconds that are kept of one kind. */
const KEPT = 160

export class LatencyMonitor {
  readonly #server: Server
  readonly #events = new Map<string, Spikes>()

  constructor(server: Server) {
    this.#server = server
  }

  /** Kinds of events of which there are spikes. */
  get events(): ReadonlyMap<string, Spikes> {
    return this.#events
  }

  /** Microseconds from which on something is a spike; infinite while nothing is monitored. */
  get thresholdMicros(): number {
    const ms = this.#server.config.values.latencyMonitorThreshold
    return ms === 0 ? Number.POSITIVE_INFINITY : ms * 1000
  }

  /** Something took so long. */
  note(event: string, micros: number): void {
    if (micros < this.thresholdMicros) return
    const ms = Math.floor(micros / 1000)
    const time = Math.floor(this.#server.now / 1000)
    const spikes = this.#events.get(event) ?? { last: [], worst: 0 }
    this.#events.set(event, spikes)
    spikes.worst = Math.max(spikes.worst, ms)
    const newest = spikes.last.at(-1)
    if (newest?.time === time) spikes.last[spikes.last.length - 1] = { time, ms: Math.max(ms, newest.ms) }
    else spikes.last.push({ time, ms })
    if (spikes.last.length > KEPT) spikes.last.shift()
  }

  /** Forgets a kind of event; false when there was nothing to forget. */
  reset(event: string): boolean {
    return this.#events.delete(event)
  }
}
