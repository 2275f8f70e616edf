/** Frames: the byte stream of a link cut into whole messages by the length each one states about itself. */
import { assert } from '../lib/base/assert.ts'
import type { Refusal } from './codec.ts'
import { HEADER_SIZE, SIGNATURE } from './layout.ts'

/** Signature and length: enough to know how much belongs to a message. */
const PREFIX = 8
const SIGNATURE_WORD = Buffer.from(SIGNATURE, 'latin1').readUInt32BE(0)
const FIRST_CAPACITY = 1024
const EMPTY: Buffer = Buffer.alloc(0)

/** The largest message that makes sense: PUBLISH with a channel and a message of 512 MB each, the default
 *  proto-max-bulk-len. A ping with every possible gossip entry is 7 MB. */
export const MAX_FRAME_SIZE = HEADER_SIZE + 8 + 2 * 512 * 1024 * 1024

/** After this no message boundary of the stream is known any more. */
const BAD_STREAM: Refusal = { refused: 'Bad message length or signature received from Cluster bus.', fate: 'drop' }

/** Cuts the stream of one link. Feed a chunk, then take frames until there are none, before the next chunk.
 *
 *  A frame that lies within a chunk is a view of it; one that was split is gathered in a buffer of its own, which grows
 *  as bytes arrive and never because a length was claimed. Either way nobody writes to a frame's memory again, so
 *  messages may borrow it. Each byte is copied at most a few times, however the stream is split. */
export class FrameSplitter {
  private readonly maxSize: number
  private chunk: Buffer = EMPTY
  private position = 0
  /** The beginning of a frame whose end has not come yet; `filled` bytes of it are valid. */
  private partial: Buffer = EMPTY
  private filled = 0
  private broken = false

  constructor(maxSize: number = MAX_FRAME_SIZE) {
    this.maxSize = maxSize
  }

  /** Takes over the next chunk of the stream; the caller must not reuse its memory. */
  feed(chunk: Buffer): void {
    assert(this.position === this.chunk.length || this.broken, 'the frames of a chunk are taken before the next one')
    this.chunk = chunk
    this.position = 0
  }

  /** The next whole frame, undefined when more bytes are needed, or a refusal (now and forever) for bytes that are no
   *  bus message: the link must be dropped. */
  next(): Buffer | Refusal | undefined {
    if (this.broken) return BAD_STREAM
    return this.filled > 0 ? this.resume() : this.cut()
  }

  /** A frame that begins in this chunk. */
  private cut(): Buffer | Refusal | undefined {
    const { chunk, position } = this
    const available = chunk.length - position
    if (available >= PREFIX) {
      const length = this.lengthAt(chunk, position)
      if (length === undefined) return this.breakOff()
      if (length <= available) {
        this.position += length
        return chunk.subarray(position, this.position)
      }
    }
    this.gather(available, PREFIX)
    return undefined
  }

  /** A frame that began in an earlier chunk: first its prefix, then the rest. */
  private resume(): Buffer | Refusal | undefined {
    if (this.filled < PREFIX) this.gather(PREFIX - this.filled, PREFIX)
    if (this.filled < PREFIX) return undefined
    const length = this.lengthAt(this.partial, 0)
    if (length === undefined) return this.breakOff()
    this.gather(length - this.filled, length)
    if (this.filled < length) return undefined
    const frame = this.partial.subarray(0, length)
    this.partial = EMPTY
    this.filled = 0
    return frame
  }

  /** Moves up to `wanted` bytes from the chunk to the partial frame. Doubling keeps the copying linear; `limit` keeps the
   *  last step from overshooting the frame. */
  private gather(wanted: number, limit: number): void {
    const size = Math.min(wanted, this.chunk.length - this.position)
    const needed = this.filled + size
    if (needed > this.partial.length) {
      const capacity = Math.max(needed, Math.min(limit, Math.max(FIRST_CAPACITY, this.partial.length * 2)))
      const larger = Buffer.allocUnsafeSlow(capacity)
      this.partial.copy(larger, 0, 0, this.filled)
      this.partial = larger
    }
    this.chunk.copy(this.partial, this.filled, this.position, this.position + size)
    this.filled = needed
    this.position += size
  }

  private lengthAt(buffer: Buffer, at: number): number | undefined {
    if (buffer.readUInt32BE(at) !== SIGNATURE_WORD) return undefined
    const length = buffer.readUInt32BE(at + 4)
    return length >= HEADER_SIZE && length <= this.maxSize ? length : undefined
  }

  private breakOff(): Refusal {
    this.broken = true
    this.chunk = this.partial = EMPTY
    this.position = this.filled = 0
    return BAD_STREAM
  }
}
