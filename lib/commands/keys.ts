/** Which arguments of a request are keys (or shard channels), as its row says. */
import type { Argv } from '../resp/argv.ts'
import type { CommandEntry } from './table.ts'

/** Writes the argument indexes of the keys into `out` and returns how many there are. Positions beyond the request
 *  are left out, so malformed requests have few or no keys and are refused by the command itself. */
export function keyIndexes(entry: CommandEntry, argv: Argv, out: number[]): number {
  const { keys } = entry.command
  if (keys === undefined) return 0
  let count = 0
  if (keys.find !== undefined) {
    for (const i of keys.find(argv)) if (i < argv.count) out[count++] = i
    return count
  }
  const last = keys.last < 0 ? argv.count + keys.last : Math.min(keys.last, argv.count - 1)
  for (let i = keys.first; i <= last; i += keys.step) out[count++] = i
  return count
}
