/** Manual failover: an operator asks a replica to take its primary's place, and nothing is lost on the way. The primary
 *  stops taking writes and says at which offset; when the replica has processed that much it holds an election in which
 *  voters do not insist that the primary failed. FORCE leaves out the primary, TAKEOVER the voters too.
 *  Specification: "Manual failover"; source of texts and times: redis-server 7.0.15. */
import type { Millis } from '../lib/base/brand.ts'
import { promote, runElection, takeElectionEpoch } from './election.ts'
import { bumpEpochWithoutConsensus } from './epoch.ts'
import type { Answer, Operation } from './event.ts'
import { MESSAGE_FLAGS } from './layout.ts'
import type { Header } from './message.ts'
import { sendBody, sendPing } from './send.ts'
import type { Cluster, ClusterNode, Link } from './state.ts'
import { log, resetManualFailover } from './table.ts'

/** The whole of it must be done by then. */
const TIMEOUT_MS = 5000
/** Writes wait longer than that on the primary: it may learn of its replica's success late, and must not have accepted
 *  anything in between. */
const PAUSE_MS = 2 * TIMEOUT_MS

type Mode = Extract<Operation, { name: 'failover' }>['mode']

/** Why a manual failover cannot even begin. */
export type ManualRefusal = 'not-a-replica' | 'primary-unknown' | 'primary-down'

/** What the operator is told. */
export const REFUSALS: Readonly<Record<ManualRefusal, string>> = {
  'not-a-replica': 'ERR You should send CLUSTER FAILOVER to a replica',
  'primary-unknown': "ERR I'm a replica but my master is unknown to me",
  'primary-down': 'ERR Master is down or failed, please use CLUSTER FAILOVER FORCE',
}

const START: Readonly<Record<Mode, (c: Cluster, primary: ClusterNode) => void>> = {
  plain(c, primary) {
    log(c, 'warning', 'Manual failover user request accepted.')
    if (c.options.fastFailover) c.manual.epoch = takeElectionEpoch(c) // while clients need not wait yet for the disk
    sendBody(c, primary, { type: 'mfstart' })
  },
  force(c) {
    log(c, 'warning', 'Forced failover user request accepted.')
    c.manual.canStart = true
    runElection(c)
  },
  takeover(c) {
    log(c, 'warning', 'Taking over the master (user request).')
    bumpEpochWithoutConsensus(c)
    promote(c, 'takeover')
  },
}

/** CLUSTER FAILOVER. The answer comes before the failover happened, and does not promise that it will. */
export function startManualFailover(c: Cluster, mode: Mode): Answer | undefined {
  const refusal = whyNoManualFailover(c, mode)
  if (refusal) return { error: REFUSALS[refusal] }
  resetManualFailover(c)
  c.manual.endsAt = (c.now + TIMEOUT_MS) as Millis
  START[mode](c, c.myself.primary!)
  return undefined
}

/** Why we cannot begin a manual failover of this kind; undefined when we can. */
export function whyNoManualFailover(c: Cluster, mode: Mode): ManualRefusal | undefined {
  const { role, primary } = c.myself
  if (role !== 'replica') return 'not-a-replica'
  if (!primary) return 'primary-unknown'
  if (mode === 'plain' && (primary.health === 'fail' || !primary.outbound?.up)) return 'primary-down'
  return undefined
}

/** Primary side: a replica of ours asks. We stop taking writes and tell it our offset at once, on the very link it asked
 *  on; from now on every message of ours says PAUSED, and the tick pings it. */
export function onMfStart(c: Cluster, sender: ClusterNode, link: Link): void {
  if (sender.primary !== c.myself) return
  resetManualFailover(c)
  c.manual.endsAt = (c.now + TIMEOUT_MS) as Millis
  c.manual.replica = sender
  c.effects.push({ type: 'pause-writes', until: (c.now + PAUSE_MS) as Millis })
  log(c, 'warning', `Manual failover requested by replica ${sender.id}.`)
  sendPing(c, link, 'ping')
}

/** Replica side: the first PAUSED message of our primary carries the offset at which nothing can be missing. */
export function noteManualOffset(c: Cluster, sender: ClusterNode, header: Header): void {
  const { manual, myself } = c
  if (manual.endsAt === 0 || myself.primary !== sender || manual.targetOffset !== -1) return
  if ((header.messageFlags & MESSAGE_FLAGS.paused) === 0) return
  manual.targetOffset = header.offset
  log(c, 'warning', `Received replication offset for paused master manual failover: ${header.offset}`)
}

/** Replica side: lets the election start when we have processed all the paused primary wrote; the caller runs it. */
export function advanceManualFailover(c: Cluster): void {
  const { manual } = c
  if (manual.endsAt === 0 || manual.canStart || manual.targetOffset !== c.facts.replicationOffset) return
  if (!c.facts.primaryLinkUp) return // the same number, counted in another history than the primary's
  manual.canStart = true
  log(c, 'warning', 'All master replication stream processed, manual failover can start.')
}

/** Replica side: advances as far as it can go now, into the election if that may start. */
export function continueManualFailover(c: Cluster): void {
  if (c.manual.endsAt === 0 || c.myself.role !== 'replica') return
  advanceManualFailover(c)
  if (c.manual.canStart) runElection(c)
}

/** Whether our stream is all that is missing: then each turn that brings some of it is worth a look, and the failover
 *  need not wait for the next tick. */
export const awaitsStream = (c: Cluster): boolean =>
  c.manual.endsAt > 0 && c.manual.targetOffset >= 0 && !c.manual.canStart && c.options.fastFailover

/** Both sides give up when the time is over; a paused primary takes writes again. Judged before anything else is: the primary, which was
 *  asked later, gives up later, so that no replica is elected for which it does not wait any more. */
export function checkManualFailover(c: Cluster): void {
  if (c.manual.endsAt === 0 || c.now <= c.manual.endsAt) return
  log(c, 'warning', 'Manual failover timed out.')
  resetManualFailover(c)
}
