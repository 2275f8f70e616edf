/** A key as the hot path sees it: a range of somebody else's bytes, with its slot and text computed at most once. */
import type { Slot } from './brand.ts'
import { slotOfRange } from './slot.ts'

/** Borrowed: valid while the buffer it points into is. Reused from request to request, so it is never kept;
 *  `ownKey` makes one that may be. */
export class Key {
  bytes: Buffer
  start: number
  end: number
  /** Which request of its owner this key was last pointed at. */
  mark = 0
  #slot = -1
  #text: string | undefined

  constructor(bytes: Buffer, start: number, end: number) {
    this.bytes = bytes
    this.start = start
    this.end = end
  }

  /** Points this key at other bytes. */
  set(bytes: Buffer, start: number, end: number): this {
    this.bytes = bytes
    this.start = start
    this.end = end
    this.#slot = -1
    this.#text = undefined
    return this
  }

  get length(): number {
    return this.end - this.start
  }

  slot(): Slot {
    if (this.#slot < 0) this.#slot = slotOfRange(this.bytes, this.start, this.end)
    return this.#slot as Slot
  }

  /** One character for each byte (latin1): a faithful name for maps and sets. */
  text(): string {
    this.#text ??= this.bytes.latin1Slice(this.start, this.end)
    return this.#text
  }

  /** A copy of the bytes. */
  own(): Buffer {
    return Buffer.from(this.bytes.subarray(this.start, this.end))
  }
}

/** A key over a whole buffer. */
export const keyOf = (bytes: Buffer): Key => new Key(bytes, 0, bytes.length)

/** A key from latin1 text. */
export const keyFromText = (text: string): Key => keyOf(Buffer.from(text, 'latin1'))
