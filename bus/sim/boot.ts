/** A whole cluster from the start: the nodes.conf files of one that ran before, as after a power cut of the whole room.
 *  Much cheaper than forming one, and the way most real clusters start on most days. */
import type { Millis } from '../../lib/base/brand.ts'
import type { Random } from '../../lib/base/random.ts'
import { acceptLink, attachInbound, openLink } from '../links.ts'
import { join, type Network } from './network.ts'
import { ipOf, SIM_PORT, type SimNode } from './node.ts'
import { append } from './stream.ts'
import { slotsOfShard } from './world.ts'

/** Who is what: the first `shards` nodes are primaries, the others replicate them in turn, `spare` of them (the last) know
 *  everybody and serve nothing. */
export interface Cast {
  readonly nodes: number
  readonly shards: number
  readonly spare: number
}

/** The nodes.conf of every node. */
export function writeConfs({ nodes, shards, spare }: Cast, random: Random): string[] {
  const numbers = Array.from({ length: nodes }, (_, i) => i)
  const ids = numbers.map(() => random.hex(40))
  const isSpare = (i: number): boolean => i >= nodes - spare
  const lines = numbers.map((i) => {
    const address = `${ids[i]} ${ipOf(i)}:${SIM_PORT}@${SIM_PORT + 10_000}`
    if (isSpare(i)) return [address, `master - 0 0 ${i + 1} connected`] as const
    if (i >= shards) return [address, `slave ${ids[i % shards]} 0 0 ${(i % shards) + 1} connected`] as const
    const slots = slotsOfShard(i, shards)
    return [address, `master - 0 0 ${i + 1} connected ${slots[0]}-${slots.at(-1)}`] as const
  })
  // A shard is called what its first primary is called.
  const names = numbers.map((i) => `${ids[i]}=${ids[isSpare(i) ? i : i % shards]}`)
  const vars = `vars shards ${names.join(',')}\nvars currentEpoch ${nodes} lastVoteEpoch 0\n`
  return numbers.map((me) => {
    const rows = lines.map(([address, rest], i) => `${address} ${i === me ? 'myself,' : ''}${rest}\n`)
    return rows.join('') + vars
  })
}

/** Every shard holds one write, named by a negative number, so that histories of two shards are never taken for one. */
export function giveFirstWrites({ nodes: count, shards, spare }: Cast, nodes: readonly SimNode[]): void {
  for (const { index, data } of nodes.slice(0, count - spare)) {
    append(data, -1 - (index % shards), 1, 0)
    data.count = 1
  }
}

/** Connects everybody with everybody, and lets everybody have heard of everybody some time in the last quarter of a node timeout:
 *  a cluster that has been running for a while. To dial and to greet would be two million messages among 1000 nodes. */
export function connectAll(network: Network, nodes: readonly SimNode[]): void {
  for (const from of nodes) {
    for (const to of nodes) if (to !== from) connect(network, from, to)
  }
  for (const { cluster } of nodes) {
    cluster.effects = [] // dials that need not be made any more
    cluster.shownSlots = cluster.myself.slots.slice()
  }
}

function connect(network: Network, from: SimNode, to: SimNode): void {
  const [near, far] = [from.cluster, to.cluster]
  const row = near.nodes.get(far.myself.id)!
  const link = openLink(near, row)
  link.up = true
  const accepted = to.allocateLinkId()
  acceptLink(far, accepted, from.ip, to.ip)
  attachInbound(far, far.links.get(accepted)!, far.nodes.get(near.myself.id)!)
  join(network, from, link.id, to, accepted)
  const heardAt = (near.now - network.random.below(near.options.nodeTimeoutMs / 4)) as Millis
  // One string for each id in the world: a million of them, each its own, would be read from memory with every message.
  row.id = far.myself.id
  Object.assign(row, { extensionsSupported: true, pongReceivedAt: heardAt, dataReceivedAt: heardAt })
}
