/** Slot loss: a primary that has no replica dies, and every node must say the same of it, whatever it is. */
import assert from 'node:assert/strict'
import { ask, fields, outcome } from '../../support/client.ts'
import { keyIn, roleOf } from '../../support/cluster.ts'
import { eventually } from '../../support/eventually.ts'
import type { Kind, Server } from '../../support/process.ts'
import type { Row } from '../../support/tracks.ts'
import type { Duel } from './failover.ts'
import { NAMES, SPREAD_LIMIT_MS, saidBy, without } from './terms.ts'

const DOWN = 'CLUSTERDOWN The cluster is down'
const READS_ONLY = 'CLUSTERDOWN The cluster is down and only accepts read commands'

/** The slots of the dead primary, of the other voter, and of the shard. */
const [LOST_SLOT, OTHER_SLOT, SHARD_SLOT] = [8000, 16_000, 0] as const

interface Loss {
  readonly title: string
  readonly set: Readonly<Record<string, string>>
  readonly state: 'ok' | 'fail'
  /** Command, slot of its key, and what its owner and everybody else answer; `MOVED` stands for the address of the owner. */
  readonly replies: readonly (readonly [command: string, slot: number, owner: string, others: string])[]
}

const LOSSES: readonly Loss[] = [
  {
    title: 'stops all slots',
    set: {},
    state: 'fail',
    replies: [
      ['GET', LOST_SLOT, '', DOWN],
      ['GET', OTHER_SLOT, DOWN, DOWN],
      ['SET', SHARD_SLOT, DOWN, DOWN],
    ],
  },
  {
    title: 'leaves reads of the others with cluster-allow-reads-when-down yes',
    set: { 'cluster-allow-reads-when-down': 'yes' },
    state: 'fail',
    replies: [
      ['GET', LOST_SLOT, '', 'MOVED'],
      ['GET', OTHER_SLOT, 'v', 'MOVED'],
      ['SET', OTHER_SLOT, READS_ONLY, READS_ONLY],
    ],
  },
  {
    title: 'leaves the other slots with cluster-require-full-coverage no',
    set: { 'cluster-allow-reads-when-down': 'no', 'cluster-require-full-coverage': 'no' },
    state: 'ok',
    replies: [
      ['GET', LOST_SLOT, '', 'MOVED'],
      ['SET', LOST_SLOT, '', 'MOVED'],
      ['SET', OTHER_SLOT, 'OK', 'MOVED'],
      ['SET', SHARD_SLOT, 'OK', 'MOVED'],
    ],
  },
]

async function lose({ cluster, voters }: Duel, { set, state, replies }: Loss): Promise<void> {
  const [lost, other] = [voters[0]!, voters[1]!]
  if (lost.isRunning) {
    await ask(other.port, 'SET', keyIn(OTHER_SLOT), 'v')
    await lost.kill()
  }
  const left = without(cluster.nodes, lost)
  for (const { port } of left)
    for (const [name, value] of Object.entries(set)) await ask(port, 'CONFIG', 'SET', name, value)
  const picture = async ({ port }: Server): Promise<readonly (string | undefined)[]> => {
    const info = await fields(port, 'CLUSTER', 'INFO')
    return ['state', 'slots_assigned', 'slots_ok', 'slots_pfail', 'slots_fail'].map((name) => info[`cluster_${name}`])
  }
  await eventually(() => saidBy(left, picture), {
    what: `all see ${state} and 5462 slots lost`,
    withinMs: SPREAD_LIMIT_MS,
    until: (seen) => seen.every((one) => one.join() === `${state},16384,10922,0,5462`),
  })
  const roles = await saidBy(left, roleOf)
  const leader = left.find((node, i) => node !== other && roles[i] === 'master')!
  const owners = new Map<number, Server>([
    [LOST_SLOT, lost],
    [OTHER_SLOT, other],
    [SHARD_SLOT, leader],
  ])
  for (const [command, slot, atOwner, atOthers] of replies) {
    const owner = owners.get(slot)!
    for (const node of left) {
      const argv = [command, keyIn(slot), ...(command === 'SET' ? ['v'] : [])]
      const expected = node === owner ? atOwner : atOthers
      assert.equal(
        await outcome(node.port, ...argv),
        expected === 'MOVED' ? `MOVED ${slot} ${owner.address}` : expected,
        `${command} ${slot} at ${node.kind}`,
      )
    }
  }
}

/** Rows for the end of a duel: one of its voters is lost for good. */
export const losses = (voter: Kind): Row<Duel>[] =>
  LOSSES.map((loss) => ({
    title: `the loss of a primary without replica (${NAMES[voter]}) ${loss.title}, in the words of both kinds`,
    run: (duel) => lose(duel, loss),
  }))
