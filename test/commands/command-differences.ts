/** Where our command table is not that of redis-server 7.0.15. Everything else is the same. */
import type { Command } from '../../lib/commands/define.ts'

/** Later than 7.0 in any part of it: commands of ours that 7.0 does not have, or not with all their arguments. */
export const isNewer = ({ since, arguments: args }: Pick<Command, 'since' | 'arguments'>): boolean =>
  [since, ...(args ?? []).map((arg) => arg.since ?? '')].some((version) => /^7\.[1-9]|^[89]/.test(version))
