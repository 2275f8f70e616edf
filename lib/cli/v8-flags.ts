/** What the JavaScript engine is told for the whole process. V8's flags have other names and meanings in each of its versions, and V8
 *  complains on stderr of one that it does not know: only versions of Node that were tried are told anything. */
import { setFlagsFromString } from 'node:v8'

/** Values by the name of the flag. */
type Flags = Readonly<Record<string, number>>

export interface Engine {
  /** When a function is compiled to optimized machine code: late, in a process that has little to do, and soon, in one that has much.
   *  Both name the same flags. */
  readonly late: Flags
  readonly soon: Flags
}

/** Functions that ran so long (in bytes of bytecode) so many times, and whose types were the same for so many calls. A function that a
 *  reshard calls once for each slot would wait for its 500th slot at least. V8's own budget is 66 KiB. */
const NODE_20: Engine = {
  late: {
    'interrupt-budget': 400_000,
    'ticks-before-optimization': 3,
    'bytecode-size-allowance-per-tick': 150,
    'minimum-invocations-after-ic-update': 500,
  },
  soon: {
    'interrupt-budget': 15_000,
    'ticks-before-optimization': 1,
    'bytecode-size-allowance-per-tick': 10_000,
    'minimum-invocations-after-ic-update': 30,
  },
}
/** The first two became one number of calls; V8's own is 3000. */
const NODE_22: Engine = {
  late: { 'invocation-count-for-turbofan': 18_000, 'minimum-invocations-after-ic-update': 500 },
  soon: { 'invocation-count-for-turbofan': 300, 'minimum-invocations-after-ic-update': 30 },
}
/** A cheap compiler comes before the good one. What is late here is V8's own. */
const NODE_24: Engine = {
  late: {
    'invocation-count-for-maglev': 400,
    'invocation-count-for-turbofan': 3000,
    'minimum-invocations-after-ic-update': 500,
  },
  soon: {
    'invocation-count-for-maglev': 100,
    'invocation-count-for-turbofan': 10_000,
    'minimum-invocations-after-ic-update': 30,
  },
}

/** By the major version of Node. */
export const ENGINES: ReadonlyMap<number, Engine> = new Map([
  [20, NODE_20],
  [22, NODE_22],
  [24, NODE_24],
  [26, NODE_24],
])

/** Tells the engine how this process is used. To be called before anything else is loaded: what has grown stays. */
export function tuneEngine(): void {
  const engine = ENGINES.get(Number.parseInt(process.versions.node, 10))
  if (engine === undefined) return
  keepYoungHeapSmall()
  compileByLoad(engine)
}

/** Keeps the part of the heap that new objects come from as small as it is, and its collection on the main thread. It would grow until it takes 32 MB of
 *  resident memory, for objects that live no longer than a command; `npm run bench:memory` shows the difference, and no command is
 *  slower for it. And threads that help to collect it are waited for, on a busy machine until they get a core: under a load of 15
 *  to 20 on two cores the longest collections of three rounds of `npm run bench:pauses` were 9, 62 and 21 ms without them, 99, 79 and
 *  74 with them. */
function keepYoungHeapSmall(): void {
  setFlags({ 'semi-space-growth-factor': 1 })
  setFlagsFromString('--no-parallel-scavenge')
}

/** A process is busy that has used so much of the time, of each of so many intervals on end. */
const BUSY = { share: 0.2, intervals: 3, intervalMs: 100 }

/** Functions are compiled late in a process that has little to do, and soon in one that has much. V8's threads compile beside the main
 *  thread, and on a small machine they take the cores that others wait for: six nodes that start at once take a quarter longer when
 *  all compile soon, and half of the time of a manual failover among them goes there (`npm run bench:failover`). And a reshard is a few
 *  thousand calls of each function: it takes a third longer if all compile late (`npm run bench:reshard`). */
function compileByLoad({ late, soon }: Engine): void {
  let isBusy = false
  let contrary = 0
  let last = performance.eventLoopUtilization()
  setFlags(late)
  const judge = (): void => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, last)
    last = now
    contrary = utilization > BUSY.share === isBusy ? 0 : contrary + 1
    if (contrary < BUSY.intervals) return
    contrary = 0
    isBusy = !isBusy
    setFlags(isBusy ? soon : late)
  }
  setInterval(judge, BUSY.intervalMs).unref()
}

function setFlags(flags: Flags): void {
  for (const [name, value] of Object.entries(flags)) setFlagsFromString(`--${name}=${value}`)
}
