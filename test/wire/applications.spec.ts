/** Libraries that applications build on, unmodified, on a cluster of ours: job queues, sessions, rate limits, locks. */
import assert from 'node:assert/strict'
import { Queue, QueueEvents, Worker } from 'bullmq'
import { RedisStore } from 'connect-redis'
import { Cluster } from 'ioredis'
import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import { createCluster } from 'redis'
import Redlock from 'redlock'
import { ask } from '../support/client.ts'
import { startCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { stopEverything } from '../support/process.ts'

describe('what applications build on', function () {
  this.timeout(120_000)
  let port: number
  let ports: readonly number[]
  const open: { close(): unknown }[] = []

  before(async () => {
    const { primaries } = await startCluster({ kinds: ['rookery'], primaries: 3 })
    ports = primaries.map((node) => node.port)
    port = ports[0]!
  })
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close()
  })
  after(stopEverything)

  const ioredis = (): Cluster => {
    const cluster = new Cluster([{ host: '127.0.0.1', port }], { redisOptions: { maxRetriesPerRequest: null } })
    open.push({ close: () => cluster.disconnect() })
    return cluster
  }

  it('BullMQ: jobs at once, later, by priority, and again after a failure', async () => {
    const options = { connection: ioredis(), prefix: '{jobs}' }
    const queue = new Queue('work', options)
    const events = new QueueEvents('work', { ...options, connection: ioredis() })
    const done: string[] = []
    const completed: string[] = []
    const failures = new Map<string, number>()
    events.on('completed', ({ jobId }) => completed.push(jobId))
    const worker = new Worker(
      'work',
      async ({ name, data }: { name: string; data: { fails?: number } }) => {
        const failed = failures.get(name) ?? 0
        if (failed < (data.fails ?? 0)) {
          failures.set(name, failed + 1)
          throw new Error('not yet')
        }
        done.push(name)
        return `${name} done`
      },
      { ...options, connection: ioredis(), concurrency: 5 },
    )
    open.push(queue, events, worker)
    await Promise.all([events.waitUntilReady(), worker.waitUntilReady()])
    // It is connected then, but hears only what happens once it waits at the end of the stream.
    await eventually(async () => (await Promise.all(ports.map((one) => ask(one, 'CLIENT', 'LIST')))).join(), {
      what: 'somebody listens to the events',
      withinMs: 20_000,
      until: (clients) => clients.includes('cmd=xread '),
    })
    const names = Array.from({ length: 100 }, (_, i) => `job ${i}`)
    await queue.addBulk(names.map((name) => ({ name, data: {} })))
    await queue.add('late', {}, { delay: 200 })
    await queue.add('urgent', {}, { priority: 1 })
    await queue.add('stubborn', { fails: 2 }, { attempts: 3, backoff: { type: 'fixed', delay: 20 } })
    const all = names.length + 3
    await eventually(() => completed.length, {
      what: 'every job is completed',
      withinMs: 30_000,
      until: (n) => n === all,
    })
    assert.deepEqual(new Set(done), new Set([...names, 'late', 'urgent', 'stubborn']))
    assert.equal(failures.get('stubborn'), 2)
    const counts = await queue.getJobCounts()
    assert.deepEqual([counts['completed'], counts['failed'], counts['waiting'], counts['delayed']], [all, 0, 0, 0])
    await queue.obliterate({ force: true })
  })

  it('connect-redis: sessions kept, touched, listed and ended', async () => {
    const client = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }] })
    client.on('error', () => {})
    await client.connect()
    open.push({ close: () => client.destroy() })
    const store = new RedisStore({ client, prefix: 'session:', ttl: 100 })
    const session = { cookie: { originalMaxAge: null } }
    for (const id of ['one', 'two', 'three']) await store.set(id, session)
    assert.deepEqual(await store.get('one'), JSON.parse(JSON.stringify(session)))
    await store.touch('one', session)
    const left = await client.ttl('session:one')
    assert.ok(left > 0 && left <= 100, String(left))
    assert.equal(await store.length(), 3)
    await store.destroy('two')
    assert.ok(!(await store.get('two')))
    await store.clear()
    assert.equal(await store.length(), 0)
  })

  it('rate-limiter-flexible: so many points and no more', async () => {
    const limiter = new RateLimiterRedis({ storeClient: ioredis(), points: 5, duration: 60, keyPrefix: 'limit' })
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => limiter.consume('client')))
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
    assert.equal(refused.length, 3)
    for (const { reason } of refused) assert.ok(reason instanceof RateLimiterRes, String(reason))
    const state = await limiter.get('client')
    assert.equal(state?.consumedPoints, 8)
    await limiter.delete('client')
    assert.equal((await limiter.consume('client')).remainingPoints, 4)
  })

  it('redlock: one holder at a time, who may stay longer', async () => {
    const locks = new Redlock([ioredis()], { retryCount: 0 })
    const lock = await locks.acquire(['{door}a', '{door}b'], 5000)
    await assert.rejects(locks.acquire(['{door}b'], 5000))
    const longer = await lock.extend(8000)
    await longer.release()
    const next = await locks.acquire(['{door}b'], 5000)
    await next.release()
  })
})
