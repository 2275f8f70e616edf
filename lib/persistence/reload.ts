/** DEBUG LOADAOF: the append-only file is read again while it is in use. */
import type { Disk } from '../../store/disk.ts'
import { Keyspace } from '../../store/keyspace.ts'
import type { AppendFile } from './append-file.ts'
import { PersistenceError } from './error.ts'
import type { Target } from './start.ts'

export interface ReloadParts {
  readonly disk: Disk
  readonly keyspace: Keyspace
  /** The keyspace's, to be filled. */
  readonly target: Target
  /** Puts everything into the file; false when it refuses. */
  readonly flush: () => boolean
  readonly server: {
    loading: boolean
    /** Effects go nowhere while it is muted. */
    readonly propagation: { muted: boolean }
    refreshClock(): void
  }
}

/** The data set becomes what the file holds, while clients are told that it is loading. Throws PersistenceError; then the data set is as
 *  it was. */
export async function reload(file: AppendFile, { disk, keyspace, target, flush, server }: ReloadParts): Promise<void> {
  await file.settled()
  if (!flush()) throw new PersistenceError('the append only file cannot be flushed')
  const aside = new Keyspace({ databases: keyspace.databases.length })
  const { libraries } = keyspace
  keyspace.exchangeWith(aside)
  server.loading = server.propagation.muted = true
  try {
    await file.readAgain(disk, target)
  } catch (failure) {
    keyspace.exchangeWith(aside)
    keyspace.libraries = libraries
    throw failure
  } finally {
    server.loading = server.propagation.muted = false
    server.refreshClock()
    aside.flushAll()
  }
}
