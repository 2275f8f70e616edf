/** The engine's threads beside the main one: they compile, and help to collect garbage. On Linux each thread has a priority of its own.
 *
 *  A young node has some hundred functions to compile when it gets its first work of a kind. On a small machine the main threads, for
 *  which the clients wait, then wait for that: a reshard among nodes just started takes 3 to 12 % longer if all have the same priority
 *  (`npm run bench:reshard -- --slots 2000`, two cores). */
import { readdirSync, readFileSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'

/** A thread of this process as Linux shows it. */
export interface Thread {
  /** Later ones have greater ids. */
  readonly id: number
  readonly name: string
}

/** How much nicer they are: a tenth of the main thread's share where both want the same core. */
const NICER = 10
const TASKS = '/proc/self/task'

/** Lets the main thread go first. Elsewhere than on Linux, and where the threads cannot be told apart, all is left as it is. */
export function yieldToMain(): void {
  if (process.platform !== 'linux') return
  try {
    const threads = readdirSync(TASKS).map((id) => ({
      id: Number(id),
      name: readFileSync(`${TASKS}/${id}/comm`, 'latin1').trim(),
    }))
    const niceness = Math.min(getPriority() + NICER, constants.priority.PRIORITY_LOW)
    for (const { id } of engineThreads(threads)) setPriority(id, niceness)
  } catch {
    // A sandbox that hides /proc or forbids this has its reasons, and the node runs without.
  }
}

/** Those that work for V8. Since Node 24 they have a name. Before that they are known by their place: after the main thread and one for
 *  delayed tasks come four for V8, one for a signal, and libuv's four once they are needed. */
export function engineThreads(threads: readonly Thread[]): readonly Thread[] {
  const named = threads.filter(({ name }) => name.endsWith('V8Worker'))
  if (named.length > 0) return named
  const inOrder = threads.toSorted((a, b) => a.id - b.id)
  return inOrder.length === 7 || inOrder.length === 11 ? inOrder.slice(2, 6) : []
}
