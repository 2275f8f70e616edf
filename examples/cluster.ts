/** The cluster the examples talk to. */
import { Cluster } from 'ioredis'

/** Connects through the node named by the arguments `host port`, or through the tutorial's first two. One that answers is enough:
 *  the client finds the others. `report` hears of trouble that belongs to no command, such as no node being there at all. */
export function openCluster(args: readonly string[], report: (error: Error) => void): Cluster {
  const [host, port] = args
  const startupNodes =
    host !== undefined && port !== undefined
      ? [{ host, port: Number(port) }]
      : [
          { host: '127.0.0.1', port: 7000 },
          { host: '127.0.0.1', port: 7001 },
        ]
  // By itself ioredis waits for ever for a node that is frozen; this is about as long as it retries one that is gone.
  const cluster = new Cluster(startupNodes, { redisOptions: { commandTimeout: 2000 } })
  cluster.on('error', report)
  return cluster
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
