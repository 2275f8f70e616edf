/** All command families of the server. */
import { aclCommands } from './acl.ts'
import { bitmapCommands } from './bitmap.ts'
import { clusterCommands } from './cluster.ts'
import { commandCommands } from './command.ts'
import { configContainer } from './config.ts'
import { connectionCommands } from './connection.ts'
import { counterCommands } from './counter.ts'
import { debugCommands } from './debug.ts'
import type { Command } from './define.ts'
import { diagnosticCommands } from './diagnostics.ts'
import { dumpCommands } from './dump.ts'
import { expireCommands } from './expire.ts'
import { functionCommands } from './function.ts'
import { genericCommands } from './generic.ts'
import { geoCommands } from './geo.ts'
import { geoSearchCommands } from './geo-search.ts'
import { hashCommands } from './hash.ts'
import { hashExpiryCommands } from './hash-expiry.ts'
import { hashFieldsCommands } from './hash-fields.ts'
import { hyperloglogCommands } from './hyperloglog.ts'
import { latencyCommands } from './latency.ts'
import { listCommands } from './list.ts'
import { listMoveCommands } from './list-move.ts'
import { listPopCommands } from './list-pop.ts'
import { moduleCommands } from './module.ts'
import { pubsubCommands } from './pubsub.ts'
import { replicationCommands } from './replication.ts'
import { scriptingCommands } from './scripting.ts'
import { serverCommands } from './server.ts'
import { setCommands } from './set.ts'
import { setAlgebraCommands } from './set-algebra.ts'
import { setDrawCommands } from './set-draw.ts'
import { slowlogCommands } from './slowlog.ts'
import { sortCommands } from './sort.ts'
import { streamCommands } from './stream.ts'
import { streamGroupCommands } from './stream-groups.ts'
import { streamInfoCommands } from './stream-info.ts'
import { streamPendingCommands } from './stream-pending.ts'
import { streamReadCommands } from './stream-read.ts'
import { stringCommands } from './string.ts'
import { substringCommands } from './substring.ts'
import { transactionCommands } from './transaction.ts'
import { zsetCommands } from './zset.ts'
import { zsetCombineCommands } from './zset-combine.ts'
import { zsetPopCommands } from './zset-pop.ts'
import { zsetRangeCommands } from './zset-range.ts'

export const FAMILIES: readonly (readonly Command[])[] = [
  aclCommands,
  bitmapCommands,
  clusterCommands,
  commandCommands,
  [configContainer],
  connectionCommands,
  counterCommands,
  debugCommands,
  diagnosticCommands,
  dumpCommands,
  expireCommands,
  functionCommands,
  genericCommands,
  geoCommands,
  geoSearchCommands,
  hashCommands,
  hashExpiryCommands,
  hashFieldsCommands,
  latencyCommands,
  listCommands,
  listMoveCommands,
  listPopCommands,
  hyperloglogCommands,
  moduleCommands,
  pubsubCommands,
  replicationCommands,
  scriptingCommands,
  serverCommands,
  setAlgebraCommands,
  setCommands,
  setDrawCommands,
  slowlogCommands,
  sortCommands,
  streamCommands,
  streamGroupCommands,
  streamInfoCommands,
  streamPendingCommands,
  streamReadCommands,
  stringCommands,
  substringCommands,
  transactionCommands,
  zsetCommands,
  zsetCombineCommands,
  zsetPopCommands,
  zsetRangeCommands,
]
