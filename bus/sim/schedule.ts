/** Virtual time: things to do at an instant, done in order of time, and in the order they were asked for at one instant. */
import type { Millis } from '../../lib/base/brand.ts'

export interface Schedule {
  /** The virtual present. */
  now: Millis
  /** Does `run` once, `delayMs` from now. */
  after(delayMs: number, run: () => void): void
  /** Does everything due up to `until`, then it is `until`. */
  runUntil(until: Millis): void
  /** When the next thing is due. */
  next(): Millis | undefined
}

interface Entry {
  readonly at: Millis
  readonly order: number
  readonly run: () => void
}

export function createSchedule(start: Millis): Schedule {
  const heap: Entry[] = []
  let order = 0
  const schedule: Schedule = {
    now: start,
    after(delayMs, run) {
      push(heap, { at: (schedule.now + delayMs) as Millis, order: order++, run })
    },
    runUntil(until) {
      while (heap.length > 0 && heap[0]!.at <= until) {
        const entry = pop(heap)
        schedule.now = entry.at
        entry.run()
      }
      schedule.now = until
    },
    next: () => heap[0]?.at,
  }
  return schedule
}

const before = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

function push(heap: Entry[], entry: Entry): void {
  let i = heap.length
  for (; i > 0; ) {
    const parent = (i - 1) >> 1
    if (!before(entry, heap[parent]!)) break
    heap[i] = heap[parent]!
    i = parent
  }
  heap[i] = entry
}

function pop(heap: Entry[]): Entry {
  const top = heap[0]!
  const last = heap.pop()!
  if (heap.length === 0) return top
  let i = 0
  for (;;) {
    let child = 2 * i + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
    if (!before(heap[child]!, last)) break
    heap[i] = heap[child]!
    i = child
  }
  heap[i] = last
  return top
}
