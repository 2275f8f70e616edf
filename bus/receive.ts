/** Receiving: what every message does to what we know of its sender, then what its body asks for. */
import { countVote, grantVote, runElection } from './election.ts'
import { handleEpochCollision } from './epoch.ts'
import { noteAlive, receiveFail } from './failure.ts'
import { mergeGossip } from './gossip.ts'
import { learnOwnAddress, seenAddress, settleIdentity, startHandshake, updateAddress } from './handshake.ts'
import { MESSAGE_FLAGS } from './layout.ts'
import { isOvertaken, learnExtensions, learnProgress, learnRole } from './learn.ts'
import { attachInbound } from './links.ts'
import { continueManualFailover, noteManualOffset, onMfStart } from './manual-failover.ts'
import type { Body, Header, Message, PingBody } from './message.ts'
import {
  acceptClaims,
  answerStaleClaim,
  claimsDiffer,
  leaveSubReplica,
  receiveUpdate,
  remindOfClaims,
} from './ownership.ts'
import { countEntries } from './section.ts'
import { sendPing } from './send.ts'
import type { Cluster, ClusterNode, Link } from './state.ts'
import { findNode, log, trace } from './table.ts'

/** Takes in one valid message. */
export function receive(c: Cluster, link: Link, message: Message): void {
  const { header, body } = message
  c.stats.received[body.type]++
  const sender = findNode(c, header.sender)
  if (sender && sender !== c.myself) {
    attachInbound(c, link, sender)
    learnProgress(c, sender, header)
    noteManualOffset(c, sender, header)
  }
  if (isPing(body)) receivePing(c, link, sender, header, body)
  else if (sender) receiveFromKnown(c, link, sender, message)
  else if (body.type === 'fail') {
    log(c, 'notice', `Ignoring FAIL message from unknown node ${header.sender} about ${body.node}`)
  }
  continueManualFailover(c) // the offset a paused primary told may be the one we are at
  // This message may have said that our primary failed, or that somebody else's election, which ours waits for, is over.
  if (c.options.fastFailover && c.myself.primary?.health === 'fail') runElection(c)
}

const isPing = (body: Body): body is PingBody => body.type === 'ping' || body.type === 'pong' || body.type === 'meet'

/** The order matters: the pong shows us as we were before this message, except for epochs; then who the sender is, where
 *  it is, that it lives, what role it plays, what it owns, and last what it says about others. */
function receivePing(c: Cluster, link: Link, sender: ClusterNode | undefined, header: Header, body: PingBody): void {
  const extended = (header.messageFlags & MESSAGE_FLAGS.extData) !== 0
  const known = sender ? '' : ', whom we do not know'
  trace(c, 'gossip', `${body.type} from ${header.sender}${known}, mentioning ${countEntries(body.gossip)}`)
  // Said in every ping by those that read them. A node may come back as an older program, which does not.
  if (sender) sender.extensionsSupported = extended
  if (body.type !== 'pong') {
    learnOwnAddress(c, link, body.type)
    if (!sender && body.type === 'meet') {
      startHandshake(c, seenAddress(link, header), false)
      mergeGossip(c, sender, body.gossip)
    }
    sendPing(c, link, 'pong', sender?.extensionsSupported ?? extended)
  }
  if (!settleIdentity(c, link, sender, header)) return
  if (link.outbound && body.type === 'pong' && link.node) notePong(c, link.node)
  if (!sender || sender === c.myself || isOvertaken(c, sender, header)) return
  if (body.type === 'ping') updateAddress(c, sender, link, header)
  learnRole(c, sender, header)
  learnClaims(c, sender, header)
  mergeGossip(c, sender, body.gossip)
  learnExtensions(c, sender, body.extensions)
}

function notePong(c: Cluster, node: ClusterNode): void {
  node.pongReceivedAt = c.now
  node.pingSentAt = 0 as typeof c.now
  noteAlive(c, node)
}

function learnClaims(c: Cluster, sender: ClusterNode, header: Header): void {
  if (claimsDiffer(c, sender, header.slots)) {
    if (sender.role === 'primary') acceptClaims(c, sender, header.configEpoch, header.slots, 'claim')
    answerStaleClaim(c, sender, header)
    remindOfClaims(c, sender, header)
  }
  if (sender === c.myself.primary) leaveSubReplica(c)
  if (header.configEpoch === c.myself.configEpoch) handleEpochCollision(c, sender)
}

/** Bodies that only a known node may send. */
function receiveFromKnown(c: Cluster, link: Link, sender: ClusterNode, message: Message): void {
  const body = message.body
  switch (body.type) {
    case 'fail':
      receiveFail(c, sender, body.node)
      break
    case 'publish':
    case 'publishshard':
      c.effects.push({
        type: 'publish',
        sharded: body.type === 'publishshard',
        channel: body.channel,
        message: body.message,
      })
      break
    case 'auth-req':
      grantVote(c, sender, link, message)
      break
    case 'auth-ack':
      countVote(c, sender, message)
      runElection(c)
      break
    case 'update':
      receiveUpdate(c, body.node, body.configEpoch, body.slots)
      break
    case 'mfstart':
      onMfStart(c, sender, link)
      break
    case 'module': // no module of ours listens
      break
  }
}
