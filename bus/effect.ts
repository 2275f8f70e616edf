/** Everything the core can ask of the node around it, carried out strictly in order.
 *  The ordering rule: what a step changed in nodes.conf is on disk before anything the step says leaves the machine,
 *  so `save` is always the first effect of its step. */
import type { Millis, NodeId } from '../lib/base/brand.ts'
import type { LogLevel } from '../lib/base/log.ts'
import type { Answer } from './event.ts'
import type { Message } from './message.ts'
import type { LinkId } from './state.ts'

export type Effect =
  /** Rewrite nodes.conf; with `fsync` it must survive a power loss before the next effect is carried out. */
  | { readonly type: 'save'; readonly fsync: boolean }
  /** Rewrite nodes.conf when there is time: it lacks only what others told us, and nothing that leaves depends on it. */
  | { readonly type: 'save-later' }
  /** Save whose this slot is and where it is going, of which the rest of nodes.conf says nothing new: at once, or `later`, when there
   *  is time or `ClusterDoor.persist` asks for it. */
  | { readonly type: 'save-slot'; readonly slot: number; readonly later: boolean }
  | { readonly type: 'connect'; readonly link: LinkId; readonly ip: string; readonly busPort: number }
  | { readonly type: 'drop'; readonly link: LinkId }
  /** One message to one or many links: encoded once. */
  | { readonly type: 'send'; readonly links: readonly LinkId[]; readonly message: Message }
  /** Replicate this node (port is the TLS port under tls-replication). */
  | {
      readonly type: 'follow'
      readonly primary: NodeId
      readonly ip: string
      readonly port: number
      readonly otherPort: number
    }
  /** Stop replicating and be a primary: new replication id, the old one stays as second id. */
  | { readonly type: 'lead' }
  /** Keys of these slots are not ours any more: delete them (their new owner has the truth). */
  | { readonly type: 'purge'; readonly slots: readonly number[] }
  /** Empty every database (CLUSTER RESET of a replica). */
  | { readonly type: 'flush' }
  /** These slots left this node or its shard: shard channel subscribers must go. */
  | { readonly type: 'slots-lost'; readonly slots: readonly number[] }
  /** Clients' writes wait until then, for a manual failover. */
  | { readonly type: 'pause-writes'; readonly until: Millis }
  | { readonly type: 'resume-writes' }
  /** A message that came over the bus, for our subscribers. */
  | { readonly type: 'publish'; readonly sharded: boolean; readonly channel: Uint8Array; readonly message: Uint8Array }
  /** The cluster state turned. */
  | { readonly type: 'state'; readonly state: 'ok' | 'fail' }
  | { readonly type: 'log'; readonly level: LogLevel; readonly text: string }
  /** `namespace` of the debug package: rookery:<namespace>. */
  | { readonly type: 'trace'; readonly namespace: string; readonly text: string }
  /** Answers the operator event of this step; exactly one for each. */
  | { readonly type: 'answer'; readonly answer: Answer | undefined }
