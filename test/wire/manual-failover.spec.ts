/** CLUSTER FAILOVER: the hand-over that loses nothing, and its two blunt forms. */
import assert from 'node:assert/strict'
import { ask, fields, outcome } from '../support/client.ts'
import { type Cluster, keyIn, myself, roleOf, settled, startCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { assertUnharmed, startLoad } from '../support/load.ts'
import type { Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const T = 3000

/** What a replica says on its way to an orderly hand-over. */
const STEPS = [
  /Manual failover user request accepted\./,
  /Received replication offset for paused master manual failover: (\d+)/,
  /All master replication stream processed, manual failover can start\./,
  /Start of election delayed for 0 milliseconds \(rank #0, offset \d+\)\./,
  /Starting a failover election for epoch \d+\./,
  /Failover election won: I'm the new master\./,
]

scenarios('manual failover', ['rookery', 'mixed'], (kinds) => {
  let cluster: Cluster

  before(async () => {
    cluster = await startCluster({ kinds, replicas: 1, nodeTimeoutMs: T })
  })

  const promoted = (node: Server, withinMs: number): Promise<string> =>
    eventually(() => roleOf(node), { what: `${node.port} is a primary`, withinMs, until: (role) => role === 'master' })

  describe('under a write load', () => {
    it('loses no write and leaves none in doubt', async () => {
      const heir = cluster.replicas[0]![0]!
      const load = startLoad({ ports: cluster.nodes.map((node) => node.port) })
      await load.progress(200)
      assert.equal(await ask(heir.port, 'CLUSTER', 'FAILOVER'), 'OK')
      await promoted(heir, 5000)
      await load.progress(1000)
      const report = await load.stop()
      assertUnharmed(report)
      assert.ok(report.longestGapMs < 2000, `a write waited ${report.longestGapMs} ms`)
    })

    it('is told in the log of the new primary, step by step', () => {
      const { log } = cluster.replicas[0]![0]!
      const places = STEPS.map((step) => log.search(step))
      assert.ok(
        places.every((place) => place >= 0),
        `not all steps in\n${log}`,
      )
      assert.deepEqual(
        places,
        places.toSorted((a, b) => a - b),
      )
    })

    it('leaves the old primary a replica that sends its clients on', async () => {
      const [old, heir] = [cluster.primaries[0]!, cluster.replicas[0]![0]!]
      await settled(cluster.nodes)
      assert.equal((await myself(old)).primary, (await myself(heir)).id)
      assert.equal(await outcome(old.port, 'GET', keyIn(0)), `MOVED 0 127.0.0.1:${heir.port}`)
    })

    it('lets the old primary continue the stream instead of copying everything', async () => {
      const stats = await fields(cluster.replicas[0]![0]!.port, 'INFO', 'stats')
      assert.deepEqual([stats['sync_partial_ok'], stats['sync_full']], ['1', '0'])
    })
  })

  describe('in its other forms', () => {
    it('is for replicas only', async () => {
      const reply = await outcome(cluster.primaries[1]!.port, 'CLUSTER', 'FAILOVER')
      assert.equal(reply, 'ERR You should send CLUSTER FAILOVER to a replica')
    })

    it('needs FORCE when the primary is dead, and then need not wait for the node timeout', async () => {
      const [old, heir] = [cluster.primaries[1]!, cluster.replicas[1]![0]!]
      const diedAt = performance.now()
      await old.kill()
      await eventually(() => outcome(heir.port, 'CLUSTER', 'FAILOVER'), {
        what: 'the replica knows that its primary is unreachable',
        withinMs: T,
        until: (reply) => reply === 'ERR Master is down or failed, please use CLUSTER FAILOVER FORCE',
      })
      assert.equal(await ask(heir.port, 'CLUSTER', 'FAILOVER', 'FORCE'), 'OK')
      await promoted(heir, T)
      assert.ok(performance.now() - diedAt < T, 'promoted only after the node timeout')
      await old.restart()
      await settled(cluster.nodes)
      assert.equal(await roleOf(old), 'slave')
    })

    it('needs TAKEOVER when no majority is left to vote', async () => {
      const dead = [cluster.replicas[1]![0]!, cluster.primaries[2]!]
      const heirs = [cluster.primaries[1]!, cluster.replicas[2]![0]!]
      const left = cluster.nodes.filter((node) => !dead.includes(node))
      await Promise.all(dead.map((node) => node.kill()))
      const down = async (): Promise<boolean> => {
        const replies = await Promise.all(left.map((node) => outcome(node.port, 'GET', keyIn(0))))
        return replies.every((reply) => reply === 'CLUSTERDOWN The cluster is down')
      }
      await eventually(down, { what: 'the minority has stopped', withinMs: 2 * T + 3000 })
      const epoch = (await myself(heirs[0]!)).epoch
      for (const heir of heirs) {
        assert.equal(await ask(heir.port, 'CLUSTER', 'FAILOVER', 'TAKEOVER'), 'OK')
        await promoted(heir, 1000)
      }
      assert.ok((await myself(heirs[0]!)).epoch > epoch)
      for (const [i, slot] of [8000, 16000].entries()) {
        const write = (): Promise<string> => outcome(heirs[i]!.port, 'SET', keyIn(slot), 'taken')
        await eventually(write, {
          what: `slot ${slot} is served again`,
          withinMs: 10_000,
          until: (reply) => reply === 'OK',
        })
      }
      await Promise.all(dead.map((node) => node.restart()))
      await settled(cluster.nodes)
      assert.deepEqual(await Promise.all(dead.map(roleOf)), ['slave', 'slave'])
    })
  })
})
