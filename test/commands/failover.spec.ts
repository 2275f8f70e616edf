/** FAILOVER: a primary without a cluster hands its role to a replica, and nothing that was acknowledged is lost. */
import assert from 'node:assert/strict'
import { AttachedReplica, unknownReplica } from '../../lib/replication/attached.ts'
import { Failover, type ReplicaAddress } from '../../lib/replication/failover.ts'
import { Clock, FakeReplica, memoryLog } from '../replication/parts.ts'
import { Beside } from '../support/beside-redis.ts'
import { type Client, connect, fields, outcome } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { type Kind, type Server, startServer, stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const WITHIN_MS = 10_000

/** The state machine with nothing around it. */
class Bench {
  readonly clock = new Clock()
  readonly done: string[] = []
  readonly log = memoryLog(this.clock)
  readonly replicas: AttachedReplica[] = []
  readonly failover = new Failover({
    log: this.log.log,
    now: this.clock.now,
    isReplica: () => false,
    replicas: () => this.replicas,
    offset: () => 100,
    pause: () => void this.done.push('pause'),
    resume: () => void this.done.push('resume'),
    follow: ({ host, port }) => void this.done.push(`follow ${host}:${port}`),
    lead: () => void this.done.push('lead'),
  })

  replica(listeningPort: number, ackedOffset: number): AttachedReplica {
    const client = new FakeReplica(listeningPort, this.clock)
    const facts = { ...unknownReplica(), listeningPort }
    const replica = new AttachedReplica({ client, facts, isOld: false, now: this.clock.now(), sent() {} })
    replica.state = 'online'
    replica.ackedOffset = ackedOffset
    this.replicas.push(replica)
    return replica
  }

  start(target: ReplicaAddress | undefined, timeoutMs = 0, force = false): void {
    this.failover.start({ target, timeoutMs, force })
  }
}

const at = (port: number): ReplicaAddress => ({ host: '127.0.0.1', port })

describe('FAILOVER', () => {
  it('waits until a replica has everything, and hands over to that one', () => {
    const bench = new Bench()
    const [behind, other] = [bench.replica(1, 99), bench.replica(2, 98)]
    bench.start(undefined)
    bench.failover.check()
    assert.equal(bench.failover.state, 'waiting-for-sync')
    other.ackedOffset = 100
    behind.state = 'wait_bgsave'
    bench.failover.check()
    assert.equal(bench.failover.state, 'failover-in-progress')
    bench.failover.answered(true)
    assert.equal(bench.failover.state, 'no-failover')
    assert.deepEqual(bench.done, ['pause', 'follow 127.0.0.1:2', 'resume'])
  })

  it('hands over to nobody but the one that was named', () => {
    const bench = new Bench()
    bench.replica(1, 100)
    const named = bench.replica(2, 99)
    bench.start(at(2))
    bench.failover.check()
    assert.equal(bench.failover.state, 'waiting-for-sync')
    named.ackedOffset = 100
    bench.failover.check()
    assert.equal(bench.done.at(-1), 'follow 127.0.0.1:2')
  })

  it('gives up after TIMEOUT; with FORCE it hands over all the same', () => {
    for (const force of [false, true]) {
      const bench = new Bench()
      bench.replica(1, 99)
      bench.start(at(1), 500, force)
      bench.clock.advance(499)
      bench.failover.check()
      assert.deepEqual(bench.done, ['pause'])
      bench.clock.advance(1)
      bench.failover.check()
      assert.deepEqual(bench.done, ['pause', force ? 'follow 127.0.0.1:1' : 'resume'])
    }
  })

  it('leads again when the replica refuses or it is aborted, and asks again when the link breaks', () => {
    for (const end of [(one: Failover) => one.answered(false), (one: Failover) => one.cancel()]) {
      const bench = new Bench()
      bench.replica(1, 100)
      bench.start(undefined)
      bench.failover.check()
      bench.failover.check()
      assert.ok(bench.failover.isAsking)
      end(bench.failover)
      assert.equal(bench.failover.state, 'no-failover')
      assert.deepEqual(bench.done, ['pause', 'follow 127.0.0.1:1', 'resume', 'lead'])
    }
  })
})

const state = async ({ port }: Server, name: string): Promise<string | undefined> =>
  (await fields(port, 'INFO', 'replication'))[name]

async function pair(first: Kind, second: Kind): Promise<readonly [Server, Server]> {
  const [primary, replica] = [await startServer({ kind: first }), await startServer({ kind: second })]
  await outcome(replica.port, 'REPLICAOF', '127.0.0.1', primary.port)
  await eventually(async () => (await state(primary, 'slave0'))?.includes('state=online'), {
    what: 'the replica is online',
    withinMs: WITHIN_MS,
  })
  return [primary, replica]
}

/** Counts on one connection until it is refused; how many times it was told that it has. */
async function count(client: Client): Promise<number> {
  for (let acknowledged = 0; ; acknowledged++) {
    const reply = await client.outcome('INCR', 'count')
    if (/^READONLY/.test(reply)) return acknowledged
    assert.equal(reply, String(acknowledged + 1))
  }
}

describeBeside('FAILOVER between servers', function () {
  this.timeout(60_000)
  this.slow(30_000)
  afterEach(stopEverything)

  it('is refused in the same words', async () => {
    const beside = await Beside.start()
    await beside.session([
      'FAILOVER',
      'FAILOVER ABORT',
      'FAILOVER ABORT FORCE',
      'FAILOVER TO a',
      'FAILOVER TO a x',
      'FAILOVER TO a 1 TO a 1',
      'FAILOVER TIMEOUT 0',
      'FAILOVER TIMEOUT x',
      'FAILOVER TIMEOUT 1 TIMEOUT 1',
      'FAILOVER FORCE',
      'FAILOVER FORCE FORCE',
      'FAILOVER TO a 1 FORCE TIMEOUT 5',
      'FAILOVER nosuch',
    ])
  })

  it('is refused by a replica, with a stranger as target, and in a cluster', async () => {
    for (const kind of ['rookery', 'redis'] as const) {
      const [primary, replica] = await pair(kind, kind)
      assert.equal(await outcome(replica.port, 'FAILOVER'), 'ERR FAILOVER is not valid when server is a replica.')
      assert.equal(
        await outcome(primary.port, 'FAILOVER', 'TO', '127.0.0.1', 1),
        'ERR FAILOVER target HOST and PORT is not a replica.',
      )
      const node = await startServer({ kind, conf: { 'cluster-enabled': 'yes' } })
      assert.equal(
        await outcome(node.port, 'FAILOVER'),
        'ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead.',
      )
    }
  })

  const PAIRS = [
    ['rookery', 'rookery'],
    ['rookery', 'redis'],
    ['redis', 'rookery'],
  ] as const
  for (const [first, second] of PAIRS)
    it(`of ${first} to ${second} loses nothing that was acknowledged, and needs no snapshot`, async () => {
      const [primary, replica] = await pair(first, second)
      const counting = count(await connect(primary.port))
      assert.equal(await outcome(primary.port, 'FAILOVER'), 'OK')
      const acknowledged = await counting
      await eventually(async () => (await state(primary, 'master_link_status')) === 'up', {
        what: 'the old primary follows the new one',
        withinMs: WITHIN_MS,
      })
      assert.equal(await state(primary, 'master_failover_state'), 'no-failover')
      assert.equal(await state(replica, 'role'), 'master')
      assert.equal(await outcome(replica.port, 'GET', 'count'), String(acknowledged))
      const { sync_full, sync_partial_ok } = await fields(replica.port, 'INFO', 'stats')
      assert.deepEqual([sync_full, sync_partial_ok], ['0', '1'])
      // And back again.
      assert.equal(await outcome(replica.port, 'FAILOVER', 'TO', '127.0.0.1', primary.port, 'TIMEOUT', 5000), 'OK')
      await eventually(async () => (await state(replica, 'master_link_status')) === 'up', {
        what: 'the roles are as they were',
        withinMs: WITHIN_MS,
      })
      assert.equal(await outcome(primary.port, 'INCR', 'count'), String(acknowledged + 1))
    })

  it('that is aborted lets the writes go on', async () => {
    const [primary, replica] = await pair('rookery', 'rookery')
    replica.pause()
    await outcome(primary.port, 'SET', 'a', 1)
    assert.equal(await outcome(primary.port, 'FAILOVER', 'TO', '127.0.0.1', replica.port), 'OK')
    assert.equal(await state(primary, 'master_failover_state'), 'waiting-for-sync')
    assert.equal(
      await outcome(primary.port, 'REPLICAOF', '127.0.0.1', 1),
      'ERR REPLICAOF not allowed while failing over.',
    )
    assert.equal(await outcome(primary.port, 'FAILOVER'), 'ERR FAILOVER already in progress.')
    const held = outcome(primary.port, 'SET', 'b', 2)
    assert.equal(await outcome(primary.port, 'GET', 'b'), '')
    assert.equal(await outcome(primary.port, 'FAILOVER', 'ABORT'), 'OK')
    assert.equal(await held, 'OK')
    replica.resume()
  })

  it('that is forced makes a primary of a replica that lacks something', async () => {
    for (const kind of ['rookery', 'redis'] as const) {
      const [primary, replica] = await pair('rookery', kind)
      replica.pause()
      await outcome(primary.port, 'SET', 'a', 1)
      await outcome(primary.port, 'FAILOVER', 'TO', '127.0.0.1', replica.port, 'FORCE', 'TIMEOUT', 1)
      await eventually(async () => (await state(primary, 'master_failover_state')) === 'failover-in-progress', {
        what: 'the time is over',
        withinMs: WITHIN_MS,
      })
      replica.resume()
      await eventually(async () => (await state(primary, 'master_link_status')) === 'up', {
        what: 'the old primary follows',
        withinMs: WITHIN_MS,
      })
      assert.equal(await state(replica, 'role'), 'master')
    }
  })

  it('is asked for by PSYNC of a replica of the same history, and of nobody else', async () => {
    for (const kind of ['rookery', 'redis'] as const) {
      const [primary, replica] = await pair(kind, kind)
      const asked = async ({ port }: Server): Promise<string> => {
        const client = await connect(port)
        return (await client.raw(`PSYNC ${'0'.repeat(40)} 1 FAILOVER\r\n`)).toString('latin1')
      }
      assert.equal(await asked(primary), "-ERR PSYNC FAILOVER can't be sent to a master.\r\n")
      assert.equal(await asked(replica), '-ERR PSYNC FAILOVER replid must match my replid.\r\n')
      assert.equal(await state(replica, 'role'), 'slave')
    }
  })
})
