/** Why: what the cluster does, or does not do, in words for a person. The answers come from the very predicates the rules
 *  obey, so that an explanation cannot disagree with what happens. Pure: it looks and changes nothing. */
import { type Millis, type NodeId, SLOT_COUNT } from '../lib/base/brand.ts'
import {
  dataAge,
  type ElectionPhase,
  electionPhase,
  electionsAhead,
  electionTimeoutMs,
  type NoElectionReason,
  refusalText,
  votesNeeded,
  whyNoElection,
} from './election.ts'
import { reportersOf } from './failure.ts'
import { isCovered, rejoinLeftMs, startLeftMs, unreachableVoters } from './health.ts'
import type { Change, Dated, VoteNote } from './history.ts'
import { REFUSALS, whyNoManualFailover } from './manual-failover.ts'
import { type NoMigrationReason, whyNoMigration } from './replica-migration.ts'
import { slotRanges } from './slots.ts'
import { type Cluster, type ClusterNode, isVoter, quorum } from './state.ts'

/** A question, and the lines of its answer. */
export interface Explanation {
  readonly about: string
  readonly lines: readonly string[]
}

/** So many nodes or ranges are named in one list; the rest is counted. */
const NAMED = 8

/** Everything there is to explain now. */
export const explain = (c: Readonly<Cluster>): Explanation[] => [
  { about: 'state', lines: explainState(c as Cluster) },
  { about: 'failing nodes', lines: explainFailing(c as Cluster) },
  { about: 'failover', lines: explainFailover(c as Cluster) },
  { about: 'manual failover', lines: explainManual(c as Cluster) },
  { about: 'votes', lines: explainVotes(c as Cluster) },
  { about: 'replica migration', lines: [explainMigration(c as Cluster)] },
]

/** The topology changes, newest first: when, what, and the cause. */
export const explainHistory = (c: Readonly<Cluster>, count = c.history.length): string[] =>
  c.history
    .slice(-count)
    .reverse()
    .map(({ at, what }) => `${time(at)} ${changeText(c as Cluster, what)}`)

function explainState(c: Cluster): string[] {
  const lines = [`${c.state}, for ${ago(c, c.stateAt)}`]
  const unreachable = unreachableVoters(c)
  const needed = quorum(c)
  const reachable = c.size - unreachable.length
  if (c.size === 0) lines.push('nobody owns slots')
  else if (reachable < needed) {
    lines.push(`no majority: ${reachable} of ${c.size} voters can be reached, ${needed} are needed`)
  }
  for (const node of unreachable.slice(0, NAMED)) lines.push(`cannot reach ${name(c, node.id)}: ${silence(c, node)}`)
  if (!isCovered(c)) lines.push(...uncovered(c))
  if (c.state === 'ok') return lines
  if (startLeftMs(c) > 0) lines.push(`just started: a primary takes no requests for another ${startLeftMs(c)} ms`)
  else if (reachable >= needed && rejoinLeftMs(c) > 0) {
    lines.push(`was in a minority: stays away for another ${rejoinLeftMs(c)} ms, to hear of a new configuration first`)
  }
  return lines
}

/** Which slots nobody serves, and why. */
function uncovered(c: Cluster): string[] {
  const lines: string[] = []
  const free = new Uint8Array(SLOT_COUNT / 8).fill(0xff)
  for (const node of c.nodes.values()) {
    for (let i = 0; i < free.length; i++) free[i]! &= ~node.slots[i]!
    if (node.health !== 'fail' || node.slotCount === 0) continue
    lines.push(`slots ${rangesText(node.slots)}: their owner ${name(c, node.id)} is FAIL`)
  }
  const unbound = rangesText(free)
  if (unbound !== '') lines.push(`slots ${unbound}: nobody owns them`)
  const { requireFullCoverage } = c.options
  lines.push(`cluster-require-full-coverage is ${requireFullCoverage ? 'yes: the others are not served either' : 'no'}`)
  return lines
}

/** Every node that is suspected or failed, and what is missing for the next step. */
function explainFailing(c: Cluster): string[] {
  const lines: string[] = []
  for (const node of c.nodes.values()) {
    if (node.health === 'pfail') {
      const reporters = reportersOf(c, node)
      const agreed = `${reporters.length} of the ${quorum(c)} voters needed agree`
      lines.push(`${name(c, node.id)} is PFAIL (${silence(c, node)}): ${agreed}${list(c, reporters)}`)
    } else if (node.health === 'fail') {
      const since = node.failedAt === 0 ? 'since an unknown time' : `for ${ago(c, node.failedAt)}`
      lines.push(`${name(c, node.id)} is FAIL ${since}: ${heirs(c, node)}`)
    }
  }
  return lines.length > 0 ? lines : ['none']
}

/** Who may take the place of a failed node. */
function heirs(c: Cluster, node: ClusterNode): string {
  if (!isVoter(node)) return 'it owns no slots, nobody needs to replace it'
  const able = node.replicas.filter((replica) => replica.health !== 'fail' && !replica.noFailover)
  if (able.length > 0) return `may be replaced by ${able.map((replica) => name(c, replica.id)).join(', ')}`
  return node.replicas.length === 0 ? 'it had no replica' : 'none of its replicas works and may fail over'
}

const NO_ELECTION: Readonly<Record<NoElectionReason, (c: Cluster) => string>> = {
  'not-a-replica': () => 'no election: we are a primary',
  'primary-unknown': () => 'no election: our primary is not known',
  'primary-not-failing': (c) => `no election: our primary ${name(c, c.myself.primary!.id)} is not FAIL`,
  'failover-disabled': () => 'no election: cluster-replica-no-failover is yes',
  'primary-without-slots': () => 'no election: our primary owns no slots',
  'data-too-old'(c) {
    const { ageMs, limitMs } = dataAge(c)
    const limit = `${seconds(limitMs)} are allowed (cluster-replica-validity-factor ${c.options.replicaValidityFactor})`
    return `no election: our data is too old, ${seconds(ageMs)} where ${limit}`
  },
}

const PHASES: Readonly<Record<ElectionPhase, (c: Cluster) => string>> = {
  schedule: () => 'an election is due and begins with the next tick',
  'waiting-delay'(c) {
    const better = c.election.rank === 0 ? 'no better replica' : `${c.election.rank} better replicas go first`
    const shards = c.options.fastFailover ? electionsAhead(c) : 0
    const others = shards === 0 ? '' : `, and so do the elections of ${shards} other shards`
    return `the election begins in ${c.election.startAt - c.now} ms: rank #${c.election.rank} (${better}${others})`
  },
  request: () => 'votes will be asked for with the next tick',
  'waiting-votes': (c) => `asked for votes ${ago(c, c.election.startAt)} ago: ${tally(c)}`,
  expired(c) {
    const retryMs = c.election.startAt + 2 * electionTimeoutMs(c) - c.now
    return `the election was not won in time: ${tally(c)}; the next one begins in ${retryMs} ms`
  },
  won: (c) => `won: ${tally(c)}`,
}

function explainFailover(c: Cluster): string[] {
  const obstacle = whyNoElection(c)
  if (obstacle) return [NO_ELECTION[obstacle](c)]
  return [PHASES[electionPhase(c)](c)]
}

function tally(c: Cluster): string {
  const { election } = c
  const got = `${election.votes} of the ${votesNeeded(c)} votes needed came in epoch ${election.epoch}${list(c, election.voters)}`
  const silent = [...c.nodes.values()].filter((node) => isVoter(node) && !election.voters.includes(node.id))
  return `${got}; no vote${list(
    c,
    silent.map(({ id }) => id),
  )}`
}

function explainManual(c: Cluster): string[] {
  const { manual } = c
  if (manual.endsAt === 0) {
    const refusal = whyNoManualFailover(c, 'plain')
    return [refusal ? `CLUSTER FAILOVER would answer: ${REFUSALS[refusal]}` : 'CLUSTER FAILOVER would be accepted']
  }
  const left = `gives up in ${manual.endsAt - c.now} ms`
  if (manual.replica) return [`our clients' writes wait for ${name(c, manual.replica.id)} to take over; ${left}`]
  if (manual.canStart) return [`the election may be held; ${left}`]
  if (manual.targetOffset < 0) return [`waits for our primary to stop its writes and tell its offset; ${left}`]
  return [`waits for offset ${manual.targetOffset}, we are at ${c.facts.replicationOffset}; ${left}`]
}

const NO_MIGRATION: Readonly<Record<NoMigrationReason, string>> = {
  'not-a-replica': 'we are a primary',
  'primary-unknown': 'our primary is not known',
  'migration-disabled': 'cluster-allow-replica-migration is no',
  'no-orphan': 'no primary lost its last working replica',
  'primary-has-not-most-replicas': 'our primary has not the most working replicas, or has only us',
  'cluster-down': 'the cluster state is fail',
  barrier: 'our primary would be left with fewer than cluster-migration-barrier replicas',
  'not-the-candidate': 'another replica has a smaller id and moves first',
  'orphaned-too-recently': 'an orphaned primary is given 5 seconds to get a replica otherwise',
}

function explainMigration(c: Cluster): string {
  const obstacle = whyNoMigration(c)
  return obstacle ? `we stay: ${NO_MIGRATION[obstacle]}` : 'we move with the next tick'
}

/** The last words about votes, oldest first. */
function explainVotes(c: Cluster): string[] {
  const lines = c.votes.map((note) => `${time(note.at)} ${voteText(c, note)}`)
  return lines.length > 0 ? lines : ['none']
}

function voteText(c: Cluster, { what }: Dated<VoteNote>): string {
  switch (what.type) {
    case 'asked':
      return `we asked for votes in epoch ${what.epoch}`
    case 'got':
      return `${name(c, what.from)} voted for us in epoch ${what.epoch}`
    case 'gave':
      return `we voted for ${name(c, what.to)} in epoch ${what.epoch}`
    case 'refused':
      return `we did not vote for ${name(c, what.to)} in epoch ${what.epoch}: ${refusalText(what.refusal)}`
  }
}

type Words = { readonly [T in Change['type']]: (c: Cluster, change: Extract<Change, { type: T }>) => string }

const PROMOTED = {
  failure: 'it had failed',
  manual: 'an operator asked for a failover',
  takeover: 'an operator ordered a takeover without votes',
} as const

const FOLLOWED = {
  operator: 'an operator said so',
  'lost-slots': 'it took our last slot, or the last one of our primary',
  'sub-replica': 'our primary became a replica of it',
  orphan: 'it had lost its last working replica',
} as const

const SLOTS = {
  claim: 'the new owner claims them with a higher config epoch',
  update: 'another node told so in an UPDATE',
  operator: 'an operator said so',
  loaded: 'we have keys in them and nobody owned them',
} as const

const STATE = {
  well: 'a majority can be reached and the slots are covered',
  minority: 'no majority of the voters can be reached',
  uncovered: 'slots are not covered',
} as const

const CHANGES: Words = {
  joined: (c, { node, by }) => `${name(c, node)} joined: ${by ? `${name(c, by)} mentioned it` : 'after a handshake'}`,
  forgotten: (c, { node, by }) =>
    `${name(c, node)} forgotten: ${by ? `${name(c, by)} was told to` : 'an operator said so'}`,
  failed: (c, { node, reporters }) => `${name(c, node)} FAIL: a majority reports it${list(c, reporters)}`,
  'declared-failed': (c, { node, by }) => `${name(c, node)} FAIL: ${name(c, by)} saw a majority report it`,
  recovered: (c, { node }) => `${name(c, node)} is back: it answered`,
  promoted(c, { old, epoch, cause, voters }) {
    const votes = cause === 'takeover' ? '' : `, elected${list(c, voters)}`
    return `we took the place of ${name(c, old)} in epoch ${epoch}: ${PROMOTED[cause]}${votes}`
  },
  role: (c, { node, primary }) =>
    `${name(c, node)} is a ${primary ? `replica of ${name(c, primary)}` : 'primary'}: it says so`,
  followed: (c, { primary, cause }) => `we replicate ${name(c, primary)}: ${FOLLOWED[cause]}`,
  slots(c, { first, count, from, to, epoch, cause }) {
    const what = count === 1 ? `slot ${first} went` : `${count} slots from ${first} on went`
    return `${what} from ${name(c, from)} to ${name(c, to)} in epoch ${epoch}: ${SLOTS[cause]}`
  },
  epoch: (c, { epoch, cause, with: other }) =>
    `our config epoch is ${epoch}: ${cause === 'collision' ? `${name(c, other)} had the same` : 'taken by an order'}`,
  state: (_, { state, cause }) => `cluster state ${state}: ${STATE[cause]}`,
}

function changeText(c: Cluster, change: Change): string {
  // The row of a type takes the change of that type, which the type of a table cannot say.
  const words = CHANGES[change.type] as (c: Cluster, change: Change) => string
  return words(c, change)
}

/** A node as people know it: where it is, and the beginning of its id. */
function name(c: Cluster, id: NodeId | undefined): string {
  if (id === undefined) return 'nobody'
  const node = c.nodes.get(id)
  const short = id.slice(0, 8)
  if (node === c.myself) return `us (${short})`
  return node?.ip ? `${node.ip}:${node.port} (${short})` : short
}

/** ": a, b and 3 more", or ": nobody". */
function list(c: Cluster, ids: readonly NodeId[]): string {
  if (ids.length === 0) return ': nobody'
  const named = ids.slice(0, NAMED).map((id) => name(c, id))
  const more = ids.length - named.length
  return `: ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function rangesText(bitmap: Uint8Array): string {
  const ranges = slotRanges(bitmap)
  const named = ranges.slice(0, NAMED).map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))
  const more = ranges.length - named.length
  return named.join(' ') + (more > 0 ? ` and ${more} more ranges` : '')
}

function silence(c: Cluster, node: ClusterNode): string {
  const heardAt = Math.max(node.dataReceivedAt, node.pongReceivedAt) as Millis
  return heardAt === 0 ? 'never heard of since we started' : `last heard of ${ago(c, heardAt)} ago`
}

const ago = (c: Cluster, at: Millis): string => seconds(c.now - at)

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

const time = (at: Millis): string => new Date(at).toISOString()
