/** Memory off the heap: blocks of bytes that the garbage collector never looks at, addressed by 32-bit numbers.
 *
 *  Address space is cut into segments of 4 MiB, one ArrayBuffer each, made when first needed and given back when all of it is
 *  free; segments into slabs of 64 KiB. The blocks of a slab all have one size, so what one block leaves another of its size
 *  fits into, and a slab whose last block is freed serves any other size: deletes and overwrites cannot wear the memory out.
 *  Blocks too large for that are runs of whole slabs. */
import { assert } from '../lib/base/assert.ts'

/** Where a block begins, in units of 8 bytes: 32 GiB can be reached. A signed 32-bit integer, so that it is never a heap
 *  number; 0 is no block. */
export type Address = number

const SEGMENT_BITS = 19
const UNIT_MASK = (1 << SEGMENT_BITS) - 1

/** No index of a word in its segment is higher. */
const WORD_MASK = (2 << SEGMENT_BITS) - 1

/** Where a block begins in what `wordsAt` gives for it. */
export const wordIndex = (at: Address): number => (at & UNIT_MASK) << 1

/** Where a block begins in what `bytesAt` gives for it. */
export const byteIndex = (at: Address): number => (at & UNIT_MASK) << 3

const SLAB_BITS = 13
const SLAB_UNITS = 1 << SLAB_BITS
const SLABS_IN_SEGMENT = 1 << (SEGMENT_BITS - SLAB_BITS)
const SEGMENT_BYTES = 8 << SEGMENT_BITS
const SEGMENTS = 1 << (32 - SEGMENT_BITS)

/** Sizes of blocks in units: every multiple of 8 bytes up to 512, then eight steps for each doubling (at most one ninth is
 *  lost) up to 32 KiB, of which a slab still holds two. */
const SIZES = sizes()
const LARGEST = SIZES[SIZES.length - 1]!
/** Index into SIZES by units asked for. */
const SIZE_OF = Uint8Array.from({ length: LARGEST + 1 }, (_, units) => SIZES.findIndex((size) => size >= units))
const BLOCKS_IN_SLAB = SIZES.map((size) => Math.floor(SLAB_UNITS / size))

function sizes(): number[] {
  const list = [0]
  for (let size = 1; size <= SLAB_UNITS / 2; size += size < 64 ? 1 : 2 ** Math.floor(Math.log2(size / 8)))
    list.push(size)
  return list
}

/** What a slab is used for: index into SIZES, or one of these. */
const FREE = 0
const RUN = 255

const NOTHING = Buffer.alloc(0)
const NO_WORDS = new Int32Array(0)
const NO_DATA = new DataView(NO_WORDS.buffer)

export interface ArenaReport {
  /** Bytes in blocks that are in use, rounded up to the blocks' sizes. */
  readonly used: number
  /** Bytes taken from the system. */
  readonly held: number
}

export class Arena {
  /** The segments, as bytes, as words, and as both at any place. */
  readonly #bytes: Buffer[] = []
  readonly #words: Int32Array[] = []
  readonly #data: DataView[] = []
  /** Free slabs of each segment. */
  readonly #freeSlabs: number[] = []
  /** By slab: its use, its first freed block (a freed block's first word is the next), the units never used yet, its blocks in
   *  use, and its neighbours in the list of slabs of its size that have room. */
  #use = new Uint8Array(0)
  #freed = new Int32Array(0)
  #fresh = new Uint16Array(0)
  #live = new Uint16Array(0)
  #next = new Int32Array(0)
  #previous = new Int32Array(0)
  /** By size: the first slab with room. Slab 0 is never used, so that 0 can mean none. */
  readonly #open = new Int32Array(SIZES.length)
  /** No slab below this one is free. */
  #lowestFree = 1
  #usedUnits = 0
  #heldBytes = 0
  #spareSegments = 0

  /** Bytes in blocks that are in use. */
  get used(): number {
    return this.#usedUnits * 8
  }

  get report(): ArenaReport {
    return { used: this.used, held: this.#heldBytes }
  }

  /** The memory in which a block lies, as 32-bit words. */
  wordsAt(at: Address): Int32Array {
    return this.#words[at >>> SEGMENT_BITS]!
  }

  /** The memory in which a block lies, as bytes. */
  bytesAt(at: Address): Buffer {
    return this.#bytes[at >>> SEGMENT_BITS]!
  }

  /** The memory in which a block lies, for words that are not aligned; indexed as `bytesAt`. */
  dataAt(at: Address): DataView {
    return this.#data[at >>> SEGMENT_BITS]!
  }

  /** Reads the beginning of a block, for no other purpose than to have it at hand: one word of each of the two or three cache lines in
   *  which its first 72 bytes lie. */
  peek(at: Address): number {
    const words = this.wordsAt(at)
    const i = wordIndex(at)
    return words[i]! ^ words[(i + 8) & WORD_MASK]! ^ words[(i + 16) & WORD_MASK]!
  }

  /** Whether blocks asked for with these two lengths are of one size: what lies in one may become the other in place. */
  sameSize(bytes: number, others: number): boolean {
    const units = (bytes + 7) >>> 3
    const otherUnits = (others + 7) >>> 3
    if (units > LARGEST || otherUnits > LARGEST) return units === otherUnits
    return SIZE_OF[units] === SIZE_OF[otherUnits]
  }

  /** Bytes in a block that was asked for with this length. */
  roomFor(bytes: number): number {
    const units = (bytes + 7) >>> 3
    if (units > LARGEST) return units << 3
    return SIZES[SIZE_OF[units]!]! << 3
  }

  /** A block of at least so many bytes; what is in it is not defined. */
  allocate(bytes: number): Address {
    const units = (bytes + 7) >>> 3
    if (units > LARGEST) return this.#allocateRun(units)
    const size = SIZE_OF[units]!
    const slab = this.#open[size] || this.#openSlab(size)
    const blockUnits = SIZES[size]!
    this.#usedUnits += blockUnits
    let at = this.#freed[slab]!
    if (at !== 0) this.#freed[slab] = this.wordsAt(at)[wordIndex(at)]!
    else {
      at = (slab << SLAB_BITS) + this.#fresh[slab]!
      this.#fresh[slab]! += blockUnits
    }
    if (++this.#live[slab]! === BLOCKS_IN_SLAB[size]) this.#unlink(slab, size)
    return at
  }

  /** Gives a block back; `bytes` as it was asked for, or any other number of the same size. */
  free(at: Address, bytes: number): void {
    const units = (bytes + 7) >>> 3
    if (units > LARGEST) return this.#freeRun(at, units)
    const size = SIZE_OF[units]!
    const slab = at >>> SLAB_BITS
    this.#usedUnits -= SIZES[size]!
    this.wordsAt(at)[wordIndex(at)] = this.#freed[slab]!
    this.#freed[slab] = at
    const live = --this.#live[slab]!
    if (live === BLOCKS_IN_SLAB[size]! - 1) this.#link(slab, size)
    if (live > 0) return
    this.#unlink(slab, size)
    this.#release(slab, 1)
  }

  /** Gives all memory back; nothing may be asked of this arena afterwards. */
  dispose(): void {
    discard(this.#bytes)
    this.#bytes.length = 0
    this.#words.length = 0
    this.#data.length = 0
    this.#heldBytes = this.#usedUnits = 0
  }

  #openSlab(size: number): number {
    const slab = this.#take(1)
    this.#use[slab] = size
    this.#freed[slab] = 0
    this.#fresh[slab] = 0
    this.#live[slab] = 0
    this.#link(slab, size)
    return slab
  }

  #link(slab: number, size: number): void {
    const first = this.#open[size]!
    this.#next[slab] = first
    this.#previous[slab] = 0
    if (first !== 0) this.#previous[first] = slab
    this.#open[size] = slab
  }

  #unlink(slab: number, size: number): void {
    const next = this.#next[slab]!
    const previous = this.#previous[slab]!
    if (next !== 0) this.#previous[next] = previous
    if (previous !== 0) this.#next[previous] = next
    else this.#open[size] = next
  }

  #allocateRun(units: number): Address {
    const slabs = Math.ceil(units / SLAB_UNITS)
    this.#usedUnits += slabs * SLAB_UNITS
    return this.#take(slabs) << SLAB_BITS
  }

  #freeRun(at: Address, units: number): void {
    const slabs = Math.ceil(units / SLAB_UNITS)
    this.#usedUnits -= slabs * SLAB_UNITS
    this.#release(at >>> SLAB_BITS, slabs)
  }

  /** The first of `count` free slabs in a row, now marked as used and backed by memory. They lie in one segment; more than a
   *  segment holds begin one, whose ArrayBuffer is then as large as all of them need. */
  #take(count: number): number {
    const step = count > SLABS_IN_SEGMENT ? SLABS_IN_SEGMENT : 1
    let slab = Math.ceil(this.#lowestFree / step) * step
    for (let run = 0; run < count; ) {
      assert(slab + count <= SEGMENTS * SLABS_IN_SEGMENT, 'the data is larger than 32 GiB')
      const straddles = step === 1 && (slab & -SLABS_IN_SEGMENT) !== ((slab + count - 1) & -SLABS_IN_SEGMENT)
      if (straddles || (slab + run < this.#use.length && this.#use[slab + run] !== FREE)) {
        slab = straddles ? (slab + SLABS_IN_SEGMENT) & -SLABS_IN_SEGMENT : Math.ceil((slab + run + 1) / step) * step
        run = 0
      } else run++
    }
    this.#describe(slab + count)
    this.#use.fill(RUN, slab, slab + count)
    if (count === 1 || slab === this.#lowestFree) this.#lowestFree = slab + count
    this.#back(slab, count)
    return slab
  }

  /** Makes the arrays about slabs reach up to `end`. */
  #describe(end: number): void {
    if (end <= this.#use.length) return
    const length = Math.max(end, this.#use.length * 2, SLABS_IN_SEGMENT)
    const grow = <T extends Uint8Array | Uint16Array | Int32Array>(old: T, fresh: T): T => {
      fresh.set(old)
      return fresh
    }
    this.#use = grow(this.#use, new Uint8Array(length))
    this.#freed = grow(this.#freed, new Int32Array(length))
    this.#fresh = grow(this.#fresh, new Uint16Array(length))
    this.#live = grow(this.#live, new Uint16Array(length))
    this.#next = grow(this.#next, new Int32Array(length))
    this.#previous = grow(this.#previous, new Int32Array(length))
    this.#use[0] = RUN
  }

  /** Takes memory from the system for slabs that are about to be used. */
  #back(slab: number, count: number): void {
    const first = Math.floor(slab / SLABS_IN_SEGMENT)
    const last = Math.floor((slab + count - 1) / SLABS_IN_SEGMENT)
    for (let segment = this.#bytes.length; segment <= last; segment++) {
      this.#bytes.push(NOTHING)
      this.#words.push(NO_WORDS)
      this.#data.push(NO_DATA)
      this.#freeSlabs.push(segment === 0 ? SLABS_IN_SEGMENT - 1 : SLABS_IN_SEGMENT)
    }
    // A run of several segments gets memory of its own for all of them; what others use of the last one stays where it is.
    if (first < last)
      for (let segment = first; segment <= last; segment++) if (this.#isSpare(segment)) this.#unback(segment)
    if (this.#isSpare(first)) this.#spareSegments--
    for (let i = slab; i < slab + count; i++) this.#freeSlabs[Math.floor(i / SLABS_IN_SEGMENT)]!--
    if (this.#bytes[first] !== NOTHING) return
    const memory = new ArrayBuffer((last - first + 1) * SEGMENT_BYTES)
    this.#bytes[first] = Buffer.from(memory)
    this.#words[first] = new Int32Array(memory)
    this.#data[first] = new DataView(memory)
    this.#heldBytes += memory.byteLength
  }

  /** Slabs are free again. One segment without use is kept for what comes next, others go back to the system. */
  #release(slab: number, count: number): void {
    this.#use.fill(FREE, slab, slab + count)
    this.#lowestFree = Math.min(this.#lowestFree, slab)
    for (let i = slab; i < slab + count; i++) {
      const segment = Math.floor(i / SLABS_IN_SEGMENT)
      this.#freeSlabs[segment]!++
      if (!this.#isSpare(segment)) continue
      if (++this.#spareSegments > 1 || this.#bytes[segment]!.length > SEGMENT_BYTES) this.#unback(segment)
    }
  }

  /** Whether a segment has memory, but no use for it. */
  #isSpare(segment: number): boolean {
    const usable = segment === 0 ? SLABS_IN_SEGMENT - 1 : SLABS_IN_SEGMENT
    return this.#freeSlabs[segment] === usable && this.#bytes[segment] !== NOTHING
  }

  /** Gives the memory of a spare segment back. */
  #unback(segment: number): void {
    this.#spareSegments--
    this.#heldBytes -= this.#bytes[segment]!.length
    discard([this.#bytes[segment]!])
    this.#bytes[segment] = NOTHING
    this.#words[segment] = NO_WORDS
    this.#data[segment] = NO_DATA
  }
}

/** Gives memory back to the system now instead of when the garbage collector comes by, for which a server that has become idle could wait
 *  for ever: the memory is handed over to a listener who is gone. Views of it have no length from then on. */
function discard(segments: readonly Buffer[]): void {
  const { port1, port2 } = new MessageChannel()
  port2.close()
  for (const segment of segments) if (segment !== NOTHING) port1.postMessage(undefined, [segment.buffer as ArrayBuffer])
  port1.close()
}
