/** Brands keep kin apart: a slot is not an epoch, although both are numbers. One checking constructor each. */
import { assert } from './assert.ts'

declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** A hash slot, 0..16383. */
export type Slot = Brand<number, 'slot'>
/** A cluster epoch: a 64-bit counter on the wire, kept as a safe integer. */
export type Epoch = Brand<number, 'epoch'>
/** A replication offset: bytes of the stream since its history began. */
export type Offset = Brand<number, 'offset'>
/** Milliseconds, an instant (Unix time) or a span. */
export type Millis = Brand<number, 'millis'>
/** A node's name for life: 40 characters of [0-9a-z]. */
export type NodeId = Brand<string, 'node'>
/** The name of a shard (a primary and its replicas): 40 characters. */
export type ShardId = Brand<string, 'shard'>

export const SLOT_COUNT = 16384
export const ID_LENGTH = 40

export function slot(n: number): Slot {
  assert(Number.isInteger(n) && n >= 0 && n < SLOT_COUNT, `slot ${n}`)
  return n as Slot
}

export function epoch(n: number): Epoch {
  assert(Number.isSafeInteger(n) && n >= 0, `epoch ${n}`)
  return n as Epoch
}

export function offset(n: number): Offset {
  assert(Number.isSafeInteger(n), `offset ${n}`)
  return n as Offset
}

export function millis(n: number): Millis {
  return n as Millis
}

/** True for text that may name a node: exactly 40 of [0-9a-z], as real servers check before they look one up. */
export function isNodeId(text: string): text is NodeId {
  return /^[0-9a-z]{40}$/.test(text)
}

export function nodeId(text: string): NodeId {
  assert(isNodeId(text), `node id ${JSON.stringify(text)}`)
  return text
}

export function shardId(text: string): ShardId {
  assert(text.length === ID_LENGTH, `shard id ${JSON.stringify(text)}`)
  return text as ShardId
}
