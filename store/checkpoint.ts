/** Writing a checkpoint: a cut of the data set becomes records of a new generation, and one atomic put makes them count. Until then
 *  the last checkpoint counts, whatever happens; afterwards what it replaced is garbage, swept away when there is enough of it. */
import { slotOf } from '../lib/base/slot.ts'
import type { Cut } from './cut.ts'
import type { RecordBatch, Records } from './level.ts'
import { type Commit, encodeValue, generationOf, isRemoval, isSameKey, type RecordText, recordKey } from './record.ts'

/** What a checkpoint is made of: all keys, or those that have changed. */
export type CheckpointCut = Pick<Cut, 'read' | 'commit' | 'abandon'>

/** A checkpoint was given up. */
export class CheckpointError extends Error {}

export interface CheckpointOptions {
  /** Survives a power loss. */
  readonly durable: boolean
  /** How long one slice may keep the main thread. */
  readonly sliceMicros: number
  /** A clock for durations. */
  readonly micros: () => number
  /** Asked before each slice: false ends the checkpoint as a failure would. */
  readonly goOn?: () => boolean
}

/** Entries between two looks at the clock. */
const STEP = 32

/** Writes a cut under the generation of `commit` and makes it count; returns how many records that were. When it throws nothing has
 *  changed but for garbage. */
export async function writeCheckpoint(
  records: Records,
  cut: CheckpointCut,
  commit: Commit,
  options: CheckpointOptions,
): Promise<number> {
  let written = 0
  try {
    for (;;) {
      const batch = records.batch()
      fill(batch, cut, commit.generation, options)
      if (batch.length === 0) break
      written += batch.length
      // One at a time: more would only compete with the clients for the processor.
      await batch.write()
      if (options.goOn?.() === false) throw new CheckpointError('the data set is another one by now')
    }
    if (options.durable) await records.settle()
    await records.setCommit(commit)
  } catch (failure) {
    cut.abandon()
    throw failure
  }
  cut.commit()
  return written
}

function fill(
  batch: RecordBatch,
  cut: CheckpointCut,
  generation: number,
  { sliceMicros, micros }: CheckpointOptions,
): void {
  const until = micros() + sliceMicros
  do {
    const entries = cut.read(STEP)
    if (entries.length === 0) return
    for (const { db, key, value, expireAt } of entries) {
      const name = recordKey(slotOf(key), db, key, generation, value === undefined)
      batch.put(name, value === undefined ? '' : encodeValue(value, expireAt))
    }
  } while (micros() < until)
}

/** Removes the records that do not count: replaced, of a checkpoint that was not finished, or about a removed key. Returns how
 *  many records are left. Nothing may be written meanwhile. */
export async function sweep(records: Records, commit: Commit): Promise<number> {
  let left = 0
  let newest: RecordText | undefined
  let batch = records.batch()
  const drop = (key: RecordText): void => batch.remove(key)
  const settle = (): void => {
    if (newest === undefined) return
    if (isRemoval(newest)) drop(newest)
    else left++
  }
  for await (const keys of records.keys()) {
    for (const key of keys) {
      const generation = generationOf(key)
      if (generation > commit.generation || generation < commit.oldest) {
        drop(key)
        continue
      }
      if (newest !== undefined && isSameKey(newest, key)) drop(newest)
      else settle()
      newest = key
    }
    await batch.write()
    batch = records.batch()
  }
  settle()
  await batch.write()
  return left
}
