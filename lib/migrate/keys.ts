/** MIGRATE: keys are dumped, sent and, when the target has acknowledged them, deleted here. */
import type { Database } from '../../store/keyspace.ts'
import { dumpValue } from '../../store/rdb/dump.ts'
import type { Millis } from '../base/brand.ts'
import { keyFromText } from '../base/key.ts'
import { ClientError, fail, READ_ONLY } from '../errors.ts'
import { encodeRequest } from '../resp/argv.ts'
import type { Client } from '../server/client.ts'
import type { Server } from '../server/server.ts'
import { LinkFailure, pass, type TargetLink } from './connection.ts'

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
const PAUSE_POLL_MS = 20

/** Moves or copies keys of the client's database, which are locked until that is done. The client waits, and is answered. */
export function migrateKeys(server: Server, client: Client, transfer: Transfer): void {
  const db = server.keyspace.databases[client.db]!
  const lock = server.migrating.lock(transfer.names)
  // What CLIENT REPLY holds back now would not be held back later, when this request is long over.
  const muted = client.replyMode !== 'on'
  let waits = true
  server.block(client, {
    kind: 'migrate',
    timeoutAt: 0 as Millis,
    leave: () => {
      waits = false
    },
  })
  void run(server, db, transfer).then((error) => {
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
async function run(server: Server, db: Database, transfer: Transfer): Promise<ClientError | undefined> {
  let outcome = await attempt(server, db, transfer, false)
  if (outcome.mayRetry) outcome = await attempt(server, db, transfer, true)
  if (transfer.copy || outcome.acknowledged.length === 0) return outcome.error
  // A failover is being handed over: the replica has caught up with an offset that must not move any more.
  while (server.pause.mode !== undefined) await pass(PAUSE_POLL_MS)
  if (server.replication.isReplica) return outcome.error ?? READ_ONLY
  forget(server, db, outcome.acknowledged)
  return outcome.error
}

/** One command for all of them: replicas lose them together. */
function forget(server: Server, db: Database, names: readonly string[]): void {
  const { propagation } = server
  server.refreshClock()
  propagation.begin()
  const removed = names.map(keyFromText).filter((key) => db.remove(key))
  if (removed.length > 0) propagation.add(db.index, encodeRequest(['DEL', ...removed.map((key) => key.own())]))
  propagation.end()
}

async function attempt(server: Server, db: Database, transfer: Transfer, fresh: boolean): Promise<Outcome> {
  const { links } = server.migrating
  const { host, port, timeoutMs } = transfer
  let link: TargetLink | undefined
  let sent: readonly string[] = []
  try {
    link = await links.take(host, port, timeoutMs, fresh)
    sent = await send(server, db, link, transfer)
  } catch (cause) {
    link?.close()
    return interrupted(cause, WRITING, !fresh)
  }
  const outcome = await receive(link, transfer, sent, !fresh)
  links.give(host, port, link)
  return outcome
}

/** Nothing is known to have been carried out. */
function interrupted(cause: unknown, error: ClientError, mayRetry: boolean): Outcome {
  if (!(cause instanceof LinkFailure)) throw cause
  if (cause.connecting) return { acknowledged: [], error: CONNECTING, mayRetry: false }
  return { acknowledged: [], error, mayRetry: mayRetry && !cause.timedOut }
}

/** Sends AUTH and SELECT, where needed, and a RESTORE for each key that is still here: returns which. */
async function send(server: Server, db: Database, link: TargetLink, transfer: Transfer): Promise<readonly string[]> {
  const { auth, targetDb, timeoutMs, replace } = transfer
  const command = server.cluster === undefined ? 'RESTORE' : 'RESTORE-ASKING'
  const sent: string[] = []
  let chunks: Buffer[] = []
  let size = 0
  const add = (words: readonly (Buffer | string)[]): void => {
    const bytes = encodeRequest(words)
    size += bytes.length
    chunks.push(bytes)
  }
  if (auth !== undefined) add(['AUTH', ...auth])
  if (link.selected !== targetDb) add(['SELECT', String(targetDb)])
  for (const name of transfer.names) {
    server.refreshClock()
    const key = keyFromText(name)
    const value = db.peek(key)
    if (value === undefined) continue
    const expireAt = db.expireAt(key) ?? 0
    const ttl = expireAt === 0 ? 0 : Math.max(1, expireAt - server.now)
    add([command, key.own(), String(ttl), dumpValue(value), ...(replace ? ['REPLACE'] : [])])
    sent.push(name)
    if (size < CHUNK) continue
    await sendAll(link, Buffer.concat(chunks), timeoutMs)
    chunks = []
    size = 0
  }
  if (size > 0) await sendAll(link, Buffer.concat(chunks), timeoutMs)
  return sent
}

async function sendAll(link: TargetLink, bytes: Buffer, timeoutMs: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += CHUNK) await link.write(bytes.subarray(at, at + CHUNK), timeoutMs)
}

/** Reads the replies. When AUTH or SELECT was refused, what RESTORE answers does not count: who knows where it went. */
async function receive(
  link: TargetLink,
  transfer: Transfer,
  sent: readonly string[],
  mayRetry: boolean,
): Promise<Outcome> {
  const { auth, targetDb, timeoutMs } = transfer
  const before = (auth === undefined ? 0 : 1) + (link.selected === targetDb ? 0 : 1)
  const lines: string[] = []
  let error: ClientError | undefined
  try {
    await link.lines(lines, before + sent.length, timeoutMs)
  } catch (cause) {
    link.close()
    if (lines.length <= before) return interrupted(cause, READING, mayRetry)
    error = READING
  }
  const isRefusal = (line: string): boolean => line.startsWith('-')
  const acknowledged: string[] = []
  const refusal = lines.slice(0, before).find(isRefusal)
  const bad = refusal ?? lines.find(isRefusal)
  if (bad !== undefined) error = fail(`Target instance replied with error: ${bad.slice(1)}`)
  for (const [i, line] of lines.slice(before).entries())
    if (refusal === undefined && !isRefusal(line)) acknowledged.push(sent[i]!)
  link.selected = error === undefined ? targetDb : -1
  return { acknowledged, error, mayRetry: false }
}
