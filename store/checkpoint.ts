/** Writing a checkpoint: a cut of the data set becomes records of a new generation, and one atomic put makes them count. Until then
 *  the last checkpoint counts, whatever happens; afterwards what it replaced is garbage, swept away when there is enough of it. */
import { slotOf } from '../lib/base/slot.ts'
import type { Cut, CutEntry } from './cut.ts'
import type { Frozen } from './frozen.ts'
import type { RecordBatch, Records } from './level.ts'
import { type Commit, encodeValue, generationOf, isRemoval, isSameKey, type RecordText, recordKey } from './record.ts'
import type { Value } from './value.ts'

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

/** What a checkpoint has written. */
export interface CheckpointReport {
  readonly records: number
  readonly bytes: number
}

/** Entries between two looks at the clock. */
const STEP = 32

/** Writes a cut under the generation of `commit` and makes it count. When it throws nothing has changed but for garbage. */
export async function writeCheckpoint(
  records: Records,
  cut: CheckpointCut,
  commit: Commit,
  options: CheckpointOptions,
): Promise<CheckpointReport> {
  const filling = new Filling(cut, commit.generation)
  let written = 0
  try {
    while (!filling.isDone) {
      const batch = records.batch()
      filling.fill(batch, options)
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
  return { records: written, bytes: filling.bytes }
}

/** The cut on its way into batches. */
class Filling {
  /** Written so far. */
  bytes = 0
  readonly #cut: CheckpointCut
  readonly #generation: number
  /** What is too large for one record: written before more is read. */
  readonly #large: LargeEntry[] = []
  #parts: Iterator<RecordParts> | undefined
  #isDone = false

  constructor(cut: CheckpointCut, generation: number) {
    this.#cut = cut
    this.#generation = generation
  }

  /** Nothing is left. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** What there is time for. */
  fill(batch: RecordBatch, { sliceMicros, micros }: CheckpointOptions): void {
    const until = micros() + sliceMicros
    do this.#step(batch)
    while (!this.#isDone && micros() < until)
  }

  #step(batch: RecordBatch): void {
    const part = this.#parts?.next()
    if (part?.done === false) return this.#put(batch, ...part.value)
    const next = this.#large.shift()
    this.#parts = next === undefined ? undefined : this.#inParts(next)
    if (next === undefined) this.#read(batch)
  }

  #read(batch: RecordBatch): void {
    const entries = this.#cut.read(STEP)
    for (const entry of entries) {
      const { value } = entry
      if (value?.type === 'frozen') this.#large.push({ entry, value })
      else this.#put(batch, entry, value, 0)
    }
    this.#isDone = entries.length === 0
  }

  *#inParts({ entry, value }: LargeEntry): Generator<RecordParts, void> {
    let number = 0
    for (const part of value.parts) yield [entry, part, number++]
  }

  #put(batch: RecordBatch, { db, key, expireAt }: CutEntry, value: Value | undefined, part: number): void {
    const name = recordKey(slotOf(key), db, key, this.#generation, value === undefined, part)
    const message = value === undefined ? '' : encodeValue(value, expireAt)
    batch.put(name, message)
    this.bytes += name.length + message.length
  }
}

interface LargeEntry {
  readonly entry: CutEntry
  readonly value: Frozen
}

type RecordParts = readonly [entry: CutEntry, value: Value, part: number]

/** Removes the records that do not count: replaced, of a checkpoint that was not finished, or about a removed key. Returns how
 *  many records are left. Nothing may be written meanwhile. */
export async function sweep(records: Records, commit: Commit): Promise<number> {
  let left = 0
  let batch = records.batch()
  /** The records of a key and generation, the newest of the key so far: one, or all parts of a value. */
  const newest: RecordText[] = []
  const drop = (): void => {
    for (const key of newest) batch.remove(key)
  }
  const settle = (): void => {
    if (newest[0] !== undefined && isRemoval(newest[0])) drop()
    else left += newest.length
  }
  for await (const keys of records.keys()) {
    for (const key of keys) {
      const generation = generationOf(key)
      if (generation > commit.generation || generation < commit.oldest) {
        batch.remove(key)
        continue
      }
      const [first] = newest
      const isSame = first !== undefined && isSameKey(first, key)
      if (!isSame || generationOf(first) !== generation) {
        if (isSame) drop()
        else settle()
        newest.length = 0
      }
      newest.push(key)
    }
    await batch.write()
    batch = records.batch()
  }
  settle()
  await batch.write()
  return left
}
