/** Constants of the wire: codes, flag bits, offsets. Big-endian throughout. Source: cluster_legacy.h as observed on 7.0.15. */

export const HEADER_SIZE = 2256
export const GOSSIP_ENTRY_SIZE = 104
export const SLOT_BYTES = 2048
export const IP_SIZE = 46
/** Length u32, type u16, two zero bytes; what follows is padded to 8 bytes. */
export const EXTENSION_HEAD_SIZE = 8
/** Valkey 8 adds this bit to PUBLISH and PUBLISHSHARD that carry a 16-byte header, for nodes that asked for it. */
export const LIGHT_MESSAGE = 0x8000
export const SIGNATURE = 'RCmb'
export const PROTOCOL_VERSION = 1

/** Node flags: header, gossip entries and nodes.conf speak of these. */
export const NODE_FLAGS = {
  primary: 1,
  replica: 2,
  pfail: 4,
  fail: 8,
  myself: 16,
  handshake: 32,
  noAddress: 64,
  meet: 128,
  migrateTo: 256,
  noFailover: 512,
  extensionsSupported: 1024,
  lightHeaderSupported: 2048,
} as const

export const MESSAGE_FLAGS = { paused: 1, forceAck: 2, extData: 4 } as const
