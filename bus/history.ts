/** What changed in the topology and why, and which votes were asked for and given: two bounded logs of plain data. They
 *  are kept by the rules themselves at the moment they act, cost a few words for each change and nothing for the gossip
 *  that changes nothing, and become text only when somebody reads them (`why.ts`). */
import type { Epoch, Millis, NodeId } from '../lib/base/brand.ts'
import type { VoteRefusal } from './election.ts'
import type { Cluster } from './state.ts'

/** How many changes are remembered. */
const CHANGES_KEPT = 128
/** How many words about votes are remembered. */
const VOTES_KEPT = 32

/** One change. Nodes stand by id, since a row may be gone when the change is read. */
export type Change =
  /** A node became known: mentioned by another, or met. */
  | { readonly type: 'joined'; readonly node: NodeId; readonly by?: NodeId }
  /** A node was forgotten: as another was told, or by our own operator. */
  | { readonly type: 'forgotten'; readonly node: NodeId; readonly by?: NodeId }
  /** FAIL by our own count of these reports, ours among them when we have a vote. */
  | { readonly type: 'failed'; readonly node: NodeId; readonly reporters: readonly NodeId[] }
  /** FAIL because another counted a majority. */
  | { readonly type: 'declared-failed'; readonly node: NodeId; readonly by: NodeId }
  | { readonly type: 'recovered'; readonly node: NodeId }
  /** We took the place of our primary, with these votes, or by the operator's word alone. */
  | {
      readonly type: 'promoted'
      readonly old: NodeId | undefined
      readonly epoch: Epoch
      readonly cause: 'failure' | 'manual' | 'takeover'
      readonly voters: readonly NodeId[]
    }
  /** A node showed itself as a primary (no `primary`), or as a replica. */
  | { readonly type: 'role'; readonly node: NodeId; readonly primary?: NodeId }
  /** We became a replica of `primary`. */
  | {
      readonly type: 'followed'
      readonly primary: NodeId
      readonly cause: 'operator' | 'lost-slots' | 'sub-replica' | 'orphan'
    }
  /** `count` slots, the first of them `first`, changed hands; nobody is undefined. */
  | {
      readonly type: 'slots'
      readonly first: number
      readonly count: number
      readonly from: NodeId | undefined
      readonly to: NodeId | undefined
      readonly epoch: Epoch
      readonly cause: 'claim' | 'update' | 'operator' | 'loaded'
    }
  /** We took a new config epoch without votes. */
  | { readonly type: 'epoch'; readonly epoch: Epoch; readonly cause: 'operator' | 'collision'; readonly with?: NodeId }
  | { readonly type: 'state'; readonly state: 'ok' | 'fail'; readonly cause: 'well' | 'minority' | 'uncovered' }

/** One word about a vote. */
export type VoteNote =
  | { readonly type: 'asked'; readonly epoch: Epoch }
  | { readonly type: 'got'; readonly epoch: Epoch; readonly from: NodeId }
  | { readonly type: 'gave'; readonly epoch: Epoch; readonly to: NodeId }
  | { readonly type: 'refused'; readonly epoch: Epoch; readonly to: NodeId; readonly refusal: VoteRefusal }

/** Something with the time at which it happened. */
export interface Dated<T> {
  readonly at: Millis
  readonly what: T
}

/** Remembers a change; the oldest is forgotten for it. Slots that follow each other from one owner to another, as a
 *  reshard moves them, are one change. */
export function record(c: Cluster, change: Change): void {
  const last = c.history.at(-1)?.what
  const grown = last && change.type === 'slots' && last.type === 'slots' ? join(last, change) : undefined
  if (grown) c.history.pop()
  push(c, c.history, grown ?? change, CHANGES_KEPT)
}

/** Remembers a word about a vote. */
export function noteVote(c: Cluster, note: VoteNote): void {
  push(c, c.votes, note, VOTES_KEPT)
}

type SlotsChange = Extract<Change, { type: 'slots' }>

function join(last: SlotsChange, next: SlotsChange): SlotsChange | undefined {
  const { from, to, cause, first, count } = last
  if (from !== next.from || to !== next.to || cause !== next.cause || next.first !== first + count) return undefined
  return { type: 'slots', first, count: count + next.count, from, to, epoch: next.epoch, cause }
}

function push<T>(c: Cluster, log: Dated<T>[], what: T, limit: number): void {
  if (log.length >= limit) log.shift()
  log.push({ at: c.now, what })
}
