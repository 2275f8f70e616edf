/** A snapshot on its way in: either its length comes first, or it is ended by 40 bytes that were announced. Its keys go into a new data set,
 *  which takes the place of the old one only when all of it has come. */
import { type RdbItem, type RdbKey, RdbReader } from '../../store/rdb/reader.ts'
import { RdbError } from '../../store/rdb/source.ts'
import type { Limits } from '../../store/rdb/types.ts'

/** A data set being filled. One that is never committed is simply forgotten. */
export interface Loading {
  /** Throws RdbError for a key that came before or has no place. The key's buffer is borrowed. */
  put(key: RdbKey): void
  /** The source of a function library, borrowed. */
  library(source: Buffer): void
  /** Puts it in the place of the old one. */
  commit(): void
}

const MARK_LENGTH = 40
/** A chatty primary may send any number of bare newlines, but no long line. */
const MAX_LINE = 256

type Form = { readonly type: 'length'; readonly total: number } | { readonly type: 'mark'; readonly mark: Buffer }

export class Transfer {
  /** Bytes of the snapshot so far. */
  received = 0
  /** The database the stream behind the snapshot begins in. */
  db = 0
  keys = 0
  readonly #loading: Loading
  readonly #reader: RdbReader
  #form: Form | undefined
  /** Bytes of an unfinished header line, or of the mark. */
  #partial: Buffer = Buffer.alloc(0)

  /** `limits`: how far collections stay packed. */
  constructor(loading: Loading, limits: Limits) {
    this.#loading = loading
    this.#reader = new RdbReader(limits)
  }

  /** Bytes of the whole snapshot, 0 when that is not known. */
  get total(): number {
    return this.#form?.type === 'length' ? this.#form.total : 0
  }

  /** Takes bytes; once the snapshot is whole gives those behind it. Throws RdbError. */
  take(bytes: Buffer): Buffer | undefined {
    let rest: Buffer | undefined = bytes
    while (this.#form === undefined) {
      rest = this.#header(rest)
      if (rest === undefined) return undefined
    }
    return this.#form.type === 'length' ? this.#sized(rest, this.#form.total) : this.#marked(rest, this.#form.mark)
  }

  /** The data set is whole: it takes the place of the old one. */
  commit(): void {
    this.#loading.commit()
  }

  /** One header line; undefined while it is incomplete, else the bytes behind it. */
  #header(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf(0x0a)
    const line = Buffer.concat([this.#partial, end < 0 ? bytes : bytes.subarray(0, end)])
    if (line.length > MAX_LINE) throw new RdbError('no snapshot where one was announced')
    this.#partial = end < 0 ? line : Buffer.alloc(0)
    if (end < 0) return undefined
    const text = line.toString('latin1').trimEnd()
    if (text !== '') this.#form = formOf(text)
    return bytes.subarray(end + 1)
  }

  #sized(bytes: Buffer, total: number): Buffer | undefined {
    const ours = bytes.subarray(0, total - this.received)
    this.#feed(ours)
    if (this.received < total && !this.#reader.done) return undefined
    if (this.received < total || !this.#reader.done || this.#reader.rest().length > 0)
      throw new RdbError(`snapshot does not have the ${total} bytes announced`)
    return bytes.subarray(ours.length)
  }

  #marked(bytes: Buffer, mark: Buffer): Buffer | undefined {
    let behind = bytes
    if (!this.#reader.done) {
      this.#feed(bytes)
      if (!this.#reader.done) return undefined
      behind = this.#reader.rest()
    }
    const tail = Buffer.concat([this.#partial, behind])
    if (tail.length < MARK_LENGTH) {
      this.#partial = tail
      return undefined
    }
    if (!tail.subarray(0, MARK_LENGTH).equals(mark)) throw new RdbError('snapshot does not end with its mark')
    return tail.subarray(MARK_LENGTH)
  }

  #feed(bytes: Buffer): void {
    this.received += bytes.length
    for (const item of this.#reader.feed(bytes)) this.#item(item)
  }

  #item(item: RdbItem): void {
    if (item.type === 'key') {
      this.#loading.put(item)
      this.keys++
    } else if (item.type === 'library') this.#loading.library(item.source)
    else if (item.type === 'aux' && item.name === 'repl-stream-db') this.db = Math.max(0, Number(item.value) || 0)
  }
}

function formOf(header: string): Form {
  const [, mark, length] = /^\$(?:EOF:(.{40})|(\d{1,15}))$/.exec(header) ?? []
  if (mark !== undefined) return { type: 'mark', mark: Buffer.from(mark, 'latin1') }
  if (length !== undefined) return { type: 'length', total: Number(length) }
  throw new RdbError(`no snapshot but ${JSON.stringify(header)}`)
}
