/** Clauses of cluster-bus.md section 8: slot ownership. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { createWorld } from '../../bus/sim/world.ts'
import { addSlot, addSlots, bindSlot, hasSlot, removeSlot, slotRanges, unbindAll, unbindSlot } from '../../bus/slots.ts'
import type { ClusterNode } from '../../bus/state.ts'
import type { Epoch } from '../../lib/base/brand.ts'
import { type Bench, bench, bitmap, give, id, of, own, peer, ping, replicate, saved, say, sent } from './harness.ts'

/** A primary claims slots with an epoch. */
const claim = (b: Bench, node: ClusterNode, slots: number[], epoch: number) =>
  say(b, node, ping('pong'), { slots: bitmap(...slots), configEpoch: epoch as Epoch, currentEpoch: epoch as Epoch })

/** A replica shows itself as the new owner of its primary's slots. */
const takeOver = (b: Bench, node: ClusterNode, slots: number[], epoch: number) =>
  say(b, node, ping('pong'), { replicaOf: undefined, slots: bitmap(...slots), configEpoch: epoch as Epoch })

const update = (b: Bench, by: ClusterNode, about: ClusterNode, slots: number[], epoch: number) =>
  say(b, by, { type: 'update', node: about.id, slots: bitmap(...slots), configEpoch: epoch as Epoch })

const owners = (b: Bench, ...slots: number[]): (string | undefined)[] => slots.map((s) => b.c.owners[s]?.id[0])

describe('slots: bitmaps and bindings', () => {
  it('keep slot s in bit s&7 of byte s>>3 (1.1)', () => {
    const bytes = new Uint8Array(2048)
    addSlot(bytes, 9)
    assert.equal(bytes[1], 2)
    assert.ok(hasSlot(bytes, 9))
    removeSlot(bytes, 9)
    assert.equal(bytes[1], 0)
  })

  it('read back as ranges what was put in', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 16383 })), (slots) => {
        const ranges = slotRanges(bitmap(...slots))
        const listed = ranges.flatMap(([a, z]) => Array.from({ length: z - a + 1 }, (_, i) => a + i))
        assert.deepEqual(
          listed,
          slots.toSorted((a, z) => a - z),
        )
        for (let i = 1; i < ranges.length; i++) assert.ok(ranges[i]![0] > ranges[i - 1]![1] + 1)
      }),
    )
  })

  it('agree with a plain map, whatever is bound and freed', () => {
    const b = bench()
    const nodes = [b.c.myself, peer(b, 'a'), peer(b, 'x')]
    const model = new Map<number, ClusterNode>()
    const change = fc.tuple(fc.integer({ min: 0, max: 20 }), fc.constantFrom(undefined, ...nodes))
    fc.assert(
      fc.property(fc.array(change), (changes) => {
        for (const [s, node] of changes) {
          if (node) assert.equal(bindSlot(b.c, node, s), !model.has(s))
          else assert.equal(unbindSlot(b.c, s), model.delete(s))
          if (node && !model.has(s)) model.set(s, node)
        }
        for (const node of nodes) {
          const theirs = [...model].filter(([, owner]) => owner === node)
          assert.equal(node.slotCount, theirs.length)
          assert.deepEqual(node.slots, bitmap(...theirs.map(([s]) => s)))
        }
      }),
    )
    assert.equal(unbindAll(b.c, b.c.myself), [...model.values()].filter((owner) => owner === b.c.myself).length)
  })

  it('make a primary with its first slot a target of migration, where primaries have replicas (8.10)', () => {
    const b = bench()
    bindSlot(b.c, b.c.myself, 1)
    assert.equal(b.c.myself.migrateTo, false)
    const other = peer(b, 'a', { slots: [2] })
    peer(b, 'x', { replicaOf: other })
    const late = peer(b, 'y', { slots: [3] })
    assert.equal(late.migrateTo, true)
  })
})

describe('ownership: claims (8.1 - 8.3)', () => {
  it('binds a free slot to whom claims it, and notes it in nodes.conf soon; without fast failover before anything else', () => {
    for (const [fastFailover, how] of [
      [true, 'later'],
      [false, 'fsync'],
    ] as const) {
      const b = bench('m', { fastFailover })
      const a = peer(b, 'a')
      assert.equal(saved(claim(b, a, [1], 0)), how)
      assert.deepEqual(owners(b, 1), ['a'])
    }
  })

  it('moves a slot to a higher config epoch, and not to an equal or lower one', () => {
    const b = bench()
    peer(b, 'x', { slots: [1], epoch: 5 })
    const a = peer(b, 'a')
    claim(b, a, [1], 5)
    assert.deepEqual(owners(b, 1), ['x'])
    claim(b, a, [1], 6)
    assert.deepEqual(owners(b, 1), ['a'])
  })

  it('listens to no claim of a replica', () => {
    const b = bench()
    const primary = peer(b, 'x')
    const replica = peer(b, 'a', { replicaOf: primary })
    claim(b, replica, [1], 9)
    assert.deepEqual(owners(b, 1), [undefined])
  })

  it('does not let gossip move a slot it is importing', () => {
    const b = bench()
    const source = peer(b, 'x', { slots: [1], epoch: 1 })
    b.c.importingFrom.set(1, source)
    claim(b, peer(b, 'a'), [1], 9)
    assert.deepEqual(owners(b, 1), ['x'])
  })

  it('keeps a slot bound to an owner that no longer claims it, but gives it to anybody who does', () => {
    const b = bench()
    const x = peer(b, 'x', { slots: [1, 2], epoch: 9 })
    claim(b, x, [2], 9)
    assert.deepEqual(owners(b, 1), ['x'])
    claim(b, peer(b, 'a'), [1], 1)
    assert.deepEqual(owners(b, 1), ['a'])
  })

  it('takes the mark off when the owner claims the slot again', () => {
    const b = bench()
    const x = peer(b, 'x', { slots: [1, 2], epoch: 9 })
    claim(b, x, [2], 9)
    claim(b, x, [1, 2], 9)
    claim(b, peer(b, 'a'), [1], 1)
    assert.deepEqual(owners(b, 1), ['x'])
  })
})

describe('ownership: what losing slots does to us (8.4, 8.9)', () => {
  it('makes a primary that lost its last slot a replica of the winner', () => {
    const b = bench()
    own(b, [1, 2], 1)
    b.c.migratingTo.set(2, peer(b, 'x'))
    const a = peer(b, 'a')
    const effects = claim(b, a, [1, 2], 5)
    assert.deepEqual([b.c.myself.role, b.c.myself.primary, b.c.migratingTo.get(2)], ['replica', a, undefined])
    assert.equal(of(effects, 'follow')[0]?.primary, a.id)
    assert.equal(saved(effects), 'later')
    const text = `Configuration change detected. Reconfiguring myself as a replica of ${a.id}`
    assert.ok(of(effects, 'log').some((line) => line.text === text))
  })

  it('makes a replica follow whoever took all slots of its primary', () => {
    const b = bench()
    const primary = peer(b, 'x', { slots: [1], epoch: 1 })
    replicate(b, primary)
    const a = peer(b, 'a', { replicaOf: primary })
    takeOver(b, a, [1], 5)
    assert.deepEqual([a.role, b.c.myself.primary], ['primary', a])
  })

  it('stays where it is without replica migration, unless the winner has nothing but our slots', () => {
    const b = bench('m', { allowReplicaMigration: false })
    own(b, [1], 1)
    const a = peer(b, 'a', { slots: [7], epoch: 1 })
    claim(b, a, [1, 7], 5)
    assert.equal(b.c.myself.role, 'primary')
    bindSlot(b.c, b.c.myself, 3)
    claim(b, peer(b, 'x'), [3], 6)
    assert.equal(b.c.myself.role, 'replica')
  })

  it('follows the primary of its primary, when that turned replica', () => {
    const b = bench()
    const grand = peer(b, 'x', { slots: [1] })
    const primary = peer(b, 'a', { replicaOf: grand })
    replicate(b, primary)
    const effects = claim(b, grand, [1, 2], 3)
    assert.equal(b.c.myself.primary, grand)
    const text = `I'm a sub-replica! Reconfiguring myself as a replica of grandmaster ${grand.id}`
    assert.ok(of(effects, 'log').some((line) => line.text === text))
  })

  it('purges the keys of slots it lost while others remain', () => {
    const b = bench()
    own(b, [1, 2, 3], 1)
    b.keys.set(1, 10)
    const effects = claim(b, peer(b, 'a'), [1, 2], 5)
    assert.deepEqual(of(effects, 'purge'), [{ type: 'purge', slots: [1] }])
    assert.equal(b.c.myself.role, 'primary')
  })

  it('says once in a step which slots left the shard', () => {
    const b = bench()
    own(b, [1, 2, 3], 1)
    assert.deepEqual(of(claim(b, peer(b, 'a'), [1, 2], 5), 'slots-lost'), [{ type: 'slots-lost', slots: [1, 2] }])
  })

  it('loses no slot to a failover inside the shard', () => {
    const b = bench()
    const primary = peer(b, 'x', { slots: [1], epoch: 1 })
    replicate(b, primary)
    const a = peer(b, 'a', { replicaOf: primary })
    assert.deepEqual(of(takeOver(b, a, [1], 5), 'slots-lost'), [])
    assert.deepEqual(owners(b, 1), ['a'])
  })
})

describe('ownership: UPDATE (8.5, 8.6)', () => {
  it('answers a stale claim with one UPDATE about the first owner by a higher epoch', () => {
    const b = bench()
    const x = peer(b, 'x', { slots: [1, 2], epoch: 9 })
    peer(b, 'y', { slots: [3], epoch: 8 })
    const stale = peer(b, 'a', { epoch: 1 })
    const updates = sent(claim(b, stale, [1, 2, 3], 1), 'update')
    assert.equal(updates.length, 1)
    assert.deepEqual(updates[0]?.links, [stale.outbound!.id])
    assert.deepEqual(updates[0]?.message.body, {
      type: 'update',
      configEpoch: 9,
      node: x.id,
      slots: bitmap(1, 2),
    })
  })

  it('leaves out of an UPDATE what the owner does not claim itself', () => {
    const b = bench()
    const x = peer(b, 'x', { slots: [1, 2], epoch: 9 })
    claim(b, x, [2], 9)
    const body = sent(claim(b, peer(b, 'a', { epoch: 1 }), [1, 2], 1), 'update')[0]?.message.body
    assert.ok(body?.type === 'update' && !hasSlot(body.slots, 1) && hasSlot(body.slots, 2))
  })

  it('answers also as a replica, and also a replica', () => {
    const b = bench()
    const x = peer(b, 'x', { slots: [1], epoch: 9 })
    replicate(b, x)
    const old = peer(b, 'y', { epoch: 1 })
    const stale = peer(b, 'a', { replicaOf: old })
    assert.equal(sent(claim(b, stale, [1], 1), 'update').length, 1)
  })

  it('believes an UPDATE of a higher epoch, and makes its node a primary', () => {
    const b = bench()
    const primary = peer(b, 'x', { slots: [1], epoch: 1 })
    const node = peer(b, 'a', { replicaOf: primary })
    const effects = update(b, peer(b, 't'), node, [1], 5)
    assert.deepEqual([node.role, node.configEpoch, owners(b, 1)], ['primary', 5, ['a']])
    assert.equal(saved(effects), 'later')
  })

  it('reminds a primary of what it claimed with the epoch it has, and does not claim now', () => {
    const b = bench()
    const a = peer(b, 'a', { slots: [1, 2], epoch: 5 })
    assert.equal(sent(claim(b, a, [1, 2], 5), 'update').length, 0)
    const [reminder] = sent(claim(b, a, [1], 5), 'update')
    assert.deepEqual(reminder?.links, [a.outbound!.id])
    assert.deepEqual(reminder.message.body, { type: 'update', configEpoch: 5, node: a.id, slots: bitmap(1, 2) })
    assert.equal(sent(claim(b, a, [1], 4), 'update').length, 0, 'an old message')
  })

  it('claims again what it is reminded of, when the owner that nodes.conf named has given it up', () => {
    const b = bench()
    own(b, [1], 5)
    const x = peer(b, 'x', { slots: [2, 3], epoch: 1 })
    b.c.importingFrom.set(2, x)
    addSlots(b.c.recalled, x.slots)
    const remind = (epoch: number) => update(b, peer(b, 't'), b.c.myself, [1, 2, 3], epoch)
    remind(5)
    assert.deepEqual(owners(b, 2, 3), ['x', 'x'], 'its owner claims it')
    claim(b, x, [3], 1)
    remind(4)
    assert.deepEqual(owners(b, 2, 3), ['x', 'x'], 'what it claimed before its last epoch')
    assert.equal(saved(remind(5)), 'fsync')
    assert.deepEqual(owners(b, 1, 2, 3), ['m', 'm', 'x'])
    assert.equal(b.c.importingFrom.size, 0)
  })

  it('does not claim again what changed hands since the start: it was given up on purpose', () => {
    const b = bench()
    own(b, [1], 5)
    const x = peer(b, 'x', { slots: [2, 3], epoch: 1 })
    addSlots(b.c.recalled, x.slots)
    unbindSlot(b.c, 2)
    bindSlot(b.c, x, 2)
    claim(b, x, [3], 1)
    update(b, peer(b, 't'), b.c.myself, [1, 2], 5)
    assert.deepEqual(owners(b, 2), ['x'])
  })

  it('believes an UPDATE of the same epoch about a primary that it knows no slots of', () => {
    const b = bench()
    own(b, [1, 2], 1)
    const met = peer(b, 'a', { epoch: 5 })
    update(b, met, met, [1], 5)
    assert.deepEqual(owners(b, 1, 2), ['a', 'm'])
    update(b, peer(b, 't'), met, [1, 2], 5)
    assert.deepEqual(owners(b, 1, 2), ['a', 'm'], 'known by now')
  })

  it('ignores an UPDATE that is not news, is about a stranger, or about itself', () => {
    const b = bench()
    own(b, [1], 1)
    const node = peer(b, 'a', { slots: [2], epoch: 5 })
    const teller = peer(b, 't')
    update(b, teller, node, [1], 5)
    update(b, teller, b.c.myself, [], 9)
    say(b, teller, { type: 'update', node: id('q'), slots: bitmap(1), configEpoch: 9 as Epoch })
    assert.deepEqual([owners(b, 1, 2), b.c.myself.configEpoch], [['m', 'a'], 1])
  })
})

describe('ownership: a loaded data set (8.8)', () => {
  it('claims free slots that have keys, and imports those of others', () => {
    const b = bench()
    own(b, [3])
    const x = peer(b, 'x', { slots: [2] })
    const effects = give(b, { type: 'loaded', slotsWithKeys: [1, 2, 3] })
    assert.deepEqual([owners(b, 1, 2, 3), b.c.importingFrom.get(2)], [['m', 'x', 'm'], x])
    assert.equal(saved(effects), 'fsync')
  })

  it('leaves a replica alone', () => {
    const b = bench()
    replicate(b, peer(b, 'x', { slots: [2] }))
    give(b, { type: 'loaded', slotsWithKeys: [1, 2] })
    assert.deepEqual(owners(b, 1), [undefined])
  })
})

describe('ownership in a simulated world', () => {
  it('teaches a primary that was away who has its slots now', () => {
    const world = createWorld({ seed: 21, nodes: 6 })
    world.form(3)
    world.crash(0)
    world.until(() => world.cluster(3).myself.role === 'primary', 20_000)
    world.advance(5000)
    world.restart(0)
    world.until(() => world.cluster(0).myself.primary?.id === world.cluster(3).myself.id, 10_000)
    world.until(() => world.hasConverged(), 20_000)
  })
})
