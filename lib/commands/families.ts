/** All command families of the server. */
import { clusterCommands } from './cluster.ts'
import { commandCommands } from './command.ts'
import { connectionCommands } from './connection.ts'
import { counterCommands } from './counter.ts'
import type { Command } from './define.ts'
import { pubsubCommands } from './pubsub.ts'
import { replicationCommands } from './replication.ts'
import { slowlogCommands } from './slowlog.ts'
import { stringCommands } from './string.ts'
import { transactionCommands } from './transaction.ts'

export const FAMILIES: readonly (readonly Command[])[] = [
  clusterCommands,
  commandCommands,
  connectionCommands,
  counterCommands,
  pubsubCommands,
  replicationCommands,
  slowlogCommands,
  stringCommands,
  transactionCommands,
]
