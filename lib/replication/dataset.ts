/** The keyspace as replication needs it: all of it at once for a replica, and a new one that takes its place. */
import { Keyspace } from '../../store/keyspace.ts'
import type { RdbKey } from '../../store/rdb/reader.ts'
import { RdbError } from '../../store/rdb/source.ts'
import type { RdbEntry } from '../../store/rdb/writer.ts'
import { keyOf } from '../base/key.ts'
import type { Snapshot } from './primary.ts'
import type { Loading } from './transfer.ts'

/** The keys as they are: to be read before anything changes. */
export const snapshotOf = (keyspace: Keyspace): Snapshot => ({
  entries: entriesOf(keyspace),
  sizes: (db) => {
    const { size, expiring } = keyspace.databases[db]!
    return { keys: size, expires: expiring }
  },
})

/** Keys past their deadline included: replicas keep them too, until they are told to delete them. */
function* entriesOf(keyspace: Keyspace): Generator<RdbEntry> {
  for (const db of keyspace.databases)
    for (const { key, value, expireAt } of db.entries())
      yield { db: db.index, key: Buffer.from(key, 'latin1'), value, expireAt }
}

/** A data set beside `keyspace`, and in its place once it is whole. */
export function loadBeside(keyspace: Keyspace): Loading {
  const fresh = new Keyspace({ databases: keyspace.databases.length })
  fresh.now = keyspace.now
  // A primary still has the keys whose time has come, and will say when they go.
  fresh.expiry = 'ignore'
  return {
    put(item) {
      put(fresh, item)
    },
    commit() {
      for (const db of keyspace.databases) db.swapWith(fresh.databases[db.index]!)
      // What was there before: its memory goes back at once.
      fresh.flushAll()
    },
  }
}

function put(fresh: Keyspace, { db: index, key: bytes, value, expireAt, idleSeconds }: RdbKey): void {
  const db = fresh.databases[index]
  if (db === undefined) throw new RdbError(`database ${index}: there are ${fresh.databases.length}`)
  const key = keyOf(bytes)
  if (db.has(key)) throw new RdbError(`key ${JSON.stringify(key.text())} of database ${index} comes twice`)
  db.write(key, value, expireAt)
  if (idleSeconds !== undefined) db.setIdle(key, idleSeconds * 1000)
}
