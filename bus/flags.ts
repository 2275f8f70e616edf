/** Node flags: the bits by which headers and gossip entries describe a node, from a row and back. */
import { NODE_FLAGS } from './layout.ts'
import type { ClusterNode } from './state.ts'

/** One claim about a node: its bit, and when a row makes it. */
interface FlagRow {
  readonly bit: number
  readonly holds: (node: ClusterNode) => boolean
}

const ROWS: readonly FlagRow[] = [
  { bit: NODE_FLAGS.primary, holds: (node) => node.role === 'primary' },
  { bit: NODE_FLAGS.replica, holds: (node) => node.role === 'replica' },
  { bit: NODE_FLAGS.pfail, holds: (node) => node.health === 'pfail' },
  { bit: NODE_FLAGS.fail, holds: (node) => node.health === 'fail' },
  { bit: NODE_FLAGS.handshake, holds: (node) => node.handshake },
  { bit: NODE_FLAGS.noAddress, holds: (node) => node.noAddress },
  { bit: NODE_FLAGS.meet, holds: (node) => node.meet },
  { bit: NODE_FLAGS.migrateTo, holds: (node) => node.migrateTo },
  { bit: NODE_FLAGS.noFailover, holds: (node) => node.noFailover },
  { bit: NODE_FLAGS.extensionsSupported, holds: (node) => node.extensionsSupported },
]

/** The flag bits of a row, without MYSELF: whoever writes about itself adds that. */
export function flagBits(node: ClusterNode): number {
  let bits = 0
  for (const row of ROWS) if (row.holds(node)) bits |= row.bit
  return bits
}

/** Takes over what gossip says about a node nobody here has heard of. MYSELF and HANDSHAKE are never true of a third
 *  node, and bits we do not know are dropped. */
export function adoptFlags(node: ClusterNode, bits: number): void {
  node.role = bits & NODE_FLAGS.replica ? 'replica' : 'primary'
  node.health = bits & NODE_FLAGS.fail ? 'fail' : bits & NODE_FLAGS.pfail ? 'pfail' : 'ok'
  node.noAddress = (bits & NODE_FLAGS.noAddress) !== 0
  node.meet = (bits & NODE_FLAGS.meet) !== 0
  node.migrateTo = (bits & NODE_FLAGS.migrateTo) !== 0
  node.noFailover = (bits & NODE_FLAGS.noFailover) !== 0
  node.extensionsSupported = (bits & NODE_FLAGS.extensionsSupported) !== 0
}
