/** Failure detection: PFAIL is what one node suspects, FAIL is what a majority of voters agreed on. */
import type { NodeId } from '../lib/base/brand.ts'
import { broadcastBody } from './send.ts'
import { type Cluster, type ClusterNode, isVoter, quorum } from './state.ts'
import { log, needSave } from './table.ts'

/** Reports older than this many node timeouts no longer count, and a primary that comes back after as many, and was not
 *  replaced, is taken back. */
const VALIDITY_TIMEOUTS = 2

/** Suspects a node that has an unanswered ping and has shown no other sign of life for a node timeout. Any data counts:
 *  a node too busy to answer pings but busy sending is not dead. */
export function suspectIfSilent(c: Cluster, node: ClusterNode): void {
  if (node.pingSentAt === 0 || node.health !== 'ok') return
  const silence = Math.min(c.now - node.pingSentAt, c.now - node.dataReceivedAt)
  if (silence <= c.options.nodeTimeoutMs) return
  log(c, 'debug', `*** NODE ${node.id} possibly failing`)
  node.health = 'pfail'
  c.stateDirty = true
  needSave(c, 'save')
  markFailing(c, node) // ours may be the vote that was missing
}

/** Takes one voter's word about a node: that it is failing, or that it is not. */
export function noteReport(c: Cluster, node: ClusterNode, reporter: ClusterNode, failing: boolean): void {
  const reports = node.failureReports
  if (!failing) {
    if (reports.delete(reporter)) log(c, 'verbose', `Node ${reporter.id} reported node ${node.id} is back online.`)
    return
  }
  if (!isVoter(reporter)) return
  if (!reports.has(reporter)) log(c, 'verbose', `Node ${reporter.id} reported node ${node.id} as not reachable.`)
  reports.set(reporter, c.now)
  markFailing(c, node)
}

/** How many recent failure reports a node has; older ones are dropped. */
export function countReports(c: Cluster, node: ClusterNode): number {
  for (const [reporter, at] of node.failureReports) {
    if (c.now - at > VALIDITY_TIMEOUTS * c.options.nodeTimeoutMs) node.failureReports.delete(reporter)
  }
  return node.failureReports.size
}

/** PFAIL becomes FAIL once a majority of voters (primaries that own slots, ourselves included) report it.
 *  Agreement is weak, so it must at least be recent: reports older than two node timeouts do not count. Replicas do this
 *  too, without a vote of their own. */
export function markFailing(c: Cluster, node: ClusterNode): void {
  if (node.health !== 'pfail') return
  if (countReports(c, node) + (isVoter(c.myself) ? 1 : 0) < quorum(c)) return
  log(c, 'notice', `Marking node ${node.id} as failing (quorum reached).`)
  setFail(c, node)
  broadcastBody(c, { type: 'fail', node: node.id })
}

/** A FAIL message: the sender saw the majority. It is believed at once and not passed on, the sender told everybody. */
export function receiveFail(c: Cluster, sender: ClusterNode, id: NodeId): void {
  const node = c.nodes.get(id)
  if (!node || node === c.myself || node.health === 'fail') return
  log(c, 'notice', `FAIL message received from ${sender.id} about ${id}`)
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
    } else if (c.now - node.failedAt > VALIDITY_TIMEOUTS * c.options.nodeTimeoutMs) {
      const why = 'is reachable again and nobody is serving its slots after some time.'
      log(c, 'notice', `Clear FAIL state for node ${node.id}: ${why}`)
    } else return
  }
  node.health = 'ok'
  c.stateDirty = true
  needSave(c, 'save')
}

function setFail(c: Cluster, node: ClusterNode): void {
  node.health = 'fail'
  node.failedAt = c.now
  c.stateDirty = true
  needSave(c, 'save')
}
