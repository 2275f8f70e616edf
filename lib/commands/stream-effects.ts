/** What replicas are told of consumer groups: the outcome of reading and claiming, one command for each. */
import type { Group, Pending } from '../../store/types/stream-groups.ts'
import { formatId } from '../../store/types/stream-id.ts'
import type { Key } from '../base/key.ts'
import type { Call } from '../server/call.ts'

const latin1 = (name: string): Buffer => Buffer.from(name, 'latin1')

/** Somebody has an entry pending now, and the group has read so far. */
export function tellClaim(
  call: Call,
  key: Key,
  group: Group,
  { id, consumer, deliveredAt, deliveries }: Pending,
): void {
  if (!call.server.propagation.wanted) return
  call.propagate([
    'XCLAIM',
    key.own(),
    latin1(group.name),
    latin1(consumer.name),
    '0',
    formatId(id),
    'TIME',
    String(deliveredAt),
    'RETRYCOUNT',
    String(deliveries),
    'FORCE',
    'JUSTID',
    'LASTID',
    formatId(group.lastId),
  ])
}

/** A group has read so far. */
export function tellPosition(call: Call, key: Key, { name, lastId, entriesRead = -1 }: Group): void {
  call.propagate(['XGROUP', 'SETID', key.own(), latin1(name), formatId(lastId), 'ENTRIESREAD', String(entriesRead)])
}

export function tellNewConsumer(call: Call, key: Key, group: Group, name: string): void {
  call.propagate(['XGROUP', 'CREATECONSUMER', key.own(), latin1(group.name), latin1(name)])
}
