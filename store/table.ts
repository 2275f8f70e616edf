/** Finding entries by key, and walking them in order: by slot, then by hash.
 *
 *  Each slot has a directory (store/directories.ts), which points to pages (store/page.ts): each has the entries whose hashes begin with
 *  the same bits, some sixteen at most, and splits in two when it is full (extendible hashing). So nothing is ever rehashed: growth is the
 *  split of one page, now and then the doubling of one slot's directory.
 *
 *  What the order buys: the keys of a slot are together; and a position (slot and hash) divides the keys into those before and those
 *  after it whatever is added, removed or moved meanwhile. SCAN's cursor is such a position, and so is how far a cut has come. */
import { SLOT_COUNT } from '../lib/base/brand.ts'
import { equalsShort } from '../lib/base/copy.ts'
import type { Key } from '../lib/base/key.ts'
import { type Address, type Arena, wordIndex } from './arena.ts'
import { Directories } from './directories.ts'
import { FLAGS, KEY_LENGTH, keyOffset } from './entry.ts'
import {
  COUNT,
  DEPTH_MASK,
  FULL,
  HEAD,
  MERGED,
  PLACE,
  pageBytes,
  ROOM_SHIFT,
  roomFor,
  SHAPE,
  STAMP,
  STEP,
} from './page.ts'
import { Roll } from './roll.ts'

/** A place in the order of keys: slot x 2^32 + hash, 0 to END. */
export type Position = number

const HASHES = 2 ** 32
export const END: Position = SLOT_COUNT * HASHES

/** The position of keys with this slot and hash. */
export const positionOf = (slot: number, hash: number): Position => slot * HASHES + (hash >>> 0)

/** So many keys can be warmed at once: more misses than that a processor does not wait for at the same time. */
export const MOST_WARMED = 16

/** From here on comparing natively is worth the call. */
const LONG_KEY = 128

export class Table {
  readonly #arena: Arena
  readonly #slots: Directories
  readonly #pages = new Roll()
  size = 0
  /** Where the last search ended: a page, the entry's place in it, and the entry, the current one. */
  #page: Address = 0
  #place = 0
  #entry: Address = 0
  /** The key that was found there, and its mark: a command asks for its key several times, to route, to read and to write. */
  #key: Key | undefined
  #mark = 0
  /** Its slot, -1 when nothing was found, and its hash: the next command is often about the same key. */
  #slot = -1
  #hash = 0
  /** For `warm`: how far the search for each key has come. */
  readonly #warming = new Int32Array(MOST_WARMED + 1)
  /** No page has ever had more room. */
  #widest = STEP

  constructor(arena: Arena) {
    this.#arena = arena
    this.#slots = new Directories(arena)
  }

  /** Number of keys of a slot. */
  countInSlot(slot: number): number {
    return this.#slots.keysIn(slot)
  }

  /** The entry of a key, which is then the current one, or 0. */
  find(slot: number, hash: number, key: Key): Address {
    if (key === this.#key && key.mark === this.#mark) return this.#entry
    if (hash === this.#hash && slot === this.#slot && this.#hasKey(this.#entry, key)) return this.#found(key)
    const page = this.#slots.pageOf(slot, hash)
    if (page === 0) return 0
    const words = this.#arena.wordsAt(page)
    const at = wordIndex(page)
    const first = at + HEAD
    const last = first + words[at + COUNT]!
    for (let i = first; i < last; i++) {
      if (words[i] !== hash) continue
      const entry = words[i + (words[at + SHAPE]! >>> ROOM_SHIFT)]!
      if (!this.#hasKey(entry, key)) continue
      this.#page = page
      this.#place = i - first
      this.#slot = slot
      this.#hash = hash
      this.#entry = entry
      return this.#found(key)
    }
    return 0
  }

  /** Notes that the current entry is that of a key. */
  #found(key: Key): Address {
    this.#key = key.mark === 0 ? undefined : key
    this.#mark = key.mark
    return this.#entry
  }

  /** Reads what is read when these keys are looked for, and tells nothing: so that the processor fetches what it has not at hand for all
   *  of them at the same time, step by step. One after the other, each step of each key would wait for the memory. */
  warm(keys: readonly Key[], count: number): void {
    const found = this.#warming
    let read = 0
    for (let i = 0; i < count; i++) found[i] = this.#slots.pageOf(keys[i]!.slot(), keys[i]!.hash())
    for (let i = 0; i < count; i++) read ^= this.#arena.peek(found[i]!)
    for (let i = 0; i < count; i++) if (found[i] !== 0) found[i] = this.#likely(found[i]!, keys[i]!.hash())
    for (let i = 0; i < count; i++) read ^= this.#arena.peek(found[i]!)
    found[count] = read
  }

  /** The first entry of a page under a hash, or 0. */
  #likely(page: Address, hash: number): Address {
    const words = this.#arena.wordsAt(page)
    const at = wordIndex(page)
    const first = at + HEAD
    const last = first + words[at + COUNT]!
    for (let i = first; i < last; i++) if (words[i] === hash) return words[i + (words[at + SHAPE]! >>> ROOM_SHIFT)]!
    return 0
  }

  #hasKey(entry: Address, key: Key): boolean {
    const words = this.#arena.wordsAt(entry)
    const at = wordIndex(entry)
    const { length } = key
    if (words[at + KEY_LENGTH] !== length) return false
    const from = (at << 2) + keyOffset(words[at + FLAGS]!)
    if (length > LONG_KEY)
      return this.#arena.bytesAt(entry).compare(key.bytes, key.start, key.end, from, from + length) === 0
    return equalsShort(this.#arena.dataAt(entry), from, key.data, key.start, length)
  }

  /** Adds an entry whose key is not there yet; it is then the current one. */
  insert(slot: number, hash: number, entry: Address): void {
    const page = this.#pageWithRoom(slot, hash)
    const words = this.#arena.wordsAt(page)
    const at = wordIndex(page)
    const place = words[at + COUNT]!++
    words[at + HEAD + place] = hash
    words[at + HEAD + (words[at + SHAPE]! >>> ROOM_SHIFT) + place] = entry
    this.#slots.count(slot, 1)
    this.size++
    this.#page = page
    this.#place = place
    this.#entry = entry
    this.#key = undefined
    this.#slot = -1
  }

  /** The current entry has moved. */
  move(entry: Address): void {
    const page = this.#page
    const words = this.#arena.wordsAt(page)
    const at = wordIndex(page)
    words[at + HEAD + (words[at + SHAPE]! >>> ROOM_SHIFT) + this.#place] = entry
    this.#entry = entry
  }

  /** The current entry, of this slot, has changed in this epoch. */
  stamp(slot: number, epoch: number): void {
    this.#arena.wordsAt(this.#page)[wordIndex(this.#page) + STAMP] = epoch
    this.#slots.stamp(slot, epoch)
  }

  /** Removes the current entry, which has this slot and hash. */
  remove(slot: number, hash: number): void {
    this.#key = undefined
    this.#slot = -1
    const page = this.#page
    const words = this.#arena.wordsAt(page)
    const at = wordIndex(page)
    const room = words[at + SHAPE]! >>> ROOM_SHIFT
    const place = at + HEAD + this.#place
    const count = --words[at + COUNT]!
    words[place] = words[at + HEAD + count]!
    words[place + room] = words[at + HEAD + count + room]!
    this.#slots.count(slot, -1)
    this.size--
    this.#shrink(slot, hash, page)
  }

  /** Adds to `found` the entries from `from` to the end of the page that covers it, and returns where the next page begins.
   *  Slots and pages in which nothing was changed after epoch `since` are left out. At `end`, where a slot must begin, it is over. */
  collect(from: Position, end: Position, since: number, found: Address[]): Position {
    let slot = Math.floor(from / HASHES)
    let hash = from | 0
    const until = Math.floor(end / HASHES)
    while (slot < until && !this.#slots.hasNews(slot, since)) {
      slot++
      hash = 0
    }
    if (slot >= until) return end
    const page = this.#slots.pageOf(slot, hash)
    const words = this.#arena.wordsAt(page)
    const at = wordIndex(page)
    const depth = words[at + SHAPE]! & DEPTH_MASK
    const room = words[at + SHAPE]! >>> ROOM_SHIFT
    if (words[at + STAMP]! > since)
      for (let i = at + HEAD; i < at + HEAD + words[at + COUNT]!; i++)
        if (words[i]! >>> 0 >= hash >>> 0) found.push(words[i + room]!)
    return slot * HASHES + (depth === 0 ? HASHES : ((hash >>> (32 - depth)) + 1) * 2 ** (32 - depth))
  }

  /** An entry drawn at random, all alike; there must be one. */
  draw(float: () => number): Address {
    for (let tries = 0; tries < DRAWS; tries++) {
      const page = this.#pages.at(Math.floor(float() * this.#pages.size))
      const words = this.#arena.wordsAt(page)
      const at = wordIndex(page)
      const place = Math.floor(float() * this.#widest)
      if (place < words[at + COUNT]!) return words[at + HEAD + (words[at + SHAPE]! >>> ROOM_SHIFT) + place]!
    }
    const found: Address[] = []
    for (let from: Position = 0; found.length === 0; ) from = this.collect(from, END, 0, found)
    return found[0]!
  }

  /** Adds up to `most` entries to `found`: neighbours on a page drawn at random, or on more pages if that has not as many. They are as good
   *  as drawn one by one, for hashes make neighbours of strangers, and cost a fifth. There must be one. */
  sample(most: number, float: () => number, found: Address[]): void {
    while (found.length < most) {
      const page = this.#pages.at(Math.floor(float() * this.#pages.size))
      const words = this.#arena.wordsAt(page)
      const at = wordIndex(page)
      const count = words[at + COUNT]!
      const first = at + HEAD + (words[at + SHAPE]! >>> ROOM_SHIFT)
      const start = Math.floor(float() * count)
      const end = Math.min(count, most - found.length)
      for (let i = 0; i < end; i++) found.push(words[first + ((start + i) % count)]!)
    }
  }

  // --- pages -----------------------------------------------------------------------------------------------------------

  #pageWithRoom(slot: number, hash: number): Address {
    for (;;) {
      const page = this.#slots.pageOf(slot, hash)
      if (page === 0) return this.#create(slot, hash, 0, STEP)
      const words = this.#arena.wordsAt(page)
      const at = wordIndex(page)
      const count = words[at + COUNT]!
      if (count < words[at + SHAPE]! >>> ROOM_SHIFT) return page
      if (count < FULL || !this.#split(slot, hash, page))
        return this.#resize(slot, hash, page, count + Math.max(STEP, (count >> 2) & -STEP))
    }
  }

  /** A new page without entries, put where pages with this slot, hash and depth belong. */
  #create(slot: number, hash: number, depth: number, room: number): Address {
    const page = this.#arena.allocate(pageBytes(room))
    const words = this.#arena.wordsAt(page)
    const at = wordIndex(page)
    words[at + COUNT] = 0
    words[at + SHAPE] = (room << ROOM_SHIFT) | depth
    words[at + PLACE] = this.#pages.add(page)
    words[at + STAMP] = 0
    if (room > this.#widest) this.#widest = room
    this.#slots.put(slot, hash, depth, page)
    return page
  }

  #free(page: Address): void {
    const words = this.#arena.wordsAt(page)
    const at = wordIndex(page)
    const place = words[at + PLACE]!
    const moved = this.#pages.remove(place)
    if (moved !== 0) this.#arena.wordsAt(moved)[wordIndex(moved) + PLACE] = place
    this.#arena.free(page, pageBytes(words[at + SHAPE]! >>> ROOM_SHIFT))
  }

  /** Gives a page another size; returns its new address. */
  #resize(slot: number, hash: number, page: Address, room: number): Address {
    const depth = this.#arena.wordsAt(page)[wordIndex(page) + SHAPE]! & DEPTH_MASK
    const other = this.#create(slot, hash, depth, room)
    this.#pour(page, other)
    this.#free(page)
    return other
  }

  /** Adds all entries of one page to another. */
  #pour(from: Address, to: Address): void {
    const source = this.#arena.wordsAt(from)
    const start = wordIndex(from)
    const room = source[start + SHAPE]! >>> ROOM_SHIFT
    const words = this.#arena.wordsAt(to)
    const at = wordIndex(to)
    const gap = words[at + SHAPE]! >>> ROOM_SHIFT
    let end = at + HEAD + words[at + COUNT]!
    for (let i = start + HEAD; i < start + HEAD + source[start + COUNT]!; i++, end++) {
      words[end] = source[i]!
      words[end + gap] = source[i + room]!
    }
    words[at + COUNT] = end - at - HEAD
    words[at + STAMP] = Math.max(words[at + STAMP]!, source[start + STAMP]!)
  }

  /** Distributes the entries of a full page to two; false when the directory has not enough bits and should not get more. */
  #split(slot: number, hash: number, page: Address): boolean {
    const words = this.#arena.wordsAt(page)
    const at = wordIndex(page)
    const depth = words[at + SHAPE]! & DEPTH_MASK
    if (depth === this.#slots.depthOf(slot) && !this.#slots.double(slot)) return false
    const room = words[at + SHAPE]! >>> ROOM_SHIFT
    const end = at + HEAD + words[at + COUNT]!
    const bit = 1 << (31 - depth)
    let ones = 0
    for (let i = at + HEAD; i < end; i++) if ((words[i]! & bit) !== 0) ones++
    const zero = this.#create(slot, hash & ~bit, depth + 1, roomFor(words[at + COUNT]! - ones))
    const one = this.#create(slot, hash | bit, depth + 1, roomFor(ones))
    for (let i = at + HEAD; i < end; i++)
      this.#append((words[i]! & bit) === 0 ? zero : one, words[i]!, words[i + room]!)
    for (const half of [zero, one]) this.#arena.wordsAt(half)[wordIndex(half) + STAMP] = words[at + STAMP]!
    this.#free(page)
    this.#slots.countDeep(slot, depth + 1, 2)
    return true
  }

  #append(page: Address, hash: number, entry: Address): void {
    const words = this.#arena.wordsAt(page)
    const at = wordIndex(page)
    const i = at + HEAD + words[at + COUNT]!++
    words[i] = hash
    words[i + (words[at + SHAPE]! >>> ROOM_SHIFT)] = entry
  }

  /** After a removal: a page without need for its room becomes smaller, two halves become one again. */
  #shrink(slot: number, hash: number, from: Address): void {
    let page = from
    for (;;) {
      const words = this.#arena.wordsAt(page)
      const at = wordIndex(page)
      const count = words[at + COUNT]!
      const depth = words[at + SHAPE]! & DEPTH_MASK
      if (depth === 0) {
        if (count === 0) {
          this.#slots.put(slot, hash, 0, 0)
          this.#free(page)
          return
        }
        break
      }
      const twin = this.#slots.pageOf(slot, hash ^ (1 << (32 - depth)))
      const twinWords = this.#arena.wordsAt(twin)
      const twinAt = wordIndex(twin)
      const sum = count + twinWords[twinAt + COUNT]!
      if ((twinWords[twinAt + SHAPE]! & DEPTH_MASK) !== depth || sum > MERGED) break
      const whole = this.#create(slot, hash, depth - 1, roomFor(sum + 1))
      this.#pour(page, whole)
      this.#pour(twin, whole)
      this.#free(page)
      this.#free(twin)
      this.#slots.countDeep(slot, depth, -2)
      page = whole
    }
    const words = this.#arena.wordsAt(page)
    const at = wordIndex(page)
    const room = words[at + SHAPE]! >>> ROOM_SHIFT
    if (room - words[at + COUNT]! >= 2 * STEP) this.#resize(slot, hash, page, room - STEP)
  }
}

/** How often an unlucky draw is repeated. */
const DRAWS = 1000
