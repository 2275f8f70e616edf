/** Failover after kill -9 with and without fast failover, and with real servers as the voters: what each side says in its log, in order,
 *  and what CLUSTER WHY says afterwards. How long it takes is for bench/failover.ts. */
import assert from 'node:assert/strict'
import { ask } from '../support/client.ts'
import { type Cluster, myId, roleOf, settled, startCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import type { Kind, Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500

/** What the winner of an election says on its way; the first line counts the delay. */
const STEPS = [
  /(Marking node \w+ as failing \(quorum reached\)|FAIL message received from \w+ about \w+)/,
  /Start of election delayed for (\d+) milliseconds \(rank #0, offset \d+\)\./,
  /Starting a failover election for epoch \d+\./,
  /Failover election won: I'm the new master\./,
]

/** The places of these lines in a log, which must have them all, in this order. */
function assertTold(server: Server, steps: readonly RegExp[]): void {
  const places = steps.map((step) => server.log.search(step))
  assert.ok(
    places.every((place) => place >= 0),
    `not all of ${steps.join(' ')} in\n${server.log}`,
  )
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  )
}

const delayOf = (server: Server): number => Number(STEPS[1]!.exec(server.log)?.[1])

async function kill(cluster: Cluster): Promise<{ victim: Server; heir: Server }> {
  const [victim, heir] = [cluster.primaries[0]!, cluster.replicas[0]![0]!]
  await victim.kill()
  await eventually(() => roleOf(heir), {
    what: 'the replica is a primary',
    withinMs: 4 * T + 5000,
    until: (role) => role === 'master',
  })
  return { victim, heir }
}

const why = async (server: Server, ...words: string[]): Promise<string> =>
  JSON.stringify(await ask(server.port, 'CLUSTER', 'WHY', ...words))

for (const setting of ['yes', 'no'] as const) {
  scenarios(`failover with cluster-fast-failover ${setting}`, ['rookery'], (kinds) => {
    let cluster: Cluster
    let victim: Server
    let heir: Server

    before(async () => {
      cluster = await startCluster({
        kinds,
        replicas: 1,
        nodeTimeoutMs: T,
        conf: kinds.includes('redis') ? {} : { 'cluster-fast-failover': setting },
      })
    })

    it('promotes the replica of a primary that was killed, and says so step by step', async () => {
      ;({ victim, heir } = await kill(cluster))
      assertTold(heir, STEPS)
    })

    it('waits before the election only when it is switched off', () => {
      const delay = delayOf(heir)
      if (setting === 'yes') assert.equal(delay, 0)
      else assert.ok(delay >= 500 && delay < 1000, `${delay} ms`)
    })

    it('can say why: who failed, who voted, and who took over', async () => {
      const id = (await myId(heir)).slice(0, 8)
      assert.match(
        await why(heir, 'HISTORY'),
        /we took the place of \S+ \(\w{8}\) in epoch \d+: it had failed, elected: /,
      )
      const voter = cluster.primaries[1]!
      assert.match(await why(voter), new RegExp(`we voted for \\S+ \\(${id}\\) in epoch `))
      assert.match(
        await why(voter, 'HISTORY', '128'),
        new RegExp(`slots from 0 on went from \\S+ \\(\\w{8}\\) to \\S+ \\(${id}\\)`),
      )
      assert.match(await why(voter), /is FAIL for [\d.]+ s: it owns no slots, nobody needs to replace it/)
    })

    it('takes the killed one back as a replica', async () => {
      await victim.restart()
      await settled(cluster.nodes)
      assert.equal(await roleOf(victim), 'slave')
      assert.match(await why(victim, 'HISTORY'), /we replicate \S+ \(\w{8}\): /)
    })
  })
}

scenarios('fast failover with redis-server voters', ['mixed'], () => {
  const kinds: readonly Kind[] = ['redis', 'redis', 'redis', 'rookery', 'rookery', 'rookery']
  let cluster: Cluster
  let heir: Server

  before(async () => {
    cluster = await startCluster({ kinds, replicas: 1, nodeTimeoutMs: T })
  })

  it('promotes our replica of a real primary that was killed, without waiting after FAIL', async () => {
    ;({ heir } = await kill(cluster))
    assertTold(heir, STEPS)
    assert.equal(delayOf(heir), 0)
  })

  it('has told every voter FAIL before it asked for its vote', async () => {
    const id = await myId(heir)
    for (const voter of cluster.primaries.slice(1)) {
      assertTold(voter, [
        /(Marking node \w+ as failing \(quorum reached\)|FAIL message received from \w+ about \w+)/,
        new RegExp(`Failover auth granted to ${id} for epoch \\d+`),
      ])
      assert.doesNotMatch(voter.log, /Failover auth denied/)
    }
  })
})
