/** All command families of the server. */
import { aclCommands } from './acl.ts'
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
import { genericCommands } from './generic.ts'
import { pubsubCommands } from './pubsub.ts'
import { replicationCommands } from './replication.ts'
import { serverCommands } from './server.ts'
import { slowlogCommands } from './slowlog.ts'
import { stringCommands } from './string.ts'
import { substringCommands } from './substring.ts'
import { transactionCommands } from './transaction.ts'

export const FAMILIES: readonly (readonly Command[])[] = [
  aclCommands,
  clusterCommands,
  commandCommands,
  [configContainer],
  connectionCommands,
  counterCommands,
  debugCommands,
  diagnosticCommands,
  dumpCommands,
  expireCommands,
  genericCommands,
  pubsubCommands,
  replicationCommands,
  serverCommands,
  slowlogCommands,
  stringCommands,
  substringCommands,
  transactionCommands,
]
