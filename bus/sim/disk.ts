/** The disk of a simulated node: the nodes.conf that survives anything, and those written since without fsync, any of which
 *  a power loss may leave behind. */
import type { Random } from '../../lib/base/random.ts'

/** How a text is written: synced, at once but not synced, or when there is time. */
export type Care = 'synced' | 'written' | 'later'

export interface Disk {
  /** The text as of the last fsync; '' when there is none. */
  safe: string
  /** What was written after it, oldest first, and whether even a crash of the process may have come before. */
  unsafe: { readonly text: string; readonly later: boolean }[]
}

/** So many unsafe texts are remembered. */
const MOST_UNSAFE = 8

export const emptyDisk = (): Disk => ({ safe: '', unsafe: [] })

/** Writes the file. */
export function save(disk: Disk, text: string, care: Care): void {
  if (care === 'synced') Object.assign(disk, { safe: text, unsafe: [] })
  else {
    disk.unsafe.push({ text, later: care === 'later' })
    if (disk.unsafe.length > MOST_UNSAFE) disk.unsafe.shift()
  }
}

/** What is read at the next start. */
export const newest = (disk: Disk): string => disk.unsafe.at(-1)?.text ?? disk.safe

/** The process dies: what was to be written later may not be there. */
export function loseProcess(disk: Disk, random: Random): void {
  while (disk.unsafe.at(-1)?.later && random.below(2) === 0) disk.unsafe.pop()
}

/** The power fails: the file is the safe one or any later one. */
export function losePower(disk: Disk, random: Random): void {
  disk.unsafe.length = random.below(disk.unsafe.length + 1)
}
