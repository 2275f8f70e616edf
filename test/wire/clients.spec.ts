/** The cluster as applications meet it: through client libraries nobody changed, told one address, and never restarted. */
import assert from 'node:assert/strict'
import { clusterTool } from '../support/cli.ts'
import { ask, fields } from '../support/client.ts'
import { type Cluster, keyIn, myId, myself, roleOf, settled, startCluster, tagIn } from '../support/cluster.ts'
import { eventually, sleep } from '../support/eventually.ts'
import { LIBRARIES, type Library, type Session } from '../support/libraries.ts'
import type { Server } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500
/** One in each third of the slots, so in each primary's share. */
const SLOTS_OF_EACH = [100, 8000, 16000] as const
/** Counters of the steady load: one slot of each primary, and four among the slots that are moved. */
const MOVED_SLOTS = 200
const COUNTER_SLOTS = [...SLOTS_OF_EACH, 10_923, 10_960, 11_000, 11_100] as const
const PACE_MS = 20
/** A command that takes longer than this is not waited for when the load ends. */
const HANGING_MS = 3000

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

    /** Lets `event` happen while all libraries write, and gives each the time to write all its counters afterwards. */
    const during = async (event: () => Promise<unknown>): Promise<void> => {
      for (const library of LIBRARIES) loads.set(library.name, startSteadyLoad(await open(library), library))
      const all = [...loads.values()]
      try {
        await Promise.all(all.map((load) => load.rounds(2, 10_000)))
        await event()
        await Promise.allSettled(all.map((load) => load.rounds(2, 20_000)))
      } finally {
        const ended = [...loads].map(async ([name, load]) => [name, await load.stop()] as const)
        reports = new Map(await Promise.all(ended))
      }
    }

    describe('a reshard', () => {
      before(() =>
        during(async () => {
          const [source, target] = [cluster.primaries[2]!, cluster.primaries[0]!]
          for (const slot of COUNTER_SLOTS.slice(SLOTS_OF_EACH.length)) await fill(source, slot)
          const [from, to] = [await myId(source), await myId(target)]
          const what = ['--cluster-from', from, '--cluster-to', to, '--cluster-slots', MOVED_SLOTS]
          await clusterTool('reshard', cluster.primaries[1]!.address, ...what)
          // redis-cli takes a node's lowest slots first, so those with our counters were among them.
          assert.deepEqual((await myself(source)).slots[0]![0], 10_923 + MOVED_SLOTS)
        }),
      )

      for (const { name } of LIBRARIES)
        it(`costs ${name} no error and no write`, () => {
          assert.deepEqual(reports.get(name), UNHARMED)
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
        it(`costs ${name} no error and no write`, () => {
          assert.deepEqual(reports.get(name), UNHARMED)
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
          assert.equal(reports.get(name)!.missing, '')
        })
    })
  })
})

/** Puts so many keys into a slot that it is open for a while when it moves. */
async function fill(owner: Server, slot: number): Promise<void> {
  const pairs = Array.from({ length: 3000 }, (_, i) => [keyIn(slot, i), 'x'.repeat(64)])
  await ask(owner.port, 'MSET', ...pairs.flat())
}

/** GETs a node has executed. */
async function getsAt(node: Server): Promise<number> {
  const line = (await fields(node.port, 'INFO', 'commandstats'))['cmdstat_get'] ?? ''
  return Number(/calls=(\d+)/.exec(line)?.[1] ?? 0)
}

interface SteadyReport {
  /** Increments that were acknowledged and are gone; and those that happened without an acknowledgement. */
  readonly lost: number
  readonly noack: number
  /** How often each error reached the application. */
  readonly errors: Readonly<Record<string, number>>
  /** What was not written in time when it was last waited for. */
  readonly missing: string
}

const UNHARMED: SteadyReport = { lost: 0, noack: 0, errors: {}, missing: '' }

interface SteadyLoad {
  /** Resolves when every counter has been incremented `n` times more. */
  rounds(n: number, withinMs: number): Promise<unknown>
  stop(): Promise<SteadyReport>
}

/** Increments counters all over the slots, each by a worker of its own that knows what the next reply must be. */
function startSteadyLoad(session: Session, { name, gripes }: Library): SteadyLoad {
  const errors = new Map<string, number>()
  const report = { lost: 0, noack: 0 }
  const done = COUNTER_SLOTS.map(() => 0)
  let stopped = false
  let missing = ''
  const work = async (i: number): Promise<void> => {
    const key = `${keyIn(COUNTER_SLOTS[i]!)}:${name}:${performance.now()}`
    for (let expected = 1; !stopped; await sleep(PACE_MS)) {
      try {
        const value = await session.incr(key)
        if (value < expected) report.lost += expected - value
        else report.noack += value - expected
        expected = value + 1
        done[i]!++
      } catch (error) {
        const text = (error as Error).message
        if (gripes?.test(text)) continue
        errors.set(text, (errors.get(text) ?? 0) + 1)
      }
    }
  }
  const all = Promise.all(done.map((_, i) => work(i)))
  return {
    rounds(n, withinMs) {
      const goals = done.map((count) => count + n)
      const open = (): string[] => done.flatMap((count, i) => (count < goals[i]! ? `slot ${COUNTER_SLOTS[i]}` : []))
      const state = (): string => (missing = open().join(', '))
      return eventually(state, { what: `${name} writes every key`, withinMs, until: (left) => left === '' })
    },
    async stop() {
      stopped = true
      await Promise.race([all, sleep(HANGING_MS)])
      return { ...report, errors: Object.fromEntries(errors), missing }
    },
  }
}
