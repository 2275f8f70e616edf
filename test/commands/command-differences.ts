/** Where our command table is not that of redis-server 7.0.15, and why. Everything else is the same. */
import type { Command } from '../../lib/commands/define.ts'

export interface Difference {
  /** Of full names ("client|kill"). */
  readonly name: RegExp
  readonly reason: string
}

/** Commands of 7.0 that we do not have. */
export const MISSING: readonly Difference[] = [
  { name: /^pfselftest$/, reason: 'a test of the server by itself; ours are in test/' },
]

/** Later than 7.0 in any part of it: commands of ours that 7.0 does not have, or not with all their arguments. */
export const isNewer = ({ since, arguments: args }: Pick<Command, 'since' | 'arguments'>): boolean =>
  [since, ...(args ?? []).map((arg) => arg.since ?? '')].some((version) => /^7\.[1-9]|^[89]/.test(version))
