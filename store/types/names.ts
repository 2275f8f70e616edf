/** Names, which are members and fields, as latin1 text: one character a byte. */
import { Key, keyFromText } from '../../lib/base/key.ts'
import type { BulkSink } from './listpack.ts'

/** One step of a walk over `size` places: those below `from`, down to `next`, which is the cursor to go on with. 0 begins and
 *  0 ends. */
export function scanStep(size: number, cursor: number, count: number): { from: number; next: number } {
  const from = cursor === 0 ? size : Math.min(cursor, size)
  return { from, next: Math.max(0, from - count) }
}

const scratch = Buffer.allocUnsafeSlow(1024)
const scratchData = new DataView(scratch.buffer)
const borrowed = new Key(scratch, 0, 0, scratchData)

/** The bytes of a text, until this is called again. */
export function keyOfText(text: string): Key {
  if (text.length > scratch.length) return keyFromText(text)
  return borrowed.set(scratch, 0, scratch.latin1Write(text), scratchData)
}

/** Writes latin1 text as a bulk string. */
export function putText(text: string, out: BulkSink): void {
  const { bytes, start, end, data } = keyOfText(text)
  out.bulkRange(bytes, start, end, data)
}
