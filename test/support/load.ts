/** A client that writes all the time and remembers: INCR on a fixed set of keys, following MOVED and ASK, comparing every reply with
 *  what was acknowledged before. What it reports is the cluster's promise in numbers. */
import assert from 'node:assert/strict'
import { type Client, connect } from './client.ts'
import { sleep } from './eventually.ts'
import { ReplyError, type Value } from './resp.ts'

export interface LoadOptions {
  /** Any nodes of the cluster; others are found through redirections. */
  readonly ports: readonly number[]
  readonly keys?: number
  readonly workers?: number
  /** Starts every key, so that two loads do not meet. */
  readonly prefix?: string
}

export interface LoadReport {
  readonly acknowledged: number
  readonly redirections: number
  /** Increments that were acknowledged and are gone. */
  readonly lost: number
  /** Increments that happened without an acknowledgement: their connection broke first. */
  readonly noack: number
  /** How often each error was met, redirections aside. */
  readonly errors: Readonly<Record<string, number>>
  /** The first errors with the time since the start and the node that answered, to be looked up in its log. */
  readonly incidents: readonly string[]
  /** Longest time in which no write was acknowledged to one worker. */
  readonly longestGapMs: number
}

export interface Load {
  /** Writes acknowledged so far. */
  readonly acknowledged: () => number
  /** Resolves when `n` more writes have been acknowledged. */
  progress(n: number, withinMs?: number): Promise<void>
  /** Stops writing, reads every key back and sums up. */
  stop(): Promise<LoadReport>
}

const PACE_MS = 1
const RETRY_MS = 20
/** Longer than any stall a healthy cluster may cause, shorter than a test. */
const REPLY_LIMIT_MS = 5000
const REDIRECTION_LIMIT = 16
const VERIFY_LIMIT_MS = 20_000
const INCIDENTS_KEPT = 20

interface State {
  readonly ports: readonly number[]
  /** Where each key was last served. */
  readonly homes: Map<string, number>
  readonly values: Map<string, number>
  readonly errors: Map<string, number>
  readonly incidents: string[]
  readonly startedAt: number
  acknowledged: number
  redirections: number
  lost: number
  noack: number
  longestGapMs: number
  stopped: boolean
}

/** Throws unless every write was acknowledged, kept and free of errors other than redirections. */
export function assertUnharmed({ lost, noack, errors, incidents }: LoadReport): void {
  assert.deepEqual(
    { lost, noack, errors },
    { lost: 0, noack: 0, errors: {} },
    `writes were harmed: lost ${lost}, noack ${noack}\n${incidents.join('\n')}`,
  )
}

/** Starts writing at once. Each key belongs to one worker, so its replies must count up by one. */
export function startLoad(options: LoadOptions): Load {
  const { keys = 100, workers = 4, prefix = 'load' } = options
  const state = createState(options.ports)
  const names = Array.from({ length: keys }, (_, i) => `${prefix}:${i}`)
  const running = Array.from({ length: workers }, (_, w) =>
    work(
      state,
      names.filter((_, i) => i % workers === w),
    ),
  )
  const all = Promise.all(running)
  all.catch(() => {})
  return {
    acknowledged: () => state.acknowledged,
    async progress(n, withinMs = 30_000) {
      const goal = state.acknowledged + n
      for (const start = performance.now(); state.acknowledged < goal; await sleep(PACE_MS)) {
        if (performance.now() - start > withinMs)
          throw new Error(`no ${n} writes in ${withinMs} ms: ${JSON.stringify(report(state))}`)
      }
    },
    async stop() {
      state.stopped = true
      await all
      await verify(state)
      return report(state)
    },
  }
}

function createState(ports: readonly number[]): State {
  return {
    ports,
    homes: new Map(),
    values: new Map(),
    errors: new Map(),
    incidents: [],
    startedAt: performance.now(),
    acknowledged: 0,
    redirections: 0,
    lost: 0,
    noack: 0,
    longestGapMs: 0,
    stopped: false,
  }
}

function report(state: State): LoadReport {
  const { acknowledged, redirections, lost, noack, incidents, longestGapMs } = state
  return {
    acknowledged,
    redirections,
    lost,
    noack,
    errors: Object.fromEntries(state.errors),
    incidents,
    longestGapMs: Math.round(longestGapMs),
  }
}

async function work(state: State, keys: readonly string[]): Promise<void> {
  const connections = new Connections()
  let last = performance.now()
  for (let i = 0; !state.stopped; i = (i + 1) % keys.length) {
    const key = keys[i]!
    const value = await attempt(state, connections, key, ['INCR', key])
    if (value === undefined) {
      await sleep(RETRY_MS)
      continue
    }
    judge(state, key, Number(value), 1)
    const now = performance.now()
    state.longestGapMs = Math.max(state.longestGapMs, now - last)
    last = now
    state.acknowledged++
    await sleep(PACE_MS)
  }
  connections.close()
}

/** Compares a seen value with the remembered one, `step` apart; from then on the seen one counts. */
function judge(state: State, key: string, seen: number, step: number): void {
  const expected = (state.values.get(key) ?? 0) + step
  if (seen < expected) state.lost += expected - seen
  else state.noack += seen - expected
  state.values.set(key, seen)
}

async function verify(state: State): Promise<void> {
  const connections = new Connections()
  const deadline = performance.now() + VERIFY_LIMIT_MS
  for (const key of state.values.keys()) {
    let value = await attempt(state, connections, key, ['GET', key])
    for (; value === undefined; value = await attempt(state, connections, key, ['GET', key])) {
      if (performance.now() > deadline) throw new Error(`cannot read ${key} back: ${JSON.stringify(report(state))}`)
      await sleep(RETRY_MS)
    }
    judge(state, key, Number(value), 0)
  }
  connections.close()
}

/** One command through as many redirections as are reasonable. Undefined after an error, which is counted. */
async function attempt(
  state: State,
  connections: Connections,
  key: string,
  argv: readonly string[],
): Promise<Value | undefined> {
  let port = state.homes.get(key) ?? anyOf(state.ports)
  let asking = false
  for (let hop = 0; hop < REDIRECTION_LIMIT; hop++) {
    let value: Value
    try {
      const client = await connections.to(port)
      value = await request(client, argv, asking)
    } catch (error) {
      connections.drop(port)
      state.homes.delete(key)
      return count(state, port, error)
    }
    if (!(value instanceof ReplyError)) {
      if (!asking) state.homes.set(key, port)
      return value
    }
    const [, kind, target] = /^(MOVED|ASK) \d+ [^ ]*:(\d+)$/.exec(value.message) ?? []
    if (!kind) {
      state.homes.delete(key)
      return count(state, port, value)
    }
    state.redirections++
    asking = kind === 'ASK'
    port = Number(target)
    if (!asking) state.homes.set(key, port)
  }
  return count(state, port, new Error('too many redirections'))
}

async function request(client: Client, argv: readonly string[], asking: boolean): Promise<Value> {
  const replies = await client.pipeline(asking ? [['ASKING'], argv] : [argv])
  return replies.at(-1)!
}

function count(state: State, port: number, error: unknown): undefined {
  const { message } = error as Error
  const kind = message.replaceAll(/\d{4,}/g, 'N')
  state.errors.set(kind, (state.errors.get(kind) ?? 0) + 1)
  const afterMs = Math.round(performance.now() - state.startedAt)
  if (state.incidents.length < INCIDENTS_KEPT) state.incidents.push(`after ${afterMs} ms at ${port}: ${message}`)
}

const anyOf = (ports: readonly number[]): number => ports[Math.floor(Math.random() * ports.length)]!

/** One worker's connections, by port. */
class Connections {
  private readonly clients = new Map<number, Client>()

  async to(port: number): Promise<Client> {
    const known = this.clients.get(port)
    if (known) return known
    const client = await connect(port, REPLY_LIMIT_MS)
    this.clients.set(port, client)
    return client
  }

  drop(port: number): void {
    this.clients.get(port)?.close()
    this.clients.delete(port)
  }

  close(): void {
    for (const port of this.clients.keys()) this.drop(port)
  }
}
