/** Clauses of cluster-bus.md sections 2 (addresses, links), 4 (handshake) and 13 (forgetting). */
import assert from 'node:assert/strict'
import { NODE_FLAGS } from '../../bus/layout.ts'
import { createWorld } from '../../bus/sim/world.ts'
import type { ClusterNode } from '../../bus/state.ts'
import {
  accept,
  type Bench,
  bench,
  EXT_DATA,
  give,
  header,
  hear,
  id,
  mention,
  of,
  operate,
  peer,
  ping,
  replicate,
  saved,
  say,
  sent,
  stranger,
  tickAfter,
} from './harness.ts'

const meet = (b: Bench) => operate(b, { name: 'meet', ip: '10.0.0.9', port: 7000, busPort: 17000 })
const handshakes = (b: Bench): ClusterNode[] => [...b.c.nodes.values()].filter((node) => node.handshake)

/** A node in handshake, our link to it up and the MEET sent. */
function shaking(b: Bench): ClusterNode {
  meet(b)
  tickAfter(b, 100)
  const node = handshakes(b)[0]!
  give(b, { type: 'link-up', link: node.outbound!.id })
  return node
}

describe('handshake: addresses and links (2)', () => {
  it('learns its own address from the socket a MEET came to (2.3)', () => {
    const b = bench()
    const effects = hear(b, accept(b, '10.0.0.9', '10.0.0.5'), { header: stranger(b, 'x'), body: ping('meet') })
    assert.equal(b.c.myself.ip, '10.0.0.5')
    assert.ok(of(effects, 'log').some(({ text }) => text === 'IP address for this node updated to 10.0.0.5'))
    assert.equal(saved(effects), 'save')
  })

  it('learns it from a PING only while it has none, and never from a PONG (2.3)', () => {
    const b = bench()
    const node = peer(b, 'a')
    say(b, node, ping('pong'))
    assert.equal(b.c.myself.ip, '')
    say(b, node, ping('ping'))
    assert.equal(b.c.myself.ip, '10.0.0.1')
    hear(b, accept(b, node.ip, '10.0.0.5'), { header: header(node), body: ping('ping') })
    assert.equal(b.c.myself.ip, '10.0.0.1')
  })

  it('keeps an announced address (2.3)', () => {
    const b = bench('m', { announceIp: '192.0.2.1' })
    hear(b, accept(b, '10.0.0.9', '10.0.0.5'), { header: stranger(b, 'x'), body: ping('meet') })
    assert.equal(b.c.myself.ip, '192.0.2.1')
  })

  it('takes over a new address from a PING and dials it anew (2.4)', () => {
    const b = bench()
    const node = peer(b, 'a')
    const old = node.outbound!.id
    const effects = say(b, node, ping('ping'), { port: 7777 })
    assert.equal(node.port, 7777)
    assert.deepEqual(of(effects, 'drop'), [{ type: 'drop', link: old }])
    assert.equal(of(tickAfter(b, 100), 'connect').length, 1)
  })

  it('does not take an address from a PONG (2.4)', () => {
    const b = bench()
    const node = peer(b, 'a')
    say(b, node, ping('pong'), { port: 7777 })
    assert.equal(node.port, 7000)
  })

  it('points replication at the new address of its primary (2.4)', () => {
    const b = bench()
    const node = peer(b, 'a', { slots: [1] })
    replicate(b, node)
    const follow = of(say(b, node, ping('ping'), { ip: '192.0.2.7' }), 'follow')[0]
    assert.deepEqual([follow?.primary, follow?.ip], [node.id, '192.0.2.7'])
  })

  it('takes an address from gossip only for a node it suspects (2.5)', () => {
    const b = bench()
    const teller = peer(b, 'a')
    const node = peer(b, 'x')
    const moved = [mention(b, node, { ip: '10.0.0.200' })]
    say(b, teller, ping('ping', moved))
    assert.equal(node.ip, '10.0.0.120')
    node.health = 'pfail'
    say(b, teller, ping('ping', moved))
    assert.equal(node.ip, '10.0.0.200')
    assert.equal(node.outbound, undefined)
  })

  it('gives an accepted link its node at the first message of a known sender; a newer one replaces it (2.6)', () => {
    const b = bench()
    const node = peer(b, 'a')
    const old = node.inbound!.id
    const fresh = accept(b, node.ip)
    const effects = hear(b, fresh, { header: header(node), body: ping('ping') })
    assert.equal(node.inbound?.id, fresh)
    assert.deepEqual(of(effects, 'drop'), [{ type: 'drop', link: old }])
  })

  it('answers where it was asked and speaks unasked on the link it dialled (2.7)', () => {
    const b = bench()
    const node = peer(b, 'a')
    assert.deepEqual(sent(say(b, node, ping('ping')), 'pong')[0]?.links, [node.inbound!.id])
    const publish = { type: 'publish', sharded: false, channel: Buffer.from('c'), message: Buffer.from('m') } as const
    assert.deepEqual(sent(give(b, publish), 'publish')[0]?.links, [node.outbound!.id])
  })

  it('leaves nodes in handshake and nodes without a link out of a broadcast (2.9)', () => {
    const b = bench()
    const node = peer(b, 'a')
    peer(b, 'x', { linked: false })
    shaking(b)
    const publish = { type: 'publish', sharded: false, channel: Buffer.from('c'), message: Buffer.from('m') } as const
    assert.deepEqual(sent(give(b, publish), 'publish')[0]?.links, [node.outbound!.id])
  })

  it('closes a link that holds more than the limit, counts that, and dials again (14)', () => {
    const b = bench('m', { linkSendbufLimit: 100 })
    const node = peer(b, 'a')
    const swollen = node.outbound!.id
    b.facts.bufferedOn = (link) => (link === swollen ? 101 : 0)
    const effects = tickAfter(b, 100)
    assert.deepEqual(of(effects, 'drop'), [{ type: 'drop', link: swollen }])
    assert.equal(b.c.stats.bufferLimitExceeded, 1)
    assert.notEqual(node.outbound?.id, swollen)
  })
})

describe('handshake: MEET (4)', () => {
  it('knows a met node by address, under a random id; meeting it twice is once (4.1)', () => {
    const b = bench()
    assert.equal(saved(meet(b)), 'save')
    meet(b)
    const [node, ...more] = handshakes(b)
    assert.equal(more.length, 0)
    assert.match(node!.id, /^[0-9a-f]{40}$/)
    assert.deepEqual([node!.ip, node!.port, node!.busPort, node!.meet], ['10.0.0.9', 7000, 17000, true])
  })

  it('says MEET first, and PING when it has to connect again (4.2)', () => {
    const b = bench()
    meet(b)
    assert.deepEqual(
      of(tickAfter(b, 100), 'connect').map(({ ip, busPort }) => [ip, busPort]),
      [['10.0.0.9', 17000]],
    )
    const node = handshakes(b)[0]!
    assert.equal(sent(give(b, { type: 'link-up', link: node.outbound!.id }), 'meet').length, 1)
    give(b, { type: 'link-down', link: node.outbound!.id })
    tickAfter(b, 100)
    assert.equal(sent(give(b, { type: 'link-up', link: node.outbound!.id }), 'ping').length, 1)
  })

  it('answers the MEET of a stranger and dials it in turn, without believing its gossip yet (4.3, 4.5)', () => {
    const b = bench()
    const gossip = [mention(b, id('z'))]
    const effects = hear(b, accept(b, '10.0.0.9'), { header: stranger(b, 'x'), body: ping('meet', gossip) })
    assert.equal(sent(effects, 'pong').length, 1)
    const [node] = handshakes(b)
    assert.deepEqual([node?.ip, node?.port, node?.meet], ['10.0.0.9', 7000, false])
    assert.equal(b.c.nodes.has(id('z')), false)
    assert.equal(of(tickAfter(b, 100), 'connect')[0]?.ip, '10.0.0.9')
    assert.equal(sent(give(b, { type: 'link-up', link: node!.outbound!.id }), 'ping').length, 1)
  })

  it('answers the PING of a stranger and does not add it (4.4)', () => {
    const b = bench()
    const effects = hear(b, accept(b, '10.0.0.9'), { header: stranger(b, 'x'), body: ping('ping') })
    assert.equal(sent(effects, 'pong').length, 1)
    assert.equal(b.c.nodes.size, 1)
  })

  it('learns the id from the first answer on its link, and nothing else of that message (4.6)', () => {
    const b = bench()
    const node = shaking(b)
    const flags = NODE_FLAGS.replica | NODE_FLAGS.myself
    const effects = hear(b, node.outbound!.id, {
      header: stranger(b, 'x', { flags, configEpoch: 7 as typeof node.configEpoch }),
      body: ping('pong', [mention(b, id('z'))]),
    })
    assert.equal(b.c.nodes.get(id('x')), node)
    assert.deepEqual([node.handshake, node.role, node.configEpoch], [false, 'replica', 0])
    assert.equal(b.c.nodes.has(id('z')), false)
    assert.equal(saved(effects), 'save')
    assert.ok(of(effects, 'log').some(({ text }) => text === `Handshake with node ${id('x')} completed.`))
  })

  it('drops a handshake that ends at a node it knows, and notes where that node is now (4.6)', () => {
    const b = bench()
    const known = peer(b, 'x')
    const node = shaking(b)
    const link = node.outbound!.id
    const effects = hear(b, link, { header: header(known), body: ping('pong') })
    assert.equal(handshakes(b).length, 0)
    assert.equal(known.ip, '10.0.0.9')
    assert.ok(of(effects, 'drop').some((effect) => effect.link === link))
  })

  it('forgets the address of a node when somebody else answers there (4.7)', () => {
    const b = bench()
    const node = peer(b, 'a')
    const link = node.outbound!.id
    const effects = hear(b, link, { header: stranger(b, 'x'), body: ping('pong') })
    assert.deepEqual([node.noAddress, node.ip, node.port, node.busPort], [true, '', 0, 0])
    assert.deepEqual(of(effects, 'drop'), [{ type: 'drop', link }])
    assert.equal(saved(effects), 'save')
    assert.equal(of(tickAfter(b, 100), 'connect').length, 0)
  })

  it('gives up a handshake after the node timeout, and not before a second (4.8)', () => {
    const b = bench('m', { nodeTimeoutMs: 500 })
    meet(b)
    tickAfter(b, 1000)
    assert.equal(handshakes(b).length, 1)
    tickAfter(b, 1)
    assert.equal(handshakes(b).length, 0)
  })

  it('survives an invitation to itself', () => {
    const world = createWorld({ seed: 3, nodes: 1 })
    world.operate(0, { name: 'meet', ip: world.nodes[0]!.ip, port: 7000, busPort: 17000 })
    world.until(() => world.cluster(0).nodes.size === 2, 1000)
    world.until(() => world.cluster(0).nodes.size === 1, 3000)
    assert.equal(world.cluster(0).links.size, 0)
  })

  it('takes two nodes less than half a second, and then their epochs differ (4.9)', () => {
    const world = createWorld({ seed: 5, nodes: 2 })
    world.operate(0, { name: 'meet', ip: world.nodes[1]!.ip, port: 7000, busPort: 17000 })
    world.until(() => Boolean(world.row(0, 1)?.outbound && world.row(1, 0)?.outbound), 500)
    world.until(() => world.cluster(0).myself.configEpoch !== world.cluster(1).myself.configEpoch, 2000)
  })

  it('makes six nodes that one of them met know each other', () => {
    const world = createWorld({ seed: 7, nodes: 6 })
    world.meetAll()
    for (const { cluster } of world.nodes) assert.equal(cluster.nodes.size, 6)
  })
})

describe('handshake: forgetting (13)', () => {
  it('does not let gossip bring a forgotten node back for the time of the blacklist', () => {
    const b = bench()
    const teller = peer(b, 'a')
    peer(b, 'x', { slots: [5] })
    operate(b, { name: 'forget', id: id('x') })
    assert.equal(b.c.owners[5], undefined)
    say(b, teller, ping('ping', [mention(b, id('x'))]))
    assert.equal(b.c.nodes.has(id('x')), false)
    tickAfter(b, 60_000)
    say(b, teller, ping('ping', [mention(b, id('x'))]))
    assert.equal(b.c.nodes.has(id('x')), true)
  })

  it('lets a forgotten node in again by a MEET of its own', () => {
    const b = bench()
    peer(b, 'x')
    operate(b, { name: 'forget', id: id('x') })
    hear(b, accept(b, '10.0.0.9'), { header: stranger(b, 'x'), body: ping('meet') })
    tickAfter(b, 100)
    const [node] = handshakes(b)
    hear(b, node!.outbound!.id, { header: stranger(b, 'x'), body: ping('pong') })
    assert.equal(b.c.nodes.get(id('x')), node)
    assert.equal(b.c.blacklist.size, 0)
  })

  it('tells those that read extensions whom it forgot, and obeys when told [72]', () => {
    const b = bench()
    const teller = peer(b, 'a')
    peer(b, 'x')
    say(b, teller, ping('ping', [], [{ type: 'forgotten-node', id: id('x'), ttlSec: 30 }]), EXT_DATA)
    assert.equal(b.c.nodes.has(id('x')), false)
    const pong = sent(say(b, teller, ping('ping'), EXT_DATA), 'pong')[0]!.message.body
    assert.ok(pong.type === 'pong' && pong.extensions.some((ext) => ext.type === 'forgotten-node' && ext.ttlSec === 30))
  })

  it('is not talked into forgetting itself or its primary [72]', () => {
    const b = bench()
    const primary = peer(b, 'a', { slots: [1] })
    replicate(b, primary)
    const told = ['a', 'm'].map((who) => ({ type: 'forgotten-node' as const, id: id(who), ttlSec: 30 }))
    say(b, primary, ping('ping', [], told), EXT_DATA)
    assert.equal(b.c.nodes.size, 2)
  })
})
