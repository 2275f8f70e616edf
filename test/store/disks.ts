/** Disks for the journal's specs: a temporary folder, and a disk that refuses. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Disk, type DiskFile, disk } from '../../store/disk.ts'
import type { SegmentHead } from '../../store/segments.ts'

const folders: string[] = []

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rookery-store-'))
  folders.push(folder)
  return folder
}

export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}

/** What the system says when it refuses. */
const refusal = (code: 'ENOSPC' | 'EIO', errno: number): Error => Object.assign(new Error(code), { code, errno })

/** The real disk until it is told to be full or broken. */
export class FaultyDisk implements Disk {
  /** Bytes that can still be written. */
  room = Number.POSITIVE_INFINITY
  syncFails = false
  /** Syncs wait until `finishSyncs`. */
  slow = false
  #waiting: (() => void)[] = []

  readonly list = disk.list
  readonly makeFolder = disk.makeFolder
  readonly rename = disk.rename
  readonly remove = disk.remove
  readonly syncFolder = disk.syncFolder
  readonly syncFolderLater = disk.syncFolderLater

  finishSyncs(): void {
    this.slow = false
    for (const done of this.#waiting.splice(0)) done()
  }

  open(path: string, mode: Parameters<Disk['open']>[1]): DiskFile {
    const file = disk.open(path, mode)
    const failing = (): void => {
      if (this.syncFails) throw refusal('EIO', -5)
    }
    return {
      get size() {
        return file.size
      },
      read: file.read,
      readLater: file.readLater,
      truncate: file.truncate,
      close: file.close,
      write: (parts, position) => {
        const bytes = Buffer.concat(parts)
        const fits = bytes.subarray(0, this.room)
        if (fits.length > 0) file.write([fits], position)
        this.room -= fits.length
        if (fits.length < bytes.length) throw refusal('ENOSPC', -28)
      },
      async writeLater(part, position) {
        this.write([part], position)
      },
      syncNow: () => {
        failing()
        file.syncNow()
      },
      sync: async () => {
        if (this.slow) await new Promise<void>((done) => this.#waiting.push(done))
        failing()
        await file.sync()
      },
    }
  }
}

export const HEAD: SegmentHead = {
  chain: 1,
  offset: 0,
  replid: 'a'.repeat(40),
  replid2: '0'.repeat(40),
  secondOffset: -1,
  db: 0,
}

/** The bytes of an async iteration, joined. */
export async function joined(parts: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const part of parts) text += part.toString('latin1')
  return text
}
