import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { NodesConfError, readNodesConf, slotLine, writeNodesConf } from '../../bus/nodes-conf.ts'
import { SIM_OPTIONS } from '../../bus/sim/node.ts'
import { slotRanges } from '../../bus/slots.ts'
import type { Cluster, ClusterOptions } from '../../bus/state.ts'
import { nodesText } from '../../bus/view.ts'
import { type Epoch, type Millis, nodeId, shardId } from '../../lib/base/brand.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { ask } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { prepareServer } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'
import { addReplica, addRow, id, makeCluster, makeFacts, NOW, ownSlots } from './hand-made.ts'

const [A, B, M, S, T] = [id('a'), id('b'), id('m'), id('s'), id('t')]
const VARS = 'vars currentEpoch 6 lastVoteEpoch 2\n'
const MYSELF = `${M} 10.0.0.1:7000@17000 myself,master - 0 0 3 connected`

function read(text: string, options: Partial<ClusterOptions> = {}): Cluster {
  const all = { ...SIM_OPTIONS, ...options }
  return readNodesConf(text, { options: all, facts: makeFacts(), random: seededRandom(2), now: NOW })
}

const rowOf = (c: Cluster, letter: string) => c.nodes.get(id(letter))!

describe('nodes.conf: what is read from it', () => {
  it('is remembered as no more than what it said, as far as slots of others are concerned', () => {
    const c = read(`${MYSELF} 0-5\n${A} 10.0.0.2:7001@17001 master - 0 0 2 connected 6-9\n${VARS}`)
    assert.deepEqual(slotRanges(c.recalled), [[6, 9]])
  })
})

describe('nodes.conf: what we write', () => {
  it('is one line for each node as in CLUSTER NODES, our variables, then the epochs', () => {
    const c = makeCluster()
    c.currentEpoch = 6 as Epoch
    c.lastVoteEpoch = 2 as Epoch
    c.myself.configEpoch = 3 as Epoch
    const a = addRow(c, 'a', { hostname: 'host-a', humanName: 'node, one', shard: shardId(S), health: 'fail' })
    addReplica(c, 'b', c.myself, {
      shard: c.myself.shard,
      health: 'pfail',
      pingSentAt: 5 as Millis,
      outbound: undefined,
    })
    ownSlots(c, c.myself, 0, 5)
    ownSlots(c, c.myself, 7)
    c.migratingTo.set(5, a)
    c.importingFrom.set(93, a)
    assert.equal(
      writeNodesConf(c),
      `${M} 10.0.0.1:7000@17000 myself,master - 0 0 3 connected 0-5 7 [5->-${A}] [93-<-${A}]\n` +
        `${A} 10.0.0.1:7001@17001,host-a master,fail - 0 0 0 connected\n` +
        `${B} 10.0.0.1:7002@17002 slave,fail? ${M} 5 0 3 disconnected\n` +
        `vars shards ${M}=${M},${A}=${S},${B}=${M} names ${A}=node%2C%20one\n` +
        'vars currentEpoch 6 lastVoteEpoch 2\n',
    )
  })

  it('leaves out nodes in handshake', () => {
    const c = makeCluster()
    addRow(c, 'a', { handshake: true })
    assert(!writeNodesConf(c).includes(A))
    assert(nodesText(c).includes(`${A} 10.0.0.1:7001@17001 handshake - 0 0 0 connected\n`))
  })

  it('never holds text that would add words or lines, whatever a peer announced', () => {
    const c = makeCluster()
    addRow(c, 'a', { hostname: `x\n${B} :0@0 myself`, ip: '1.2.3.4 myself,master' })
    assert.match(writeNodesConf(c), new RegExp(`^${A} :7001@17001 master - 0 0 0 connected$`, 'm'))
  })

  it('is refused when it was cut short anywhere', () => {
    const c = makeCluster()
    addReplica(c, 'a', c.myself)
    ownSlots(c, c.myself, 0, 100)
    const text = writeNodesConf(c)
    for (let length = 0; length < text.length; length++) {
      assert.throws(() => read(text.slice(0, length)), NodesConfError, `the first ${length} bytes`)
    }
  })

  it('reads back as it was', () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        const c = build(plan)
        const text = writeNodesConf(c)
        const again = read(text)
        assert.equal(writeNodesConf(again), text)
        assert.equal(again.myself.id, c.myself.id)
        for (const node of c.nodes.values()) {
          const copy = again.nodes.get(node.id)!
          assert.deepEqual(slotRanges(copy.slots), slotRanges(node.slots))
          for (const field of [
            'shard',
            'humanName',
            'hostname',
            'ip',
            'role',
            'health',
            'noFailover',
            'slotCount',
          ] as const) {
            assert.equal(copy[field], node[field], field)
          }
        }
      }),
    )
  })

  it('keeps our own shard id over a restart', () => {
    const c = makeCluster()
    assert.equal(read(writeNodesConf(c)).myself.shard, c.myself.shard)
  })
})

describe('nodes.conf: what we read', () => {
  it('the form of 7.0: roles, health, epochs, slots and marks', () => {
    const c = read(
      `${A} 10.0.0.2:7001@17001,host-a slave,fail?,nofailover ${M} 1700 1800 3 connected\n` +
        `${B} :0@0 master,fail,noaddr - 0 0 9 disconnected 8-9\n` +
        `${MYSELF} 0-5 7 [5->-${B}] [93-<-${B}]\n${VARS}`,
    )
    const [a, b] = [rowOf(c, 'a'), rowOf(c, 'b')]
    assert.equal(c.myself.id, M)
    assert.deepEqual(
      [a.role, a.primary, a.health, a.noFailover, a.hostname],
      ['replica', c.myself, 'pfail', true, 'host-a'],
    )
    assert.deepEqual([a.ip, a.port, a.busPort, a.pingSentAt, a.pongReceivedAt], ['10.0.0.2', 7001, 17001, NOW, NOW])
    assert.deepEqual([b.health, b.failedAt, b.noAddress, b.slotCount], ['fail', 0, true, 2])
    assert.deepEqual([c.owners[7], c.owners[6], c.owners[9]], [c.myself, undefined, b])
    assert.deepEqual([c.migratingTo.get(5), c.importingFrom.get(93), c.size], [b, b, 2])
    assert.deepEqual([c.myself.configEpoch, a.configEpoch, c.lastVoteEpoch], [3, 0, 2])
  })

  it('currentEpoch is raised to the highest config epoch found', () => {
    assert.equal(read(`${B} 10.0.0.2:7001@17001 master - 0 0 9 connected\n${MYSELF}\n${VARS}`).currentEpoch, 9)
  })

  it('a line of before 4.0, without the bus port: it is 10000 above', () => {
    assert.equal(rowOf(read(`${A} 10.0.0.2:7001 master - 0 0 1 connected\n${MYSELF}\n${VARS}`), 'a').busPort, 17001)
  })

  it('an IPv6 address is bare: the port is after the last colon', () => {
    const a = rowOf(read(`${A} fe80::1:2:7001@17001 master - 0 0 1 connected\n${MYSELF}\n${VARS}`), 'a')
    assert.deepEqual([a.ip, a.port], ['fe80::1:2', 7001])
  })

  it('the fields of 7.2 behind the hostname', () => {
    const c = read(
      `${A} 10.0.0.2:7001@17001,host-a,nodename=one,tls-port=7101,shard-id=${S} master - 0 0 1 connected\n` +
        `${M} 10.0.0.1:7000@17000,,tls-port=0,shard-id=${T} myself,master - 0 0 3 connected\n${VARS}`,
    )
    const a = rowOf(c, 'a')
    assert.deepEqual([a.shard, a.humanName, a.hostname, a.port, a.otherPort], [S, 'one', 'host-a', 7001, 7101])
    assert.deepEqual([c.myself.shard, c.myself.hostname], [T, ''])
  })

  it('in a TLS cluster the port of such a line is the plain one, and ours the TLS port', () => {
    const text = `${M} 10.0.0.1:7000@17000,,tls-port=7100,shard-id=${T} myself,master - 0 0 3 connected\n${VARS}`
    const { myself } = read(text, { tlsCluster: true })
    assert.deepEqual([myself.port, myself.otherPort], [7100, 7000])
  })

  it('the fields and words of Valkey 8', () => {
    const c = read(
      `${A} 10.0.0.2:7001@17001,,client-ipv6=::1,client-ipv4=1.2.3.4,tls-port=0,shard-id=${S} replica ${M} 0 0 3 connected\n` +
        `${M} 10.0.0.1:7000@17000,,tls-port=0,shard-id=${S} myself,primary - 0 0 3 connected\n${VARS}`,
    )
    const a = rowOf(c, 'a')
    assert.deepEqual([a.role, a.primary, a.clientIpv4, a.clientIpv6], ['replica', c.myself, '1.2.3.4', '::1'])
  })

  it('a replica nobody gave a shard belongs to its primary`s', () => {
    const c = read(`${A} 10.0.0.2:7001@17001 slave ${M} 0 0 3 connected\n${MYSELF}\n${VARS}`)
    assert.equal(rowOf(c, 'a').shard, c.myself.shard)
  })

  it('a primary without a line of its own becomes a row', () => {
    const c = read(`${A} 10.0.0.2:7001@17001 slave ${B} 0 0 3 connected\n${MYSELF}\n${VARS}`)
    assert.deepEqual([rowOf(c, 'a').primary, rowOf(c, 'b').noAddress], [rowOf(c, 'b'), true])
  })

  it('blank lines, unknown variables, CRLF and quoted words', () => {
    const c = read(
      `\n"${M}" '10.0.0.1:7000@17000' myself,"master" - 0 0 3 connected\r\n\nvars moon 1 ${VARS.slice(5)}\n\n`,
    )
    assert.equal(c.currentEpoch, 6)
  })

  it('slot lines behind the rest: the last one of a slot says all, and then the file is to be written without', () => {
    const c = read(
      `${MYSELF} 0-5 [0->-${A}] [9-<-${A}]\n${A} 10.0.0.2:7001@17001 master - 0 0 2 connected 6-9\n${VARS}`,
    )
    assert.equal(c.unsaved, 'no')
    const before = writeNodesConf(c)
    const lines = [
      ...[`vars slot 0,${A},-,-`, `vars slot 1,${M},${A},-`, `vars slot 1,${M},-,-`, `vars slot 2,-,-,-`],
      ...[`vars slot 9,${M},-,-`, `vars slot 6,${A},-,${A}`, `vars slot 3,${B},-,- slot 4,${M},${A},-`],
    ]
    const after = read(`${before}${lines.join('\n')}\n`)
    assert.deepEqual(slotRanges(after.myself.slots).join(' '), '1,1 4,5 9,9')
    assert.deepEqual(slotRanges(rowOf(after, 'a').slots).join(' '), '0,0 6,8')
    assert.deepEqual(slotRanges(rowOf(after, 'b').slots).join(' '), '3,3')
    assert.deepEqual(
      [after.owners[2], [...after.migratingTo.keys()], [...after.importingFrom.keys()]],
      [undefined, [4], [6]],
    )
    assert.deepEqual([after.unsaved, after.lostSlots.size], ['later', 0])
    // What is written of that says the same.
    const again = read(writeNodesConf(c) + [0, 1, 2, 3, 4, 6, 9].map((s) => slotLine(after, s)).join(''))
    assert.equal(writeNodesConf(again), writeNodesConf(after))
  })

  it('noflags is no flag', () => {
    assert.equal(
      rowOf(read(`${A} 10.0.0.2:7001@17001 noflags - 0 0 0 connected\n${MYSELF}\n${VARS}`), 'a').role,
      'primary',
    )
  })

  const damaged: Readonly<Record<string, readonly [text: string, line: number, reason: RegExp]>> = {
    'no line is flagged myself': [`${A} 10.0.0.2:7001@17001 master - 0 0 1 connected\n${VARS}`, 2, /myself/],
    'two lines are': [`${MYSELF}\n${A} 1.1.1.1:1@2 myself,master - 0 0 1 connected\n${VARS}`, 2, /second/],
    'a node has two lines': [`${MYSELF}\n${MYSELF}\n${VARS}`, 2, /already/],
    'a flag is unknown': [`${MYSELF}\n${A} 1.1.1.1:1@2 master,king - 0 0 1 connected\n${VARS}`, 2, /king/],
    'a line has too few words': [`${MYSELF}\n${A} 1.1.1.1:1@2 master -\n${VARS}`, 2, /words/],
    'an id is none': [`${MYSELF}\n${A.toUpperCase()} 1.1.1.1:1@2 master - 0 0 1 connected\n${VARS}`, 2, /node id/],
    'an address has no port': [`${MYSELF}\n${A} 1.1.1.1 master - 0 0 1 connected\n${VARS}`, 2, /address/],
    'a port is too large': [`${MYSELF}\n${A} 1.1.1.1:70000@2 master - 0 0 1 connected\n${VARS}`, 2, /port/],
    'an epoch is no number': [`${MYSELF}\n${A} 1.1.1.1:1@2 master - 0 0 one connected\n${VARS}`, 2, /config epoch/],
    'the link state is none': [`${MYSELF}\n${A} 1.1.1.1:1@2 master - 0 0 1 maybe\n${VARS}`, 2, /link/],
    'a slot is out of range': [`${MYSELF} 16384\n${VARS}`, 1, /out of range/],
    'a range is backwards': [`${MYSELF} 9-8\n${VARS}`, 1, /backwards/],
    'a slot is owned twice': [`${MYSELF} 5\n${A} 1.1.1.1:1@2 master - 0 0 1 connected 0-9\n${VARS}`, 2, /twice/],
    'a mark is broken': [`${MYSELF} [5->-${A.slice(1)}]\n${VARS}`, 1, /node id/],
    'a mark is on another line': [
      `${MYSELF}\n${A} 1.1.1.1:1@2 master - 0 0 1 connected [5->-${B}]\n${VARS}`,
      2,
      /another/,
    ],
    'a master replicates': [`${MYSELF}\n${A} 1.1.1.1:1@2 master ${M} 0 0 1 connected\n${VARS}`, 2, /master/],
    'a node replicates itself': [`${MYSELF}\n${A} 1.1.1.1:1@2 slave ${A} 0 0 1 connected\n${VARS}`, 2, /itself/],
    'a field is unknown': [`${M} :0@0,,moon=1 myself,master - 0 0 0 connected\n${VARS}`, 1, /moon/],
    'a field has a forbidden character': [
      `${M} :0@0,,nodename=a? myself,master - 0 0 0 connected\n${VARS}`,
      1,
      /character/,
    ],
    'a replica is in another shard than its master': [
      `${A} 1.1.1.1:1@2,,shard-id=${S} slave ${M} 0 0 3 connected\n` +
        `${M} :0@0,,shard-id=${T} myself,master - 0 0 0 connected\n${VARS}`,
      1,
      /shard/,
    ],
    'a quote is not closed': [`${MYSELF} "\n${VARS}`, 1, /quote/],
    'a variable has no value': [`${MYSELF}\nvars currentEpoch\n`, 2, /value/],
    'an epoch variable is no number': [`${MYSELF}\nvars currentEpoch x lastVoteEpoch 1\n`, 2, /epoch/],
    'the epochs are missing': [`${MYSELF}\n`, 1, /cut short/],
    'the last line has no end': [`${MYSELF}\n${VARS.trim()}`, 2, /cut short/],
    'a shard id of ours is none': [`${MYSELF}\nvars shards ${M}=short\n${VARS}`, 2, /shard id/],
    'a slot line has too few words': [`${MYSELF}\n${VARS}vars slot 5,${M},-\n`, 3, /whose/],
    'a slot line is of no slot': [`${MYSELF}\n${VARS}vars slot 16384,${M},-,-\n`, 3, /whose/],
    'a slot line names no node': [`${MYSELF}\n${VARS}vars slot 5,-,-,me\n`, 3, /node id/],
    'a pair of ours is badly encoded': [`${MYSELF}\nvars names ${M}=%zz\n${VARS}`, 2, /encoded/],
  }
  for (const [what, [text, line, reason]] of Object.entries(damaged)) {
    it(`is refused with its line when ${what}`, () => {
      assert.throws(
        () => read(text),
        (error) => error instanceof NodesConfError && error.line === line && reason.test(error.reason),
      )
    })
  }

  it('never fails in any other way', () => {
    const text = `${A} 10.0.0.2:7001@17001,h,shard-id=${S} slave ${M} 1 2 3 connected\n${MYSELF} 0-5 [5->-${A}]\nvars names ${M}=x\n${VARS}vars slot 5,${A},-,-\n`
    const edit = fc.record({ at: fc.nat(text.length), cut: fc.nat(3), put: fc.string({ maxLength: 3 }) })
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        const broken = edits.reduce((t, { at, cut, put }) => t.slice(0, at) + put + t.slice(at + cut), text)
        try {
          read(broken)
        } catch (error) {
          assert(error instanceof NodesConfError, String(error))
        }
      }),
    )
  })

  it('nodes.conf.example: three primaries with a replica each', () => {
    const c = read(readFileSync('nodes.conf.example', 'latin1'))
    assert.deepEqual([c.nodes.size, c.size, c.owners.includes(undefined)], [6, 3, false])
    assert([...c.nodes.values()].every((node) => node.role === 'replica' || node.replicas.length === 1))
  })
})

scenarios('nodes.conf changes hands', ['redis'], () => {
  it('redis-server starts from a file of ours, and we read the one it writes', async () => {
    const server = await prepareServer({ kind: 'redis', conf: { 'cluster-enabled': 'yes' } })
    const file = join(server.dir, 'nodes.conf')
    const c = makeCluster()
    Object.assign(c.myself, { ip: '127.0.0.1', port: server.port, busPort: server.port + 10000, configEpoch: 3 })
    const a = addRow(c, 'a', { ip: '127.0.0.1', hostname: 'host-a', humanName: 'the "first"', outbound: undefined })
    addReplica(c, 'b', c.myself, { ip: '127.0.0.1', health: 'fail', outbound: undefined })
    ownSlots(c, c.myself, 0, 8000)
    ownSlots(c, a, 8001, 16383)
    c.migratingTo.set(7, a)
    c.currentEpoch = 5 as Epoch
    // A node that was killed leaves slot lines for a moment, if only in what it adopts itself; they are no trouble.
    writeFileSync(file, writeNodesConf(c) + slotLine(c, 7))

    await server.start()
    assert.equal(await ask(server.port, 'CLUSTER', 'MYID'), M)
    const lines = String(await ask(server.port, 'CLUSTER', 'NODES')).split('\n')
    assert(
      lines.includes(
        `${M} 127.0.0.1:${server.port}@${server.port + 10000} myself,master - 0 0 3 connected 0-8000 [7->-${A}]`,
      ),
    )
    assert(lines.some((line) => line.startsWith(`${A} 127.0.0.1:7001@17001,host-a master - `)))
    assert(lines.some((line) => line.startsWith(`${B} 127.0.0.1:7002@17002 slave,fail ${M} `)))

    assert.equal(await ask(server.port, 'CLUSTER', 'SAVECONFIG'), 'OK')
    await eventually(() => !readFileSync(file, 'latin1').includes('names'), {
      what: 'the file is rewritten',
      withinMs: 5000,
    })
    const theirs = read(readFileSync(file, 'latin1'))
    assert.deepEqual([theirs.myself.id, theirs.myself.slotCount, theirs.currentEpoch], [M, 8001, 5])
    assert.deepEqual([theirs.migratingTo.get(7), theirs.nodes.size], [rowOf(theirs, 'a'), 3])
  })
})

const text = (chars: string) => fc.string({ unit: fc.constantFrom(...chars), maxLength: 20 })
const anId = fc.string({ unit: fc.constantFrom(...'0123456789abcdefz'), minLength: 40, maxLength: 40 })
const aNode = fc.record({
  id: anId,
  shard: anId,
  ip: fc.constantFrom('', '10.1.2.3', 'fe80::7:8'),
  port: fc.nat(65535),
  busPort: fc.nat(65535),
  hostname: text('abc-.0'),
  humanName: fc.string(),
  health: fc.constantFrom('ok', 'pfail', 'fail'),
  noAddress: fc.boolean(),
  noFailover: fc.boolean(),
  asked: fc.boolean(),
  heard: fc.boolean(),
  configEpoch: fc.nat(),
  /** The position of its primary, if it is a replica of one. */
  replicates: fc.option(fc.nat(8)),
  slots: fc.uniqueArray(fc.nat(16383), { maxLength: 12 }),
  link: fc.boolean(),
})

const anyPlan = fc.record({
  nodes: fc.uniqueArray(aNode, { minLength: 1, maxLength: 8, selector: (node) => node.id }),
  lastVoteEpoch: fc.nat(),
  behind: fc.nat(5),
  marks: fc.array(fc.record({ slot: fc.nat(16383), node: fc.nat(7), migrating: fc.boolean() }), { maxLength: 5 }),
})
type Plan = typeof anyPlan extends fc.Arbitrary<infer T> ? T : never

/** A cluster a node could have to save: slots of primaries only, marks of ours, replicas of primaries. */
function build({ nodes, lastVoteEpoch, behind, marks }: Plan): Cluster {
  const c = makeCluster()
  const rows = nodes.map(({ id: name, shard, asked, heard, replicates, slots, link, configEpoch, ...fields }, i) => {
    const row = i === 0 ? c.myself : addRow(c, 'a')
    c.nodes.delete(row.id)
    Object.assign(row, fields, { id: nodeId(name), shard: shardId(shard) })
    row.configEpoch = (replicates === null ? configEpoch : 0) as Epoch
    row.pingSentAt = asked ? NOW : (0 as Millis)
    row.pongReceivedAt = heard ? NOW : (0 as Millis)
    // A link is not kept: only we are always connected.
    if (!link || i > 0) row.outbound = undefined
    c.nodes.set(row.id, row)
    return row
  })
  for (const [i, row] of rows.entries()) {
    const { replicates, slots } = nodes[i]!
    const primary = rows.find((_, p) => p === replicates && nodes[p]!.replicates === null)
    if (replicates === null) for (const s of slots) ownSlots(c, row, s)
    else row.role = 'replica'
    if (primary && primary !== row) {
      primary.replicas.push(row)
      row.primary = primary
    }
  }
  for (const { slot, node, migrating } of marks) {
    const other = rows[node % rows.length]!
    if (!c.migratingTo.get(slot) && !c.importingFrom.get(slot))
      (migrating ? c.migratingTo : c.importingFrom).set(slot, other)
  }
  c.currentEpoch = (Math.max(...rows.map((row) => row.configEpoch)) + behind) as Epoch
  c.lastVoteEpoch = lastVoteEpoch as Epoch
  return c
}
