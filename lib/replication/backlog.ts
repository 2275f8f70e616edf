/** The latest stretch of the stream, kept in memory in blocks that replicas' sockets share, dropped block by block. */
import { assert } from '../base/assert.ts'

const MIN_BLOCK = 4 * 1024
const MAX_BLOCK = 64 * 1024
/** Blocks kept to be written again, at most. */
const MOST_SPARE = 16

interface Block {
  readonly bytes: Buffer
  /** Position in the stream of the block's first byte. */
  readonly from: number
  /** Somebody may have kept a view of it. */
  isShared: boolean
}

export class Backlog {
  /** Bytes to keep at least (repl-backlog-size). Up to a block more is kept. */
  size: number
  #blocks: Block[] = []
  /** The memory of blocks that were dropped. New memory for each would have the garbage collector at work all the time: with an
   *  append-only file and nobody else to read, that was 0.2 of the 1.4 us of a SET. */
  #spare: Buffer[] = []
  /** Positions count the bytes of the stream before them: [#start, #end) is kept. */
  #start: number
  #end: number

  /** An empty backlog of a stream that stands at `position`. */
  constructor(size: number, position: number) {
    this.size = size
    this.#start = position
    this.#end = position
  }

  /** Position of the first byte kept. */
  get start(): number {
    return this.#start
  }

  /** Position after the last byte. */
  get end(): number {
    return this.#end
  }

  /** Copies bytes[start, end) to the end. Nothing is dropped before `trim`. */
  append(bytes: Uint8Array, start: number, end: number): void {
    let at = start
    while (at < end) {
      const block = this.#roomyBlock()
      const offset = this.#end - block.from
      const length = Math.min(end - at, block.bytes.length - offset)
      block.bytes.set(bytes.subarray(at, at + length), offset)
      this.#end += length
      at += length
    }
  }

  /** The bytes from a position to the end, as views that stay valid. */
  read(position: number): Buffer[] {
    const parts = this.borrow(position)
    for (let i = this.#indexOf(position); i < this.#blocks.length; i++) this.#blocks[i]!.isShared = true
    return parts
  }

  /** As `read`, as views that are valid until the next `trim`. */
  borrow(position: number): Buffer[] {
    assert(position >= this.#start && position <= this.#end, `backlog position ${position}`)
    const parts: Buffer[] = []
    for (let i = this.#indexOf(position); i < this.#blocks.length; i++) {
      const { bytes, from } = this.#blocks[i]!
      const part = bytes.subarray(Math.max(0, position - from), this.#end - from)
      if (part.length > 0) parts.push(part)
    }
    return parts
  }

  /** Drops the oldest blocks while enough remains. */
  trim(): void {
    let drop = 0
    while (drop + 1 < this.#blocks.length && this.#end - this.#blocks[drop + 1]!.from >= this.size) drop++
    if (drop === 0) return
    this.#spare = []
    for (const { bytes, isShared } of this.#blocks.splice(0, drop))
      if (!isShared && this.#spare.length < MOST_SPARE) this.#spare.push(bytes)
    this.#start = this.#blocks[0]!.from
  }

  /** The last block, or a new one when it is full. */
  #roomyBlock(): Block {
    const last = this.#blocks.at(-1)
    if (last !== undefined && this.#end < last.from + last.bytes.length) return last
    const length = Math.max(MIN_BLOCK, Math.min(MAX_BLOCK, this.size >> 4))
    const spare = this.#spare.pop()
    const bytes = spare?.length === length ? spare : Buffer.allocUnsafeSlow(length)
    const block = { bytes, from: this.#end, isShared: false }
    this.#blocks.push(block)
    return block
  }

  /** Index of the block that holds a position. The end is asked for most often, so the search goes backwards. */
  #indexOf(position: number): number {
    let i = this.#blocks.length - 1
    while (i > 0 && this.#blocks[i]!.from > position) i--
    return Math.max(i, 0)
  }
}
