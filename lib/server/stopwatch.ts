/** How long commands take. Reading the clock costs as much as a sixth of a small command (50 of 300 ns), so quick commands of one kind
 *  that follow each other in a pipeline are a *run* and are timed together: commandstats are exact in sum, and a run that took too long
 *  is in the slow log as a run. What comes alone is timed alone. */
import { monotonicMicros } from '../base/clock.ts'
import { Histogram } from '../base/histogram.ts'
import type { CommandEntry } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'
import type { Client } from './client.ts'
import type { Server } from './server.ts'

/** Who sets slowlog-log-slower-than below this, in microseconds, wants every command timed by itself. */
const COARSE = 1000
/** So many quick commands are together still faster than that. */
const LONGEST_RUN = 128

export class Stopwatch {
  readonly #server: Server
  /** The monotonic clock when the last timed command ended or this batch began: where the time of the next begins. */
  #micros = 0
  /** The run: its command, its client, and how many calls. */
  #entry: CommandEntry | undefined
  #client: Client | undefined
  #calls = 0
  #timesEach = true
  /** latency-tracking. */
  #tracks = true
  /** What takes as long as this is for the latency monitor. */
  #spikeMicros = Number.POSITIVE_INFINITY

  constructor(server: Server) {
    this.#server = server
  }

  /** A batch of requests begins. */
  start(): void {
    const { slowlogLogSlowerThan: threshold, latencyTracking } = this.#server.config.values
    this.#tracks = latencyTracking
    this.#spikeMicros = this.#server.latency.thresholdMicros
    this.#timesEach = threshold >= 0 && threshold < COARSE
    this.#micros = monotonicMicros()
  }

  /** A command begins: at what time, in microseconds. */
  begin(entry: CommandEntry): number {
    if (this.#entry !== undefined && this.#entry !== entry) this.endRun()
    return this.#micros
  }

  /** It has ended. */
  end(client: Client, entry: CommandEntry, argv: Argv, startedAt: number): void {
    if (entry.isQuick && client.parser.hasMore && !this.#timesEach && this.#calls < LONGEST_RUN) {
      this.#entry = entry
      this.#client = client
      this.#calls++
      return
    }
    if (this.#entry === entry) {
      this.#calls++
      this.endRun()
      return
    }
    this.endRun()
    const micros = this.#read() - startedAt
    this.#count(entry, micros, 1)
    if (this.#isSlow(micros)) this.#server.slowlog.add(this.#server, client, entry, argv, micros)
  }

  /** A blocked client was served with a command. */
  endServed(entry: CommandEntry, startedAt: number): void {
    this.#count(entry, this.#read() - startedAt, 1)
  }

  /** The batch is over, or another command begins. */
  endRun(): void {
    const entry = this.#entry
    const client = this.#client
    if (entry === undefined || client === undefined) return
    const startedAt = this.#micros
    const micros = this.#read() - startedAt
    this.#count(entry, micros, this.#calls)
    if (this.#isSlow(micros)) this.#server.slowlog.addRun(this.#server, client, entry, this.#calls, micros)
    this.#entry = this.#client = undefined
    this.#calls = 0
  }

  /** Of a run each call counts as long as their mean. */
  #count({ stats, command }: CommandEntry, micros: number, calls: number): void {
    stats.micros += micros
    if (this.#tracks) {
      stats.latency ??= new Histogram()
      stats.latency.record((micros * 1000) / calls, calls)
    }
    if (micros >= this.#spikeMicros)
      this.#server.latency.note(command.flags.includes('fast') ? 'fast-command' : 'command', micros)
  }

  #read(): number {
    this.#micros = monotonicMicros()
    return this.#micros
  }

  #isSlow(micros: number): boolean {
    return this.#server.slowlog.isSlow(micros, this.#server.config.values.slowlogLogSlowerThan)
  }
}
