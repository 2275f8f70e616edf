/** Assertions for what only a bug of our own can cause. They stay on in production. */

/** Throws when `claim` is false: the program is wrong, not its input. */
export function assert(claim: unknown, why: string): asserts claim {
  if (!claim) throw new Error(`assertion failed: ${why}`)
}

/** The default branch of an exhaustive switch: a new variant does not compile until it is handled. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
