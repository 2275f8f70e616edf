/** FAILOVER: a primary hands its role to one of its replicas, without a cluster that could decide it. Writes stand still until the replica
 *  has all of the stream; then we become its replica, and the PSYNC that says how far we are also asks it to lead. */
import type { Millis } from '../base/brand.ts'
import type { Log } from '../base/log.ts'
import { type ClientError, fail } from '../errors.ts'
import type { AttachedReplica } from './attached.ts'

/** As INFO calls them. */
export type FailoverState = 'no-failover' | 'waiting-for-sync' | 'failover-in-progress'

/** The address a replica has announced. */
export interface ReplicaAddress {
  readonly host: string
  readonly port: number
}

export interface FailoverRequest {
  /** Undefined: whichever replica has everything first. */
  readonly target: ReplicaAddress | undefined
  /** How long the replica may take to catch up; 0 = for ever. */
  readonly timeoutMs: number
  /** After that time it leads all the same. */
  readonly force: boolean
}

export interface FailoverParts {
  readonly log: Log
  readonly now: () => Millis
  readonly isReplica: () => boolean
  readonly replicas: () => readonly AttachedReplica[]
  /** Bytes of our history. */
  readonly offset: () => number
  /** Stops the writes, and everything else that moves the offset, until `resume`. */
  readonly pause: () => void
  readonly resume: () => void
  readonly follow: (target: ReplicaAddress) => void
  readonly lead: () => void
}

const IDLE: FailoverRequest = { target: undefined, timeoutMs: 0, force: false }

export class Failover {
  readonly #parts: FailoverParts
  #state: FailoverState = 'no-failover'
  #request = IDLE
  #deadline = Number.POSITIVE_INFINITY

  constructor(parts: FailoverParts) {
    this.#parts = parts
  }

  get state(): FailoverState {
    return this.#state
  }

  /** Our PSYNC asks its receiver to lead. */
  get isAsking(): boolean {
    return this.#state === 'failover-in-progress'
  }

  /** Begins. Throws a ClientError when that is impossible. */
  start(request: FailoverRequest): void {
    const { log, now, pause } = this.#parts
    const refusal = this.#refusal(request)
    if (refusal !== undefined) throw refusal
    const { target, timeoutMs } = request
    log.notice(`FAILOVER requested to ${target === undefined ? 'any replica' : addressOf(target)}.`)
    this.#request = request
    this.#deadline = timeoutMs === 0 ? Number.POSITIVE_INFINITY : now() + timeoutMs
    this.#state = 'waiting-for-sync'
    pause()
  }

  /** FAILOVER ABORT. Throws a ClientError when there is none. */
  cancel(): void {
    if (this.#state === 'no-failover') throw fail('No failover in progress.')
    this.#abort('Failover manually aborted')
  }

  /** The end of a turn: goes on once the replica has everything, or the time is over. */
  check(): void {
    if (this.#state !== 'waiting-for-sync') return
    const { log, now, offset, replicas } = this.#parts
    const { target, force } = this.#request
    if (now() >= this.#deadline) {
      if (!force || target === undefined) return this.#abort('Replica never caught up before timeout')
      log.notice(`FAILOVER to ${addressOf(target)} time out exceeded, failing over.`)
      return this.#handOver(target)
    }
    const ready = replicas().find(
      (replica) =>
        isOnline(replica) && replica.ackedOffset === offset() && (target === undefined || isAt(replica, target)),
    )
    if (ready === undefined) return
    const address = { host: ready.ip, port: ready.facts.listeningPort }
    log.notice(`Failover target ${addressOf(address)} is synced, failing over.`)
    this.#handOver(address)
  }

  /** What became of the PSYNC that asked. Without an answer it is asked again. */
  answered(accepted: boolean): void {
    if (this.#state !== 'failover-in-progress') return
    if (accepted) this.#end()
    else this.#abort('Failover target rejected psync request')
  }

  #refusal({ target, timeoutMs, force }: FailoverRequest): ClientError | undefined {
    const { isReplica, replicas } = this.#parts
    if (this.#state !== 'no-failover') return fail('FAILOVER already in progress.')
    if (isReplica()) return fail('FAILOVER is not valid when server is a replica.')
    if (replicas().length === 0) return fail('FAILOVER requires connected replicas.')
    if (force && (timeoutMs === 0 || target === undefined))
      return fail('FAILOVER with force option requires both a timeout and target HOST and IP.')
    if (target === undefined) return undefined
    const replica = replicas().find((one) => isAt(one, target))
    if (replica === undefined) return fail('FAILOVER target HOST and PORT is not a replica.')
    return isOnline(replica) ? undefined : fail('FAILOVER target replica is not online.')
  }

  #handOver(target: ReplicaAddress): void {
    this.#request = { ...this.#request, target }
    this.#state = 'failover-in-progress'
    this.#parts.follow(target)
  }

  #abort(why: string): void {
    const { log, lead } = this.#parts
    const { target } = this.#request
    log.notice(`FAILOVER to ${target === undefined ? 'any replica' : addressOf(target)} aborted: ${why}`)
    const isDemoted = this.isAsking
    this.#end()
    if (isDemoted) lead()
  }

  /** Writes go on: those that waited are carried out, or refused by a replica. */
  #end(): void {
    this.#request = IDLE
    this.#state = 'no-failover'
    this.#parts.resume()
  }
}

const addressOf = ({ host, port }: ReplicaAddress): string => `${host}:${port}`

const isAt = ({ ip, facts }: AttachedReplica, { host, port }: ReplicaAddress): boolean =>
  ip.toLowerCase() === host.toLowerCase() && facts.listeningPort === port

const isOnline = ({ state, facts }: AttachedReplica): boolean => state === 'online' && !facts.rdbOnly
