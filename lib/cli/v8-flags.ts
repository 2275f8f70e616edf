/** What the JavaScript engine is told for the whole process. V8's flags have other names and meanings in each of its versions, and V8
 *  complains on stderr of one that it does not know: only versions of Node that were tried are told anything. */
import { setFlagsFromString } from 'node:v8'

/** Values by the name of the flag. */
type Flags = Readonly<Record<string, number>>

/** When a function is compiled to optimized machine code. V8 looks at it when it has used up its budget of work, and gives it the next
 *  one: that is the same at any time, for what was once given cannot be cut. What it takes to be compiled then, is not. */
interface Engine {
  readonly always: Flags
  /** In a process that has little to do. */
  readonly late: Flags
  /** In one that has much. Names the flags that `late` names. */
  readonly soon: Flags
}

/** A look at each 15,000 bytes of bytecode; V8's own budget is 66 KiB. What it takes is so many looks, and so many calls since the last
 *  new type was seen: a function that a reshard calls once for each slot would wait for its 500th slot at least. */
const NODE_20: Engine = {
  always: { 'interrupt-budget': 15_000, 'bytecode-size-allowance-per-tick': 10_000 },
  late: {
    'ticks-before-optimization': 80,
    'minimum-invocations-after-ic-update': 500,
    'max-bytecode-size-for-early-opt': 0,
  },
  soon: {
    'ticks-before-optimization': 2,
    'minimum-invocations-after-ic-update': 30,
    'max-bytecode-size-for-early-opt': 81,
  },
}
/** A look after each so many calls; V8's own number is 3000. */
const NODE_22: Engine = {
  always: { 'invocation-count-for-turbofan': 300 },
  late: { 'minimum-invocations-after-ic-update': 18_000 },
  soon: { 'minimum-invocations-after-ic-update': 30 },
}
/** A cheap compiler comes before the good one. */
const NODE_24: Engine = {
  always: { 'invocation-count-for-maglev': 100, 'invocation-count-for-turbofan': 10_000 },
  late: { 'minimum-invocations-after-ic-update': 500 },
  soon: { 'minimum-invocations-after-ic-update': 30 },
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

/** A process is busy that has used so much of the time, of each of so many intervals on end. It is calm when it has not for two seconds:
 *  what makes it busy has pauses, as when redis-cli looks at the cluster before it moves the first slot. */
const BUSY = { share: 0.2, intervals: 2, calmIntervals: 40, intervalMs: 50 }

/** Functions are compiled late in a process that has little to do, and soon in one that has much. V8's threads compile beside the main
 *  thread, and on a small machine they take the cores that others wait for: six nodes that start at once take a quarter longer when
 *  all compile soon, and a manual failover among them half as long again (`npm run bench:failover`). And a reshard is a few thousand
 *  calls of each function: it takes a fifth longer if all compile late (`npm run bench:reshard`). */
function compileByLoad({ always, late, soon }: Engine): void {
  const judge = loadJudge()
  let last = performance.eventLoopUtilization()
  setFlags(always)
  setFlags(late)
  const look = (): void => {
    const now = performance.eventLoopUtilization()
    const turn = judge(performance.eventLoopUtilization(now, last).utilization)
    last = now
    if (turn !== undefined) setFlags(turn === 'busy' ? soon : late)
  }
  setInterval(look, BUSY.intervalMs).unref()
}

/** Told the share of each interval that was used, says when the process turns busy or calm. Who starts works, but at what is done once:
 *  a process turns busy only after it has been calm, for which a moment suffices then. */
export function loadJudge(): (share: number) => 'busy' | 'calm' | undefined {
  let isBusy = true
  let needed = BUSY.intervals
  let contrary = 0
  return (share) => {
    contrary = share > BUSY.share === isBusy ? 0 : contrary + 1
    if (contrary < needed) return undefined
    contrary = 0
    isBusy = !isBusy
    needed = isBusy ? BUSY.calmIntervals : BUSY.intervals
    return isBusy ? 'busy' : 'calm'
  }
}

function setFlags(flags: Flags): void {
  for (const [name, value] of Object.entries(flags)) setFlagsFromString(`--${name}=${value}`)
}
