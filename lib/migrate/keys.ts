/** MIGRATE: keys are dumped, sent and, when the target has acknowledged them, deleted here. */
import type { Database } from '../../store/keyspace.ts'
import { dumpValue } from '../../store/rdb/dump.ts'
import type { FieldDeadlines } from '../../store/types/field-deadlines.ts'
import type { Millis } from '../base/brand.ts'
import type { Key } from '../base/key.ts'
import { ClientError, fail, READ_ONLY } from '../errors.ts'
import { encodeRequest } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
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
  /** Keys that are here, by name. They may be kept. */
  readonly keys: ReadonlyMap<string, Key>
}

/** What the target was sent of one key: a RESTORE, and for the deadlines of a hash's fields some HPEXPIREAT. */
interface Sent {
  readonly key: Key
  /** How many HPEXPIREAT follow the RESTORE, in a cluster each behind an ASKING. */
  readonly deadlines: number
}

/** How far it came: what the target has for certain, and what went wrong, if anything. */
interface Outcome {
  readonly acknowledged: readonly Key[]
  readonly error: ClientError | undefined
  /** Nothing was carried out, and a fresh connection may do better. */
  readonly mayRetry: boolean
}

const CONNECTING = new ClientError('IOERR error or timeout connecting to the client')
const WRITING = new ClientError('IOERR error or timeout writing to target instance')
const READING = new ClientError('IOERR error or timeout reading to target instance')

const CHUNK = 64 * 1024
/** Shorter strings are on their way before they are compressed. */
const COMPRESSED_FROM = 1024
const HPEXPIREAT = 'HPEXPIREAT'
const PAUSE_POLL_MS = 20

/** Moves or copies keys of the client's database, which are locked until that is done. The client waits, and is answered. */
export function migrateKeys(server: Server, client: Client, transfer: Transfer): void {
  const db = server.keyspace.databases[client.db]!
  const lock = server.migrating.lock(transfer.keys)
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
    // The next keys of the slot are asked for.
    server.host.expectRequest()
  })
}

/** The whole of it; undefined is OK. */
async function run(server: Server, db: Database, transfer: Transfer): Promise<ClientError | undefined> {
  let outcome = await attempt(server, db, transfer, false)
  if (outcome.mayRetry) outcome = await attempt(server, db, transfer, true)
  if (transfer.copy || outcome.acknowledged.length === 0) return outcome.error
  // A failover is being handed over: the replica has caught up with an offset that must not move any more. And nothing changes in the
  // middle of a script.
  while (server.pause.mode !== undefined || server.scripting.busy) await pass(PAUSE_POLL_MS)
  if (server.replication.isReplica) return outcome.error ?? READ_ONLY
  forget(server, db, outcome.acknowledged)
  return outcome.error
}

/** One command for all of them: replicas lose them together. */
function forget(server: Server, db: Database, keys: readonly Key[]): void {
  const { propagation } = server
  server.refreshClock()
  propagation.begin()
  const removed = keys.filter((key) => db.remove(key))
  if (removed.length > 0 && propagation.wanted)
    propagation.add(db.index, encodeRequest(['DEL', ...removed.map((key) => key.own())]))
  propagation.end()
}

async function attempt(server: Server, db: Database, transfer: Transfer, fresh: boolean): Promise<Outcome> {
  const { links } = server.migrating
  const { host, port, timeoutMs } = transfer
  let link: TargetLink | undefined
  let sent: readonly Sent[] = []
  try {
    link = await links.take(host, port, timeoutMs, fresh)
    sent = await send(server, db, link, transfer)
    // While the target is busy: a node that lost keys without knowing where to would deny them.
    server.cluster?.persist()
  } catch (cause) {
    link?.close()
    return interrupted(cause, WRITING, !fresh)
  }
  const outcome = await receive(server, link, transfer, sent, !fresh)
  links.give(host, port, link)
  return outcome
}

/** Nothing is known to have been carried out. */
function interrupted(cause: unknown, error: ClientError, mayRetry: boolean): Outcome {
  if (!(cause instanceof LinkFailure)) throw cause
  if (cause.connecting) return { acknowledged: [], error: CONNECTING, mayRetry: false }
  return { acknowledged: [], error, mayRetry: mayRetry && !cause.timedOut }
}

/** Sends AUTH and SELECT, where needed, and each key that is still here: returns which. */
async function send(server: Server, db: Database, link: TargetLink, transfer: Transfer): Promise<readonly Sent[]> {
  const { auth, targetDb, timeoutMs } = transfer
  const { request } = link
  const sent: Sent[] = []
  server.refreshClock()
  if (auth !== undefined) ask(request, 'AUTH', ...auth)
  if (link.selected !== targetDb) ask(request, 'SELECT', String(targetDb))
  for (const key of transfer.keys.values()) {
    const one = sendKey(server, db, link, transfer, key)
    if (one === undefined) continue
    sent.push(one)
    if (request.length < CHUNK) continue
    await link.flush(timeoutMs)
    server.refreshClock()
  }
  if (request.length > 0) await link.flush(timeoutMs)
  return sent
}

/** Undefined when the key is gone. */
function sendKey(server: Server, db: Database, link: TargetLink, { replace }: Transfer, key: Key): Sent | undefined {
  let value = db.peek(key)
  if (value?.type === 'hash' && value.deadlines !== undefined) value = db.living(key, value, false)
  if (value === undefined) return undefined
  const { request } = link
  const expireAt = db.expireAt(key) ?? 0
  const ttl = expireAt === 0 ? 0 : Math.max(1, expireAt - server.now)
  request.array(replace ? 5 : 4)
  request.name(server.cluster === undefined ? 'RESTORE' : 'RESTORE-ASKING')
  request.bulkRange(key.bytes, key.start, key.end, key.data)
  request.name(String(ttl))
  request.bulk(dumpValue(value, value.type !== 'string' || value.bytes.length >= COMPRESSED_FROM))
  if (replace) request.name('REPLACE')
  const deadlines = value.type === 'hash' && link.knowsFieldDeadlines ? value.deadlines : undefined
  return { key, deadlines: deadlines === undefined ? 0 : sendDeadlines(server, link, key.own(), deadlines) }
}

/** One HPEXPIREAT for all fields with the same deadline; returns how many. */
function sendDeadlines({ cluster }: Server, { request }: TargetLink, key: Buffer, deadlines: FieldDeadlines): number {
  const byTime = deadlines.byTime()
  for (const [at, fields] of byTime) {
    if (cluster !== undefined) ask(request, 'ASKING')
    const names = fields.map((field) => Buffer.from(field, 'latin1'))
    ask(request, HPEXPIREAT, key, String(at), 'FIELDS', String(names.length), ...names)
  }
  return byTime.size
}

/** Writes a request: it has the form of a reply that is an array. */
function ask(request: Reply, ...words: readonly (Buffer | string)[]): void {
  request.array(words.length)
  for (const word of words) {
    if (typeof word === 'string') request.text(word)
    else request.bulk(word)
  }
}

/** Reads the replies. When AUTH or SELECT was refused, what RESTORE answers does not count: who knows where it went. */
async function receive(
  server: Server,
  link: TargetLink,
  transfer: Transfer,
  sent: readonly Sent[],
  mayRetry: boolean,
): Promise<Outcome> {
  const { auth, targetDb, timeoutMs } = transfer
  const before = (auth === undefined ? 0 : 1) + (link.selected === targetDb ? 0 : 1)
  const perDeadline = server.cluster === undefined ? 1 : 2
  const lines: string[] = []
  let error: ClientError | undefined
  try {
    await link.replies(lines, before + sent.reduce((sum, one) => sum + 1 + one.deadlines * perDeadline, 0), timeoutMs)
  } catch (cause) {
    link.close()
    if (lines.length <= before) return interrupted(cause, READING, mayRetry)
    error = READING
  }
  const acknowledged: Key[] = []
  const refusal = lines.slice(0, before).find(isRefusal)
  let bad = refusal
  let at = before
  for (const { key, deadlines } of sent) {
    const restored = lines[at++]
    if (restored === undefined) break
    let wrong = isRefusal(restored) ? restored : undefined
    for (let left = deadlines; left > 0; left--, at += perDeadline) {
      const answer = lines[at + perDeadline - 1] ?? NO_ANSWER
      if (UNKNOWN_COMMAND.test(answer)) forgoDeadlines(server, link, transfer)
      else if (isRefusal(answer)) wrong ??= answer
    }
    bad ??= wrong === NO_ANSWER ? undefined : wrong
    if (refusal === undefined && wrong === undefined) acknowledged.push(key)
  }
  if (bad !== undefined) error = fail(`Target instance replied with error: ${bad.slice(1)}`)
  link.selected = error === undefined ? targetDb : -1
  return { acknowledged, error, mayRetry: false }
}

const isRefusal = (line: string): boolean => line.startsWith('-')
/** In place of a reply that did not come. */
const NO_ANSWER = '-'
const UNKNOWN_COMMAND = /^-ERR unknown command/i

/** A target older than 7.4 keeps the fields for good. */
function forgoDeadlines({ log }: Server, link: TargetLink, { host, port }: Transfer): void {
  if (!link.knowsFieldDeadlines) return
  link.knowsFieldDeadlines = false
  log.warning(`MIGRATE: ${host}:${port} does not know ${HPEXPIREAT}, so hash fields lose their deadlines there`)
}
