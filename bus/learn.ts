/** What a message teaches about its sender, whatever else it says: that it lives, its epochs, its offset, its role. */
import { learnEpochs } from './epoch.ts'
import { blacklist } from './handshake.ts'
import { record } from './history.ts'
import { NODE_FLAGS } from './layout.ts'
import type { Extension, Header } from './message.ts'
import { unbindAll } from './slots.ts'
import type { Cluster, ClusterNode } from './state.ts'
import { findNode, makePrimaryRow, needSave, needSaveLearned, removeNode, setReplicaOf } from './table.ts'

/** From any message of a known sender. */
export function learnProgress(c: Cluster, sender: ClusterNode, header: Header): void {
  sender.dataReceivedAt = c.now
  learnEpochs(c, sender, header)
  sender.offset = header.offset
  sender.offsetAt = c.now
}

/** From a ping: whether the sender is a primary, or whose replica. A primary that turned replica has given up its slots. */
export function learnRole(c: Cluster, sender: ClusterNode, header: Header): void {
  sender.noFailover = (header.flags & NODE_FLAGS.noFailover) !== 0
  if (!header.replicaOf) {
    if (sender.role === 'replica') {
      record(c, { type: 'role', node: sender.id })
      sender.promotedAt = c.now
    }
    makePrimaryRow(c, sender)
    return
  }
  if (sender.role === 'primary') {
    unbindAll(c, sender)
    sender.role = 'replica'
    sender.migrateTo = false
    c.stateDirty = true
    needSaveLearned(c, 'save')
  }
  if (header.replicaOf === sender.primary?.id) return
  const primary = findNode(c, header.replicaOf)
  if (!primary || primary === sender) return
  record(c, { type: 'role', node: sender.id, primary: primary.id })
  setReplicaOf(c, sender, primary)
  sender.shard = primary.shard
  needSaveLearned(c, 'save')
}

/** Whether the sender said this as a replica, before it said as a primary what we know: of what comes by two links the later word may come
 *  first. Such a word would be the last if the sender died now, and its slots nobody's. Who gives up slots has heard of a higher epoch,
 *  unless an operator took them from it: but then it says so again. */
export function isOvertaken(c: Cluster, sender: ClusterNode, header: Header): boolean {
  if (!header.replicaOf || sender.role === 'replica' || sender.slotCount === 0) return false
  const isOlder = header.configEpoch < sender.configEpoch && header.currentEpoch <= sender.configEpoch
  return isOlder && c.now - sender.promotedAt < c.options.nodeTimeoutMs
}

/** From a ping: names and addresses for clients, the shard, and whom the sender was told to forget. A name that is not
 *  said is a name that is no more. */
export function learnExtensions(c: Cluster, sender: ClusterNode, extensions: readonly Extension[]): void {
  const told = { hostname: '', humanName: '', clientIpv4: '', clientIpv6: '' }
  for (const extension of extensions) {
    switch (extension.type) {
      case 'hostname':
        told.hostname = extension.text
        break
      case 'human-nodename':
        told.humanName = extension.text
        break
      case 'client-ipv4':
        told.clientIpv4 = extension.text
        break
      case 'client-ipv6':
        told.clientIpv6 = extension.text
        break
      case 'shard-id':
        learnShard(c, sender, extension.id)
        break
      case 'forgotten-node':
        forgetToo(c, sender, extension.id, extension.ttlSec)
        break
      case 'unknown': // a newer version's; every extension is optional
        break
    }
  }
  if ((Object.keys(told) as (keyof typeof told)[]).every((key) => sender[key] === told[key])) return
  Object.assign(sender, told)
  needSave(c, 'save')
}

function learnShard(c: Cluster, sender: ClusterNode, shard: ClusterNode['shard']): void {
  if (sender.shard !== shard) {
    sender.shard = shard
    needSave(c, 'save')
  }
  if (c.myself.primary !== sender || c.myself.shard === shard) return
  c.myself.shard = shard
  needSave(c, 'fsync')
}

/** An operator's FORGET spreads by itself (since 7.2), but nobody is talked into forgetting itself or its primary. */
function forgetToo(c: Cluster, sender: ClusterNode, id: string, ttlSec: number): void {
  const node = findNode(c, id)
  if (!node || node === c.myself || node === c.myself.primary) return
  blacklist(c, node.id, ttlSec)
  record(c, { type: 'forgotten', node: node.id, by: sender.id })
  removeNode(c, node)
  needSave(c, 'save')
}
