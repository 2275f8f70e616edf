/** The stream's way to the disk: what may be acknowledged when, and what happens when the disk refuses. */
import assert from 'node:assert/strict'
import type { Millis } from '../../lib/base/brand.ts'
import { createLog } from '../../lib/base/log.ts'
import { Journal, type SyncPolicy } from '../../store/journal.ts'
import { Segments } from '../../store/segments.ts'
import { eventually } from '../support/eventually.ts'
import { FaultyDisk, HEAD, joined, newFolder, removeFolders } from './disks.ts'

const bytes = (text: string): Buffer[] => [Buffer.from(text)]

function setUp(policy: SyncPolicy) {
  const disk = new FaultyDisk()
  const segments = new Segments(newFolder(), disk)
  const lines: string[] = []
  const clock = { now: 0 }
  const log = createLog({ pid: 1, now: () => 0 as Millis, sink: (line) => lines.push(line) })
  const journal = new Journal({ segments, log, policy: () => policy, now: () => clock.now })
  journal.begin(HEAD)
  return { disk, segments, journal, lines, clock }
}

/** Lets what the disk does in the background come to its end. */
const settled = (until: () => boolean): Promise<boolean> =>
  eventually(until, { what: 'the disk is done', withinMs: 10_000 })

describe('the journal', () => {
  afterEach(removeFolders)

  it('has every turn in the file at once, and with always on the disk', () => {
    for (const policy of ['always', 'everysec', 'no'] as const) {
      const { segments, journal } = setUp(policy)
      journal.append(bytes('one'))
      assert.equal(segments.end, 3)
      assert.equal(segments.synced, policy === 'always' ? 3 : 0)
      assert.equal(journal.safe, 3)
      segments.close()
    }
  })

  it('syncs once a second with everysec, and only then', async () => {
    const { segments, journal, clock } = setUp('everysec')
    journal.append(bytes('one'))
    clock.now = 900
    journal.tick()
    assert.equal(journal.pendingSyncs, 0)
    clock.now = 1000
    journal.tick()
    await settled(() => segments.synced === 3)
    segments.close()
  })

  it('lets writers wait for a sync that takes longer than two seconds', async () => {
    const { disk, segments, journal, clock, lines } = setUp('everysec')
    disk.slow = true
    journal.append(bytes('one'))
    clock.now = 1000
    journal.tick()
    clock.now = 2900
    journal.append(bytes('two'))
    assert.equal(segments.synced, 0)
    clock.now = 3000
    journal.append(bytes('three'))
    assert.equal(segments.synced, 11)
    assert.equal(journal.delayedSyncs, 1)
    assert.ok(lines.some((line) => line.includes('Asynchronous AOF fsync is taking too long')))
    disk.finishSyncs()
    await settled(() => journal.pendingSyncs === 0)
    await journal.close()
  })

  it('acknowledges nothing while the disk is full, and loses nothing when it has room again', async () => {
    const { disk, segments, journal, lines } = setUp('everysec')
    journal.append(bytes('one'))
    disk.room = 1
    journal.append(bytes('two'))
    assert.equal(journal.failure, 'No space left on device')
    assert.equal(journal.safe, 3)
    journal.append(bytes('three'))
    journal.tick()
    assert.equal(journal.waitingBytes, 8)
    disk.room = Number.POSITIVE_INFINITY
    journal.tick()
    assert.equal(journal.failure, undefined)
    assert.equal(journal.safe, 11)
    assert.equal(await joined(segments.read(1, 0, 11)), 'onetwothree')
    assert.ok(lines.some((line) => line.includes('Error writing to the AOF file: No space left on device')))
    assert.ok(lines.some((line) => line.includes('AOF write error looks solved')))
    await journal.close()
  })

  it('copies what has to wait: the bytes of a turn are only borrowed', async () => {
    const { disk, segments, journal } = setUp('everysec')
    disk.room = 0
    const borrowed = Buffer.from('one')
    journal.append([borrowed])
    borrowed.fill('x')
    disk.room = Number.POSITIVE_INFINITY
    journal.tick()
    assert.equal(await joined(segments.read(1, 0, 3)), 'one')
    await journal.close()
  })

  it('acknowledges with always only what was synced', async () => {
    const { disk, segments, journal } = setUp('always')
    disk.syncFails = true
    journal.append(bytes('one'))
    assert.equal(journal.failure, 'I/o error')
    assert.equal(segments.end, 3)
    assert.equal(journal.safe, 0)
    disk.syncFails = false
    journal.tick()
    assert.equal(journal.safe, 3)
    await journal.close()
  })

  it('takes a failed sync in the background for a failure until one succeeds', async () => {
    const { disk, segments, journal, clock } = setUp('everysec')
    journal.append(bytes('one'))
    disk.syncFails = true
    clock.now = 1000
    journal.tick()
    await settled(() => journal.failure !== undefined)
    journal.tick()
    assert.ok(journal.failure !== undefined)
    disk.syncFails = false
    journal.tick()
    assert.equal(journal.failure, undefined)
    assert.equal(segments.synced, 3)
    await journal.close()
  })

  it('keeps the order of bytes and heads when both have to wait', async () => {
    const { disk, segments, journal } = setUp('no')
    disk.room = 0
    journal.append(bytes('old'))
    journal.begin({ ...HEAD, offset: 3, replid: 'b'.repeat(40) })
    journal.append(bytes('new'))
    disk.room = Number.POSITIVE_INFINITY
    journal.tick()
    const [first, second] = segments.all
    assert.deepEqual([first?.end, second?.offset, second?.end, second?.replid[0]], [3, 3, 6, 'b'])
    await journal.close()
  })

  it('forgets what waits when its chain is over', async () => {
    const { disk, segments, journal } = setUp('no')
    disk.room = 0
    journal.append(bytes('old'))
    disk.room = Number.POSITIVE_INFINITY
    journal.begin({ ...HEAD, chain: 2, offset: 1 }, { forget: true })
    journal.append(bytes('new'))
    assert.equal(await joined(segments.read(2, 1, 4)), 'new')
    assert.equal(segments.ofChain(1)[0]?.end, 0)
    await journal.close()
  })
})
