/** The directives replication obeys, under their names in the configuration. Read anew each time: CONFIG SET may change them. */
import type { Limits } from '../../store/rdb/types.ts'

export interface ReplicationSettings extends Limits {
  /** Where snapshots lie whose length must be known before they are sent. */
  readonly dir: string
  readonly port: number
  readonly tlsPort: number
  readonly tlsReplication: boolean
  /** Whom to replicate from the start. */
  readonly replicaof: { readonly host: string; readonly port: number } | undefined
  readonly masterauth: string
  readonly masteruser: string
  readonly replicaAnnounceIp: string
  readonly replicaAnnouncePort: number
  /** Bytes. */
  readonly replBacklogSize: number
  /** Seconds; 0 = the backlog is kept for ever. */
  readonly replBacklogTtl: number
  /** Seconds. */
  readonly replPingReplicaPeriod: number
  /** Seconds. */
  readonly replTimeout: number
  readonly replDisklessSync: boolean
  readonly rdbcompression: boolean
  /** Seconds. */
  readonly minReplicasMaxLag: number
  /** Bytes, and seconds above the soft limit; 0 = no limit. */
  readonly clientOutputBufferLimit: {
    readonly replica: { readonly hard: number; readonly soft: number; readonly softSeconds: number }
  }
}

/** Where they are found: `values` of the configuration. */
export interface SettingsHolder {
  readonly values: ReplicationSettings
}
