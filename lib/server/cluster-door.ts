/** What the server and the commands may see and ask of the cluster. The driver stands behind it. */
import type { Answer, Operation } from '../../bus/event.ts'
import type { Cluster } from '../../bus/state.ts'

/** One connection of the bus, for CLUSTER LINKS. */
export interface LinkInfo {
  readonly direction: 'to' | 'from'
  readonly node: string
  readonly createTime: number
  readonly events: string
  readonly sendBufferAllocated: number
  readonly sendBufferUsed: number
}

export interface ClusterDoor {
  /** The core's state: look, never touch. */
  readonly view: Readonly<Cluster>
  /** Puts an operator's wish through the core; undefined is OK. */
  ask(operation: Operation): Answer | undefined
  /** Before somebody relies on it: what this node was told of the slots is in nodes.conf when this returns. */
  persist(): void
  /** The event-loop turn ends: the state of the cluster follows from all that was asked in it. */
  endTurn(): void
  /** The turn's replies have left: what was asked in it goes out to the other nodes. */
  replied(): void
  /** Sends a published message over the bus. */
  publish(sharded: boolean, channel: Uint8Array, message: Uint8Array): void
  links(): readonly LinkInfo[]
}
