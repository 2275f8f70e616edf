/** RDB data without a server: the captured vectors, round trips, and damage. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { Crc64 } from '../../store/rdb/crc64.ts'
import { dumpValue, loadDump } from '../../store/rdb/dump.ts'
import { lzfCompress, lzfDecompress } from '../../store/rdb/lzf.ts'
import { type RdbItem, RdbReader } from '../../store/rdb/reader.ts'
import { Sink } from '../../store/rdb/sink.ts'
import { RdbError } from '../../store/rdb/source.ts'
import { type RdbEntry, type RdbOptions, writeRdb } from '../../store/rdb/writer.ts'
import { plain, sealed, someValue, stringValue } from './rdb-values.ts'

const fixture = (name: string): string => readFileSync(`test/fixtures/vectors/${name}`, 'latin1')
const hexFixture = (name: string): Buffer => Buffer.from(fixture(name).replace(/\s/g, ''), 'hex')

const fromHex = (text: string): Buffer => Buffer.from(text, 'hex')

describe('CRC64', () => {
  it('agrees with the captured checksums, in one piece and in several', () => {
    const { crc64_jones: rows } = JSON.parse(fixture('misc-vectors.json')) as Misc
    for (const { data_hex: hex, crc64_hex: expected } of rows) {
      const bytes = fromHex(hex)
      const half = bytes.length >> 1
      assert.equal(new Crc64().update(bytes).bytes().reverse().toString('hex'), expected)
      const pieces = new Crc64().update(bytes, 0, half).update(bytes, half).bytes()
      assert.equal(pieces.reverse().toString('hex'), expected)
    }
  })

  it('takes eight bytes at a time to the same result as one by one', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const slow = new Crc64()
        for (let i = 0; i < bytes.length; i++) slow.update(bytes, i, i + 1)
        const fast = new Crc64().update(bytes)
        assert.deepEqual(fast.bytes(), slow.bytes())
      }),
    )
  })
})

interface Misc {
  readonly crc64_jones: readonly { readonly data_hex: string; readonly crc64_hex: string }[]
}

/** Text with repetitions near and far, and some noise. */
const repetitive = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 900 })), { maxLength: 12 })
  .map((runs) => Buffer.concat(runs.flatMap(([bytes, times]) => Array.from({ length: times }, () => bytes))))

describe('LZF', () => {
  it('gives back what went in, at least four bytes smaller, or declines', () => {
    fc.assert(
      fc.property(repetitive, (input) => {
        const compressed = lzfCompress(input)
        if (compressed === undefined) return
        assert.ok(compressed.length <= input.length - 4)
        assert.deepEqual(lzfDecompress(compressed, input.length), input)
      }),
    )
  })

  it('gives equal output for equal input, whatever was compressed before', () => {
    const input = Buffer.from('abcabcabcabcabcabcabc, abcdefghabcdefgh')
    const first = Buffer.from(lzfCompress(input)!)
    lzfCompress(Buffer.from('defghabc'.repeat(100)))
    assert.deepEqual(lzfCompress(input), first)
  })

  it('refuses input that reads before the start, past the end, or makes another length', () => {
    const refused: readonly (readonly [hex: string, length: number])[] = [
      ['2000', 3],
      ['0261', 3],
      ['0061', 2],
      ['006120', 5],
      ['0061e0', 9],
      ['00612000', 3],
      ['0061', 1_000_000],
    ]
    for (const [hex, length] of refused) assert.equal(lzfDecompress(fromHex(hex), length), undefined, hex)
  })
})

describe('DUMP payloads', () => {
  it('are refused when damaged, cut short, from a newer version or without a checksum', () => {
    const good = dumpValue(stringValue(Buffer.from('hello')))
    const refusal = { message: 'DUMP payload version or checksum are wrong' }
    for (let i = 0; i < good.length; i++) {
      const damaged = Buffer.from(good)
      damaged[i]! ^= 0x10
      assert.throws(() => loadDump(damaged), refusal)
      assert.throws(() => loadDump(good.subarray(0, i)), refusal)
    }
    assert.throws(() => loadDump(Buffer.concat([good.subarray(0, -8), Buffer.alloc(8)])), refusal)
    assert.throws(() => loadDump(sealed('0005 68656c6c6f', 13)), refusal)
  })

  it('are refused as badly formatted when whole but senseless', () => {
    for (const hex of ['', '00', '000568', '0081ffffffffffffffff', '00c4', '00c3036406160000', '63', '00bf'])
      assert.throws(() => loadDump(sealed(hex, 10)), { message: 'Bad data format' }, hex)
  })

  it('round-trip any string', () => {
    fc.assert(
      fc.property(someString, (bytes) => {
        assert.deepEqual(loadDump(dumpValue(stringValue(bytes))), stringValue(bytes))
      }),
    )
  })

  it('have a string in the one form that RDB files have it in, of whatever length', () => {
    for (const length of [0, 1, 11, 12, 20, 21, 63, 64, 255, 16_383, 16_384, 16_385])
      for (const first of ['7', 'x'])
        for (const compress of [true, false]) {
          const bytes = Buffer.from(first.padEnd(length, '7').slice(0, length))
          const body = new Sink(compress)
          body.u8(0)
          body.string(bytes)
          const payload = dumpValue(stringValue(bytes), compress)
          assert.deepEqual(payload, sealed(Buffer.concat(body.take())), `${first}... of ${length}`)
          assert.deepEqual(loadDump(payload), stringValue(bytes))
        }
  })
})

const integerText = fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map((value) => Buffer.from(String(value)))
const someString = fc.oneof(fc.uint8Array({ maxLength: 200 }).map(Buffer.from), repetitive, integerText)
const plainOptions: RdbOptions = { aux: [], compress: true }
const written = (entries: Iterable<RdbEntry>, options: RdbOptions = plainOptions): Buffer =>
  Buffer.concat([...writeRdb(entries, options)])

/** All items of a file that is fed in pieces of `size` bytes. */
function itemsOf(file: Buffer, size = file.length): RdbItem[] {
  const reader = new RdbReader()
  const items: RdbItem[] = []
  for (let at = 0; at < file.length; at += size) items.push(...reader.feed(file.subarray(at, at + size)))
  assert.ok(reader.done)
  return items
}

const someEntry: fc.Arbitrary<RdbEntry> = fc.record({
  db: fc.constant(0),
  key: fc.uint8Array({ maxLength: 40 }).map(Buffer.from),
  value: fc.oneof(someValue, someString.map(stringValue)),
  expireAt: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 4_000_000_000_000 })),
})

/** What a file says of a key, comparable. */
const plainKey = ({ db, key, value, expireAt }: RdbEntry): unknown => [db, key.toString(), plain(value), expireAt]

/** Reads a file in two pieces: its keys with their values and deadlines, and what is behind it. */
function readFile(file: Buffer, cut: number): { keys: Record<string, unknown>; rest: string; skipped: number } {
  const reader = new RdbReader()
  const keys: Record<string, unknown> = {}
  for (const part of [file.subarray(0, cut), file.subarray(cut)])
    for (const item of reader.feed(part))
      if (item.type === 'key') keys[`${item.db}:${item.key}`] = [plain(item.value), item.expireAt]
  assert.ok(reader.done)
  return { keys, rest: reader.rest().latin1Slice(), skipped: reader.skipped }
}

const pairs = (text: string): string[][] => text.split(' ').map((pair) => pair.split('='))

/** What is in the files of many types: see the vectors' README. */
const manyTypes = (streamTime: number): Record<string, unknown> => ({
  '0:intset': [['1', '2', '300'], 0],
  '0:ttl': ['x', 4102444800123],
  '0:zset': [pairs('a=1 b=2.5'), 0],
  '0:str': ['hello', 0],
  '0:lzf': ['a'.repeat(200), 0],
  '0:list': [['a', '1', 'b'], 0],
  '0:hashbig': [pairs(`f=${'v'.repeat(70)}`), 0],
  '0:big': ['12345678901', 0],
  '0:int32': ['100000', 0],
  '0:stream': [readStream(streamTime), 0],
  '0:zsetbig': [pairs(`n=-inf ${'m'.repeat(70)}=1.5`), 0],
  '0:int16': ['1000', 0],
  '0:hash': [pairs('f=v n=1'), 0],
  '0:int8': ['12', 0],
  '0:set': [['a', 'b', 'c'], 0],
  '2:other': ['1', 0],
})

const readStream = (time: number): unknown => ({
  entries: [
    ['1-1', ['f', 'v']],
    ['1-2', ['f', 'w']],
  ],
  length: 2,
  last: [1, 2],
  first: [1, 1],
  maxdel: [0, 0],
  added: 2,
  groups: [
    {
      name: 'g',
      last: [1, 1],
      entries_read: 1,
      pel: [['1-1', time, 1]],
      cons: [{ name: 'c', seen: time, pel: ['1-1'] }],
    },
  ],
})

describe('RDB files', () => {
  it('round-trip, however the bytes are split', () => {
    const random = fc.tuple(fc.array(someEntry, { maxLength: 8 }), fc.integer({ min: 1, max: 300 }))
    fc.assert(
      fc.property(random, ([entries, size]) => {
        const keys = itemsOf(written(entries), size).map((item) => item.type === 'key' && plainKey(item))
        assert.deepEqual(keys, entries.map(plainKey))
      }),
    )
  })

  it('carry facts, sizes, libraries and databases in a real server order', () => {
    const value = stringValue(Buffer.from('v'))
    const entries = [0, 0, 3].map((db, i) => ({ db, key: Buffer.from(`k${i}`), value, expireAt: 0 }))
    const file = written(entries, {
      aux: [
        ['redis-ver', '7.0.15'],
        ['repl-offset', '8328'],
      ],
      sizes: (db) => ({ keys: db === 0 ? 2 : 1, expires: 0 }),
      libraries: [Buffer.from('#!lua name=mylib')],
      compress: true,
    })
    assert.deepEqual(
      itemsOf(file).map((item) => (item.type === 'key' ? `${item.db}:${item.key.toString()}` : item.type)),
      ['aux', 'aux', 'library', 'sizes', '0:k0', '0:k1', 'sizes', '3:k2'],
    )
  })

  it('of a real full synchronisation are read at every split, up to their end and no further', () => {
    for (const name of ['fullsync-eof-received-7.0.15.hex', 'fullsync-len-received-7.0.15.hex']) {
      const received = hexFixture(name)
      const file = received.subarray(received.indexOf('REDIS0010'))
      const whole = readFile(file, file.length)
      assert.ok(Object.keys(whole.keys).length > 0 && whole.rest.length > 0)
      for (let cut = 1; cut < file.length; cut++) assert.deepEqual(readFile(file, cut), whole)
    }
  })

  it('of a real server with every common type are read at every split', () => {
    const file = Buffer.from(fixture('rdb-7.0.15-many-types.b64'), 'base64')
    const expected = { keys: manyTypes(1795217940226), rest: '', skipped: 0 }
    for (let cut = 1; cut <= file.length; cut++) assert.deepEqual(readFile(file, cut), expected)
  })

  it('of servers that evict are read like others', () => {
    for (const [name, streamTime] of [
      ['lru-idle-opcodes', 1795217940231],
      ['lfu-freq-opcodes', 1795217940235],
    ] as const) {
      const file = Buffer.from(fixture(`rdb-7.0.15-${name}.b64`), 'base64')
      assert.deepEqual(readFile(file, file.length).keys, manyTypes(streamTime))
    }
  })

  it('leave out collections without elements, and nothing else', () => {
    const body = fromHex(
      'fc0010000000000000 01 0161 00 | 10 0162 07 07000000 0000 ff | 00 0163 0178 | ff'.replaceAll(/[ |]/g, ''),
    )
    const { keys, skipped } = readFile(Buffer.concat([Buffer.from('REDIS0010'), body, Buffer.alloc(8)]), 9)
    assert.deepEqual(keys, { '0:c': ['x', 0] })
    assert.equal(skipped, 2)
  })

  it('of types that we cannot hold are refused by type, key and database: nothing is lost in silence', () => {
    const body = fromHex('fe02 07 0161 81 0000000000000001 00 ff'.replaceAll(' ', ''))
    assert.throws(() => itemsOf(Buffer.concat([Buffer.from('REDIS0010'), body, Buffer.alloc(8)])), {
      message: 'unsupported type module value (7), key "a" of database 2',
    })
  })

  it('leave the bytes behind them to others', () => {
    const file = written([{ db: 0, key: Buffer.from('k'), value: stringValue(Buffer.from('v')), expireAt: 0 }])
    for (let cut = 0; cut <= file.length + 4; cut++) {
      const reader = new RdbReader()
      const all = Buffer.concat([file, Buffer.from('*1\r\n')])
      for (const part of [all.subarray(0, cut), all.subarray(cut)]) for (const _ of reader.feed(part));
      assert.ok(reader.done)
      assert.equal(reader.rest().toString(), '*1\r\n')
    }
  })

  it('of versions before 5 have no checksum, and a checksum of zero is not checked', () => {
    const body = Buffer.from('\x00\x01k\x01v\xff', 'latin1')
    assert.equal(itemsOf(Buffer.concat([Buffer.from('REDIS0003'), body])).length, 1)
    assert.equal(itemsOf(Buffer.concat([Buffer.from('REDIS0009'), body, Buffer.alloc(8)])).length, 1)
  })

  it('carry deadlines in seconds and in milliseconds, and idle times, for the next key only', () => {
    const hex = 'fd01000000 f901 00 016101 78 | f840ff fce803000000000000 00 0162 0178 | f4010203 00 0163 0178 ff'
    const file = Buffer.concat([Buffer.from('REDIS0011'), fromHex(hex.replaceAll(/[ |]/g, '')), Buffer.alloc(8)])
    const facts = itemsOf(file).flatMap((item) => (item.type === 'key' ? [[item.expireAt, item.idleSeconds]] : []))
    assert.deepEqual(facts, [
      [1000, undefined],
      [1000, 255],
      [0, undefined],
    ])
  })

  it('are refused when damaged, too new, or of something else', () => {
    const file = written([{ db: 0, key: Buffer.from('key'), value: stringValue(Buffer.from('value')), expireAt: 0 }])
    const damaged = Buffer.from(file)
    damaged[file.indexOf('value')]! ^= 1
    const refused: readonly (readonly [Buffer, RegExp])[] = [
      [damaged, /checksum/],
      [Buffer.from('REDIS0013xx'), /version 13/],
      [Buffer.from('GARBAGE11'), /signature/],
      [Buffer.from('REDIS0010\xf7\x05\x02\x02\x00', 'latin1'), /module/],
      [Buffer.from('REDIS0010\x7f\x01k\x01v', 'latin1'), /unknown value type 127, key "k"/],
    ]
    for (const [bytes, message] of refused)
      assert.throws(
        () => itemsOf(bytes),
        (error) => error instanceof RdbError && message.test(error.message),
      )
  })

  it('are made chunk by chunk as their keys are pulled', () => {
    let pulled = 0
    function* entries(): Generator<RdbEntry> {
      for (; pulled < 10_000; pulled++)
        yield { db: 0, key: Buffer.from(`key:${pulled}`), value: stringValue(Buffer.alloc(100, pulled)), expireAt: 0 }
    }
    const first = writeRdb(entries(), { aux: [], compress: false }).next()
    assert.ok(!first.done && pulled < 1000)
  })
})
