/** A simulated cluster of many nodes of the real core and codec, and counters of what its bus carries. Half of the nodes
 *  are primaries, each with one replica. */

import { seededRandom } from '../../lib/base/random.ts'
import { isDataForeign } from '../election.ts'
import type { ClusterNode } from '../state.ts'
import { connectAll, giveFirstWrites, writeConfs } from './boot.ts'
import { createWorld, type World } from './world.ts'

/** What was sent, what it took, and how elections went; since the last `reset`. */
export interface Counters {
  bytes: number
  messages: number
  elections: number
  denied: number
}

export interface Crowd {
  readonly world: World
  readonly shards: number
  readonly counters: Counters
  reset(): void
}

/** Which rules they live by: ours, or redis-server's (`cluster-fast-failover no`). */
export type Rules = 'ours' | 'redis'

/** A cluster of so many shards that has been running for a while. */
export function startCrowd(shards: number, rules: Rules, nodeTimeoutMs: number, seed = 7): Crowd {
  const cast = { nodes: 2 * shards, shards, spare: 0 }
  const counters: Counters = { bytes: 0, messages: 0, elections: 0, denied: 0 }
  const fanOut: number[] = []
  const world = createWorld({
    seed,
    nodes: cast.nodes,
    confs: writeConfs(cast, seededRandom(seed)),
    keepsDisk: () => false,
    keepsLog: false,
    options: { nodeTimeoutMs, fastFailover: rules === 'ours', replicaValidityFactor: 0 },
    watch(_node, _event, effects) {
      for (const effect of effects) {
        if (effect.type === 'send') fanOut.push(effect.links.length)
        else if (effect.type === 'log') countElection(counters, effect.text)
      }
    },
    tap(_node, frame) {
      const copies = fanOut.shift() ?? 0
      counters.bytes += copies * frame.length
      counters.messages += copies
    },
  })
  connectAll(world.network, world.nodes)
  giveFirstWrites(cast, world.nodes)
  world.until(() => world.nodes.every(({ cluster }) => cluster.state === 'ok' && !isDataForeign(cluster)), 60_000)
  return { world, shards, counters, reset: () => void Object.assign(counters, NOTHING) }
}

const NOTHING: Counters = { bytes: 0, messages: 0, elections: 0, denied: 0 }

function countElection(counters: Counters, text: string): void {
  if (text.startsWith('Starting a failover election')) counters.elections++
  if (text.startsWith('Failover auth denied')) counters.denied++
}

/** How long, in virtual ms, until all living nodes count the crashed primaries of these shards as failed, until their
 *  replicas have taken their places, and until everybody knows. */
export interface Failover {
  readonly detectedMs: number
  readonly replacedMs: number
  readonly knownMs: number
}

/** The primaries of these shards crash in one instant. Throws when one of them is not replaced in time. */
export function crashPrimaries({ world, shards }: Crowd, victims: readonly number[], atMostMs: number): Failover {
  const start = world.age
  const ids = victims.map((i) => world.cluster(i).myself.id)
  for (const i of victims) world.crash(i)
  const heirs = victims.map((i) => world.cluster(i + shards))
  const seen = (node: ClusterNode | undefined): boolean => node?.health === 'fail' || node?.slotCount === 0
  world.until(() => heirs.every((c, k) => seen(c.nodes.get(ids[k]!))), atMostMs)
  const detectedMs = world.age - start
  world.until(() => heirs.every(({ myself }) => myself.role === 'primary'), atMostMs)
  const replacedMs = world.age - start
  const owned = heirs.map(({ owners, myself }) => ({ id: myself.id, slot: owners.indexOf(myself) }))
  world.until(() => {
    const living = world.nodes.filter((node) => node.alive)
    return living.every(({ cluster }) => owned.every(({ id, slot }) => cluster.owners[slot]?.id === id))
  }, atMostMs)
  return { detectedMs, replacedMs, knownMs: world.age - start }
}

/** A slot goes from the last primary to the one before, as at the end of a reshard; how long until everybody knows. */
export function moveSlot({ world, shards }: Crowd, atMostMs: number): number {
  const from = world.cluster(shards - 1)
  const to = world.cluster(shards - 2).myself.id
  const slot = from.owners.indexOf(from.myself)
  world.operate(shards - 2, { name: 'setslot', slot, action: 'importing', id: from.myself.id })
  world.operate(shards - 2, { name: 'setslot', slot, action: 'node', id: to })
  return world.until(
    () => world.nodes.every(({ alive, cluster }) => !alive || cluster.owners[slot]?.id === to),
    atMostMs,
  )
}
