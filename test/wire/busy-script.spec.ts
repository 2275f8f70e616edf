/** A script that does not end, in a cluster that goes on without its node. */
import assert from 'node:assert/strict'
import { ask, connect, outcome } from '../support/client.ts'
import { type Cluster, keyIn, settled, startCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { type Server, startServer } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const LONG = 20_000

const isBusy = (node: Server): Promise<string> =>
  eventually(() => outcome(node.port, 'GET', keyIn(0)), {
    what: 'others are told BUSY',
    withinMs: LONG,
    until: (answer) => answer.startsWith('BUSY'),
  })

scenarios('a script that loops for ever', ['rookery', 'redis'], ([kind = 'rookery']) => {
  it('is reported to others while it runs, and can be killed', async () => {
    const node = await startServer({ kind, conf: { 'busy-reply-threshold': '100' } })
    const runner = await connect(node.port, LONG)
    const answer = runner.outcome('EVAL', 'while true do end', 0)
    assert.match(await isBusy(node), /^BUSY Redis is busy running a script\. You can only call SCRIPT KILL/)
    assert.equal(await outcome(node.port, 'SCRIPT', 'KILL'), 'OK')
    assert.match(await answer, /Script killed by user with SCRIPT KILL/)
    assert.equal(await outcome(node.port, 'GET', keyIn(0)), '')
  })
})

scenarios('a script that has written when its primary loses its slots', ['rookery'], (kinds) => {
  let cluster: Cluster
  before(async () => {
    cluster = await startCluster({ kinds, primaries: 1, replicas: 1, conf: { 'busy-reply-threshold': '50' } })
  })

  it('ends as it would have, and only then is its node a replica with the data of the other', async () => {
    const [old, heir] = [cluster.primaries[0]!, cluster.replicas[0]![0]!]
    const key = keyIn(0)
    const script = `redis.call('SET', KEYS[1], 'half')
      for i = 1, 1e8 do end
      return 'whole'`
    const runner = await connect(old.port, LONG)
    const answer = runner.outcome('EVAL', script, 1, key)
    await isBusy(old)
    assert.equal(await ask(heir.port, 'CLUSTER', 'FAILOVER', 'TAKEOVER'), 'OK')
    await ask(heir.port, 'SET', key, 'theirs')
    assert.equal(await answer, 'whole')
    await settled(cluster.nodes)
    const digests = () => Promise.all([old, heir].map((node) => outcome(node.port, 'DEBUG', 'DIGEST')))
    await eventually(digests, {
      what: 'both have the same data',
      withinMs: LONG,
      until: ([one, two]) => one === two,
    })
    assert.equal(await outcome(heir.port, 'GET', key), 'theirs')
    // What the script wrote is of the history that the other one did not go on with.
    const next = Number(/request \w+:(\d+)/.exec(old.log)?.[1])
    const common = Number(/valid up to offset: (\d+)/.exec(heir.log)?.[1])
    assert.ok(next > common, `${next} > ${common}`)
  })
})
