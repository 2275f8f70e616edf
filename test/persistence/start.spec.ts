/** The start: the stream on the disk is carried out again, up to where a crash left it, and not a byte beyond what makes sense. */
import assert from 'node:assert/strict'
import { appendFileSync, copyFileSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Millis } from '../../lib/base/brand.ts'
import { createLog } from '../../lib/base/log.ts'
import { PersistenceError } from '../../lib/persistence/error.ts'
import { type Found, loadStore } from '../../lib/persistence/start.ts'
import { disk } from '../../store/disk.ts'
import type { Records } from '../../store/level.ts'
import { DEFAULT_LIMITS } from '../../store/rdb/types.ts'
import type { Commit } from '../../store/record.ts'
import { HEAD_LENGTH, Segments } from '../../store/segments.ts'
import { requests } from '../replication/parts.ts'
import { HEAD, newFolder, removeFolders } from '../store/disks.ts'

const COMMIT: Commit = { ...HEAD, generation: 0, oldest: 1, libraries: [] }

/** A checkpoint without keys. */
const EMPTY = { async *entries() {} } as unknown as Records

interface Start extends Found {
  readonly done: readonly string[]
  readonly lines: readonly string[]
}

/** Starts on a folder; `done` is what was carried out, as `db: command`. */
async function start(folder: string, acceptsTorn = true, commit = COMMIT): Promise<Start> {
  const done: string[] = []
  const lines: string[] = []
  const log = createLog({ pid: 1, now: () => 0 as Millis, sink: (line) => lines.push(line) })
  const store = { folder, segments: new Segments(folder, disk), records: EMPTY, commit, bytes: 0 }
  const found = await loadStore(disk, store, commit, {
    log,
    acceptsTorn,
    limits: DEFAULT_LIMITS,
    put() {},
    take() {},
    loaded() {},
    setLibraries() {},
    apply(argv, db) {
      done.push(`${db}: ${Array.from({ length: argv.count }, (_, i) => argv.text(i)).join(' ')}`)
    },
  })
  return { ...found, done, lines }
}

/** A folder with these streams in one segment each. */
function folderOf(...streams: readonly Buffer[]): string {
  const folder = newFolder()
  const segments = new Segments(folder, disk)
  let offset = 0
  for (const stream of streams) {
    segments.begin({ ...HEAD, offset })
    segments.append([stream])
    offset += stream.length
  }
  segments.close()
  return folder
}

const segmentFiles = (folder: string): string[] => readdirSync(folder).map((name) => join(folder, name))
const contents = (folder: string): string[] => segmentFiles(folder).map((path) => readFileSync(path, 'latin1'))

async function refuses(folder: string, why: RegExp, acceptsTorn = true): Promise<void> {
  const before = contents(folder)
  await assert.rejects(
    start(folder, acceptsTorn),
    (error) => error instanceof PersistenceError && why.test(error.message),
  )
  assert.deepEqual(contents(folder), before, 'the files were touched')
}

describe('the start of a node', () => {
  afterEach(removeFolders)

  it('carries out the stream of all segments, and goes on behind it', async () => {
    const first = requests('SELECT 2', 'SET a 1', 'SELECT 0')
    const second = requests('SET b 2', 'MULTI', 'INCR b', 'SELECT 5', 'INCR b', 'EXEC')
    const found = await start(folderOf(first, second))
    assert.deepEqual(found.done, ['2: SET a 1', '0: SET b 2', '0: INCR b', '5: INCR b'])
    assert.deepEqual([found.history.offset, found.history.db], [first.length + second.length, 5])
    assert.equal(found.history.replid, HEAD.replid)
    assert.deepEqual(found.lines, [])
  })

  it('recovers to a prefix wherever the last segment was torn', async () => {
    const first = requests('SET a 1')
    const commands = ['SET b 2', 'MULTI', 'INCR c', 'INCR d', 'EXEC', 'DEL a', 'SET e \r\n*1\r\n']
    const units = [
      requests('SET b 2'),
      requests('MULTI', 'INCR c', 'INCR d', 'EXEC'),
      requests('DEL a'),
      requests(commands[6]!),
    ]
    const after = [['0: SET b 2'], ['0: INCR c', '0: INCR d'], ['0: DEL a'], ['0: SET e \r\n*1\r\n']]
    const whole = folderOf(first, Buffer.concat(units))
    const [one, two] = segmentFiles(whole) as [string, string]
    const total = units.reduce((sum, unit) => sum + unit.length, 0)
    for (let length = 0; length <= total; length++) {
      const folder = newFolder()
      copyFileSync(one, join(folder, '000001-00000000000000000000.aof'))
      const path = join(folder, two.slice(whole.length + 1))
      copyFileSync(two, path)
      truncateSync(path, HEAD_LENGTH + length)
      const expected = ['0: SET a 1']
      let end = 0
      for (const [i, unit] of units.entries()) {
        if (end + unit.length > length) break
        end += unit.length
        expected.push(...after[i]!)
      }
      const found = await start(folder)
      assert.deepEqual(found.done, expected, `torn at ${length}`)
      assert.equal(found.history.offset, first.length + end)
      assert.equal(found.lines.length > 0, end < length, `torn at ${length}`)
      // What was cut off stays cut off.
      assert.deepEqual((await start(folder)).done, expected)
    }
  })

  it('says what it cuts off', async () => {
    const { lines } = await start(folderOf(requests('SET a 1', 'MULTI', 'SET b 2')))
    for (const text of [
      'Revert incomplete MULTI/EXEC transaction',
      'short read while loading the AOF',
      'Truncating the AOF',
    ])
      assert.ok(
        lines.some((line) => line.includes(text)),
        text,
      )
  })

  it('cuts nothing off when aof-load-truncated forbids it', async () => {
    await refuses(folderOf(requests('SET a 1').subarray(0, 20)), /Unexpected end of file .*aof-load-truncated/, false)
  })

  it('takes space that was never filled for a torn end', async () => {
    const folder = folderOf(requests('SET a 1'))
    appendFileSync(segmentFiles(folder)[0]!, Buffer.alloc(200_000))
    const found = await start(folder)
    assert.deepEqual(found.done, ['0: SET a 1'])
    assert.equal(found.history.offset, requests('SET a 1').length)
  })

  it('refuses what is damaged in the middle, and leaves it as it is', async () => {
    const folder = folderOf(requests('SET a 1', 'SET b 2'), requests('SET c 3'))
    const [path] = segmentFiles(folder) as [string]
    const bytes = readFileSync(path)
    bytes[HEAD_LENGTH + 4] = 0x58
    writeFileSync(path, bytes)
    await refuses(folder, /Bad file format .*redis-check-aof --fix/)
  })

  it('refuses a torn command before what was known to be on the disk', async () => {
    const folder = newFolder()
    const segments = new Segments(folder, disk)
    segments.begin(HEAD)
    segments.append([requests('SET a 1', 'SET b 2')])
    segments.syncNow()
    segments.close()
    const [path] = segmentFiles(folder) as [string]
    truncateSync(path, HEAD_LENGTH + requests('SET a 1').length + 5)
    await refuses(folder, /a command is not whole at byte/)
  })

  it('refuses to do without the segment that follows the checkpoint', async () => {
    const first = requests('SET a 1')
    const folder = folderOf(first, requests('SET b 2'))
    const commit = { ...COMMIT, generation: 1, offset: first.length }
    assert.deepEqual((await start(folder, true, commit)).done, ['0: SET b 2'])
    await assert.rejects(start(newFolder(), true, commit), /follows the checkpoint, at offset \d+, is missing/)
    await assert.rejects(start(folder, true, { ...commit, offset: 1 }), /is missing/)
  })

  it('refuses a gap between segments that were on the disk', async () => {
    const folder = newFolder()
    const segments = new Segments(folder, disk)
    const first = requests('SET a 1')
    segments.begin(HEAD)
    segments.append([first])
    segments.syncNow()
    segments.begin({ ...HEAD, offset: first.length })
    segments.append([requests('SET b 2')])
    segments.syncNow()
    segments.close()
    truncateSync(segmentFiles(folder)[0]!, HEAD_LENGTH)
    await refuses(folder, /missing or too short/)
  })
})
