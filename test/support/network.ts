/** Clusters whose nodes reach each other only through relays: each announces the relay in front of its client port and the one in
 *  front of its bus port, and dials from a source address of its own, so that a relay knows who is calling. Tests talk to the nodes
 *  directly, whatever is cut. */
import { type Cluster, type ClusterOptions, startCluster } from './cluster.ts'
import type { Server } from './process.ts'
import { Relay } from './relay.ts'

/** How a node is reached, and from where it calls. */
interface Place {
  readonly source: string
  readonly data: Relay
  readonly bus: Relay
}

export interface Network {
  readonly cluster: Cluster
  place(node: Server): Place
  /** Cuts a node off from all others, in both directions and on both ports. */
  isolate(node: Server): void
  /** Ends every cut. */
  heal(): void
}

/** As `startCluster`. The suite must `closeRelays` at its end. */
export async function startNetwork(options: ClusterOptions): Promise<Network> {
  const places = new Map<number, Place>()
  const confOf = async (i: number, port: number) => {
    const [data, bus] = await Promise.all([Relay.open(port), Relay.open(port + 10_000)])
    const source = `127.0.1.${i + 1}`
    places.set(port, { source, data, bus })
    return {
      'bind-source-addr': source,
      'cluster-announce-ip': '127.0.0.1',
      'cluster-announce-port': data.port,
      'cluster-announce-bus-port': bus.port,
    }
  }
  const cluster = await startCluster({ ...options, confOf })
  const place = (node: Server): Place => places.get(node.port)!
  return {
    cluster,
    place,
    isolate(node) {
      const { source, data, bus } = place(node)
      data.cut()
      bus.cut()
      for (const other of places.values()) other.bus.cut(source)
    },
    heal() {
      for (const { data, bus } of places.values()) {
        data.heal()
        bus.heal()
      }
    },
  }
}
