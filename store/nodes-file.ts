/** A small text file that one process owns: replaced as a whole, never half written, and locked against a second owner.
 *
 *  To replace a file that must survive a power loss takes two fsyncs and a millisecond, and 0.3 ms even without them, because file
 *  systems hurry the bytes of a file that takes another's name to the disk (ext4: `auto_da_alloc`). At five saves a slot that was
 *  most of the time of a reshard, and some of a failover's. To write over an open file takes 0.02 ms, and 0.2 ms with the one fsync
 *  that this needs. So a text goes to one of two *drafts* beside the file first, in turn, and a little later, with `settle`, to the
 *  file. A draft has a seal, by which it is known to be whole, and says which text of the file it follows: who opens the file after
 *  a crash goes on with the latest draft that is whole and follows what the file says. A file that was edited meanwhile, or brought
 *  back from elsewhere, is followed by none.
 *
 *  A text that grows at its end need not be written again: to a draft can be added, each addition under a seal of its own. */
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { lockFile } from './file-lock.ts'
import { Crc64 } from './rdb/crc64.ts'

export interface NodesFile {
  /** The whole text; undefined when there is no file. Throws what reading throws. */
  read(): string | undefined
  /** Replaces the text. Once this returns it survives the end of the process, with `fsync` a power loss too. Throws on failure; then
   *  the text is what it was. */
  write(text: string, fsync: boolean): void
  /** Adds to the end of the text that was written last. Once this returns it survives the end of the process. False, and nothing happens,
   *  while that is still the file itself. Throws on failure; then the text is what it was. */
  append(addition: string): boolean
  /** Brings the file itself up to date; to be called every now and then. */
  settle(): void
  /** Settles, and lets go of the lock. */
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
  adoptDraft(target)
  let drafts: Drafts | undefined
  const settle = (): void => drafts?.settle()
  return {
    read: () => drafts?.text ?? readIfThere(target),
    write(text, fsync) {
      drafts ??= openDrafts(target)
      // What there is to be followed is on disk before anything follows it.
      if (drafts === undefined) replaceFile(target, text, true)
      else drafts.write(text, fsync)
    },
    append: (addition) => drafts?.append(addition) ?? false,
    settle,
    async close() {
      settle()
      drafts?.discard()
      await lock.release()
    },
  }
}

/** The two drafts of a file, for as long as it is open. */
class Drafts {
  /** The last one's; undefined when the file is all there is. */
  text: string | undefined
  readonly #target: string
  readonly #handles: readonly number[]
  /** The hash of what the file says. */
  #follows: string
  #turn = 0
  /** Bytes of the last draft. */
  #length = 0
  #settled = true

  constructor(target: string, handles: readonly number[], fileText: string) {
    this.#target = target
    this.#handles = handles
    this.#follows = hashOf(fileText)
  }

  /** Writes over the older draft. Throws on failure; the other is whole still. */
  write(text: string, fsync: boolean): void {
    const turn = this.#turn + 1
    const handle = this.#handles[turn % 2]!
    this.#length = writeSealed(handle, `${turn} ${this.#follows} ${text}`, 0)
    if (fsync) fdatasyncSync(handle)
    this.#turn = turn
    this.text = text
    this.#settled = false
  }

  /** Writes behind the last draft. What a failure leaves of an addition there is not whole, and the next one takes its place. */
  append(addition: string): boolean {
    if (this.text === undefined) return false
    this.#length += writeSealed(this.#handles[this.#turn % 2]!, `${this.#turn} ${addition}`, this.#length)
    this.text += addition
    this.#settled = false
    return true
  }

  /** The last draft becomes the file, and is written once more as what follows that: should the file ever say again what it said
   *  before, no older draft must seem to follow it. */
  settle(): void {
    if (this.#settled || this.text === undefined) return
    replaceFile(this.#target, this.text, true)
    this.#follows = hashOf(this.text)
    this.write(this.text, false)
    this.#settled = true
  }

  discard(): void {
    for (const handle of this.#handles) closeSync(handle)
    for (const path of draftPaths(this.#target)) unlinkSync(path)
  }
}

/** Undefined when there is no file yet that a draft could follow. */
function openDrafts(target: string): Drafts | undefined {
  const text = readIfThere(target)
  if (text === undefined) return undefined
  const handles = draftPaths(target).map((path) => openSync(path, 'w', 0o644))
  syncFolder(dirname(target))
  return new Drafts(target, handles, text)
}

const draftPaths = (target: string): readonly string[] => [`${target}.draft-0`, `${target}.draft-1`]

/** What is in a draft: sealed `<turn> <follows> <text>`, then each addition, sealed `<turn> <addition>`. What comes after is left of a
 *  longer draft, of another turn. */
interface Draft {
  readonly turn: number
  /** The hash of the file's text. */
  readonly follows: string
  readonly text: string
}

/** Writes the CRC64 of what follows, the length of the content (u32, little-endian) and the content, at an offset; returns how many
 *  bytes that are. Every change of a slot does: a cryptographic hash would cost more than the rest. */
function writeSealed(file: number, content: string, at: number): number {
  const most = HEAD + content.length * MOST_PER_CHARACTER
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(most)
  const length = scratch.write(content, HEAD)
  scratch.writeUInt32LE(length, SEAL)
  const bytes = scratch.subarray(0, HEAD + length)
  new Crc64().update(bytes, SEAL).writeTo(bytes, 0)
  writeAll(file, bytes, at)
  return bytes.length
}

/** Where bytes are put together. */
let scratch = Buffer.alloc(0)
/** Bytes of UTF-8. */
const MOST_PER_CHARACTER = 3

/** What was sealed, and the bytes behind it; undefined when it is not whole. */
function unseal(bytes: Buffer): { readonly content: string; readonly rest: Buffer } | undefined {
  const end = bytes.length < HEAD ? Number.POSITIVE_INFINITY : HEAD + bytes.readUInt32LE(SEAL)
  if (end > bytes.length || !new Crc64().update(bytes, SEAL, end).standsAt(bytes, 0)) return undefined
  return { content: bytes.toString('utf8', HEAD, end), rest: bytes.subarray(end) }
}

/** Undefined when not even its first text is whole. */
function readDraft(bytes: Buffer): Draft | undefined {
  const first = unseal(bytes)
  if (first === undefined) return undefined
  const [turn = '', follows = ''] = first.content.split(' ', 2)
  let text = first.content.slice(turn.length + follows.length + 2)
  let next = unseal(first.rest)
  while (next?.content.startsWith(`${turn} `)) {
    text += next.content.slice(turn.length + 1)
    next = unseal(next.rest)
  }
  return { turn: Number(turn), follows, text }
}

/** Bytes of a seal, and of all that comes before the content. */
const SEAL = 8
const HEAD = SEAL + 4

const hashOf = (text: string): string => createHash('sha1').update(text).digest('hex')

/** The last draft of an owner that came to a sudden end becomes the file. */
function adoptDraft(target: string): void {
  const paths = draftPaths(target).filter((path) => existsSync(path))
  if (paths.length === 0) return
  const now = hashOf(readIfThere(target) ?? '')
  const drafts = paths.map((path) => readDraft(readFileSync(path))).filter((draft) => draft?.follows === now)
  const last = drafts.sort((a, b) => a!.turn - b!.turn).at(-1)
  if (last !== undefined) replaceFile(target, last.text, true)
  for (const path of paths) unlinkSync(path)
}

/** Writes a new file beside `path` and renames it over the old one: whatever happens, `path` is the old text or the new one,
 *  whole. With `fsync` the text is on disk before it gets the name, and the name before this returns. */
export function replaceFile(path: string, text: string, fsync: boolean): void {
  // One owner writes, so one name will do; what a crash left behind under it is overwritten.
  const draft = join(dirname(path), `${basename(path)}.tmp`)
  writeOrDiscard(draft, text, fsync)
  try {
    renameSync(draft, path)
  } catch (failure) {
    discard(draft)
    throw failure
  }
  if (fsync) syncFolder(dirname(path))
}

function writeOrDiscard(path: string, text: string, fsync: boolean): void {
  try {
    writeWhole(path, Buffer.from(text), fsync)
  } catch (failure) {
    discard(path)
    throw failure
  }
}

/** The new file is of no use any more; that it cannot be removed is no news beside the failure that made it so. */
function discard(path: string): void {
  try {
    unlinkSync(path)
  } catch {}
}

function writeWhole(path: string, bytes: Buffer, fsync: boolean): void {
  const file = openSync(path, 'w', 0o644)
  try {
    writeAll(file, bytes)
    if (fsync) fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function writeAll(file: number, bytes: Buffer, at = 0): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, at + done)
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
