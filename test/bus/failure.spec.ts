/** Clauses of cluster-bus.md section 6: failure detection. */
import assert from 'node:assert/strict'
import { countReports } from '../../bus/failure.ts'
import { NODE_FLAGS } from '../../bus/layout.ts'
import { readSection } from '../../bus/section.ts'
import { createWorld } from '../../bus/sim/world.ts'
import type { ClusterNode } from '../../bus/state.ts'
import type { Epoch, Millis } from '../../lib/base/brand.ts'
import {
  accept,
  type Bench,
  bench,
  bitmap,
  give,
  hear,
  id,
  mention,
  of,
  operate,
  own,
  peer,
  ping,
  replicate,
  saved,
  say,
  sent,
  stranger,
  tickAfter,
} from './harness.ts'

const T = 2000

/** Three voters (we are one) and a replica; `a` is under suspicion when `suspect` says so. */
function shards(suspect = true): { b: Bench; a: ClusterNode; other: ClusterNode; replica: ClusterNode } {
  const b = bench('m')
  own(b, [1], 1)
  const a = peer(b, 'a', { slots: [2], epoch: 2 })
  const other = peer(b, 'c', { slots: [3], epoch: 3 })
  const replica = peer(b, 'r', { replicaOf: a })
  b.c.stateDirty = true
  tickAfter(b, 10)
  if (suspect) a.health = 'pfail'
  return { b, a, other, replica }
}

const report = (b: Bench, by: ClusterNode, about: ClusterNode, flag: number = NODE_FLAGS.pfail) =>
  say(b, by, ping('ping', [mention(b, about, { flags: NODE_FLAGS.primary | flag })]))

const texts = (effects: ReturnType<typeof tickAfter>): string[] => of(effects, 'log').map(({ text }) => text)

describe('failure: suspicion (6.1, 6.7)', () => {
  it('suspects a node whose ping is unanswered for more than a node timeout, when nothing else came either', () => {
    const b = bench()
    const node = peer(b, 'a')
    tickAfter(b, T / 2 + 1)
    tickAfter(b, T)
    assert.equal(node.health, 'ok')
    const effects = tickAfter(b, 1)
    assert.equal(node.health, 'pfail')
    assert.ok(texts(effects).includes(`*** NODE ${node.id} possibly failing`))
    assert.equal(saved(effects), 'later')
  })

  it('takes other messages for life, though the pong is missing', () => {
    const b = bench()
    const node = peer(b, 'a')
    tickAfter(b, T / 2 + 1)
    tickAfter(b, T)
    say(b, node, { type: 'fail', node: id('z') })
    tickAfter(b, T)
    assert.equal(node.health, 'ok')
  })

  it('ends a suspicion with a pong on the outbound link', () => {
    const { b, a } = shards()
    say(b, a, ping('ping'))
    assert.equal(a.health, 'pfail')
    assert.equal(saved(say(b, a, ping('pong'))), 'later')
    assert.equal(a.health, 'ok')
  })
})

describe('failure: reports and agreement (6.2 - 6.5)', () => {
  it('makes FAIL of a suspicion that a majority of the voters shares, and tells everybody', () => {
    const { b, a, other } = shards()
    const effects = report(b, other, a)
    assert.deepEqual([a.health, a.failedAt], ['fail', b.now])
    assert.equal(sent(effects, 'fail')[0]?.links.length, 3)
    assert.ok(texts(effects).includes(`Marking node ${a.id} as failing (quorum reached).`))
    assert.equal(saved(effects), 'save')
  })

  it('does not follow a majority in what it does not suspect itself', () => {
    const { b, a, other } = shards(false)
    peer(b, 'd', { slots: [4] })
    report(b, other, a)
    assert.equal(a.health, 'ok')
  })

  it('counts its own suspicion when the reports came first', () => {
    const { b, a, other } = shards(false)
    tickAfter(b, T / 2 + 1)
    b.now = (b.now + T) as Millis
    report(b, other, a)
    tickAfter(b, 1)
    assert.equal(a.health, 'fail')
  })

  it('counts no report of a replica or of a primary without slots [V8]', () => {
    const { b, a, replica } = shards()
    report(b, replica, a)
    report(b, peer(b, 'n'), a)
    assert.deepEqual([a.health, countReports(b.c, a)], ['pfail', 0])
  })

  it('lets a replica mark FAIL, without a vote of its own', () => {
    const { b, a, other } = shards()
    const fourth = peer(b, 'd', { slots: [4] })
    replicate(b, fourth)
    for (const node of [b.c.myself]) node.slotCount = 0
    report(b, other, a)
    assert.equal(a.health, 'pfail')
    report(b, fourth, a)
    assert.equal(a.health, 'fail')
  })

  it('drops a report that is taken back, or older than two node timeouts, or whose reporter is gone', () => {
    const { b, a, other } = shards(false)
    report(b, other, a)
    assert.equal(countReports(b.c, a), 1)
    say(b, other, ping('ping', [mention(b, a)]))
    assert.equal(countReports(b.c, a), 0)
    report(b, other, a)
    b.c.now = (b.now + 2 * T) as Millis
    assert.equal(countReports(b.c, a), 1)
    b.c.now = (b.now + 2 * T + 1) as Millis
    assert.equal(countReports(b.c, a), 0)
    report(b, other, a)
    operate(b, { name: 'forget', id: other.id })
    assert.equal(countReports(b.c, a), 0)
  })

  it('listens to no report about itself', () => {
    const { b, other } = shards()
    report(b, other, b.c.myself)
    assert.equal(b.c.myself.failureReports, undefined)
  })

  it('believes a FAIL of a known sender without a quorum, and does not pass it on (6.5)', () => {
    const { b, a, other } = shards(false)
    const effects = say(b, other, { type: 'fail', node: a.id })
    assert.deepEqual([a.health, a.failedAt], ['fail', b.now])
    assert.deepEqual(sent(effects, 'fail'), [])
    assert.ok(texts(effects).includes(`FAIL message received from ${other.id} about ${a.id}`))
  })

  it('ignores a FAIL of a stranger, or about itself (6.5)', () => {
    const { b, a, other } = shards(false)
    const body = { type: 'fail', node: a.id } as const
    const effects = hear(b, accept(b, '10.0.0.9'), { header: stranger(b, 'x'), body })
    assert.equal(a.health, 'ok')
    assert.ok(texts(effects).includes(`Ignoring FAIL message from unknown node ${id('x')} about ${a.id}`))
    say(b, other, { type: 'fail', node: b.c.myself.id })
    assert.equal(b.c.myself.health, 'ok')
  })
})

describe('failure: with fast failover', () => {
  /** The connection to a node is reset. */
  const lose = (b: Bench, node: ClusterNode): ReturnType<typeof give> =>
    give(b, { type: 'link-down', link: node.outbound!.id })
  const slow = { fastFailover: false }

  it('dials a lost link again at once, and suspects its node one node timeout later', () => {
    const b = bench()
    const node = peer(b, 'a')
    b.now = (b.now + 100) as Millis
    const effects = lose(b, node)
    assert.equal(of(effects, 'connect').length, 1)
    tickAfter(b, T)
    assert.equal(node.health, 'ok')
    tickAfter(b, 1)
    assert.equal(node.health, 'pfail')
  })

  it('takes a refused dial for no proof of anything: it is tried again with the next tick, and the timeout decides', () => {
    const b = bench()
    const node = peer(b, 'a')
    b.now = (b.now + 100) as Millis
    lose(b, node)
    assert.deepEqual(of(lose(b, node), 'connect'), [])
    assert.equal(of(tickAfter(b, 100), 'connect').length, 1)
    assert.equal(node.health, 'ok')
    give(b, { type: 'link-up', link: node.outbound!.id })
    say(b, node, ping('pong'))
    tickAfter(b, T)
    assert.equal(node.health, 'ok')
  })

  it('does not dial in circles when a link breaks as soon as it is up', () => {
    const b = bench()
    const node = peer(b, 'a')
    b.now = (b.now + 99) as Millis
    assert.deepEqual(of(lose(b, node), 'connect'), [])
  })

  it('leaves a lost link to the tick when it is switched off', () => {
    const b = bench('m', slow)
    const node = peer(b, 'a')
    b.now = (b.now + 100) as Millis
    assert.deepEqual(of(lose(b, node), 'connect'), [])
    assert.equal(node.pingSentAt, 0)
  })

  it('tells a suspicion at once to the replicas of the suspect and to the voters, and to nobody else', () => {
    const { b, a, other, replica } = shards(false)
    peer(b, 'n')
    a.pingSentAt = b.now
    b.now = (b.now + T + 1) as Millis
    Object.assign(other, { pongReceivedAt: b.now, dataReceivedAt: b.now })
    const told = sent(give(b, { type: 'tick' }), 'pong')
    assert.deepEqual(
      told.flatMap(({ links }) => links),
      [replica.outbound!.id, other.outbound!.id],
    )
    const { body } = told[0]!.message
    assert.ok(
      body.type === 'pong' && readSection(body.gossip).some(({ id, flags }) => id === a.id && flags & NODE_FLAGS.pfail),
    )
  })

  /** How many FAIL messages leave when we, called `letter`, agree with all the other voters about `z`. */
  function heralded(letter: string, options: { fastFailover?: boolean; heir?: boolean; ours?: boolean }): number {
    const b = bench(letter, options)
    const z = peer(b, 'z', { slots: [9] })
    if (options.heir !== false) peer(b, 'r', { replicaOf: z })
    const voters = ['a', 'b', 'c', 'd', 'e'].map((other, i) => peer(b, other, { slots: [i] }))
    if (options.ours) replicate(b, z)
    else own(b, [8])
    b.c.stateDirty = true
    tickAfter(b, 0)
    z.health = 'pfail'
    return voters.flatMap((voter) => sent(report(b, voter, z), 'fail')).length
  }

  it('leaves it to its replicas and a few voters to tell everybody of a FAIL, if it has replicas', () => {
    assert.equal(heralded('0', {}), 1)
    assert.equal(heralded('m', {}), 0)
    assert.equal(heralded('m', { ours: true }), 1)
    assert.equal(heralded('m', { heir: false }), 1)
    assert.equal(heralded('m', { fastFailover: false }), 1)
  })

  it('judges a silence when a report about it comes, and not only with the next tick', () => {
    const { b, a, other } = shards(false)
    a.pingSentAt = b.now
    b.now = (b.now + T) as Millis
    report(b, other, a)
    assert.equal(a.health, 'ok')
    b.now = (b.now + 1) as Millis
    report(b, other, a)
    assert.equal(a.health, 'fail')
  })
})

describe('failure: the way back (6.6)', () => {
  it('takes a replica back at once', () => {
    const { b, replica } = shards()
    replica.health = 'fail'
    const effects = say(b, replica, ping('pong'))
    assert.equal(replica.health, 'ok')
    assert.ok(texts(effects).includes(`Clear FAIL state for node ${replica.id}: replica is reachable again.`))
  })

  it('takes a primary without slots back at once', () => {
    const { b } = shards()
    const node = peer(b, 'n')
    node.health = 'fail'
    say(b, node, ping('pong'))
    assert.equal(node.health, 'ok')
  })

  it('takes a primary with slots back only two node timeouts after its failure', () => {
    const { b, a } = shards()
    Object.assign(a, { health: 'fail', failedAt: b.now })
    b.now = (b.now + 2 * T) as Millis
    say(b, a, ping('pong'))
    assert.equal(a.health, 'fail')
    b.now = (b.now + 1) as Millis
    const text = `Clear FAIL state for node ${a.id}: is reachable again and nobody is serving its slots after some time.`
    assert.ok(texts(say(b, a, ping('pong'))).includes(text))
    assert.equal(a.health, 'ok')
  })

  it('takes back one that owned no slots when it failed, and owns some now: by its own word, or with its first pong', () => {
    const { b } = shards()
    const slots = { slots: bitmap(9), configEpoch: 9 as Epoch, currentEpoch: 9 as Epoch }
    const heard = Object.assign(peer(b, 'n'), { health: 'fail', failedAt: b.now })
    say(b, heard, ping('ping'), slots)
    assert.deepEqual([heard.health, heard.slotCount], ['ok', 1])
    const told = Object.assign(peer(b, 'o'), { health: 'fail', failedAt: b.now })
    say(b, heard, { type: 'update', node: told.id, slots: bitmap(8), configEpoch: 9 as Epoch })
    assert.deepEqual([told.health, told.slotCount], ['fail', 1])
    say(b, told, ping('pong'), { ...slots, slots: bitmap(8) })
    assert.equal(told.health, 'ok')
  })
})

describe('failure in a simulated world (6.9)', () => {
  it('takes a node timeout and little more until a crashed primary is FAIL', () => {
    for (const seed of [1, 2, 3]) {
      const world = createWorld({ seed, nodes: 3 })
      world.form(3)
      world.advance(5000)
      world.crash(0)
      const took = world.until(() => [1, 2].every((i) => world.row(i, 0)?.health === 'fail'), 10_000)
      assert.ok(took > T && took < T + 150, `seed ${seed}: ${took} ms`)
    }
  })

  it('takes one to one and a half node timeouts to suspect it without fast failover, and FAIL follows', () => {
    for (const seed of [1, 2, 3]) {
      const world = createWorld({ seed, nodes: 3, options: { fastFailover: false } })
      world.form(3)
      world.advance(5000)
      world.crash(0)
      const took = world.until(() => [1, 2].every((i) => world.row(i, 0)?.health === 'fail'), 10_000)
      assert.ok(took > T && took < 1.5 * T + 1000, `seed ${seed}: ${took} ms`)
    }
  })

  it('suspects, but does not fail, the majority from inside a minority', () => {
    const world = createWorld({ seed: 4, nodes: 3 })
    world.form(3)
    world.partition([0], [1, 2])
    world.until(() => [1, 2].every((i) => world.row(i, 0)?.health === 'fail'), 10_000)
    world.advance(10_000)
    assert.deepEqual([world.row(0, 1)?.health, world.row(0, 2)?.health], ['pfail', 'pfail'])
    world.heal()
    world.until(() => world.hasConverged(), 20_000)
  })

  it('keeps a node that answers only one of three', () => {
    const world = createWorld({ seed: 5, nodes: 3 })
    world.form(3)
    world.cut(0, 1)
    world.advance(20_000)
    assert.deepEqual([world.row(0, 1)?.health, world.row(2, 1)?.health, world.row(2, 0)?.health], ['pfail', 'ok', 'ok'])
  })
})
