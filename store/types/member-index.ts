/** Finding records by hash: open addressing in pages of pairs, a hash and an address. The first bits of a hash choose the page
 *  (extendible hashing), its last ones where in the page the search begins. A page that is full is made larger or split in two, so that
 *  growing never takes longer than a page does. */
import { assert } from '../../lib/base/assert.ts'
import type { RecordAddress } from './records.ts'

/** A page with as many pairs splits when it is full; a smaller one doubles. */
const LARGEST = 512
const SMALLEST = 16
/** A directory doubles only when there are as many members for each of its cells: hashes that agree in their first bits make a page larger. */
const MEMBERS_PER_CELL = 64

interface Page {
  /** Pairs: a hash and an address, which is 0 where there is no pair. */
  cells: Int32Array
  count: number
  /** How many first bits all its hashes have in common. */
  depth: number
}

const emptyPage = (slots: number, depth: number): Page => ({ cells: new Int32Array(slots * 2), count: 0, depth })

export class MemberIndex {
  #directory: Page[] = [emptyPage(SMALLEST, 0)]
  #depth = 0
  #size = 0
  #cells = SMALLEST
  /** The search: where it is. */
  #hash = 0
  #page: Page = this.#directory[0]!
  #slot = 0

  /** Bytes in memory, an estimate. */
  get weight(): number {
    return this.#cells * 8 + this.#directory.length * 8
  }

  /** The first record under a hash; 0 when there is none. */
  seek(hash: number): RecordAddress {
    const page = this.#pageOf(hash)
    this.#hash = hash
    this.#page = page
    this.#slot = hash & ((page.cells.length >> 1) - 1)
    return this.#probe()
  }

  /** The next record under the hash of the last `seek`, before anything changes; 0 when there is none. */
  next(): RecordAddress {
    this.#slot = (this.#slot + 1) & ((this.#page.cells.length >> 1) - 1)
    return this.#probe()
  }

  #probe(): RecordAddress {
    const { cells } = this.#page
    const mask = cells.length - 1
    const hash = this.#hash
    for (let i = this.#slot * 2; ; i = (i + 2) & mask) {
      const at = cells[i + 1]!
      if (at === 0) return 0
      if (cells[i] === hash) {
        this.#slot = i >>> 1
        return at
      }
    }
  }

  add(hash: number, at: RecordAddress): void {
    let page = this.#pageOf(hash)
    while (page.count * 8 >= page.cells.length * 3) {
      this.#enlarge(page, hash)
      page = this.#pageOf(hash)
    }
    put(page, hash, at)
    this.#size++
  }

  /** A record has moved. */
  move(hash: number, from: RecordAddress, to: RecordAddress): void {
    this.#find(hash, from)
    this.#page.cells[this.#slot * 2 + 1] = to
  }

  remove(hash: number, at: RecordAddress): void {
    this.#find(hash, at)
    const page = this.#page
    closeGap(page.cells, this.#slot)
    page.count--
    this.#size--
    const slots = page.cells.length / 2
    if (slots > SMALLEST && page.count * 8 < slots) this.#resize(page, slots / 2)
  }

  #find(hash: number, at: RecordAddress): void {
    let found = this.seek(hash)
    while (found !== at) {
      assert(found !== 0, 'a member is not in the index')
      found = this.next()
    }
  }

  #pageOf(hash: number): Page {
    return this.#directory[(hash >>> 1) >>> (31 - this.#depth)]!
  }

  #enlarge(page: Page, hash: number): void {
    const slots = page.cells.length / 2
    const isDeepest = page.depth === this.#depth
    if (slots < LARGEST || (isDeepest && this.#directory.length * MEMBERS_PER_CELL > this.#size)) {
      this.#resize(page, slots * 2)
      return
    }
    if (isDeepest) {
      this.#directory = this.#directory.flatMap((one) => [one, one])
      this.#depth++
    }
    this.#split(page, hash)
  }

  #resize(page: Page, slots: number): void {
    const { cells } = page
    this.#cells += slots - cells.length / 2
    page.cells = new Int32Array(slots * 2)
    page.count = 0
    for (let i = 0; i < cells.length; i += 2) if (cells[i + 1] !== 0) put(page, cells[i]!, cells[i + 1]!)
  }

  /** Moves the pairs whose next bit is set to a page of their own. */
  #split(page: Page, hash: number): void {
    const { cells } = page
    const bit = 31 - page.depth++
    const right = emptyPage(cells.length / 2, page.depth)
    this.#cells += cells.length / 2
    page.cells = new Int32Array(cells.length)
    page.count = 0
    for (let i = 0; i < cells.length; i += 2)
      if (cells[i + 1] !== 0) put(((cells[i]! >>> bit) & 1) === 0 ? page : right, cells[i]!, cells[i + 1]!)
    const width = 2 ** (this.#depth - page.depth)
    const here = (hash >>> 1) >>> (31 - this.#depth)
    const first = here - (here % (width * 2))
    this.#directory.fill(right, first + width, first + width * 2)
  }
}

function put(page: Page, hash: number, at: RecordAddress): void {
  const { cells } = page
  const mask = cells.length - 1
  let i = (hash << 1) & mask
  while (cells[i + 1] !== 0) i = (i + 2) & mask
  cells[i] = hash
  cells[i + 1] = at
  page.count++
}

/** Empties a slot. A pair behind it moves into it unless that would be before the slot where its search begins. */
function closeGap(cells: Int32Array, slot: number): void {
  const mask = cells.length / 2 - 1
  let gap = slot
  for (let i = (gap + 1) & mask; cells[i * 2 + 1] !== 0; i = (i + 1) & mask) {
    const home = cells[i * 2]! & mask
    if (((i - home) & mask) < ((i - gap) & mask)) continue
    cells[gap * 2] = cells[i * 2]!
    cells[gap * 2 + 1] = cells[i * 2 + 1]!
    gap = i
  }
  cells[gap * 2 + 1] = 0
}
