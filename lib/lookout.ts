/** Looking out for a request that is expected at once, instead of sleeping until it comes.
 *
 *  A reshard is ten requests a slot, one after the other, and each has less work to do than it takes to wake up who is to do it: 10 us,
 *  and 60 on a virtual machine, which gives an idle processor back to its host. It takes a tenth longer without this
 *  (`npm run bench:reshard -- --slots 2000`, two cores). */
import { availableParallelism } from 'node:os'

/** As long as it takes from one step of a slot's migration to the next that comes here, and somewhat longer. */
const LOOKOUT_MS = 0.3
/** After so many failures in a row, more change nothing. */
const MOST_FAILURES = 7

/** To be called when a request is expected. `stats` tells whether one came. */
export function lookout(stats: { readonly reads: number }): () => void {
  const { mayLook, ended } = patience(availableParallelism())
  let looks = false
  let until = 0
  let reads = 0
  // A loop that has something to do next does not sleep.
  const look = (): void => {
    const came = stats.reads !== reads
    if (!came && performance.now() < until) return void setImmediate(look)
    looks = false
    ended(came)
  }
  return () => {
    if (!mayLook()) return
    reads = stats.reads
    until = performance.now() + LOOKOUT_MS
    if (looks) return
    looks = true
    setImmediate(look)
  }
}

/** When to look out, and when not to. Where all processors are busy the request comes late, and who looks out for it is in its way: after
 *  each failure in a row twice as many requests are not looked out for. On a single processor it would always be so. */
export function patience(processors: number): { mayLook(): boolean; ended(success: boolean): void } {
  let failures = 0
  let toSkip = 0
  return {
    mayLook: () => processors > 1 && --toSkip < 0,
    ended(success) {
      toSkip = success ? 0 : 2 ** failures
      failures = success ? 0 : Math.min(failures + 1, MOST_FAILURES)
    },
  }
}
