/** The directories of the slots: which page has the entries of a hash.
 *
 *  Each slot has one of 2^depth cells, and the first `depth` bits of a hash choose the cell, which points to a page. Neighbouring cells
 *  share a page whose hashes have fewer bits in common. */
import { SLOT_COUNT } from '../lib/base/brand.ts'
import { type Address, type Arena, wordIndex } from './arena.ts'
import { DEPTH_MASK, SHAPE } from './page.ts'

/** A directory doubles only when there are as many entries for each cell: hashes that agree in their first bits by bad luck or
 *  bad intent make a page larger instead. */
const KEYS_PER_CELL = 8

/** What is known of a slot: the address of its directory or, at depth 0, of its only page; then as follows. */
const SLOT_WORDS = 4
const ROOT = 0
const DEPTH = 1
const KEYS = 2
const CHANGED = 3

/** A directory: how many pages use all its bits, an unused word, then the cells. */
const CELLS = 2
const directoryBytes = (depth: number): number => (CELLS + 2 ** depth) * 4

export class Directories {
  readonly #arena: Arena
  readonly #slots = new Int32Array(SLOT_COUNT * SLOT_WORDS)

  constructor(arena: Arena) {
    this.#arena = arena
  }

  /** Number of keys of a slot. */
  keysIn(slot: number): number {
    return this.#slots[slot * SLOT_WORDS + KEYS]!
  }

  /** A slot has so many keys more. */
  count(slot: number, change: number): void {
    this.#slots[slot * SLOT_WORDS + KEYS]! += change
  }

  /** An entry of a slot has changed in this epoch. */
  stamp(slot: number, epoch: number): void {
    this.#slots[slot * SLOT_WORDS + CHANGED] = epoch
  }

  /** Whether a slot has keys, and something in it was changed after epoch `since`. */
  hasNews(slot: number, since: number): boolean {
    return this.#slots[slot * SLOT_WORDS + KEYS]! > 0 && this.#slots[slot * SLOT_WORDS + CHANGED]! > since
  }

  /** How many bits of a hash choose a cell. */
  depthOf(slot: number): number {
    return this.#slots[slot * SLOT_WORDS + DEPTH]!
  }

  /** The page for a hash; 0 when the slot has none. */
  pageOf(slot: number, hash: number): Address {
    const root = this.#slots[slot * SLOT_WORDS]!
    const depth = this.#slots[slot * SLOT_WORDS + DEPTH]!
    if (depth === 0) return root
    return this.#arena.wordsAt(root)[wordIndex(root) + CELLS + (hash >>> (32 - depth))]!
  }

  /** Points all cells that a page of this depth covers to it. */
  put(slot: number, hash: number, depth: number, page: Address): void {
    const root = this.#slots[slot * SLOT_WORDS]!
    const bits = this.#slots[slot * SLOT_WORDS + DEPTH]!
    if (bits === 0) {
      this.#slots[slot * SLOT_WORDS + ROOT] = page
      return
    }
    const cells = 1 << (bits - depth)
    const first = wordIndex(root) + CELLS + ((hash >>> (32 - bits)) & -cells)
    this.#arena.wordsAt(root).fill(page, first, first + cells)
  }

  /** Gives a slot's directory one bit more; false when it is large enough for its keys. */
  double(slot: number): boolean {
    const at = slot * SLOT_WORDS
    const depth = this.#slots[at + DEPTH]!
    if (2 ** depth * KEYS_PER_CELL > this.#slots[at + KEYS]!) return false
    const { words, root, start } = this.#directory(slot)
    const cells = this.#rebase(slot, depth + 1)
    const fresh = this.#arena.wordsAt(this.#slots[at]!)
    fresh[cells - CELLS] = 0
    if (depth === 0) fresh.fill(root, cells, cells + 2)
    else {
      for (let i = 0; i < 2 ** depth; i++) fresh[cells + 2 * i] = fresh[cells + 2 * i + 1] = words[start + i]!
      this.#arena.free(root, directoryBytes(depth))
    }
    return true
  }

  /** So many pages more have this depth: a directory with more bits than any of its pages uses is halved. */
  countDeep(slot: number, depth: number, change: number): void {
    if (depth !== this.#slots[slot * SLOT_WORDS + DEPTH]) return
    const { words, start } = this.#directory(slot)
    words[start - CELLS]! += change
    if (words[start - CELLS] === 0) this.#halve(slot)
  }

  /** Takes one bit from a slot's directory, of which no page makes use. */
  #halve(slot: number): void {
    const at = slot * SLOT_WORDS
    const depth = this.#slots[at + DEPTH]!
    const { words, root, start } = this.#directory(slot)
    if (depth === 1) {
      this.#slots[at] = words[start]!
      this.#slots[at + DEPTH] = 0
    } else {
      const cells = this.#rebase(slot, depth - 1)
      const fresh = this.#arena.wordsAt(this.#slots[at]!)
      let deep = 0
      for (let i = 0; i < 2 ** (depth - 1); i++) {
        const page = words[start + 2 * i]!
        fresh[cells + i] = page
        if ((this.#arena.wordsAt(page)[wordIndex(page) + SHAPE]! & DEPTH_MASK) === depth - 1) deep++
      }
      fresh[cells - CELLS] = deep
    }
    this.#arena.free(root, directoryBytes(depth))
    if (depth > 1) this.countDeep(slot, depth - 1, 0)
  }

  /** A slot's directory, and the word where its cells begin. */
  #directory(slot: number): { words: Int32Array; root: Address; start: number } {
    const root = this.#slots[slot * SLOT_WORDS]!
    return { words: this.#arena.wordsAt(root), root, start: wordIndex(root) + CELLS }
  }

  /** Makes a new directory the slot's; returns the word where its cells begin. */
  #rebase(slot: number, depth: number): number {
    const directory = this.#arena.allocate(directoryBytes(depth))
    this.#slots[slot * SLOT_WORDS] = directory
    this.#slots[slot * SLOT_WORDS + DEPTH] = depth
    return wordIndex(directory) + CELLS
  }
}
