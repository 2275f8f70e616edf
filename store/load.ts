/** Reading a checkpoint back: the records that count, each key once. */
import type { Records } from './level.ts'
import { type Commit, generationOf, isPart, isRemoval, isSameKey, type RecordEntry, RecordReader } from './record.ts'

export interface LoadReport {
  readonly keys: number
  /** Records that did not count: replaced, or of a checkpoint that was not finished. */
  readonly garbage: number
  /** The highest generation of any record. */
  readonly highest: number
}

/** Gives every key of the checkpoint to `put`, which is to take what it wants of the record at once. Throws RecordError or
 *  RecordsError. */
export async function loadRecords(
  records: Records,
  commit: Commit,
  put: (record: RecordReader) => void,
): Promise<LoadReport> {
  const reader = new RecordReader()
  let keys = 0
  let garbage = 0
  let highest = commit.generation
  let newest: RecordEntry | undefined
  /** Those that go on with the value of the newest. */
  const parts: RecordEntry[] = []
  const settle = (): void => {
    if (newest === undefined) return
    if (isRemoval(newest[0])) {
      garbage++
      return
    }
    reader.read(newest[0], newest[1], parts)
    put(reader)
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
      if (newest !== undefined && isSameKey(newest[0], entry[0])) {
        if (isPart(entry[0]) && generationOf(newest[0]) === generation) {
          parts.push(entry)
          continue
        }
        garbage += 1 + parts.length
      } else settle()
      newest = entry
      parts.length = 0
    }
  settle()
  return { keys, garbage, highest }
}
