/** The cluster core: one event in, effects out. It decides and never acts: no I/O, no clock, no randomness but what it is
 *  given, so the same code runs in a node and in the simulator. */
import { unreachable } from '../lib/base/assert.ts'
import type { Millis } from '../lib/base/brand.ts'
import { refreshMyself } from './announce.ts'
import type { Effect } from './effect.ts'
import { runElection, shareOffset } from './election.ts'
import type { Answer, Event } from './event.ts'
import { tellSuspicions } from './failure.ts'
import { greet, keepInTouch, loseLink, pingSomebody, tendLinks } from './gossip.ts'
import { evaluateState, watchMajority } from './health.ts'
import { acceptLink } from './links.ts'
import { advanceManualFailover, checkManualFailover, continueManualFailover } from './manual-failover.ts'
import { operate } from './operator.ts'
import { claimLoadedSlots } from './ownership.ts'
import { receive } from './receive.ts'
import { considerMigration } from './replica-migration.ts'
import { broadcastBody, broadcastToShard, showGains } from './send.ts'
import { slotsStillLost } from './slots.ts'
import type { Cluster } from './state.ts'
import { startReplication } from './table.ts'

/** The random ping leaves at every tenth tick: once a second. */
const TICKS_PER_RANDOM_PING = 10

/** Advances the cluster by one event. Same state, event and time: same effects. */
export function step(c: Cluster, event: Event, now: Millis): readonly Effect[] {
  c.now = now // one instant for every decision of this step
  checkManualFailover(c)
  let answer: Effect | undefined
  switch (event.type) {
    case 'tick':
      tick(c)
      break
    case 'message':
    case 'link-up':
    case 'link-down':
      onLink(c, event)
      break
    case 'accepted':
      acceptLink(c, event.link, event.remoteIp, event.localIp)
      break
    case 'operator':
      answer = { type: 'answer', answer: operate(c, event.operation) as Answer | undefined }
      break
    case 'publish':
      publish(c, event)
      break
    case 'options-changed':
      refreshMyself(c)
      break
    case 'turn-end':
      continueManualFailover(c) // our stream may have reached the offset in this turn
      break
    case 'loaded':
      claimLoadedSlots(c, event.slotsWithKeys)
      break
    default:
      unreachable(event) // a new event does not compile until it is handled
  }
  // What an operator does in one transaction (redis-cli deletes a slot and adds it back) is judged as a whole, at its end.
  if (c.untold.length > 0) tellSuspicions(c)
  if (c.stateDirty && event.type !== 'operator') evaluateState(c)
  return takeEffects(c, answer)
}

/** Every 100 ms: links, pings, suspicions; then replication, elections and migration if we are a replica; then the state
 *  of the cluster, as long as it is not well. */
function tick(c: Cluster): void {
  c.tickCount++
  refreshMyself(c)
  tendLinks(c)
  if (c.tickCount % TICKS_PER_RANDOM_PING === 0) pingSomebody(c)
  keepInTouch(c)
  showGains(c)
  const primary = c.myself.primary
  if (primary && !c.facts.hasPrimaryTarget) startReplication(c, primary)
  if (c.myself.role === 'replica') {
    advanceManualFailover(c)
    shareOffset(c)
    runElection(c)
    considerMigration(c)
  }
  watchMajority(c)
  if (c.state === 'fail') c.stateDirty = true
}

/** What comes over a link; of one that was closed meanwhile nothing counts any more. */
function onLink(c: Cluster, event: Extract<Event, { type: 'message' | 'link-up' | 'link-down' }>): void {
  const link = c.links.get(event.link)
  if (!link) return
  if (event.type === 'message') receive(c, link, event.message)
  else if (event.type === 'link-down') loseLink(c, link)
  else {
    link.up = true
    greet(c, link)
  }
}

/** A channel message goes to every node; a sharded one only to the nodes of our shard, which serve the same slots. */
function publish(c: Cluster, event: Extract<Event, { type: 'publish' }>): void {
  const { channel, message } = event
  if (event.sharded) broadcastToShard(c, { type: 'publishshard', channel, message })
  else broadcastBody(c, { type: 'publish', channel, message })
}

/** Hands out what was decided, in the order it must happen: what must be on disk comes before anything that leaves. */
function takeEffects(c: Cluster, answer: Effect | undefined): readonly Effect[] {
  const effects = c.effects
  if (c.unsaved === 'later') effects.push({ type: 'save-later' })
  if (c.unsaved === 'save' || c.unsaved === 'fsync') effects.unshift({ type: 'save', fsync: c.unsaved === 'fsync' })
  else if (c.unsavedSlot !== undefined) effects.unshift({ type: 'save-slot', ...c.unsavedSlot })
  if (c.lostSlots.size > 0) {
    const slots = slotsStillLost(c)
    if (slots.length > 0) effects.push({ type: 'slots-lost', slots })
    c.lostSlots.clear()
  }
  if (answer) effects.push(answer)
  c.effects = []
  c.unsaved = 'no'
  c.unsavedSlot = undefined
  return effects
}
