/** The slow log: the last commands that took longer than slowlog-log-slower-than, and who sent them. */
import type { CommandEntry } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'
import type { Client } from './client.ts'
import { shownArgument } from './redact.ts'
import type { Server } from './server.ts'

export interface SlowlogEntry {
  readonly id: number
  /** Unix seconds. */
  readonly time: number
  readonly micros: number
  readonly args: readonly Buffer[]
  readonly address: string
  readonly name: string
}

/** What is kept of one request: enough to recognise it, never its bulk. */
const MAX_ARGS = 32
const MAX_ARG_LENGTH = 128

export class Slowlog {
  /** Newest last. */
  #entries: SlowlogEntry[] = []
  #nextId = 0

  /** Whether a command of this duration belongs here; a negative threshold switches the log off. */
  isSlow(micros: number, thresholdMicros: number): boolean {
    return thresholdMicros >= 0 && micros >= thresholdMicros
  }

  add(server: Server, client: Client, entry: CommandEntry, argv: Argv, micros: number): void {
    if (!entry.command.flags.includes('skip_slowlog')) this.#push(server, client, shorten(entry, argv), micros)
  }

  /** Adds `calls` quick commands that were timed together. */
  addRun(server: Server, client: Client, entry: CommandEntry, calls: number, micros: number): void {
    this.#push(server, client, [entry.name, Buffer.from(`... (${calls} calls of a pipeline)`)], micros)
  }

  #push(server: Server, client: Client, args: readonly Buffer[], micros: number): void {
    this.#entries.push({
      id: this.#nextId++,
      time: Math.floor(server.now / 1000),
      micros,
      args,
      address: client.address,
      name: client.name,
    })
    this.trim(server.config.values.slowlogMaxLen)
  }

  /** Keeps the newest `most`. */
  trim(most: number): void {
    if (this.#entries.length > most) this.#entries = this.#entries.slice(this.#entries.length - most)
  }

  get length(): number {
    return this.#entries.length
  }

  /** Up to `count` entries, newest first. */
  newest(count: number): SlowlogEntry[] {
    return count <= 0 ? [] : this.#entries.slice(-count).reverse()
  }

  reset(): void {
    this.#entries = []
  }
}

function shorten(entry: CommandEntry, argv: Argv): Buffer[] {
  const count = Math.min(argv.count, MAX_ARGS)
  const args: Buffer[] = []
  for (let i = 0; i < count; i++) {
    if (i === MAX_ARGS - 1 && argv.count > MAX_ARGS) {
      args.push(Buffer.from(`... (${argv.count - MAX_ARGS + 1} more arguments)`))
      break
    }
    const bytes = shownArgument(entry, argv, i)
    const more = bytes.length - MAX_ARG_LENGTH
    if (more <= 0) args.push(Buffer.from(bytes))
    else args.push(Buffer.concat([bytes.subarray(0, MAX_ARG_LENGTH), Buffer.from(`... (${more} more bytes)`)]))
  }
  return args
}
