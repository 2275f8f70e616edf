/** Ping extensions: what newer nodes say beside the gossip. Each is an 8-byte head (length u32, type u16, zero u16) and
 *  data padded to 8 bytes; a reader skips the types it does not know. Order carries no meaning. */
import { assert } from '../lib/base/assert.ts'
import { ID_LENGTH, isNodeId, shardId } from '../lib/base/brand.ts'
import { Malformed, type Reader, type Writer } from './cursor.ts'
import { EXTENSION_HEAD_SIZE } from './layout.ts'
import type { Extension } from './message.ts'

type Known = Exclude<Extension['type'], 'unknown'>
type ExtensionOf<T extends Known> = Extension & { readonly type: T }

/** A row: code, size of the data before padding, and how the data is written and read. `read` is given the padded data
 *  and answers undefined when it is not of this form; such an extension is kept as one we do not know. */
interface ExtensionCodec<E> {
  readonly code: number
  size(extension: E): number
  write(out: Writer, extension: E): void
  read(data: Buffer): E | undefined
}

const TABLE: { readonly [T in Known]: ExtensionCodec<ExtensionOf<T>> } = {
  hostname: textRow(0, (text) => ({ type: 'hostname', text })),
  'human-nodename': textRow(1, (text) => ({ type: 'human-nodename', text })),
  // id 40, seconds u64
  'forgotten-node': {
    code: 2,
    size: () => ID_LENGTH + 8,
    write(out, extension) {
      out.id(extension.id)
      out.u64(extension.ttlSec)
    },
    read(data) {
      if (data.length !== ID_LENGTH + 8) return undefined
      const id = data.latin1Slice(0, ID_LENGTH)
      const ttlSec = Number(data.readBigUInt64BE(ID_LENGTH))
      return isNodeId(id) && Number.isSafeInteger(ttlSec) ? { type: 'forgotten-node', id, ttlSec } : undefined
    },
  },
  // id 40, no NUL
  'shard-id': {
    code: 3,
    size: () => ID_LENGTH,
    write(out, extension) {
      out.id(extension.id)
    },
    read(data) {
      const id = data.latin1Slice(0)
      return isNodeId(id) ? { type: 'shard-id', id: shardId(id) } : undefined
    },
  },
  'client-ipv4': addressRow(4, /^(\d+(\.\d+){3})?$/, (text) => ({ type: 'client-ipv4', text })),
  'client-ipv6': addressRow(5, /^([\da-f]*:[\da-f:.]*)?$/i, (text) => ({ type: 'client-ipv6', text })),
}

/** Receivers look at the low 16 bits of the length only. */
const LONGEST = 0xffff
const BY_CODE = new Map<number, ExtensionCodec<Extension>>(Object.values(TABLE).map((row) => [row.code, row]))

/** Bytes of an extension on the wire, head and padding included. */
export function extensionSize(extension: Extension): number {
  return EXTENSION_HEAD_SIZE + padded(dataSize(extension))
}

/** Writes one extension. One that is too long for its readers is our own bug. */
export function writeExtension(out: Writer, extension: Extension): void {
  const length = extensionSize(extension)
  assert(length <= LONGEST, `extension ${extension.type} of ${length} bytes`)
  out.u32(length)
  out.u16(extension.type === 'unknown' ? extension.code : TABLE[extension.type].code)
  out.skip(2)
  const end = out.left - (length - EXTENSION_HEAD_SIZE)
  if (extension.type === 'unknown') out.bytes(extension.data)
  else rowOf(extension).write(out, extension)
  out.skip(out.left - end)
}

/** Reads one extension. Throws `Malformed` where a 7.0.15 node refuses the whole packet (a length that is not a multiple
 *  of 8 or goes beyond the end, a text without its NUL) and for lengths of which it would see the low 16 bits. */
export function readExtension(from: Reader): Extension {
  const length = from.u32()
  const code = from.u16()
  from.skip(2)
  if (length < EXTENSION_HEAD_SIZE || length % 8 !== 0 || length > LONGEST) {
    throw new Malformed(`with an extension of length ${length}`)
  }
  if (length - EXTENSION_HEAD_SIZE > from.left) {
    throw new Malformed(`with extension data that exceeds total packet length (${from.size})`)
  }
  const data = from.bytes(length - EXTENSION_HEAD_SIZE)
  return BY_CODE.get(code)?.read(data) ?? { type: 'unknown', code, data }
}

/** Text and at least one NUL. Text with control or non-ASCII characters, or longer than the 255 that a server lets its
 *  operator announce, is not let near nodes.conf and replies. */
function textRow<E extends Extension & { readonly text: string }>(
  code: number,
  create: (text: string) => E,
): ExtensionCodec<E> {
  return {
    code,
    size: (extension) => extension.text.length + 1,
    write: (out, extension) => out.text(extension.text, extension.text.length + 1),
    read(data) {
      const end = data.indexOf(0)
      if (end < 0) throw new Malformed(`with missing null terminator in extension type ${code}`)
      const text = data.latin1Slice(0, end)
      return /^[ -~]{0,255}$/.test(text) ? create(text) : undefined
    },
  }
}

/** Valkey's. Redis 7.4 and later give another meaning to its numbers, 4 is a secret of 40 bytes: it is told by its form, and left alone. */
function addressRow<E extends Extension & { readonly text: string }>(
  code: number,
  form: RegExp,
  create: (text: string) => E,
): ExtensionCodec<E> {
  const row = textRow(code, create)
  return {
    ...row,
    read(data) {
      const end = data.indexOf(0)
      return end >= 0 && form.test(data.latin1Slice(0, end)) ? row.read(data) : undefined
    },
  }
}

function rowOf(extension: Extension & { readonly type: Known }): ExtensionCodec<Extension> {
  return TABLE[extension.type]
}

function dataSize(extension: Extension): number {
  return extension.type === 'unknown' ? extension.data.length : rowOf(extension).size(extension)
}

const padded = (size: number): number => Math.ceil(size / 8) * 8
