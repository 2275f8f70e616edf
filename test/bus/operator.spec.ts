import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Effect } from '../../bus/effect.ts'
import type { Operation } from '../../bus/event.ts'
import { writeNodesConf } from '../../bus/nodes-conf.ts'
import { operate } from '../../bus/operator.ts'
import { createWorld, type World } from '../../bus/sim/world.ts'
import { listSlots } from '../../bus/slots.ts'
import type { Cluster, ClusterOptions } from '../../bus/state.ts'
import { step } from '../../bus/step.ts'
import { setReplicaOf } from '../../bus/table.ts'
import type { Epoch } from '../../lib/base/brand.ts'
import { outcome } from '../support/client.ts'
import { prepareServer } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'
import { addReplica, addRow, type Facts, id, logTexts, makeCluster, NOW, ownSlots, takeEffects } from './hand-made.ts'

const [A, M] = [id('a'), id('m')]

/** We own slots 0-9, `a` owns 10-19 and has replica `b`; `e` owns nothing. */
function scene(options: Partial<ClusterOptions> = {}): Cluster {
  const c = makeCluster(options)
  const a = addRow(c, 'a')
  addReplica(c, 'b', a)
  addRow(c, 'e')
  ownSlots(c, c.myself, 0, 9)
  ownSlots(c, a, 10, 19)
  return c
}

/** As `scene`, but we are an empty replica of `a`. */
function replicaScene(): Cluster {
  const c = scene()
  operate(c, { name: 'delslots', slots: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] })
  setReplicaOf(c, c.myself, c.nodes.get(A)!)
  takeEffects(c)
  c.unsaved = 'no'
  return c
}

const withKeys = (c: Cluster): Cluster => {
  Object.assign(c.facts as Facts, { keyCount: () => 1, keysInSlot: () => 1 })
  return c
}

const setslot = (slot: number, action: 'migrating' | 'importing' | 'node', letter: string): Operation => ({
  name: 'setslot',
  slot,
  action,
  id: letter === 'zz' ? 'zz' : id(letter),
})

/** A scene in which we own nothing. */
function makeReplicable(): Cluster {
  const c = makeCluster()
  addRow(c, 'a')
  return c
}

function alone(configEpoch: number): Cluster {
  const c = makeCluster()
  c.myself.configEpoch = configEpoch as Epoch
  return c
}

const SCENES = {
  primary: () => scene(),
  replica: replicaScene,
  primaryWithKeys: () => withKeys(scene()),
  emptyWithKeys: () => withKeys(makeReplicable()),
  alone: () => alone(3),
} as const

const REFUSED: ReadonlyArray<readonly [make: keyof typeof SCENES, operation: Operation, text: string]> = [
  ['primary', { name: 'meet', ip: 'host', port: 7000, busPort: 17000 }, 'Invalid node address specified: host:7000'],
  ['primary', { name: 'meet', ip: '1.2.3.4', port: 0, busPort: 1 }, 'Invalid node address specified: 1.2.3.4:0'],
  ['primary', { name: 'meet', ip: '::1', port: 60000, busPort: 70000 }, 'Invalid node address specified: ::1:60000'],
  ['primary', { name: 'forget', id: 'zz' }, 'Unknown node zz'],
  ['primary', { name: 'forget', id: M }, "I tried hard but I can't forget myself..."],
  ['replica', { name: 'forget', id: A }, "Can't forget my master!"],
  ['primary', { name: 'addslots', slots: [20, 16384] }, 'Invalid or out of range slot'],
  ['primary', { name: 'addslots', slots: [20, 10] }, 'Slot 10 is already busy'],
  ['primary', { name: 'addslots', slots: [20, 20] }, 'Slot 20 specified multiple times'],
  ['primary', { name: 'delslots', slots: [20] }, 'Slot 20 is already unassigned'],
  ['primaryWithKeys', { name: 'flushslots' }, 'DB must be empty to perform CLUSTER FLUSHSLOTS.'],
  ['replica', setslot(0, 'migrating', 'a'), 'Please use SETSLOT only with masters.'],
  ['primary', setslot(16384, 'node', 'a'), 'Invalid or out of range slot'],
  ['primary', setslot(10, 'migrating', 'a'), "I'm not the owner of hash slot 10"],
  ['primary', setslot(0, 'migrating', 'zz'), "I don't know about node zz"],
  ['primary', setslot(0, 'migrating', 'b'), 'Target node is not a master'],
  ['primary', setslot(0, 'importing', 'a'), "I'm already the owner of hash slot 0"],
  ['primary', setslot(10, 'importing', 'zz'), "I don't know about node zz"],
  ['primary', setslot(10, 'importing', 'b'), 'Target node is not a master'],
  ['primary', setslot(10, 'node', 'zz'), 'Unknown node zz'],
  ['primary', setslot(10, 'node', 'b'), 'Target node is not a master'],
  [
    'primaryWithKeys',
    setslot(0, 'node', 'a'),
    "Can't assign hashslot 0 to a different node while I still hold keys for this hash slot.",
  ],
  ['primary', { name: 'replicate', id: 'zz' }, 'Unknown node zz'],
  ['primary', { name: 'replicate', id: M }, "Can't replicate myself"],
  ['primary', { name: 'replicate', id: id('b') }, 'I can only replicate a master, not a replica.'],
  ['primary', { name: 'replicate', id: A }, 'To set a master the node must be empty and without assigned slots.'],
  ['emptyWithKeys', { name: 'replicate', id: A }, 'To set a master the node must be empty and without assigned slots.'],
  ['primary', { name: 'failover', mode: 'plain' }, 'You should send CLUSTER FAILOVER to a replica'],
  [
    'primaryWithKeys',
    { name: 'reset', hard: false },
    "CLUSTER RESET can't be called with master nodes containing keys",
  ],
  ['primary', { name: 'set-config-epoch', epoch: -1 }, 'Invalid config epoch specified: -1'],
  [
    'primary',
    { name: 'set-config-epoch', epoch: 5 },
    'The user can assign a config epoch only when the node does not know any other node.',
  ],
  ['alone', { name: 'set-config-epoch', epoch: 5 }, 'Node config epoch is already non-zero'],
]

describe('CLUSTER operations: what is refused, in the words of redis-server 7.0.15', () => {
  for (const [make, operation, text] of REFUSED) {
    it(`${operation.name}: ${text}`, () => {
      const c = SCENES[make]()
      assert.deepEqual(operate(c, operation), { error: `ERR ${text}` })
      assert.deepEqual([takeEffects(c), c.unsaved], [[], 'no'])
    })
  }
})

describe('CLUSTER MEET', () => {
  it('adds a handshake node under a random id, once for each address, in one spelling', () => {
    const c = makeCluster()
    for (const ip of ['0::1', '::1'])
      assert.equal(operate(c, { name: 'meet', ip, port: 7001, busPort: 17001 }), undefined)
    const [, node] = [...c.nodes.values()]
    assert.equal(c.nodes.size, 2)
    assert.deepEqual(
      [node!.ip, node!.port, node!.busPort, node!.handshake, node!.meet],
      ['::1', 7001, 17001, true, true],
    )
  })
})

describe('CLUSTER FORGET', () => {
  it('removes the node, unbinds its slots, drops its link and blacklists its id for a minute', () => {
    const c = scene()
    const link = c.nodes.get(A)!.outbound!.id
    assert.equal(operate(c, { name: 'forget', id: A }), undefined)
    assert.deepEqual([c.nodes.has(A), c.owners[10], c.blacklist.get(A)], [false, undefined, NOW + 60_000])
    assert(takeEffects(c).some((effect) => effect.type === 'drop' && effect.link === link))
    assert.deepEqual([c.unsaved, c.stateDirty], ['save', true])
  })

  it('is OK for an id that was forgotten already, because the news spreads by itself since 7.2', () => {
    const c = scene()
    operate(c, { name: 'forget', id: A })
    assert.equal(operate(c, { name: 'forget', id: A }), undefined)
  })
})

describe('CLUSTER ADDSLOTS, DELSLOTS, FLUSHSLOTS', () => {
  it('bind to us all slots or none, and clear importing marks', () => {
    const c = scene()
    c.importingFrom.set(20, c.nodes.get(A)!)
    operate(c, { name: 'addslots', slots: [20, 19] })
    assert.equal(c.owners[20], undefined)
    operate(c, { name: 'addslots', slots: [20, 21] })
    assert.deepEqual([c.owners[20], c.myself.slotCount, c.importingFrom.get(20)], [c.myself, 12, undefined])
    assert.deepEqual([c.unsaved, c.stateDirty], ['save', true])
  })

  it('unbind whoever owns them here', () => {
    const c = scene()
    operate(c, { name: 'delslots', slots: [0, 10] })
    assert.deepEqual([c.myself.slotCount, c.nodes.get(A)!.slotCount], [9, 9])
  })

  it('unbind all of ours', () => {
    const c = scene()
    operate(c, { name: 'flushslots' })
    assert.deepEqual([c.myself.slotCount, c.nodes.get(A)!.slotCount], [0, 10])
  })
})

/** How many nodes were shown our configuration. */
const toldPong = (effects: readonly Effect[]): number =>
  effects.reduce(
    (sum, effect) => (effect.type === 'send' && effect.message.body.type === 'pong' ? sum + effect.links.length : sum),
    0,
  )

describe('CLUSTER SETSLOT', () => {
  it('MIGRATING, IMPORTING and STABLE set and clear marks', () => {
    const c = scene()
    const a = c.nodes.get(A)
    operate(c, setslot(0, 'migrating', 'a'))
    operate(c, setslot(10, 'importing', 'a'))
    assert.deepEqual([c.migratingTo.get(0), c.importingFrom.get(10)], [a, a])
    operate(c, { name: 'setslot', slot: 0, action: 'stable' })
    operate(c, { name: 'setslot', slot: 10, action: 'stable' })
    assert.deepEqual([c.migratingTo.get(0), c.importingFrom.get(10)], [undefined, undefined])
  })

  it('NODE hands a slot without keys over, and ends its migration', () => {
    const c = scene()
    operate(c, setslot(0, 'migrating', 'a'))
    operate(c, setslot(0, 'node', 'a'))
    assert.deepEqual([c.owners[0], c.migratingTo.get(0), c.myself.configEpoch], [c.nodes.get(A), undefined, 0])
  })

  it('is saved at once by who gains the slot or keeps it, by the others with the next tick', () => {
    for (const [slot, action, node, how] of [
      [0, 'migrating', 'a', 'later'],
      [10, 'importing', 'a', 'later'],
      [0, 'node', 'a', 'later'],
      [0, 'node', 'm', 'later'],
      [10, 'node', 'm', 'save'],
      [10, 'node', 'e', 'later'],
      [10, 'node', 'a', 'later'],
    ] as const) {
      const c = scene()
      operate(c, setslot(slot, action, node))
      assert.deepEqual(c.unsavedSlot, { slot, later: how === 'later' }, `slot ${slot} ${action} ${node}`)
      assert.equal(c.unsaved, 'no')
    }
    const c = scene()
    operate(c, { name: 'setslot', slot: 0, action: 'stable' })
    assert.deepEqual(c.unsavedSlot, { slot: 0, later: false })
  })

  it('NODE to ourselves of a slot we import bumps our config epoch and tells everybody', () => {
    const c = scene()
    c.currentEpoch = 6 as Epoch
    operate(c, setslot(10, 'importing', 'a'))
    takeEffects(c)
    operate(c, setslot(10, 'node', 'm'))
    assert.deepEqual([c.owners[10], c.importingFrom.get(10), c.myself.configEpoch], [c.myself, undefined, 7])
    const effects = takeEffects(c)
    assert(logTexts(effects).includes('configEpoch updated after importing slot 10'))
    const sends = effects.filter((effect) => effect.type === 'send')
    assert.deepEqual(
      sends.map(({ links, message }) => [links.length, message.body.type]),
      [[3, 'pong']],
    )
    assert.equal(c.unsaved, 'fsync')
  })

  it('of slots imported in a row all see the first at once, the replicas each; the next tick shows them to all', () => {
    for (const fastFailover of [true, false]) {
      const c = scene({ fastFailover })
      c.currentEpoch = 6 as Epoch
      const shown = [10, 11].map((slot) => {
        operate(c, setslot(slot, 'importing', 'a'))
        operate(c, setslot(slot, 'node', 'm'))
        return toldPong(takeEffects(c))
      })
      shown.push(toldPong(step(c, { type: 'tick' }, c.now)))
      assert.deepEqual(shown, fastFailover ? [3, 1, 3] : [3, 3, 0])
    }
  })

  it('of a primary that has lost its last slot by it all see the owner at once', () => {
    const c = scene({ fastFailover: true })
    c.currentEpoch = 6 as Epoch
    const slots = listSlots(c.nodes.get(A)!.slots)
    const shown = slots.map((slot) => {
      operate(c, setslot(slot, 'importing', 'a'))
      operate(c, setslot(slot, 'node', 'm'))
      return toldPong(takeEffects(c))
    })
    assert.deepEqual(shown, [3, ...Array.from({ length: slots.length - 2 }, () => 1), 3])
  })

  it('NODE that takes our last slot makes us a replica of the new owner, if migration is allowed', () => {
    for (const allowed of [true, false]) {
      const c = scene()
      c.options.allowReplicaMigration = allowed
      for (let s = 0; s < 10; s++) operate(c, setslot(s, 'node', 'a'))
      assert.equal(c.myself.primary, allowed ? c.nodes.get(A) : undefined)
    }
  })
})

describe('CLUSTER REPLICATE', () => {
  it('follows the primary', () => {
    const c = makeReplicable()
    assert.equal(operate(c, { name: 'replicate', id: A }), undefined)
    assert.deepEqual(
      [c.myself.role, c.myself.primary, c.myself.shard],
      ['replica', c.nodes.get(A), c.nodes.get(A)!.shard],
    )
    assert(takeEffects(c).some((effect) => effect.type === 'follow' && effect.primary === A))
  })

  it('of the primary we have changes nothing', () => {
    const c = replicaScene()
    assert.equal(operate(c, { name: 'replicate', id: A }), undefined)
    assert.deepEqual(takeEffects(c), [])
  })
})

describe('CLUSTER RESET', () => {
  it('SOFT forgets all nodes and slots, but keeps our name and the epochs', () => {
    const c = scene()
    c.currentEpoch = 6 as Epoch
    c.myself.configEpoch = 5 as Epoch
    c.migratingTo.set(0, c.nodes.get(A)!)
    operate(c, { name: 'forget', id: id('e') })
    assert.equal(operate(c, { name: 'reset', hard: false }), undefined)
    assert.deepEqual([...c.nodes.values()], [c.myself])
    assert.deepEqual([c.myself.id, c.myself.slotCount, c.migratingTo.get(0), c.blacklist.size], [M, 0, undefined, 0])
    assert.deepEqual([c.currentEpoch, c.myself.configEpoch, c.unsaved], [6, 5, 'fsync'])
    assert.deepEqual(c.links.size, 0)
  })

  it('HARD takes a new name and shard, and epochs begin at zero', () => {
    const c = scene()
    const shard = c.myself.shard
    Object.assign(c, { currentEpoch: 6, lastVoteEpoch: 6 })
    operate(c, { name: 'reset', hard: true })
    assert.notEqual(c.myself.id, M)
    assert.notEqual(c.myself.shard, shard)
    assert.deepEqual([c.nodes.get(c.myself.id), c.nodes.size], [c.myself, 1])
    assert.deepEqual([c.currentEpoch, c.lastVoteEpoch, c.myself.configEpoch], [0, 0, 0])
    const texts = logTexts(takeEffects(c))
    assert(texts.includes('configEpoch set to 0 via CLUSTER RESET HARD'))
    assert(texts.includes(`Node hard reset, now I'm ${c.myself.id}`))
  })

  it('of a replica makes it a primary and flushes its data', () => {
    const c = withKeys(replicaScene())
    assert.equal(operate(c, { name: 'reset', hard: false }), undefined)
    assert.deepEqual([c.myself.role, c.myself.primary], ['primary', undefined])
    const types = takeEffects(c).map((effect) => effect.type)
    assert.deepEqual(types.slice(0, 2), ['lead', 'flush'])
  })
})

describe('CLUSTER SET-CONFIG-EPOCH, BUMPEPOCH, SAVECONFIG', () => {
  it('SET-CONFIG-EPOCH raises the current epoch too', () => {
    const c = alone(0)
    assert.equal(operate(c, { name: 'set-config-epoch', epoch: 5 }), undefined)
    assert.deepEqual([c.myself.configEpoch, c.currentEpoch, c.unsaved], [5, 5, 'save'])
    assert.deepEqual(logTexts(takeEffects(c)), ['configEpoch set to 5 via CLUSTER SET-CONFIG-EPOCH'])
  })

  it('BUMPEPOCH says whether it did', () => {
    const c = scene()
    c.currentEpoch = 7 as Epoch
    assert.deepEqual(operate(c, { name: 'bumpepoch' }), { text: 'BUMPED 8' })
    assert.deepEqual(operate(c, { name: 'bumpepoch' }), { text: 'STILL 8' })
  })

  it('SAVECONFIG saves with fsync', () => {
    const c = scene()
    assert.equal(operate(c, { name: 'saveconfig' }), undefined)
    assert.equal(c.unsaved, 'fsync')
  })
})

describe('operations in a simulated world', () => {
  function world(seed: number): World {
    const made = createWorld({ seed, nodes: 6 })
    made.form(3)
    return made
  }

  it('a slot moves from node to node, and everybody learns of it', () => {
    const w = world(1)
    const [from, to] = [w.cluster(0).myself.id, w.cluster(1).myself.id]
    w.operate(1, { name: 'setslot', slot: 0, action: 'importing', id: from })
    w.operate(0, { name: 'setslot', slot: 0, action: 'migrating', id: to })
    w.operate(1, { name: 'setslot', slot: 0, action: 'node', id: to })
    w.operate(0, { name: 'setslot', slot: 0, action: 'node', id: to })
    w.until(() => w.nodes.every(({ cluster }) => cluster.owners[0]?.id === to), 5000)
    w.until(() => w.hasConverged(), 5000)
  })

  it('a node one of them forgets is forgotten by all, and stays away until it is met when the time is over', () => {
    const w = world(2)
    const gone = w.cluster(5).myself.id
    const knowing = (): number => w.nodes.filter(({ index, cluster }) => index < 5 && cluster.nodes.has(gone)).length
    assert.equal(w.operate(0, { name: 'forget', id: gone }), undefined)
    w.until(() => knowing() === 0, 10_000)
    for (let i = 0; i < 5; i++) assert.equal(w.operate(i, { name: 'forget', id: gone }), undefined)
    w.advance(70_000)
    assert.equal(knowing(), 0)
    w.operate(5, { name: 'meet', ip: w.nodes[0]!.ip, port: 7000, busPort: 17000 })
    w.until(() => knowing() === 5, 10_000)
  })

  it('a node that was reset is a new node, and can join again', () => {
    const w = world(4)
    w.operate(5, { name: 'reset', hard: true })
    assert.equal(w.cluster(5).nodes.size, 1)
    w.advance(3000)
    w.operate(5, { name: 'meet', ip: w.nodes[0]!.ip, port: 7000, busPort: 17000 })
    const name = w.cluster(5).myself.id
    w.until(() => w.nodes.every(({ cluster }) => cluster.nodes.has(name)), 20_000)
  })
})

scenarios('CLUSTER operations are refused by redis-server in the same words', ['redis'], () => {
  for (const which of ['primary', 'replica', 'alone'] as const) {
    it(`on a node like "${which}"`, async () => {
      const server = await prepareServer({ kind: 'redis', conf: { 'cluster-enabled': 'yes' } })
      writeFileSync(join(server.dir, 'nodes.conf'), writeNodesConf(SCENES[which]()))
      await server.start()
      for (const [make, operation, text] of REFUSED) {
        if (make !== which) continue
        assert.equal(await outcome(server.port, 'CLUSTER', ...argvOf(operation)), `ERR ${text}`)
      }
    })
  }
})

function argvOf(operation: Operation): (string | number)[] {
  switch (operation.name) {
    case 'meet':
      return ['MEET', operation.ip, operation.port, operation.busPort]
    case 'addslots':
    case 'delslots':
      return [operation.name, ...operation.slots]
    case 'setslot':
      return ['SETSLOT', operation.slot, operation.action, ...('id' in operation ? [operation.id] : [])]
    case 'failover':
      return operation.mode === 'plain' ? ['FAILOVER'] : ['FAILOVER', operation.mode]
    case 'set-config-epoch':
      return [operation.name, operation.epoch]
    case 'forget':
    case 'replicate':
      return [operation.name, operation.id]
    case 'reset':
      return ['RESET', operation.hard ? 'HARD' : 'SOFT']
    case 'flushslots':
    case 'bumpepoch':
    case 'saveconfig':
      return [operation.name]
  }
}
