/** Client libraries as their users have them, unmodified, behind one small vocabulary. */
import { ClusterBatch, Decoder, GlideClusterClient, Logger } from '@valkey/valkey-glide'
import { Cluster as IoredisCluster } from 'ioredis'
import { Cluster as IovalkeyCluster } from 'iovalkey'
import { createCluster } from 'redis'

/** What the libraries have in common. Each method is the library's own, errors included. */
export interface Session {
  get(key: string): Promise<string | null>
  set(key: string, value: string): Promise<unknown>
  mset(pairs: Readonly<Record<string, string>>): Promise<unknown>
  incr(key: string): Promise<number>
  /** Many GETs at once. */
  pipeline(keys: readonly string[]): Promise<unknown[]>
  /** SET key 1, INCR key, GET key in MULTI and EXEC: the three replies. */
  transaction(key: string): Promise<unknown[]>
  publish(channel: string, message: string): Promise<unknown>
  subscribe(channel: string, deliver: (message: string) => void): Promise<unknown>
  readonly sharded: Sharded | undefined
  close(): unknown
}

/** Sharded pub/sub, where a library has it. */
export interface Sharded {
  publish(channel: string, message: string): Promise<unknown>
  subscribe(channel: string, deliver: (message: string) => void): Promise<unknown>
}

export interface Library {
  readonly name: string
  /** Connects to a cluster of which it is told one address. */
  open(port: number, reads?: 'replica'): Promise<Session>
  /** What it reports, with real servers just as well, where others try again. */
  readonly gripes?: RegExp
}

const HOST = '127.0.0.1'
const COMMAND_LIMIT_MS = 5000
/** Glide waits this long for a subscription to be confirmed. */
const SUBSCRIBE_LIMIT_MS = 5000

export const LIBRARIES: readonly Library[] = [
  { name: 'ioredis', open: openIoredis },
  { name: 'iovalkey', open: openIovalkey },
  // It closes the connection to a node that leads no more, whatever it has not answered yet.
  { name: 'node-redis', open: openNodeRedis, gripes: /^Disconnects client$/ },
  // It sends ASKING and the command apart: with several commands under way one may use up the ASKING of another.
  { name: 'valkey-glide', open: openGlide, gripes: /^An error was signalled by the server: - Moved: \d+ / },
]

async function openIoredis(port: number, reads?: 'replica'): Promise<Session> {
  const cluster = new IoredisCluster([{ host: HOST, port }], {
    scaleReads: reads === 'replica' ? 'slave' : 'master',
    shardedSubscribers: true,
    lazyConnect: true,
  })
  cluster.on('error', () => {})
  await cluster.connect()
  return {
    ...ioredisFamily(cluster),
    async transaction(key) {
      const replies = await cluster.multi().set(key, '1').incr(key).get(key).exec()
      return valuesOf(replies)
    },
    pipeline: async (keys) => valuesOf(await cluster.pipeline(keys.map((key) => ['get', key])).exec()),
    sharded: {
      publish: (channel, message) => cluster.spublish(channel, message),
      subscribe(channel, deliver) {
        cluster.on('smessage', (from: string, message: string) => from === channel && deliver(message))
        return cluster.ssubscribe(channel)
      },
    },
  }
}

async function openIovalkey(port: number, reads?: 'replica'): Promise<Session> {
  const cluster = new IovalkeyCluster([{ host: HOST, port }], {
    scaleReads: reads === 'replica' ? 'slave' : 'master',
    lazyConnect: true,
  })
  cluster.on('error', () => {})
  await cluster.connect()
  return {
    ...ioredisFamily(cluster),
    async transaction(key) {
      const replies = await cluster.multi().set(key, '1').incr(key).get(key).exec()
      return valuesOf(replies)
    },
    pipeline: async (keys) => valuesOf(await cluster.pipeline(keys.map((key) => ['get', key])).exec()),
    sharded: undefined,
  }
}

/** What ioredis and its fork spell alike. */
function ioredisFamily(cluster: IoredisCluster | IovalkeyCluster) {
  return {
    get: (key: string) => cluster.get(key),
    set: (key: string, value: string) => cluster.set(key, value),
    mset: (pairs: Readonly<Record<string, string>>) => cluster.mset({ ...pairs }),
    incr: (key: string) => cluster.incr(key),
    publish: (channel: string, message: string) => cluster.publish(channel, message),
    subscribe(channel: string, deliver: (message: string) => void): Promise<unknown> {
      cluster.on('message', (from: string, message: string) => from === channel && deliver(message))
      return cluster.subscribe(channel)
    },
    close: () => cluster.disconnect(),
  }
}

/** Pairs of error and value; the first error is thrown. */
function valuesOf(replies: readonly [error: Error | null, value: unknown][] | null): unknown[] {
  return (replies ?? []).map(([error, value]) => {
    if (error) throw error
    return value
  })
}

async function openNodeRedis(port: number, reads?: 'replica'): Promise<Session> {
  const cluster = createCluster({
    rootNodes: [{ url: `redis://${HOST}:${port}` }],
    useReplicas: reads === 'replica',
    // Its default waits 5 s before a lost node makes it look at the slots again: longer than a whole failover here.
    topologyRefreshOnReconnectionAttemptStrategy: 500,
  })
  cluster.on('error', () => {})
  await cluster.connect()
  return {
    get: (key) => cluster.get(key),
    set: (key, value) => cluster.set(key, value),
    mset: (pairs) => cluster.mSet({ ...pairs }),
    incr: (key) => cluster.incr(key),
    pipeline: (keys) => Promise.all(keys.map((key) => cluster.get(key))),
    transaction: (key) => cluster.multi().set(key, '1').incr(key).get(key).exec(),
    publish: (channel, message) => cluster.publish(channel, message),
    subscribe: (channel, deliver) => cluster.subscribe(channel, deliver),
    sharded: {
      publish: (channel, message) => cluster.sPublish(channel, message),
      subscribe: (channel, deliver) => cluster.sSubscribe(channel, deliver),
    },
    close: () => cluster.destroy(),
  }
}

async function openGlide(port: number, reads?: 'replica'): Promise<Session> {
  Logger.setLoggerConfig('off')
  const client = await GlideClusterClient.createClient({
    addresses: [{ host: HOST, port }],
    readFrom: reads === 'replica' ? 'preferReplica' : 'primary',
    requestTimeout: COMMAND_LIMIT_MS,
  })
  const listeners = new Map<string, (message: string) => void>()
  const listen = (channel: string, deliver: (message: string) => void): void => {
    if (listeners.size === 0) void deliverFrom(client, listeners)
    listeners.set(channel, deliver)
  }
  return {
    get: async (key) => (await client.get(key))?.toString() ?? null,
    set: (key, value) => client.set(key, value),
    mset: (pairs) => client.mset({ ...pairs }),
    incr: (key) => client.incr(key),
    async pipeline(keys) {
      const batch = new ClusterBatch(false)
      for (const key of keys) batch.get(key)
      return (await client.exec(batch, true, { decoder: Decoder.String })) ?? []
    },
    async transaction(key) {
      const batch = new ClusterBatch(true).set(key, '1').incr(key).get(key)
      return (await client.exec(batch, true, { decoder: Decoder.String })) ?? []
    },
    publish: (channel, message) => client.publish(message, channel),
    subscribe(channel, deliver) {
      listen(channel, deliver)
      return client.subscribe([channel], SUBSCRIBE_LIMIT_MS)
    },
    sharded: {
      publish: (channel, message) => client.publish(message, channel, true),
      subscribe(channel, deliver) {
        listen(channel, deliver)
        return client.ssubscribe([channel], SUBSCRIBE_LIMIT_MS)
      },
    },
    close: () => client.close(),
  }
}

/** Hands messages out until the client is closed, which it reports as an error to whoever waits. */
async function deliverFrom(
  client: GlideClusterClient,
  listeners: ReadonlyMap<string, (message: string) => void>,
): Promise<void> {
  try {
    for (;;) {
      const { channel, message } = await client.getPubSubMessage()
      listeners.get(String(channel))?.(String(message))
    }
  } catch {
    // Closed: there is nobody left to deliver to.
  }
}
