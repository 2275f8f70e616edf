/** The messages of the cluster bus, as values. `codec.ts` turns them into Redis's bytes and back. */
import type { Epoch, NodeId, Offset, ShardId } from '../lib/base/brand.ts'

/** What every message says about its sender. Shapes and units follow the 2256-byte header. */
export interface Header {
  readonly sender: NodeId
  /** The primary of a replica; undefined for a primary. */
  readonly replicaOf: NodeId | undefined
  /** Highest epoch the sender has seen. */
  readonly currentEpoch: Epoch
  /** The sender's own config epoch; a replica puts its primary's. */
  readonly configEpoch: Epoch
  /** Replication offset: produced (primary) or processed (replica). */
  readonly offset: Offset
  /** 2048 bytes, slot s is bit s&7 of byte s>>3; a replica puts its primary's. */
  readonly slots: Uint8Array
  /** Announced address text; '' means "the address you see". */
  readonly ip: string
  /** Client port after announce options; the TLS port when the bus runs over TLS. */
  readonly port: number
  /** The other client port (plain when `port` is TLS; since 7.2 also the reverse); 0 for none. */
  readonly otherPort: number
  readonly busPort: number
  /** Node flag bits of the sender, MYSELF included (`layout.ts`). */
  readonly flags: number
  /** The cluster state as the sender sees it. */
  readonly state: 'ok' | 'fail'
  /** The first byte of the message flags: PAUSED 1, FORCEACK 2, EXT_DATA 4. EXT_DATA says "I understand extensions" and
   *  may stand without any; the codec adds it when the body has some. */
  readonly messageFlags: number
}

/** What a ping mentions about a third node. */
export interface GossipEntry {
  readonly id: NodeId
  /** Unix time in whole SECONDS; 0 = no ping outstanding. */
  readonly pingSentSec: number
  readonly pongReceivedSec: number
  readonly ip: string
  readonly port: number
  readonly busPort: number
  readonly flags: number
  readonly otherPort: number
}

/** The entries of a ping as they are on the wire, 104 bytes each (`section.ts`). Borrows the frame it came in. */
export type GossipSection = Buffer

export type Extension =
  | { readonly type: 'hostname'; readonly text: string }
  | { readonly type: 'human-nodename'; readonly text: string }
  | { readonly type: 'forgotten-node'; readonly id: NodeId; readonly ttlSec: number }
  | { readonly type: 'shard-id'; readonly id: ShardId }
  | { readonly type: 'client-ipv4'; readonly text: string }
  | { readonly type: 'client-ipv6'; readonly text: string }
  | { readonly type: 'unknown'; readonly code: number; readonly data: Uint8Array }

export type PingType = 'ping' | 'pong' | 'meet'

export interface PingBody {
  readonly type: PingType
  readonly gossip: GossipSection
  readonly extensions: readonly Extension[]
}

export interface PublishBody {
  readonly type: 'publish' | 'publishshard'
  readonly channel: Uint8Array
  readonly message: Uint8Array
}

export type Body =
  | PingBody
  | { readonly type: 'fail'; readonly node: NodeId }
  | PublishBody
  | { readonly type: 'auth-req' }
  | { readonly type: 'auth-ack' }
  | { readonly type: 'update'; readonly configEpoch: Epoch; readonly node: NodeId; readonly slots: Uint8Array }
  | { readonly type: 'mfstart' }
  /** Opaque to Redis; `module` is an 8-byte id copied as it is. */
  | { readonly type: 'module'; readonly module: Uint8Array; readonly kind: number; readonly data: Uint8Array }

export type BodyType = Body['type']

export interface Message {
  readonly header: Header
  readonly body: Body
}

/** Message names in wire order of their codes, as CLUSTER INFO counts them. */
export const MESSAGE_NAMES = [
  'ping',
  'pong',
  'meet',
  'fail',
  'publish',
  'auth-req',
  'auth-ack',
  'update',
  'mfstart',
  'module',
  'publishshard',
] as const satisfies readonly BodyType[]
