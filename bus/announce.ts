/** What this node says about itself: ports, address and names, from its options. */
import type { Cluster, ClusterOptions } from './state.ts'
import { needSave } from './table.ts'

/** How far above the client port the bus listens when nothing else is configured. */
export const BUS_PORT_OFFSET = 10_000

export interface AnnouncedPorts {
  /** The client port the bus speaks of: the TLS one in a TLS cluster. */
  readonly port: number
  /** The other one, 0 for none. */
  readonly otherPort: number
  readonly busPort: number
}

/** The ports to announce; overrides first, then what is served, and the bus port after the client port. */
export function announcedPorts(options: ClusterOptions): AnnouncedPorts {
  const plain = options.announcePort || options.port
  const tls = options.announceTlsPort || options.tlsPort
  const served = options.tlsCluster ? options.tlsPort : options.port
  return {
    port: options.tlsCluster ? tls : plain,
    otherPort: options.tlsCluster ? plain : tls,
    busPort: options.announceBusPort || options.clusterPort || served + BUS_PORT_OFFSET,
  }
}

/** Brings our own row up to date with the options. Without an announced address the one peers reached us by stays. */
export function refreshMyself(c: Cluster): void {
  const { options, myself } = c
  const { port, otherPort, busPort } = announcedPorts(options)
  const ip = options.announceIp || myself.ip
  // Every tick of every node asks: compared field by field, before anything is built.
  if (
    myself.port === port &&
    myself.otherPort === otherPort &&
    myself.busPort === busPort &&
    myself.ip === ip &&
    myself.hostname === options.announceHostname &&
    myself.humanName === options.announceHumanNodename &&
    myself.clientIpv4 === options.announceClientIpv4 &&
    myself.clientIpv6 === options.announceClientIpv6 &&
    myself.noFailover === options.replicaNoFailover
  ) {
    return
  }
  Object.assign(myself, {
    port,
    otherPort,
    busPort,
    ip,
    hostname: options.announceHostname,
    humanName: options.announceHumanNodename,
    clientIpv4: options.announceClientIpv4,
    clientIpv6: options.announceClientIpv6,
    noFailover: options.replicaNoFailover,
  })
  needSave(c, 'save')
}
