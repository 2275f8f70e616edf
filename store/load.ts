/** Reading a checkpoint back: the records that count, each key once. */
import type { Records } from './level.ts'
import { type Commit, decodeValue, generationOf, isSameKey, readRecordKey } from './record.ts'
import type { Value } from './value.ts'

export interface LoadReport {
  readonly keys: number
  /** Records that did not count: replaced, or of a checkpoint that was not finished. */
  readonly garbage: number
  /** The highest generation of any record. */
  readonly highest: number
}

/** Gives every key of the checkpoint to `put`; key and value are the receiver's to keep. Throws RecordError or RecordsError. */
export async function loadRecords(
  records: Records,
  commit: Commit,
  put: (db: number, key: Buffer, value: Value, expireAt: number) => void,
): Promise<LoadReport> {
  let keys = 0
  let garbage = 0
  let highest = commit.generation
  let newest: readonly [key: Buffer, value: Buffer] | undefined
  const settle = (): void => {
    if (newest === undefined) return
    const { db, key, isRemoved } = readRecordKey(newest[0])
    if (isRemoved) {
      garbage++
      return
    }
    const { value, expireAt } = decodeValue(newest[1])
    put(db, key, value, expireAt)
    keys++
  }
  for await (const entries of records.entries())
    for (const entry of entries) {
      const generation = generationOf(entry[0])
      if (generation > commit.generation || generation < commit.oldest) {
        if (generation > highest) highest = generation
        garbage++
        continue
      }
      // The records of one key are neighbours, the newest of them the last.
      if (newest !== undefined && isSameKey(newest[0], entry[0])) garbage++
      else settle()
      newest = entry
    }
  settle()
  return { keys, garbage, highest }
}
