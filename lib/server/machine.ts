/** What the operating system knows about this process, and what only it can do to it. */
import os from 'node:os'
import { getHeapSpaceStatistics } from 'node:v8'

export const pid = process.pid
export const executable = process.execPath
export const osName = `${os.type()} ${os.release()} ${os.machine()}`
/** The JavaScript engine, which is the allocator too. */
export const engine = `v8-${process.versions.v8}`
export const totalMemory = os.totalmem()

/** Bytes: resident, taken by the JavaScript heap, and in use there and in buffers outside it. */
export function memoryInUse(): { resident: number; heap: number; used: number } {
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage()
  return { resident: rss, heap: heapTotal + external, used: heapUsed + external }
}

/** The spaces of the JavaScript heap, one on a line, for people. */
export const heapReport = (): string =>
  getHeapSpaceStatistics()
    .map((space) => `${space.space_name}: size ${space.space_size}, used ${space.space_used_size}\n`)
    .join('')

/** Seconds of processor time since the start. */
export function cpuTime(): { user: number; system: number } {
  const { user, system } = process.cpuUsage()
  return { user: user / 1e6, system: system / 1e6 }
}

/** Stops everything in this process, event loop included, as DEBUG SLEEP demands. */
export function sleepHard(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** Ends the process without any clean-up: nothing is flushed, nobody is told. */
export function crash(signal: 'SIGSEGV' | 'SIGABRT'): void {
  process.kill(process.pid, signal)
}
