/** The records of the checkpoint in LevelDB: written in batches, read in order, one of them the commit. The only file that knows the
 *  package `level`. */
import { COMMIT_KEY, type Commit, decodeCommit, encodeCommit, RECORDS_END, type RecordText } from './record.ts'

/** LevelDB cannot be opened or read; the message says why. */
export class RecordsError extends Error {
  /** Another process has it open. */
  readonly isTaken: boolean
  constructor(message: string, options: { cause: unknown; isTaken?: boolean }) {
    super(message, options)
    this.isTaken = options.isTaken ?? false
  }
}

/** Writes that happen together. */
export interface RecordBatch {
  readonly length: number
  put(key: RecordText, value: RecordText): void
  remove(key: RecordText): void
  write(): Promise<void>
}

export interface Records {
  commit(): Promise<Commit | undefined>
  /** Makes a commit the one that counts, durably. */
  setCommit(commit: Commit): Promise<void>
  batch(): RecordBatch
  /** All that was written survives a power loss once this resolves. */
  settle(): Promise<void>
  /** Bytes on the disk, about: what LevelDB has not sorted into files yet is not counted. */
  size(): Promise<number>
  /** All records in the order of their keys, some at a time. */
  entries(): AsyncGenerator<readonly (readonly [key: RecordText, value: RecordText])[], void>
  /** As `entries`, without the values. */
  keys(): AsyncGenerator<readonly RecordText[], void>
  close(): Promise<void>
}

/** Records read at once. Of more the young generation of the heap, which is kept small (lib/cli/v8-flags.ts), would be full when it is
 *  collected: with 1000 the collections of a start took twice as long. */
const SLICE = 250
const SLICE_BYTES = 1024 * 1024
/** What LevelDB gathers in memory before it sorts it into a file. */
const WRITE_BUFFER = 16 * 1024 * 1024

/** What `level` has on Node, but not in browsers, and so not in its types. LevelDB begins by sorting what it has gathered in memory into
 *  files, which it syncs; of a range without records nothing else is compacted. To sync every batch instead would keep the file system
 *  busy, and with it whoever appends to a segment at that time: pauses of 20 to 100 ms were seen. */
interface LevelOnDisk {
  compactRange(start: RecordText, end: RecordText): Promise<void>
  approximateSize(start: RecordText, end: RecordText): Promise<number>
}

/** Opens the records in `folder`, for this process alone. Only now the package is loaded: a node without an append-only file starts
 *  without it. Without `create` they must be there. Throws RecordsError. */
export async function openRecords(folder: string, create: boolean): Promise<Records> {
  const { Level } = await import('level')
  const db = new Level<RecordText, RecordText>(folder, {
    keyEncoding: 'utf8',
    valueEncoding: 'utf8',
    createIfMissing: create,
    writeBufferSize: WRITE_BUFFER,
  })
  await explained(() => db.open())
  const files = db as unknown as LevelOnDisk
  return {
    async commit() {
      const text = await explained(() => db.get(COMMIT_KEY))
      return text === undefined ? undefined : decodeCommit(text)
    },
    setCommit: (commit) => explained(() => db.put(COMMIT_KEY, encodeCommit(commit), { sync: true })),
    batch() {
      const batch = db.batch()
      return {
        get length() {
          return batch.length
        },
        put: (key, value) => void batch.put(key, value),
        remove: (key) => void batch.del(key),
        write: () => explained(() => batch.write()),
      }
    },
    settle: () => explained(() => files.compactRange(RECORDS_END, RECORDS_END)),
    size: () => explained(() => files.approximateSize('', RECORDS_END)),
    entries: () => slices(db.iterator({ lt: RECORDS_END, highWaterMarkBytes: SLICE_BYTES, fillCache: false })),
    keys: () => slices(db.keys({ lt: RECORDS_END, highWaterMarkBytes: SLICE_BYTES, fillCache: false })),
    close: () => db.close(),
  }
}

interface Iterator<T> {
  nextv(size: number): Promise<T[]>
  close(): Promise<void>
}

/** While one slice is worked on LevelDB reads the next. */
async function* slices<T>(iterator: Iterator<T>): AsyncGenerator<readonly T[], void> {
  const read = (): Promise<T[]> => explained(() => iterator.nextv(SLICE))
  let next = read()
  try {
    for (;;) {
      const slice = await next
      if (slice.length === 0) return
      next = read()
      yield slice
    }
  } finally {
    await next.catch(() => {})
    await iterator.close()
  }
}

/** Turns LevelDB's errors into ours: what counts is often the cause. */
async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (failure) {
    const { cause } = failure as Error
    const inner = cause instanceof Error ? cause : (failure as Error)
    throw new RecordsError(inner.message, {
      cause: failure,
      isTaken: (inner as NodeJS.ErrnoException).code === 'LEVEL_LOCKED',
    })
  }
}
