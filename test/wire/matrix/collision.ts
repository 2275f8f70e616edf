/** Epoch collision: two nodes that were never introduced, with the same config epoch and a claim to the same slots. */
import { isDeepStrictEqual } from 'node:util'
import { ask } from '../../support/client.ts'
import { meet, myId, nodeLines } from '../../support/cluster.ts'
import { eventually } from '../../support/eventually.ts'
import type { Kind, Server } from '../../support/process.ts'
import type { Row } from '../../support/tracks.ts'
import { NAMES, SPREAD_LIMIT_MS, saidBy } from './terms.ts'

const COLLIDING_EPOCH = 7
const CONTESTED = [5000, 5099] as const

/** Both begin anew; which kind has which id is decided by exchanging their programs. */
export const collides = (greater: Kind, smaller: Kind): Row<readonly Server[]> => ({
  title: `${NAMES[greater]} has the greater id and keeps the epoch; ${NAMES[smaller]} takes a new one, and so the contested slots, in both views`,
  async run(nodes) {
    for (const { port } of nodes) await ask(port, 'CLUSTER', 'RESET', 'HARD')
    const byId = await ordered(nodes)
    for (const [i, kind] of [smaller, greater].entries()) if (byId[i]!.kind !== kind) await byId[i]!.restart(kind)
    for (const [i, { port }] of byId.entries()) {
      await ask(port, 'CLUSTER', 'SET-CONFIG-EPOCH', COLLIDING_EPOCH)
      await ask(port, 'CLUSTER', 'ADDSLOTSRANGE', i * 10_000, i * 10_000 + 99, ...CONTESTED)
    }
    await meet(byId)
    const view = async ({ port }: Server): Promise<readonly unknown[]> => {
      const lines = (await nodeLines(port)).sort((a, b) => (a.id < b.id ? -1 : 1))
      return lines.map(({ epoch, slots }) => [epoch, slots])
    }
    const settledView = [
      [COLLIDING_EPOCH + 1, [[0, 99], CONTESTED]],
      [COLLIDING_EPOCH, [[10_000, 10_099]]],
    ]
    await eventually(() => saidBy(nodes, view), {
      what: 'both see who owns what, under which epoch',
      withinMs: SPREAD_LIMIT_MS,
      until: (views) => views.every((one) => isDeepStrictEqual(one, settledView)),
    })
  },
})

async function ordered(nodes: readonly Server[]): Promise<Server[]> {
  const ids = new Map(await saidBy(nodes, async (node) => [node, await myId(node)] as const))
  return nodes.toSorted((a, b) => (ids.get(a)! < ids.get(b)! ? -1 : 1))
}
