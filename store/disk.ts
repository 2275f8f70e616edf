/** Files as the store uses them: written at a position, forced to the disk, listed by name. An edge file: nothing else in the journal
 *  touches the disk, and a test puts a failing disk in its place. Everything throws what the system says. */
import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  read as readLater,
  readSync,
  renameSync,
  rmSync,
  write as writeLater,
  writevSync,
} from 'node:fs'
import { promisify } from 'node:util'

export interface DiskFile {
  readonly size: number
  /** Writes the parts one behind the other from `position` on. When it throws, any of their bytes may be there. */
  write(parts: readonly Uint8Array[], position: number): void
  /** As `write` of one part, while the event loop goes on. */
  writeLater(part: Uint8Array, position: number): Promise<void>
  /** Fills `into` from `position` on; returns how many bytes there were. */
  read(into: Uint8Array, position: number): number
  /** As `read`, while the event loop goes on. */
  readLater(into: Uint8Array, position: number): Promise<number>
  truncate(length: number): void
  /** Waits until the bytes would survive a power loss. */
  syncNow(): void
  /** As `syncNow`, while the event loop goes on. */
  sync(): Promise<void>
  close(): void
}

/** An existing file for reading, or for reading and writing; or a new, empty one, whatever was there. */
export type OpenMode = 'read' | 'update' | 'create'

export interface Disk {
  /** Names in a folder, sorted; none when there is no such folder. */
  list(folder: string): readonly string[]
  makeFolder(folder: string): void
  open(path: string, mode: OpenMode): DiskFile
  rename(from: string, to: string): void
  /** Removes a file or a folder, if it is there. */
  remove(path: string): void
  /** Makes new, renamed and removed names of a folder durable. */
  syncFolder(folder: string): void
  /** As `syncFolder`, while the event loop goes on. */
  syncFolderLater(folder: string): Promise<void>
}

const later = {
  read: promisify(readLater),
  write: promisify(writeLater),
  fdatasync: promisify(fdatasync),
  fsync: promisify(fsync),
}

/** Windows has no such call for folders, and its file systems order renames themselves. */
const CAN_SYNC_FOLDERS = process.platform !== 'win32'

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY,
  update: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC,
}

/** The disks of this machine. */
export const disk: Disk = {
  list(folder) {
    try {
      return readdirSync(folder).sort()
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw failure
    }
  },
  makeFolder: (folder) => void mkdirSync(folder, { recursive: true }),
  open: (path, mode) => fileOf(openSync(path, FLAGS[mode], 0o644)),
  rename: renameSync,
  remove: (path) => rmSync(path, { force: true, recursive: true }),
  syncFolder(folder) {
    if (!CAN_SYNC_FOLDERS) return
    const handle = openSync(folder, constants.O_RDONLY)
    try {
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
  },
  async syncFolderLater(folder) {
    if (!CAN_SYNC_FOLDERS) return
    const handle = openSync(folder, constants.O_RDONLY)
    try {
      await later.fsync(handle)
    } finally {
      closeSync(handle)
    }
  },
}

const fileOf = (handle: number): DiskFile => ({
  get size() {
    return fstatSync(handle).size
  },
  write(parts, position) {
    let left: readonly Uint8Array[] = parts
    let at = position
    for (;;) {
      const written = writevSync(handle, left, at)
      at += written
      left = without(left, written)
      if (left.length === 0) return
    }
  },
  async writeLater(part, position) {
    for (let at = 0; at < part.length; ) {
      const { bytesWritten } = await later.write(handle, part, at, part.length - at, position + at)
      at += bytesWritten
    }
  },
  read: (into, position) => readSync(handle, into, 0, into.length, position),
  readLater: async (into, position) => (await later.read(handle, into, 0, into.length, position)).bytesRead,
  truncate: (length) => ftruncateSync(handle, length),
  syncNow: () => fdatasyncSync(handle),
  sync: () => later.fdatasync(handle),
  close: () => closeSync(handle),
})

/** What is left of the parts after the first `count` bytes. */
function without(parts: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let gone = 0
  let i = 0
  while (i < parts.length && gone + parts[i]!.length <= count) gone += parts[i++]!.length
  if (i === parts.length) return []
  return [parts[i]!.subarray(count - gone), ...parts.slice(i + 1)]
}

/** Bytes read at once. */
const SLICE = 256 * 1024

/** The bytes of a file from a position to another, or to its end, while the event loop goes on. The slices are the receiver's. */
export async function* slicesOf(
  on: Disk,
  path: string,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer, void> {
  const file = on.open(path, 'read')
  try {
    for (let at = from; at < to; ) {
      const slice = Buffer.allocUnsafeSlow(Math.min(SLICE, to - at))
      const length = await file.readLater(slice, at)
      if (length === 0) return
      yield slice.subarray(0, length)
      at += length
    }
  } finally {
    file.close()
  }
}
