/** Replica election: a replica whose primary failed asks all voters for its place, and a majority of them decides.
 *  Both sides are here, the asking and the granting. Each question "may I?" is a pure function whose answer is a reason,
 *  because operators ask the same questions. Specification: "Replica election and promotion". */
import type { Epoch, Millis } from '../lib/base/brand.ts'
import { hasJustFailed } from './failure.ts'
import { evaluateState } from './health.ts'
import { noteVote, record } from './history.ts'
import { MESSAGE_FLAGS } from './layout.ts'
import type { Header, Message } from './message.ts'
import { answerStaleClaim } from './ownership.ts'
import { answer, broadcastBody, broadcastPong, sendPongs } from './send.ts'
import { findSlot, moveSlots } from './slots.ts'
import { type Cluster, type ClusterNode, isVoter, type Link, quorum } from './state.ts'
import { log, makePrimaryRow, needSave, resetManualFailover, trace } from './table.ts'

/** FAIL must reach the voters before our request does, or they deny it: they would still see our primary working. Who
 *  broadcasts FAIL itself just before the request need not wait, because a link keeps the order (fast failover). */
const FAIL_PROPAGATION_MS = 500
/** Replicas that see FAIL at one instant must not all ask at one instant. */
const DESYNC_MS = 500
/** The lead a replica has over the next one with less data. */
const RANK_STEP_MS = 1000
/** Fast failover: how long we wait for the offset of a fellow replica that said nothing since our primary fell silent. */
const RIVALS_SPEAK_MS = 200
/** Fast failover: how long we let the election of each other failed primary go first, if nothing is heard of it. */
const SHARD_STEP_MS = 200
/** An unchanged reason for not failing over is logged this often. */
const REPEAT_REASON_MS = 300_000
/** A failover normally ends well within this time (and the node timeout) after FAIL; reasons before are no news. */
const QUIET_AFTER_FAIL_MS = 5000

/** Why a node holds no election at all. */
export type NoElectionReason =
  | 'not-a-replica'
  | 'primary-unknown'
  | 'primary-not-failing'
  | 'failover-disabled'
  | 'primary-without-slots'
  | 'data-too-old'

/** Where a due election stands. */
export type ElectionPhase = 'schedule' | 'waiting-delay' | 'expired' | 'request' | 'waiting-votes' | 'won'

/** Why a vote is refused, with what the log line needs to say about it. */
export type VoteRefusal =
  | { readonly reason: 'not-a-voter' }
  | { readonly reason: 'old-epoch'; readonly requested: Epoch; readonly current: Epoch }
  | { readonly reason: 'already-voted'; readonly epoch: Epoch }
  | { readonly reason: 'requester-is-primary' }
  | { readonly reason: 'primary-unknown' }
  | { readonly reason: 'primary-working' }
  | { readonly reason: 'voted-recently'; readonly waitMs: number }
  | { readonly reason: 'stale-slot'; readonly slot: number; readonly owned: Epoch; readonly requested: Epoch }

/** Moves our election on, as far as it can go now. Called every tick, and when a vote or an operator changed something. */
export function runElection(c: Cluster): void {
  const obstacle = whyNoElection(c)
  if (obstacle !== undefined) {
    if (obstacle === 'data-too-old') explainDelay(c, obstacle)
    else c.election.cantReason = ''
    return
  }
  const phase = electionPhase(c)
  trace(c, 'election', `${phase}: rank ${c.election.rank}, votes ${c.election.votes} of ${votesNeeded(c)}`)
  if (phase === 'waiting-delay' || phase === 'request') {
    if (c.options.fastFailover) return adjustDelay(c)
    if (yieldToBetterReplicas(c)) return
  }
  PHASES[phase](c)
}

const PHASES: Readonly<Record<ElectionPhase, (c: Cluster) => void>> = {
  schedule: scheduleElection,
  'waiting-delay': (c) => explainDelay(c, 'waiting-delay'),
  expired: (c) => explainDelay(c, 'expired'),
  request: requestVotes,
  'waiting-votes': (c) => explainDelay(c, 'waiting-votes'),
  won: winElection,
}

/** Why we should hold no election; undefined when one is due. A manual failover overrules what protects against failing
 *  over by mistake: the primary works, the operator disabled it, the data is old. */
export function whyNoElection(c: Cluster): NoElectionReason | undefined {
  const { primary, role } = c.myself
  const manual = c.manual.endsAt > 0 && c.manual.canStart
  if (role !== 'replica') return 'not-a-replica'
  if (!primary) return 'primary-unknown'
  if (primary.health !== 'fail' && !manual) return 'primary-not-failing'
  if (c.options.replicaNoFailover && !manual) return 'failover-disabled'
  if (primary.slotCount === 0) return 'primary-without-slots'
  if (dataIsTooOld(c) && !manual) return 'data-too-old'
  return undefined
}

/** What a due election does next. An attempt that was not won in time gives way to the next after a pause, so that
 *  another replica can win in between. */
export function electionPhase(c: Cluster): ElectionPhase {
  const { startAt, sent, votes } = c.election
  const age = c.now - startAt
  if (startAt === 0 || age > 2 * electionTimeoutMs(c)) return 'schedule'
  if (age < 0) return 'waiting-delay'
  if (age > electionTimeoutMs(c)) return 'expired'
  if (!sent) return 'request'
  return votes >= votesNeeded(c) ? 'won' : 'waiting-votes'
}

/** How many votes win: a majority of the voters we know, and of those we knew when we asked them. One whose slots seem to be nobody's, while
 *  the word of its heir is still on its way, has not made a majority smaller. */
export const votesNeeded = (c: Cluster): number => Math.max(quorum(c), c.election.majority)

/** How many replicas of our primary have more data than we have and may fail over: the best has rank 0. With fast
 *  failover no random wait separates two of one rank, so that between equals the smaller id goes first. */
export function replicaRank(c: Cluster): number {
  const mine = c.facts.replicationOffset
  const { fastFailover } = c.options
  return rivals(c).filter(({ id, offset }) => offset > mine || (fastFailover && offset === mine && id < c.myself.id))
    .length
}

/** How long an election of this rank waits. A manual one waits for nothing: the primary stands still for it. */
export function electionDelayMs(c: Cluster, rank: number): number {
  if (c.manual.endsAt > 0) return 0
  if (!c.options.fastFailover) return FAIL_PROPAGATION_MS + c.random.below(DESYNC_MS) + rank * RANK_STEP_MS
  return rank * RANK_STEP_MS + electionsAhead(c) * SHARD_STEP_MS + (rivalsSpoke(c) ? 0 : RIVALS_SPEAK_MS)
}

/** Fast failover: tells our fellow replicas our offset while our primary is silent, each time it moved, so that all know
 *  their ranks by the time it counts as failed. Called every tick. */
export function shareOffset(c: Cluster): void {
  const { primary } = c.myself
  const isSilent = primary !== undefined && primary.pingSentAt !== 0 && !c.facts.primaryLinkUp
  const offset = c.options.fastFailover && isSilent ? c.facts.replicationOffset : -1
  if (offset === c.election.sharedOffset) return
  c.election.sharedOffset = offset
  if (isSilent) broadcastPong(c, 'shard')
}

/** Counts a vote; the caller then runs the election. Only a voter's counts, and only one given for this election. */
export function countVote(c: Cluster, sender: ClusterNode, message: Message): void {
  if (!c.election.sent || !isVoter(sender) || message.header.currentEpoch < c.election.epoch) return
  c.election.votes++
  c.election.voters.push(sender.id)
  noteVote(c, { type: 'got', epoch: c.election.epoch, from: sender.id })
  trace(c, 'election', `a vote by ${sender.id} for epoch ${c.election.epoch}`)
}

/** Answers a request for our vote, with a vote or with silence. The promise "one vote in an epoch" must survive a crash:
 *  it is on disk before the vote leaves. And it leaves on the link the request came on, which is there: our own to the
 *  candidate may be down, just when links break. */
export function grantVote(c: Cluster, sender: ClusterNode, link: Link, message: Message): void {
  const refusal = whyNoVote(c, sender, message.header)
  trace(c, 'election', `${sender.id} asks for our vote: ${refusal?.reason ?? 'granted'}`)
  if (refusal) {
    if (refusal.reason !== 'not-a-voter') {
      noteVote(c, { type: 'refused', epoch: message.header.currentEpoch, to: sender.id, refusal })
      log(c, 'warning', `Failover auth denied to ${sender.id}: ${refusalText(refusal)}`)
    }
    // Its primary may have died before it told its replica of a new epoch: without the news it would ask in vain for ever.
    if (refusal.reason === 'stale-slot') answerStaleClaim(c, sender, message.header)
    return
  }
  noteVote(c, { type: 'gave', epoch: c.currentEpoch, to: sender.id })
  sender.primary!.votedAt = c.now
  c.lastVoteEpoch = c.currentEpoch
  needSave(c, 'fsync')
  answer(c, link, { type: 'auth-ack' })
  log(c, 'warning', `Failover auth granted to ${sender.id} for epoch ${c.currentEpoch}`)
}

/** Why `sender` does not get our vote; undefined when it does. The header rule has already raised our epoch to that of
 *  the request. FORCEACK waives one condition only: that its primary has failed. */
export function whyNoVote(c: Cluster, sender: ClusterNode, request: Header): VoteRefusal | undefined {
  if (!isVoter(c.myself)) return { reason: 'not-a-voter' }
  if (request.currentEpoch < c.currentEpoch) {
    return { reason: 'old-epoch', requested: request.currentEpoch, current: c.currentEpoch }
  }
  if (c.lastVoteEpoch === c.currentEpoch) return { reason: 'already-voted', epoch: c.currentEpoch }
  const { primary } = sender
  const forced = (request.messageFlags & MESSAGE_FLAGS.forceAck) !== 0
  if (sender.role === 'primary') return { reason: 'requester-is-primary' }
  if (!primary) return { reason: 'primary-unknown' }
  if (primary.health !== 'fail' && !forced) return { reason: 'primary-working' }
  // Two elections for one primary too close together would leave the winner of the first no time to be heard of.
  const waitMs = primary.votedAt === 0 ? 0 : primary.votedAt + 2 * c.options.nodeTimeoutMs - c.now
  if (waitMs > 0) return { reason: 'voted-recently', waitMs }
  return staleSlot(c, request)
}

/** Takes the place of our primary: its slots, under our config epoch, are ours from now on. The epoch must have been
 *  won, or taken by an operator's order, before. */
export function promote(c: Cluster, cause: 'failure' | 'manual' | 'takeover'): void {
  const { myself } = c
  const old = myself.primary
  const voters = cause === 'takeover' ? [] : c.election.voters
  record(c, { type: 'promoted', old: old?.id, epoch: myself.configEpoch, cause, voters })
  makePrimaryRow(c, myself)
  if (old) moveSlots(c, old, myself)
  evaluateState(c)
  needSave(c, 'fsync')
  if (old) sendPongs(c, [old]) // after a manual failover its clients wait
  c.effects.push({ type: 'lead' })
  broadcastPong(c, 'all', old)
  resetManualFailover(c)
  // Its votes are spent: should we be a replica again soon, they must not elect us once more.
  c.election.startAt = 0 as Millis
  c.election.sent = false
  c.election.votes = 0
}

/** How long one attempt may take to be won. */
export const electionTimeoutMs = (c: Cluster): number => Math.max(2 * c.options.nodeTimeoutMs, 2000)

function scheduleElection(c: Cluster): void {
  const rank = c.manual.endsAt > 0 ? 0 : replicaRank(c)
  const delayMs = electionDelayMs(c, rank)
  const line = { ahead: electionsAhead(c), aheadSince: c.now }
  Object.assign(c.election, { startAt: c.now + delayMs, scheduledAt: c.now, rank, ...line, sent: false, votes: 0 })
  const offset = c.facts.replicationOffset
  log(c, 'warning', `Start of election delayed for ${delayMs} milliseconds (rank #${rank}, offset ${offset}).`)
  if (delayMs === 0) requestVotes(c)
  else broadcastPong(c, 'shard') // our offset, for the others to rank themselves by while we all wait
}

/** Fast failover: judges the delay anew by what was heard since, and asks for votes when it is over. */
function adjustDelay(c: Cluster): void {
  const { election } = c
  const rank = replicaRank(c)
  const startAt = Math.max(election.scheduledAt + electionDelayMs(c, rank), turnAt(c, rank)) as Millis
  if (rank !== election.rank) {
    const [verb, ms] =
      startAt > election.startAt ? ['added', startAt - election.startAt] : ['removed', election.startAt - startAt]
    log(c, 'warning', `Replica rank updated to #${rank}, ${verb} ${ms} milliseconds of delay.`)
  }
  Object.assign(election, { startAt, rank })
  if (c.now >= startAt) requestVotes(c)
  else explainDelay(c, 'waiting-delay')
}

/** When it is our turn, with so many elections ahead: the time we leave each of them runs from when the line last moved. Were it to
 *  run from the failure, a line that needs longer than the first of its steps would be overrun by all who are left in it. */
function turnAt(c: Cluster, rank: number): number {
  const { election } = c
  const ahead = electionsAhead(c)
  if (ahead < election.ahead) election.aheadSince = c.now
  election.ahead = ahead
  return election.aheadSince + rank * RANK_STEP_MS + ahead * SHARD_STEP_MS
}

/** The other replicas of our primary that may take its place. */
function rivals(c: Cluster): ClusterNode[] {
  const replicas = c.myself.primary?.replicas ?? []
  return replicas.filter(
    (node) => node !== c.myself && !node.noFailover && (!c.options.fastFailover || node.health !== 'fail'),
  )
}

/** Whether every rival told its offset since our primary fell silent. The stream has ended: it will not grow any more. */
function rivalsSpoke(c: Cluster): boolean {
  const silentSince = c.myself.primary?.dataReceivedAt ?? 0
  return rivals(c).every((node) => node.offsetAt > silentSince)
}

/** How many elections of other shards should go before ours: those of failed (or suspected) primaries with a smaller id
 *  and a replica that can win. A voter has one vote in an epoch: were all to ask at once when many primaries fail at once,
 *  the votes would be split among them, and bound for two node timeouts. A winner shows itself to all, which lets the next
 *  go on at once. */
export function electionsAhead(c: Cluster): number {
  const ours = c.myself.primary
  let ahead = 0
  for (const node of c.nodes.values()) {
    if (node.health === 'ok' || !isVoter(node) || node === ours || (ours && node.id > ours.id)) continue
    if (node.replicas.some((replica) => replica.health === 'ok' && !replica.noFailover)) ahead++
  }
  return ahead
}

/** A better replica showed itself while we waited: then we wait longer, and true is returned. A worse one does not make
 *  us wait less. */
function yieldToBetterReplicas(c: Cluster): boolean {
  const rank = replicaRank(c)
  if (c.manual.endsAt > 0 || rank <= c.election.rank) return false
  const addedMs = (rank - c.election.rank) * RANK_STEP_MS
  c.election.startAt = (c.election.startAt + addedMs) as Millis
  c.election.rank = rank
  log(c, 'warning', `Replica rank updated to #${rank}, added ${addedMs} milliseconds of delay.`)
  return true
}

/** A new epoch to hold an election in. It is on disk before the request leaves, so that no restart can ask for it a second time. */
export function takeElectionEpoch(c: Cluster): Epoch {
  c.currentEpoch = (c.currentEpoch + 1) as Epoch
  needSave(c, 'fsync')
  c.stateDirty = true
  return c.currentEpoch
}

/** Asks every node for its vote in a new epoch: that which was taken before our primary's clients began to wait, if nobody took it
 *  too, by an operator's order perhaps, or a higher one since. */
function requestVotes(c: Cluster): void {
  const isShared = [...c.nodes.values()].some((node) => node.configEpoch >= c.currentEpoch)
  if (c.manual.epoch !== c.currentEpoch || isShared) takeElectionEpoch(c)
  c.manual.epoch = undefined // one request for each
  Object.assign(c.election, { epoch: c.currentEpoch, sent: true, votes: 0, majority: quorum(c), voters: [] })
  noteVote(c, { type: 'asked', epoch: c.currentEpoch })
  log(c, 'warning', `Starting a failover election for epoch ${c.currentEpoch}.`)
  const primary = c.myself.primary
  if (c.options.fastFailover && primary && hasJustFailed(c, primary)) {
    broadcastBody(c, { type: 'fail', node: primary.id })
  }
  broadcastBody(c, { type: 'auth-req' }, c.manual.endsAt > 0 ? MESSAGE_FLAGS.forceAck : 0)
}

function winElection(c: Cluster): void {
  log(c, 'warning', "Failover election won: I'm the new master.")
  if (c.myself.configEpoch < c.election.epoch) {
    c.myself.configEpoch = c.election.epoch
    log(c, 'warning', `configEpoch set to ${c.myself.configEpoch} after successful failover`)
  }
  promote(c, c.manual.endsAt > 0 ? 'manual' : 'failure')
}

/** Data is too old when we heard nothing from the primary for so long that more than the failure itself went by unseen. */
function dataIsTooOld(c: Cluster): boolean {
  const { ageMs, limitMs } = dataAge(c)
  return ageMs > limitMs
}

/** How old our data is, and how old it may be to be elected. The node timeout is free of charge: detecting the failure
 *  took that long. Whole seconds, as real servers count. Data of another shard are as old as can be: a real server takes
 *  the time of its last contact with the primary it had before, and may be elected with data of other slots. */
export function dataAge(c: Cluster): { readonly ageMs: number; readonly limitMs: number } {
  const { nodeTimeoutMs, replicaValidityFactor, replPingReplicaPeriodSec } = c.options
  const lastSeenAt = isDataForeign(c) ? 0 : c.facts.primaryLastSeenAt
  const silentMs = (Math.floor(c.now / 1000) - Math.floor(lastSeenAt / 1000)) * 1000
  const ageMs = silentMs > nodeTimeoutMs ? silentMs - nodeTimeoutMs : silentMs
  const limitMs = replPingReplicaPeriodSec * 1000 + nodeTimeoutMs * replicaValidityFactor
  return { ageMs, limitMs: replicaValidityFactor === 0 ? Number.POSITIVE_INFINITY : limitMs }
}

/** Whether we follow a primary of another shard than before and have not synchronised with it yet. */
export const isDataForeign = (c: Cluster): boolean => c.foreignSyncs === c.facts.primarySyncs

/** Whether the request claims a slot that somebody owns by a higher config epoch than the requester's primary had: then
 *  what it knows is history, and it must learn before it may lead. */
function staleSlot(c: Cluster, request: Header): VoteRefusal | undefined {
  const slot = findSlot(request.slots, c.unclaimed, (s) => {
    const owner = c.owners[s]
    return owner !== undefined && owner.configEpoch > request.configEpoch
  })
  if (slot === undefined) return undefined
  return { reason: 'stale-slot', slot, owned: c.owners[slot]!.configEpoch, requested: request.configEpoch }
}

/** A refusal as the log says it. */
export function refusalText(refusal: VoteRefusal): string {
  switch (refusal.reason) {
    case 'not-a-voter':
      return 'I have no vote'
    case 'old-epoch':
      return `reqEpoch (${refusal.requested}) < curEpoch(${refusal.current})`
    case 'already-voted':
      return `already voted for epoch ${refusal.epoch}`
    case 'requester-is-primary':
      return 'it is a master node'
    case 'primary-unknown':
      return "I don't know its master"
    case 'primary-working':
      return 'its master is up'
    case 'voted-recently':
      return `can't vote about this master before ${refusal.waitMs} milliseconds`
    case 'stale-slot':
      return `slot ${refusal.slot} epoch (${refusal.owned}) > reqEpoch (${refusal.requested})`
  }
}

const DELAY_TEXTS = {
  'data-too-old':
    'Disconnected from master for longer than allowed. ' +
    "Please check the 'cluster-replica-validity-factor' configuration option.",
  'waiting-delay': 'Waiting the delay before I can start a new failover.',
  expired: 'Failover attempt expired.',
  'waiting-votes': 'Waiting for votes, but majority still not reached.',
} as const

/** Says in the log why a due failover does not happen: not at once, and not again and again. */
function explainDelay(c: Cluster, reason: keyof typeof DELAY_TEXTS): void {
  const { election, myself, now } = c
  if (reason === election.cantReason && now - election.cantLoggedAt < REPEAT_REASON_MS) return
  election.cantReason = reason
  const primary = myself.primary
  const failedForMs = primary?.health === 'fail' ? now - primary.failedAt : Number.POSITIVE_INFINITY
  if (failedForMs < c.options.nodeTimeoutMs + QUIET_AFTER_FAIL_MS) return
  election.cantLoggedAt = now
  log(c, 'warning', `Currently unable to failover: ${DELAY_TEXTS[reason]}`)
}
