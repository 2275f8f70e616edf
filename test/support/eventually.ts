/** Waiting for a condition of a running system: polled, bounded, and explained when it does not come true. */
import { inspect } from 'node:util'

export interface Patience<T> {
  /** What is waited for, as it should read in a failure: "every node sees state ok". */
  readonly what: string
  readonly withinMs: number
  /** When a seen value is good enough; any truthy one by default. */
  readonly until?: (seen: T) => boolean
}

const POLL_MS = 25

/** Calls `probe` until its value is accepted, and returns that value. A probe that throws has seen a failure, not ended the wait.
 *  Throws after `withinMs` with `what` and the last thing seen, value or error. */
export async function eventually<T>(probe: () => T | Promise<T>, patience: Patience<T>): Promise<T> {
  const { what, withinMs, until = Boolean } = patience
  const deadline = performance.now() + withinMs
  for (;;) {
    let last: string
    try {
      const seen = await probe()
      if (until(seen)) return seen
      last = inspect(seen, { depth: 5, breakLength: 160 })
    } catch (error) {
      last = error instanceof Error ? error.message : String(error)
    }
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}; last seen: ${last}`)
    await sleep(POLL_MS)
  }
}

/** Lets `ms` pass. Only for what has no condition to wait for: that something does not happen, or the pace of a load. */
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
