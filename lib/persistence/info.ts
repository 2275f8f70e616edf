/** INFO's section "Persistence", in a real server's rows and order. */
import type { Persistence } from '../persistence.ts'

export type PersistenceRows = readonly (readonly [name: string, value: string | number])[]

/** What the rows tell besides what they ask. */
export interface PersistenceFacts {
  readonly loading: boolean
  readonly loadedKeys: number
  readonly expiredKeys: number
  readonly saveScheduled: boolean
}

const status = (succeeded: boolean): string => (succeeded ? 'ok' : 'err')

export function persistenceRows(persistence: Persistence, facts: PersistenceFacts): PersistenceRows {
  const { snapshots, file } = persistence
  return [
    ['loading', facts.loading ? 1 : 0],
    ['async_loading', 0],
    ['current_cow_peak', 0],
    ['current_cow_size', 0],
    ['current_cow_size_age', 0],
    ['current_fork_perc', '0.00'],
    ['current_save_keys_processed', 0],
    ['current_save_keys_total', 0],
    ['rdb_changes_since_last_save', snapshots.changes],
    ['rdb_bgsave_in_progress', persistence.isSaving ? 1 : 0],
    ['rdb_last_save_time', Math.floor(snapshots.savedAt / 1000)],
    ['rdb_last_bgsave_status', status(snapshots.lastSucceeded)],
    ['rdb_last_bgsave_time_sec', snapshots.lastSeconds],
    ['rdb_current_bgsave_time_sec', snapshots.currentSeconds],
    ['rdb_saves', snapshots.saves],
    ['rdb_last_cow_size', 0],
    ['rdb_last_load_keys_expired', facts.expiredKeys],
    ['rdb_last_load_keys_loaded', facts.loadedKeys],
    ['aof_enabled', file === undefined ? 0 : 1],
    ['aof_rewrite_in_progress', persistence.isRewriting && !snapshots.isRunning ? 1 : 0],
    ['aof_rewrite_scheduled', file?.isWanted && snapshots.isRunning ? 1 : 0],
    ['aof_last_rewrite_time_sec', file?.lastSeconds ?? -1],
    ['aof_current_rewrite_time_sec', file?.currentSeconds ?? -1],
    ['aof_last_bgrewrite_status', status(file?.lastSucceeded ?? true)],
    ['aof_rewrites', file?.checkpoints ?? 0],
    ['aof_rewrites_consecutive_failures', file?.failures ?? 0],
    ['aof_last_write_status', status(file?.journal.failure === undefined)],
    ['aof_last_cow_size', 0],
    ['module_fork_in_progress', 0],
    ['module_fork_last_cow_size', 0],
    ...(file === undefined ? [] : fileRows(file)),
  ]
}

/** Printed while the append-only file is in use. */
function fileRows(file: NonNullable<Persistence['file']>): PersistenceRows {
  const { journal } = file
  return [
    ['aof_current_size', file.baseBytes + file.replayBytes],
    ['aof_base_size', file.baseBytes],
    ['aof_pending_rewrite', 0],
    ['aof_buffer_length', journal.waitingBytes],
    ['aof_pending_bio_fsync', journal.pendingSyncs],
    ['aof_delayed_fsync', journal.delayedSyncs],
  ]
}
