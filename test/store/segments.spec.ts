/** The stream on disk: what is appended is found again, under the right offsets, whatever the files look like. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { disk } from '../../store/disk.ts'
import { HEAD_LENGTH, SegmentError, Segments } from '../../store/segments.ts'
import { FaultyDisk, HEAD, joined, newFolder, removeFolders } from './disks.ts'

const FIRST = '000001-00000000000000000000.aof'

describe('segments of the stream', () => {
  afterEach(removeFolders)

  it('keep every byte under its offset, across files and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.string({ maxLength: 30 }), fc.boolean()), { maxLength: 20 }),
        async (turns) => {
          const folder = newFolder()
          let stream = ''
          let segments = new Segments(folder, disk)
          segments.begin(HEAD)
          for (const [text, restart] of turns) {
            const bytes = Buffer.from(text)
            segments.append([bytes.subarray(0, 3), bytes.subarray(3)])
            stream += bytes.toString('latin1')
            assert.equal(segments.end, stream.length)
            if (restart) {
              segments.close()
              segments = new Segments(folder, disk)
              segments.goOn(1, stream.length)
              segments.begin({ ...HEAD, offset: stream.length })
            }
          }
          const from = Math.floor(stream.length / 3)
          assert.equal(await joined(segments.read(1, 0, stream.length)), stream)
          assert.equal(await joined(segments.read(1, from, stream.length)), stream.slice(from))
          segments.close()
          removeFolders()
        },
      ),
      { numRuns: 30 },
    )
  })

  it('remember the history they belong to', () => {
    const folder = newFolder()
    const head = { chain: 3, offset: 1234, replid: 'b'.repeat(40), replid2: 'c'.repeat(40), secondOffset: 77, db: 11 }
    const segments = new Segments(folder, disk)
    segments.begin(head)
    segments.close()
    const [found] = new Segments(folder, disk).all
    assert.deepEqual({ ...found, path: '' }, { ...head, path: '', end: 1234, mark: 1234 })
  })

  it('keep a file open while a sync in the background has it, though another sync was done with it before', async () => {
    const faulty = new FaultyDisk()
    const segments = new Segments(newFolder(), faulty)
    segments.begin(HEAD)
    segments.append([Buffer.from('one')])
    segments.begin({ ...HEAD, offset: 3 })
    segments.append([Buffer.from('two')])
    faulty.slow = true
    const inBackground = segments.sync()
    segments.syncNow()
    faulty.finishSyncs()
    await inBackground
    assert.equal(segments.synced, 6)
    segments.close()
  })

  it('take a new head at the place of one under which nothing was written', () => {
    const folder = newFolder()
    const segments = new Segments(folder, disk)
    segments.begin(HEAD)
    segments.begin({ ...HEAD, replid: 'b'.repeat(40) })
    segments.append([Buffer.from('x')])
    segments.close()
    const [only, ...more] = new Segments(folder, disk).all
    assert.equal(more.length, 0)
    assert.equal(only!.replid, 'b'.repeat(40))
    assert.equal(only!.end, 1)
  })

  it('are cut off where they stopped making sense, and gone on with from there', async () => {
    const folder = newFolder()
    const segments = new Segments(folder, disk)
    segments.begin(HEAD)
    segments.append([Buffer.from('0123456789')])
    segments.begin({ ...HEAD, offset: 10 })
    segments.append([Buffer.from('abcdef')])
    segments.close()
    const again = new Segments(folder, disk)
    again.goOn(1, 7)
    assert.equal(again.end, 7)
    again.begin({ ...HEAD, offset: 7 })
    again.append([Buffer.from('XY')])
    assert.equal(await joined(again.read(1, 0, 9)), '0123456XY')
    again.close()
  })

  it('mark how far they were synced', async () => {
    const folder = newFolder()
    const segments = new Segments(folder, disk)
    segments.begin(HEAD)
    segments.append([Buffer.from('12345')])
    await segments.sync()
    segments.append([Buffer.from('678')])
    assert.equal(segments.synced, 5)
    segments.close()
    assert.equal(new Segments(folder, disk).markOf(1), 5)
  })

  it('keep the head they have when the disk has no room for another', () => {
    const faulty = new FaultyDisk()
    const folder = newFolder()
    const segments = new Segments(folder, faulty)
    segments.begin(HEAD)
    faulty.room = 5
    assert.throws(() => segments.begin({ ...HEAD, replid: 'b'.repeat(40) }), { code: 'ENOSPC' })
    segments.close()
    assert.deepEqual(
      new Segments(folder, disk).all.map(({ replid }) => replid),
      [HEAD.replid],
    )
  })

  it('append nothing when the disk is full, and the same bytes when it has room again', async () => {
    const faulty = new FaultyDisk()
    const segments = new Segments(newFolder(), faulty)
    segments.begin(HEAD)
    segments.append([Buffer.from('abc')])
    faulty.room = 2
    assert.throws(() => segments.append([Buffer.from('defgh')]), { code: 'ENOSPC' })
    assert.equal(segments.end, 3)
    faulty.room = 100
    segments.append([Buffer.from('defgh')])
    assert.equal(await joined(segments.read(1, 0, 8)), 'abcdefgh')
    segments.close()
  })

  it('write again what a failed sync may have lost', async () => {
    const faulty = new FaultyDisk()
    const segments = new Segments(newFolder(), faulty)
    segments.begin(HEAD)
    segments.append([Buffer.from('abc')])
    faulty.syncFails = true
    await assert.rejects(segments.sync(), { code: 'EIO' })
    faulty.syncFails = false
    faulty.room = 1000
    segments.syncNow()
    assert.ok(faulty.room <= 997, 'the bytes were not written again')
    assert.equal(segments.synced, 3)
    assert.equal(await joined(segments.read(1, 0, 3)), 'abc')
    segments.close()
  })

  it('leave a file alone that is no segment of ours', () => {
    const folder = newFolder()
    writeFileSync(join(folder, FIRST), Buffer.alloc(HEAD_LENGTH + 10, 'x'))
    assert.throws(() => new Segments(folder, disk), SegmentError)
    assert.equal(readFileSync(join(folder, FIRST)).length, HEAD_LENGTH + 10)
  })

  it('pass over a head that a crash left unfinished', () => {
    const folder = newFolder()
    const segments = new Segments(folder, disk)
    segments.begin(HEAD)
    segments.close()
    truncateSync(join(folder, FIRST), HEAD_LENGTH - 20)
    assert.deepEqual(new Segments(folder, disk).all, [])
  })

  it('are files that redis-check-aof reads', function () {
    const folder = newFolder()
    const path = join(folder, FIRST)
    const check = (): number | null => spawnSync('redis-check-aof', [path]).status
    const segments = new Segments(folder, disk)
    segments.begin(HEAD)
    segments.append([Buffer.from('*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n')])
    segments.close()
    if (spawnSync('redis-check-aof').error !== undefined) this.skip()
    assert.equal(check(), 0)
    appendFileSync(path, '*3\r\n$3\r\nSE')
    assert.equal(check(), 1)
  })
})
