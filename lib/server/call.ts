/** What a command is given: whose call it is, on which data, where the reply goes. One object, reused for every call:
 *  a command that answers later (it blocks) keeps `call.client`, never `call`. */

import type { Database } from '../../store/keyspace.ts'
import type { Millis } from '../base/brand.ts'
import type { CommandEntry } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Client } from './client.ts'
import type { Server } from './server.ts'

export interface Call {
  readonly server: Server
  readonly client: Client
  readonly entry: CommandEntry
  /** The request, borrowed: `keepArgv` makes one that lasts. */
  readonly argv: Argv
  /** The client's selected database. */
  readonly db: Database
  readonly reply: Reply
  /** The time of this batch; every deadline of one call is judged by it. */
  readonly now: Millis
  /** Replaces what is replicated for this call (by default its own bytes, if it changed data) by these commands in turn.
   *  No arguments: nothing is replicated. */
  propagate(...commands: readonly (readonly (Buffer | string)[])[]): void
  /** Replicates the call as it is, although it changed no data. */
  forcePropagate(): void
}
