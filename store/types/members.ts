/** The members of a large collection, each with something that belongs to it: the value of a field, the score of a member. They lie off
 *  the heap, and no text is made of them to find, add, remove or reply with one. However many there are, they are
 *  no work for the garbage collector. */
import { copyShort, equalsShort, SHORT } from '../../lib/base/copy.ts'
import { Key } from '../../lib/base/key.ts'
import { Roll } from '../roll.ts'
import { MOST_WARMED } from '../table.ts'
import type { BulkSink } from './listpack.ts'
import { MemberIndex } from './member-index.ts'
import { type Chunk, offsetOf, padded, type RecordAddress, Records } from './records.ts'

/** A record: these words, then the bytes of the member, then the rest, which belongs to it. */
const PLACE = 0
const LENGTH = 4
const REST_LENGTH = 8
const HEAD = 12

const LITTLE_ENDIAN = true
const SCORE_BYTES = 8
const NOTHING = Buffer.alloc(0)

/** Bytes that a processor fetches at once. */
const CACHE_LINE = 64
/** For `warm`: the records that were found. */
const WARMING = new Int32Array(MOST_WARMED + 1)

/** Who wants to have seen members as they are before they change or go. */
export interface Watcher {
  /** What belongs to the member at a place is about to change. */
  changing(place: number): void
  /** The member at a place is about to be removed, and the one at `last` to take the place. */
  removing(place: number, last: number): void
}

const NOBODY: readonly Watcher[] = []

/** Members have places from 0 up, without holes: adding, finding, removing and drawing take constant time. Who leaves is replaced
 *  by the last. That only ever moves a member down, which is why a walk from the end to the beginning meets every member that was
 *  there all the time, whatever comes and goes meanwhile. */
export class Members {
  readonly #records = new Records()
  readonly #index = new MemberIndex()
  /** By place. */
  readonly #at = new Roll()
  /** The record that was looked for last: its chunk, and where it begins there. */
  #chunk!: Chunk
  #offset = 0
  /** Its place; -1 when nobody knows. */
  #opened = -1
  readonly #key = new Key(NOTHING, 0, 0)
  #watchers = NOBODY

  get size(): number {
    return this.#at.size
  }

  /** Bytes in memory, an estimate. */
  get weight(): number {
    return this.#records.weight + this.#index.weight + this.#at.size * 4
  }

  /** The place of a member, which holds until one is removed; -1 when it is not there. */
  find(key: Key): number {
    const index = this.#index
    for (let at = index.seek(key.hash()); at !== 0; at = index.next()) {
      this.#openAt(at)
      if (!this.#equals(key)) continue
      const place = this.#chunk.data.getInt32(this.#offset + PLACE, LITTLE_ENDIAN)
      this.#opened = place
      return place
    }
    return -1
  }

  /** Reads what is read when these members, at most MOST_WARMED, are looked for, as `warm` in store/table.ts does for keys. */
  warm(keys: readonly Key[], count: number): void {
    let read = 0
    for (let i = 0; i < count; i++) WARMING[i] = this.#index.seek(keys[i]!.hash())
    for (let i = 0; i < count; i++) {
      const at = WARMING[i]!
      if (at === 0) continue
      const { data } = this.#records.chunkOf(at)
      const start = offsetOf(at)
      read ^= data.getInt32(start) ^ data.getInt32(Math.min(start + CACHE_LINE, data.byteLength - 4))
    }
    WARMING[count] = read
  }

  #equals(key: Key): boolean {
    const { length } = key
    const { data, bytes } = this.#chunk
    const start = this.#offset + HEAD
    if (data.getInt32(this.#offset + LENGTH, LITTLE_ENDIAN) !== length) return false
    if (length <= SHORT) return equalsShort(data, start, key.data, key.start, length)
    return bytes.compare(key.bytes, key.start, key.end, start, start + length) === 0
  }

  /** Adds what is no member yet, at the end, with a copy of bytes[start, end). */
  add(key: Key, bytes: Buffer = NOTHING, start = 0, end = bytes.length, data?: DataView): void {
    this.#lay(this.#at.add(0), key, end - start)
    this.#write(this.#offset + HEAD + key.length, bytes, data, start, end)
    this.#index.add(key.hash(), this.#at.at(this.size - 1))
  }

  /** As `add`, with a score. */
  addScored(key: Key, score: number): void {
    this.#lay(this.#at.add(0), key, SCORE_BYTES)
    this.#chunk.data.setFloat64(this.#offset + HEAD + key.length, score, LITTLE_ENDIAN)
    this.#index.add(key.hash(), this.#at.at(this.size - 1))
  }

  /** Removes the member at a place, which the last one then takes. */
  remove(place: number): void {
    for (const watcher of this.#watchers) watcher.removing(place, this.size - 1)
    const at = this.#at.at(place)
    this.#index.remove(this.key(place).hash(), at)
    const last = this.#at.remove(place)
    if (last !== 0) this.#records.chunkOf(last).data.setInt32(offsetOf(last) + PLACE, place, LITTLE_ENDIAN)
    this.#drop(at)
  }

  /** The member at a place as latin1 text. */
  text(place: number): string {
    const { bytes, start, end } = this.key(place)
    return bytes.latin1Slice(start, end)
  }

  /** A copy of the member at a place. */
  own(place: number): Buffer {
    return this.key(place).own()
  }

  /** Writes the member at a place as a bulk string. */
  put(place: number, out: BulkSink): void {
    const { bytes, start, end, data } = this.key(place)
    out.bulkRange(bytes, start, end, data)
  }

  /** Below, at or above 0 as the bytes of the member at a place come before, are, or come after those of a key. */
  compare(place: number, key: Key): number {
    this.#open(place)
    const start = this.#offset + HEAD
    const { data, bytes } = this.#chunk
    const length = this.#length()
    const common = Math.min(length, key.length)
    if (common > SHORT) return bytes.compare(key.bytes, key.start, key.end, start, start + length)
    let i = 0
    while (i + 4 <= common && data.getInt32(start + i) === key.data.getInt32(key.start + i)) i += 4
    for (; i < common; i++) {
      const difference = data.getUint8(start + i) - key.data.getUint8(key.start + i)
      if (difference !== 0) return difference
    }
    return length - key.length
  }

  copy(): Members {
    const copy = new Members()
    for (let place = 0; place < this.size; place++) copy.take(this, place)
    return copy
  }

  /** Adds the member at a place of another table, which is not in this, with what belongs to it; returns the bytes of it. */
  take(other: Members, place: number): number {
    const key = other.key(place)
    const rest = other.#offset + HEAD + key.length
    const end = rest + other.#restLength()
    this.add(key, other.#chunk.bytes, rest, end, other.#chunk.data)
    return end - other.#offset
  }

  /** The members as latin1 text. */
  *[Symbol.iterator](): Generator<string> {
    for (let place = 0; place < this.size; place++) yield this.text(place)
  }

  // --- what belongs to a member ----------------------------------------------------------------------------------------

  restLength(place: number): number {
    this.#open(place)
    return this.#restLength()
  }

  /** A copy. */
  ownRest(place: number): Buffer {
    const start = this.#openRest(place)
    return Buffer.from(this.#chunk.bytes.subarray(start, start + this.#restLength()))
  }

  /** Writes it as a bulk string. */
  putRest(place: number, out: BulkSink): void {
    const start = this.#openRest(place)
    out.bulkRange(this.#chunk.bytes, start, start + this.#restLength(), this.#chunk.data)
  }

  /** Makes it a copy of bytes[start, end). */
  setRest(place: number, bytes: Buffer, start: number, end: number, data?: DataView): void {
    for (const watcher of this.#watchers) watcher.changing(place)
    const length = end - start
    const from = this.#openRest(place)
    const before = from - this.#offset
    if (padded(before + length) === padded(before + this.#restLength())) {
      this.#chunk.data.setInt32(this.#offset + REST_LENGTH, length, LITTLE_ENDIAN)
      this.#write(from, bytes, data, start, end)
      return
    }
    const old = this.#at.at(place)
    const key = this.key(place)
    this.#lay(place, key, length)
    this.#index.move(key.hash(), old, this.#at.at(place))
    this.#write(this.#offset + before, bytes, data, start, end)
    this.#drop(old)
  }

  score(place: number): number {
    const start = this.#openRest(place)
    return this.#chunk.data.getFloat64(start, LITTLE_ENDIAN)
  }

  setScore(place: number, score: number): void {
    for (const watcher of this.#watchers) watcher.changing(place)
    const start = this.#openRest(place)
    this.#chunk.data.setFloat64(start, score, LITTLE_ENDIAN)
  }

  // --- watchers --------------------------------------------------------------------------------------------------------

  /** From now on `watcher` is told of changes and removals before they happen. */
  watch(watcher: Watcher): void {
    this.#watchers = [...this.#watchers, watcher]
  }

  unwatch(watcher: Watcher): void {
    this.#watchers = this.#watchers.filter((one) => one !== watcher)
  }

  // --- records ---------------------------------------------------------------------------------------------------------

  #open(place: number): void {
    if (place === this.#opened) return
    this.#openAt(this.#at.at(place))
    this.#opened = place
  }

  #openAt(at: RecordAddress): void {
    this.#opened = -1
    this.#chunk = this.#records.chunkOf(at)
    this.#offset = offsetOf(at)
  }

  /** Where the rest begins in the chunk. */
  #openRest(place: number): number {
    this.#open(place)
    return this.#offset + HEAD + this.#length()
  }

  #length(): number {
    return this.#chunk.data.getInt32(this.#offset + LENGTH, LITTLE_ENDIAN)
  }

  #restLength(): number {
    return this.#chunk.data.getInt32(this.#offset + REST_LENGTH, LITTLE_ENDIAN)
  }

  /** The member at a place, borrowed until the next is asked for. */
  key(place: number): Key {
    this.#open(place)
    const start = this.#offset + HEAD
    return this.#key.set(this.#chunk.bytes, start, start + this.#length(), this.#chunk.data)
  }

  /** A record for the member at a place, whose rest is still to be written. */
  #lay(place: number, key: Key, restLength: number): void {
    const at = this.#records.add(HEAD + key.length + restLength)
    this.#at.set(place, at)
    this.#openAt(at)
    const { data } = this.#chunk
    data.setInt32(this.#offset + PLACE, place, LITTLE_ENDIAN)
    data.setInt32(this.#offset + LENGTH, key.length, LITTLE_ENDIAN)
    data.setInt32(this.#offset + REST_LENGTH, restLength, LITTLE_ENDIAN)
    this.#write(this.#offset + HEAD, key.bytes, key.data, key.start, key.end)
  }

  #write(to: number, bytes: Buffer, data: DataView | undefined, start: number, end: number): void {
    if (start === end) return
    if (data !== undefined && end - start <= SHORT) copyShort(data, start, end, this.#chunk.data, to)
    else bytes.copy(this.#chunk.bytes, to, start, end)
  }

  /** Drops a record that no place has any more, and clears its chunk when it is mostly such. */
  #drop(at: RecordAddress): void {
    this.#openAt(at)
    if (this.#records.drop(at, this.#recordSize())) this.#clear(at)
  }

  #recordSize(): number {
    return HEAD + this.#length() + this.#restLength()
  }

  /** Moves the records of the chunk that has the one at `at` to others. */
  #clear(at: RecordAddress): void {
    const { bytes, data, used } = this.#records.chunkOf(at)
    const first = at - (offsetOf(at) >> 3)
    for (let offset = 0, size = 0; offset < used; offset += padded(size)) {
      const old = first + (offset >> 3)
      const place = data.getInt32(offset + PLACE, LITTLE_ENDIAN)
      size = HEAD + data.getInt32(offset + LENGTH, LITTLE_ENDIAN) + data.getInt32(offset + REST_LENGTH, LITTLE_ENDIAN)
      if (place >= this.size || this.#at.at(place) !== old) continue
      const moved = this.#records.add(size)
      bytes.copy(this.#records.chunkOf(moved).bytes, offsetOf(moved), offset, offset + size)
      this.#index.move(this.key(place).hash(), old, moved)
      this.#at.set(place, moved)
      this.#opened = -1
      this.#records.drop(old, size)
    }
  }
}
