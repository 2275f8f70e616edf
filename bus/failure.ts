/** Failure detection: PFAIL is what one node suspects, FAIL is what a majority of voters agreed on. */
import type { Millis, NodeId } from '../lib/base/brand.ts'
import { record } from './history.ts'
import { broadcastBody, sendPongs } from './send.ts'
import { type Cluster, type ClusterNode, isVoter, quorum } from './state.ts'
import { log, needSaveLearned, rowsOf, trace } from './table.ts'

/** Reports older than this many node timeouts no longer count, and a primary that comes back after as many, and was not
 *  replaced, is taken back. */
const VALIDITY_TIMEOUTS = 2
/** To so many voters a new suspicion is told at once. In a larger cluster the replicas of the suspect, who are all told,
 *  see the majority first; were every voter to tell every other, a failure would cost the square of their number. */
const TOLD_VOTERS = 16
/** So many voters, of those that see a majority at about the same time, tell everybody. */
const HERALDS = 3

/** Suspects a node that has an unanswered ping and has shown no other sign of life for a node timeout. Any data counts:
 *  a node too busy to answer pings but busy sending is not dead. */
export function suspectIfSilent(c: Cluster, node: ClusterNode): void {
  if (node.pingSentAt === 0 || node.health !== 'ok') return
  const silence = Math.min(c.now - node.pingSentAt, c.now - node.dataReceivedAt)
  if (silence <= c.options.nodeTimeoutMs) return
  log(c, 'debug', `*** NODE ${node.id} possibly failing`)
  trace(c, 'gossip', `nothing from ${node.id} for ${silence} ms: possibly failing`)
  node.health = 'pfail'
  c.stateDirty = true
  needSaveLearned(c, 'save')
  if (c.options.fastFailover && isVoter(c.myself)) {
    c.pfailCount++
    c.untold.push(node)
  }
  markFailing(c, node) // ours may be the vote that was missing
}

/** Tells the suspicions of this step to those who can make something of them: the replicas of each suspect, and voters. A
 *  pong does it, because every pong mentions whom we suspect, and it asks for no answer. */
export function tellSuspicions(c: Cluster): void {
  const suspects = c.untold.filter((node) => node.health === 'pfail')
  c.untold = []
  if (suspects.length === 0) return
  const voters = rowsOf(c).filter((node) => node !== c.myself && node.health === 'ok' && isVoter(node))
  const first = voters.length > TOLD_VOTERS ? c.random.below(voters.length) : 0
  const told = new Set(suspects.flatMap((node) => node.replicas))
  for (let i = 0; i < Math.min(voters.length, TOLD_VOTERS); i++) told.add(voters[(first + i) % voters.length]!)
  sendPongs(c, [...told])
}

/** Takes one voter's word about a node: that it is failing, or that it is not. */
export function noteReport(c: Cluster, node: ClusterNode, reporter: ClusterNode, failing: boolean): void {
  if (!failing) {
    if (node.failureReports?.delete(reporter))
      log(c, 'verbose', `Node ${reporter.id} reported node ${node.id} is back online.`)
    return
  }
  if (!isVoter(reporter)) return
  node.failureReports ??= new Map()
  if (!node.failureReports.has(reporter))
    log(c, 'verbose', `Node ${reporter.id} reported node ${node.id} as not reachable.`)
  node.failureReports.set(reporter, c.now)
  if (c.options.fastFailover) suspectIfSilent(c, node) // ours may have been due since the last tick
  markFailing(c, node)
}

/** How many recent failure reports a node has; older ones are dropped. */
export function countReports(c: Cluster, node: ClusterNode): number {
  const reports = node.failureReports
  if (!reports || reports.size === 0) return 0
  for (const [reporter, at] of reports) {
    if (c.now - at > VALIDITY_TIMEOUTS * c.options.nodeTimeoutMs) reports.delete(reporter)
  }
  return reports.size
}

/** The voters that hold a node for failing at present: those whose report is recent, and ourselves. */
export function reportersOf(c: Cluster, node: ClusterNode): NodeId[] {
  countReports(c, node)
  const reporters = [...(node.failureReports?.keys() ?? [])].map(({ id }) => id)
  return isVoter(c.myself) && node.health !== 'ok' ? [...reporters, c.myself.id] : reporters
}

/** PFAIL becomes FAIL once a majority of voters (primaries that own slots, ourselves included) report it.
 *  Agreement is weak, so it must at least be recent: reports older than two node timeouts do not count. Replicas do this
 *  too, without a vote of their own. */
export function markFailing(c: Cluster, node: ClusterNode): void {
  if (node.health !== 'pfail') return
  if (countReports(c, node) + (isVoter(c.myself) ? 1 : 0) < quorum(c)) return
  log(c, 'notice', `Marking node ${node.id} as failing (quorum reached).`)
  const reporters = reportersOf(c, node)
  record(c, { type: 'failed', node: node.id, reporters })
  setFail(c, node)
  if (isHerald(c, node, reporters)) broadcastBody(c, { type: 'fail', node: node.id })
}

/** Whether we tell everybody of a FAIL. By redis-server's rules whoever sees the majority does: each of many nodes that
 *  see it in one instant, about each of many that failed. With fast failover its own replicas do, who were told every
 *  report and tell FAIL with their vote requests, and of the voters those with the smallest ids. Who is left out by
 *  mistake comes to the same conclusion by gossip. */
function isHerald(c: Cluster, node: ClusterNode, reporters: readonly NodeId[]): boolean {
  if (!c.options.fastFailover || c.myself.primary === node) return true
  if (!node.replicas.some((replica) => replica.health === 'ok')) return true
  return isVoter(c.myself) && reporters.filter((id) => id < c.myself.id).length < HERALDS
}

/** A FAIL message: the sender saw the majority. It is believed at once and not passed on, the sender told everybody. */
export function receiveFail(c: Cluster, sender: ClusterNode, id: NodeId): void {
  const node = c.nodes.get(id)
  if (!node || node === c.myself || node.health === 'fail') return
  log(c, 'notice', `FAIL message received from ${sender.id} about ${id}`)
  record(c, { type: 'declared-failed', node: id, by: sender.id })
  setFail(c, node)
}

/** A pong from the node itself. PFAIL ends with it. FAIL ends for a node without slots; a primary with slots is taken
 *  back only when enough time has passed for its replicas to have replaced it. */
export function noteAlive(c: Cluster, node: ClusterNode): void {
  if (node.health === 'ok') return
  if (node.health === 'fail') {
    if (!isVoter(node)) {
      const what = node.role === 'replica' ? 'replica' : 'master without slots'
      log(c, 'notice', `Clear FAIL state for node ${node.id}: ${what} is reachable again.`)
    } else if (!hasJustFailed(c, node)) {
      const why = 'is reachable again and nobody is serving its slots after some time.'
      log(c, 'notice', `Clear FAIL state for node ${node.id}: ${why}`)
    } else return
    record(c, { type: 'recovered', node: node.id })
  }
  node.health = 'ok'
  c.stateDirty = true
  needSaveLearned(c, 'save')
}

/** Whether a node is known to have failed so shortly ago that nobody can have taken it back. What failed before, or by our
 *  nodes.conf from before our restart, may live again as far as others know: with them we do not argue. */
export const hasJustFailed = (c: Cluster, node: ClusterNode): boolean =>
  node.health === 'fail' && c.now - node.failedAt <= VALIDITY_TIMEOUTS * c.options.nodeTimeoutMs

/** A node that owned nothing was given slots. Its failure was before that: it says so itself, or its first pong will. */
export function noteReturn(c: Cluster, node: ClusterNode, isHeard: boolean): void {
  if (node.health !== 'fail' || isVoter(node)) return
  if (isHeard) noteAlive(c, node)
  else node.failedAt = 0 as Millis
}

function setFail(c: Cluster, node: ClusterNode): void {
  node.health = 'fail'
  node.failedAt = c.now
  c.stateDirty = true
  needSaveLearned(c, 'save')
}
