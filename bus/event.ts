/** Everything that can happen to the cluster core. Time passing, links and operators are events like any message. */
import type { Message } from './message.ts'
import type { LinkId } from './state.ts'

/** What CLUSTER commands ask of the core. Arguments are already parsed; ids may be unknown or malformed text. */
export type Operation =
  | { readonly name: 'meet'; readonly ip: string; readonly port: number; readonly busPort: number }
  | { readonly name: 'forget'; readonly id: string }
  | { readonly name: 'addslots' | 'delslots'; readonly slots: readonly number[] }
  | { readonly name: 'flushslots' }
  | {
      readonly name: 'setslot'
      readonly slot: number
      readonly action: 'migrating' | 'importing' | 'node'
      readonly id: string
    }
  | { readonly name: 'setslot'; readonly slot: number; readonly action: 'stable' }
  | { readonly name: 'replicate'; readonly id: string }
  | { readonly name: 'failover'; readonly mode: 'plain' | 'force' | 'takeover' }
  | { readonly name: 'reset'; readonly hard: boolean }
  | { readonly name: 'set-config-epoch'; readonly epoch: number }
  | { readonly name: 'bumpepoch' }
  | { readonly name: 'saveconfig' }

export type Event =
  /** Every 100 ms. */
  | { readonly type: 'tick' }
  /** A whole, valid message arrived. */
  | { readonly type: 'message'; readonly link: LinkId; readonly message: Message }
  /** A dial succeeded. */
  | { readonly type: 'link-up'; readonly link: LinkId }
  /** A link of either direction is gone, or a dial failed. */
  | { readonly type: 'link-down'; readonly link: LinkId }
  /** Somebody dialled us; the transport took the id from `allocateLinkId`. */
  | { readonly type: 'accepted'; readonly link: LinkId; readonly remoteIp: string; readonly localIp: string }
  | { readonly type: 'operator'; readonly operation: Operation }
  /** The event-loop turn in which operators spoke is over: what they did is judged now. */
  | { readonly type: 'turn-end' }
  /** PUBLISH or SPUBLISH by a client of ours. */
  | { readonly type: 'publish'; readonly sharded: boolean; readonly channel: Uint8Array; readonly message: Uint8Array }
  /** An option changed (announced names, ports, no-failover ...). */
  | { readonly type: 'options-changed' }
  /** The data set is loaded: check that its keys lie in slots we own (primaries only). */
  | { readonly type: 'loaded'; readonly slotsWithKeys: readonly number[] }

/** What an operator is told: undefined is OK. `text` is the status line after `+` when it is not OK ("BUMPED 8"). */
export type Answer = { readonly error: string } | { readonly text: string }
