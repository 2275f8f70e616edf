/** The safety rules of the specification, checked from outside at every step of every node, with a memory that no crash can
 *  touch. Each rule looks only at what its step can have changed. */
import type { NodeId } from '../../lib/base/brand.ts'
import type { Effect } from '../effect.ts'
import type { Event } from '../event.ts'
import { type Cluster, type ClusterNode, isVoter } from '../state.ts'
import type { SimNode } from './node.ts'

/** A rule that was broken. Thrown through the world, it ends the trial. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly rule: string
  constructor(rule: string, what: string) {
    super(`${rule}: ${what}`)
    this.rule = rule
  }
}

/** What a step did, as a rule sees it. */
export interface Step {
  readonly node: SimNode
  readonly c: Cluster
  readonly event: Event
  readonly effects: readonly Effect[]
  /** World time. */
  readonly at: number
}

/** What was ever promised, by whom. */
export interface Memory {
  readonly nodeTimeoutMs: number
  readonly blacklistTtlMs: number
  /** How long a report may be on its way, or wait for its reader to wake up. */
  readonly reportDelayMs: number
  /** `voter epoch` -> for whom. */
  readonly votes: Map<string, NodeId>
  /** `candidate epoch` -> voters. */
  readonly voters: Map<string, Set<NodeId>>
  /** `candidate epoch` of every request for votes. */
  readonly requests: Set<string>
  /** Config epoch -> who claimed which slots with it. */
  readonly claims: Map<number, Map<NodeId, Uint8Array>>
  /** Config epochs somebody took without asking: two may take the same, until gossip finds out. */
  readonly unasked: Set<number>
  /** By node number. */
  readonly nodes: NodeMemory[]
  /** When everything was healed; reports and forgotten nodes are of no interest after that. */
  healed: boolean
}

interface NodeMemory {
  id: NodeId
  life: number
  currentEpoch: number
  /** As of the last fsync. */
  safe: { currentEpoch: number; lastVoteEpoch: number }
  claimedEpoch: number
  claimed: Uint8Array | undefined
  /** How many voters it knew when its last step was over: who comes to light in a step counts from the next one on. */
  voters: number
  /** Whom it was told to forget -> until when, by its own clock. */
  readonly forgotten: Map<NodeId, number>
  /** Whom it suspects, or suspected until that world time. */
  readonly suspects: Map<NodeId, number>
  /** World time of its last step: who is down suspects nobody any more. */
  lastAt: number
}

export function createMemory(given: Pick<Memory, 'nodeTimeoutMs' | 'blacklistTtlMs' | 'reportDelayMs'>): Memory {
  return {
    ...given,
    votes: new Map(),
    voters: new Map(),
    requests: new Set(),
    claims: new Map(),
    unasked: new Set(),
    nodes: [],
    healed: false,
  }
}

/** Checks a step. Throws a Violation. */
export function check(memory: Memory, step: Step): void {
  const mine = recall(memory, step)
  checkEpochs(mine, step)
  noteUnasked(memory, step)
  checkForgotten(memory, mine, step)
  for (const effect of step.effects) {
    if (effect.type === 'save') noteSave(memory, mine, step, effect.fsync)
    else if (effect.type === 'save-later') noteSave(memory, mine, step, false)
    else if (effect.type === 'send') checkMessage(memory, mine, step, effect)
    else if (effect.type === 'lead') checkPromotion(memory, step)
    else if (effect.type === 'log' && effect.text.endsWith('(quorum reached).')) checkAgreement(memory, mine, step)
  }
  if (step.effects.length > 0) mine.voters = countVoters(step.c)
  mine.lastAt = step.at
}

/** Which two living primaries have the same config epoch; undefined when none have, as it must be once gossip has settled. */
export function whyNotUnique(nodes: readonly SimNode[]): string | undefined {
  const owners = new Map<number, NodeId>()
  for (const { alive, cluster } of nodes) {
    const { role, configEpoch, id } = cluster.myself
    if (!alive || role !== 'primary') continue
    const other = owners.get(configEpoch)
    if (other) return `${other} and ${id} both have config epoch ${configEpoch}`
    owners.set(configEpoch, id)
  }
  return undefined
}

/** What is remembered of the node, brought up to date with restarts and new names. */
function recall(memory: Memory, step: Step): NodeMemory {
  const { node, c, at } = step
  let mine = memory.nodes[node.index]
  if (!mine || mine.id !== c.myself.id) {
    const { currentEpoch, lastVoteEpoch } = c
    mine = {
      id: c.myself.id,
      life: node.life,
      currentEpoch,
      safe: { currentEpoch, lastVoteEpoch },
      claimedEpoch: 0,
      claimed: undefined,
      voters: countVoters(c),
      forgotten: new Map(),
      suspects: new Map(),
      lastAt: at,
    }
    memory.nodes[node.index] = mine
  } else if (mine.life !== node.life) {
    mine.life = node.life
    mine.forgotten.clear()
    for (const [id, until] of mine.suspects) mine.suspects.set(id, Math.min(until, at))
    noteSuspects(mine, step) // as its file says, which may be an old one
    mine.currentEpoch = mine.safe.currentEpoch
    if (c.lastVoteEpoch < mine.safe.lastVoteEpoch) {
      throw new Violation('vote-survives', `${mine.id} forgot its vote in epoch ${mine.safe.lastVoteEpoch}`)
    }
  }
  return mine
}

/** A node's epoch never goes back, not even over a restart. */
function checkEpochs(mine: NodeMemory, { c }: Step): void {
  if (c.currentEpoch < mine.currentEpoch) {
    throw new Violation('epochs-grow', `${mine.id} went back from epoch ${mine.currentEpoch} to ${c.currentEpoch}`)
  }
  mine.currentEpoch = c.currentEpoch
}

/** A config epoch taken without asking (SETSLOT NODE, TAKEOVER, BUMPEPOCH, a collision) is one node's own idea. */
function noteUnasked(memory: Memory, { c, effects }: Step): void {
  for (const effect of effects) {
    if (effect.type === 'log' && /^New configEpoch set|^WARNING: configEpoch collision/.test(effect.text)) {
      memory.unasked.add(c.myself.configEpoch)
    }
  }
}

/** A forgotten node stays forgotten as long as the blacklist says, unless somebody introduces it anew. */
function checkForgotten(memory: Memory, mine: NodeMemory, { c, event }: Step): void {
  if (event.type === 'operator') {
    const { operation } = event
    if (operation.name === 'forget' && isNewlyForgotten(c, operation.id)) {
      mine.forgotten.set(operation.id as NodeId, c.now + memory.blacklistTtlMs)
    }
    // Whoever meets somebody may well have been told to: from here on nothing is certain.
    if (operation.name === 'meet' || operation.name === 'reset')
      for (const node of memory.nodes) node?.forgotten.clear()
  }
  if (memory.healed) return
  for (const [id, until] of mine.forgotten) {
    if (c.now >= until) mine.forgotten.delete(id)
    else if (c.nodes.has(id)) throw new Violation('forgotten', `${mine.id} knows ${id} again, told to forget it`)
  }
}

const isNewlyForgotten = (c: Cluster, id: string): boolean =>
  c.blacklist.has(id as NodeId) && !c.nodes.has(id as NodeId) && id !== c.myself.id

/** What a save makes durable, and what the node now says of slots and of others. */
function noteSave(memory: Memory, mine: NodeMemory, step: Step, fsync: boolean): void {
  const { c } = step
  if (fsync) mine.safe = { currentEpoch: c.currentEpoch, lastVoteEpoch: c.lastVoteEpoch }
  checkClaims(memory, mine, c)
  noteSuspects(mine, step)
}

/** At most one owner of a slot in each config epoch, and no primary's config epoch goes back. */
function checkClaims(memory: Memory, mine: NodeMemory, { myself, now }: Cluster): void {
  if (!isVoter(myself)) {
    mine.claimed = undefined
    return
  }
  const { configEpoch, id, slots } = myself
  if (configEpoch === mine.claimedEpoch && mine.claimed && Buffer.compare(slots, mine.claimed) === 0) return
  if (configEpoch < mine.claimedEpoch) {
    throw new Violation('epochs-grow', `${id} claims slots with ${configEpoch} after ${mine.claimedEpoch} (${now})`)
  }
  mine.claimedEpoch = configEpoch
  mine.claimed = slots.slice()
  const claims = memory.claims.get(configEpoch) ?? new Map<NodeId, Uint8Array>()
  memory.claims.set(configEpoch, claims.set(id, mine.claimed))
  if (memory.unasked.has(configEpoch)) return
  for (const [other, theirs] of claims) {
    if (other === id || !slots.some((byte, i) => (byte & theirs[i]!) !== 0)) continue
    throw new Violation('one-owner', `${other} and ${id} both own slots in config epoch ${configEpoch}`)
  }
}

function noteSuspects(mine: NodeMemory, { c, at }: Step): void {
  for (const { id, health } of c.nodes.values()) {
    if (health !== 'ok') mine.suspects.set(id, Number.POSITIVE_INFINITY)
    else if (mine.suspects.get(id) === Number.POSITIVE_INFINITY) mine.suspects.set(id, at)
  }
}

function checkMessage(memory: Memory, mine: NodeMemory, step: Step, effect: Extract<Effect, { type: 'send' }>): void {
  const { header, body } = effect.message
  if (body.type === 'auth-req') checkRequest(memory, mine, header.currentEpoch)
  else if (body.type === 'fail') checkTold(memory, mine, step, body.node)
  else if (body.type === 'auth-ack') {
    const candidate = step.c.links.get(effect.links[0]!)?.node
    if (candidate) checkVote(memory, mine, candidate, header.currentEpoch)
  }
}

/** An epoch is asked for once, and is on disk before. */
function checkRequest(memory: Memory, mine: NodeMemory, epoch: number): void {
  const key = `${mine.id} ${epoch}`
  if (memory.requests.has(key)) throw new Violation('one-request', `${mine.id} asks for votes in ${epoch} again`)
  memory.requests.add(key)
  if (mine.safe.currentEpoch < epoch) throw new Violation('disk-first', `${mine.id} asks in ${epoch}, not saved`)
}

/** One vote for each voter and epoch, and it is on disk before it is on the wire. */
function checkVote(memory: Memory, mine: NodeMemory, candidate: ClusterNode, epoch: number): void {
  const key = `${mine.id} ${epoch}`
  const other = memory.votes.get(key)
  if (other) throw new Violation('one-vote', `${mine.id} votes for ${candidate.id} in ${epoch}, after ${other}`)
  memory.votes.set(key, candidate.id)
  const place = `${candidate.id} ${epoch}`
  const voters = memory.voters.get(place) ?? new Set()
  memory.voters.set(place, voters.add(mine.id))
  if (mine.safe.lastVoteEpoch < epoch) throw new Violation('disk-first', `${mine.id} votes in ${epoch}, not saved`)
}

/** Who takes its primary's place had the votes of a majority in the epoch it claims the slots with; TAKEOVER apart, and epochs that an
 *  operator made it take between request and promotion. */
function checkPromotion(memory: Memory, { c, event }: Step): void {
  const { id, configEpoch } = c.myself
  if (event.type === 'operator' && event.operation.name !== 'failover') return
  if (event.type === 'operator' && event.operation.name === 'failover' && event.operation.mode === 'takeover') return
  const epoch = memory.unasked.has(configEpoch) ? c.election.epoch : configEpoch
  const votes = memory.voters.get(`${id} ${epoch}`)?.size ?? 0
  const voters = countVoters(c)
  if (votes * 2 > voters) return
  throw new Violation('majority', `${id} was promoted in ${configEpoch} by ${votes} votes of ${voters}`)
}

/** A majority agreed that a node fails: each of them suspected it a short while ago, not only once upon a time. */
function checkAgreement(memory: Memory, mine: NodeMemory, { c, effects, at }: Step): void {
  if (memory.healed) return
  const recently = at - 2 * memory.nodeTimeoutMs - memory.reportDelayMs
  for (const effect of effects) {
    const id = effect.type === 'log' ? /^Marking node (\w+) as failing/.exec(effect.text)?.[1] : undefined
    if (!id) continue
    const believers = believersOf(memory, mine, id as NodeId, recently)
    if (isVoter(c.myself)) believers.push(c.myself.id)
    const voters = Math.min(mine.voters, countVoters(c))
    if (believers.length * 2 > voters) continue
    throw new Violation(
      'agreement',
      `${c.myself.id} marks ${id} FAIL, suspected lately by ${believers.join(' ')} of ${voters}`,
    )
  }
}

/** Who tells that a node failed, to have a vote that would be refused without, tells no old story: somebody else still says so, or
 *  did a short while ago. */
function checkTold(memory: Memory, mine: NodeMemory, { c, at }: Step, id: NodeId): void {
  if (memory.healed || isVoter(c.myself)) return
  const recently = at - 4 * memory.nodeTimeoutMs - memory.reportDelayMs
  if (believersOf(memory, mine, id, recently).length > 0) return
  throw new Violation('agreement', `${mine.id} tells that ${id} failed, which nobody else has suspected lately`)
}

/** The others that own, or owned, slots and suspect a node, or did since. The word of a voter counts as long as it is recent,
 *  whatever became of the voter. */
function believersOf(memory: Memory, mine: NodeMemory, id: NodeId, since: number): NodeId[] {
  return memory.nodes
    .filter((other) => other !== mine && other.claimedEpoch > 0)
    .filter(({ suspects, lastAt }) => Math.min(suspects.get(id) ?? Number.NEGATIVE_INFINITY, lastAt) >= since)
    .map((other) => other.id)
}

function countVoters(c: Cluster): number {
  let count = 0
  for (const node of c.nodes.values()) if (isVoter(node)) count++
  return count
}
