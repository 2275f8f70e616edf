/** A cut that is taken whole at once. */
import type { Cut, CutEntry } from '../../store/checkpoint.ts'
import type { Keyspace } from '../../store/keyspace.ts'
import { copyValue } from '../../store/value.ts'

/** The whole data set as it is now. Costs time and memory in proportion to it. */
export function eagerCut(keyspace: Keyspace): Cut {
  const entries: CutEntry[] = []
  for (const db of keyspace.databases)
    for (const { key, value, expireAt } of db.entries())
      entries.push({ db: db.index, key: Buffer.from(key, 'latin1'), value: copyValue(value), expireAt })
  let next = 0
  return {
    read(most) {
      const from = next
      next += most
      return entries.slice(from, next)
    },
    commit() {},
    abandon() {},
  }
}
