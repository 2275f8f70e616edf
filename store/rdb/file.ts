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

/** As `writeDumpNow`, while the event loop goes on: a few chunks are made at a time, until the source says that it may be left alone. */
export async function writeDump(
  disk: Disk,
  path: string,
  chunks: Iterable<Buffer>,
  mayPause: () => boolean,
): Promise<void> {
  const draft = draftOf(path)
  try {
    const file = disk.open(draft, 'create')
    try {
      await writeChunks(file, chunks, mayPause)
    } finally {
      file.close()
    }
    replace(disk, draft, path)
  } catch (failure) {
    disk.remove(draft)
    throw failure
  }
}

async function writeChunks(file: DiskFile, chunks: Iterable<Buffer>, mayPause: () => boolean): Promise<void> {
  let at = 0
  let synced = 0
  let made: Buffer[] = []
  for (const chunk of chunks) {
    made.push(chunk)
    if (!mayPause()) continue
    const bytes = made.length === 1 ? chunk : Buffer.concat(made)
    made = []
    await file.writeLater(bytes, at)
    at += bytes.length
    if (at - synced < SYNC_EVERY) continue
    await file.sync()
    synced = at
  }
  await file.writeLater(Buffer.concat(made), at)
  await file.sync()
}

const draftOf = (path: string): string => join(dirname(path), `temp-${basename(path)}`)

function replace(disk: Disk, draft: string, path: string): void {
  disk.rename(draft, path)
  disk.syncFolder(dirname(path))
}
