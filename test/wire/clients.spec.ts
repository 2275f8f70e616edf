/** The cluster as applications meet it: through client libraries nobody changed, told one address, and never restarted. */
import assert from 'node:assert/strict'
import { clusterTool } from '../support/cli.ts'
import { ask, fields } from '../support/client.ts'
import { type Cluster, keyIn, myId, roleOf, settled, slotCount, startCluster, tagIn } from '../support/cluster.ts'
import { eventually, sleep } from '../support/eventually.ts'
import { LIBRARIES, type Library, type Session } from '../support/libraries.ts'
import type { Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500
/** One in each third of the slots, so in each primary's share. */
const SLOTS_OF_EACH = [100, 8000, 16000] as const
const COUNTERS = 12
const PACE_MS = 5

scenarios('client libraries', ['rookery', 'mixed'], (kinds) => {
  let cluster: Cluster
  const sessions = new Map<string, Session>()

  before(async () => {
    cluster = await startCluster({ kinds, replicas: 1, nodeTimeoutMs: T })
  })

  after(async () => {
    for (const session of sessions.values()) await session.close()
  })

  const open = async (library: Library): Promise<Session> => {
    const session = sessions.get(library.name) ?? (await library.open(cluster.nodes[0]!.port))
    sessions.set(library.name, session)
    return session
  }

  for (const library of LIBRARIES) {
    const { name } = library
    describe(name, () => {
      it('finds the cluster from one address, and the owner of every key', async () => {
        const session = await open(library)
        for (const slot of SLOTS_OF_EACH) {
          const key = keyIn(slot, 1)
          await session.set(key, `${name} ${slot}`)
          assert.equal(await session.get(key), `${name} ${slot}`)
        }
        assert.equal(await session.get(`${name}:absent`), null)
      })

      it('writes several keys of one hash tag at once, pipelines, and runs transactions', async () => {
        const session = await open(library)
        for (const slot of SLOTS_OF_EACH) {
          const keys = ['a', 'b', 'c'].map((suffix) => `{${tagIn(slot)}}${name}:${suffix}`)
          await session.mset(Object.fromEntries(keys.map((key, i) => [key, String(i)])))
          assert.deepEqual(await session.pipeline(keys), ['0', '1', '2'])
          assert.deepEqual(await session.transaction(keys[0]!), ['OK', 2, '2'])
        }
      })

      it('receives what is published anywhere in the cluster', async () => {
        const session = await open(library)
        const heard: string[] = []
        await session.subscribe(`${name}:news`, (message) => heard.push(message))
        for (const { port } of cluster.nodes) await ask(port, 'PUBLISH', `${name}:news`, `from ${port}`)
        await session.publish(`${name}:news`, 'from itself')
        await eventually(() => heard.length, {
          what: 'every message has come',
          withinMs: 5000,
          until: (n) => n === cluster.nodes.length + 1,
        })
        const sent = [...cluster.nodes.map(({ port }) => `from ${port}`), 'from itself']
        assert.deepEqual(heard.toSorted(), sent.toSorted())
      })

      it('subscribes to a shard channel where its slot lives', async function () {
        const { sharded } = await open(library)
        if (!sharded) this.skip()
        for (const slot of SLOTS_OF_EACH) {
          const channel = `{${tagIn(slot)}}${name}:shard`
          const heard: string[] = []
          await sharded.subscribe(channel, (message) => heard.push(message))
          await sharded.publish(channel, `to slot ${slot}`)
          await eventually(() => heard.length, { what: `the message for slot ${slot} has come`, withinMs: 5000 })
          assert.deepEqual(heard, [`to slot ${slot}`])
        }
      })

      it('reads from replicas when it is told to', async () => {
        const session = await library.open(cluster.nodes[0]!.port, 'replica')
        try {
          const key = keyIn(SLOTS_OF_EACH[0], 2)
          await session.set(key, name)
          const replica = cluster.replicas[0]![0]!
          const before = await getsAt(replica)
          // Some spread reads over all nodes of a shard: not one of so many reads would be bad luck beyond belief.
          for (let i = 0; i < 40; i++) await session.get(key)
          assert.equal(await session.get(key), name)
          assert.ok((await getsAt(replica)) > before, 'the replica has answered no GET')
        } finally {
          await session.close()
        }
      })
    })
  }

  describe('under a steady load', () => {
    const loads = new Map<string, SteadyLoad>()
    let reports: ReadonlyMap<string, SteadyReport>

    /** Lets `event` happen while all libraries write, and has each write all its counters afterwards. */
    const during = async (event: () => Promise<unknown>): Promise<void> => {
      for (const library of LIBRARIES) loads.set(library.name, startSteadyLoad(await open(library), library.name))
      const all = [...loads.values()]
      await Promise.all(all.map((load) => load.rounds(2, 10_000)))
      await event()
      await Promise.all(all.map((load) => load.rounds(2, 20_000)))
      const ended = [...loads].map(async ([name, load]) => [name, await load.stop()] as const)
      reports = new Map(await Promise.all(ended))
    }

    describe('a reshard', () => {
      before(() =>
        during(async () => {
          const [source, target] = [cluster.primaries[2]!, cluster.primaries[0]!]
          // Few slots, among them those of our counters: redis-cli takes the lowest first.
          const argv = ['--cluster-from', await myId(source), '--cluster-to', await myId(target), '--cluster-slots', 200]
          await clusterTool('reshard', cluster.primaries[1]!.address, ...argv)
        }),
      )

      for (const { name } of LIBRARIES)
        it(`costs ${name} no error and no write`, () => {
          const { errors, lost, noack } = reports.get(name)!
          assert.deepEqual({ errors, lost, noack }, { errors: {}, lost: 0, noack: 0 })
        })
    })

    describe('CLUSTER FAILOVER', () => {
      before(() =>
        during(async () => {
          const replica = cluster.replicas[1]![0]!
          await ask(replica.port, 'CLUSTER', 'FAILOVER')
          await eventually(() => roleOf(replica), { what: 'it leads', withinMs: 10_000, until: (r) => r === 'master' })
        }),
      )

      for (const { name } of LIBRARIES)
        it(`costs ${name} no write`, () => {
          const { lost, noack, errors } = reports.get(name)!
          assert.deepEqual({ lost, noack, errors }, { lost: 0, noack: 0, errors: {} })
        })
    })

    describe('the crash of a primary', () => {
      before(async () => {
        await settled(cluster.nodes)
        await during(async () => {
          const replica = cluster.replicas[0]![0]!
          await cluster.primaries[0]!.kill()
          await eventually(() => roleOf(replica), { what: 'it leads', withinMs: 15_000, until: (r) => r === 'master' })
        })
      })

      for (const { name } of LIBRARIES)
        it(`does not keep ${name} from writing every key again`, () => {
          const { acknowledged } = reports.get(name)!
          assert.ok(acknowledged > COUNTERS, `${acknowledged} writes`)
        })
    })
  })
})
