/** Arbitrary bus messages, and the captured frames to compare them with. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { MESSAGE_FLAGS, SLOT_BYTES } from '../../bus/layout.ts'
import type { Body, Extension, GossipEntry, Header, Message, PingBody } from '../../bus/message.ts'
import { writeSection } from '../../bus/section.ts'
import { epoch, nodeId, offset, shardId } from '../../lib/base/brand.ts'

const VECTORS = 'test/fixtures/vectors'

/** The bytes of a captured frame; specs run in the package's root. */
export function vector(file: string): Buffer {
  return Buffer.from(readFileSync(join(VECTORS, file), 'latin1').replace(/\s/g, ''), 'hex')
}

/** One gossip entry as the index of captured frames names its fields. */
export interface VectorGossip {
  readonly name: string
  readonly ping_sent: number
  readonly pong_received: number
  readonly ip: string
  readonly port: number
  readonly cport: number
  readonly flags: number
  readonly pport: number
}

/** A captured frame, field by field, as a program of its own decoded it. */
export interface Vector {
  readonly name: string
  readonly file: string
  readonly decoded: {
    readonly type: number
    readonly sender: string
    readonly slaveof: string
    readonly currentEpoch: number
    readonly configEpoch: number
    readonly offset: number
    readonly slots: readonly (readonly [number, number])[]
    readonly myip: string
    readonly port: number
    readonly pport: number
    readonly cport: number
    readonly flags: number
    readonly state: number
    readonly mflags: readonly number[]
    readonly gossip?: readonly VectorGossip[]
    readonly ext?: readonly { readonly type: number; readonly length: number; readonly data: string }[]
    readonly about?: string
    readonly u_epoch?: number
    readonly u_name?: string
    readonly u_slots?: readonly (readonly [number, number])[]
    readonly channel?: string
    readonly message?: string
  }
}

/** The index of all captured bus frames. */
export function vectors(): readonly Vector[] {
  return JSON.parse(readFileSync(join(VECTORS, 'bus-vectors.json'), 'utf8')) as readonly Vector[]
}

/** A slot bitmap of inclusive ranges. */
export function bitmap(ranges: Iterable<readonly [number, number]>): Buffer {
  const bytes = Buffer.alloc(SLOT_BYTES)
  for (const [first, last] of ranges) for (let s = first; s <= last; s++) bytes[s >> 3]! |= 1 << (s & 7)
  return bytes
}

/** Records as plain objects, as the code under test makes them. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true })
}

const u16 = fc.nat(0xffff)
const u32 = fc.nat(0xffffffff)
const u64 = fc.oneof(fc.nat(1000), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER))
const id = fc.string({ unit: fc.constantFrom(...'0123456789abcdefxyz'), minLength: 40, maxLength: 40 }).map(nodeId)
const ip = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('', 'a-name-of-exactly-forty-five-characters.local'))
const text = fc.string({ unit: fc.constantFrom(...'abcXYZ09-._ '), maxLength: 255 })
const bytes = fc.uint8Array({ maxLength: 200 }).map((b) => Buffer.from(b))
const slots = fc
  .array(
    fc.nat(16383).map((s) => [s, Math.min(16383, s + 100)] as const),
    { maxLength: 5 },
  )
  .map(bitmap)

export const gossipEntry: fc.Arbitrary<GossipEntry> = record({
  id,
  pingSentSec: u32,
  pongReceivedSec: u32,
  ip,
  port: u16,
  busPort: u16,
  flags: u16,
  otherPort: u16,
})

const textExtension = fc.constantFrom('hostname', 'human-nodename')
const address = (some: fc.Arbitrary<string>): fc.Arbitrary<string> => fc.oneof(fc.constant(''), some)

export const extension: fc.Arbitrary<Extension> = fc.oneof(
  record({ type: textExtension, text }),
  record({ type: fc.constant('client-ipv4'), text: address(fc.ipV4()) }),
  record({ type: fc.constant('client-ipv6'), text: address(fc.ipV6()) }),
  record({ type: fc.constant('forgotten-node'), id, ttlSec: u64 }),
  record({ type: fc.constant('shard-id'), id: id.map(shardId) }),
  record({
    type: fc.constant('unknown'),
    code: fc.integer({ min: 6, max: 0xffff }),
    data: bytes.map((b) => b.subarray(0, b.length - (b.length % 8))),
  }),
)

const header: fc.Arbitrary<Header> = record({
  sender: id,
  replicaOf: fc.option(id, { nil: undefined }),
  currentEpoch: u64.map(epoch),
  configEpoch: u64.map(epoch),
  offset: u64.map(offset),
  slots,
  ip,
  port: u16,
  otherPort: u16,
  busPort: u16,
  flags: u16,
  state: fc.constantFrom('ok', 'fail'),
  messageFlags: fc.nat(0xff),
})

export const pingBody: fc.Arbitrary<PingBody> = record({
  type: fc.constantFrom('ping', 'pong', 'meet'),
  gossip: fc.array(gossipEntry, { maxLength: 20 }).map(writeSection),
  extensions: fc.array(extension, { maxLength: 8 }),
})

const body: fc.Arbitrary<Body> = fc.oneof(
  { weight: 4, arbitrary: pingBody },
  record({ type: fc.constant('fail'), node: id }),
  record({ type: fc.constantFrom('publish', 'publishshard'), channel: bytes, message: bytes }),
  record({ type: fc.constantFrom('auth-req', 'auth-ack', 'mfstart') }),
  record({ type: fc.constant('update'), configEpoch: u64.map(epoch), node: id, slots }),
  record({
    type: fc.constant('module'),
    module: fc.uint8Array({ minLength: 8, maxLength: 8 }).map((b) => Buffer.from(b)),
    kind: fc.nat(0xff),
    data: bytes,
  }),
)

/** Any message a node could send. One with extensions has the flag for them, as the codec would add it. */
export const message: fc.Arbitrary<Message> = record({ header, body }).map(({ header, body }) => {
  const extended = 'extensions' in body && body.extensions.length > 0
  const messageFlags = extended ? header.messageFlags | MESSAGE_FLAGS.extData : header.messageFlags
  return { header: { ...header, messageFlags }, body }
})
