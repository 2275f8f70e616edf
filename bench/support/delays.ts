/** Preloaded into a server (NODE_OPTIONS=--import=...): measures how late its event loop is, once a millisecond, and why. SIGUSR2 writes
 *  what was measured since the last one to the file ROOKERY_BENCH_DELAYS, as JSON, and begins anew. */
import { openSync, readSync, renameSync, writeFileSync } from 'node:fs'
import { createHistogram, PerformanceObserver } from 'node:perf_hooks'

/** Milliseconds, rounded up to the next tenth. */
export interface Quantiles {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export interface Delays {
  /** By how much the loop was late. */
  readonly late: Quantiles
  /** Without the time in which its thread could run and had no core, because other programs had them: what is our own doing. */
  readonly own: Quantiles
  /** The longest pause of the garbage collector. */
  readonly gcMax: number
}

const EVERY_MS = 1
const path = process.env['ROOKERY_BENCH_DELAYS']

/** Milliseconds the main thread has waited for a core; 0 where the system does not tell. */
function coreWaits(): () => number {
  const text = Buffer.alloc(100)
  try {
    const file = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
    return () => Number(text.latin1Slice(0, readSync(file, text, 0, text.length, 0)).split(' ')[1]) / 1e6
  } catch {
    return () => 0
  }
}

/** Tenths of a millisecond. */
class Sampler {
  readonly #histogram = createHistogram()

  add(ms: number): void {
    this.#histogram.record(Math.max(1, Math.ceil(ms * 10)))
  }

  take(): Quantiles {
    const histogram = this.#histogram
    const at = (percentile: number): number => histogram.percentile(percentile) / 10
    const quantiles = { p50: at(50), p99: at(99), p999: at(99.9), max: histogram.max / 10 }
    histogram.reset()
    return quantiles
  }
}

function measure(path: string): void {
  const [late, own] = [new Sampler(), new Sampler()]
  const waited = coreWaits()
  let gcMax = 0
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) gcMax = Math.max(gcMax, duration)
  }).observe({ entryTypes: ['gc'] })
  let lastAt = performance.now()
  let lastWaited = waited()
  const look = (): void => {
    const now = performance.now()
    const waits = waited()
    const delay = now - lastAt - EVERY_MS
    late.add(delay)
    own.add(delay - (waits - lastWaited))
    if (delay > 20 && process.env['ROOKERY_BENCH_TRACE'])
      process.stderr.write(`LATE ${delay.toFixed(1)} waited ${(waits - lastWaited).toFixed(1)}\n`)
    lastAt = now
    lastWaited = waits
    setTimeout(look, EVERY_MS).unref()
  }
  look()
  process.on('SIGUSR2', () => {
    writeFileSync(`${path}.new`, JSON.stringify({ late: late.take(), own: own.take(), gcMax } satisfies Delays))
    renameSync(`${path}.new`, path)
    gcMax = 0
  })
}

if (path !== undefined) measure(path)
