/** A node whose disk refuses: nobody is told that a write is kept when it is not, reads go on, and it recovers by itself. */
import assert from 'node:assert/strict'
import { FaultyDisk, newFolder, removeFolders } from '../store/disks.ts'
import { eventually } from '../support/eventually.ts'
import { InProcess } from '../support/inprocess.ts'

async function nodeOn(disk: FaultyDisk, dir: string, conf: Readonly<Record<string, string>> = {}): Promise<InProcess> {
  const node = new InProcess({ dir, save: '', appendonly: 'yes', ...conf }, disk)
  await node.server.persistence!.open()
  return node
}

describe('a node whose disk is full', () => {
  let disk: FaultyDisk
  let dir: string
  let node: InProcess
  beforeEach(async () => {
    disk = new FaultyDisk()
    dir = newFolder()
    node = await nodeOn(disk, dir)
  })
  afterEach(async () => {
    await node.server.persistence!.close()
    removeFolders()
  })

  it('does not acknowledge the writes of the turn, and refuses those that follow', () => {
    const [writer, reader] = [node.connect(), node.connect()]
    writer.call('SET', 'a', '1')
    disk.room = 10
    assert.equal(writer.raw(Buffer.from('SET a 2\r\n')).length, 0)
    assert.ok(writer.closed)
    const refusal = 'MISCONF Errors writing to the AOF file: No space left on device'
    for (const command of [['SET', 'b', '1'], ['DEL', 'a'], ['PING']]) assert.equal(reader.outcome(...command), refusal)
    assert.equal(String(reader.call('DBSIZE')), '1')
    assert.ok(!reader.closed)
    assert.match(String(reader.call('INFO', 'persistence')), /aof_last_write_status:err/)
    reader.call('MULTI')
    assert.equal(reader.outcome('SET', 'b', '1'), refusal)
  })

  it('writes again when there is room again, and has lost nothing', async () => {
    const client = node.connect()
    client.call('SET', 'a', '1')
    disk.room = 0
    node.connect().raw(Buffer.from('SET a 2\r\n'))
    disk.room = Number.POSITIVE_INFINITY
    node.server.persistence!.tick()
    assert.equal(client.outcome('SET', 'b', '1'), 'OK')
    await node.server.persistence!.close()
    node = await nodeOn(disk, dir)
    const again = node.connect()
    assert.deepEqual([again.outcome('GET', 'a'), again.outcome('GET', 'b')], ['2', '1'])
  })

  it('with appendfsync always acknowledges only what was synced', async () => {
    const client = node.connect()
    client.call('CONFIG', 'SET', 'appendfsync', 'always')
    disk.syncFails = true
    assert.equal(client.raw(Buffer.from('SET a 2\r\n')).length, 0)
    assert.ok(client.closed)
    assert.match(node.connect().outcome('SET', 'a', '3'), /^MISCONF/)
    disk.syncFails = false
    node.server.persistence!.tick()
    assert.equal(node.connect().outcome('SET', 'a', '3'), 'OK')
  })

  it('keeps the last checkpoint when another one fails', async () => {
    const client = node.connect()
    client.call('SET', 'a', '1')
    disk.room = 0
    client.call('BGREWRITEAOF')
    await eventually(() => String(client.call('INFO', 'persistence')).includes('aof_last_bgrewrite_status:err'), {
      what: 'the checkpoint fails',
      withinMs: 5000,
    })
    disk.room = Number.POSITIVE_INFINITY
    node.server.persistence!.tick()
    await node.server.persistence!.close()
    node = await nodeOn(disk, dir)
    assert.equal(node.connect().outcome('GET', 'a'), '1')
  })
})
