/** The cluster state: `ok` when we may serve clients, `fail` when slots are missing or we are in a minority. */
import { type Millis, SLOT_COUNT } from '../lib/base/brand.ts'
import { record } from './history.ts'
import { type Cluster, type ClusterNode, isVoter, quorum } from './state.ts'
import { log, rowsOf } from './table.ts'

/** A primary that just started waits before it takes writes: it may have been failed over while it was down. */
const WRITABLE_DELAY_MS = 2000
/** How long a primary that was in a minority stays away, so that it can hear of a new configuration first: the node
 *  timeout, within these bounds. */
const REJOIN_DELAY_MIN_MS = 500
const REJOIN_DELAY_MAX_MS = 5000

/** Evaluates the cluster state. Specification: "Cluster state", and "Availability". */
export function evaluateState(c: Cluster): void {
  c.stateDirty = false
  c.size = rowsOf(c).filter(isVoter).length
  if (c.firstCheckAt === 0) c.firstCheckAt = c.now
  if (c.state === 'fail' && startLeftMs(c) > 0) return

  const inMajority = c.size - unreachableVoters(c).length >= quorum(c)
  if (!inMajority) c.minorityAt = c.now
  const state = inMajority && (!c.options.requireFullCoverage || isCovered(c)) ? 'ok' : 'fail'
  if (state === c.state) return
  if (state === 'ok' && rejoinLeftMs(c) > 0) return
  c.state = state
  c.stateAt = c.now
  record(c, { type: 'state', state, cause: state === 'ok' ? 'well' : inMajority ? 'uncovered' : 'minority' })
  log(c, 'warning', `Cluster state changed: ${state}`)
  c.effects.push({ type: 'state', state })
}

/** How long a primary that just started still waits; not positive when it need not. */
export const startLeftMs = (c: Cluster): number =>
  c.myself.role === 'primary' ? c.firstCheckAt + WRITABLE_DELAY_MS - c.now : 0

/** How long a primary that was in a minority still stays away; not positive when it need not. */
export const rejoinLeftMs = (c: Cluster): number =>
  c.myself.role === 'primary' ? c.minorityAt + rejoinDelay(c.options.nodeTimeoutMs) - c.now : 0

/** The voters that do not count as reachable: a majority must. */
export const unreachableVoters = (c: Cluster): ClusterNode[] =>
  rowsOf(c).filter((node) => isVoter(node) && (node.health !== 'ok' || isSilent(c, node)))

/** Asks for an evaluation when we, a primary that takes writes, have heard nothing from a majority for a node timeout. PFAIL would say
 *  so up to half a timeout later, for it counts from the ping; by then the majority may have put another in our place. */
export function watchMajority(c: Cluster): void {
  if (c.state !== 'ok' || !isVoter(c.myself)) return
  let heard = 0
  for (const node of rowsOf(c)) if (isVoter(node) && !isSilent(c, node)) heard++
  if (heard < quorum(c)) c.stateDirty = true
}

/** Neither it nor others about it: an answer that somebody had from it and mentions is as good as one to us. Of whom nothing was ever
 *  heard, as after our own restart, nothing is concluded. */
function isSilent(c: Cluster, node: ClusterNode): boolean {
  const heardAt = Math.max(node.pongReceivedAt, node.dataReceivedAt)
  return node !== c.myself && heardAt !== 0 && c.now - heardAt > c.options.nodeTimeoutMs
}

/** Whether every slot is covered: while its owner is not FAIL. A suspicion of ours alone (PFAIL) does not uncover it. */
export function isCovered(c: Cluster): boolean {
  let covered = 0
  for (const node of c.nodes.values()) if (node.health !== 'fail') covered += node.slotCount
  return covered === SLOT_COUNT
}

const rejoinDelay = (nodeTimeoutMs: number): Millis =>
  Math.min(Math.max(nodeTimeoutMs, REJOIN_DELAY_MIN_MS), REJOIN_DELAY_MAX_MS) as Millis
