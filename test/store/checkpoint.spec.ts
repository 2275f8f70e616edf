/** The checkpoint: records of a cut, committed as one, read back as they were, whatever came between. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { keyFromText } from '../../lib/base/key.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { type CheckpointCut, type CheckpointReport, sweep, writeCheckpoint } from '../../store/checkpoint.ts'
import type { CutEntry } from '../../store/cut.ts'
import { freeze } from '../../store/frozen.ts'
import { Keyspace } from '../../store/keyspace.ts'
import { openRecords, type Records, RecordsError } from '../../store/level.ts'
import { loadRecords } from '../../store/load.ts'
import {
  type Commit,
  decodeCommit,
  encodeCommit,
  encodeValue,
  RecordError,
  RecordReader,
  recordKey,
} from '../../store/record.ts'
import type { Value } from '../../store/value.ts'
import { HEAD, newFolder, removeFolders } from './disks.ts'
import { LARGE_KINDS, pictureOf } from './large-values.ts'

const OPTIONS = { durable: false, sliceMicros: 1000, micros: () => 0 }
const commitOf = (generation: number, oldest = 1): Commit => ({ ...HEAD, generation, oldest, libraries: [] })
const text = (value: string): CutEntry['value'] => ({ type: 'string', bytes: Buffer.from(value), raw: false })

const entry = (key: string, value: string | undefined, db = 0, expireAt = 0): CutEntry => ({
  db,
  key: Buffer.from(key),
  value: value === undefined ? undefined : text(value),
  expireAt,
})

/** A cut over a list. */
class ListCut implements CheckpointCut {
  ended: 'commit' | 'abandon' | undefined
  #left: CutEntry[]
  constructor(entries: readonly CutEntry[]) {
    this.#left = [...entries]
  }
  read(most: number): CutEntry[] {
    return this.#left.splice(0, most)
  }
  commit(): void {
    this.ended = 'commit'
  }
  abandon(): void {
    this.ended = 'abandon'
  }
}

const write = (records: Records, commit: Commit, ...entries: readonly CutEntry[]): Promise<CheckpointReport> =>
  writeCheckpoint(records, new ListCut(entries), commit, OPTIONS)

/** What a start would find. */
async function found(records: Records): Promise<Record<string, string>> {
  const commit = await records.commit()
  assert.ok(commit !== undefined)
  const keys: Record<string, string> = {}
  await loadRecords(records, commit, (record) => {
    const { db, key, expireAt } = record
    const value = record.value()
    assert.ok(value.type === 'string')
    const name = `${db}/${key.text()}`
    assert.ok(!(name in keys), `${name} was given twice`)
    keys[name] = `${value.bytes.toString('latin1')}${expireAt === 0 ? '' : `@${expireAt}`}`
  })
  return keys
}

async function count(records: Records): Promise<number> {
  let all = 0
  for await (const keys of records.keys()) all += keys.length
  return all
}

describe('a checkpoint', () => {
  afterEach(removeFolders)

  it('gives back keys, values, databases and deadlines', async () => {
    const records = await openRecords(newFolder(), true)
    await write(records, commitOf(1), entry('a', 'one'), entry('a', 'two', 3), entry('b', '', 0, 1_700_000_000_123))
    assert.deepEqual(await found(records), { '0/a': 'one', '3/a': 'two', '0/b': '@1700000000123' })
    assert.deepEqual(await records.commit(), commitOf(1))
    await records.close()
  })

  it('counts from its commit on, and not before', async () => {
    const folder = newFolder()
    const records = await openRecords(folder, true)
    await write(records, commitOf(1), entry('a', 'old'), entry('b', 'old'))
    const cut = new ListCut([entry('a', 'new'), entry('b', undefined), entry('c', 'new')])
    const dying: Records = { ...records, setCommit: () => Promise.reject(new Error('the lights went out')) }
    await assert.rejects(writeCheckpoint(dying, cut, commitOf(2), OPTIONS), /lights/)
    assert.equal(cut.ended, 'abandon')
    assert.deepEqual(await found(records), { '0/a': 'old', '0/b': 'old' })
    await write(records, commitOf(3), entry('a', 'new'), entry('b', undefined), entry('c', 'new'))
    assert.deepEqual(await found(records), { '0/a': 'new', '0/c': 'new' })
    await records.close()
  })

  it('replaces everything when it is whole', async () => {
    const records = await openRecords(newFolder(), true)
    await write(records, commitOf(1), entry('a', 'old'), entry('b', 'old'))
    await write(records, commitOf(2, 2), entry('b', 'new'))
    assert.deepEqual(await found(records), { '0/b': 'new' })
    await records.close()
  })

  it('means after any number of cuts what the data set was, swept or not', async () => {
    const change = fc.tuple(
      fc.constantFrom('a', 'a\0', 'ab', '{t}1', '{t}2', ''),
      fc.option(fc.string(), { nil: undefined }),
    )
    const cuts = fc.array(fc.record({ changes: fc.array(change), sweeps: fc.boolean(), fails: fc.boolean() }), {
      maxLength: 8,
    })
    await fc.assert(
      fc.asyncProperty(cuts, async (plan) => {
        const records = await openRecords(newFolder(), true)
        const model = new Map<string, string>()
        let committed = commitOf(1)
        await records.setCommit(committed)
        for (const [i, { changes, sweeps, fails }] of plan.entries()) {
          const last = new Map(changes)
          const entries = [...last].map(([key, value]) => entry(key, value))
          if (fails) {
            const dying: Records = { ...records, setCommit: () => Promise.reject(new Error('no')) }
            await assert.rejects(writeCheckpoint(dying, new ListCut(entries), commitOf(i + 2), OPTIONS))
            await sweep(records, committed)
            continue
          }
          committed = commitOf(i + 2)
          await write(records, committed, ...entries)
          for (const [key, value] of last) value === undefined ? model.delete(key) : model.set(key, value)
          if (sweeps) {
            assert.equal(await sweep(records, committed), model.size)
            assert.equal(await count(records), model.size)
          }
        }
        const expected = Object.fromEntries(
          [...model].map(([key, value]) => [`0/${key}`, Buffer.from(value).toString('latin1')]),
        )
        assert.deepEqual(await found(records), expected)
        await records.close()
      }),
      { numRuns: 25 },
    )
  })

  it('is written in slices of bounded time', async () => {
    const records = await openRecords(newFolder(), true)
    let now = 0
    const sizes: number[] = []
    const watched: Records = {
      ...records,
      batch() {
        const batch = records.batch()
        return {
          get length() {
            return batch.length
          },
          put: batch.put,
          remove: batch.remove,
          write: () => {
            sizes.push(batch.length)
            return batch.write()
          },
        }
      },
    }
    const entries = Array.from({ length: 200 }, (_, i) => entry(`k${i}`, 'v'))
    const micros = (): number => (now += 300)
    await writeCheckpoint(watched, new ListCut(entries), commitOf(1), { durable: false, sliceMicros: 1000, micros })
    assert.deepEqual(sizes, [128, 72])
    await records.close()
  })

  /** What a start would find of the only key. */
  async function foundValue(records: Records): Promise<unknown> {
    let found: unknown
    await loadRecords(records, (await records.commit())!, (record) => {
      assert.equal(found, undefined)
      found = pictureOf(record.value())
    })
    return found
  }

  for (const kind of LARGE_KINDS)
    describe(`of a large ${kind.type}`, () => {
      const entryOf = (value: Value | undefined): CutEntry => ({
        ...entry('key', undefined),
        value: value === undefined ? undefined : (freeze(value, new Set()) ?? value),
      })

      it('is written in parts, in slices of bounded time, and is one value again', async () => {
        // A slice has time for two steps, or for one.
        for (const step of [600, 2000]) {
          const records = await openRecords(newFolder(), true)
          let now = 0
          const options = { durable: false, sliceMicros: 1000, micros: () => (now += step) }
          let slices = 0
          const watched: Records = {
            ...records,
            batch() {
              slices++
              return records.batch()
            },
          }
          const value = kind.make(30_000)
          const report = await writeCheckpoint(watched, new ListCut([entryOf(value)]), commitOf(1), options)
          assert.ok(report.records > 5 && slices > report.records / 2, `${report.records} records in ${slices} slices`)
          assert.deepEqual(await foundValue(records), pictureOf(value))
          await records.close()
        }
      })

      it('takes the place of a longer one and of a shorter one, swept or not', async () => {
        for (const sweeps of [false, true]) {
          const records = await openRecords(newFolder(), true)
          const sizes = [30_000, 10_000, 30, 20_000, undefined, 30, 15_000]
          for (const [i, size] of sizes.entries()) {
            const commit = commitOf(i + 1)
            const value = size === undefined ? undefined : kind.make(size)
            await write(records, commit, entryOf(value))
            if (sweeps) assert.equal(await sweep(records, commit), await count(records))
            assert.deepEqual(await foundValue(records), value === undefined ? undefined : pictureOf(value))
          }
          await records.close()
        }
      })

      it('that was changed while it was written is as it was', async () => {
        const keyspace = new Keyspace({ databases: 1 })
        const db = keyspace.databases[0]!
        const key = keyFromText('key')
        const random = seededRandom(5)
        db.write(key, kind.make(25_000), 0)
        const records = await openRecords(newFolder(), true)
        const changing: Records = {
          ...records,
          batch() {
            const value = db.readForWrite(key)!
            for (let i = 0; i < 50; i++) kind.change(value, random)
            db.changed(key)
            return records.batch()
          },
        }
        let now = 0
        const options = { durable: false, sliceMicros: 1000, micros: () => (now += 600) }
        await writeCheckpoint(changing, keyspace.openCheckpoint(), commitOf(1), options)
        assert.deepEqual(await foundValue(records), pictureOf(kind.make(25_000)))
        await writeCheckpoint(records, keyspace.openCheckpoint(), commitOf(2), options)
        assert.deepEqual(await foundValue(records), pictureOf(db.peek(key)!))
        await records.close()
      })
    })

  it('belongs to one process', async () => {
    const folder = newFolder()
    const records = await openRecords(folder, true)
    await assert.rejects(openRecords(folder, true), (error: RecordsError) => error.isTaken)
    await records.close()
  })

  it('says so when it is damaged', async () => {
    const folder = newFolder()
    const records = await openRecords(folder, true)
    const entries = Array.from({ length: 2000 }, (_, i) => entry(`key:${i}`, `value ${i}`.repeat(20)))
    await write(records, commitOf(1), ...entries)
    await records.close()
    // Opened again, LevelDB turns its log into a sorted file.
    await (await openRecords(folder, false)).close()
    const table = readdirSync(folder).find((name) => name.endsWith('.ldb'))
    assert.ok(table !== undefined)
    const bytes = readFileSync(join(folder, table))
    bytes.fill(0x55, 1000, 1400)
    writeFileSync(join(folder, table), bytes)
    const again = await openRecords(folder, false)
    const isSaid = (error: Error): boolean => error instanceof RecordsError || error instanceof RecordError
    await assert.rejects(found(again), isSaid)
    await again.close()
  })
})

describe('a record', () => {
  const NAME = recordKey(7, 0, Buffer.from('key'), 1, false)
  const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')

  it('is the message that record.proto describes', async () => {
    const root = await protobuf.load('store/record.proto')
    const Rec = root.lookupType('rookery.store.Record')
    const value = { type: 'string', bytes: Buffer.from('h\xe9llo', 'latin1'), raw: false } as const
    const fields = Rec.decode(bytesOf(encodeValue(value, 1_700_000_000_123)))
    const read = Rec.toObject(fields, { longs: Number, defaults: true })
    const { check, fieldDeadlines } = read
    assert.deepEqual(read, { type: 0, expireAt: 1_700_000_000_123, value: value.bytes, check, fieldDeadlines })
    const reader = new RecordReader()
    reader.read(NAME, Buffer.from(Rec.encode(Rec.fromObject(read)).finish()).toString('latin1'))
    assert.deepEqual([reader.value(), reader.expireAt, reader.key.text()], [value, 1_700_000_000_123, 'key'])
    const Com = root.lookupType('rookery.store.Commit')
    const libraries = [Buffer.from('#!lua name=one'), Buffer.from('#!lua name=two')]
    const commit = { ...commitOf(9, 7), offset: 2 ** 50, secondOffset: -1, db: 3, libraries }
    assert.deepEqual(Com.toObject(Com.decode(bytesOf(encodeCommit(commit))), { longs: Number, defaults: true }), commit)
    const written = Buffer.from(Com.encode(Com.fromObject(commit)).finish())
    assert.deepEqual(decodeCommit(written.toString('latin1')), commit)
  })

  it('is refused when a byte of it has changed', () => {
    const text = encodeValue({ type: 'string', bytes: Buffer.from('hello'), raw: false }, 0)
    const changed = bytesOf(text)
    changed[4]! ^= 1
    const reader = new RecordReader()
    for (const message of [changed.toString('latin1'), text.slice(0, 5), ''])
      assert.throws(() => reader.read(NAME, message), RecordError)
    assert.throws(() => reader.read(NAME.slice(1), text), RecordError)
  })
})
