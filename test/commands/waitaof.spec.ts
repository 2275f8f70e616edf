/** WAITAOF: waiting until what was written is on disks, ours and those of replicas. */
import assert from 'node:assert/strict'
import { disk } from '../../store/disk.ts'
import { newFolder, removeFolders } from '../store/disks.ts'
import { type Client, connect, fields, outcome } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { InProcess } from '../support/inprocess.ts'
import { type Conf, type Server, startServer, stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const DISABLED = 'ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.'

/** A server whose append-only file is open. */
async function persistent(conf: Readonly<Record<string, string>>): Promise<InProcess> {
  const inner = new InProcess({ appendonly: 'yes', save: '', dir: newFolder(), ...conf }, disk)
  await inner.server.persistence!.open()
  return inner
}

describe('WAITAOF', () => {
  after(removeFolders)

  it('counts what is in the local file at once when every write is synced before its reply', async () => {
    const inner = await persistent({ appendfsync: 'always' })
    const client = inner.connect()
    client.call('SET', 'a', 1)
    assert.deepEqual(client.call('WAITAOF', 1, 0, 0), [1, 0])
    await inner.server.persistence!.close()
  })

  it('waits for the sync of the pipeline it stands in', async () => {
    const inner = await persistent({ appendfsync: 'always' })
    const client = inner.connect()
    const replies = client.raw(Buffer.from('SET a 1\r\nWAITAOF 1 0 0\r\nPING\r\n')).toString()
    assert.equal(replies, '+OK\r\n*2\r\n:1\r\n:0\r\n+PONG\r\n')
    await inner.server.persistence!.close()
  })

  it('tells what there is when it cannot wait, and when the time is over', async () => {
    const inner = await persistent({ appendfsync: 'no' })
    const client = inner.connect()
    client.call('SET', 'a', 1)
    client.call('MULTI')
    client.call('WAITAOF', 1, 1, 0)
    assert.deepEqual(client.call('EXEC'), [[0, 0]])
    assert.equal(client.raw(Buffer.from('WAITAOF 1 0 1\r\n')).length, 0)
    assert.equal(inner.connect().call('CLIENT', 'UNBLOCK', client.client.id), 1)
    inner.settle()
    assert.equal(client.taken().toString(), '*2\r\n:0\r\n:0\r\n')
    await inner.server.persistence!.close()
  })

  it('answers who waits for a file that is given up', async () => {
    const inner = await persistent({ appendfsync: 'no' })
    const client = inner.connect()
    client.call('SET', 'a', 1)
    assert.equal(client.raw(Buffer.from('WAITAOF 1 0 0\r\n')).length, 0)
    inner.connect().call('CONFIG', 'SET', 'appendonly', 'no')
    inner.server.endTurn()
    inner.settle()
    assert.equal(client.taken().toString(), `-${DISABLED}\r\n`)
    await inner.server.persistence!.close()
  })

  it('says what is wrong with its arguments', () => {
    const client = new InProcess().connect()
    const REFUSED: readonly (readonly [words: string, reply: string])[] = [
      ['1 0 0', DISABLED],
      ['1 0 -5', 'ERR timeout is negative'],
      ['0 0 x', 'ERR timeout is not an integer or out of range'],
      ['2 0 0', 'ERR value is out of range, value must between 0 and 1'],
      ['-1 0 0', 'ERR value is out of range, value must between 0 and 1'],
      ['x 0 0', 'ERR value is not an integer or out of range'],
      ['0 -1 0', 'ERR value is out of range, must be positive'],
      ['0 x 0', 'ERR value is out of range, must be positive'],
      ['0 0', "ERR wrong number of arguments for 'waitaof' command"],
    ]
    for (const [words, reply] of REFUSED) assert.equal(client.outcome('WAITAOF', ...words.split(' ')), reply, words)
    assert.deepEqual(client.call('WAITAOF', 0, 0, 0), [0, 0])
  })
})

describeBeside('WAITAOF with replicas', function () {
  this.timeout(60_000)
  this.slow(20_000)
  afterEach(stopEverything)

  const follow = async (primary: Server, conf: Conf, kind: 'rookery' | 'redis' = 'rookery'): Promise<Server> => {
    const replica = await startServer({ kind, conf: { ...conf, replicaof: `127.0.0.1 ${primary.port}` } })
    await eventually(
      async () => (await fields(primary.port, 'INFO', 'replication'))['slave0']?.includes('state=online'),
      { what: 'the replica is online', withinMs: 10_000 },
    )
    return replica
  }
  const write = async (server: Server): Promise<Client> => {
    const client = await connect(server.port)
    await client.call('SET', 'a', 1)
    return client
  }

  it('counts replicas that keep an append-only file, once it is synced', async () => {
    const primary = await startServer({ kind: 'rookery' })
    await follow(primary, { appendonly: 'yes' })
    const client = await write(primary)
    assert.deepEqual(await client.call('WAITAOF', 0, 1, 0), [0, 1])
  })

  it('does not count replicas that keep none, nor a redis-server that cannot say', async () => {
    const primary = await startServer({ kind: 'rookery', conf: { appendonly: 'yes' } })
    await follow(primary, { appendonly: 'no' })
    await follow(primary, { appendonly: 'yes' }, 'redis')
    const client = await write(primary)
    assert.equal(await client.call('WAIT', 2, 0), 2)
    assert.deepEqual(await client.call('WAITAOF', 1, 1, 1500), [1, 0])
  })

  it('does not disturb a redis-server that is the primary of such a replica', async () => {
    const primary = await startServer({ kind: 'redis' })
    const replica = await follow(primary, { appendonly: 'yes' })
    const client = await write(primary)
    assert.equal(await client.call('WAIT', 1, 0), 1)
    assert.match(
      await outcome(replica.port, 'WAITAOF', 0, 0, 0),
      /^ERR WAITAOF cannot be used with replica instances\./,
    )
  })
})
