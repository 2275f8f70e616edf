/** The time line of a trial: a line for each event that matters, with short names for nodes, for people to read. */
import type { Effect } from '../effect.ts'
import type { SimNode } from './node.ts'

/** What is told, from the lines nodes log; the rest is everyday life. */
const TELLING: readonly RegExp[] = [
  /possibly failing/,
  /as failing \(quorum reached\)/,
  /FAIL message received/,
  /Clear FAIL state/,
  /Start of election/,
  /Starting a failover election/,
  /Failover auth granted/,
  /Failover auth denied/,
  /Failover election won/,
  /configEpoch/,
  /Currently unable to failover/,
  /Reconfiguring myself/,
  /Migrating to orphaned/,
  /Cluster state changed/,
  /[Mm]anual failover/,
  /replication stream processed/,
  /Forced failover|Taking over/,
  /IP address|Address updated/,
]

export interface Timeline {
  readonly lines: string[]
  /** Adds what a step logged. */
  note(ageMs: number, node: SimNode, effects: readonly Effect[]): void
  /** Adds a line of our own; without a node it is about the world. */
  tell(ageMs: number, node: SimNode | undefined, text: string): void
}

export function createTimeline(nodes: () => readonly SimNode[]): Timeline {
  const lines: string[] = []
  const names = new Map<string, string>()
  const nameOf = (id: string): string => {
    if (!names.has(id)) for (const node of nodes()) names.set(node.cluster.myself.id, `n${node.index}`)
    return names.get(id) ?? `${id.slice(0, 8)}...`
  }
  const tell = (ageMs: number, node: SimNode | undefined, text: string): void => {
    const seconds = (ageMs / 1000).toFixed(3).padStart(8)
    const plain = text.replace(/\b[0-9a-f]{40}\b/g, nameOf)
    lines.push(`${seconds}  ${(node ? `n${node.index}` : '').padEnd(4)} ${plain}`)
  }
  return {
    lines,
    tell,
    note(ageMs, node, effects) {
      for (const effect of effects) {
        if (effect.type === 'log' && TELLING.some((pattern) => pattern.test(effect.text)))
          tell(ageMs, node, effect.text)
        else if (effect.type === 'lead')
          tell(ageMs, node, `is a primary now, config epoch ${node.cluster.myself.configEpoch}`)
        else if (effect.type === 'follow') tell(ageMs, node, `follows ${effect.primary}`)
        else if (effect.type === 'slots-lost') tell(ageMs, node, `loses ${effect.slots.length} slots`)
      }
    },
  }
}
