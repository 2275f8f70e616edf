/** Redirections, byte for byte: the same script is played to a cluster of redis-server and to ours, and every reply must be the same. */
import assert from 'node:assert/strict'
import { type Client, connect } from '../support/client.ts'
import { type Cluster, keyIn, myId, startCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { type Argument, encode } from '../support/resp.ts'
import { scenarios } from '../support/suite.ts'

/** Slots of the three primaries: 0 owns 0..5460, 1 up to 10922, 2 the rest; node 3 is the replica of 0. */
const [FIRST, SECOND, THIRD] = [keyIn(0), keyIn(8000), keyIn(16000)]
/** A slot of node 0 that is opened, and one that is given away; nothing else lives in them. */
const OPEN = 100
const GIVEN = 200

scenarios('redirection, reply by reply', ['rookery'], (kinds) => {
  let reference: Cluster
  let candidate: Cluster

  before(async () => {
    const shape = { replicas: [1, 0, 0], nodeTimeoutMs: 3000 }
    ;[reference, candidate] = await Promise.all([
      startCluster({ kinds: ['redis'], ...shape }),
      startCluster({ kinds, ...shape }),
    ])
  })

  /** Plays the script to both clusters at once and compares what was recorded. */
  const same = (title: string, script: (stage: Stage) => Promise<void>): void => {
    it(title, async () => {
      const [expected, actual] = await Promise.all([play(reference, script), play(candidate, script)])
      assert.deepEqual(actual, expected)
    })
  }

  same('MOVED answers every keyed command at the wrong node', async ({ say }) => {
    await say('a0', 'SET', FIRST, 'v')
    for (const argv of [
      ['GET', SECOND],
      ['SET', SECOND, 'v'],
      ['DEL', SECOND],
      ['MGET', keyIn(8000, 1), keyIn(8000, 2)],
      ['WATCH', THIRD],
    ]) {
      await say('a0', ...argv)
      await say('b3', ...argv)
    }
    await say('a0', 'OBJECT', 'ENCODING', SECOND)
    await say('a0', 'SSUBSCRIBE', SECOND)
    await say('a0', 'SPUBLISH', SECOND, 'x')
    await say('a0', 'BLPOP', SECOND, 1)
    await say('a0', 'SUNIONSTORE', SECOND, keyIn(8000, 3))
    await say('a0', 'XREAD', 'COUNT', 1, 'STREAMS', SECOND, '0')
  })

  same('keyless commands run anywhere', async ({ say }) => {
    for (const node of [0, 3]) {
      for (const argv of [['PING'], ['ECHO', 'x'], ['DBSIZE'], ['CLUSTER', 'KEYSLOT', 'foo'], ['SELECT', 0]])
        await say(`a${node}`, ...argv)
    }
  })

  same('CROSSSLOT answers keys of several slots', async ({ say }) => {
    await say('a0', 'MGET', FIRST, SECOND)
    await say('a0', 'MSET', FIRST, '1', keyIn(1), '2')
    await say('a0', 'DEL', SECOND, THIRD)
    await say('a0', 'SSUBSCRIBE', FIRST, SECOND)
    await say('a0', 'RENAME', FIRST, keyIn(1))
    await say('a0', 'MGET', FIRST, keyIn(0, 1))
  })

  same('what cluster mode does not allow is said so', async ({ say }) => {
    for (const argv of [
      ['SELECT', 1],
      ['SWAPDB', 0, 1],
      ['REPLICAOF', 'NO', 'ONE'],
      ['MOVE', FIRST, 1],
      ['COPY', FIRST, keyIn(0, 1), 'DB', 1],
    ]) {
      await say('a0', ...argv)
    }
  })

  same('a replica reads for a READONLY client, and only for it', async ({ say, quiet }) => {
    await quiet('p0', 'SET', FIRST, 'v')
    await quiet('p0', 'WAIT', 1, 5000)
    await say('a3', 'GET', FIRST)
    await say('a3', 'READONLY')
    await say('a3', 'GET', FIRST)
    await say('a3', 'GET', SECOND)
    await say('a3', 'SET', FIRST, 'x')
    for (const argv of [['MULTI'], ['GET', FIRST], ['EXEC']]) await say('a3', ...argv)
    for (const argv of [['MULTI'], ['SET', FIRST, 'x'], ['EXEC']]) await say('a3', ...argv)
    await say('a3', 'FLUSHALL')
    await say('a3', 'READWRITE')
    await say('a3', 'GET', FIRST)
    await say('a3', 'READONLY')
    await say('a3', 'RESET')
    await say('a3', 'GET', FIRST)
  })

  same('a transaction is refused whole: while queueing, and at EXEC', async ({ say }) => {
    for (const argv of [['MULTI'], ['SET', FIRST, '1'], ['GET', SECOND], ['SET', FIRST, '2'], ['EXEC'], ['GET', FIRST]])
      await say('a0', ...argv)
    for (const argv of [['MULTI'], ['SET', FIRST, '1'], ['SET', keyIn(1), '2'], ['EXEC'], ['PING']])
      await say('a0', ...argv)
    for (const argv of [['MULTI'], ['NOSUCH'], ['EXEC']]) await say('a0', ...argv)
    for (const argv of [['MULTI'], ['SET', FIRST, '3'], ['DISCARD'], ['EXEC']]) await say('a0', ...argv)
  })

  same('an open slot answers by what is there: value, ASK, TRYAGAIN', async ({ say, quiet }) => {
    const [here, gone, other] = [keyIn(OPEN, 0), keyIn(OPEN, 1), keyIn(OPEN, 2)]
    await say('a0', 'SET', here, 'v')
    await say('b1', 'CLUSTER', 'SETSLOT', OPEN, 'IMPORTING', '@0')
    await say('a0', 'CLUSTER', 'SETSLOT', OPEN, 'MIGRATING', '@1')
    for (const argv of [
      ['GET', here],
      ['GET', gone],
      ['SET', gone, 'x'],
      ['MGET', here, gone],
      ['MGET', gone, other],
      ['EXISTS', here],
    ]) {
      await say('a0', ...argv)
      await say('b1', ...argv)
      await say('b1', 'ASKING')
      await say('b1', ...argv)
    }
    await say('a0', 'SSUBSCRIBE', gone)
    await say('a0', 'SUNSUBSCRIBE', gone)
    await say('b1', 'GET', gone)
    await say('a0', 'MULTI')
    await say('a0', 'GET', gone)
    await say('a0', 'EXEC')
    for (const argv of [['ASKING'], ['MULTI'], ['GET', gone], ['SET', gone, 'y'], ['EXEC'], ['GET', gone]])
      await say('b1', ...argv)
    for (const argv of [['MULTI'], ['ASKING'], ['GET', gone], ['EXEC']]) await say('b1', ...argv)
    await quiet('b1', 'ASKING')
    await say('b1', 'DEL', gone)
    await say('a0', 'CLUSTER', 'SETSLOT', OPEN, 'STABLE')
    await say('b1', 'CLUSTER', 'SETSLOT', OPEN, 'STABLE')
    await say('a0', 'DEL', here)
  })

  same(
    'a pipeline sees at once what its own requests change: ASKING for one of them, the owner of a slot',
    async ({ say, sayAtOnce }) => {
      const gone = keyIn(OPEN, 1)
      await say('b1', 'CLUSTER', 'SETSLOT', OPEN, 'IMPORTING', '@0')
      await sayAtOnce('b1', ['GET', gone], ['ASKING'], ['SET', gone, 'x'], ['GET', gone], ['ASKING'], ['GET', gone])
      await sayAtOnce('b1', ['ASKING'], ['PING'], ['GET', gone], ['ASKING'], ['ASKING'], ['DEL', gone], ['DEL', gone])
      await sayAtOnce(
        'b1',
        ['CLUSTER', 'SETSLOT', OPEN, 'STABLE'],
        ['ASKING'],
        ['GET', gone],
        ['READONLY'],
        ['GET', gone],
      )
      await sayAtOnce('a3', ['GET', FIRST], ['READONLY'], ['EXISTS', FIRST], ['READWRITE'], ['EXISTS', FIRST])
    },
  )

  same('MIGRATE moves keys of an open slot, and the redirections follow them', async ({ say, portOf }) => {
    const [one, two] = [keyIn(OPEN, 0), keyIn(OPEN, 1)]
    await say('a0', 'MSET', one, '1', two, '2')
    await say('b1', 'CLUSTER', 'SETSLOT', OPEN, 'IMPORTING', '@0')
    await say('a0', 'CLUSTER', 'SETSLOT', OPEN, 'MIGRATING', '@1')
    await say('a0', 'MIGRATE', '127.0.0.1', portOf(1), one, 0, 5000)
    await say('a0', 'MIGRATE', '127.0.0.1', portOf(1), one, 0, 5000)
    await say('a0', 'GET', one)
    await say('a0', 'MGET', one, two)
    await say('a0', 'CLUSTER', 'SETSLOT', OPEN, 'NODE', '@1')
    await say('b1', 'ASKING')
    await say('b1', 'GET', one)
    await say('a0', 'CLUSTER', 'COUNTKEYSINSLOT', OPEN)
    await say('a0', 'CLUSTER', 'GETKEYSINSLOT', OPEN, 10)
    await say('b1', 'ASKING')
    await say('b1', 'MIGRATE', '127.0.0.1', portOf(0), '', 0, 5000, 'REPLACE', 'KEYS', one)
    await say('a0', 'CLUSTER', 'SETSLOT', OPEN, 'STABLE')
    await say('b1', 'CLUSTER', 'SETSLOT', OPEN, 'STABLE')
    await say('a0', 'DEL', one, two)
  })

  same(
    'a slot that is given away takes its transactions, subscribers and waiters with it',
    async ({ say, quiet, send, message }) => {
      const key = keyIn(GIVEN)
      await say('s0', 'SSUBSCRIBE', key)
      await quiet('r0', 'HELLO', 3)
      await send('r0', 'SSUBSCRIBE', key)
      await message('r0')
      await send('x0', 'BLPOP', key, 0)
      await say('t0', 'MULTI')
      await say('t0', 'SET', key, 'v')
      await say('b1', 'CLUSTER', 'SETSLOT', GIVEN, 'IMPORTING', '@0')
      await say('a0', 'CLUSTER', 'SETSLOT', GIVEN, 'NODE', '@1')
      await say('b1', 'CLUSTER', 'SETSLOT', GIVEN, 'NODE', '@1')
      await say('t0', 'EXEC')
      await message('s0')
      await message('r0')
      await message('x0')
      await say('a0', 'GET', key)
      await say('b1', 'GET', key)
      await say('a0', 'CLUSTER', 'SETSLOT', GIVEN, 'IMPORTING', '@1')
      await say('b1', 'CLUSTER', 'SETSLOT', GIVEN, 'NODE', '@0')
      await say('a0', 'CLUSTER', 'SETSLOT', GIVEN, 'NODE', '@0')
      await say('a0', 'GET', key)
    },
  )

  same('CLUSTERDOWN tells an unbound slot from a stopped cluster, and reads may be allowed', async ({ say, when }) => {
    const bound = keyIn(12000)
    await say('a2', 'SET', bound, 'v')
    await say('a2', 'CLUSTER', 'DELSLOTS', 16000)
    await when(2, ['CLUSTER', 'INFO'], /cluster_state:fail/)
    for (const argv of [['GET', THIRD], ['GET', bound], ['SET', bound, 'x'], ['PING'], ['GET', FIRST]])
      await say('a2', ...argv)
    for (const argv of [['MULTI'], ['GET', bound], ['EXEC']]) await say('a2', ...argv)
    await say('a2', 'SPUBLISH', bound, 'x')
    await say('a2', 'CONFIG', 'SET', 'cluster-allow-pubsubshard-when-down', 'no')
    await say('a2', 'SPUBLISH', bound, 'x')
    await say('a2', 'CONFIG', 'SET', 'cluster-allow-reads-when-down', 'yes')
    for (const argv of [
      ['GET', bound],
      ['SET', bound, 'x'],
      ['GET', THIRD],
    ])
      await say('a2', ...argv)
    await say('a2', 'CONFIG', 'SET', 'cluster-allow-reads-when-down', 'no')
    await say('a2', 'CONFIG', 'SET', 'cluster-allow-pubsubshard-when-down', 'yes')
    await say('a2', 'CLUSTER', 'ADDSLOTS', 16000)
    await when(2, ['CLUSTER', 'INFO'], /cluster_state:ok/)
    for (const argv of [
      ['GET', THIRD],
      ['GET', bound],
    ])
      await say('a2', ...argv)
  })

  same('the errors of CLUSTER are the same errors', async ({ say }) => {
    // biome-ignore format: one mistake after the other
    const mistakes = [
      ['ADDSLOTS', 0], ['ADDSLOTS', 16384], ['ADDSLOTS', 'x'], ['ADDSLOTSRANGE', 5, 2], ['ADDSLOTSRANGE', 1], ['DELSLOTS', 1, 1],
      ['COUNTKEYSINSLOT', 16384], ['COUNTKEYSINSLOT', 'x'], ['GETKEYSINSLOT', 1, -1], ['COUNT-FAILURE-REPORTS', 'zz'], ['FORGET', 'zz'],
      ['FORGET', '@0'], ['MEET', '127.0.0.1', 'x'], ['MEET', 'host', 7000], ['MEET', '127.0.0.1', 60000], ['REPLICATE', 'zz'], ['REPLICATE', '@0'],
      ['REPLICATE', '@1'], ['REPLICAS', 'zz'], ['REPLICAS', '@3'], ['SET-CONFIG-EPOCH', -1], ['SET-CONFIG-EPOCH', 9], ['SETSLOT', 1],
      ['SETSLOT', 1, 'IMPORTING', '@1'], ['SETSLOT', 8000, 'MIGRATING', '@1'], ['SETSLOT', 1, 'MIGRATING', 'zz'], ['SETSLOT', 1, 'NODE', '@3'],
      ['SETSLOT', 1, 'NODE', 'zz'], ['SETSLOT', 1, 'NOSUCH'], ['FAILOVER'], ['FAILOVER', 'SOON'], ['FLUSHSLOTS'], ['RESET', 'GENTLY'], ['RESET'],
      ['NOSUCH'], ['KEYSLOT'], ['KEYSLOT', 'a{b}c'], ['KEYSLOT', 'foo{}{bar}'],
    ] satisfies Argument[][]
    await say('a0', 'SET', FIRST, 'v')
    for (const argv of mistakes) await say('a0', 'CLUSTER', ...argv)
    await say('a0', 'CLUSTER')
    await say('b3', 'CLUSTER', 'SETSLOT', 1, 'STABLE')
    await say('b3', 'CLUSTER', 'REPLICATE', '@3')
  })

  same('the slot map has the same shape in both protocols', async ({ say, sayShards, quiet, when, portOf }) => {
    await quiet('p0', 'SET', FIRST, 'v')
    // A replica is left out of SLOTS, and "loading" in SHARDS, until it is known to have processed some of the stream.
    await when(0, ['CLUSTER', 'SLOTS'], new RegExp(`127\\.0\\.0\\.1,${portOf(3)},`))
    await say('a0', 'CLUSTER', 'SLOTS')
    await sayShards('a0')
    await quiet('a0', 'HELLO', 3)
    await say('a0', 'CLUSTER', 'SLOTS')
    await sayShards('a0')
    await say('a0', 'CLUSTER', 'KEYSLOT', 'foo')
  })
})

/** What a script can do. A connection is a letter and the number of its node: "a0". In commands "@1" stands for the id of node 1. */
interface Stage {
  /** Sends a command and records the bytes of its reply. */
  say(connection: string, ...argv: readonly Argument[]): Promise<void>
  /** Sends commands in one write and records the meanings of their replies. */
  sayAtOnce(connection: string, ...requests: readonly (readonly Argument[])[]): Promise<void>
  /** As `say` for CLUSTER SHARDS, with the shards in slot order: a real server lists them in the order of a hash table. */
  sayShards(connection: string): Promise<void>
  /** Sends a command whose reply is not compared. */
  quiet(connection: string, ...argv: readonly Argument[]): Promise<void>
  /** Sends a command that is answered later, or by a push: what comes is the connection's next message. */
  send(connection: string, ...argv: readonly Argument[]): Promise<void>
  /** Records the bytes of the next message. */
  message(connection: string): Promise<void>
  /** Waits until the reply of a node, as text, matches. */
  when(node: number, argv: readonly Argument[], matches: RegExp): Promise<void>
  portOf(node: number): number
}

/** Plays a script to one cluster; returns each recorded command with its reply, ids and ports masked. */
async function play(cluster: Cluster, script: (stage: Stage) => Promise<void>): Promise<string[]> {
  const ids = await Promise.all(cluster.nodes.map(myId))
  const clients = new Map<string, Client>()
  const record: string[] = []
  const masks = createMasks(cluster, ids)
  const bytes = (argv: readonly Argument[]): Buffer =>
    encode(argv.map((word) => (typeof word === 'string' && /^@\d$/.test(word) ? ids[Number(word[1])]! : word)))
  const client = async (name: string): Promise<Client> => {
    const known = clients.get(name) ?? (await connect(cluster.nodes[Number(name.at(-1))]!.port))
    clients.set(name, known)
    return known
  }
  await script({
    async say(name, ...argv) {
      const raw = await (await client(name)).raw(bytes(argv))
      record.push(masks(`${name} ${argv.join(' ')}: ${raw.toString('latin1')}`))
    },
    async sayAtOnce(name, ...requests) {
      const replies = await (await client(name)).pipeline(requests)
      for (const [i, argv] of requests.entries()) record.push(masks(`${name} ${argv.join(' ')}: ${replies[i]}`))
    },
    async sayShards(name) {
      const raw = await (await client(name)).raw(bytes(['CLUSTER', 'SHARDS']))
      const [head, ...shards] = masks(raw.toString('latin1')).split(/(?=[*%]\d+\r\n\$5\r\nslots)/)
      record.push(`${name} CLUSTER SHARDS: ${head}`, ...shards.sort())
    },
    async quiet(name, ...argv) {
      await (await client(name)).raw(bytes(argv))
    },
    async send(name, ...argv) {
      ;(await client(name)).send(bytes(argv))
    },
    async message(name) {
      const { raw } = await (await client(name)).message()
      record.push(masks(`${name} hears: ${raw.toString('latin1')}`))
    },
    async when(node, argv, matches) {
      const asker = await client(`w${node}`)
      await eventually(() => asker.text(...argv), {
        what: `${argv.join(' ')} ~ ${matches}`,
        withinMs: 10_000,
        until: (text) => matches.test(text),
      })
    },
    portOf: (node) => cluster.nodes[node]!.port,
  })
  for (const one of clients.values()) one.close()
  return record
}

/** Replaces what differs between any two clusters: ids, ports and replication offsets. Lengths stay, as ports have four digits.
 *  A port is one only after the address or its own name: alone it may as well be a slot. */
function createMasks(cluster: Cluster, ids: readonly string[]): (text: string) => string {
  const ports = cluster.nodes.map(
    ({ port }) => new RegExp(`(127\\.0\\.0\\.1(?:\\r\\n)?[: ]|port\\r\\n:)${port}\\b`, 'g'),
  )
  return (text) => {
    let masked = text.replaceAll(/(replication-offset\r\n:)\d+/g, '$1<offset>')
    for (const [i, id] of ids.entries()) masked = masked.replaceAll(id, `<id ${i}>`)
    for (const [i, port] of ports.entries()) masked = masked.replaceAll(port, `$1<port ${i}>`)
    return masked
  }
}
