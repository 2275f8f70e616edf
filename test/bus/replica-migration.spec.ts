import assert from 'node:assert/strict'
import { considerMigration, whyNoMigration } from '../../bus/replica-migration.ts'
import { createWorld, type World } from '../../bus/sim/world.ts'
import type { Cluster, ClusterNode, ClusterOptions } from '../../bus/state.ts'
import { setReplicaOf } from '../../bus/table.ts'
import type { Millis } from '../../lib/base/brand.ts'
import { addReplica, addRow, logTexts, makeCluster, NOW, ownSlots, takeEffects } from './hand-made.ts'

interface Scene {
  readonly c: Cluster
  /** Our primary, with us and `s`. */
  readonly primary: ClusterNode
  readonly sibling: ClusterNode
  /** Without replicas, though it had one. */
  readonly orphan: ClusterNode
}

function scene(options: Partial<ClusterOptions> = {}): Scene {
  const c = makeCluster(options)
  const primary = addRow(c, 'p')
  setReplicaOf(c, c.myself, primary)
  const sibling = addReplica(c, 's', primary)
  const orphan = addRow(c, 'o', { migrateTo: true })
  ownSlots(c, primary, 0, 99)
  ownSlots(c, orphan, 100, 199)
  c.state = 'ok'
  return { c, primary, sibling, orphan }
}

/** Considers it now and again when the orphan has waited long enough. */
function considerTwice(c: Cluster): string[] {
  considerMigration(c)
  c.now = (NOW + 5001) as Millis
  considerMigration(c)
  return logTexts(takeEffects(c))
}

describe('replica migration', () => {
  it('moves the replica with the smallest id to a primary that has been orphaned for five seconds', () => {
    const { c, orphan, primary } = scene()
    considerMigration(c)
    c.now = (NOW + 5000) as Millis
    considerMigration(c)
    assert.equal(c.myself.primary, primary)
    c.now = (NOW + 5001) as Millis
    considerMigration(c)
    assert.deepEqual([c.myself.primary, orphan.replicas, c.unsaved], [orphan, [c.myself], 'save'])
    const effects = takeEffects(c)
    assert.deepEqual(logTexts(effects), [`Migrating to orphaned master ${orphan.id}`])
    assert(effects.some((effect) => effect.type === 'follow' && effect.primary === orphan.id))
  })

  it('the time starts anew when the primary was not orphaned in between', () => {
    const { c, orphan } = scene()
    considerMigration(c)
    orphan.health = 'fail'
    c.now = (NOW + 3000) as Millis
    considerMigration(c)
    orphan.health = 'ok'
    c.now = (NOW + 6000) as Millis
    considerMigration(c)
    assert.equal(whyNoMigration(c), 'orphaned-too-recently')
  })

  const stays: Readonly<Record<string, readonly [(s: Scene) => void, ReturnType<typeof whyNoMigration>]>> = {
    'we are a primary': [({ c }) => Object.assign(c.myself, { role: 'primary' }), 'not-a-replica'],
    'our primary is unknown': [({ c }) => Object.assign(c.myself, { primary: undefined }), 'primary-unknown'],
    'no primary is orphaned': [({ c, orphan }) => addReplica(c, 'x', orphan), 'no-orphan'],
    'the orphan never had a replica': [({ orphan }) => Object.assign(orphan, { migrateTo: false }), 'no-orphan'],
    'the orphan has no slots': [({ orphan }) => Object.assign(orphan, { slotCount: 0 }), 'no-orphan'],
    'the orphan failed': [({ orphan }) => Object.assign(orphan, { health: 'fail' }), 'no-orphan'],
    'no primary has two working replicas': [
      ({ sibling }) => Object.assign(sibling, { health: 'fail' }),
      'primary-has-not-most-replicas',
    ],
    'another primary has more': [
      ({ c }) => {
        const rich = addRow(c, 'q')
        for (const letter of ['x', 'y', 'z']) addReplica(c, letter, rich)
      },
      'primary-has-not-most-replicas',
    ],
    'the cluster is down': [({ c }) => Object.assign(c, { state: 'fail' }), 'cluster-down'],
    'too few replicas would stay that work for certain': [
      ({ sibling }) => Object.assign(sibling, { health: 'pfail' }),
      'barrier',
    ],
    'another replica has the smaller id': [({ c, primary }) => addReplica(c, 'b', primary), 'not-the-candidate'],
    'a replica of another primary with as many has the smaller id': [
      ({ c }) => {
        const equal = addRow(c, 'q')
        for (const letter of ['b', 'x']) addReplica(c, letter, equal)
      },
      'not-the-candidate',
    ],
  }
  for (const [what, [arrange, reason]] of Object.entries(stays)) {
    it(`does not happen when ${what}`, () => {
      const s = scene()
      arrange(s)
      assert.deepEqual(considerTwice(s.c), [])
      assert.equal(whyNoMigration(s.c), reason)
    })
  }

  it('a failed replica with a smaller id is no candidate', () => {
    const { c, primary, orphan } = scene()
    addReplica(c, 'b', primary, { health: 'fail' })
    assert.deepEqual(considerTwice(c), [`Migrating to orphaned master ${orphan.id}`])
  })

  it('cluster-migration-barrier replicas stay behind', () => {
    const { c } = scene({ migrationBarrier: 2 })
    assert.deepEqual(considerTwice(c), [])
    assert.equal(whyNoMigration(c), 'barrier')
  })

  it('cluster-allow-replica-migration no switches it off', () => {
    const { c } = scene({ allowReplicaMigration: false })
    assert.deepEqual(considerTwice(c), [])
    assert.equal(whyNoMigration(c), 'migration-disabled')
  })
})

describe('replica migration in a simulated world', () => {
  /** Three shards; node 0 has replicas 3 and 6, the others one each. */
  function world(seed: number, options: Partial<ClusterOptions> = {}): World {
    const made = createWorld({ seed, nodes: 7, options })
    made.form(3)
    return made
  }
  const replicasOf = (w: World, i: number): number =>
    w.nodes.filter(({ alive, cluster }) => alive && cluster.myself.primary?.id === w.cluster(i).myself.id).length

  it('a primary whose only replica dies gets one from the primary that has two', () => {
    const w = world(1)
    w.crash(4)
    w.until(() => replicasOf(w, 1) === 1 && w.row(2, 4)?.health === 'fail', 30_000)
    assert.equal(replicasOf(w, 0), 1)
    w.until(() => w.cluster(2).nodes.get(w.cluster(1).myself.id)!.replicas.length === 2, 5000)
  })

  it('as does one that was just elected, after the replica it used to be', () => {
    const w = world(2)
    w.crash(1)
    w.until(() => w.cluster(4).myself.role === 'primary' && replicasOf(w, 4) === 1, 40_000)
  })

  it('nobody moves below the barrier, or when it is switched off', () => {
    for (const options of [{ migrationBarrier: 2 }, { allowReplicaMigration: false }]) {
      const w = world(3, options)
      w.crash(4)
      w.advance(30_000)
      assert.deepEqual([replicasOf(w, 0), replicasOf(w, 1)], [2, 0])
    }
  })
})
