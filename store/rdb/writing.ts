/** Writing in steps: a large value is not written at one go, but whenever there is time for a little more of it. */

/** What is left of writing something: each step writes a little more of it, while it stays as it is. */
export type Writing = Generator<undefined, void>

/** Elements between two steps. */
export const STEP = 64

/** Writes one item after the other. */
export function* eachInSteps<T>(items: Iterable<T>, write: (item: T) => void): Writing {
  let left = STEP
  for (const item of items) {
    write(item)
    if (--left > 0) continue
    left = STEP
    yield
  }
}

/** Writes what is left. */
export function finish(writing: Writing | undefined): void {
  while (writing !== undefined && writing.next().done !== true);
}
