/** The stream on disk: files of RESP commands, each named by the chain it belongs to and the stream offset it begins at.
 *
 *  A *chain* is a data set with the history that leads on from it. Segments of one chain follow each other without a gap. When the
 *  data set is replaced as a whole (a full synchronisation), offsets may begin anywhere, so a new chain begins; the number of the
 *  chain that counts is in the checkpoint's commit.
 *
 *  A segment begins with lines that redis-check-aof and redis-server take for annotations: they say which history its bytes belong
 *  to, and how far the stream was known to be on the disk itself. What is broken before that mark was whole once: damage. What is
 *  broken behind it is what a crash leaves of a last write. */
import { join } from 'node:path'
import { assert } from '../lib/base/assert.ts'
import { type Disk, type DiskFile, slicesOf } from './disk.ts'

/** Where a segment begins, and in which history. */
export interface SegmentHead {
  readonly chain: number
  /** Bytes of the history before its first one. */
  readonly offset: number
  readonly replid: string
  readonly replid2: string
  /** The first byte that `replid2` does not share; -1 without one. */
  readonly secondOffset: number
  /** The database in which its first command runs. */
  readonly db: number
}

export interface Segment extends SegmentHead {
  readonly path: string
  /** Offset after its last byte. */
  readonly end: number
  /** What its head says of how far the chain was on the disk. */
  readonly mark: number
}

type Growing = { -readonly [Name in keyof Segment]: Segment[Name] }

/** The segments are not what we wrote; the message says which, and what to do. Nothing was changed. */
export class SegmentError extends Error {}

const NAME = /^(\d{6})-(\d{20})\.aof$/
const TITLE = '#rookery stream segment, version 1\r\n'

interface Field {
  readonly name: string
  readonly width: number
  readonly text: (head: SegmentHead, synced: number) => string
}

/** The lines under the title, in order: each has a fixed length, so that the last one can be rewritten in place. */
const FIELDS: readonly Field[] = [
  { name: 'chain', width: 6, text: (head) => String(head.chain) },
  { name: 'offset', width: 20, text: (head) => String(head.offset) },
  { name: 'replid', width: 40, text: (head) => head.replid },
  { name: 'replid2', width: 40, text: (head) => head.replid2 },
  { name: 'second-offset', width: 20, text: (head) => String(head.secondOffset) },
  { name: 'db', width: 10, text: (head) => String(head.db) },
  { name: 'synced', width: 20, text: (_, synced) => String(synced) },
]
const LAST = FIELDS.at(-1)!

const headText = (head: SegmentHead, synced: number): string =>
  TITLE + FIELDS.map(({ name, width, text }) => `#${name} ${text(head, synced).padStart(width)}\r\n`).join('')

const PATTERN = new RegExp(
  `^${TITLE}${FIELDS.map(({ name, width }) => `#${name} ([ 0-9a-z-]{${width}})\r\n`).join('')}$`,
)

/** Bytes before the stream's own in every segment. */
export const HEAD_LENGTH = headText({ chain: 0, offset: 0, replid: '', replid2: '', secondOffset: -1, db: 0 }, 0).length

const MARK_AT = HEAD_LENGTH - LAST.width - 2

/** One of which the file is still open. */
interface Retired {
  readonly file: DiskFile
  readonly start: number
  readonly end: number
}

export class Segments {
  readonly folder: string
  readonly #disk: Disk
  #list: Growing[] = []
  /** The last segment, while we write. */
  #file: DiskFile | undefined
  /** Earlier ones whose bytes may not be on the disk yet. */
  #retired: Retired[] = []
  /** A sync is under way in the background. It has files in its hands: those nobody needs any more are closed when it is done. */
  #isSyncing = false
  readonly #unneeded: DiskFile[] = []
  #synced = 0
  /** A sync failed: the system may have forgotten bytes it had not written yet, and will not say so again. */
  #suspect = false
  #newNames = false

  /** Reads the heads of the segments in `folder`. Throws SegmentError. */
  constructor(folder: string, disk: Disk) {
    this.folder = folder
    this.#disk = disk
    for (const name of disk.list(folder)) if (NAME.test(name)) this.#inspect(name)
  }

  /** In order: by chain, then by offset. */
  get all(): readonly Segment[] {
    return this.#list
  }

  /** How far a chain was known to be on the disk itself when it was last written. */
  markOf(chain: number): number {
    return Math.max(0, ...this.ofChain(chain).map(({ mark }) => mark))
  }

  /** The segments of one chain. */
  ofChain(chain: number): readonly Segment[] {
    return this.#list.filter((segment) => segment.chain === chain)
  }

  /** Offset after the last byte. */
  get end(): number {
    return this.#list.at(-1)?.end ?? 0
  }

  /** Bytes up to here would survive a power loss. */
  get synced(): number {
    return this.#synced
  }

  /** The length of the stream in the last segment. */
  get lastLength(): number {
    const last = this.#list.at(-1)
    return last === undefined ? 0 : last.end - last.offset
  }

  // --- writing ---------------------------------------------------------------------------------------------------------

  /** Begins a segment; appends go to it from now on. One that has the same name, and so holds nothing yet, is replaced. */
  begin(head: SegmentHead): void {
    const last = this.#list.at(-1)
    const goesOn = last?.chain === head.chain
    assert(last === undefined || !goesOn || last.end === head.offset, `segment at ${head.offset} after ${last?.end}`)
    if (!goesOn) this.#synced = head.offset
    const path = join(this.folder, `${digits(head.chain, 6)}-${digits(head.offset, 20)}.aof`)
    // It gets its name when its head is whole, so that the one it replaces is never missing.
    const draft = `${path}.new`
    const file = this.#disk.open(draft, 'create')
    try {
      file.write([Buffer.from(headText(head, this.#synced), 'latin1')], 0)
      this.#disk.rename(draft, path)
    } catch (failure) {
      file.close()
      this.#disk.remove(draft)
      throw failure
    }
    this.#retire()
    this.#file = file
    this.#newNames = true
    if (last !== undefined && goesOn && last.offset === head.offset) this.#list.pop()
    this.#list.push({ ...head, path, end: head.offset, mark: this.#synced })
  }

  /** Appends to the last segment. When it throws nothing was appended: the bytes can be given again. */
  append(parts: readonly Uint8Array[]): void {
    const last = this.#list.at(-1)
    assert(this.#file !== undefined && last !== undefined, 'appended without a segment')
    this.#file.write(parts, HEAD_LENGTH + last.end - last.offset)
    for (const part of parts) last.end += part.length
  }

  /** Waits until all that was appended is on the disk. */
  syncNow(): void {
    if (this.#file === undefined || this.#isSynced) return
    try {
      this.#writeSuspectAgain()
      for (const { file } of this.#retired) file.syncNow()
      this.#file.syncNow()
      if (this.#newNames) this.#disk.syncFolder(this.folder)
    } catch (failure) {
      this.#suspect = true
      throw failure
    }
    this.#newNames = false
    this.#syncedTo(this.end, this.#retired)
  }

  /** As `syncNow` for what was appended before the call, while the event loop goes on. One at a time. */
  async sync(): Promise<void> {
    if (this.#file === undefined || this.#isSynced) return
    const { end, chain } = this.#list.at(-1)!
    const retired = [...this.#retired]
    const hasNewNames = this.#newNames
    this.#newNames = false
    this.#isSyncing = true
    try {
      this.#writeSuspectAgain()
      await Promise.all([...retired.map(({ file }) => file.sync()), this.#file.sync()])
      if (hasNewNames) await this.#disk.syncFolderLater(this.folder)
    } catch (failure) {
      this.#suspect = true
      this.#newNames ||= hasNewNames
      throw failure
    } finally {
      this.#isSyncing = false
      for (const file of this.#unneeded.splice(0)) file.close()
    }
    if (this.#list.at(-1)?.chain === chain) this.#syncedTo(end, retired)
  }

  /** Lets go of the files. What was not synced is the system's to write. */
  close(): void {
    for (const { file } of this.#retired) file.close()
    this.#retired = []
    this.#file?.close()
    this.#file = undefined
  }

  get #isSynced(): boolean {
    return this.#synced === this.end && !this.#newNames && this.#retired.length === 0
  }

  #retire(): void {
    const last = this.#list.at(-1)
    if (this.#file === undefined || last === undefined) return
    if (last.end === last.offset) this.#letGo(this.#file)
    else this.#retired.push({ file: this.#file, start: last.offset, end: last.end })
  }

  /** Makes the system believe that the bytes it may have dropped are new. */
  #writeSuspectAgain(): void {
    if (!this.#suspect) return
    const { offset, end } = this.#list.at(-1)!
    for (const segment of this.#retired) rewrite(segment.file, segment.start, this.#synced, segment.end)
    rewrite(this.#file!, offset, this.#synced, end)
    this.#suspect = false
  }

  #letGo(file: DiskFile): void {
    if (this.#isSyncing) this.#unneeded.push(file)
    else file.close()
  }

  /** Everything up to `end` is on the disk, and with it these of the earlier segments. The mark says so; it need not be on the disk
   *  itself. */
  #syncedTo(end: number, synced: readonly Retired[]): void {
    for (const segment of this.#retired) if (synced.includes(segment)) this.#letGo(segment.file)
    this.#retired = this.#retired.filter((segment) => !synced.includes(segment))
    if (end <= this.#synced) return
    this.#synced = end
    this.#file?.write([Buffer.from(String(end).padStart(LAST.width), 'latin1')], MARK_AT)
  }

  // --- reading ---------------------------------------------------------------------------------------------------------

  /** The stream of one chain from an offset to another, in slices, while the event loop goes on. It must be there. */
  async *read(chain: number, from: number, to: number): AsyncGenerator<Buffer, void> {
    for (const { path, offset, end } of this.ofChain(chain)) {
      if (end <= from || offset >= to) continue
      const position = HEAD_LENGTH - offset
      yield* slicesOf(this.#disk, path, position + Math.max(from, offset), position + Math.min(to, end))
    }
  }

  /** Whether the chain's stream from an offset to the end is here. */
  has(chain: number, from: number): boolean {
    const [first] = this.ofChain(chain)
    return first !== undefined && first.offset <= from && from <= this.end
  }

  // --- cleaning up -----------------------------------------------------------------------------------------------------

  /** Removes the segments that `isWanted` refuses; never the last one, which is being written. */
  keepOnly(isWanted: (segment: Segment) => boolean): void {
    const writing = this.#file === undefined ? undefined : this.#list.at(-1)
    this.#list = this.#list.filter((segment) => {
      if (segment === writing || isWanted(segment)) return true
      this.#disk.remove(segment.path)
      return false
    })
  }

  /** What was found is to be gone on with: the chain is cut off at `end`, where it stopped making sense, other chains are removed,
   *  and what is left is made durable. */
  goOn(chain: number, end: number): void {
    const mark = this.markOf(chain)
    this.keepOnly((segment) => segment.chain === chain && segment.offset <= end)
    for (const segment of this.#list) {
      if (segment.end <= Math.min(mark, end)) continue
      const file = this.#disk.open(segment.path, 'update')
      try {
        if (segment.end > end) file.truncate(HEAD_LENGTH + end - segment.offset)
        segment.end = Math.min(segment.end, end)
        file.syncNow()
      } finally {
        file.close()
      }
    }
    this.#synced = end
  }

  #inspect(name: string): void {
    const path = join(this.folder, name)
    const file = this.#disk.open(path, 'read')
    try {
      const { size } = file
      const bytes = Buffer.alloc(HEAD_LENGTH)
      const length = file.read(bytes, 0)
      const found = readHead(bytes.toString('latin1', 0, length))
      if (found === undefined) {
        // A crash while it was begun leaves a head that is not whole, and nothing behind it.
        if (size <= HEAD_LENGTH) return
        throw new SegmentError(
          `${path} does not begin as a segment of the stream does. It was left as it is: restore the folder from a copy, or move it away.`,
        )
      }
      this.#list.push({ ...found.head, path, end: found.head.offset + size - HEAD_LENGTH, mark: found.synced })
    } finally {
      file.close()
    }
  }
}

/** Bytes rewritten at once. */
const SLICE = 256 * 1024

const digits = (n: number, width: number): string => String(n).padStart(width, '0')

function readHead(text: string): { head: SegmentHead; synced: number } | undefined {
  const values = PATTERN.exec(text)
    ?.slice(1)
    .map((value) => value.trim())
  if (values === undefined) return undefined
  const [chain, offset, replid, replid2, secondOffset, db, synced] = values as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  const head = {
    chain: Number(chain),
    offset: Number(offset),
    replid,
    replid2,
    secondOffset: Number(secondOffset),
    db: Number(db),
  }
  return { head, synced: Number(synced) }
}

/** Reads the stream's bytes [from, end) of a segment that begins at `start`, and writes them to the same place. */
function rewrite(file: DiskFile, start: number, from: number, end: number): void {
  const slice = Buffer.allocUnsafe(SLICE)
  let at = Math.max(from, start)
  while (at < end) {
    const position = HEAD_LENGTH + at - start
    const length = file.read(slice.subarray(0, Math.min(SLICE, end - at)), position)
    if (length === 0) return
    file.write([slice.subarray(0, length)], position)
    at += length
  }
}
