/** Serve a request here, or tell the client where to go: the redirection rules of the Redis Cluster specification. */
import type { Cluster, ClusterNode } from '../../bus/state.ts'
import { clientPort, endpointOf } from '../../bus/view.ts'
import type { Database } from '../../store/keyspace.ts'
import { SLOT_COUNT } from '../base/brand.ts'
import { keyIndexes } from '../commands/keys.ts'
import type { CommandEntry } from '../commands/table.ts'
import { CLUSTER_DOWN, CLUSTER_DOWN_READS, ClientError, CROSS_SLOT, SLOT_NOT_SERVED, TRY_AGAIN } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'

/** What routing needs to know about the asking client. */
export interface Asker {
  readonly readonly: boolean
  readonly asking: boolean
  /** Connected over TLS: redirections name TLS ports. */
  readonly tls: boolean
}

/** One request of which the keys are to be checked; EXEC checks several at once. */
export interface Routed {
  readonly entry: CommandEntry
  readonly argv: Argv
}

const scratch: number[] = []

/** Undefined: serve it here. Otherwise the redirection or refusal to answer. */
export function route(
  c: Readonly<Cluster>,
  db: Database,
  asker: Asker,
  entry: CommandEntry,
  argv: Argv,
): ClientError | undefined {
  if (entry.onlyKey > 0 && entry.onlyKey < argv.count && isSettled(c, argv.key(entry.onlyKey).slot())) return undefined
  const count = keyIndexes(entry, argv, scratch)
  if (count === 0) return undefined
  const slot = argv.key(scratch[0]!).slot()
  if (c.owners[slot] === undefined) return SLOT_NOT_SERVED
  for (let i = 1; i < count; i++) if (argv.key(scratch[i]!).slot() !== slot) return CROSS_SLOT
  if (isSettled(c, slot)) return undefined
  return routeSlot(c, db, asker, slot, [{ entry, argv }])
}

/** The common case, decided in a few loads: the slot is ours, it is not on the move, all is well. */
const isSettled = (c: Readonly<Cluster>, slot: number): boolean =>
  c.owners[slot] === c.myself && c.state === 'ok' && (c.migratingTo.size === 0 || !c.migratingTo.has(slot))

/** The same for a transaction: all queued commands must agree on one slot. */
export function routeAll(
  c: Readonly<Cluster>,
  db: Database,
  asker: Asker,
  requests: readonly Routed[],
): ClientError | undefined {
  let slot = -1
  for (const { entry, argv } of requests) {
    const count = keyIndexes(entry, argv, scratch)
    for (let i = 0; i < count; i++) {
      const its = argv.key(scratch[i]!).slot()
      if (slot >= 0 && its !== slot) return CROSS_SLOT
      slot = its
      if (c.owners[slot] === undefined) return SLOT_NOT_SERVED
    }
  }
  return slot < 0 ? undefined : routeSlot(c, db, asker, slot, requests)
}

function routeSlot(
  c: Readonly<Cluster>,
  db: Database,
  asker: Asker,
  slot: number,
  requests: readonly Routed[],
): ClientError | undefined {
  const owner = c.owners[slot]
  if (owner === undefined) return SLOT_NOT_SERVED
  const isWrite = requests.some(({ entry }) => entry.isWrite)
  const channels = requests.every(
    ({ entry }) => entry.command.keys === undefined || entry.command.keys.channels === true,
  )
  const down = c.state === 'ok' ? undefined : whenDown(c, isWrite, channels)
  if (down !== undefined) return down

  const target = owner === c.myself ? c.migratingTo.get(slot) : undefined
  const importing = owner !== c.myself && c.importingFrom.has(slot)
  if ((target !== undefined || importing) && requests.every(({ entry }) => entry.fullName === 'migrate'))
    return undefined
  if (target !== undefined && !channels) {
    const { missing, present } = countKeys(db, requests)
    if (missing > 0) return present > 0 ? TRY_AGAIN : redirect('ASK', c, slot, target, asker)
  }
  if (importing && (asker.asking || requests.some(({ entry }) => entry.command.flags.includes('asking')))) {
    const { missing, distinct } = countKeys(db, requests)
    return distinct > 1 && missing > 0 && !channels ? TRY_AGAIN : undefined
  }
  const mayRead = !isWrite && (asker.readonly || channels)
  if (mayRead && c.myself.role === 'replica' && c.myself.primary === owner) return undefined
  return owner === c.myself ? undefined : redirect('MOVED', c, slot, owner, asker)
}

function whenDown(c: Readonly<Cluster>, isWrite: boolean, channels: boolean): ClientError | undefined {
  if (channels) return c.options.allowPubsubshardWhenDown ? undefined : CLUSTER_DOWN
  if (!c.options.allowReadsWhenDown) return CLUSTER_DOWN
  return isWrite ? CLUSTER_DOWN_READS : undefined
}

/** How many of the requests' keys are here. Looks without removing anything: a redirection has no side effects. */
function countKeys(db: Database, requests: readonly Routed[]): { missing: number; present: number; distinct: number } {
  let missing = 0
  let present = 0
  const names = new Set<string>()
  for (const { entry, argv } of requests) {
    const count = keyIndexes(entry, argv, scratch)
    for (let i = 0; i < count; i++) {
      const key = argv.key(scratch[i]!)
      names.add(key.text())
      if (db.has(key)) present++
      else missing++
    }
  }
  return { missing, present, distinct: names.size }
}

/** `MOVED 3300 127.0.0.1:7001`, with the endpoint the node is to be known by. */
export function redirect(
  kind: 'MOVED' | 'ASK',
  c: Readonly<Cluster>,
  slot: number,
  node: ClusterNode,
  asker: Asker,
): ClientError {
  return new ClientError(`${kind} ${slot} ${endpointOf(c, node)}:${clientPort(c, node, asker.tls)}`)
}

/** What a blocked client's slot has come to: undefined while this node may still serve it. */
export function routeBlocked(
  c: Readonly<Cluster>,
  slot: number,
  asker: Asker,
  readonlyCommand: boolean,
): ClientError | undefined {
  if (c.state === 'fail') return CLUSTER_DOWN
  const owner = c.owners[slot % SLOT_COUNT]
  if (owner === undefined) return SLOT_NOT_SERVED
  if (owner === c.myself || c.importingFrom.has(slot)) return undefined
  if (readonlyCommand && asker.readonly && c.myself.primary === owner) return undefined
  return redirect('MOVED', c, slot, owner, asker)
}
