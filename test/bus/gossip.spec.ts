/** Clauses of cluster-bus.md section 5 (ping cadence and gossip), and 1.5 for what a ping carries. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { MESSAGE_FLAGS, NODE_FLAGS } from '../../bus/layout.ts'
import type { GossipEntry, PingBody } from '../../bus/message.ts'
import { readSection } from '../../bus/section.ts'
import { SIM_OPTIONS } from '../../bus/sim/node.ts'
import { createWorld } from '../../bus/sim/world.ts'
import { type ClusterNode, createNode } from '../../bus/state.ts'
import { addNode } from '../../bus/table.ts'
import { type Epoch, type Millis, nodeId, type Offset, type ShardId } from '../../lib/base/brand.ts'
import {
  type Bench,
  bench,
  bitmap,
  EXT_DATA,
  give,
  header,
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
  tickAfter,
} from './harness.ts'

const LETTERS = [...'abcdefghijklnopqrstuvwxyz']

/** Peers that are never due for a ping of their own. */
const crowd = (b: Bench, size: number): ClusterNode[] => LETTERS.slice(0, size).map((letter) => peer(b, letter))

/** The gossip section of the pong to a ping. */
function gossipOf(b: Bench, to: ClusterNode): readonly GossipEntry[] {
  return readSection((sent(say(b, to, ping('ping')), 'pong')[0]!.message.body as PingBody).gossip)
}

/** Whom the pings among effects go to. */
const pinged = (b: Bench, effects: ReturnType<typeof give>): string[] =>
  sent(effects, 'ping').map(({ links }) => b.c.links.get(links[0]!)!.node!.id[0]!)

describe('gossip: when to ping (5)', () => {
  it('pings at every tenth tick the least recently heard of five nodes drawn at random (5.1)', () => {
    const b = bench('m', { fastFailover: false })
    const node = peer(b, 'a')
    const quiet: string[][] = []
    for (let i = 0; i < 9; i++) quiet.push(pinged(b, tickAfter(b, 10)))
    assert.deepEqual(quiet.flat(), [])
    assert.deepEqual(pinged(b, tickAfter(b, 10)), ['a'])
    assert.equal(node.pingSentAt, b.now)
  })

  it('in a crowd pings at every tenth tick one of those it heard nothing of for a quarter of a node timeout', () => {
    const b = bench()
    const nodes = crowd(b, 4)
    // Nobody to ping, but many.
    for (let i = 0; i < 100; i++) {
      const id = nodeId(i.toString(16).padStart(40, '0'))
      addNode(b.c, Object.assign(createNode(b.c, id), { noAddress: true }))
    }
    for (let i = 0; i < 9; i++) tickAfter(b, 60)
    Object.assign(nodes[0]!, { pongReceivedAt: b.now }) // others had its answer
    Object.assign(nodes[1]!, { dataReceivedAt: b.now }) // it spoke to us
    const [one] = pinged(b, tickAfter(b, 60))
    assert.ok(one === 'c' || one === 'd')
    for (const node of nodes) Object.assign(node, { pongReceivedAt: b.now, pingSentAt: 0 })
    for (let i = 0; i < 10; i++) assert.deepEqual(pinged(b, tickAfter(b, 10)), [])
  })

  it('draws no node that has a ping outstanding, no link, or is in handshake (5.1)', () => {
    const b = bench()
    peer(b, 'a').pingSentAt = b.now
    peer(b, 'n', { linked: false })
    Object.assign(peer(b, 'x'), { handshake: true })
    for (let i = 0; i < 30; i++) assert.deepEqual(pinged(b, tickAfter(b, 10)), [])
  })

  it('pings every node it has not heard a pong from for half a node timeout (5.2)', () => {
    const b = bench()
    crowd(b, 3)
    assert.deepEqual(pinged(b, tickAfter(b, 1000)), [])
    assert.deepEqual(pinged(b, tickAfter(b, 1)), ['a', 'b', 'c'])
    assert.deepEqual(pinged(b, tickAfter(b, 100)), [])
  })

  it('pings after cluster-ping-interval instead, when that is set (5.2 [72])', () => {
    const b = bench('m', { pingIntervalMs: 300 })
    crowd(b, 1)
    assert.deepEqual(pinged(b, tickAfter(b, 301)), ['a'])
  })

  it('starts the clock of a ping on the outbound link only (5.3)', () => {
    const b = bench()
    const node = peer(b, 'a')
    say(b, node, ping('ping'))
    assert.equal(node.pingSentAt, 0)
    tickAfter(b, 1001)
    assert.equal(node.pingSentAt, b.now)
  })

  it('counts a ping as sent while the link is still being dialled (5.2)', () => {
    const b = bench()
    const node = peer(b, 'a', { linked: false })
    const effects = tickAfter(b, 1001)
    assert.equal(of(effects, 'connect').length, 1)
    assert.equal(sent(effects, 'ping').length, 0)
    assert.equal(node.pingSentAt, b.now)
  })

  it('pings at once when a link comes up, and an outstanding ping stays as old as it is (5.3)', () => {
    const b = bench()
    const node = peer(b, 'a')
    tickAfter(b, 1001)
    const since = node.pingSentAt
    give(b, { type: 'link-down', link: node.outbound!.id })
    tickAfter(b, 100)
    assert.equal(sent(give(b, { type: 'link-up', link: node.outbound!.id }), 'ping').length, 1)
    assert.equal(node.pingSentAt, since)
  })

  it('takes a pong on the outbound link for the answer (5.3)', () => {
    const b = bench()
    const node = peer(b, 'a')
    tickAfter(b, 1001)
    say(b, node, ping('pong'))
    assert.deepEqual([node.pingSentAt, node.pongReceivedAt], [0, b.now])
  })

  it('takes any message of a known node for a sign of life (5.4)', () => {
    const b = bench()
    const node = peer(b, 'a')
    b.now = (b.now + 500) as Millis
    say(b, node, { type: 'fail', node: id('z') })
    assert.equal(node.dataReceivedAt, b.now)
  })

  it('dials anew over a link that stays silent for half a node timeout (5.5)', () => {
    const b = bench()
    const node = peer(b, 'a')
    tickAfter(b, 1001)
    const link = node.outbound!.id
    assert.deepEqual(of(tickAfter(b, 1000), 'drop'), [])
    assert.deepEqual(of(tickAfter(b, 1), 'drop'), [{ type: 'drop', link }])
    assert.equal(of(tickAfter(b, 100), 'connect').length, 1)
  })
})

describe('gossip: what a ping carries (5, 1.5)', () => {
  it('mentions three nodes in a small cluster, but never itself, and leaves room for two (5.6)', () => {
    for (const [size, most] of [
      [1, 0],
      [2, 1],
      [4, 3],
      [10, 3],
    ] as const) {
      const b = bench()
      const nodes = crowd(b, size)
      for (let i = 0; i < 20; i++) {
        const gossip = gossipOf(b, nodes[0]!)
        assert.ok(gossip.length <= most)
        assert.ok(gossip.every((entry) => entry.id !== b.c.myself.id))
        assert.equal(new Set(gossip.map((entry) => entry.id)).size, gossip.length)
      }
    }
  })

  it('mentions no node in handshake or without address, nor one it has neither link nor slots of (5.6)', () => {
    const b = bench()
    const nodes = crowd(b, 5)
    nodes[1]!.handshake = true
    nodes[2]!.noAddress = true
    nodes[3]!.outbound = undefined
    const seen = new Set<string>()
    for (let i = 0; i < 400; i++) for (const entry of gossipOf(b, nodes[i % 2 ? 0 : 4]!)) seen.add(entry.id[0]!)
    assert.deepEqual([...seen].sort(), ['a', 'e'])
  })

  it('with fast failover mentions whom it heard of last, and one of three drawn at random', () => {
    const b = bench('z')
    const nodes = crowd(b, 25)
    b.now = (b.now + 900) as Millis
    for (const node of nodes.slice(20, 23)) Object.assign(node, { dataReceivedAt: b.now })
    const seen = new Map<string, number>()
    for (let i = 0; i < 300; i++) {
      for (const entry of gossipOf(b, nodes[24]!)) seen.set(entry.id[0]!, (seen.get(entry.id[0]!) ?? 0) + 1)
    }
    const latest = [...'vwx'].reduce((sum, letter) => sum + seen.get(letter)!, 0)
    assert.ok(latest >= 600, `${latest} of 900 mentions; by chance it were 113`)
    assert.equal(seen.size, 24, 'everybody but the reader has his turn')
  })

  it('appends every suspected node, up to the count of the last tick (5.7)', () => {
    const b = bench()
    const nodes = crowd(b, 20)
    for (const node of nodes.slice(5, 15)) node.health = 'pfail'
    tickAfter(b, 100)
    nodes[16]!.health = 'pfail'
    const suspected = gossipOf(b, nodes[0]!).filter((entry) => entry.flags & NODE_FLAGS.pfail)
    assert.equal(suspected.length, 10)
  })

  it('shows times in whole seconds (5.8)', () => {
    const b = bench()
    const nodes = crowd(b, 3)
    for (const node of nodes) Object.assign(node, { pongReceivedAt: 999_999, dataReceivedAt: 999_999 })
    assert.equal(gossipOf(b, nodes[0]!)[0]?.pongReceivedSec, 999)
  })

  it('shows the configuration of the primary in the header of a replica (1.1)', () => {
    const b = bench()
    const primary = peer(b, 'a', { slots: [7], epoch: 3 })
    replicate(b, primary)
    b.facts.replicationOffset = 42 as Offset
    const shown = sent(say(b, primary, ping('ping')), 'pong')[0]!.message.header
    assert.deepEqual(
      [shown.replicaOf, shown.configEpoch, shown.offset, shown.flags],
      [primary.id, 3, 42, NODE_FLAGS.replica | NODE_FLAGS.myself],
    )
    assert.deepEqual(shown.slots, bitmap(7))
  })

  it('announces overrides, and no address unless it is announced (2.2)', () => {
    const b = bench('m', { announcePort: 1234, announceBusPort: 4321, announceIp: '192.0.2.1' })
    const shown = sent(say(b, peer(b, 'a'), ping('ping')), 'pong')[0]!.message.header
    assert.deepEqual([shown.ip, shown.port, shown.busPort], ['192.0.2.1', 1234, 4321])
    const plain = bench()
    assert.equal(sent(say(plain, peer(plain, 'a'), ping('ping')), 'pong')[0]!.message.header.ip, '')
  })

  it('always sends its hostname, and other extensions to those whose last ping shows they read them (1.5)', () => {
    const b = bench('m', { announceHostname: 'one.example', announceHumanNodename: 'one' })
    const node = peer(b, 'a')
    const types = (changes = {}): string[] => {
      const { header, body } = sent(say(b, node, ping('ping'), changes), 'pong')[0]!.message
      assert.equal(header.messageFlags, MESSAGE_FLAGS.extData)
      return (body as PingBody).extensions.map((extension) => extension.type)
    }
    assert.deepEqual(types(), ['hostname'])
    assert.deepEqual(types(EXT_DATA), ['hostname', 'human-nodename', 'shard-id'])
    // The node was restarted as a server of version 7.0.
    assert.deepEqual(types(), ['hostname'])
  })
})

describe('gossip: what is learned (5)', () => {
  it('adds a node a known sender mentions, as it is described, and dials it (5.9)', () => {
    const b = bench()
    const teller = peer(b, 'a')
    const flags = NODE_FLAGS.replica | NODE_FLAGS.fail | NODE_FLAGS.myself | NODE_FLAGS.handshake | 2048
    const effects = say(b, teller, ping('pong', [mention(b, id('x'), { flags, port: 7001, busPort: 17001 })]))
    const node = b.c.nodes.get(id('x'))!
    assert.deepEqual([node.role, node.health, node.handshake, node.port], ['replica', 'fail', false, 7001])
    assert.equal(saved(effects), 'save')
    assert.equal(of(tickAfter(b, 100), 'connect').at(-1)?.busPort, 17001)
  })

  it('adds no node without address (5.9)', () => {
    const b = bench()
    const teller = peer(b, 'a')
    say(b, teller, ping('pong', [mention(b, id('x'), { flags: NODE_FLAGS.noAddress })]))
    assert.equal(b.c.nodes.size, 2)
  })

  it("lets others' pongs spare it a ping, unless they lie in the future or a ping is outstanding (5.9)", () => {
    const b = bench()
    const teller = peer(b, 'a')
    const node = peer(b, 'x')
    b.now = (b.now + 5000) as Millis
    say(b, teller, ping('pong', [mention(b, node)]))
    assert.equal(node.pongReceivedAt, b.now)
    say(b, teller, ping('pong', [mention(b, node, { pongReceivedSec: b.now / 1000 + 1 })]))
    assert.equal(node.pongReceivedAt, b.now)
    node.pingSentAt = b.now
    b.now = (b.now + 5000) as Millis
    say(b, teller, ping('pong', [mention(b, node)]))
    assert.equal(node.pongReceivedAt, b.now - 5000)
  })

  it('answers a ping with what it knew before, except for epochs (5.10)', () => {
    const b = bench('m')
    const node = peer(b, 'a', { epoch: 1 })
    const effects = say(b, node, ping('ping', [mention(b, id('x'))]), { currentEpoch: 9 as Epoch, slots: bitmap(3) })
    const pong = sent(effects, 'pong')[0]!.message
    assert.equal(pong.header.currentEpoch, 9)
    assert.ok(readSection((pong.body as PingBody).gossip).every((entry) => entry.id !== id('x')))
    assert.ok(b.c.nodes.has(id('x')))
  })

  it('learns epochs and offset from any message, and keeps a grown config epoch safe (5.11)', () => {
    const b = bench()
    const node = peer(b, 'a', { epoch: 2 })
    const changes = { currentEpoch: 9 as Epoch, configEpoch: 5 as Epoch, offset: 77 as Offset }
    assert.equal(saved(say(b, node, { type: 'auth-req' }, changes)), 'later')
    assert.deepEqual([b.c.currentEpoch, node.configEpoch, node.offset, node.offsetAt], [9, 5, 77, b.now])
    say(b, node, { type: 'auth-req' }, { currentEpoch: 1 as Epoch, configEpoch: 1 as Epoch })
    assert.deepEqual([b.c.currentEpoch, node.configEpoch], [9, 5])
  })

  it('takes the slots from a primary that turned replica (5.13)', () => {
    const b = bench()
    const node = peer(b, 'a', { slots: [1, 2] })
    const primary = peer(b, 'x')
    say(b, node, ping('pong'), { replicaOf: primary.id, slots: bitmap(), flags: NODE_FLAGS.replica })
    assert.deepEqual([node.role, node.primary, node.slotCount, node.migrateTo], ['replica', primary, 0, false])
    assert.deepEqual([primary.replicas, primary.migrateTo], [[node], true])
    assert.equal(b.c.owners[1], undefined)
  })

  it('makes a replica that shows no primary a primary, and a target of migration (5.13)', () => {
    const b = bench()
    const primary = peer(b, 'a', { slots: [1] })
    const node = peer(b, 'x', { replicaOf: primary })
    say(b, node, ping('pong'), { replicaOf: undefined, slots: bitmap() })
    assert.deepEqual([node.role, node.primary, node.migrateTo], ['primary', undefined, true])
    assert.deepEqual([primary.replicas, primary.migrateTo], [[], false])
  })

  it('lets what a new primary said before, as a replica, take nothing from it; what it repeats, or says by a higher epoch, counts', () => {
    for (const [currentEpoch, afterMs, role] of [
      [4, 0, 'primary'],
      [5, 0, 'replica'],
      [4, SIM_OPTIONS.nodeTimeoutMs, 'replica'],
    ] as const) {
      const b = bench()
      const old = peer(b, 'x', { slots: [1], epoch: 3 })
      const node = peer(b, 'a', { replicaOf: old })
      const won = { configEpoch: 4 as Epoch, currentEpoch: 4 as Epoch }
      say(b, node, ping('pong'), { replicaOf: undefined, slots: bitmap(1), ...won })
      b.now = (b.now + afterMs) as Millis
      const before = { replicaOf: old.id, slots: bitmap(1), configEpoch: 3 as Epoch, flags: NODE_FLAGS.replica }
      say(b, node, ping('pong'), { ...before, currentEpoch: currentEpoch as Epoch })
      assert.deepEqual([node.role, b.c.owners[1]], [role, role === 'primary' ? node : undefined])
    }
  })

  it('forgets a hostname that is not repeated (1.5)', () => {
    const b = bench()
    const node = peer(b, 'a')
    say(b, node, ping('pong', [], [{ type: 'hostname', text: 'a.example' }]), EXT_DATA)
    assert.equal(node.hostname, 'a.example')
    say(b, node, ping('pong'))
    assert.equal(node.hostname, '')
  })

  it('takes over the shard id of its primary, safely (5.14 [72])', () => {
    const b = bench()
    const primary = peer(b, 'a', { slots: [1] })
    replicate(b, primary)
    const shard = id('s') as string as ShardId
    assert.equal(saved(say(b, primary, ping('pong', [], [{ type: 'shard-id', id: shard }]), EXT_DATA)), 'fsync')
    assert.deepEqual([primary.shard, b.c.myself.shard], [shard, shard])
  })

  it('delivers what is published on the bus when it knows the sender (16)', () => {
    const b = bench()
    const node = peer(b, 'a')
    const body = { type: 'publishshard', channel: Buffer.from('c'), message: Buffer.from('m') } as const
    assert.equal(of(say(b, node, body), 'publish')[0]?.sharded, true)
    const unknown = { header: header({ ...node, id: id('q') }), body }
    assert.deepEqual(of(give(b, { type: 'message', link: node.inbound!.id, message: unknown }), 'publish'), [])
  })

  it('publishes sharded messages in its own shard only (16)', () => {
    const b = bench()
    own(b, [1])
    peer(b, 'a', { slots: [2] })
    const replica = peer(b, 'x', { replicaOf: b.c.myself })
    const effects = give(b, { type: 'publish', sharded: true, channel: Buffer.from('c'), message: Buffer.from('m') })
    assert.deepEqual(sent(effects, 'publishshard')[0]?.links, [replica.outbound!.id])
  })

  it('ignores what comes over a link it closed', () => {
    const b = bench()
    const node = peer(b, 'a')
    const link = node.inbound!.id
    operate(b, { name: 'forget', id: node.id })
    assert.deepEqual(give(b, { type: 'message', link, message: { header: header(node), body: ping('ping') } }), [])
  })
})

describe('the simulated world', () => {
  it('is the same for the same seed, effect by effect, and another for another', () => {
    const history = (seed: number): string => {
      const hash = createHash('sha256')
      const world = createWorld({
        seed,
        nodes: 6,
        watch: (node, event, effects) => {
          for (const effect of effects) {
            const what =
              effect.type === 'send' ? `${effect.message.body.type} to ${effect.links}` : JSON.stringify(effect)
            hash.update(`${world.now} ${node.index} ${event.type} ${what}\n`)
          }
        },
      })
      world.form(3)
      world.crash(0)
      world.advance(8000)
      return hash.digest('hex')
    }
    assert.equal(history(11), history(11))
    assert.notEqual(history(11), history(12))
  })
})
