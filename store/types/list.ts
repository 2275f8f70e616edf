/** Lists: a row of listpacks of a few KiB each, as a real server keeps them. Both ends are reached at once, a place inside by
 *  walking over the chunks, and a change there moves the bytes of one chunk only.
 *
 *  A copy of a large list shares its chunks, and whoever changes one first copies that one: so what is written of a list while it goes on
 *  changing (a checkpoint, a snapshot) costs a writer what he changes, and not what there is. */
import { Deque } from './deque.ts'
import { BEGINNING, type BulkSink, Listpack } from './listpack.ts'
import type { PackedBytes } from './packed-bytes.ts'
import { Slab } from './slab.ts'
import { BUFFER } from './weight.ts'

/** An end of a list. */
export type Side = 'left' | 'right'

/** An element: its chunk and the entry in it. */
interface Place {
  chunk: number
  at: number
}

/** Bytes of a part of a large list (see `parts`), about. */
const PART = 128 * 1024

/** The owner of chunks that was named last. */
let owners = 0

export class ListValue {
  readonly type = 'list'
  readonly encoding = 'quicklist'
  #chunks: Deque<Listpack>
  #size = 0
  /** Bytes of all chunks. */
  #bytes = 0
  /** What the list may change is marked with this: whoever shares his chunks takes another mark. */
  #owner = ++owners
  /** New chunks are cut from it. */
  #slab: Slab | undefined
  /** One whose chunks are all gone, to go on with: a queue that grows no longer takes no further memory. */
  #spare: Slab | undefined

  /** A list over one listpack, which now belongs to it. */
  constructor(pack?: Listpack) {
    this.#chunks = new Deque(pack)
    if (pack === undefined) return
    pack.owner = this.#owner
    this.#size = pack.count
    this.#bytes = pack.size
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
    const pack = Listpack.from(bytes)
    if (pack.count === 0) return
    pack.owner = this.#owner
    this.#link(this.#chunks.size, pack)
    this.#size += pack.count
  }

  /** The only listpack of a small list. */
  get packedBytes(): Buffer | undefined {
    return this.packed?.bytes
  }

  /** The form of a list that is packed: in one listpack. */
  get packed(): PackedBytes | undefined {
    return this.#chunks.size === 1 ? this.#own(0) : undefined
  }

  /** Makes the bytes its own (see PackedBytes). Those of a list of several chunks are. */
  detach(): void {
    if (this.#chunks.size === 1) this.#own(0).detach()
  }

  /** Bytes in memory, an estimate. */
  get weight(): number {
    return this.#bytes + this.#chunks.size * BUFFER
  }

  /** The listpacks in a row, each as it is until the list changes. An element that is larger than a chunk may be has one of its own. */
  *nodes(): Generator<Buffer> {
    for (let i = 0; i < this.#chunks.size; i++) yield this.#chunks.at(i).bytes
  }

  get nodeCount(): number {
    return this.#chunks.size
  }

  /** Takes time for one chunk: of several, none is copied before it changes. */
  copy(): ListValue {
    if (this.#chunks.size === 1) return new ListValue(this.#chunks.at(0).copy())
    const copy = new ListValue()
    copy.#chunks = this.#chunks.copy()
    copy.#size = this.#size
    copy.#bytes = this.#bytes
    this.#owner = ++owners
    return copy
  }

  /** Copies of the elements. */
  *[Symbol.iterator](): Generator<Buffer> {
    for (let i = 0; i < this.#chunks.size; i++) {
      const pack = this.#chunks.at(i)
      for (let at = pack.first(); at >= 0; at = pack.next(at)) yield pack.get(at)
    }
  }

  /** The list in parts of moderate size, which share its chunks. */
  *parts(): Generator<ListValue> {
    let part = new ListValue()
    for (let i = 0; i < this.#chunks.size; i++) {
      const pack = this.#chunks.at(i)
      if (part.#size > 0 && part.#bytes + pack.size > PART) {
        yield part
        part = new ListValue()
      }
      part.#link(part.#chunks.size, pack)
      part.#size += pack.count
    }
    yield part
  }

  /** A copy of the element of an index, negative from the end. */
  get(index: number): Buffer | undefined {
    const place = this.#seek(index)
    return place === undefined ? undefined : this.#chunks.at(place.chunk).get(place.at)
  }

  /** Writes `count` elements as bulk strings, from an index on; `step` -1 goes towards the head. */
  put(out: BulkSink, index: number, count = 1, step: 1 | -1 = 1): void {
    const place = this.#seek(index)
    for (let left = count; left > 0 && place !== undefined; left--) {
      this.#chunks.at(place.chunk).put(place.at, out)
      if (left === 1 || !this.#move(place, step)) return
    }
  }

  /** Adds bytes[start, end); faster when `data`, the memory behind them, is at hand. `fill`, here and below, is list-max-listpack-size:
   *  how large a chunk may grow. */
  push(side: Side, fill: number, bytes: Uint8Array, start = 0, end = bytes.length, data?: DataView): void {
    if (side === 'left') this.#insertBetween(-1, fill, bytes, start, end, data)
    else this.#insertBetween(this.#chunks.size - 1, fill, bytes, start, end, data)
  }

  /** Writes the element at an end as a bulk string, and removes it. There must be one. */
  pop(side: Side, out: BulkSink): void {
    const place = side === 'left' ? 0 : this.#chunks.size - 1
    this.#size--
    const last = this.#chunks.at(place)
    if (last.count === 1) {
      last.put(BEGINNING, out)
      return this.#unlink(place)
    }
    const pack = this.#own(place)
    const before = pack.size
    if (side === 'left') pack.shift(out)
    else pack.pop(out)
    this.#bytes += pack.size - before
  }

  /** Removes up to `count` elements from an end; returns how many there were. */
  drop(side: Side, count: number): number {
    let left = Math.min(count, this.#size)
    const dropped = left
    this.#size -= dropped
    while (left > 0) {
      const place = side === 'left' ? 0 : this.#chunks.size - 1
      const { count } = this.#chunks.at(place)
      const here = Math.min(left, count)
      left -= here
      if (here === count) this.#unlink(place)
      else {
        const pack = this.#own(place)
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
    const { size } = this.#chunks.at(chunk)
    if (size + bytes.length - this.#chunks.at(chunk).length(at) <= largest(fill)) this.#replace(chunk, at, bytes)
    else {
      const alone = this.#cut(chunk, at)
      const pack = this.#chunks.at(alone)
      this.#cut(alone, pack.next(pack.first()))
      this.#replace(alone, pack.first(), bytes)
    }
    return true
  }

  /** Inserts beside the first element equal to `pivot`; false when there is none. */
  insert(where: 'before' | 'after', pivot: Uint8Array, fill: number, bytes: Uint8Array): boolean {
    const place = this.#find(pivot)
    if (place === undefined) return false
    const { chunk } = place
    const pack = this.#chunks.at(chunk)
    const at = where === 'before' ? place.at : pack.next(place.at)
    if (at < 0) this.#insertBetween(chunk, fill, bytes)
    else if (at === pack.first()) this.#insertBetween(chunk - 1, fill, bytes)
    else if (hasRoom(pack, bytes.length, fill)) this.#insertInto(this.#own(chunk), at, bytes)
    else this.#insertBetween(this.#cut(chunk, at) - 1, fill, bytes)
    return true
  }

  /** Removes elements with these bytes: the first `count`, the last -`count`, or all when it is 0. Returns how many. */
  remove(bytes: Uint8Array, count: number): number {
    const most = count === 0 ? this.#size : Math.abs(count)
    const step = count < 0 ? -1 : 1
    const chunks = this.#chunks
    let removed = 0
    let emptied = 0
    for (let i = 0; i < chunks.size && removed < most; i++) {
      const place = step > 0 ? i : chunks.size - 1 - i
      if (chunks.at(place).find(bytes) < 0) continue
      const pack = this.#own(place)
      const before = pack.size
      removed += removeFrom(pack, bytes, most - removed, step)
      this.#bytes -= before
      if (pack.count === 0) emptied++
      else this.#bytes += pack.size
    }
    if (emptied > 0) chunks.keep((pack) => pack.count > 0)
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
      const isEqual = this.#chunks.at(place.chunk).equals(place.at, bytes)
      if (isEqual && toSkip-- <= 0) found.push(step > 0 ? seen : this.#size - 1 - seen)
      this.#move(place, step)
    }
    return found
  }

  #seek(index: number): Place | undefined {
    const place = index < 0 ? this.#size + index : index
    if (place < 0 || place >= this.#size) return undefined
    const chunks = this.#chunks
    let chunk = 0
    let before = 0
    if (place < this.#size / 2)
      for (; before + chunks.at(chunk).count <= place; chunk++) before += chunks.at(chunk).count
    else {
      chunk = chunks.size - 1
      before = this.#size - chunks.at(chunk).count
      for (; before > place; before -= chunks.at(chunk).count) chunk--
    }
    return { chunk, at: chunks.at(chunk).seek(place - before) }
  }

  #find(bytes: Uint8Array): Place | undefined {
    for (let chunk = 0; chunk < this.#chunks.size; chunk++) {
      const at = this.#chunks.at(chunk).find(bytes)
      if (at >= 0) return { chunk, at }
    }
    return undefined
  }

  /** Moves on; false at the end of the list. */
  #move(place: Place, step: 1 | -1): boolean {
    const pack = this.#chunks.at(place.chunk)
    place.at = step > 0 ? pack.next(place.at) : pack.prev(place.at)
    if (place.at >= 0) return true
    const further = place.chunk + step
    if (further < 0 || further === this.#chunks.size) return false
    place.chunk = further
    place.at = step > 0 ? this.#chunks.at(further).first() : this.#chunks.at(further).last()
    return true
  }

  /** Inserts where a chunk (-1: none, the list begins) ends: there, or at the beginning of the next, or in a new one between them. */
  #insertBetween(left: number, fill: number, bytes: Uint8Array, start = 0, end = bytes.length, data?: DataView): void {
    const length = end - start
    const right = left + 1
    if (left >= 0 && hasRoom(this.#chunks.at(left), length, fill)) {
      const pack = this.#own(left)
      this.#insertInto(pack, pack.end, bytes, start, end, data)
    } else if (right < this.#chunks.size && hasRoom(this.#chunks.at(right), length, fill)) {
      this.#insertInto(this.#own(right), BEGINNING, bytes, start, end, data)
    } else this.#insertInto(this.#open(right, length, fill), BEGINNING, bytes, start, end, data)
  }

  #insertInto(pack: Listpack, at: number, bytes: Uint8Array, start = 0, end = bytes.length, data?: DataView): void {
    const before = pack.size
    pack.insertBefore(at, bytes, start, end, data)
    this.#bytes += pack.size - before
    this.#size++
  }

  #replace(chunk: number, at: number, bytes: Uint8Array): void {
    const pack = this.#own(chunk)
    const before = pack.size
    pack.replace(at, bytes)
    this.#bytes += pack.size - before
  }

  /** Cuts a chunk in two before an entry, unless that is its first or none (-1); returns the place of the chunk that begins with it. */
  #cut(chunk: number, at: number): number {
    const pack = this.#own(chunk)
    if (at < 0 || at === pack.first()) return chunk
    const rest = pack.copy()
    rest.owner = this.#owner
    this.#bytes -= pack.size
    pack.delete(at, pack.count)
    this.#bytes += pack.size
    rest.delete(rest.first(), pack.count)
    this.#link(chunk + 1, rest)
    return chunk + 1
  }

  /** A new chunk at a place, for an element of that length. A list of several fills each up before it begins another. */
  #open(place: number, length: number, fill: number): Listpack {
    const size = largest(fill)
    const isCut = this.#chunks.size > 0 && fill < 0 && length < size / 2
    const pack = isCut ? Listpack.cut(this.#room(size), size, place === 0) : Listpack.empty()
    pack.owner = this.#owner
    this.#link(place, pack)
    return pack
  }

  /** A slab that has room for a chunk. */
  #room(size: number): Slab {
    if (this.#slab?.hasRoom(size) === true) return this.#slab
    this.#slab = this.#spare?.hasRoom(size) === true ? this.#spare : Slab.for(size, this.#bytes)
    this.#spare = undefined
    return this.#slab
  }

  /** The chunk at a place, to be changed. */
  #own(place: number): Listpack {
    const pack = this.#chunks.at(place)
    return pack.owner === this.#owner ? pack : this.#ownCopy(place, pack)
  }

  #ownCopy(place: number, pack: Listpack): Listpack {
    const own = pack.copyToChange()
    own.owner = this.#owner
    this.#chunks.set(place, own)
    return own
  }

  /** A list of several chunks borrows none of them. */
  #link(place: number, pack: Listpack): void {
    if (this.#chunks.size === 1) this.#chunks.at(0).detach()
    this.#chunks.insert(place, pack)
    this.#bytes += pack.size
  }

  #unlink(place: number): void {
    const { owner, slab, size } = this.#chunks.at(place)
    this.#bytes -= size
    this.#chunks.remove(place)
    // What others share is still read. And a list that has become small keeps no memory in store.
    if (owner === this.#owner && slab?.give() === true && slab.room.length <= this.#bytes) this.#spare = slab
  }
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
