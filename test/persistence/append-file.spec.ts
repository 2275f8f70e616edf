/** When a checkpoint is worth it. */
import assert from 'node:assert/strict'
import type { Millis } from '../../lib/base/brand.ts'
import { createLog } from '../../lib/base/log.ts'
import { type AppendFile, type AppendFileParts, goOnWith } from '../../lib/persistence/append-file.ts'
import { disk } from '../../store/disk.ts'
import type { Records } from '../../store/level.ts'
import { Segments } from '../../store/segments.ts'
import { HEAD, newFolder, removeFolders } from '../store/disks.ts'

const MIN_SIZE = 1000
/** How long a checkpoint takes. */
const TAKES_US = 2e6

describe('the append-only file', () => {
  let now: number
  let stream: { offset: number; readonly history: typeof HEAD }
  let file: AppendFile

  beforeEach(() => {
    now = 0
    stream = {
      offset: HEAD.offset,
      get history() {
        return { ...HEAD, offset: this.offset }
      },
    }
    const records = {
      batch: () => ({
        length: 0,
        async write() {
          now += TAKES_US
        },
      }),
      async settle() {},
      async setCommit() {},
      async size() {
        return 0
      },
      async close() {},
    }
    const folder = newFolder()
    const parts = {
      config: {
        values: {
          appendfsync: 'no',
          autoAofRewritePercentage: 100,
          autoAofRewriteMinSize: MIN_SIZE,
          replBacklogSize: 0,
        },
      },
      log: createLog({ pid: 1, now: () => 0 as Millis, sink() {} }),
      stream,
      keyspace: {
        openCheckpoint: () => ({ isWhole: false, read: () => [], commit() {}, abandon() {} }),
        libraries: [],
      },
      micros: () => now,
      spike() {},
    } as unknown as AppendFileParts
    const segments = new Segments(folder, disk)
    const commit = { ...HEAD, generation: 1, oldest: 1, libraries: [] }
    const found = { chain: HEAD.chain, generation: 1, recordCount: 0, garbage: 0 }
    file = goOnWith(
      { folder, segments, records: records as unknown as Records, commit, bytes: 0 },
      commit,
      found,
      parts,
    )
  })

  afterEach(async () => {
    await file.close()
    removeFolders()
  })

  const grow = (bytes: number): void => {
    file.append([Buffer.alloc(bytes)])
    stream.offset += bytes
  }

  it('is due for a checkpoint when the stream has grown by the smallest size', () => {
    grow(MIN_SIZE - 1)
    assert.equal(file.isDue(), false)
    grow(1)
    assert.equal(file.isDue(), true)
  })

  it('rests after a checkpoint for nine times as long as it took', async () => {
    await file.start()
    assert.equal(now, TAKES_US)
    grow(MIN_SIZE)
    now += 9 * TAKES_US - 1
    assert.equal(file.isDue(), false)
    now += 1
    assert.equal(file.isDue(), true)
  })

  it('does not rest longer than until the stream has grown four times as much', async () => {
    await file.start()
    grow(4 * MIN_SIZE - 1)
    assert.equal(file.isDue(), false)
    grow(1)
    assert.equal(file.isDue(), true)
  })

  it('does not rest when it is asked', async () => {
    await file.start()
    file.request()
    assert.equal(file.isDue(), true)
  })

  it('says how many seconds the last one took', async () => {
    assert.equal(file.lastSeconds, -1)
    await file.start()
    assert.equal(file.lastSeconds, 2)
  })
})
