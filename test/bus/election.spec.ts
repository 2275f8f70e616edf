import assert from 'node:assert/strict'
import {
  electionDelayMs,
  grantVote,
  replicaRank,
  runElection,
  shareOffset,
  whyNoElection,
  whyNoVote,
} from '../../bus/election.ts'
import { SLOT_BYTES } from '../../bus/layout.ts'
import type { Header, Message } from '../../bus/message.ts'
import { NO_MENTIONS } from '../../bus/section.ts'
import { createWorld, type World } from '../../bus/sim/world.ts'
import { addSlot, hasSlot } from '../../bus/slots.ts'
import type { Cluster, ClusterNode, ClusterOptions } from '../../bus/state.ts'
import { step } from '../../bus/step.ts'
import { followPrimary, setReplicaOf } from '../../bus/table.ts'
import type { Epoch, Millis, Offset } from '../../lib/base/brand.ts'
import {
  addReplica,
  addRow,
  type Facts,
  id,
  logTexts,
  makeCluster,
  messageFrom,
  NOW,
  ownSlots,
  sentMessages,
  takeEffects,
} from './hand-made.ts'

interface Scene {
  readonly c: Cluster
  readonly facts: Facts
  /** Our primary, FAIL, with slots 0-99 and config epoch 4. */
  readonly primary: ClusterNode
  /** Two other voters. */
  readonly voters: readonly ClusterNode[]
}

/** We are a replica of a failed primary in a cluster of three shards, at current epoch 10; with redis-server's timing
 *  unless a test says otherwise. */
function replicaScene(options: Partial<ClusterOptions> = {}): Scene {
  const c = makeCluster({ fastFailover: false, ...options })
  const primary = addRow(c, 'p', { health: 'fail', failedAt: NOW, configEpoch: 4 as Epoch })
  const voters = ['u', 'v'].map((letter) => addRow(c, letter))
  setReplicaOf(c, c.myself, primary)
  for (const [i, node] of [primary, ...voters].entries()) ownSlots(c, node, i * 100, i * 100 + 99)
  c.currentEpoch = 10 as Epoch
  const facts = c.facts as Facts
  facts.replicationOffset = 500 as Offset
  return { c, facts, primary, voters }
}

/** We are a voter (slots 0-99), and `r` is a replica of failed `p` (slots 100-199, config epoch 4); current epoch 10. */
function voterScene(): { c: Cluster; primary: ClusterNode; replica: ClusterNode } {
  const c = makeCluster()
  const primary = addRow(c, 'p', { health: 'fail', configEpoch: 4 as Epoch })
  const replica = addReplica(c, 'r', primary)
  ownSlots(c, c.myself, 0, 99)
  ownSlots(c, primary, 100, 199)
  c.currentEpoch = 10 as Epoch
  return { c, primary, replica }
}

const PONG = { type: 'pong', gossip: NO_MENTIONS, extensions: [] } as const

const request = (c: Cluster, replica: ClusterNode, fields: Partial<Header> = {}) =>
  messageFrom(replica, { type: 'auth-req' }, { currentEpoch: c.currentEpoch, ...fields })

/** Runs the election until its request has left; returns what was sent and logged on the way. */
function requestVotes(c: Cluster): ReturnType<typeof takeEffects> {
  runElection(c)
  c.now = c.election.startAt
  takeEffects(c)
  runElection(c)
  return takeEffects(c)
}

/** One vote, as the core receives it. */
function vote(c: Cluster, voter: ClusterNode, currentEpoch = c.election.epoch): ReturnType<typeof step> {
  const message = messageFrom(voter, { type: 'auth-ack' }, { currentEpoch })
  return step(c, { type: 'message', link: voter.outbound!.id, message }, c.now)
}

describe('election: when it is due (clause 9.1)', () => {
  it('a replica of a failed primary with slots holds one', () => {
    assert.equal(whyNoElection(replicaScene().c), undefined)
  })

  it('a primary holds none', () => {
    assert.equal(whyNoElection(voterScene().c), 'not-a-replica')
  })

  it('nor a replica that does not know its primary', () => {
    const { c } = replicaScene()
    c.myself.primary = undefined
    assert.equal(whyNoElection(c), 'primary-unknown')
  })

  it('nor one whose primary is only suspected', () => {
    const { c, primary } = replicaScene()
    primary.health = 'pfail'
    assert.equal(whyNoElection(c), 'primary-not-failing')
  })

  it('nor one that must not fail over', () => {
    assert.equal(whyNoElection(replicaScene({ replicaNoFailover: true }).c), 'failover-disabled')
  })

  it('nor one whose primary owned nothing', () => {
    const { c, primary } = replicaScene()
    primary.slotCount = 0
    assert.equal(whyNoElection(c), 'primary-without-slots')
  })

  it('a manual failover overrules the primary`s health, no-failover and old data, but needs slots', () => {
    const { c, facts, primary } = replicaScene({ replicaNoFailover: true })
    primary.health = 'ok'
    facts.primaryLastSeenAt = 0 as Millis
    Object.assign(c.manual, { endsAt: NOW + 5000, canStart: true })
    assert.equal(whyNoElection(c), undefined)
    primary.slotCount = 0
    assert.equal(whyNoElection(c), 'primary-without-slots')
  })
})

describe('election: age of the data (clause 9.2)', () => {
  // node timeout 2000 x factor 10 + ping period 10 s = 30 s, and the node timeout is free of charge
  const cases: ReadonlyArray<readonly [silentSec: number, factor: number, due: boolean]> = [
    [0, 10, true],
    [32, 10, true],
    [33, 10, false],
    [12, 0, true],
    [100_000, 0, true],
  ]
  for (const [silentSec, replicaValidityFactor, due] of cases) {
    it(`${silentSec} s of silence with factor ${replicaValidityFactor}: ${due ? 'fresh' : 'too old'}`, () => {
      const { c, facts } = replicaScene({ replicaValidityFactor })
      facts.primaryLastSeenAt = (NOW - silentSec * 1000) as Millis
      assert.equal(whyNoElection(c), due ? undefined : 'data-too-old')
    })
  }

  it('data of another shard are too old until those of the new primary were ours, be it for a moment', () => {
    const { c, facts, primary } = replicaScene()
    Object.assign(primary, { shard: 'p', health: 'ok', ip: '10.0.0.2' })
    followPrimary(c, primary, 'operator')
    facts.primaryLinkUp = false
    primary.health = 'fail'
    assert.equal(whyNoElection(c), 'data-too-old')
    facts.primarySyncs++
    assert.equal(whyNoElection(c), undefined)
  })

  it('is explained in the log, once', () => {
    const { c, facts, primary } = replicaScene()
    facts.primaryLastSeenAt = 0 as Millis
    primary.failedAt = (NOW - 7000) as Millis
    runElection(c)
    runElection(c)
    assert.deepEqual(logTexts(takeEffects(c)), [
      'Currently unable to failover: Disconnected from master for longer than allowed. ' +
        "Please check the 'cluster-replica-validity-factor' configuration option.",
    ])
    c.now = (NOW + 300_000) as Millis
    runElection(c)
    assert.equal(logTexts(takeEffects(c)).length, 1)
  })

  it('and not while the failure is young', () => {
    const { c, facts } = replicaScene()
    facts.primaryLastSeenAt = 0 as Millis
    runElection(c)
    assert.deepEqual(takeEffects(c), [])
  })
})

describe('election: delay and rank (clauses 9.3, 9.4)', () => {
  it('waits 500 ms, up to 499 more at random, and a second for each rank', () => {
    const { c } = replicaScene()
    for (let i = 0; i < 50; i++) {
      const delay = electionDelayMs(c, 2)
      assert(delay >= 2500 && delay < 3000)
    }
  })

  it('a manual failover waits for nothing', () => {
    const { c } = replicaScene()
    c.manual.endsAt = (NOW + 5000) as Millis
    assert.equal(electionDelayMs(c, 3), 0)
  })

  it('rank is the number of other replicas with more data, without those that do not fail over', () => {
    const { c, primary } = replicaScene()
    addReplica(c, 'a', primary, { offset: 501 as Offset })
    addReplica(c, 'b', primary, { offset: 500 as Offset })
    addReplica(c, 'd', primary, { offset: 900 as Offset, noFailover: true })
    assert.equal(replicaRank(c), 1)
  })

  it('is announced to the other replicas of the primary, so that they learn our offset', () => {
    const { c, primary } = replicaScene()
    const sibling = addReplica(c, 'a', primary)
    runElection(c)
    const effects = takeEffects(c)
    assert.match(logTexts(effects)[0]!, /^Start of election delayed for \d+ milliseconds \(rank #0, offset 500\)\.$/)
    const sends = effects.filter((effect) => effect.type === 'send')
    assert.deepEqual(
      sends.map(({ links, message }) => [links, message.body.type, message.header.offset]),
      [[[sibling.outbound!.id], 'pong', 500]],
    )
  })

  it('a rank that got worse while waiting adds a second for each step; a better one changes nothing', () => {
    const { c, primary } = replicaScene()
    runElection(c)
    const startAt = c.election.startAt
    const sibling = addReplica(c, 'a', primary, { offset: 501 as Offset })
    takeEffects(c)
    runElection(c)
    assert.deepEqual(logTexts(takeEffects(c)), ['Replica rank updated to #1, added 1000 milliseconds of delay.'])
    assert.equal(c.election.startAt, startAt + 1000)
    sibling.offset = 0 as Offset
    runElection(c)
    assert.equal(c.election.startAt, startAt + 1000)
  })
})

describe('election: the request (clauses 9.5, 9.6)', () => {
  it('does not leave before its time', () => {
    const { c } = replicaScene()
    runElection(c)
    c.now = (c.election.startAt - 1) as Millis
    takeEffects(c)
    runElection(c)
    assert.deepEqual(sentMessages(takeEffects(c)), [])
  })

  it('opens a new epoch, is saved with fsync, and goes to all nodes', () => {
    const { c } = replicaScene()
    const effects = requestVotes(c)
    assert.deepEqual([c.currentEpoch, c.election.epoch, c.unsaved], [11, 11, 'fsync'])
    assert.deepEqual(logTexts(effects), ['Starting a failover election for epoch 11.'])
    const [send] = effects.filter((effect) => effect.type === 'send')
    assert.equal(send!.links.length, 3)
    const { header, body } = send!.message
    assert.deepEqual([body.type, header.currentEpoch, header.configEpoch, header.messageFlags], ['auth-req', 11, 4, 0])
    assert(hasSlot(header.slots, 99) && !hasSlot(header.slots, 100))
  })

  it('carries FORCEACK during a manual failover, and leaves at once', () => {
    const { c } = replicaScene()
    Object.assign(c.manual, { endsAt: NOW + 5000, canStart: true })
    runElection(c)
    const effects = takeEffects(c)
    assert.equal(logTexts(effects)[0], 'Start of election delayed for 0 milliseconds (rank #0, offset 500).')
    assert.equal(sentMessages(effects).at(-1)!.header.messageFlags, 2)
  })

  it('is given up after twice the node timeout, and tried again after four times', () => {
    const { c } = replicaScene()
    requestVotes(c)
    const startAt = c.election.startAt
    c.now = (startAt + 4001) as Millis
    runElection(c)
    assert.deepEqual([c.election.startAt, sentMessages(takeEffects(c))], [startAt, []])
    c.now = (startAt + 8001) as Millis
    runElection(c)
    assert(c.election.startAt > c.now)
    c.now = c.election.startAt
    runElection(c)
    assert.equal(c.election.epoch, 12)
  })
})

describe('election: with fast failover', () => {
  const fast = (): Scene => replicaScene({ fastFailover: true })
  const types = (effects: ReturnType<typeof takeEffects>): string[] =>
    sentMessages(effects).map(({ body }) => body.type)

  it('the best replica asks for votes at once, and tells FAIL on the same links just before', () => {
    const { c, primary } = fast()
    runElection(c)
    const effects = takeEffects(c)
    assert.deepEqual(types(effects), ['fail', 'auth-req'])
    const [fail, request] = effects.filter((effect) => effect.type === 'send')
    assert.deepEqual(fail!.links, request!.links)
    assert.deepEqual(fail!.message.body, { type: 'fail', node: primary.id })
    assert.deepEqual([c.unsaved, c.election.epoch], ['fsync', 11])
    assert.equal(logTexts(effects)[0], 'Start of election delayed for 0 milliseconds (rank #0, offset 500).')
  })

  it('does not tell a FAIL of two node timeouts ago, or one that its nodes.conf told: the voters know better', () => {
    for (const agoTimeouts of [2, Number.POSITIVE_INFINITY]) {
      const { c, primary } = fast()
      primary.failedAt = Math.max(0, NOW - agoTimeouts * c.options.nodeTimeoutMs - 1) as Millis
      runElection(c)
      assert.deepEqual(types(takeEffects(c)), ['auth-req'])
    }
  })

  it('each of the others waits a second for each better one', () => {
    const { c, primary } = fast()
    primary.dataReceivedAt = (NOW - 2000) as Millis
    for (const letter of ['x', 'y']) addReplica(c, letter, primary, { offset: 501 as Offset, offsetAt: NOW })
    runElection(c)
    assert.deepEqual([c.election.startAt, c.election.rank], [NOW + 2000, 2])
    c.now = (NOW + 1999) as Millis
    takeEffects(c)
    runElection(c)
    assert.deepEqual(types(takeEffects(c)), [])
    c.now = (NOW + 2000) as Millis
    runElection(c)
    assert.deepEqual(types(takeEffects(c)), ['fail', 'auth-req'])
  })

  it('of two with the same offset the one with the smaller id is better', () => {
    const { c, primary } = fast()
    addReplica(c, 'a', primary, { offset: 500 as Offset })
    assert.equal(replicaRank(c), 1)
    addReplica(c, 'x', primary, { offset: 500 as Offset })
    assert.equal(replicaRank(c), 1)
  })

  it('a replica that failed too is nobody to wait for', () => {
    const { c, primary } = fast()
    addReplica(c, 'a', primary, { offset: 900 as Offset, health: 'fail' })
    assert.equal(electionDelayMs(c, replicaRank(c)), 0)
  })

  it('a fellow replica that said nothing since the primary fell silent is given a moment, and no longer than it needs', () => {
    const { c, primary } = fast()
    primary.dataReceivedAt = NOW
    const sibling = addReplica(c, 'x', primary, { offset: 400 as Offset, offsetAt: NOW })
    c.now = (NOW + 2000) as Millis
    runElection(c)
    assert.equal(c.election.startAt, c.now + 200)
    takeEffects(c)
    c.now = (c.now + 10) as Millis
    step(c, { type: 'message', link: sibling.outbound!.id, message: messageFrom(sibling, PONG) }, c.now)
    assert.equal(c.election.sent, true)
  })

  it('tells its fellows its offset while the primary is silent, each time it moved', () => {
    const { c, facts, primary } = fast()
    addReplica(c, 'x', primary)
    primary.health = 'ok'
    primary.pingSentAt = NOW
    shareOffset(c)
    assert.deepEqual(types(takeEffects(c)), [], 'the stream still flows')
    facts.primaryLinkUp = false
    for (const offset of [500, 500, 510]) {
      facts.replicationOffset = offset as Offset
      shareOffset(c)
    }
    assert.deepEqual(
      sentMessages(takeEffects(c)).map(({ header }) => header.offset),
      [500, 510],
    )
  })

  it('lets other failed shards go first in the order of their ids, until their winner shows itself', () => {
    const { c, voters } = fast()
    const [other] = voters
    const heir = addReplica(c, 'x', other!)
    for (const [letter, aheadMs] of [
      ['a', 200],
      ['z', 0],
    ] as const) {
      Object.assign(other!, { id: id(letter), health: 'fail' })
      assert.equal(electionDelayMs(c, 0), aheadMs)
    }
    Object.assign(other!, { id: id('a') })
    heir.health = 'fail'
    assert.equal(electionDelayMs(c, 0), 0)
    heir.health = 'ok'
    other!.slotCount = 0
    assert.equal(electionDelayMs(c, 0), 0)
  })
})

describe('election: counting (clause 9.7)', () => {
  it('is won with the votes of a majority of the voters', () => {
    const { c, voters } = replicaScene()
    requestVotes(c)
    vote(c, voters[0]!)
    assert.equal(c.myself.role, 'replica')
    vote(c, voters[1]!)
    assert.equal(c.myself.role, 'primary')
  })

  it('needs as many votes as when they were asked for, though it knows of fewer voters now', () => {
    const { c, voters } = replicaScene()
    requestVotes(c)
    c.size = 1
    vote(c, voters[0]!)
    assert.deepEqual([c.election.votes, c.myself.role], [1, 'replica'])
    vote(c, voters[1]!)
    assert.equal(c.myself.role, 'primary')
  })

  it('votes of an older epoch do not count', () => {
    const { c, voters } = replicaScene()
    requestVotes(c)
    for (const voter of voters) vote(c, voter, 10 as Epoch)
    assert.equal(c.election.votes, 0)
  })

  it('nor those of nodes without slots, or of replicas', () => {
    const { c, primary } = replicaScene()
    const others = [addRow(c, 'a'), addReplica(c, 'b', primary)]
    requestVotes(c)
    for (const node of others) vote(c, node)
    assert.equal(c.election.votes, 0)
  })

  it('nor those that come before we asked', () => {
    const { c, voters } = replicaScene()
    runElection(c)
    for (const voter of voters) vote(c, voter, 99 as Epoch)
    assert.equal(c.election.votes, 0)
  })
})

describe('election: winning (clause 9.8)', () => {
  function win(): { scene: Scene; effects: ReturnType<typeof step> } {
    const scene = replicaScene()
    requestVotes(scene.c)
    vote(scene.c, scene.voters[0]!)
    return { scene, effects: vote(scene.c, scene.voters[1]!) }
  }

  it('takes the config epoch of the election and all slots of the old primary', () => {
    const { c, primary } = win().scene
    assert.deepEqual([c.myself.role, c.myself.primary, c.myself.configEpoch], ['primary', undefined, 11])
    assert.deepEqual([c.myself.slotCount, primary.slotCount, c.owners[99]], [100, 0, c.myself])
    assert.deepEqual([primary.replicas, primary.role], [[], 'primary'])
  })

  it('is on disk before anybody hears of it, and then everybody does', () => {
    const { effects } = win()
    assert.deepEqual(effects[0], { type: 'save', fsync: true })
    const pongs = effects.filter((effect) => effect.type === 'send' && effect.message.body.type === 'pong')
    const told = pongs.flatMap((pong) => (pong.type === 'send' ? pong.links : []))
    assert.deepEqual([told.length, new Set(told).size], [3, 3])
    for (const { header } of sentMessages(pongs))
      assert.deepEqual([header.configEpoch, header.replicaOf], [11, undefined])
    assert(effects.some((effect) => effect.type === 'lead'))
    assert(!effects.some((effect) => effect.type === 'slots-lost'))
  })

  it('is logged in the words of a real server', () => {
    const texts = logTexts(win().effects)
    assert.equal(texts[0], "Failover election won: I'm the new master.")
    assert.equal(texts[1], 'configEpoch set to 11 after successful failover')
  })

  it('spends the votes: a winner that is a replica again needs new ones', () => {
    const { c, primary } = win().scene
    setReplicaOf(c, c.myself, primary)
    ownSlots(c, primary, 400)
    Object.assign(c.manual, { endsAt: c.now + 5000, canStart: true })
    runElection(c)
    assert.deepEqual([c.myself.role, c.election.votes, c.election.epoch], ['replica', 0, 12])
  })
})

describe('voting: all must hold, else silence', () => {
  it('is granted: remembered, saved with fsync, and sent', () => {
    const { c, primary, replica } = voterScene()
    grantVote(c, replica, replica.outbound!, request(c, replica))
    assert.deepEqual([c.lastVoteEpoch, primary.votedAt, c.unsaved], [10, NOW, 'fsync'])
    const effects = takeEffects(c)
    const [send] = effects.filter((effect) => effect.type === 'send')
    assert.deepEqual([send!.links, send!.message.body.type], [[replica.outbound!.id], 'auth-ack'])
    assert.deepEqual(logTexts(effects), [`Failover auth granted to ${replica.id} for epoch 10`])
  })

  it('leaves on the link the request came on, though our own to the candidate is down', () => {
    const { c, replica } = voterScene()
    step(c, { type: 'link-down', link: replica.outbound!.id }, NOW)
    const link = c.nextLinkId++
    step(c, { type: 'accepted', link, remoteIp: replica.ip, localIp: '' }, NOW)
    const effects = step(c, { type: 'message', link, message: request(c, replica) }, NOW)
    const votes = effects.filter((effect) => effect.type === 'send' && effect.message.body.type === 'auth-ack')
    assert.deepEqual(
      votes.map((vote) => vote.type === 'send' && vote.links),
      [[link]],
    )
  })

  /** What differs from a request that would be granted, and the log line, its "Failover auth denied to <id>: " left out. */
  interface Refusal {
    readonly cluster?: Partial<Cluster>
    readonly myself?: Partial<ClusterNode>
    readonly primary?: Partial<ClusterNode>
    readonly replica?: Partial<ClusterNode>
    readonly request?: Partial<Header>
    readonly text: string | undefined
  }
  const recently = (NOW - 3000) as Millis
  const tooSoon = "can't vote about this master before 1000 milliseconds"
  const refusals: Readonly<Record<string, Refusal>> = {
    'a: we own no slots': { myself: { slotCount: 0 }, text: undefined },
    'a: we are a replica': { myself: { role: 'replica' }, text: undefined },
    'b: it is older than our epoch': {
      request: { currentEpoch: 9 as Epoch },
      text: 'reqEpoch (9) < curEpoch(10)',
    },
    'c: we voted in this epoch': { cluster: { lastVoteEpoch: 10 as Epoch }, text: 'already voted for epoch 10' },
    'd: a primary asks': { replica: { role: 'primary' }, text: 'it is a master node' },
    'd: we do not know its primary': { replica: { primary: undefined }, text: "I don't know its master" },
    'd: its primary works': { primary: { health: 'pfail' }, text: 'its master is up' },
    'e: we voted for a replica of that primary less than two node timeouts ago': {
      primary: { votedAt: recently },
      text: tooSoon,
    },
    'e: which a forced request does not get around': {
      primary: { votedAt: recently },
      request: { messageFlags: 2 },
      text: tooSoon,
    },
  }
  for (const [clause, refusal] of Object.entries(refusals)) {
    it(`is refused when ${clause}`, () => {
      const { c, primary, replica } = voterScene()
      const message = request(c, replica, refusal.request)
      Object.assign(c, refusal.cluster)
      Object.assign(c.myself, refusal.myself)
      Object.assign(primary, refusal.primary)
      Object.assign(replica, refusal.replica)
      grantVote(c, replica, replica.outbound!, message)
      const effects = takeEffects(c)
      assert.deepEqual([sentMessages(effects), c.unsaved], [[], 'no'])
      const expected = refusal.text === undefined ? [] : [`Failover auth denied to ${replica.id}: ${refusal.text}`]
      assert.deepEqual(logTexts(effects), expected)
    })
  }

  it('is refused when f: a claimed slot has an owner with a higher config epoch; the replica is told of it', () => {
    const { c, replica } = voterScene()
    c.myself.configEpoch = 5 as Epoch
    grantVote(c, replica, replica.outbound!, request(c, replica, { slots: addedTo(99) }))
    const effects = takeEffects(c)
    assert.deepEqual(logTexts(effects), [
      `Failover auth denied to ${replica.id}: slot 99 epoch (5) > reqEpoch (4)`,
      `Node ${replica.id} has old slots configuration, sending an UPDATE message about ${c.myself.id}`,
    ])
    const [{ body }] = sentMessages(effects) as [Message]
    assert.deepEqual(body, { type: 'update', node: c.myself.id, configEpoch: 5, slots: c.myself.slots })
  })

  it('a forced request needs no failed primary', () => {
    const { c, primary, replica } = voterScene()
    primary.health = 'ok'
    assert.equal(whyNoVote(c, replica, request(c, replica, { messageFlags: 2 }).header), undefined)
  })

  it('a slot its owner no longer claims, or with an equal epoch, is no obstacle', () => {
    const { c, replica } = voterScene()
    const slots = addedTo(99)
    c.myself.configEpoch = 4 as Epoch
    assert.equal(whyNoVote(c, replica, request(c, replica, { slots }).header), undefined)
    c.myself.configEpoch = 5 as Epoch
    addSlot(c.unclaimed, 99)
    assert.equal(whyNoVote(c, replica, request(c, replica, { slots }).header), undefined)
  })
})

/** A claim of slots 100-199, which are those of `p`, and of one more. */
function addedTo(s: number): Uint8Array {
  const slots = new Uint8Array(SLOT_BYTES)
  for (let own = 100; own < 200; own++) addSlot(slots, own)
  addSlot(slots, s)
  return slots
}

describe('election in a simulated world', () => {
  /** Three shards; node i + 3 replicates node i, node i + 6 too. */
  function world(seed: number, nodes = 6, options: Partial<ClusterOptions> = {}): World {
    const made = createWorld({ seed, nodes, options })
    made.form(3)
    return made
  }
  const isPrimary = (w: World, i: number): boolean => w.cluster(i).myself.role === 'primary'

  it('the replica of a crashed primary takes its place', () => {
    const w = world(1)
    w.crash(0)
    w.until(() => isPrimary(w, 3) && w.hasConverged(), 10_000)
    assert.equal(w.cluster(1).owners[0]!.id, w.cluster(3).myself.id)
  })

  it('with fast failover that takes the node timeout and hardly more, also with two replicas alike', () => {
    const took: number[] = []
    for (let seed = 1; seed <= 10; seed++) {
      const w = world(seed, 9)
      w.advance(w.random.below(3000))
      w.crash(0)
      took.push(w.until(() => w.cluster(1).owners[0] !== w.row(1, 0), 10_000))
    }
    assert(Math.min(...took) > 2000 && Math.max(...took) < 2300, took.join(' '))
  })

  it('and as long as with redis-server when it is switched off', () => {
    const w = world(1, 6, { fastFailover: false })
    w.crash(0)
    const took = w.until(() => w.cluster(1).owners[0] !== w.row(1, 0), 10_000)
    assert(took > 2500, `${took} ms`)
  })

  it('several primaries that die at once are replaced one after the other, none of them late', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const w = createWorld({ seed, nodes: 18 })
      w.form(9)
      w.advance(w.random.below(3000))
      const dead = [0, 1, 2, 3]
      for (const i of dead) w.crash(i)
      const took = w.until(() => dead.every((i) => isPrimary(w, 9 + i)), 10_000)
      assert(took < 3500, `seed ${seed}: ${took} ms`)
    }
  })

  it('and none is overrun by the next where messages take their time', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const w = createWorld({ seed, nodes: 26, delay: { minMs: 20, maxMs: 40 } })
      w.form(13)
      const dead = [0, 1, 2, 3, 4, 5]
      for (const i of dead) w.crash(i)
      w.until(() => dead.every((i) => isPrimary(w, 13 + i)), 20_000)
      const elections = w.nodes.flatMap(({ log }) =>
        log.filter((line) => line.startsWith('Starting a failover election')),
      )
      assert.equal(elections.length, dead.length, `seed ${seed}`)
    }
  })

  it('the replica with the most data wins', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const w = world(seed, 9)
      w.nodes[3]!.heldBack = true
      w.write(0, 4096)
      w.advance(2000)
      w.crash(0)
      w.until(() => isPrimary(w, 6) && w.hasConverged(), 20_000)
      assert(!isPrimary(w, 3), `seed ${seed}`)
    }
  })

  it('nobody is elected in a minority', () => {
    const w = world(2)
    w.partition([0, 1, 2], [3, 4, 5])
    w.advance(60_000)
    assert.deepEqual(
      [3, 4, 5].map((i) => isPrimary(w, i)),
      [false, false, false],
    )
  })

  it('nor with a majority of the voters gone at once', () => {
    const w = world(3)
    w.crash(0)
    w.crash(1)
    w.advance(60_000)
    assert.deepEqual([isPrimary(w, 3), isPrimary(w, 4)], [false, false])
  })

  it('a voter gives one vote in an epoch, whatever happens, and each epoch has one winner', () => {
    let won = 0
    for (let seed = 10; seed < 16; seed++) {
      const votes = new Set<string>()
      const winners = new Set<number>()
      const w = createWorld({
        seed,
        nodes: 9,
        watch: (node, _, effects) => {
          for (const text of logTexts(effects)) {
            const epoch = /^Failover auth granted to \S+ for epoch (\d+)$/.exec(text)?.[1]
            if (epoch) {
              assert(
                !votes.has(`${node.index}:${epoch}`),
                `seed ${seed}: second vote of ${node.index} in epoch ${epoch}`,
              )
              votes.add(`${node.index}:${epoch}`)
            }
            if (text.startsWith('Failover election won')) {
              const { epoch } = node.cluster.election
              assert(!winners.has(epoch), `seed ${seed}: two winners in epoch ${epoch}`)
              winners.add(epoch)
            }
          }
        },
      })
      w.form(3)
      for (let round = 0; round < 4; round++) {
        const victim = w.random.below(9)
        w.crash(victim)
        w.advance(w.random.below(8000))
        w.restart(victim)
        w.advance(w.random.below(4000))
      }
      w.until(() => w.hasConverged(), 60_000)
      won += winners.size
    }
    assert(won > 0, 'no seed had an election')
  })

  it('does not happen with cluster-replica-no-failover', () => {
    const w = world(4, 6, { replicaNoFailover: true })
    w.crash(0)
    w.advance(30_000)
    assert(!isPrimary(w, 3))
  })
})
