/** Replication between us and a live redis-server: either side of the link, both forms of snapshot, resumption, and changes of role. */
import assert from 'node:assert/strict'
import { redisCli } from '../support/cli.ts'
import { connect, fields, outcome } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { type Conf, type Server, startServer } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'
import { type Node, startNode, stopNodes } from './node.ts'

const WITHIN_MS = 10_000

const redis = (conf: Conf = {}): Promise<Server> => startServer({ kind: 'redis', conf })

const replicates = (server: Server, from: { readonly port: number }): Promise<string> =>
  outcome(server.port, 'REPLICAOF', '127.0.0.1', from.port)

/** The rows of INFO replication. */
const info = (server: { readonly port: number }): Promise<Readonly<Record<string, string>>> =>
  fields(server.port, 'INFO', 'replication')

const inSync = (replica: { readonly port: number }, primary: { readonly port: number }): Promise<boolean> =>
  eventually(
    async () => {
      const [theirs, ours] = [await info(replica), await info(primary)]
      const isUp = theirs['master_link_status'] === 'up' && theirs['master_replid'] === ours['master_replid']
      return isUp && theirs['slave_repl_offset'] === ours['master_repl_offset']
    },
    { what: `${replica.port} follows ${primary.port}`, withinMs: WITHIN_MS },
  )

const holds = (server: { readonly port: number }, key: string, value: string): Promise<boolean> =>
  eventually(async () => (await outcome(server.port, 'GET', key)) === value, {
    what: `${server.port} has ${key} = ${value.slice(0, 20)}`,
    withinMs: WITHIN_MS,
  })

/** Fills a server with keys of several kinds of coding. */
async function fill(server: { readonly port: number }): Promise<void> {
  const client = await connect(server.port)
  const sets = Array.from({ length: 2000 }, (_, i) => [
    'SET',
    `key:${i}`,
    i % 3 === 0 ? i : `value ${i} `.repeat(i % 50),
  ])
  await client.pipeline(sets)
  await client.call('SET', 'large', 'x'.repeat(300_000))
  client.close()
}

async function assertFilled(server: { readonly port: number }): Promise<void> {
  for (const i of [0, 1, 49, 1999])
    assert.equal(await outcome(server.port, 'GET', `key:${i}`), i % 3 === 0 ? String(i) : `value ${i} `.repeat(i % 50))
  assert.equal(await outcome(server.port, 'GET', 'large'), 'x'.repeat(300_000))
}

scenarios('our primary and a replica that is redis-server', ['redis'], () => {
  afterEach(stopNodes)

  for (const [form, replDisklessSync] of [
    ['ended by a mark', true],
    ['of announced length', false],
  ] as const) {
    it(`synchronise by a snapshot ${form}, then by the stream`, async () => {
      const primary = await startNode({ replDisklessSync })
      await fill(primary)
      const replica = await redis()
      assert.equal(await replicates(replica, primary), 'OK')
      await holds(replica, 'large', 'x'.repeat(300_000))
      await assertFilled(replica)
      await outcome(primary.port, 'SET', 'behind', 'the snapshot')
      await holds(replica, 'behind', 'the snapshot')
      await inSync(replica, primary)
      assert.deepEqual(primary.replication.primary.stats, { full: 1, partialOk: 0, partialRefused: 1 })
    })
  }

  it('resume after the connection broke, without a snapshot', async () => {
    const [primary, replica] = [await startNode(), await redis()]
    await replicates(replica, primary)
    await inSync(replica, primary)
    await outcome(replica.port, 'CLIENT', 'KILL', 'TYPE', 'master')
    await outcome(primary.port, 'SET', 'meanwhile', 'yes')
    await holds(replica, 'meanwhile', 'yes')
    assert.equal(primary.replication.primary.stats.full, 1)
    assert.equal(primary.replication.primary.stats.partialOk, 1)
  })

  it('let a client WAIT for what the replica has received', async () => {
    const [primary, replica] = [await startNode(), await redis()]
    await replicates(replica, primary)
    await inSync(replica, primary)
    const client = await connect(primary.port)
    await client.call('SET', 'a', 1)
    const before = performance.now()
    assert.equal(await client.call('WAIT', 1, 0), 1)
    assert.ok(performance.now() - before < 900, 'the replica was asked instead of waited for')
    assert.match(String((await client.call('ROLE'))!), new RegExp(`^master,\\d+,127.0.0.1,${replica.port},\\d+$`))
    const { slave0 } = await info(primary)
    assert.match(slave0!, new RegExp(`^ip=127.0.0.1,port=${replica.port},state=online,offset=\\d+,lag=0$`))
    assert.equal((await info(primary))['min_slaves_good_slaves'], '1')
  })

  it('stay together past repl-timeout by pings alone', async () => {
    const primary = await startNode({ replTimeout: 3, replPingReplicaPeriod: 1 })
    const replica = await redis({ 'repl-timeout': 3 })
    await replicates(replica, primary)
    await inSync(replica, primary)
    const { offset } = primary.replication
    await eventually(() => primary.replication.offset >= offset + 5 * 14, { what: 'five pings', withinMs: 15_000 })
    await inSync(replica, primary)
    assert.equal(primary.replication.primary.stats.full + primary.replication.primary.stats.partialOk, 1)
  })

  it('give redis-cli --rdb a file that redis-server can read', async () => {
    const primary = await startNode()
    await fill(primary)
    const target = await startServer({ kind: 'redis' })
    const { output } = await redisCli(['-p', primary.port, '--rdb', `${target.dir}/dump.rdb`])
    assert.match(output, /Transfer finished with success|sync'ed with/i)
    await target.restart()
    await assertFilled(target)
  })
})

scenarios('a primary that is redis-server and our replica', ['redis'], () => {
  afterEach(stopNodes)

  const follow = (primary: Server): Promise<Node> => startNode({ replicaof: { host: '127.0.0.1', port: primary.port } })

  for (const [form, diskless] of [
    ['ended by a mark', 'yes'],
    ['of announced length', 'no'],
  ] as const) {
    it(`synchronise by a snapshot ${form}, then by the stream`, async () => {
      const primary = await redis({ 'repl-diskless-sync': diskless })
      await fill(primary)
      const replica = await follow(primary)
      await inSync(replica, primary)
      await assertFilled(replica)
      await outcome(primary.port, 'SET', 'behind', 'the snapshot')
      await holds(replica, 'behind', 'the snapshot')
    })
  }

  it('resume after the connection broke, without a snapshot', async () => {
    const primary = await redis()
    const replica = await follow(primary)
    await inSync(replica, primary)
    await outcome(primary.port, 'CLIENT', 'KILL', 'TYPE', 'replica')
    await outcome(primary.port, 'SET', 'meanwhile', 'yes')
    await holds(replica, 'meanwhile', 'yes')
    const { sync_full: full, sync_partial_ok: partial } = await fields(primary.port, 'INFO', 'stats')
    assert.deepEqual([full, partial], ['1', '1'])
    const { replication } = replica
    assert.equal(replication.primarySyncs, 2)
    replication.follow({ host: '127.0.0.1', port: primary.port })
    assert.equal(
      replication.primarySyncs,
      3,
      'who is followed already needs no synchronisation for its data to be ours',
    )
  })

  it('acknowledge so that WAIT counts us, at once when asked', async () => {
    const primary = await redis()
    const replica = await follow(primary)
    await inSync(replica, primary)
    // The stream of a diskless synchronisation begins with an ACK that the primary is ready for, up to a second later.
    await outcome(primary.port, 'SET', 'first', 'stream')
    await holds(replica, 'first', 'stream')
    const client = await connect(primary.port)
    await client.call('SET', 'a', 1)
    const before = performance.now()
    for (let round = 0; round < 10; round++) {
      await client.call('SET', 'a', round)
      assert.equal(await client.call('WAIT', 1, 5000), 1)
    }
    assert.ok(performance.now() - before < 8000, 'the periodic ACK alone would take a second for each')
    assert.match((await info(primary))['slave0']!, new RegExp(`port=${replica.port},state=online`))
    assert.match(await outcome(replica.port, 'WAIT', 0, 0), /^ERR WAIT cannot be used with replica instances/)
  })

  it('carry out transactions, databases and deadlines as they were', async () => {
    const primary = await redis()
    const replica = await follow(primary)
    await inSync(replica, primary)
    const client = await connect(primary.port)
    await client.pipeline([
      ['SELECT', 3],
      ['MULTI'],
      ['SET', 'a', 1],
      ['SELECT', 5],
      ['SET', 'b', 2, 'PX', 100_000],
      ['EXEC'],
      ['SET', 'c', 3],
    ])
    await inSync(replica, primary)
    assert.deepEqual([replica.get('a', 3), replica.get('b', 5), replica.get('c', 5)], ['1', '2', '3'])
  })

  it('hand the stream on to a replica of the replica, with the same ids and offsets', async () => {
    const [primary, last] = [await redis(), await redis()]
    const middle = await follow(primary)
    await inSync(middle, primary)
    await replicates(last, middle)
    await outcome(primary.port, 'SET', 'through', 'the middle')
    await holds(last, 'through', 'the middle')
    await inSync(last, primary)
  })

  it('change places: everyone resumes where the histories part', async () => {
    const [first, last] = [await redis(), await redis()]
    const middle = await follow(first)
    await inSync(middle, first)
    await replicates(last, middle)
    await inSync(last, first)
    // The middle takes over; the last follows it into the new history, the first comes back as its replica.
    assert.equal(await outcome(middle.port, 'REPLICAOF', 'NO', 'ONE'), 'OK')
    await outcome(middle.port, 'SET', 'new', 'primary')
    assert.equal(await replicates(first, middle), 'OK')
    for (const server of [first, last]) await holds(server, 'new', 'primary')
    assert.equal(middle.replication.primary.stats.full, 1)
    // And back again: we follow the first, which was promoted, and resume too.
    assert.equal(await outcome(first.port, 'REPLICAOF', 'NO', 'ONE'), 'OK')
    assert.equal(await outcome(middle.port, 'REPLICAOF', '127.0.0.1', first.port), 'OK')
    await outcome(first.port, 'SET', 'old', 'primary again')
    for (const server of [middle, last]) await holds(server, 'old', 'primary again')
    assert.equal((await fields(first.port, 'INFO', 'stats'))['sync_full'], '1')
    await inSync(last, first)
  })
})
