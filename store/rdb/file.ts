/** A dump on the disk: written beside the old one, which it replaces when it is whole. */
import { basename, dirname, join } from 'node:path'
import type { Disk, DiskFile } from '../disk.ts'

/** How many bytes go to the disk before the writer waits for it, so that the last sync is short. */
const SYNC_EVERY = 4 * 1024 * 1024

/** Writes the chunks to `path` at one go. Throws what the system says; then the old file is what it was. */
export function writeDumpNow(disk: Disk, path: string, chunks: Iterable<Buffer>): void {
  const draft = draftOf(path)
  try {
    const file = disk.open(draft, 'create')
    try {
      let at = 0
      for (const chunk of chunks) {
        file.write([chunk], at)
        at += chunk.length
      }
      file.syncNow()
    } finally {
      file.close()
    }
    replace(disk, draft, path)
  } catch (failure) {
    disk.remove(draft)
    throw failure
  }
}

/** What makes a file a slice at a time. */
export interface SliceSource {
  readonly isDone: boolean
  slice(): Buffer[]
}

/** As `writeDumpNow`, while the event loop goes on between the slices. */
export async function writeDump(disk: Disk, path: string, source: SliceSource): Promise<void> {
  const draft = draftOf(path)
  try {
    const file = disk.open(draft, 'create')
    try {
      await writeSlices(file, source, SYNC_EVERY)
      await file.sync()
    } finally {
      file.close()
    }
    replace(disk, draft, path)
  } catch (failure) {
    disk.remove(draft)
    throw failure
  }
}

/** Writes all slices of a source to a file, while the event loop goes on between them; returns how many bytes they are. They are forced
 *  to the disk each `syncEvery` bytes. */
export async function writeSlices(
  file: DiskFile,
  source: SliceSource,
  syncEvery = Number.POSITIVE_INFINITY,
): Promise<number> {
  let at = 0
  let synced = 0
  while (!source.isDone) {
    const bytes = Buffer.concat(source.slice())
    await file.writeLater(bytes, at)
    at += bytes.length
    if (at - synced < syncEvery) continue
    await file.sync()
    synced = at
  }
  return at
}

const draftOf = (path: string): string => join(dirname(path), `temp-${basename(path)}`)

function replace(disk: Disk, draft: string, path: string): void {
  disk.rename(draft, path)
  disk.syncFolder(dirname(path))
}
