/** The cluster state: `ok` when we may serve clients, `fail` when slots are missing or we are in a minority. */
import type { Millis } from '../lib/base/brand.ts'
import { type Cluster, type ClusterNode, isVoter, quorum } from './state.ts'
import { log } from './table.ts'

/** A primary that just started waits before it takes writes: it may have been failed over while it was down. */
const WRITABLE_DELAY_MS = 2000
/** How long a primary that was in a minority stays away, so that it can hear of a new configuration first: the node
 *  timeout, within these bounds. */
const REJOIN_DELAY_MIN_MS = 500
const REJOIN_DELAY_MAX_MS = 5000

/** Evaluates the cluster state. Specification: "Cluster state", and "Availability". */
export function evaluateState(c: Cluster): void {
  c.stateDirty = false
  const voters = [...c.nodes.values()].filter(isVoter)
  c.size = voters.length
  if (c.firstCheckAt === 0) c.firstCheckAt = c.now
  const isPrimary = c.myself.role === 'primary'
  if (isPrimary && c.state === 'fail' && c.now - c.firstCheckAt < WRITABLE_DELAY_MS) return

  const inMajority = voters.filter((node) => node.health === 'ok').length >= quorum(c)
  if (!inMajority) c.minorityAt = c.now
  const state = inMajority && (!c.options.requireFullCoverage || c.owners.every(isServing)) ? 'ok' : 'fail'
  if (state === c.state) return
  if (state === 'ok' && isPrimary && c.now - c.minorityAt < rejoinDelay(c.options.nodeTimeoutMs)) return
  c.state = state
  log(c, 'warning', `Cluster state changed: ${state}`)
  c.effects.push({ type: 'state', state })
}

/** A slot is covered while its owner is not FAIL. A suspicion of ours alone (PFAIL) does not uncover it. */
const isServing = (owner: ClusterNode | undefined): boolean => owner !== undefined && owner.health !== 'fail'

const rejoinDelay = (nodeTimeoutMs: number): Millis =>
  Math.min(Math.max(nodeTimeoutMs, REJOIN_DELAY_MIN_MS), REJOIN_DELAY_MAX_MS) as Millis
