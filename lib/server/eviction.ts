/** maxmemory: when keys, values and buffers take more than that, keys go as the policy says, and when none may go any more, commands
 *  that need memory are refused. Reference: what redis-server 7.0 does; see `store/evict.ts` for the choice of the key. */
import { Evictor, isFrequencyPolicy } from '../../store/evict.ts'
import { Frequency } from '../../store/frequency.ts'
import { monotonicMicros } from '../base/clock.ts'
import type { CommandEntry } from '../commands/table.ts'
import type { ConfigValues } from '../config.ts'
import { type ClientError, OUT_OF_MEMORY } from '../errors.ts'
import type { Client } from './client.ts'
import { bufferFigures } from './memory-info.ts'
import type { Server } from './server.ts'

/** Keys that go between two looks at the clock. */
const BETWEEN_LOOKS = 16

/** How it ended: memory is not short, or short and going to be better, or short and nothing may go. */
type Outcome = 'enough' | 'behind' | 'short'

/** What is carried out, not queued, inside MULTI however short memory is. */
const ENDS_TRANSACTION: ReadonlySet<string> = new Set(['exec', 'discard', 'quit', 'reset'])

export class Eviction {
  readonly #server: Server
  readonly #evictor: Evictor
  /** Buffers of connections and the backlog, looked at ten times a second: bytes. */
  #buffers = 0
  #behind = false
  #isShort = false
  /** When memory became short, in monotonic microseconds; 0: it is not. */
  #shortSince = 0
  #shortMicros = 0

  constructor(server: Server) {
    this.#server = server
    const { config, keyspace, random } = server
    this.#evictor = new Evictor(keyspace, () => random.float())
    this.#follow(config.values)
    config.onChange(['maxmemory-policy'], (values) => this.#follow(values))
    config.onChange(['maxmemory'], ({ maxmemory }) => this.#limited(maxmemory))
  }

  /** Microseconds for which memory was short: in all so far, and this time. */
  get exceeded(): { readonly total: number; readonly current: number } {
    const current = this.#shortSince === 0 ? 0 : monotonicMicros() - this.#shortSince
    return { total: this.#shortMicros + current, current }
  }

  /** Bytes that count against maxmemory: keys, values, the backlog and the buffers of connections other than replicas. */
  get used(): number {
    return this.#server.keyspace.weight + this.#buffers
  }

  /** Ten times a second. */
  sample(): void {
    const { backlog, clients } = bufferFigures(this.#server)
    this.#buffers = backlog + clients
    this.#server.stats.notePeak(this.used)
    if (this.#server.config.values.maxmemory > 0) this.#evict()
  }

  /** When it was last looked at, memory was short and nothing could be done about it. Nothing is evicted by asking. */
  get isShort(): boolean {
    return this.#server.config.values.maxmemory > 0 && this.#isShort
  }

  /** Before a command: keys go if they have to. Returns the refusal of one that needs memory which is not there. */
  refuses(client: Client, entry: CommandEntry): ClientError | undefined {
    const { config, scripting } = this.#server
    // Nothing is evicted in the middle of a script.
    if (config.values.maxmemory === 0 || scripting.busy || this.#evict() !== 'short') return undefined
    const { multi } = client
    // What is queued takes memory, whatever it does.
    if (multi !== undefined && !ENDS_TRANSACTION.has(entry.fullName)) return OUT_OF_MEMORY
    const needsMemory =
      isGreedy(entry) || (entry.fullName === 'exec' && multi?.queue.some((queued) => isGreedy(queued.entry)) === true)
    return needsMemory ? OUT_OF_MEMORY : undefined
  }

  /** At the end of a turn: goes on with what there was no time for. */
  goOn(): void {
    if (this.#behind && !this.#server.scripting.busy) this.#evict()
  }

  #follow({ maxmemoryPolicy }: ConfigValues): undefined {
    const { keyspace, config, random } = this.#server
    keyspace.lfu = isFrequencyPolicy(maxmemoryPolicy) ? new Frequency(config.values, () => random.float()) : undefined
  }

  #limited(maxmemory: number): undefined {
    if (maxmemory === 0 || this.used <= maxmemory) return
    this.#server.log.warning(
      `WARNING: the new maxmemory value set via CONFIG SET (${maxmemory}) is smaller than the current memory usage (${this.used}). This will result in key eviction and/or the inability to accept new write commands depending on the maxmemory-policy.`,
    )
    this.#fallBehind()
  }

  #fallBehind(): void {
    this.#behind = true
    this.#server.host.requestEndTurn()
  }

  #evict(): Outcome {
    this.#behind = false
    const outcome = this.#run()
    this.#isShort = outcome === 'short'
    if (outcome === 'behind') this.#fallBehind()
    if (outcome !== 'enough') this.#shortSince ||= monotonicMicros()
    else if (this.#shortSince !== 0) {
      this.#shortMicros += monotonicMicros() - this.#shortSince
      this.#shortSince = 0
    }
    return outcome
  }

  #run(): Outcome {
    const { config, loading, pause, replication } = this.#server
    const { maxmemory, maxmemoryEvictionTenacity, replicaIgnoreMaxmemory } = config.values
    if (maxmemory === 0 || this.used <= maxmemory) return 'enough'
    // What has to stand still, or follows a primary that judges for it, is not short of memory.
    if (loading || pause.mode !== undefined || (replication.isReplica && replicaIgnoreMaxmemory)) return 'enough'
    const begun = monotonicMicros()
    const outcome = this.#makeRoom(begun + budgetMicros(maxmemoryEvictionTenacity))
    this.#server.latency.note('eviction-cycle', monotonicMicros() - begun)
    return outcome
  }

  /** Lets keys go until there is room, none may go, or the clock says so. */
  #makeRoom(deadline: number): Outcome {
    const { maxmemory, maxmemoryPolicy, maxmemorySamples } = this.#server.config.values
    for (let evicted = 1; this.used > maxmemory; evicted++) {
      if (!this.#evictor.evict(maxmemoryPolicy, maxmemorySamples)) return 'short'
      if (evicted % BETWEEN_LOOKS === 0 && monotonicMicros() > deadline) return 'behind'
    }
    return 'enough'
  }
}

const isGreedy = ({ command }: CommandEntry): boolean => command.flags.includes('denyoom')

/** maxmemory-eviction-tenacity: up to 10 it is 50 microseconds a point; each further one is 15 % more; 100 knows no limit. */
function budgetMicros(tenacity: number): number {
  if (tenacity >= 100) return Number.POSITIVE_INFINITY
  return tenacity <= 10 ? 50 * tenacity : 500 * 1.15 ** (tenacity - 10)
}
