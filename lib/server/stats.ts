/** Counters for INFO: what came in, what went out, what was refused, and how fast of late. */
import type { Millis } from '../base/brand.ts'

/** Samples a rate is the mean of: 1.6 s at the cron's 100 ms, as on a real server. */
const SAMPLES = 16

/** A counter's recent growth a second. */
class Rate {
  readonly #samples = new Float64Array(SAMPLES)
  #next = 0
  #lastCount = 0
  #lastAt = 0

  sample(count: number, now: Millis): void {
    const elapsed = now - this.#lastAt
    if (this.#lastAt !== 0 && elapsed > 0) {
      this.#samples[this.#next] = ((count - this.#lastCount) * 1000) / elapsed
      this.#next = (this.#next + 1) % SAMPLES
    }
    this.#lastCount = count
    this.#lastAt = now
  }

  get perSecond(): number {
    return this.#samples.reduce((sum, sample) => sum + sample, 0) / SAMPLES
  }

  reset(): void {
    this.#samples.fill(0)
    this.#lastCount = 0
    this.#lastAt = 0
  }
}

export class ServerStats {
  connections = 0
  rejectedConnections = 0
  evictedClients = 0
  inputBytes = 0
  outputBytes = 0
  replicationInputBytes = 0
  replicationOutputBytes = 0
  commands = 0
  errorReplies = 0
  /** Reads from and writes to sockets of clients. */
  reads = 0
  writes = 0
  /** Error replies by their first word. */
  readonly errors = new Map<string, number>()
  /** Most memory seen in use, in bytes. */
  peakMemory = 0
  readonly #commandRate = new Rate()
  readonly #inputRate = new Rate()
  readonly #outputRate = new Rate()
  readonly #replicationInputRate = new Rate()
  readonly #replicationOutputRate = new Rate()

  /** Counts an error reply; `text` is what follows the dash. */
  countError(text: string): void {
    this.errorReplies++
    const blank = text.indexOf(' ')
    const prefix = blank < 0 ? text : text.slice(0, blank)
    this.errors.set(prefix, (this.errors.get(prefix) ?? 0) + 1)
  }

  /** Takes the samples from which rates are computed; called by the cron. */
  sample(now: Millis): void {
    this.#commandRate.sample(this.commands, now)
    this.#inputRate.sample(this.inputBytes, now)
    this.#outputRate.sample(this.outputBytes, now)
    this.#replicationInputRate.sample(this.replicationInputBytes, now)
    this.#replicationOutputRate.sample(this.replicationOutputBytes, now)
  }

  notePeak(bytes: number): void {
    if (bytes > this.peakMemory) this.peakMemory = bytes
  }

  /** Commands a second, and kilobytes (1024) a second. */
  get rates() {
    return {
      commands: this.#commandRate.perSecond,
      input: this.#inputRate.perSecond / 1024,
      output: this.#outputRate.perSecond / 1024,
      replicationInput: this.#replicationInputRate.perSecond / 1024,
      replicationOutput: this.#replicationOutputRate.perSecond / 1024,
    }
  }

  /** CONFIG RESETSTAT. */
  reset(): void {
    this.connections = 0
    this.rejectedConnections = 0
    this.evictedClients = 0
    this.inputBytes = 0
    this.outputBytes = 0
    this.replicationInputBytes = 0
    this.replicationOutputBytes = 0
    this.commands = 0
    this.errorReplies = 0
    this.reads = 0
    this.writes = 0
    this.errors.clear()
    for (const rate of [
      this.#commandRate,
      this.#inputRate,
      this.#outputRate,
      this.#replicationInputRate,
      this.#replicationOutputRate,
    ])
      rate.reset()
  }
}
