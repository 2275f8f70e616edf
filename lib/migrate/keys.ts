/** MIGRATE: keys are dumped, sent and, when the target has acknowledged them, deleted here. */
import type { Database } from '../../store/keyspace.ts'
import { dumpValue } from '../../store/rdb/dump.ts'
import { unreachable } from '../base/assert.ts'
import { type Key, keyFromText } from '../base/key.ts'
import { ClientError, fail, READ_ONLY } from '../errors.ts'
import { encodeRequest } from '../resp/argv.ts'
import type { Client } from '../server/client.ts'
import type { Server } from '../server/server.ts'
import { LinkFailure, type LinkPool, type TargetLink } from './connection.ts'

/** What MIGRATE was asked to do. */
export interface Transfer {
  readonly host: string
  readonly port: number
  /** The target's database. */
  readonly targetDb: number
  /** Limit of each step on the wire, not of the whole. */
  readonly timeoutMs: number
  readonly copy: boolean
  readonly replace: boolean
  /** The arguments of AUTH. */
  readonly auth: readonly Buffer[] | undefined
  /** Keys that are here, by their latin1 names. */
  readonly names: readonly string[]
}

/** How far it came: what the target has for certain, and what went wrong, if anything. */
interface Outcome {
  readonly acknowledged: readonly string[]
  readonly error: ClientError | undefined
  /** Nothing was carried out, and a fresh connection may do better. */
  readonly mayRetry: boolean
}

const CONNECTING = new ClientError('IOERR error or timeout connecting to the client')
const WRITING = new ClientError('IOERR error or timeout writing to target instance')
const READING = new ClientError('IOERR error or timeout reading to target instance')

const CHUNK = 64 * 1024

/** Moves or copies keys of the client's database, which are locked until that is done. The client waits, and is answered. */
export function migrateKeys(server: Server, client: Client, pool: LinkPool, transfer: Transfer): void {
  const db = server.keyspace.databases[client.db]!
  const lock = server.migrating.lock(transfer.names)
  // What CLIENT REPLY holds back now would not be held back later, when this request is long over.
  const muted = client.replyMode !== 'on'
  let waits = true
  server.block(client, {
    kind: 'migrate',
    timeoutAt: 0 as Client['lastSeenAt'],
    leave: () => {
      waits = false
    },
  })
  void run(server, db, pool, transfer).then((error) => {
    server.migrating.release(lock)
    if (!waits) return
    client.writeOffset = server.streamOffset()
    if (!muted) {
      if (error === undefined) client.reply.ok()
      else server.replyError(client, error)
    }
    server.unblock(client)
    server.flushLater(client)
  })
}

/** The whole of it; undefined is OK. */
async function run(
  server: Server,
  db: Database,
  pool: LinkPool,
  transfer: Transfer,
): Promise<ClientError | undefined> {
  let outcome = await attempt(server, db, pool, transfer, false)
  if (outcome.mayRetry) outcome = await attempt(server, db, pool, transfer, true)
  if (transfer.copy || outcome.acknowledged.length === 0) return outcome.error
  // A failover is being handed over: the replica has caught up with an offset that must not move any more.
  await server.pause.ended()
  if (server.replication.isReplica) return outcome.error ?? READ_ONLY
  forget(server, db, outcome.acknowledged)
  return outcome.error
}
