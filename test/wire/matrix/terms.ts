/** The words that the rows of the matrix share. */
import type { Kind, Server } from '../../support/process.ts'

/** The node timeout of all its clusters, in milliseconds. */
export const T = 1000
/** How long news may take to reach every node. */
export const SPREAD_LIMIT_MS = 10_000

/** How titles call the two programs. */
export const NAMES: Readonly<Record<Kind, string>> = { rookery: 'ours', redis: 'redis-server' }

/** What every one of `observers` says when asked the same. */
export const saidBy = <T>(observers: readonly Server[], question: (observer: Server) => Promise<T>): Promise<T[]> =>
  Promise.all(observers.map(question))

export const without = (nodes: readonly Server[], one: Server): Server[] => nodes.filter((node) => node !== one)
