/** The CLUSTER family, byte for byte: the same requests go to a node of redis-server and to one of ours. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ask, type Client, connect } from '../support/client.ts'
import { type Cluster, keyIn, myId, myself, startCluster, startNodes } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import type { Server } from '../support/process.ts'
import { type Argument, encode } from '../support/resp.ts'
import { scenarios } from '../support/suite.ts'

const GHOST = 'f'.repeat(40)

/** Every subcommand with too few and too many words, and with words that are wrong. */
const WRONG: readonly (readonly Argument[])[] = [
  ...'addslots addslotsrange bumpepoch count-failure-reports countkeysinslot delslots delslotsrange failover flushslots forget'
    .split(' ')
    .map((name) => ['CLUSTER', name] as const)
    .filter(([, name]) => !['bumpepoch', 'failover', 'flushslots'].includes(name)),
  ...'getkeysinslot keyslot meet replicas replicate set-config-epoch setslot slaves'
    .split(' ')
    .map((name) => ['CLUSTER', name]),
  ...'info links myid nodes shards slots flushslots bumpepoch saveconfig help'
    .split(' ')
    .map((name) => ['CLUSTER', name, 'x']),
  ['CLUSTER'],
  ['CLUSTER', 'nosuch'],
  ['CLUSTER', 'FORGET', 'a', 'b'],
  ['CLUSTER', 'ADDSLOTS', 'x'],
  ['CLUSTER', 'ADDSLOTS', '16384'],
  ['CLUSTER', 'ADDSLOTS', '-1'],
  ['CLUSTER', 'ADDSLOTS', '0'],
  ['CLUSTER', 'ADDSLOTS', '16383', '16383'],
  ['CLUSTER', 'DELSLOTS', '16383'],
  ['CLUSTER', 'DELSLOTS', '0', '0'],
  ['CLUSTER', 'ADDSLOTSRANGE', '1', '2', '3'],
  ['CLUSTER', 'ADDSLOTSRANGE', '5', '2'],
  ['CLUSTER', 'ADDSLOTSRANGE', '0', '99999'],
  ['CLUSTER', 'DELSLOTSRANGE', '16000', '16001'],
  ['CLUSTER', 'COUNTKEYSINSLOT', 'x'],
  ['CLUSTER', 'COUNTKEYSINSLOT', '16384'],
  ['CLUSTER', 'COUNT-FAILURE-REPORTS', 'zz'],
  ['CLUSTER', 'FAILOVER'],
  ['CLUSTER', 'FAILOVER', 'maybe'],
  ['CLUSTER', 'FORGET', 'zz'],
  ['CLUSTER', 'FORGET', GHOST],
  ['CLUSTER', 'GETKEYSINSLOT', '0', 'x'],
  ['CLUSTER', 'GETKEYSINSLOT', '16384', '1'],
  ['CLUSTER', 'GETKEYSINSLOT', '0', '-1'],
  ['CLUSTER', 'MEET', 'nowhere.example', '7000'],
  ['CLUSTER', 'MEET', '127.0.0.1', 'x'],
  ['CLUSTER', 'MEET', '127.0.0.1', '99999'],
  ['CLUSTER', 'MEET', '127.0.0.1', '60000'],
  ['CLUSTER', 'MEET', '127.0.0.1', '7000', 'x'],
  ['CLUSTER', 'MEET', '127.0.0.1', '7000', '17000', 'y'],
  ['CLUSTER', 'REPLICAS', 'zz'],
  ['CLUSTER', 'REPLICATE', 'zz'],
  ['CLUSTER', 'RESET', 'gently'],
  ['CLUSTER', 'SET-CONFIG-EPOCH', '-1'],
  ['CLUSTER', 'SET-CONFIG-EPOCH', 'x'],
  ['CLUSTER', 'SETSLOT', '0', 'STABLE', 'x'],
  ['CLUSTER', 'SETSLOT', 'x', 'STABLE'],
  ['CLUSTER', 'SETSLOT', '0', 'SIDEWAYS', 'x'],
  ['CLUSTER', 'SETSLOT', '16000', 'MIGRATING', GHOST],
  ['CLUSTER', 'SETSLOT', '0', 'MIGRATING', GHOST],
  ['CLUSTER', 'SETSLOT', '0', 'IMPORTING', GHOST],
  ['CLUSTER', 'SETSLOT', '16000', 'IMPORTING', GHOST],
  ['CLUSTER', 'SETSLOT', '0', 'NODE', GHOST],
  ['CLUSTER', 'SETSLOT', '0', 'NODE', 'zz'],
  ['ASKING', 'x'],
  ['READONLY', 'x'],
]

/** What changes the table of a node that stands alone, and what shows it. `@me` is its own id. */
const ALONE: readonly (readonly Argument[])[] = [
  ['CLUSTER', 'SLOTS'],
  ['CLUSTER', 'SHARDS'],
  ['CLUSTER', 'SET-CONFIG-EPOCH', '7'],
  ['CLUSTER', 'SET-CONFIG-EPOCH', '8'],
  ['CLUSTER', 'ADDSLOTSRANGE', '0', '5', '7', '9'],
  ['CLUSTER', 'ADDSLOTS', '100'],
  ['CLUSTER', 'ADDSLOTS', '101', '3'],
  ['CLUSTER', 'SLOTS'],
  ['CLUSTER', 'SHARDS'],
  ['CLUSTER', 'SETSLOT', '3', 'IMPORTING', '@me'],
  ['CLUSTER', 'SETSLOT', '200', 'IMPORTING', '@me'],
  ['CLUSTER', 'SETSLOT', '3', 'MIGRATING', '@me'],
  ['CLUSTER', 'SETSLOT', '3', 'STABLE'],
  ['CLUSTER', 'SETSLOT', '200', 'STABLE'],
  ['CLUSTER', 'SETSLOT', '3', 'NODE', '@me'],
  ['CLUSTER', 'REPLICATE', '@me'],
  ['CLUSTER', 'FORGET', '@me'],
  ['CLUSTER', 'REPLICAS', '@me'],
  ['CLUSTER', 'COUNT-FAILURE-REPORTS', '@me'],
  ['CLUSTER', 'KEYSLOT', '{user}.x'],
  ['CLUSTER', 'BUMPEPOCH'],
  ['CLUSTER', 'DELSLOTSRANGE', '0', '3'],
  ['CLUSTER', 'SAVECONFIG'],
  ['CLUSTER', 'LINKS'],
  ['CLUSTER', 'FLUSHSLOTS'],
  ['CLUSTER', 'SLOTS'],
  ['CLUSTER', 'RESET', 'SOFT'],
  ['CLUSTER', 'SET-CONFIG-EPOCH', '9'],
  ['CLUSTER', 'RESET', 'HARD'],
  ['CLUSTER', 'SET-CONFIG-EPOCH', '9'],
]

scenarios('the CLUSTER family, reply by reply', ['rookery'], (kinds) => {
  let nodes: Server[]

  before(async () => {
    nodes = await Promise.all([startNodes({ kinds: ['redis'] }, 1), startNodes({ kinds }, 1)]).then((pairs) =>
      pairs.flat(),
    )
  })

  /** Sends the same requests to both, on connections of this protocol, and compares what they answer. */
  const compare = async (requests: readonly (readonly Argument[])[], resp: 2 | 3): Promise<void> => {
    const [expected, actual] = await Promise.all(nodes.map((node) => answers(node, requests, resp)))
    assert.deepEqual(actual, expected)
  }

  for (const resp of [2, 3] as const) {
    it(`refuses what is wrong in the same words (RESP${resp})`, () => compare(WRONG, resp))
    it(`changes and shows a table of one alike (RESP${resp})`, () => compare(ALONE, resp))
  }

  it('prints CLUSTER INFO and CLUSTER NODES with the same fields', async () => {
    const [expected, actual] = await Promise.all(
      nodes.map(async (node) => {
        const client = await connect(node.port)
        const info = String(await client.call('CLUSTER', 'INFO'))
        const line = String(await client.call('CLUSTER', 'NODES'))
        return [info.replace(/:[^\r]*/g, ''), line.replace(/[0-9a-f]{40}/g, 'id').replace(/:\d+@\d+/, ':p@b')]
      }),
    )
    assert.deepEqual(actual, expected)
  })
})

scenarios('CLUSTER SLOTS, SHARDS and NODES of a whole cluster', ['rookery'], (kinds) => {
  let clusters: Cluster[]

  before(async () => {
    const shape = { replicas: [1, 0, 1], nodeTimeoutMs: 3000 }
    clusters = await Promise.all([startCluster({ kinds: ['redis'], ...shape }), startCluster({ kinds, ...shape })])
    // A replica at offset 0 has no data yet as far as the others know, and is left out.
    for (const cluster of clusters) {
      await Promise.all([0, 1, 2].map((i) => ask(cluster.primaries[i]!.port, 'SET', keyIn([0, 8000, 16000][i]!), 'v')))
      await eventually(async () => (await structure(cluster, 'SLOTS', 2)).split('<id').length === 6, {
        withinMs: 15_000,
        what: 'every replica has told its offset',
      })
    }
  })

  for (const resp of [2, 3] as const)
    for (const view of ['SLOTS', 'SHARDS'])
      it(`shows the same CLUSTER ${view} (RESP${resp})`, async () => {
        const [expected, actual] = await Promise.all(clusters.map((cluster) => structure(cluster, view, resp)))
        assert.equal(actual, expected)
      })

  it('refuses on a replica what only a primary may do', async () => {
    const requests = [
      ['CLUSTER', 'SETSLOT', '0', 'STABLE'],
      ['CLUSTER', 'REPLICAS', '@me'],
      ['CLUSTER', 'FAILOVER', 'maybe'],
      ['CLUSTER', 'FORGET', '@primary'],
      ['CLUSTER', 'RESET', 'gently'],
    ]
    const [expected, actual] = await Promise.all(
      clusters.map(async (cluster) => {
        const primary = await myId(cluster.primaries[0]!)
        const named = requests.map((words) => words.map((word) => (word === '@primary' ? primary : word)))
        return answers(cluster.replicas[0]![0]!, named, 2)
      }),
    )
    assert.deepEqual(actual, expected)
  })
})

scenarios('nodes.conf', ['rookery'], (kinds) => {
  it('itself is brought up to date though it keeps changing, as in a reshard', async () => {
    const [node] = await startNodes({ kinds }, 1)
    const client = await connect(node!.port)
    await client.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16383)
    let slot = 0
    const isTold = async (): Promise<boolean> => {
      await client.call('CLUSTER', 'DELSLOTS', slot++)
      return readFileSync(join(node!.dir, 'nodes.conf'), 'latin1').includes('-16383')
    }
    await eventually(isTold, { what: 'the file has the slots', withinMs: 10_000 })
  })

  describe('of a node that is killed has the mark of a slot on its way', () => {
    for (const [after, argv, expected] of [
      ['keys have gone', ['MIGRATE', '127.0.0.1', '@target', keyIn(0), 0, 5000], 'OK'],
      ['a client was sent after them', ['GET', keyIn(0, 1)], 'ASK 0 127.0.0.1:@target'],
    ] as const) {
      it(`once ${after}`, async () => {
        const { primaries } = await startCluster({ kinds, primaries: 2 })
        const [source, target] = primaries as [Server, Server]
        const named = (word: Argument): Argument =>
          typeof word === 'string' ? word.replace('@target', String(target.port)) : word
        const id = await myId(target)
        const client = await connect(source.port)
        await client.call('SET', keyIn(0), 'v')
        await ask(target.port, 'CLUSTER', 'SETSLOT', 0, 'IMPORTING', await myId(source))
        await client.call('CLUSTER', 'SETSLOT', 0, 'MIGRATING', id)
        assert.equal(await client.outcome(...argv.map(named)), named(expected))
        await source.kill()
        await source.start()
        assert.deepEqual((await myself(source)).open, [`[0->-${id}]`])
      })
    }
  })

  it('of a node that is killed has each slot it was given, and each that stays with it', async () => {
    const { primaries } = await startCluster({ kinds, primaries: 2 })
    const [target, source] = primaries as [Server, Server]
    const [id, from] = [await myId(target), await myId(source)]
    const theirs = [16383, 16382, 16381]
    const client = await connect(target.port)
    for (const slot of theirs) {
      await client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from)
      await client.call('CLUSTER', 'SETSLOT', slot, 'NODE', id)
    }
    for (const slot of [5, 6]) await client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', from)
    for (const slot of [6, 5]) await client.call('CLUSTER', 'SETSLOT', slot, 'STABLE')
    await target.kill()
    await target.start()
    const { open, slots } = await myself(target)
    assert.deepEqual(open, [])
    assert.deepEqual(slots.join(' '), '0,8191 16381,16383')
    // Soon the file says it in the way of redis-server again.
    const text = (): string => readFileSync(join(target.dir, 'nodes.conf'), 'utf8')
    await eventually(() => !text().includes('vars slot'), { what: 'nodes.conf without slot lines', withinMs: 5000 })
  })
})

async function opened(node: Server, resp: 2 | 3): Promise<Client> {
  const client = await connect(node.port)
  if (resp === 3) await client.call('HELLO', '3')
  return client
}

/** The raw replies of a node, with what differs between any two nodes masked. */
async function answers(node: Server, requests: readonly (readonly Argument[])[], resp: 2 | 3): Promise<string[]> {
  const client = await opened(node, resp)
  const id = await myId(node)
  const replies: string[] = []
  for (const words of requests) {
    const reply = await client.raw(encode(words.map((word) => (word === '@me' ? id : word))))
    replies.push(masked(`${words.join(' ')}: ${reply.toString('latin1')}`, [node]))
  }
  client.close()
  return replies
}

/** Ports stand behind a host or the word port; a slot or an argument may happen to be the same number. */
const PORT = /(127\.0\.0\.1\r\n|\$0\r\n\r\n|port\r\n):(\d+)/g

const masked = (text: string, nodes: readonly Server[]): string =>
  text
    .replace(PORT, (_, before, port) => `${before}:<port ${nodes.findIndex((node) => node.port === Number(port))}>`)
    .replace(/[0-9a-f]{40}/g, '<id>')

/** A view with each node's id and port named by its place, offsets masked. */
async function structure(cluster: Cluster, view: string, resp: 2 | 3): Promise<string> {
  const client = await opened(cluster.primaries[0]!, resp)
  const ids = await Promise.all(cluster.nodes.map(myId))
  let text = (await client.raw(encode(['CLUSTER', view]))).toString('latin1')
  ids.forEach((id, i) => {
    text = text.replaceAll(id, `<id ${i}>`)
  })
  client.close()
  const plain = masked(text, cluster.nodes).replace(/(replication-offset\r\n):\d+/g, '$1:n')
  // Shards come in the order of a hash table: each starts with its slots.
  return view === 'SLOTS'
    ? plain
    : plain
        .split(/(?=[*%]\d+\r\n\$5\r\nslots)/)
        .slice(1)
        .sort()
        .join('')
}
