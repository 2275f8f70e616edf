/** Lists: a chain of listpacks of a few KiB each, as a real server keeps them. Both ends are reached at once, a place inside by
 *  walking over the chunks, and a change there moves the bytes of one chunk only. */
import { type BulkSink, Listpack } from './listpack.ts'
import type { PackedBytes } from './packed-bytes.ts'
import { BUFFER, LINK } from './weight.ts'

/** An end of a list. */
export type Side = 'left' | 'right'

interface Chunk {
  readonly pack: Listpack
  previous: Chunk | undefined
  next: Chunk | undefined
}

/** An element: its chunk and the entry in it. */
interface Place {
  chunk: Chunk
  at: number
}

export class ListValue {
  readonly type = 'list'
  readonly encoding = 'quicklist'
  #head: Chunk | undefined
  #tail: Chunk | undefined
  #size = 0
  /** Chunks, and bytes of them all. */
  #chunks = 0
  #bytes = 0

  /** A list over one listpack, which now belongs to it. */
  constructor(pack?: Listpack) {
    if (pack !== undefined) this.#adopt(pack)
  }

  /** A list over one listpack; the bytes now belong to it. Throws PackedError when they are none. */
  static fromPacked(bytes: Buffer): ListValue {
    const list = new ListValue()
    list.append(bytes)
    return list
  }

  get size(): number {
    return this.#size
  }

  /** Adds a whole listpack at the right end; the bytes now belong to the list. Throws PackedError when they are none. */
  append(bytes: Buffer): void {
    this.#adopt(Listpack.from(bytes))
  }

  /** The only listpack of a small list. */
  get packedBytes(): Buffer | undefined {
    return this.packed?.bytes
  }

  /** The form of a list that is packed: in one listpack. */
  get packed(): PackedBytes | undefined {
    return this.#chunks === 1 ? this.#head!.pack : undefined
  }

  /** Makes the bytes of all chunks its own (see PackedBytes). */
  detach(): void {
    for (let chunk = this.#head; chunk !== undefined; chunk = chunk.next) chunk.pack.detach()
  }

  /** Bytes in memory, an estimate. */
  get weight(): number {
    return this.#bytes + this.#chunks * (BUFFER + LINK)
  }

  /** The listpacks in a row, each as it is until the list changes. An element that is larger than a chunk may be has one of its own. */
  *nodes(): Generator<Buffer> {
    for (let chunk = this.#head; chunk !== undefined; chunk = chunk.next) yield chunk.pack.bytes
  }

  copy(): ListValue {
    const list = new ListValue()
    for (let chunk = this.#head; chunk !== undefined; chunk = chunk.next) list.#adopt(chunk.pack.copy())
    return list
  }

  /** Copies of the elements. */
  *[Symbol.iterator](): Generator<Buffer> {
    for (let chunk = this.#head; chunk !== undefined; chunk = chunk.next)
      for (let at = chunk.pack.first(); at >= 0; at = chunk.pack.next(at)) yield chunk.pack.get(at)
  }

  /** A copy of the element of an index, negative from the end. */
  get(index: number): Buffer | undefined {
    const place = this.#seek(index)
    return place?.chunk.pack.get(place.at)
  }

  /** Writes `count` elements as bulk strings, from an index on; `step` -1 goes towards the head. */
  put(out: BulkSink, index: number, count = 1, step: 1 | -1 = 1): void {
    const place = this.#seek(index)
    for (let left = count; left > 0 && place !== undefined; left--) {
      place.chunk.pack.put(place.at, out)
      if (left === 1 || !move(place, step)) return
    }
  }

  /** Adds bytes[start, end); faster when `data`, the memory behind them, is at hand. `fill`, here and below, is list-max-listpack-size:
   *  how large a chunk may grow. */
  push(side: Side, fill: number, bytes: Uint8Array, start = 0, end = bytes.length, data?: DataView): void {
    if (side === 'left') this.#insertBetween(undefined, this.#head, fill, bytes, start, end, data)
    else this.#insertBetween(this.#tail, undefined, fill, bytes, start, end, data)
  }

  /** Removes up to `count` elements from an end; returns how many there were. */
  drop(side: Side, count: number): number {
    let left = Math.min(count, this.#size)
    const dropped = left
    this.#size -= dropped
    while (left > 0) {
      const chunk = (side === 'left' ? this.#head : this.#tail)!
      const here = Math.min(left, chunk.pack.count)
      left -= here
      if (here === chunk.pack.count) this.#unlink(chunk)
      else {
        const { pack } = chunk
        const before = pack.size
        pack.delete(pack.seek(side === 'left' ? 0 : -here), here)
        this.#bytes += pack.size - before
      }
    }
    return dropped
  }

  /** Replaces the element of an index; false when there is none. */
  set(index: number, fill: number, bytes: Uint8Array): boolean {
    const place = this.#seek(index)
    if (place === undefined) return false
    const { chunk, at } = place
    if (chunk.pack.size + bytes.length - chunk.pack.length(at) <= largest(fill)) this.#replace(chunk.pack, at, bytes)
    else {
      const alone = this.#cut(chunk, at)
      const { pack } = alone
      this.#cut(alone, pack.next(pack.first()))
      this.#replace(pack, pack.first(), bytes)
    }
    return true
  }

  /** Inserts beside the first element equal to `pivot`; false when there is none. */
  insert(where: 'before' | 'after', pivot: Uint8Array, fill: number, bytes: Uint8Array): boolean {
    const place = this.#find(pivot)
    if (place === undefined) return false
    const { chunk } = place
    const at = where === 'before' ? place.at : chunk.pack.next(place.at)
    if (at < 0) this.#insertBetween(chunk, chunk.next, fill, bytes)
    else if (at === chunk.pack.first()) this.#insertBetween(chunk.previous, chunk, fill, bytes)
    else if (hasRoom(chunk.pack, bytes.length, fill)) {
      const before = chunk.pack.size
      chunk.pack.insertBefore(at, bytes)
      this.#bytes += chunk.pack.size - before
      this.#size++
    } else {
      this.#insertBetween(chunk, this.#cut(chunk, at), fill, bytes)
    }
    return true
  }

  /** Removes elements with these bytes: the first `count`, the last -`count`, or all when it is 0. Returns how many. */
  remove(bytes: Uint8Array, count: number): number {
    const most = count === 0 ? this.#size : Math.abs(count)
    const step = count < 0 ? -1 : 1
    let removed = 0
    let chunk = step > 0 ? this.#head : this.#tail
    while (chunk !== undefined && removed < most) {
      const further: Chunk | undefined = step > 0 ? chunk.next : chunk.previous
      const before = chunk.pack.size
      removed += removeFrom(chunk.pack, bytes, most - removed, step)
      this.#bytes += chunk.pack.size - before
      if (chunk.pack.count === 0) this.#unlink(chunk)
      chunk = further
    }
    this.#size -= removed
    return removed
  }

  /** Indexes of elements with these bytes, from the `rank`-th on (1 = the first; negative: from the tail towards the head): at
   *  most `count`, among the first `within` that are looked at. */
  positions(bytes: Uint8Array, rank: number, count: number, within: number): number[] {
    const found: number[] = []
    const step = rank < 0 ? -1 : 1
    const place = this.#seek(rank < 0 ? -1 : 0)
    let toSkip = Math.abs(rank) - 1
    const last = Math.min(within, this.#size)
    for (let seen = 0; seen < last && place !== undefined && found.length < count; seen++) {
      if (place.chunk.pack.equals(place.at, bytes) && toSkip-- <= 0) found.push(step > 0 ? seen : this.#size - 1 - seen)
      move(place, step)
    }
    return found
  }

  #seek(index: number): Place | undefined {
    const place = index < 0 ? this.#size + index : index
    if (place < 0 || place >= this.#size) return undefined
    if (place < this.#size / 2) {
      let chunk = this.#head!
      let before = 0
      for (; before + chunk.pack.count <= place; chunk = chunk.next!) before += chunk.pack.count
      return { chunk, at: chunk.pack.seek(place - before) }
    }
    let chunk = this.#tail!
    let before = this.#size - chunk.pack.count
    for (; before > place; before -= chunk.pack.count) chunk = chunk.previous!
    return { chunk, at: chunk.pack.seek(place - before) }
  }

  #find(bytes: Uint8Array): Place | undefined {
    for (let chunk = this.#head; chunk !== undefined; chunk = chunk.next) {
      const at = chunk.pack.find(bytes)
      if (at >= 0) return { chunk, at }
    }
    return undefined
  }

  /** Inserts where two chunks meet: at the end of the one, or the beginning of the other, or in a new one between them. */
  #insertBetween(
    left: Chunk | undefined,
    right: Chunk | undefined,
    fill: number,
    bytes: Uint8Array,
    start = 0,
    end = bytes.length,
    data?: DataView,
  ): void {
    const atEnd = left !== undefined && hasRoom(left.pack, end - start, fill)
    const atBeginning = !atEnd && right !== undefined && hasRoom(right.pack, end - start, fill)
    const { pack } = atEnd
      ? left
      : atBeginning
        ? right
        : this.#link(Listpack.empty(this.#expected(fill), left === undefined), left)
    const before = pack.size
    if (atBeginning) pack.prepend(bytes, start, end, data)
    else pack.append(bytes, start, end, data)
    this.#bytes += pack.size - before
    this.#size++
  }

  /** How large a new chunk is going to be: a list of several fills each up before it begins another. */
  #expected(fill: number): number {
    return this.#chunks > 0 && fill < 0 ? largest(fill) : 0
  }

  #replace(pack: Listpack, at: number, bytes: Uint8Array): void {
    const before = pack.size
    pack.replace(at, bytes)
    this.#bytes += pack.size - before
  }

  /** Cuts a chunk in two before an entry, unless that is its first or none (-1); returns the chunk that begins with it. */
  #cut(chunk: Chunk, at: number): Chunk {
    const { pack } = chunk
    if (at < 0 || at === pack.first()) return chunk
    const rest = pack.copy()
    this.#bytes -= pack.size
    pack.delete(at, pack.count)
    this.#bytes += pack.size
    rest.delete(rest.first(), pack.count)
    return this.#link(rest, chunk)
  }

  #adopt(pack: Listpack): void {
    if (pack.count === 0) return
    this.#link(pack, this.#tail)
    this.#size += pack.count
  }

  /** A new chunk after another; undefined: at the head. */
  #link(pack: Listpack, previous: Chunk | undefined): Chunk {
    const next = previous === undefined ? this.#head : previous.next
    const chunk: Chunk = { pack, previous, next }
    if (previous === undefined) this.#head = chunk
    else previous.next = chunk
    if (next === undefined) this.#tail = chunk
    else next.previous = chunk
    this.#chunks++
    this.#bytes += pack.size
    return chunk
  }

  #unlink({ pack, previous, next }: Chunk): void {
    this.#chunks--
    this.#bytes -= pack.size
    if (previous === undefined) this.#head = next
    else previous.next = next
    if (next === undefined) this.#tail = previous
    else next.previous = previous
  }
}

/** Moves on; false at the end of the list. */
function move(place: Place, step: 1 | -1): boolean {
  const { chunk } = place
  place.at = step > 0 ? chunk.pack.next(place.at) : chunk.pack.prev(place.at)
  if (place.at >= 0) return true
  const further = step > 0 ? chunk.next : chunk.previous
  if (further === undefined) return false
  place.chunk = further
  place.at = step > 0 ? further.pack.first() : further.pack.last()
  return true
}

/** Removes up to `most` elements with these bytes, the first or the last ones; returns how many. */
function removeFrom(pack: Listpack, bytes: Uint8Array, most: number, step: 1 | -1): number {
  const { count } = pack
  if (step > 0)
    for (let at = pack.find(bytes); at >= 0 && count - pack.count < most; )
      at = pack.find(bytes, 0, bytes.length, pack.delete(at))
  else
    for (let at = pack.last(); at >= 0 && count - pack.count < most; ) {
      const before = pack.prev(at)
      if (pack.equals(at, bytes)) pack.delete(at)
      at = before
    }
  return count - pack.count
}

/** Chunk sizes that list-max-listpack-size -1 to -5 stand for. */
const SIZES = [4096, 8192, 16_384, 32_768, 65_536] as const
/** A chunk that is limited by its number of elements is not to be larger than this either. */
const SAFE_SIZE = 8192
/** What an entry takes beside its bytes, at most, for elements that are not too large anyway. */
const OVERHEAD = 8

/** Whether one more element of that length fits; alone it always does. */
const hasRoom = ({ size, count }: Listpack, length: number, fill: number): boolean =>
  (fill < 0 || count < fill) && size + length + OVERHEAD <= largest(fill)

const largest = (fill: number): number => (fill < 0 ? SIZES[Math.min(-fill, SIZES.length) - 1]! : SAFE_SIZE)
