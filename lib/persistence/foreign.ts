/** A data set that is no store of ours: dump.rdb, ours or a redis-server's, or a redis-server's append-only files. Read, never changed. */
import type { Disk } from '../../store/disk.ts'
import { type Foreign, ImportError, readForeign } from '../../store/import.ts'
import type { RdbItem } from '../../store/rdb/reader.ts'
import { RdbError } from '../../store/rdb/source.ts'
import { reasonOf } from '../base/system-error.ts'
import type { History } from '../replication/stream.ts'
import { NO_ID } from '../replication/stream.ts'
import { ProtocolError } from '../resp/parser.ts'
import { PersistenceError } from './error.ts'
import { Replay } from './replay.ts'
import type { Target } from './start.ts'

/** What was read. */
export interface ForeignReport {
  readonly keys: number
  /** Keys that were left out because their time had come. */
  readonly expired: number
  /** The history a dump belongs to, if it says so. */
  readonly history: History | undefined
}

/** Reads the files in order. `isDue` says which keys are not worth keeping. Throws PersistenceError. */
export async function loadForeign(
  disk: Disk,
  foreign: Foreign,
  target: Target,
  isDue: (expireAt: number) => boolean,
): Promise<ForeignReport> {
  const facts = new Map<string, string>()
  const count = { keys: 0, expired: 0 }
  const libraries: Buffer[] = []
  const item = (item: RdbItem): void => {
    if (item.type === 'aux') facts.set(item.name, item.value)
    if (item.type === 'library') libraries.push(Buffer.from(item.source))
    if (item.type !== 'key') return
    if (isDue(item.expireAt)) {
      count.expired++
      return
    }
    target.put(item.db, Buffer.from(item.key), item.value, item.expireAt)
    count.keys++
  }
  for (const path of foreign.files) {
    const replay = new Replay(0, 0, target.apply)
    try {
      let bytes = 0
      for await (const part of readForeign(disk, path, target.limits)) {
        if (part.type === 'item') item(part.item)
        else {
          // A dump may stand before the commands.
          if (bytes === 0) target.setLibraries(libraries)
          replay.take(part.bytes)
          bytes += part.bytes.length
        }
      }
      if (bytes === 0) target.setLibraries(libraries)
      if (replay.applied < bytes) torn(path, path === foreign.files.at(-1), replay, target)
    } catch (cause) {
      throw explained(path, cause)
    }
  }
  return { ...count, history: foreign.type === 'dump' ? historyOf(facts) : undefined }
}

/** A dump says of which history it is a picture, if there was one. */
function historyOf(facts: ReadonlyMap<string, string>): History | undefined {
  const replid = facts.get('repl-id') ?? ''
  const offset = Number(facts.get('repl-offset') ?? -1)
  if (!/^[0-9a-f]{40}$/.test(replid) || !Number.isSafeInteger(offset) || offset < 0) return undefined
  const db = Math.max(0, Number(facts.get('repl-stream-db')) || 0)
  return { replid, replid2: NO_ID, secondOffset: -1, offset, db }
}

function torn(path: string, isLast: boolean, replay: Replay, { log, acceptsTorn }: Target): void {
  if (!isLast || !acceptsTorn)
    throw new ImportError(
      `Unexpected end of file reading the append only file ${path}: make a backup of it, then use redis-check-aof --fix`,
    )
  if (replay.isInTransaction) log.warning(`Revert incomplete MULTI/EXEC transaction in AOF file ${path}`)
  log.warning(`!!! Warning: short read while loading the AOF file ${path}!!!`)
  log.warning(`AOF ${path} loaded anyway because aof-load-truncated is enabled`)
}

function explained(path: string, cause: unknown): unknown {
  const said = cause instanceof ImportError ? cause.message : undefined
  const isKnown = cause instanceof RdbError || cause instanceof ProtocolError
  const why = said ?? (isKnown ? `${path}: ${cause.message}` : undefined)
  if (why !== undefined)
    return new PersistenceError(`Fatal error loading the DB: ${why}. The file was left as it is.`, { cause })
  if ((cause as NodeJS.ErrnoException).code === undefined) return cause
  return new PersistenceError(`Fatal error loading the DB: ${path}: ${reasonOf(cause)}. Exiting.`, { cause })
}
