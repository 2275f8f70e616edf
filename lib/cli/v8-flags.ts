/** What the JavaScript engine is told for the whole process. */
import { setFlagsFromString } from 'node:v8'

/** Keeps the part of the heap that new objects come from as small as it is, and its collection on the main thread. It would grow until it takes 32 MB of
 *  resident memory, for objects that live no longer than a command; `npm run bench:memory` shows the difference, and no command is
 *  slower for it. And threads that help to collect it are waited for, on a busy machine until they get a core: under a load of 15
 *  to 20 on two cores the longest collections of three rounds of `npm run bench:pauses` were 9, 62 and 21 ms without them, 99, 79 and
 *  74 with them. */
export const keepYoungHeapSmall = (): void => {
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--no-parallel-scavenge')
}

/** Work of a function, in V8's unit, after which it may be compiled to machine code. V8's own is 132 KiB. */
const BUDGET = { idle: 400_000, busy: 20_000 }
/** A process is busy that has used so much of the time, of each of so many intervals on end. */
const BUSY = { share: 0.2, intervals: 3, intervalMs: 100 }

/** Functions are compiled to machine code late in a process that has little to do, and soon in one that has much. V8's threads compile
 *  beside the main thread, and on a small machine they take the cores that others wait for: of a manual failover among young nodes
 *  on two cores half of the time, when all compile soon (`npm run bench:failover`). And a reshard is a few thousand calls of each
 *  function, of which most were interpreted if all compile late: it takes a fifth longer (`npm run bench:reshard`). */
export function compileByLoad(): void {
  let isBusy = false
  let contrary = 0
  let last = performance.eventLoopUtilization()
  setFlagsFromString(`--interrupt-budget=${BUDGET.idle}`)
  const judge = (): void => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, last)
    last = now
    contrary = utilization > BUSY.share === isBusy ? 0 : contrary + 1
    if (contrary < BUSY.intervals) return
    contrary = 0
    isBusy = !isBusy
    setFlagsFromString(`--interrupt-budget=${isBusy ? BUDGET.busy : BUDGET.idle}`)
  }
  setInterval(judge, BUSY.intervalMs).unref()
}
