/** The clients of the soak: real libraries that increment counters without pause, and a ledger of what each acknowledgement promised.
 *  The ledger knows which fault is being played, so that every loss, doubt and error is entered under its cause. */
import { Cluster as IoredisCluster } from 'ioredis'
import { eventually, sleep } from '../../test/support/eventually.ts'
import { LIBRARIES } from '../../test/support/libraries.ts'

/** The cause of what happens while nothing is broken. */
export const CALM = 'calm'

/** What the clients went through under one cause. */
export interface Toll {
  acknowledged: number
  /** Acknowledged increments that a replica had confirmed too. */
  confirmed: number
  /** Acknowledged increments that are gone. */
  lost: number
  /** Those among them that a replica had confirmed: there must never be one. */
  lostConfirmed: number
  /** Increments that happened without an acknowledgement. */
  noack: number
  /** Attempts whose outcome the client did not learn. */
  inDoubt: number
  /** Longest time one worker waited from one acknowledgement to the next. */
  longestGapMs: number
  readonly errors: Map<string, number>
}

export interface Clients {
  /** Enters what follows under this name. */
  enter(cause: string): void
  readonly tolls: ReadonlyMap<string, Toll>
  /** Resolves when every counter has been incremented at least once more; rejects with those that were not. */
  everyCounterMoves(withinMs: number): Promise<unknown>
  /** Stops writing, compares every counter with what is remembered, and disconnects. */
  stop(): Promise<void>
}

interface Counter {
  readonly key: string
  /** The value last seen: acknowledged, or read. */
  value: number
  /** The highest value of which a replica has confirmed that it has it. */
  confirmed: number
  writtenAt: number
}

/** One way to increment. */
interface Group {
  readonly name: string
  increment(key: string): Promise<{ readonly value: number; readonly confirmed: boolean }>
  get(key: string): Promise<string | null>
  close(): unknown
}

interface Ledger {
  cause: string
  isStopped: boolean
  readonly tolls: Map<string, Toll>
}

const COUNTERS_EACH = 32
const WORKERS_EACH = 4
const PACE_MS = 10
/** After so long a client no longer counts on an answer. */
const ANSWER_LIMIT_MS = 3000
const CONFIRM_LIMIT_MS = 500

/** Connects all groups through `port` and starts writing. */
export async function startClients(port: number, cause: string): Promise<Clients> {
  const ledger: Ledger = { cause, isStopped: false, tolls: new Map() }
  const groups = await Promise.all([openPlain('ioredis', port), openPlain('node-redis', port), openWaiting(port)])
  const counters = new Map(groups.map((group) => [group, countersOf(group)]))
  const all = [...counters.values()].flat()
  const running = [...counters].flatMap(([group, own]) =>
    Array.from({ length: WORKERS_EACH }, (_, w) =>
      work(
        ledger,
        group,
        own.filter((_, i) => i % WORKERS_EACH === w),
      ),
    ),
  )
  return {
    tolls: ledger.tolls,
    enter(name) {
      ledger.cause = name
    },
    everyCounterMoves(withinMs) {
      const since = performance.now()
      return eventually(() => all.filter(({ writtenAt }) => writtenAt < since).map(({ key }) => key), {
        what: 'every counter is written again',
        withinMs,
        until: (left) => left.length === 0,
      })
    },
    async stop() {
      ledger.isStopped = true
      await Promise.all(running)
      for (const [group, own] of counters) {
        for (const counter of own) judge(ledger, counter, Number(await group.get(counter.key)), 0)
        group.close()
      }
    },
  }
}

const countersOf = ({ name }: Group): Counter[] =>
  Array.from({ length: COUNTERS_EACH }, (_, i) => ({ key: `${name}:${i}`, value: 0, confirmed: 0, writtenAt: 0 }))

async function openPlain(name: string, port: number): Promise<Group> {
  const session = await LIBRARIES.find((library) => library.name === name)!.open(port)
  return {
    name,
    increment: async (key) => ({ value: await session.incr(key), confirmed: false }),
    get: (key) => session.get(key),
    close: () => session.close(),
  }
}

/** Asks for a replica's confirmation of every write, on the connection that wrote. */
async function openWaiting(port: number): Promise<Group> {
  const cluster = new IoredisCluster([{ host: '127.0.0.1', port }], { lazyConnect: true })
  cluster.on('error', () => {})
  await cluster.connect()
  return {
    name: 'ioredis, WAIT 1',
    async increment(key) {
      const [written, waited] = (await cluster.pipeline().incr(key).wait(1, CONFIRM_LIMIT_MS).exec()) ?? []
      // The library follows redirections of single commands only; of a pipeline it tells.
      if (written?.[0]?.message.startsWith('MOVED')) cluster.refreshSlotsCache()
      if (written === undefined || written[0]) throw written?.[0] ?? new Error('no reply')
      return { value: Number(written[1]), confirmed: Number(waited?.[1]) >= 1 }
    },
    get: (key) => cluster.get(key),
    close: () => cluster.disconnect(),
  }
}

/** Increments one counter after the other; each belongs to one worker, so its replies must count up by one. */
async function work(ledger: Ledger, group: Group, counters: readonly Counter[]): Promise<void> {
  let last = { at: performance.now(), cause: ledger.cause }
  for (let i = 0; !ledger.isStopped; i = (i + 1) % counters.length) {
    if (await increment(ledger, group, counters[i]!)) {
      const now = performance.now()
      const toll = tollOf(ledger, blamed(ledger, last.cause))
      toll.longestGapMs = Math.max(toll.longestGapMs, now - last.at)
      last = { at: now, cause: ledger.cause }
    }
    await sleep(PACE_MS)
  }
}

/** What to blame for something that began under `cause` and ended now: the fault, if there was one at either end. */
const blamed = (ledger: Ledger, cause: string): string => (cause === CALM ? ledger.cause : cause)

/** True when it was acknowledged. */
async function increment(ledger: Ledger, group: Group, counter: Counter): Promise<boolean> {
  const { cause } = ledger
  try {
    const { value, confirmed } = await inTime(group.increment(counter.key))
    judge(ledger, counter, value, 1)
    counter.writtenAt = performance.now()
    const toll = tollOf(ledger, ledger.cause)
    toll.acknowledged++
    if (confirmed) {
      toll.confirmed++
      counter.confirmed = value
    }
    return true
  } catch (error) {
    const message = `${group.name}: ${(error as Error).message.replaceAll(/\d{2,}/g, 'N')}`
    const toll = tollOf(ledger, blamed(ledger, cause))
    toll.errors.set(message, (toll.errors.get(message) ?? 0) + 1)
    if (!/MOVED|ASK|CLUSTERDOWN|TRYAGAIN|READONLY|LOADING/.test(message)) toll.inDoubt++
    return false
  }
}

/** Compares a seen value with the remembered one, `step` apart; from then on the seen one counts. */
function judge(ledger: Ledger, counter: Counter, seen: number, step: number): void {
  const toll = tollOf(ledger, ledger.cause)
  const expected = counter.value + step
  if (seen < expected) toll.lost += expected - seen
  else toll.noack += seen - expected
  if (seen < counter.confirmed + step) toll.lostConfirmed += counter.confirmed + step - seen
  counter.value = seen
  counter.confirmed = Math.min(counter.confirmed, seen)
}

function tollOf({ tolls }: Ledger, cause: string): Toll {
  const known = tolls.get(cause)
  if (known) return known
  const toll = {
    acknowledged: 0,
    confirmed: 0,
    lost: 0,
    lostConfirmed: 0,
    noack: 0,
    inDoubt: 0,
    longestGapMs: 0,
    errors: new Map<string, number>(),
  }
  tolls.set(cause, toll)
  return toll
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ANSWER_LIMIT_MS} ms`)), ANSWER_LIMIT_MS)
  })
  try {
    return await Promise.race([answer, limit])
  } finally {
    clearTimeout(timer)
  }
}
