/** A node of a stream: up to so many entries in one listpack, byte for byte as Redis lays it out (reference section 12). A
 *  master entry names the fields of the first one; entries with the same fields store values only. Ids are differences to
 *  the node's own. What is deleted is marked, until the node has no live entry left. */
import { type BulkSink, Listpack, PackedError } from './listpack.ts'
import { compareIds, minus, plus, type StreamId } from './stream-id.ts'

/** Byte strings as ranges of one buffer: a request's arguments are such. */
export interface Words {
  readonly buffer: Uint8Array
  readonly starts: ArrayLike<number>
  readonly ends: ArrayLike<number>
}

/** 1 = towards the end. */
export type Direction = 1 | -1

const DELETED = 1
const SAME_FIELDS = 2
/** Elements before the names of the master entry's fields: live entries, deleted ones, number of fields. */
const MASTER_HEAD = 3
/** Elements before the values or the number of fields: flags, two differences. */
const ENTRY_HEAD = 3

/** Entries are named by the offset of their flags, which holds until the node changes. -1 is no entry. */
export class StreamNode {
  /** What ids are relative to: the first entry's. */
  readonly id: StreamId
  readonly #pack: Listpack
  /** Number of fields of the master entry. */
  readonly #fields: number
  #live: number
  #deleted: number
  /** Who may change it, where several have it (see StreamValue). */
  owner = 0

  private constructor(id: StreamId, pack: Listpack, fields: number, live: number, deleted: number) {
    this.id = id
    this.#pack = pack
    this.#fields = fields
    this.#live = live
    this.#deleted = deleted
  }

  /** A node of one entry: fields and values in turn are `words` from `from` up to `to`. */
  static begin(id: StreamId, words: Words, from: number, to: number): StreamNode {
    const pack = Listpack.empty()
    const fields = (to - from) / 2
    for (const head of [0, 0, fields]) appendInteger(pack, head)
    for (let i = from; i < to; i += 2) pack.append(words.buffer, words.starts[i], words.ends[i])
    appendInteger(pack, 0)
    const node = new StreamNode(id, pack, fields, 0, 0)
    node.append(id, words, from, to)
    return node
  }

  copy(): StreamNode {
    return new StreamNode(this.id, this.#pack.copy(), this.#fields, this.#live, this.#deleted)
  }

  /** A node made elsewhere; the bytes now belong to it. Throws PackedError unless all is as it must be. */
  static from(id: StreamId, bytes: Buffer): StreamNode {
    const pack = Listpack.from(bytes)
    const [live, deleted, fields] = [0, 1, 2].map((i) => checkedInteger(pack, pack.seek(i))) as [number, number, number]
    const end = pack.seek(MASTER_HEAD + fields)
    if (live < 1 || checkedInteger(pack, end) !== 0) throw new PackedError('stream master entry')
    const node = new StreamNode(id, pack, fields, live, deleted)
    node.#check()
    return node
  }

  /** The listpack's bytes, as they are until the node changes. */
  get bytes(): Buffer {
    return this.#pack.bytes
  }

  /** Length of `bytes`. */
  get size(): number {
    return this.#pack.size
  }

  /** Number of live entries. */
  get live(): number {
    return this.#live
  }

  /** Number of entries, deleted ones included. */
  get total(): number {
    return this.#live + this.#deleted
  }

  append(id: StreamId, words: Words, from: number, to: number): void {
    const pack = this.#pack
    const same = this.#hasFields(words, from, to)
    const before = pack.count
    appendInteger(pack, same ? SAME_FIELDS : 0)
    appendInteger(pack, minus(id.ms, this.id.ms))
    appendInteger(pack, minus(id.seq, this.id.seq))
    if (!same) appendInteger(pack, (to - from) / 2)
    for (let i = same ? from + 1 : from; i < to; i += same ? 2 : 1)
      pack.append(words.buffer, words.starts[i], words.ends[i])
    appendInteger(pack, pack.count - before)
    this.#recount(1, 0)
  }

  delete(at: number): void {
    this.#mark(at)
    this.#recount(-1, 1)
  }

  /** Deletes its first live entries, at most so many and none that is to be kept; returns how many. */
  trim(most: number, isKept: (id: StreamId) => boolean): number {
    let trimmed = 0
    for (let at = this.edge(1); at >= 0 && trimmed < most; at = this.step(at, 1)) {
      if (this.isDeleted(at)) continue
      if (isKept(this.idAt(at))) break
      this.#mark(at)
      trimmed++
    }
    this.#recount(-trimmed, trimmed)
    return trimmed
  }

  /** The first or last entry. */
  edge(direction: Direction): number {
    if (direction < 0) return this.#entryEndingAt(this.#pack.last())
    return this.#skip(this.#pack.first(), MASTER_HEAD + this.#fields + 1)
  }

  /** The next entry, or the one before. */
  step(at: number, direction: Direction): number {
    if (direction < 0) return this.#entryEndingAt(this.#pack.prev(at))
    return this.#skip(this.#valuesAt(at), this.#isSame(at) ? this.#fields + 1 : 2 * this.fieldCount(at) + 1)
  }

  isDeleted(at: number): boolean {
    return (this.#flags(at) & DELETED) !== 0
  }

  idAt(at: number): StreamId {
    const ms = this.#pack.next(at)
    return {
      ms: plus(this.id.ms, this.#pack.integer(ms)!),
      seq: plus(this.id.seq, this.#pack.integer(this.#pack.next(ms))!),
    }
  }

  /** How many fields an entry has. */
  fieldCount(at: number): number {
    return this.#isSame(at) ? this.#fields : this.#number(this.#skip(at, ENTRY_HEAD))
  }

  /** Writes an entry's fields and values in turn. */
  putFields(at: number, out: BulkSink): void {
    const pack = this.#pack
    const same = this.#isSame(at)
    let field = this.#skip(pack.first(), MASTER_HEAD)
    let value = this.#valuesAt(at)
    for (let left = this.fieldCount(at); left > 0; left--) {
      pack.put(same ? field : value, out)
      if (same) field = pack.next(field)
      else value = pack.next(value)
      pack.put(value, out)
      value = pack.next(value)
    }
  }

  /** Where an entry's values begin, or its pairs when it names its own fields. */
  #valuesAt(at: number): number {
    return this.#skip(at, this.#isSame(at) ? ENTRY_HEAD : ENTRY_HEAD + 1)
  }

  #flags(at: number): number {
    return this.#number(at)
  }

  /** Flags take one byte whatever they are: nothing moves. */
  #mark(at: number): void {
    replaceInteger(this.#pack, at, this.#flags(at) | DELETED)
  }

  #isSame(at: number): boolean {
    return (this.#flags(at) & SAME_FIELDS) !== 0
  }

  /** The entry whose last element this is: that tells how many are before it. The master entry's last is 0. */
  #entryEndingAt(end: number): number {
    let at = end
    const elements = this.#number(end)
    if (elements === 0) return -1
    for (let i = 0; i < elements; i++) at = this.#pack.prev(at)
    return at
  }

  #skip(at: number, elements: number): number {
    let there = at
    for (let i = 0; i < elements && there >= 0; i++) there = this.#pack.next(there)
    return there
  }

  #number(at: number): number {
    return Number(this.#pack.integer(at))
  }

  /** Whether these are the fields of the master entry. */
  #hasFields(words: Words, from: number, to: number): boolean {
    if (to - from !== 2 * this.#fields) return false
    let field = this.#skip(this.#pack.first(), MASTER_HEAD)
    for (let i = from; i < to; i += 2) {
      if (!this.#pack.equals(field, words.buffer, words.starts[i], words.ends[i])) return false
      field = this.#pack.next(field)
    }
    return true
  }

  #recount(live: number, deleted: number): void {
    this.#live += live
    this.#deleted += deleted
    const first = this.#pack.first()
    replaceInteger(this.#pack, first, this.#live)
    if (deleted !== 0) replaceInteger(this.#pack, this.#pack.next(first), this.#deleted)
  }

  /** Walks over all entries: each has to end where it says, and the ids of the live ones to ascend. */
  #check(): void {
    let [live, deleted] = [0, 0]
    let last: StreamId | undefined
    for (let at = this.edge(1); at >= 0; at = this.step(at, 1)) {
      this.#checkEntry(at)
      if (this.isDeleted(at)) deleted++
      else {
        const id = this.idAt(at)
        const isInOrder = last === undefined ? compareIds(this.id, id) <= 0 : compareIds(last, id) < 0
        if (!isInOrder) throw new PackedError('stream entry order')
        last = id
        live++
      }
    }
    if (live !== this.#live || deleted !== this.#deleted) throw new PackedError('stream entry count')
  }

  #checkEntry(at: number): void {
    for (let i = 0; i < ENTRY_HEAD; i++)
      if (this.#pack.integer(this.#skip(at, i)) === undefined) throw new PackedError('stream entry')
    const fields = this.#isSame(at) ? this.#fields : checkedInteger(this.#pack, this.#skip(at, ENTRY_HEAD))
    const elements = this.#isSame(at) ? ENTRY_HEAD + fields : ENTRY_HEAD + 1 + 2 * fields
    if (checkedInteger(this.#pack, this.#skip(at, elements)) !== elements) throw new PackedError('stream entry length')
  }
}

/** A live entry: valid until its stream changes. */
export class StreamEntry {
  readonly id: StreamId
  readonly #node: StreamNode
  readonly #at: number

  constructor(node: StreamNode, at: number, id: StreamId) {
    this.id = id
    this.#node = node
    this.#at = at
  }

  /** Number of fields. */
  get size(): number {
    return this.#node.fieldCount(this.#at)
  }

  /** Writes fields and values in turn. */
  put(out: BulkSink): void {
    this.#node.putFields(this.#at, out)
  }
}

const digits = Buffer.alloc(24)

function appendInteger(pack: Listpack, value: number | bigint): void {
  pack.append(digits, 0, digits.latin1Write(String(value)))
}

function replaceInteger(pack: Listpack, at: number, value: number): void {
  pack.replace(at, digits, 0, digits.latin1Write(String(value)))
}

/** A count in a listpack from elsewhere. */
function checkedInteger(pack: Listpack, at: number): number {
  const value = at < 0 ? undefined : pack.integer(at)
  if (typeof value !== 'number' || value < 0) throw new PackedError('stream count')
  return value
}
