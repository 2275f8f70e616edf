/** The gossip section of a ping: what it mentions about third nodes, kept as it is on the wire, 104 bytes an entry. Nearly
 *  all of it says what the receiver knows already, so that entries are read where they lie and nothing is made of them. */
import { ID_LENGTH, type NodeId } from '../lib/base/brand.ts'
import { Reader, Writer } from './cursor.ts'
import { GOSSIP_ENTRY_SIZE, IP_SIZE } from './layout.ts'
import type { GossipEntry, GossipSection } from './message.ts'

/** Of a ping that mentions nobody. */
export const NO_MENTIONS: GossipSection = Buffer.alloc(0)

/** Writes entries. Throws for what does not fit its field. */
export function writeSection(entries: readonly GossipEntry[]): GossipSection {
  if (entries.length === 0) return NO_MENTIONS
  const out = new Writer(entries.length * GOSSIP_ENTRY_SIZE)
  for (const entry of entries) ENTRY.write(out, entry)
  return out.buffer
}

/** Reads all entries. Throws Malformed for one that is not sound. */
export const readSection = (section: GossipSection): GossipEntry[] =>
  Array.from({ length: countEntries(section) }, (_, i) => readEntry(section, i * GOSSIP_ENTRY_SIZE))

/** Reads the entry at byte `at`. Throws Malformed. */
export const readEntry = (section: GossipSection, at: number): GossipEntry =>
  ENTRY.read(new Reader(section.subarray(at, at + GOSSIP_ENTRY_SIZE)))

export const countEntries = (section: GossipSection): number => section.length / GOSSIP_ENTRY_SIZE

/** One entry: id 40, ping sent u32, pong received u32 (seconds), ip 46, port u16, bus port u16, flags u16, other port u16,
 *  two zero bytes. */
const ENTRY = {
  write(out: Writer, entry: GossipEntry): void {
    out.id(entry.id)
    out.u32(entry.pingSentSec)
    out.u32(entry.pongReceivedSec)
    out.text(entry.ip, IP_SIZE)
    out.u16(entry.port)
    out.u16(entry.busPort)
    out.u16(entry.flags)
    out.u16(entry.otherPort)
    out.skip(2)
  },
  read(from: Reader): GossipEntry {
    const id = from.id()
    const pingSentSec = from.u32()
    const pongReceivedSec = from.u32()
    const ip = from.text(IP_SIZE)
    const port = from.u16()
    const busPort = from.u16()
    const flags = from.u16()
    const otherPort = from.u16()
    from.skip(2)
    return { id, pingSentSec, pongReceivedSec, ip, port, busPort, flags, otherPort }
  },
}

const PONG_AT = ID_LENGTH + 4
const IP_AT = PONG_AT + 4
const FLAGS_AT = IP_AT + IP_SIZE + 4

/** When the entry at byte `at` says its node last answered, in seconds. */
export const pongSecAt = (section: GossipSection, at: number): number => section.readUInt32BE(at + PONG_AT)

/** The flags of the entry at byte `at`. */
export const flagsAt = (section: GossipSection, at: number): number => section.readUInt16BE(at + FLAGS_AT)

/** Whether the entry at byte `at` is about this node. */
export function isAbout(section: GossipSection, at: number, id: NodeId): boolean {
  for (let i = 0; i < ID_LENGTH; i++) if (section[at + i] !== id.charCodeAt(i)) return false
  return true
}

/** By the first characters of an id, a number of 30 bits: ids are random. Of the id that begins at byte `at`. */
export function hashAt(section: GossipSection, at: number): number {
  let hash = 0
  for (let i = 0; i < HASHED; i++) hash = (hash * 31 + section[at + i]!) | 0
  return hash & HASH_BITS
}

/** The same number, from an id as text. */
export function hashOf(id: NodeId): number {
  let hash = 0
  for (let i = 0; i < HASHED; i++) hash = (hash * 31 + id.charCodeAt(i)) | 0
  return hash & HASH_BITS
}

const HASHED = 10
/** What the engine keeps as a small integer. */
const HASH_BITS = 0x3fffffff

/** Whether ids and addresses of all entries are of the right form: one that is not spoils the section. */
export function isSound(section: GossipSection): boolean {
  for (let at = 0; at < section.length; at += GOSSIP_ENTRY_SIZE) {
    for (let i = at; i < at + ID_LENGTH; i++) if ((CLASS[section[i]!]! & IN_ID) === 0) return false
    let end = at + IP_AT
    const limit = end + IP_SIZE
    while (end < limit && (CLASS[section[end]!]! & VISIBLE) !== 0) end++
    if (end === limit || section[end] !== 0) return false
  }
  return true
}

const IN_ID = 1
const VISIBLE = 2
/** By byte: may stand in an id, may stand in a text. */
const CLASS = Uint8Array.from(
  { length: 256 },
  (_, c) => (/[0-9a-z]/.test(String.fromCharCode(c)) ? IN_ID : 0) | (c > 0x20 && c <= 0x7e ? VISIBLE : 0),
)
