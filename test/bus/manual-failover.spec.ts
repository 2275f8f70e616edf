import assert from 'node:assert/strict'
import { runElection } from '../../bus/election.ts'
import {
  advanceManualFailover,
  awaitsStream,
  checkManualFailover,
  noteManualOffset,
  onMfStart,
  startManualFailover,
} from '../../bus/manual-failover.ts'
import { NO_MENTIONS } from '../../bus/section.ts'
import { createWorld, type World } from '../../bus/sim/world.ts'
import type { Cluster, ClusterNode } from '../../bus/state.ts'
import { step } from '../../bus/step.ts'
import { setReplicaOf } from '../../bus/table.ts'
import type { Epoch, Millis, Offset } from '../../lib/base/brand.ts'
import {
  addReplica,
  addRow,
  type Facts,
  logTexts,
  makeCluster,
  messageFrom,
  NOW,
  ownSlots,
  sentMessages,
  takeEffects,
} from './hand-made.ts'

const PONG = { type: 'pong', gossip: NO_MENTIONS, extensions: [] } as const
const PAUSED = 1
const FORCEACK = 2

/** We are a replica, at offset 500, of working `p`, which owns slots 0-99; `v` owns 100-199. */
function replicaScene(): { c: Cluster; primary: ClusterNode } {
  const c = makeCluster()
  const primary = addRow(c, 'p', { configEpoch: 4 as Epoch })
  setReplicaOf(c, c.myself, primary)
  ownSlots(c, primary, 0, 99)
  ownSlots(c, addRow(c, 'v'), 100, 199)
  c.currentEpoch = 10 as Epoch
  ;(c.facts as Facts).replicationOffset = 500 as Offset
  return { c, primary }
}

/** We own slots 0-99, and `r` is our replica. */
function primaryScene(): { c: Cluster; replica: ClusterNode } {
  const c = makeCluster()
  ownSlots(c, c.myself, 0, 99)
  return { c, replica: addReplica(c, 'r', c.myself) }
}

const paused = (primary: ClusterNode, offset: number) =>
  messageFrom(primary, PONG, { messageFlags: PAUSED, offset: offset as Offset }).header

describe('CLUSTER FAILOVER: who may', () => {
  it('not a primary', () => {
    assert.deepEqual(startManualFailover(primaryScene().c, 'force'), {
      error: 'ERR You should send CLUSTER FAILOVER to a replica',
    })
  })

  it('not a replica that does not know its primary', () => {
    const { c } = replicaScene()
    c.myself.primary = undefined
    assert.deepEqual(startManualFailover(c, 'takeover'), { error: "ERR I'm a replica but my master is unknown to me" })
  })

  it('not, without FORCE, when the primary is FAIL or cannot be reached', () => {
    for (const fields of [{ health: 'fail' }, { outbound: undefined }] as const) {
      const { c, primary } = replicaScene()
      Object.assign(primary, fields)
      const error = 'ERR Master is down or failed, please use CLUSTER FAILOVER FORCE'
      assert.deepEqual(startManualFailover(c, 'plain'), { error })
      assert.equal(startManualFailover(c, 'force'), undefined)
    }
  })
})

describe('manual failover: the replica', () => {
  it('asks its primary to pause, and does nothing else yet', () => {
    const { c, primary } = replicaScene()
    assert.equal(startManualFailover(c, 'plain'), undefined)
    const effects = takeEffects(c)
    assert.deepEqual(logTexts(effects), ['Manual failover user request accepted.'])
    const [send] = effects.filter((effect) => effect.type === 'send')
    assert.deepEqual([send!.links, send!.message.body.type], [[primary.outbound!.id], 'mfstart'])
    assert.deepEqual([c.manual.endsAt, c.manual.canStart], [NOW + 5000, false])
  })

  it('takes the offset of the first PAUSED message of its primary as the one to reach', () => {
    const { c, primary } = replicaScene()
    startManualFailover(c, 'plain')
    takeEffects(c)
    noteManualOffset(c, primary, messageFrom(primary, PONG).header)
    assert.equal(c.manual.targetOffset, -1)
    noteManualOffset(c, c.owners[100]!, paused(c.owners[100]!, 7))
    assert.equal(c.manual.targetOffset, -1)
    noteManualOffset(c, primary, paused(primary, 600))
    noteManualOffset(c, primary, paused(primary, 700))
    assert.equal(c.manual.targetOffset, 600)
    assert.deepEqual(logTexts(takeEffects(c)), ['Received replication offset for paused master manual failover: 600'])
  })

  it('starts when it has processed exactly that much', () => {
    const { c, primary } = replicaScene()
    startManualFailover(c, 'plain')
    noteManualOffset(c, primary, paused(primary, 600))
    takeEffects(c)
    advanceManualFailover(c)
    assert.equal(c.manual.canStart, false)
    ;(c.facts as Facts).replicationOffset = 600 as Offset
    advanceManualFailover(c)
    advanceManualFailover(c)
    assert.equal(c.manual.canStart, true)
    assert.deepEqual(logTexts(takeEffects(c)), ['All master replication stream processed, manual failover can start.'])
  })

  it('looks at its stream at the end of each turn, and starts in the very turn that brings the last of it', () => {
    const { c, primary } = replicaScene()
    startManualFailover(c, 'plain')
    assert.equal(awaitsStream(c), false)
    noteManualOffset(c, primary, paused(primary, 600))
    assert.equal(awaitsStream(c), true)
    step(c, { type: 'turn-end' }, NOW)
    assert.equal(c.manual.canStart, false)
    ;(c.facts as Facts).replicationOffset = 600 as Offset
    const effects = step(c, { type: 'turn-end' }, NOW)
    assert.equal(sentMessages(effects).at(-1)!.body.type, 'auth-req')
    assert.equal(awaitsStream(c), false)
  })

  it('has the epoch of its election on disk before its primary pauses, and takes another if somebody was faster', () => {
    for (const [heard, asked] of [
      [11, 11],
      [12, 13],
    ] as const) {
      const { c, primary } = replicaScene()
      const begin = step(c, { type: 'operator', operation: { name: 'failover', mode: 'plain' } }, NOW)
      assert.deepEqual([begin[0], c.currentEpoch], [{ type: 'save', fsync: true }, 11])
      noteManualOffset(c, primary, paused(primary, 600))
      c.currentEpoch = heard as Epoch
      ;(c.facts as Facts).replicationOffset = 600 as Offset
      const effects = step(c, { type: 'turn-end' }, NOW)
      assert.equal(effects[0]!.type === 'save', heard !== asked)
      assert.deepEqual([sentMessages(effects).at(-1)!.header.currentEpoch, c.election.epoch], [asked, asked])
      c.manual.endsAt = (NOW + 10_000) as Millis
      runElection(Object.assign(c, { election: { ...c.election, sent: false, startAt: NOW } }))
      assert.equal(c.election.epoch, asked + 1)
    }
  })

  it('leaves that to the tick without fast failover, as redis-server does', () => {
    const c = makeCluster({ fastFailover: false })
    Object.assign(c.manual, { endsAt: NOW + 5000, targetOffset: 600 })
    assert.equal(awaitsStream(c), false)
  })

  it('with FORCE asks for votes at once, and not its primary', () => {
    const { c } = replicaScene()
    startManualFailover(c, 'force')
    const effects = takeEffects(c)
    assert.deepEqual(logTexts(effects), [
      'Forced failover user request accepted.',
      'Start of election delayed for 0 milliseconds (rank #0, offset 500).',
      'Starting a failover election for epoch 11.',
    ])
    const [request] = sentMessages(effects)
    assert.deepEqual([request!.body.type, request!.header.messageFlags], ['auth-req', FORCEACK])
  })

  it('with TAKEOVER asks nobody: it takes a new config epoch and the slots', () => {
    const { c, primary } = replicaScene()
    startManualFailover(c, 'takeover')
    assert.deepEqual([c.myself.role, c.myself.configEpoch, c.currentEpoch], ['primary', 11, 11])
    assert.deepEqual([c.myself.slotCount, primary.slotCount, c.unsaved, c.manual.endsAt], [100, 0, 'fsync', 0])
    const effects = takeEffects(c)
    assert.equal(logTexts(effects)[0], 'Taking over the master (user request).')
    const sends = effects.filter((effect) => effect.type === 'send')
    assert.deepEqual(
      sends.map(({ links, message }) => [links.length, message.body.type]),
      [
        [1, 'pong'],
        [1, 'pong'],
      ],
    )
  })

  it('gives up after five seconds', () => {
    const { c } = replicaScene()
    startManualFailover(c, 'plain')
    takeEffects(c)
    c.now = (NOW + 5000) as Millis
    checkManualFailover(c)
    assert.notEqual(c.manual.endsAt, 0)
    c.now = (NOW + 5001) as Millis
    checkManualFailover(c)
    assert.deepEqual([c.manual.endsAt, c.manual.targetOffset, c.manual.canStart], [0, -1, false])
    assert.deepEqual(logTexts(takeEffects(c)), ['Manual failover timed out.'])
  })
})

describe('manual failover: the time', () => {
  it('is over before anything else is done', () => {
    const { c, primary } = replicaScene()
    step(c, { type: 'operator', operation: { name: 'failover', mode: 'plain' } }, NOW)
    noteManualOffset(c, primary, paused(primary, 500))
    takeEffects(c)
    const effects = step(c, { type: 'turn-end' }, (NOW + 5001) as Millis)
    assert.deepEqual(logTexts(effects), ['Manual failover timed out.'])
  })
})

describe('manual failover: the primary', () => {
  it('makes clients wait ten seconds, and pings the replica at once, paused, on the link it asked on', () => {
    const { c, replica } = primaryScene()
    const link = { ...replica.outbound!, id: 77, outbound: false }
    onMfStart(c, replica, link)
    const effects = takeEffects(c)
    assert.deepEqual(effects[0], { type: 'pause-writes', until: NOW + 10_000 })
    assert.deepEqual(logTexts(effects), [`Manual failover requested by replica ${replica.id}.`])
    const [send] = effects.filter((effect) => effect.type === 'send')
    assert.deepEqual([send!.links, send!.message.body.type], [[77], 'ping'])
    assert(send!.message.header.messageFlags & PAUSED)
  })

  it('does so for its own replicas only', () => {
    const { c } = primaryScene()
    const stranger = addReplica(c, 's', addRow(c, 'o'))
    onMfStart(c, stranger, stranger.outbound!)
    assert.deepEqual([takeEffects(c), c.manual.endsAt], [[], 0])
  })

  it('takes writes again when it is over, whatever came of it', () => {
    const { c, replica } = primaryScene()
    onMfStart(c, replica, replica.outbound!)
    takeEffects(c)
    c.now = (NOW + 5001) as Millis
    checkManualFailover(c)
    assert(takeEffects(c).some((effect) => effect.type === 'resume-writes'))
  })
})

describe('manual failover in a simulated world', () => {
  function world(seed: number, nodes = 6): World {
    const made = createWorld({ seed, nodes })
    made.form(3)
    return made
  }
  const isPrimary = (w: World, i: number): boolean => w.cluster(i).myself.role === 'primary'

  it('changes the roles within a second, and loses nothing that was written', () => {
    const w = world(1)
    w.write(0, 1000)
    assert.equal(w.operate(3, { name: 'failover', mode: 'plain' }), undefined)
    w.until(() => {
      if (isPrimary(w, 0)) w.write(0, 10)
      return isPrimary(w, 3)
    }, 1000)
    assert.equal(w.nodes[3]!.facts.replicationOffset, w.nodes[0]!.facts.replicationOffset)
    w.until(() => w.hasConverged() && !isPrimary(w, 0), 5000)
    assert.equal(w.cluster(0).myself.primary!.id, w.cluster(3).myself.id)
    assert.equal(w.nodes[0]!.pausedUntil, 0)
  })

  it('says the six lines operators know', () => {
    const w = world(2)
    const before = w.nodes[3]!.log.length
    w.operate(3, { name: 'failover', mode: 'plain' })
    w.until(() => isPrimary(w, 3), 1000)
    const lines = w.nodes[3]!.log.slice(before)
    const known = [
      /^Manual failover user request accepted\.$/,
      /^Received replication offset for paused master manual failover: \d+$/,
      /^All master replication stream processed, manual failover can start\.$/,
      /^Start of election delayed for 0 milliseconds \(rank #0, offset \d+\)\.$/,
      /^Starting a failover election for epoch \d+\.$/,
      /^Failover election won: I'm the new master\.$/,
    ]
    const positions = known.map((line) => lines.findIndex((text) => line.test(text)))
    assert.deepEqual(
      positions,
      positions.toSorted((a, b) => a - b),
    )
    assert(!positions.includes(-1))
  })

  it('goes there and back: votes may be asked for again two node timeouts later', () => {
    const w = world(3)
    w.operate(3, { name: 'failover', mode: 'plain' })
    w.until(() => isPrimary(w, 3) && w.hasConverged() && !isPrimary(w, 0), 10_000)
    w.advance(4000)
    w.operate(0, { name: 'failover', mode: 'plain' })
    w.until(() => isPrimary(w, 0) && w.hasConverged() && !isPrimary(w, 3), 10_000)
  })

  it('a replica that is behind does not start, and writes go on after five seconds', () => {
    const w = world(4)
    w.nodes[3]!.heldBack = true
    w.write(0, 100)
    w.operate(3, { name: 'failover', mode: 'plain' })
    w.until(() => !w.write(0, 1), 1000)
    w.advance(6000)
    assert.deepEqual([isPrimary(w, 3), w.write(0, 1)], [false, true])
    assert(w.nodes[3]!.log.includes('Manual failover timed out.'))
  })

  it('FORCE works without the primary', () => {
    const w = world(5)
    w.crash(0)
    w.operate(3, { name: 'failover', mode: 'force' })
    const took = w.until(() => isPrimary(w, 3), 1000)
    assert(took < 500)
  })

  it('TAKEOVER works without a majority, and the old primaries accept it when they come back', () => {
    const w = world(6)
    for (const i of [0, 1]) w.crash(i)
    w.advance(10_000)
    for (const i of [3, 4]) assert.equal(w.operate(i, { name: 'failover', mode: 'takeover' }), undefined)
    w.until(() => w.hasConverged(), 10_000)
    for (const i of [0, 1]) w.restart(i)
    w.until(() => w.hasConverged(), 30_000)
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((i) => isPrimary(w, i)),
      [false, false, true, true, true],
    )
  })
})
