/** Replication by offsets. A node's data is a place in a stream of writes; a replica's place is behind its primary's. Two
 *  histories are one up to some write and differ after it, so that "has this write" is one comparison. */
import type { Offset } from '../../lib/base/brand.ts'

/** A history of writes: the name of each, when it was made, and the offset at its end. Only ever appended to. */
export interface Stream {
  readonly writes: number[]
  readonly times: number[]
  readonly ends: number[]
}

/** What a node holds: the first `count` writes of a stream. */
export interface Data {
  stream: Stream
  count: number
}

export const noData = (): Data => ({ stream: { writes: [], times: [], ends: [] }, count: 0 })

/** The replication offset of these data. */
export const offsetOf = (data: Data): Offset => (data.count === 0 ? 0 : data.stream.ends[data.count - 1]!) as Offset

/** Appends a write of so many bytes. The data must be at the end of their stream. */
export function append({ stream }: Data, write: number, bytes: number, at: number): void {
  const offset = stream.ends.at(-1) ?? 0
  stream.writes.push(write)
  stream.times.push(at)
  stream.ends.push(offset + bytes)
}

/** Goes on alone from where the data are: what others do with the old stream is history of theirs. */
export function fork(data: Data): void {
  const { stream, count } = data
  data.stream = {
    writes: stream.writes.slice(0, count),
    times: stream.times.slice(0, count),
    ends: stream.ends.slice(0, count),
  }
}

/** Whether the data contain the write that is number `index` of a stream. */
export const contains = (data: Data, stream: Stream, index: number): boolean =>
  index < data.count && data.stream.writes[index] === stream.writes[index]

/** Whether these data are a beginning of those: what follows can be fetched without starting over. */
export const isBeginningOf = (data: Data, longer: Data): boolean =>
  data.count <= longer.count && (data.count === 0 || contains(longer, data.stream, data.count - 1))

/** How many writes of a source were made up to an instant. */
export function countUpTo(source: Data, from: number, at: number): number {
  let count = Math.min(from, source.count)
  while (count < source.count && source.stream.times[count]! <= at) count++
  return count
}
