/** Clauses of cluster-bus.md section 7: epochs. */
import assert from 'node:assert/strict'
import { maxEpoch } from '../../bus/epoch.ts'
import { createWorld } from '../../bus/sim/world.ts'
import type { Epoch } from '../../lib/base/brand.ts'
import {
  accept,
  type Bench,
  bench,
  hear,
  of,
  operate,
  own,
  peer,
  ping,
  replicate,
  saved,
  say,
  stranger,
} from './harness.ts'

const epochs = (b: Bench): [number, number] => [b.c.currentEpoch, b.c.myself.configEpoch]
const bump = (b: Bench) => operate(b, { name: 'bumpepoch' })

describe('epoch: the current epoch (7.1)', () => {
  it('is the highest a known sender has shown, and never falls', () => {
    const b = bench()
    const a = peer(b, 'a')
    say(b, a, ping('pong'), { currentEpoch: 9 as Epoch })
    say(b, a, ping('pong'), { currentEpoch: 3 as Epoch })
    assert.equal(b.c.currentEpoch, 9)
  })

  it('is not learned from strangers', () => {
    const b = bench()
    hear(b, accept(b, '10.0.0.9'), { header: stranger(b, 'x', { currentEpoch: 9 as Epoch }), body: ping('ping') })
    assert.equal(b.c.currentEpoch, 0)
  })
})

describe('epoch: collision (7.3)', () => {
  it('moves the primary with the smaller id, and has it on disk at once', () => {
    const b = bench('m')
    own(b, [1], 4)
    b.c.currentEpoch = 6 as Epoch
    const z = peer(b, 'z', { slots: [2], epoch: 4 })
    const effects = say(b, z, ping('ping'))
    assert.deepEqual(epochs(b), [7, 7])
    assert.equal(saved(effects), 'fsync')
    const text = `WARNING: configEpoch collision with node ${z.id}. configEpoch set to 7`
    assert.ok(of(effects, 'log').some((line) => line.text === text))
  })

  it('does not move the primary with the larger id', () => {
    const b = bench('m')
    own(b, [1], 4)
    say(b, peer(b, 'a', { slots: [2], epoch: 4 }), ping('ping'))
    assert.deepEqual(epochs(b), [4, 4])
  })

  it('holds for primaries without slots, whose epoch is 0', () => {
    const b = bench('m')
    say(b, peer(b, 'z'), ping('ping'))
    assert.deepEqual(epochs(b), [1, 1])
  })

  it('is no matter between a replica and anybody', () => {
    const b = bench('m')
    const z = peer(b, 'z', { slots: [2] })
    say(b, peer(b, 'y', { replicaOf: z }), ping('ping'))
    assert.deepEqual(epochs(b), [0, 0])
    replicate(b, z)
    say(b, z, ping('ping'))
    assert.deepEqual(epochs(b), [0, 0])
  })

  it('ends with different epochs for all, in a world of equals', () => {
    const world = createWorld({ seed: 31, nodes: 6 })
    world.meetAll()
    world.until(() => new Set(world.nodes.map(({ cluster }) => cluster.myself.configEpoch)).size === 6, 30_000)
    const largest = world.nodes.map(({ cluster }) => cluster.myself).sort((a, z) => (a.id < z.id ? 1 : -1))[0]
    assert.equal(largest?.configEpoch, 0)
  })
})

describe('epoch: a bump without consensus (7.4)', () => {
  it('takes an epoch above all others, safely on disk', () => {
    const b = bench()
    own(b, [1], 2)
    peer(b, 'a', { slots: [2], epoch: 5 })
    b.c.currentEpoch = 6 as Epoch
    const effects = bump(b)
    assert.deepEqual(epochs(b), [7, 7])
    assert.equal(saved(effects), 'fsync')
    assert.deepEqual(effects.at(-1), { type: 'answer', answer: { text: 'BUMPED 7' } })
  })

  it('leaves an epoch that is the highest already, unless it is 0', () => {
    const b = bench()
    bump(b)
    assert.deepEqual(epochs(b), [1, 1])
    assert.deepEqual(bump(b).at(-1), { type: 'answer', answer: { text: 'STILL 1' } })
    assert.equal(maxEpoch(b.c), 1)
  })
})
