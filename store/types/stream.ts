/** Streams: entries in ascending order of their ids, kept in nodes, and the groups that read them. */
import { PackedError } from './listpack.ts'
import { ByName, Consumer, Group } from './stream-groups.ts'
import { compareIds, isZero, MAX_ID, MIN_ID, plus, type StreamId, UINT64_MAX, type Uint64 } from './stream-id.ts'
import { type Direction, StreamEntry, StreamNode, type Words } from './stream-node.ts'
import { lowest } from './stream-pending.ts'
import { BUFFER, LINK, PENDING } from './weight.ts'

/** What a node may hold (stream-node-max-bytes, stream-node-max-entries); 0 = as much as fits. */
export interface NodeLimits {
  readonly maxBytes: number
  readonly maxEntries: number
}

/** What is to be trimmed: all but so many entries, or all before an id. */
export interface Trim {
  readonly keep: { readonly length: number } | { readonly from: StreamId }
  /** Whole nodes only. */
  readonly approximate: boolean
  /** No more entries than these; 0 = all. */
  readonly limit: number
}

/** A stream taken apart, as it is saved. Everything is in order: nodes and pending entries of their ids. */
export interface StreamParts {
  readonly nodes: Iterable<{ readonly id: StreamId; readonly listpack: Buffer }>
  readonly lastId: StreamId
  /** These two are unknown to the oldest form, as is `entriesRead` of groups. */
  readonly maxDeletedId?: StreamId
  readonly entriesAdded?: number
  readonly groups: Iterable<{
    readonly name: string
    readonly lastId: StreamId
    readonly entriesRead: number | undefined
    readonly pending: Iterable<{ readonly id: StreamId; readonly deliveredAt: number; readonly deliveries: number }>
    readonly consumers: Iterable<{
      readonly name: string
      readonly seenAt: number
      readonly activeAt: number | undefined
      readonly pending: Iterable<{ readonly id: StreamId }>
    }>
  }>
}

/** Bytes of a part of a large stream (see `parts`), about. */
const PART = 64 * 1024

/** The owner of nodes that was named last. */
let owners = 0

/** The most bytes a node or the elements of one entry may have. */
export const NODE_SIZE_LIMIT = 2 ** 30

export class StreamValue {
  readonly type = 'stream'
  readonly encoding = 'stream'
  #nodes: StreamNode[] = []
  #size = 0
  /** What the stream may change is marked with this: whoever shares his nodes takes another mark. */
  #owner = ++owners
  /** The id of the last entry ever added, or what XSETID said. */
  lastId = MIN_ID
  /** The id of the first entry; 0-0 when there is none. */
  firstId = MIN_ID
  /** The greatest id XDEL has removed; 0-0 when none. */
  maxDeletedId = MIN_ID
  /** Entries ever added. */
  entriesAdded = 0
  readonly groups = new ByName<Group>()

  /** A stream from its parts, whose buffers now belong to it. Throws PackedError when they do not fit together. */
  static from(parts: StreamParts): StreamValue {
    const stream = new StreamValue()
    for (const { id, listpack } of parts.nodes) {
      const before = stream.last?.id
      if (before !== undefined && compareIds(before, id) >= 0) throw new PackedError('stream node order')
      stream.#add(StreamNode.from(id, listpack))
    }
    if (compareIds(stream.last?.id ?? MIN_ID, parts.lastId) > 0) throw new PackedError('stream last id')
    stream.lastId = parts.lastId
    stream.firstId = stream.first?.id ?? MIN_ID
    stream.maxDeletedId = parts.maxDeletedId ?? MIN_ID
    stream.entriesAdded = parts.entriesAdded ?? stream.#size
    for (const group of parts.groups) addGroup(stream, group)
    return stream
  }

  /** Takes time for what the groups know. Nodes are shared, and whoever changes one first copies that one. */
  copy(): StreamValue {
    this.#owner = ++owners
    return this.#with(this.#nodes.slice(), this.groups)
  }

  /** The stream in parts of moderate size, which share its nodes: to be put together by `concat`. The first has the groups too. */
  *parts(): Generator<StreamValue> {
    let groups: Iterable<Group> = this.groups
    let nodes: StreamNode[] = []
    let bytes = 0
    for (const node of this.#nodes) {
      if (bytes > 0 && bytes + node.size > PART) {
        yield this.#with(nodes, groups)
        groups = []
        nodes = []
        bytes = 0
      }
      nodes.push(node)
      bytes += node.size
    }
    yield this.#with(nodes, groups)
  }

  /** Adds the entries of another stream, whose nodes now belong to this. Throws PackedError when they do not come after those of this. */
  concat(other: StreamValue): void {
    const last = this.last?.id
    const next = other.#nodes[0]?.id
    if (last !== undefined && next !== undefined && compareIds(last, next) >= 0)
      throw new PackedError('stream node order')
    for (const node of other.#nodes) this.#add(node)
    this.firstId = this.first?.id ?? MIN_ID
  }

  /** Adds a node that belongs to nobody else. */
  #add(node: StreamNode): void {
    node.owner = this.#owner
    this.#nodes.push(node)
    this.#size += node.live
  }

  /** The node at a place, to be changed. */
  #own(place: number): StreamNode {
    const node = this.#nodes[place]!
    if (node.owner === this.#owner) return node
    const own = node.copy()
    own.owner = this.#owner
    this.#nodes[place] = own
    return own
  }

  /** What is known of this stream, over other nodes. Its own need not be looked at as those from elsewhere are. */
  #with(nodes: StreamNode[], groups: Iterable<Group>): StreamValue {
    const { lastId, maxDeletedId, entriesAdded } = this
    const stream = StreamValue.from({ nodes: [], lastId, maxDeletedId, entriesAdded, groups })
    stream.#nodes = nodes
    for (const node of nodes) stream.#size += node.live
    stream.firstId = stream.first?.id ?? MIN_ID
    return stream
  }

  /** Bytes in memory, an estimate: nodes are weighed by three of them. */
  get weight(): number {
    const nodes = this.#nodes
    const samples = nodes.length === 0 ? [] : [nodes[0]!, nodes[nodes.length >> 1]!, nodes.at(-1)!]
    const bytes = samples.reduce((sum, node) => sum + node.size, 0) / 3
    let weight = nodes.length * (BUFFER + LINK + bytes)
    for (const { pending } of this.groups) weight += pending.size * PENDING
    return Math.ceil(weight)
  }

  /** Number of entries. */
  get size(): number {
    return this.#size
  }

  get nodeCount(): number {
    return this.#nodes.length
  }

  get first(): StreamEntry | undefined {
    return firstOf(this.range(MIN_ID, MAX_ID))
  }

  get last(): StreamEntry | undefined {
    return firstOf(this.range(MIN_ID, MAX_ID, -1))
  }

  /** The nodes; their bytes as they are until the stream changes. */
  *nodes(): Generator<{ readonly id: StreamId; readonly listpack: Buffer }> {
    for (const { id, bytes } of this.#nodes) yield { id, listpack: bytes }
  }

  /** The entry of an id. */
  get(id: StreamId): StreamEntry | undefined {
    return firstOf(this.range(id, id))
  }

  /** The entries from one id to another, both included; with -1 the last first. Do not change the stream meanwhile. */
  *range(from: StreamId, to: StreamId, direction: Direction = 1): Generator<StreamEntry> {
    const [near, far] = direction > 0 ? [from, to] : [to, from]
    const above = lowest(this.#nodes.length, (i) => compareIds(this.#nodes[i]!.id, near) > 0)
    for (let i = Math.max(0, above - 1); i >= 0 && i < this.#nodes.length; i += direction) {
      const node = this.#nodes[i]!
      for (let at = node.edge(direction); at >= 0; at = node.step(at, direction)) {
        if (node.isDeleted(at)) continue
        const id = node.idAt(at)
        if (compareIds(id, near) * direction < 0) continue
        if (compareIds(id, far) * direction > 0) return
        yield new StreamEntry(node, at, id)
      }
    }
  }

  /** The next id of the given milliseconds. Undefined when there is none. */
  idWithin(ms: Uint64): StreamId | undefined {
    if (ms !== this.lastId.ms) return ms > this.lastId.ms ? { ms, seq: 0 } : undefined
    return this.lastId.seq === UINT64_MAX ? undefined : { ms, seq: plus(this.lastId.seq, 1) }
  }

  /** Adds an entry whose id is greater than all before: fields and values in turn are `words` from `from` up to `to`. */
  append(id: StreamId, words: Words, from: number, to: number, limits: NodeLimits): void {
    const node = this.#nodes.at(-1)
    if (node !== undefined && hasRoom(node, words, from, to, limits)) {
      this.#own(this.#nodes.length - 1).append(id, words, from, to)
      this.#size++
    } else this.#add(StreamNode.begin(id, words, from, to))
    this.lastId = id
    this.entriesAdded++
    if (this.#size === 1) this.firstId = id
  }

  /** Removes an entry; false when there is none. */
  delete(id: StreamId): boolean {
    const index = lowest(this.#nodes.length, (i) => compareIds(this.#nodes[i]!.id, id) > 0) - 1
    const node = this.#nodes[index]
    const at = node === undefined ? -1 : find(node, id)
    if (at < 0) return false
    if (node!.live === 1) this.#nodes.splice(index, 1)
    else this.#own(index).delete(at)
    this.#size--
    if (compareIds(id, this.maxDeletedId) > 0) this.maxDeletedId = id
    if (compareIds(id, this.firstId) === 0) this.firstId = this.first?.id ?? MIN_ID
    return true
  }

  /** Removes the oldest entries as asked; returns how many. */
  trim({ keep, approximate, limit }: Trim): number {
    const before = this.#size
    const excess = 'length' in keep ? before - keep.length : before
    const isKept = (id: StreamId): boolean => 'from' in keep && compareIds(id, keep.from) >= 0
    let whole = 0
    let removed = 0
    for (const [place, node] of this.#nodes.entries()) {
      if (removed >= excess || (limit > 0 && removed + node.live > limit)) break
      const last = node.idAt(node.edge(-1))
      if (removed + node.live > excess || isKept(last)) {
        if (!approximate) removed += this.#own(place).trim(excess - removed, isKept)
        if (this.#nodes[place]!.live === 0) whole++
        break
      }
      removed += node.live
      whole++
    }
    if (whole > 0) this.#nodes.splice(0, whole)
    this.#size -= removed
    if (removed > 0) this.firstId = this.first?.id ?? MIN_ID
    return removed
  }

  /** Whether XDEL may have removed entries between those that are there. */
  get #mayHaveGaps(): boolean {
    return this.#size > 0 && !isZero(this.maxDeletedId) && compareIds(this.maxDeletedId, this.firstId) >= 0
  }

  #mayHaveGapsAfter(id: StreamId): boolean {
    return this.#mayHaveGaps && compareIds(id, this.maxDeletedId) <= 0
  }

  /** How many entries were ever added up to and including this id, as far as that can be told: at the ends, and from the first
   *  entry back when nothing was deleted behind it. Undefined otherwise. */
  countUpTo(id: StreamId): number | undefined {
    if (this.entriesAdded === 0) return 0
    const toLast = compareIds(id, this.lastId)
    if (this.#size === 0 && toLast < 0) return this.entriesAdded
    if (toLast >= 0) return toLast === 0 ? this.entriesAdded : undefined
    if (this.#mayHaveGaps) return undefined
    const toFirst = compareIds(id, this.firstId)
    if (toFirst > 0) return undefined
    return this.entriesAdded - this.#size + (toFirst === 0 ? 1 : 0)
  }

  /** How many entries a group has not read yet; undefined when that cannot be told. */
  lag(group: Group): number | undefined {
    if (this.entriesAdded === 0) return 0
    const known = group.entriesRead !== undefined && !this.#mayHaveGapsAfter(group.lastId)
    const read = known ? group.entriesRead : this.countUpTo(group.lastId)
    return read === undefined ? undefined : this.entriesAdded - read
  }

  /** Takes note that a group has read as far as this entry. */
  advance(group: Group, id: StreamId): void {
    if (group.entriesRead !== undefined && !this.#mayHaveGapsAfter(id)) group.entriesRead++
    else if (this.entriesAdded > 0) group.entriesRead = this.countUpTo(id)
    group.lastId = id
  }
}

type GroupParts = StreamParts['groups'] extends Iterable<infer G> ? G : never

function addGroup(stream: StreamValue, parts: GroupParts): void {
  if (stream.groups.get(parts.name) !== undefined) throw new PackedError('stream group twice')
  const group = stream.groups.add(new Group(parts.name, parts.lastId, parts.entriesRead))
  let claimed = 0
  for (const { name, seenAt, activeAt, pending } of parts.consumers) {
    if (group.consumers.get(name) !== undefined) throw new PackedError('stream consumer twice')
    const consumer = group.consumers.add(new Consumer(name, seenAt, activeAt))
    for (const { id } of pending) {
      group.claim(id, consumer)
      claimed++
    }
  }
  let delivered = 0
  for (const { id, deliveredAt, deliveries } of parts.pending) {
    const pending = group.pending.get(id)
    if (pending === undefined) throw new PackedError('stream entry pending for nobody')
    pending.deliveredAt = deliveredAt
    pending.deliveries = deliveries
    delivered++
  }
  const { size } = group.pending
  if (claimed !== size || delivered !== size) throw new PackedError('stream pending entries')
}

const firstOf = (entries: Generator<StreamEntry>): StreamEntry | undefined =>
  entries.next().value as StreamEntry | undefined

/** Offset of the live entry of an id in its node; -1 when there is none. */
function find(node: StreamNode, id: StreamId): number {
  for (let at = node.edge(1); at >= 0; at = node.step(at, 1))
    if (!node.isDeleted(at) && compareIds(node.idAt(at), id) === 0) return at
  return -1
}

/** Whether a node may take an entry more. Only what a client sent counts for the size of that. */
function hasRoom(node: StreamNode, words: Words, from: number, to: number, limits: NodeLimits): boolean {
  const { maxBytes, maxEntries } = limits
  let size = node.size
  for (let i = from; i < to; i++) size += words.ends[i]! - words.starts[i]!
  const most = maxBytes === 0 ? NODE_SIZE_LIMIT : Math.min(maxBytes, NODE_SIZE_LIMIT)
  return size < most && (maxEntries === 0 || node.total < maxEntries)
}
