/** Streams in RDB data (reference section 12): nodes as they are, then what is known of the whole, then the groups that read it.
 *  Three forms differ in a few facts more. */
import { own } from '../../lib/base/bytes.ts'
import { StreamValue } from '../types/stream.ts'
import { ID_SIZE, readId, type StreamId, UINT64_MAX, writeId } from '../types/stream-id.ts'
import type { Sink } from './sink.ts'
import { type Decoding, RdbError, type Source } from './source.ts'
import { eachInSteps, type Writing } from './writing.ts'

/** 1: Redis 5 and 6. 2: Redis 7.0, more counters. 3: Redis 7.2, when a consumer was last active. */
type Form = 1 | 2 | 3

interface Node {
  readonly id: StreamId
  readonly listpack: Buffer
}

/** Reads the body of a stream, or adds the entries in it to `whole`. Throws RdbError and PackedError. */
export function* readStream(from: Source, form: Form, whole?: StreamValue): Decoding<StreamValue> {
  const nodes = yield* readNodes(from)
  const size = yield* from.length()
  const lastId = yield* readIdPair(from)
  const counters = form === 1 ? {} : yield* readCounters(from)
  const groups: Group[] = []
  for (let left = yield* from.length(); left > 0; left--) groups.push(yield* readGroup(from, form))
  const stream = StreamValue.from({ nodes, lastId, ...counters, groups })
  // What form 1 does not say is worked out as far as it can be.
  if (form === 1) for (const group of stream.groups) group.entriesRead = stream.countUpTo(group.lastId)
  if (stream.size !== size) throw new RdbError(`stream of ${stream.size} entries that claims ${size}`)
  whole?.concat(stream)
  return whole ?? stream
}

function* readNodes(from: Source): Decoding<Node[]> {
  const nodes: Node[] = []
  for (let left = yield* from.length(); left > 0; left--) {
    const id = yield* from.string()
    if (id.length !== ID_SIZE) throw new RdbError('stream node id')
    nodes.push({ id: readId(id), listpack: own(yield* from.string()) })
  }
  return nodes
}

interface Counters {
  readonly maxDeletedId: StreamId
  readonly entriesAdded: number
}

function* readCounters(from: Source): Decoding<Counters> {
  // The first id: the nodes tell it.
  yield* readIdPair(from)
  const maxDeletedId = yield* readIdPair(from)
  return { maxDeletedId, entriesAdded: clamp(yield* from.uint64()) }
}

interface Group {
  readonly name: string
  readonly lastId: StreamId
  readonly entriesRead: number | undefined
  readonly pending: readonly Delivery[]
  readonly consumers: readonly Consumer[]
}

interface Delivery {
  readonly id: StreamId
  readonly deliveredAt: number
  readonly deliveries: number
}

interface Consumer {
  readonly name: string
  readonly seenAt: number
  readonly activeAt: number | undefined
  readonly pending: readonly { readonly id: StreamId }[]
}

function* readGroup(from: Source, form: Form): Decoding<Group> {
  const name = (yield* from.string()).latin1Slice()
  const lastId = yield* readIdPair(from)
  const read = form === 1 ? UNKNOWN : yield* from.uint64()
  const pending: Delivery[] = []
  for (let left = yield* from.length(); left > 0; left--) {
    const id = readId(yield* from.bytes(ID_SIZE))
    pending.push({ id, deliveredAt: yield* from.i64(), deliveries: yield* from.length() })
  }
  const consumers: Consumer[] = []
  for (let left = yield* from.length(); left > 0; left--) consumers.push(yield* readConsumer(from, form))
  return { name, lastId, entriesRead: read === UNKNOWN ? undefined : clamp(read), pending, consumers }
}

/** entries_read of a group of which that is not known: -1. */
const UNKNOWN = UINT64_MAX

/** Nobody adds so many entries: counters beyond are what XSETID was told. */
const clamp = (count: number | bigint): number => Math.min(Number(count), Number.MAX_SAFE_INTEGER)

function* readConsumer(from: Source, form: Form): Decoding<Consumer> {
  const name = (yield* from.string()).latin1Slice()
  const seenAt = yield* from.i64()
  // Who was heard of was probably given something, as far as older forms, and the one we write, can tell.
  const activeAt = form === 3 ? yield* from.i64() : seenAt
  const pending: { id: StreamId }[] = []
  for (let left = yield* from.length(); left > 0; left--) pending.push({ id: readId(yield* from.bytes(ID_SIZE)) })
  return { name, seenAt, activeAt: activeAt < 0 ? undefined : activeAt, pending }
}

function* readIdPair(from: Source): Decoding<StreamId> {
  const ms = yield* from.uint64()
  return { ms, seq: yield* from.uint64() }
}

/** Writes the nodes of a stream, one a step. */
export function* writeNodes(out: Sink, stream: StreamValue): Writing {
  for (const { id, listpack } of stream.nodes()) {
    out.string(idBytes(id))
    out.stringCopy(listpack)
    yield
  }
}

/** Writes what stands behind the nodes, in form 2. */
export function* writeKnown(out: Sink, stream: StreamValue): Writing {
  out.length(stream.size)
  for (const id of [stream.lastId, stream.firstId, stream.maxDeletedId]) writeIdPair(out, id)
  out.length(stream.entriesAdded)
  out.length(stream.groups.size)
  for (const { name, lastId, entriesRead, pending, consumers } of stream.groups) {
    out.string(Buffer.from(name, 'latin1'))
    writeIdPair(out, lastId)
    out.length(entriesRead ?? UNKNOWN)
    out.length(pending.size)
    yield* eachInSteps(pending, ({ id, deliveredAt, deliveries }) => {
      out.bytes(idBytes(id))
      out.i64(deliveredAt)
      out.length(deliveries)
    })
    out.length(consumers.size)
    for (const consumer of consumers) {
      out.string(Buffer.from(consumer.name, 'latin1'))
      out.i64(consumer.seenAt)
      out.length(consumer.pending.size)
      yield* eachInSteps(consumer.pending, ({ id }) => out.bytes(idBytes(id)))
    }
  }
}

function writeIdPair(out: Sink, { ms, seq }: StreamId): void {
  out.length(ms)
  out.length(seq)
}

function idBytes(id: StreamId): Buffer {
  const bytes = Buffer.allocUnsafe(ID_SIZE)
  writeId(id, bytes)
  return bytes
}
