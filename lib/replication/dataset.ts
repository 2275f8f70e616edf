/** The keyspace as an RDB file, and an RDB file as the keyspace. */
import { Keyspace } from '../../store/keyspace.ts'
import { CutWriter } from '../../store/rdb/cut-writer.ts'
import type { RdbKey } from '../../store/rdb/reader.ts'
import { RdbError } from '../../store/rdb/source.ts'
import type { RdbEntry, RdbOptions } from '../../store/rdb/writer.ts'
import { keyOf } from '../base/key.ts'
import type { Loading } from './transfer.ts'

/** The keys as they are: to be read before anything changes. */
export const snapshotOf = (
  keyspace: Keyspace,
): {
  readonly entries: Iterable<RdbEntry>
  readonly sizes: NonNullable<RdbOptions['sizes']>
  readonly libraries: readonly Buffer[]
} => ({
  entries: entriesOf(keyspace),
  sizes: sizesOf(keyspace),
  libraries: keyspace.libraries,
})

/** The keys as they are, while they change: through a cut. */
export const openSnapshot = (keyspace: Keyspace, options: Omit<RdbOptions, 'sizes' | 'libraries'>): CutWriter =>
  new CutWriter(keyspace.openCut(), { ...options, sizes: sizesOf(keyspace), libraries: keyspace.libraries })

/** How many keys the databases have now. */
function sizesOf(keyspace: Keyspace): NonNullable<RdbOptions['sizes']> {
  const sizes = keyspace.databases.map(({ size, expiring }) => ({ keys: size, expires: expiring }))
  return (db) => sizes[db]!
}

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
  const libraries: Buffer[] = []
  // A primary still has the keys whose time has come, and will say when they go.
  fresh.expiry = 'ignore'
  return {
    put(item) {
      put(fresh, item)
    },
    library(source) {
      libraries.push(Buffer.from(source))
    },
    commit() {
      keyspace.libraries = libraries
      keyspace.exchangeWith(fresh)
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
