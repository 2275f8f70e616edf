/** Replication between single servers, ours and real ones, in both directions and in chains. */
import assert from 'node:assert/strict'
import { ask, type Client, connect, fields, outcome } from '../support/client.ts'
import { CrashLoad } from '../support/crash-load.ts'
import { eventually } from '../support/eventually.ts'
import { type Conf, type Kind, type Server, startServer, stopEverything } from '../support/process.ts'
import { readSample, writeSample } from '../support/sample.ts'
import { scenarios } from '../support/suite.ts'

const SYNC_LIMIT_MS = 10_000

/** A chain of servers: each a replica of the one before it, all in sync. */
async function startChain(kinds: readonly Kind[], conf: Conf = {}): Promise<Server[]> {
  const chain = await Promise.all(kinds.map((kind) => startServer({ kind, conf })))
  for (const [i, server] of chain.entries()) if (i > 0) await follow(server, chain[i - 1]!)
  return chain
}

async function follow(replica: Server, primary: Server): Promise<void> {
  await ask(replica.port, 'REPLICAOF', '127.0.0.1', primary.port)
  await linked(replica)
}

const replication = (server: Server): Promise<Readonly<Record<string, string>>> =>
  fields(server.port, 'INFO', 'replication')

async function linked(replica: Server): Promise<void> {
  await eventually(() => replication(replica), {
    what: `${replica.kind} at ${replica.port} has its link up`,
    withinMs: SYNC_LIMIT_MS,
    until: (info) => info['master_link_status'] === 'up',
  })
}

/** Waits until all have processed the same stream up to the same byte. */
async function inStep(servers: readonly Server[]): Promise<void> {
  const positions = (): Promise<string[]> =>
    Promise.all(
      servers.map(async (server) => {
        const info = await replication(server)
        return `${info['master_replid']}:${info['slave_repl_offset'] ?? info['master_repl_offset']}`
      }),
    )
  await eventually(positions, {
    what: 'same stream, same offset',
    withinMs: SYNC_LIMIT_MS,
    until: (all) => new Set(all).size === 1,
  })
}

async function sampleAt(server: Server, prefix: string): Promise<unknown> {
  const client = await connect(server.port)
  return readSample(client, prefix)
}

const statOf = async (server: Server, name: string): Promise<number> =>
  Number((await fields(server.port, 'INFO', 'stats'))[name])

/** The primary's kind and the replica's: both orders of a mixed pair. */
const pairs = (kinds: readonly Kind[]): readonly (readonly [Kind, Kind])[] =>
  kinds.length === 1
    ? [[kinds[0]!, kinds[0]!]]
    : [
        [kinds[0]!, kinds[1]!],
        [kinds[1]!, kinds[0]!],
      ]

scenarios('replication', ['rookery', 'mixed'], (kinds) => {
  for (const [upper, lower] of pairs(kinds)) {
    describe(`from ${upper} to ${lower}`, () => fromPrimaryToReplica(upper, lower))
    describe(`along a chain ${upper}, ${lower}, ${upper}`, () => alongAChain(upper, lower))
  }
})

function fromPrimaryToReplica(upper: Kind, lower: Kind): void {
  after(stopEverything)

  for (const diskless of ['yes', 'no']) {
    describe(`with repl-diskless-sync ${diskless}`, () => {
      let primary: Server
      let replica: Server
      let client: Client

      before(async () => {
        primary = await startServer({ kind: upper, conf: { 'repl-diskless-sync': diskless } })
        replica = await startServer({ kind: lower })
        client = await connect(primary.port)
      })

      it('copies what is there', async () => {
        await writeSample(client, 'old:')
        await ask(replica.port, 'SET', 'leftover', 'gone')
        await follow(replica, primary)
        await inStep([primary, replica])
        assert.deepEqual(await sampleAt(replica, 'old:'), await sampleAt(primary, 'old:'))
        assert.equal(await outcome(replica.port, 'EXISTS', 'leftover'), '0')
      })

      it('streams what comes', async () => {
        await writeSample(client, 'new:')
        await client.pipeline([['MULTI'], ['INCR', 'n'], ['INCR', 'n'], ['EXEC']])
        await client.call('SELECT', 3)
        await client.call('SET', 'third', 'database')
        assert.equal(await client.call('WAIT', 1, 5000), 1)
        await inStep([primary, replica])
        assert.deepEqual(await sampleAt(replica, 'new:'), await sampleAt(primary, 'new:'))
        const reader = await connect(replica.port)
        assert.equal(await reader.call('GET', 'n'), '2')
        await reader.call('SELECT', 3)
        assert.equal(await reader.call('GET', 'third'), 'database')
      })
    })
  }

  describe('once in sync', () => {
    let primary: Server
    let replica: Server

    before(async () => {
      const conf = { 'min-replicas-max-lag': 1, 'repl-ping-replica-period': 1 }
      ;[primary, replica] = (await startChain([upper, lower], conf)) as [Server, Server]
    })

    it('shows in INFO and ROLE on both sides', async () => {
      await inStep([primary, replica])
      const [up, down] = [await replication(primary), await replication(replica)]
      assert.equal(up['role'], 'master')
      assert.equal(up['connected_slaves'], '1')
      const state = (): Promise<string | undefined> => replication(primary).then((info) => info['slave0'])
      const online = new RegExp(`^ip=127\\.0\\.0\\.1,port=${replica.port},state=online,offset=\\d+,lag=[01]$`)
      await eventually(state, { what: 'slave0 is online', withinMs: 3000, until: (line) => online.test(line ?? '') })
      assert.equal(down['role'], 'slave')
      assert.deepEqual([down['master_host'], down['master_port']], ['127.0.0.1', String(primary.port)])
      assert.deepEqual([down['master_link_status'], down['slave_read_only']], ['up', '1'])
      assert.equal(down['master_replid'], up['master_replid'])
      assert.match(up['master_replid'] ?? '', /^[0-9a-f]{40}$/)
      const role = (await ask(replica.port, 'ROLE')) as unknown[]
      assert.deepEqual(role.slice(0, 4), ['slave', '127.0.0.1', primary.port, 'connected'])
    })

    it('refuses writes at the replica', async () => {
      const reply = await outcome(replica.port, 'SET', 'k', 'v')
      assert.equal(reply, "READONLY You can't write against a read only replica.")
    })

    it('continues where it was after the connection was cut', async () => {
      const [full, partial] = [await statOf(primary, 'sync_full'), await statOf(primary, 'sync_partial_ok')]
      assert.equal(await ask(primary.port, 'CLIENT', 'KILL', 'TYPE', 'replica'), 1)
      await ask(primary.port, 'SET', 'during', 'the cut')
      await eventually(() => statOf(primary, 'sync_partial_ok'), {
        what: 'a partial resync',
        withinMs: 5000,
        until: (n) => n === partial + 1,
      })
      await linked(replica)
      await inStep([primary, replica])
      assert.equal(await outcome(replica.port, 'GET', 'during'), 'the cut')
      assert.equal(await statOf(primary, 'sync_full'), full)
    })

    it('lets WAIT count the replicas that have a write', async () => {
      const client = await connect(primary.port)
      await client.call('SET', 'k', '1')
      assert.equal(await client.call('WAIT', 1, 5000), 1)
      replica.pause()
      await client.call('SET', 'k', '2')
      const askedAt = performance.now()
      assert.equal(await client.call('WAIT', 1, 200), 0)
      assert.ok(performance.now() - askedAt >= 190)
      replica.resume()
      assert.equal(await client.call('WAIT', 1, 5000), 1)
      assert.match(await outcome(replica.port, 'WAIT', 1, 100), /^ERR WAIT cannot be used with replica instances\./)
    })

    it('stops accepting writes when min-replicas-to-write cannot be kept', async () => {
      await ask(primary.port, 'CONFIG', 'SET', 'min-replicas-to-write', '1')
      const write = (): Promise<string> => outcome(primary.port, 'SET', 'k', '3')
      await eventually(write, { what: 'writes are accepted', withinMs: 3000, until: (reply) => reply === 'OK' })
      replica.pause()
      const refused = 'NOREPLICAS Not enough good replicas to write.'
      await eventually(write, { what: 'writes are refused', withinMs: 5000, until: (reply) => reply === refused })
      assert.equal(await outcome(primary.port, 'GET', 'k'), '3')
      replica.resume()
      await eventually(write, { what: 'writes are accepted again', withinMs: 5000, until: (reply) => reply === 'OK' })
      await ask(primary.port, 'CONFIG', 'SET', 'min-replicas-to-write', '0')
    })

    it('ends with REPLICAOF NO ONE, under a new history that remembers the old', async () => {
      await inStep([primary, replica])
      const { master_replid: old } = await replication(primary)
      assert.equal(await ask(replica.port, 'REPLICAOF', 'NO', 'ONE'), 'OK')
      const info = await replication(replica)
      assert.equal(info['role'], 'master')
      assert.equal(info['master_replid2'], old)
      assert.notEqual(info['master_replid'], old)
      assert.equal(await outcome(replica.port, 'SET', 'k', 'mine'), 'OK')
    })

    it('lets the old primary become a replica of the new one without a copy, while their histories agree', async () => {
      await follow(primary, replica)
      await inStep([primary, replica])
      assert.equal(await statOf(replica, 'sync_full'), 0)
      assert.equal(await statOf(replica, 'sync_partial_ok'), 1)
      assert.equal(await outcome(primary.port, 'GET', 'k'), 'mine')
    })
  })
}

function alongAChain(upper: Kind, lower: Kind): void {
  let chain: Server[]

  before(async () => {
    chain = await startChain([upper, lower, upper])
  })
  after(stopEverything)

  it('carries the same bytes to the last replica', async () => {
    const client = await connect(chain[0]!.port)
    await writeSample(client, 'chain:')
    await inStep(chain)
    assert.deepEqual(await sampleAt(chain[2]!, 'chain:'), await sampleAt(chain[0]!, 'chain:'))
  })

  it('keeps the last link when the one in the middle is cut off and comes back', async () => {
    const [first, middle, last] = chain as [Server, Server, Server]
    await ask(first.port, 'CLIENT', 'KILL', 'TYPE', 'replica')
    await ask(first.port, 'SET', 'after', 'the cut')
    await eventually(() => outcome(last.port, 'GET', 'after'), {
      what: 'the write arrives',
      withinMs: 5000,
      until: (v) => v === 'the cut',
    })
    assert.equal(await statOf(middle, 'sync_full'), 1)
  })

  it('lets the last continue from the middle one after its promotion', async () => {
    const [, middle, last] = chain as [Server, Server, Server]
    await inStep(chain)
    await ask(middle.port, 'REPLICAOF', 'NO', 'ONE')
    await ask(middle.port, 'SET', 'who', 'middle')
    await eventually(() => outcome(last.port, 'GET', 'who'), {
      what: 'the write arrives',
      withinMs: 5000,
      until: (v) => v === 'middle',
    })
    assert.equal(await statOf(middle, 'sync_full'), 1)
  })
}

scenarios('a full synchronisation of a primary that is being written to', ['rookery', 'mixed'], (kinds) => {
  const lower = kinds.at(-1)!
  afterEach(stopEverything)

  for (const diskless of ['yes', 'no'])
    it(`ends identical (repl-diskless-sync ${diskless})`, async () => {
      const primary = await startServer({ kind: 'rookery', conf: { 'repl-diskless-sync': diskless } })
      const client = await connect(primary.port)
      await client.call('DEBUG', 'POPULATE', '20000', 'key', '100')
      await writeSample(client, 'sample:')
      const load = new CrashLoad()
      const writing = load.untilCrash(primary.port)
      const replicas = await Promise.all([0, 1].map(() => startServer({ kind: lower })))
      await Promise.all(replicas.map((replica) => follow(replica, primary)))
      load.stop()
      await writing
      await inStep([primary, ...replicas])
      const digestsDiffer = async (): Promise<boolean> => {
        const digests = await Promise.all([primary, ...replicas].map(({ port }) => ask(port, 'DEBUG', 'DIGEST')))
        return new Set(digests.map(String)).size > 1
      }
      await eventually(digestsDiffer, {
        what: 'all have the same data',
        withinMs: SYNC_LIMIT_MS,
        until: (differ) => !differ,
      })
      assert.ok(Number(await ask(replicas[0]!.port, 'DBSIZE')) > 20_000)
    })
})
