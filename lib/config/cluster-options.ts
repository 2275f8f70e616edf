/** The cluster's part of the configuration, in the shape the core obeys. */
import type { ClusterOptions } from '../../bus/state.ts'
import { type ConfigValues, DIRECTIVES, type DirectiveName } from './directives.ts'
import type { Config } from './settings.ts'

/** The directives the options follow: all of the cluster's own, and four more. */
export const CLUSTER_DIRECTIVES: readonly DirectiveName[] = [
  ...(Object.keys(DIRECTIVES) as DirectiveName[]).filter((name) => name.startsWith('cluster-')),
  'port',
  'tls-port',
  'tls-cluster',
  'repl-ping-replica-period',
]

/** Options that follow the configuration: the same object, its fields renewed at every change. A listener for
 *  CLUSTER_DIRECTIVES that is registered later finds them up to date. The bus stays at `busPort`, where it was opened (0: 10000 above
 *  the client port): with a new client port a real server announces a bus port on which it does not listen, and is lost to its cluster. */
export function clusterOptions(config: Config, busPort: number): ClusterOptions {
  const follow = (values: ConfigValues): ClusterOptions => ({ ...optionsOf(values), clusterPort: busPort })
  const options = follow(config.values)
  config.onChange(CLUSTER_DIRECTIVES, (values) => {
    Object.assign(options, follow(values))
    return undefined
  })
  return options
}

const optionsOf = (values: ConfigValues): Omit<ClusterOptions, 'clusterPort'> => ({
  nodeTimeoutMs: values.clusterNodeTimeout,
  port: values.port,
  tlsPort: values.tlsPort,
  tlsCluster: values.tlsCluster,
  announceIp: values.clusterAnnounceIp,
  announcePort: values.clusterAnnouncePort,
  announceTlsPort: values.clusterAnnounceTlsPort,
  announceBusPort: values.clusterAnnounceBusPort,
  announceHostname: values.clusterAnnounceHostname,
  announceHumanNodename: values.clusterAnnounceHumanNodename,
  announceClientIpv4: values.clusterAnnounceClientIpv4,
  announceClientIpv6: values.clusterAnnounceClientIpv6,
  preferredEndpointType: values.clusterPreferredEndpointType,
  requireFullCoverage: values.clusterRequireFullCoverage,
  allowReadsWhenDown: values.clusterAllowReadsWhenDown,
  allowPubsubshardWhenDown: values.clusterAllowPubsubshardWhenDown,
  replicaValidityFactor: values.clusterReplicaValidityFactor,
  replicaNoFailover: values.clusterReplicaNoFailover,
  allowReplicaMigration: values.clusterAllowReplicaMigration,
  migrationBarrier: values.clusterMigrationBarrier,
  linkSendbufLimit: values.clusterLinkSendbufLimit,
  pingIntervalMs: values.clusterPingInterval,
  blacklistTtlSec: values.clusterBlacklistTtl,
  fastFailover: values.clusterFastFailover,
  replPingReplicaPeriodSec: values.replPingReplicaPeriod,
})
