/** A small text file that one process owns: replaced as a whole, never half written, and locked against a second owner. */
import { closeSync, fsyncSync, openSync, readFileSync, realpathSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { lockFile } from './file-lock.ts'

export interface NodesFile {
  /** The whole text; undefined when there is no file. Throws what reading throws. */
  read(): string | undefined
  /** Replaces the file. With `fsync` the new text survives a power loss once this returns. Throws on failure; then the
   *  file is what it was. */
  write(text: string, fsync: boolean): void
  /** Lets go of the lock. */
  close(): Promise<void>
}

/** Opens `path`, which need not exist yet, for the life of the process. Throws when another process has it open. */
export async function openNodesFile(path: string): Promise<NodesFile> {
  const target = throughLink(resolve(path))
  const lock = await lockFile(target)
  if (lock === undefined)
    throw new Error(
      `Sorry, the cluster configuration file ${path} is already used by a different Redis Cluster node. ` +
        'Please make sure that different nodes use different cluster configuration files.',
    )
  return {
    read: () => readIfThere(target),
    write: (text, fsync) => replaceFile(target, text, fsync),
    close: () => lock.release(),
  }
}

/** Writes a new file beside `path` and renames it over the old one: whatever happens, `path` is the old text or the new one,
 *  whole. With `fsync` the text is on disk before it gets the name, and the name before this returns. */
export function replaceFile(path: string, text: string, fsync: boolean): void {
  // One owner writes, so one name will do; what a crash left behind under it is overwritten.
  const draft = join(dirname(path), `${basename(path)}.tmp`)
  try {
    writeWhole(draft, Buffer.from(text), fsync)
    renameSync(draft, path)
  } catch (failure) {
    discard(draft)
    throw failure
  }
  if (fsync) syncFolder(dirname(path))
}

/** The draft is of no use any more; that it cannot be removed is no news beside the failure that made it so. */
function discard(draft: string): void {
  try {
    unlinkSync(draft)
  } catch {}
}

function writeWhole(path: string, bytes: Uint8Array, fsync: boolean): void {
  const file = openSync(path, 'w', 0o644)
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
    if (fsync) fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Makes a rename durable. Windows has no such call for folders, and its file systems order renames themselves. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw failure
  }
}

/** Where a symbolic link points, so that replacing the file keeps the link; the path itself when there is no file yet. */
function throughLink(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
