/** Clauses of cluster-bus.md section 12: the cluster state. */
import assert from 'node:assert/strict'
import { createWorld, slotsOfShard } from '../../bus/sim/world.ts'
import { unbindSlot } from '../../bus/slots.ts'
import type { ClusterNode } from '../../bus/state.ts'
import type { Millis } from '../../lib/base/brand.ts'
import { type Bench, bench, of, own, peer, replicate, tickAfter } from './harness.ts'

const ALL = slotsOfShard(0, 1)

/** Three primaries own all slots, we are one of them; the state is settled. */
function full(options = {}): { b: Bench; a: ClusterNode; z: ClusterNode } {
  const b = bench('m', { requireFullCoverage: true, ...options })
  own(b, slotsOfShard(0, 3), 1)
  const a = peer(b, 'a', { slots: slotsOfShard(1, 3), epoch: 2 })
  const z = peer(b, 'z', { slots: slotsOfShard(2, 3), epoch: 3 })
  tickAfter(b, 10)
  return { b, a, z }
}

/** The state after a change, evaluated now. */
function stateAfter(b: Bench, change: () => void, ms = 0): 'ok' | 'fail' {
  change()
  b.c.stateDirty = true
  tickAfter(b, ms)
  return b.c.state
}

describe('health (12)', () => {
  it('begins as fail, and a primary waits 2 s before it serves', () => {
    const b = bench()
    own(b, ALL)
    b.c.state = 'fail'
    b.c.firstCheckAt = 0 as Millis
    tickAfter(b, 0)
    tickAfter(b, 1999)
    assert.equal(b.c.state, 'fail')
    const effects = tickAfter(b, 1)
    assert.deepEqual(of(effects, 'state'), [{ type: 'state', state: 'ok' }])
    assert.ok(of(effects, 'log').some(({ text }) => text === 'Cluster state changed: ok'))
  })

  it('fails while a slot is unbound, when full coverage is required', () => {
    for (const requireFullCoverage of [true, false]) {
      const { b, a } = full({ requireFullCoverage })
      assert.equal(b.c.state, 'ok')
      const after = stateAfter(b, () => {
        unbindSlot(b.c, 16383)
        a.health = 'ok'
      })
      assert.equal(after, requireFullCoverage ? 'fail' : 'ok')
    }
  })

  it('fails while the owner of a slot is FAIL; PFAIL uncovers nothing', () => {
    const { b, a } = full()
    assert.equal(
      stateAfter(b, () => Object.assign(a, { health: 'pfail' })),
      'ok',
    )
    assert.equal(
      stateAfter(b, () => Object.assign(a, { health: 'fail', failedAt: b.now })),
      'fail',
    )
  })

  it('fails in a minority, which counts the suspected as unreachable', () => {
    const { b, a, z } = full({ requireFullCoverage: false })
    assert.equal(b.c.size, 3)
    assert.equal(
      stateAfter(b, () => Object.assign(a, { health: 'pfail' })),
      'ok',
    )
    assert.equal(
      stateAfter(b, () => Object.assign(z, { health: 'pfail' })),
      'fail',
    )
  })

  it('fails a node timeout after the last word of a majority, before any ping has been unanswered for so long', () => {
    const { b, a, z } = full({ requireFullCoverage: false, nodeTimeoutMs: 2000 })
    for (const node of [a, z]) Object.assign(node, { pongReceivedAt: b.now, dataReceivedAt: b.now, pingSentAt: 0 })
    tickAfter(b, 500)
    z.pongReceivedAt = b.now // somebody had an answer, and mentioned it
    tickAfter(b, 501) // a is pinged
    tickAfter(b, 500) // z is
    tickAfter(b, 500)
    assert.equal(b.c.state, 'ok')
    tickAfter(b, 500)
    assert.deepEqual([a.health, z.health, b.c.state], ['ok', 'ok', 'fail'])
  })

  it('lets a primary back only when its minority is a node timeout past, within 0.5 s and 5 s', () => {
    for (const [nodeTimeoutMs, delay] of [
      [100, 500],
      [2000, 2000],
      [60_000, 5000],
    ] as const) {
      const { b, a, z } = full({ nodeTimeoutMs })
      const set = (health: string) => () => {
        for (const node of [a, z]) Object.assign(node, { health, pingSentAt: 0, pongReceivedAt: b.now + delay })
      }
      assert.equal(stateAfter(b, set('pfail')), 'fail')
      assert.equal(stateAfter(b, set('ok'), delay - 1), 'fail')
      assert.equal(stateAfter(b, set('ok'), 1), 'ok')
    }
  })

  it('lets a replica back at once', () => {
    const b = bench('m')
    const primary = peer(b, 'a', { slots: ALL })
    replicate(b, primary)
    assert.equal(
      stateAfter(b, () => Object.assign(primary, { health: 'pfail' })),
      'fail',
    )
    assert.equal(
      stateAfter(b, () => Object.assign(primary, { health: 'ok' })),
      'ok',
    )
  })

  it('turns to fail in the minority of a cut network, and to ok again when it heals', () => {
    const world = createWorld({ seed: 41, nodes: 6 })
    world.form(3)
    world.partition([0, 3], [1, 2, 4, 5])
    world.until(() => [0, 3].every((i) => world.cluster(i).state === 'fail'), 5000)
    world.advance(20_000)
    assert.deepEqual([world.cluster(0).state, world.cluster(3).state], ['fail', 'fail'])
    world.heal()
    world.until(() => world.nodes.every(({ cluster }) => cluster.state === 'ok'), 10_000)
    world.until(() => world.hasConverged(), 20_000)
  })
})
