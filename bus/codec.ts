/** The bus protocol, byte for byte: a 2256-byte header that speaks of the sender, then a body by message type.
 *  Source: cluster bus of redis-server 7.0.15; 7.2 and Valkey 8 differ in extensions only. */
import { assert } from '../lib/base/assert.ts'
import { Malformed, Reader, Writer } from './cursor.ts'
import { extensionSize, readExtension, writeExtension } from './extensions.ts'
import {
  GOSSIP_ENTRY_SIZE,
  HEADER_SIZE,
  IP_SIZE,
  LIGHT_MESSAGE,
  MESSAGE_FLAGS,
  PROTOCOL_VERSION,
  SIGNATURE,
  SLOT_BYTES,
} from './layout.ts'
import {
  type Body,
  type BodyType,
  type Extension,
  type GossipSection,
  type Header,
  MESSAGE_NAMES,
  type Message,
  type PingBody,
  type PingType,
  type PublishBody,
} from './message.ts'
import { countEntries, isSound, NO_MENTIONS } from './section.ts'

/** Why a frame is not a message: the line for the log, and what the link deserves. `ignore` is not worth a line (another
 *  protocol version), `log` is, and `drop` means that nothing after this frame can be trusted either. */
export interface Refusal {
  readonly refused: string
  readonly fate: 'ignore' | 'log' | 'drop'
}

type BodyOf<T extends BodyType> = Body & { readonly type: T }

/** A row: code (the index in MESSAGE_NAMES), size in bytes, and the body's fields in wire order, written and read. */
interface BodyCodec<B> {
  readonly code: number
  size(body: B): number
  write(out: Writer, body: B): void
  read(from: Reader, counts: Counts): B
}

/** How many gossip entries and extensions the header announces. */
interface Counts {
  readonly gossip: number
  readonly extensions: number
}

const TABLE: { readonly [T in BodyType]: BodyCodec<BodyOf<T>> } = {
  ping: pingRow(0, 'ping'),
  pong: pingRow(1, 'pong'),
  meet: pingRow(2, 'meet'),
  // id 40
  fail: {
    code: 3,
    size: () => 40,
    write: (out, body) => out.id(body.node),
    read: (from) => ({ type: 'fail', node: from.id() }),
  },
  publish: publishRow(4, 'publish'),
  'auth-req': emptyRow(5, { type: 'auth-req' }),
  'auth-ack': emptyRow(6, { type: 'auth-ack' }),
  // config epoch u64, owner id 40, slot bitmap 2048
  update: {
    code: 7,
    size: () => 8 + 40 + SLOT_BYTES,
    write(out, body) {
      out.u64(body.configEpoch)
      out.id(body.node)
      out.bytes(body.slots)
    },
    read: (from) => ({ type: 'update', configEpoch: from.epoch(), node: from.id(), slots: from.bytes(SLOT_BYTES) }),
  },
  mfstart: emptyRow(8, { type: 'mfstart' }),
  // module id 8 (opaque), length u32, kind u8, data
  module: {
    code: 9,
    size: (body) => 8 + 4 + 1 + body.data.length,
    write(out, body) {
      out.bytes(body.module)
      out.u32(body.data.length)
      out.u8(body.kind)
      out.bytes(body.data)
    },
    read(from) {
      const module = from.bytes(8)
      const length = from.u32()
      return { type: 'module', module, kind: from.u8(), data: from.bytes(length) }
    },
  },
  publishshard: publishRow(10, 'publishshard'),
}

/** The frame of a message. Throws for what does not fit its field: that is a bug here, not bad input. */
export function encode(message: Message): Buffer {
  const row: BodyCodec<Body> = TABLE[message.body.type]
  const out = new Writer(HEADER_SIZE + row.size(message.body))
  writeHeader(out, message, row.code)
  row.write(out, message.body)
  assert(out.left === 0, `${message.body.type} fills its frame, ${out.left} bytes left`)
  return out.buffer
}

/** The message in a whole frame, or why it is none. Never throws, whatever the bytes are. Byte fields (slots, published
 *  bytes, unknown extensions) borrow the frame, which its owner must not write to again; `own()` what has to stay. */
export function decode(frame: Buffer): Message | Refusal {
  const refusal = refuse(frame)
  if (refusal !== undefined) return refusal
  const name = MESSAGE_NAMES[codeOf(frame)]!
  try {
    const from = new Reader(frame)
    const { header, counts } = readHeader(from)
    const body = TABLE[name].read(from, counts)
    if (from.left === 0) return { header, body }
    return lengthRefusal(name, frame.length, frame.length - from.left)
  } catch (error) {
    if (!(error instanceof Malformed)) throw error
    return { refused: `Received invalid ${name} packet ${error.message}`, fate: 'log' }
  }
}

/** True for what `decode` returns when the frame is no message. */
export function isRefusal(decoded: Message | Refusal): decoded is Refusal {
  return 'refused' in decoded
}

/** The name under which CLUSTER INFO counts a raw frame. Frames count even when their content is refused. */
export function messageName(frame: Buffer): BodyType | 'unknown' {
  return frame.length < SHORTEST ? 'unknown' : (MESSAGE_NAMES[codeOf(frame)] ?? 'unknown')
}

/** Enough for signature, length, version and type: the part that light messages share. */
const SHORTEST = 16
const LIGHT_CODES = [TABLE.publish.code | LIGHT_MESSAGE, TABLE.publishshard.code | LIGHT_MESSAGE]

const codeOf = (frame: Buffer): number => frame.readUInt16BE(12)

/** What can be said before the fields are read, in the order a server looks: the version comes first, because in another
 *  one nothing else has a known meaning. */
function refuse(frame: Buffer): Refusal | undefined {
  if (frame.length < SHORTEST) return { refused: `Received a packet of ${frame.length} bytes`, fate: 'drop' }
  const code = codeOf(frame)
  const version = frame.readUInt16BE(8)
  if (version !== PROTOCOL_VERSION) return { refused: `Received protocol version ${version}`, fate: 'ignore' }
  if (LIGHT_CODES.includes(code)) {
    return { refused: `Received a light message of type ${code}, which this node does not ask for`, fate: 'drop' }
  }
  const name = MESSAGE_NAMES[code]
  if (name === undefined) return { refused: `Received unknown packet type: ${code}`, fate: 'log' }
  const length = frame.readUInt32BE(4)
  if (length !== frame.length) return lengthRefusal(name, length, frame.length)
  return undefined
}

/** Redis's own words, so that what greps for them keeps working. */
function lengthRefusal(name: BodyType, length: number, expected: number): Refusal {
  return { refused: `Received invalid ${name} packet of length ${length} but expected length ${expected}`, fate: 'log' }
}

const SIGNATURE_BYTES = Buffer.from(SIGNATURE, 'latin1')
/** The two bytes of message flags after the first, and the 30 that no version uses. */
const SPARE_FLAGS = 2
const SPARE = 30

function writeHeader(out: Writer, { header, body }: Message, code: number): void {
  const gossip = 'gossip' in body ? countEntries(body.gossip) : 0
  const extensions = 'extensions' in body ? body.extensions.length : 0
  out.bytes(SIGNATURE_BYTES)
  out.u32(out.buffer.length)
  out.u16(PROTOCOL_VERSION)
  out.u16(header.port)
  out.u16(code)
  out.u16(gossip)
  out.u64(header.currentEpoch)
  out.u64(header.configEpoch)
  out.u64(header.offset)
  out.id(header.sender)
  out.bytes(header.slots)
  out.id(header.replicaOf)
  out.text(header.ip, IP_SIZE)
  out.u16(extensions)
  out.skip(SPARE)
  out.u16(header.otherPort)
  out.u16(header.busPort)
  out.u16(header.flags)
  out.u8(header.state === 'ok' ? 0 : 1)
  out.u8(extensions > 0 ? header.messageFlags | MESSAGE_FLAGS.extData : header.messageFlags)
  out.skip(SPARE_FLAGS)
}

/** The same fields in the same order. A 7.0 receiver walks the extension count even without the flag, into whatever its
 *  buffer held before; here the count is honoured only with the flag. */
function readHeader(from: Reader): { header: Header; counts: Counts } {
  from.skip(SIGNATURE.length + 4 + 2)
  const port = from.u16()
  from.skip(2)
  const gossip = from.u16()
  const currentEpoch = from.epoch()
  const configEpoch = from.epoch()
  const offset = from.offset()
  const sender = from.id()
  const slots = from.bytes(SLOT_BYTES)
  const replicaOf = from.idOrNone()
  const ip = from.text(IP_SIZE)
  const extensions = from.u16()
  from.skip(SPARE)
  const otherPort = from.u16()
  const busPort = from.u16()
  const flags = from.u16()
  const state = from.u8() === 0 ? 'ok' : 'fail'
  const messageFlags = from.u8()
  from.skip(SPARE_FLAGS)
  return {
    header: {
      sender,
      replicaOf,
      currentEpoch,
      configEpoch,
      offset,
      slots,
      ip,
      port,
      otherPort,
      busPort,
      flags,
      state,
      messageFlags,
    },
    counts: { gossip, extensions: messageFlags & MESSAGE_FLAGS.extData ? extensions : 0 },
  }
}

/** PING, PONG and MEET: `count` gossip entries of 104 bytes, then the extensions. */
function pingRow<T extends PingType>(code: number, type: T): BodyCodec<PingBody & { readonly type: T }> {
  return {
    code,
    size: (body) => body.gossip.length + sum(body.extensions, extensionSize),
    write(out, body) {
      out.bytes(body.gossip)
      for (const extension of body.extensions) writeExtension(out, extension)
    },
    read(from, counts) {
      const gossip = readMentions(from, counts.gossip)
      const extensions: Extension[] = []
      for (let i = 0; i < counts.extensions; i++) extensions.push(readExtension(from))
      return { type, gossip, extensions }
    },
  }
}

/** One bad entry spoils the section, not the message: a 7.0 node passes on whatever it was told, and refusing its pings
 *  for that would let a single forged entry make every node look dead to us. Valkey 8 has the same rule. */
function readMentions(from: Reader, count: number): GossipSection {
  const size = count * GOSSIP_ENTRY_SIZE
  if (size > from.left)
    throw new Malformed(`with gossip count ${count} that exceeds total packet length (${from.size})`)
  const section = from.bytes(size)
  return isSound(section) ? section : NO_MENTIONS
}

/** Channel length u32, message length u32, channel, message. */
function publishRow<T extends PublishBody['type']>(
  code: number,
  type: T,
): BodyCodec<PublishBody & { readonly type: T }> {
  return {
    code,
    size: (body) => 4 + 4 + body.channel.length + body.message.length,
    write(out, body) {
      out.u32(body.channel.length)
      out.u32(body.message.length)
      out.bytes(body.channel)
      out.bytes(body.message)
    },
    read(from) {
      const channelLength = from.u32()
      const messageLength = from.u32()
      return { type, channel: from.bytes(channelLength), message: from.bytes(messageLength) }
    },
  }
}

/** A message whose header says it all. */
function emptyRow<B extends Body>(code: number, body: B): BodyCodec<B> {
  return { code, size: () => 0, write() {}, read: () => body }
}

function sum<T>(items: readonly T[], size: (item: T) => number): number {
  let total = 0
  for (const item of items) total += size(item)
  return total
}
