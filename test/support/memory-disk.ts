/** A disk in memory, for servers in the test's own process. */
import type { Disk, DiskFile } from '../../store/disk.ts'

export class MemoryDisk implements Disk {
  readonly files = new Map<string, Buffer>()
  /** Every write is refused. */
  isFull = false

  list(folder: string): readonly string[] {
    const inside = [...this.files.keys()].filter((path) => path.startsWith(`${folder}/`))
    return inside.map((path) => path.slice(folder.length + 1)).sort()
  }

  makeFolder(): void {}

  syncFolder(): void {}

  async syncFolderLater(): Promise<void> {}

  remove(path: string): void {
    this.files.delete(path)
  }

  rename(from: string, to: string): void {
    this.files.set(to, this.files.get(from)!)
    this.files.delete(from)
  }

  open(path: string, mode: Parameters<Disk['open']>[1]): DiskFile {
    if (mode === 'create') this.files.set(path, Buffer.alloc(0))
    const bytes = (): Buffer => this.files.get(path)!
    const write = (parts: readonly Uint8Array[], position: number): void => {
      if (this.isFull) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', errno: -28 })
      const written = Buffer.concat(parts)
      const size = Math.max(bytes().length, position + written.length)
      this.files.set(path, Buffer.concat([bytes(), Buffer.alloc(size - bytes().length)]))
      written.copy(bytes(), position)
    }
    const read = (into: Uint8Array, position: number): number => bytes().copy(into, 0, position)
    return {
      get size() {
        return bytes().length
      },
      write,
      writeLater: async (part, position) => write([part], position),
      read,
      readLater: async (into, position) => read(into, position),
      truncate: (length) => void this.files.set(path, bytes().subarray(0, length)),
      syncNow() {},
      sync: async () => {},
      close() {},
    }
  }
}
