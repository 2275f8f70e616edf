/** Values of every type in RDB data, without a server: the captured payloads, old forms, round trips, and damage. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { dumpValue, loadDump } from '../../store/rdb/dump.ts'
import { RdbError, UnsupportedTypeError } from '../../store/rdb/source.ts'
import { encodingName, type Value } from '../../store/value.ts'
import { InProcess } from '../support/inprocess.ts'
import type { Argument } from '../support/resp.ts'
import { assertSound, plain, sealed, someCollection, someValue, streamBody } from './rdb-values.ts'

const fixture = (name: string): string => readFileSync(`test/fixtures/vectors/${name}`, 'latin1')
const fromHex = (text: string): Buffer => Buffer.from(text, 'hex')

type Word = string | { readonly hex: string }

interface DumpVector {
  readonly name: string
  readonly type: string
  readonly key: string
  readonly make?: readonly Word[]
  readonly make_all?: readonly (readonly Word[])[]
  readonly value?: unknown
  readonly encoding: string
  readonly rdb_type: number
  readonly dump_hex: string
  readonly encoding_after_restore: string | null
  readonly 'restore_reply_7.0.15': string
}

const vectors = JSON.parse(fixture('dump-vectors.json')) as DumpVector[]
const newer = JSON.parse(fixture('dump-vectors-newer.json')) as readonly { readonly dump_hex: string }[]
const handBuilt = JSON.parse(fixture('dump-vectors-handbuilt.json')) as DumpVector[]
const argument = (word: Word): Argument => (typeof word === 'string' ? Buffer.from(word, 'latin1') : fromHex(word.hex))

/** A decoded vector in the form of `plain`. */
function decoded({ type, value }: DumpVector): unknown {
  if (type === 'string')
    return typeof value === 'string' ? value : fromHex((value as { hex: string }).hex).latin1Slice()
  if (type === 'stream') return value
  const words = (value as unknown[]).flat().map(String)
  if (type === 'list') return words
  if (type === 'set') return words.sort()
  const pairs = words.flatMap((word, i) => (i % 2 === 0 ? [[word, words[i + 1]!] as const] : []))
  if (type === 'hash') return [...pairs].sort()
  return [...pairs]
    .sort(([, a], [, b]) => toNumber(a) - toNumber(b))
    .map(([member, score]) => [member, score === '0.1' ? '0.10000000000000001' : score])
}

const toNumber = (text: string): number => Number(text.replace('inf', 'Infinity'))

describe('DUMP payloads of a real server', () => {
  it('are read as the values they were made of', () => {
    const known = vectors.filter(({ value }) => value !== undefined)
    assert.ok(known.length > 45)
    for (const vector of known)
      assert.deepEqual(plain(loadDump(fromHex(vector.dump_hex))), decoded(vector), vector.name)
  })

  it('are written again byte for byte, unless a compressor or a hash function has a say', () => {
    for (const { name, rdb_type: type, dump_hex: hex } of vectors) {
      const value = loadDump(fromHex(hex))
      const written = [true, false].map((compress) => dumpValue(value, compress))
      if (written.some((payload) => payload.toString('hex') === hex)) continue
      for (const payload of written) {
        assert.equal(payload[0], type, name)
        assert.deepEqual(plain(loadDump(payload)), plain(value), name)
      }
      assert.ok(hex.includes('c3') || type === 2 || type === 4, name)
    }
  })

  it('are what the commands that made them make here, kept in the same encoding', () => {
    const client = new InProcess().connect()
    for (const { name, type, key, make, make_all: all, encoding, dump_hex: hex } of vectors) {
      for (const words of all ?? [make!]) client.call(...words.map(argument))
      client.call('RESTORE', 'restored', 0, fromHex(hex), 'REPLACE')
      assert.deepEqual(
        client.call('DEBUG', 'DIGEST-VALUE', 'restored'),
        client.call('DEBUG', 'DIGEST-VALUE', key),
        name,
      )
      assert.equal(client.call('OBJECT', 'ENCODING', key), encoding, name)
      if (type !== 'string') assert.equal(client.call('OBJECT', 'ENCODING', 'restored'), encoding, name)
    }
  })

  it('that were built by hand are taken or refused as there', () => {
    const client = new InProcess().connect()
    for (const { name, dump_hex: hex, rdb_type: type, ...vector } of handBuilt) {
      // What Redis 7.2 writes we read.
      const isNewer = name.includes('v11') || type === 20 || type === 21
      const reply = isNewer ? 'OK' : vector['restore_reply_7.0.15'].replace(/^-/, '')
      assert.equal(client.outcome('RESTORE', name, 0, fromHex(hex)), reply, name)
      if (reply === 'OK' && !isNewer)
        assert.equal(client.call('OBJECT', 'ENCODING', name), vector.encoding_after_restore, name)
    }
  })

  it('of modules are refused by name, and unknown types as badly formatted', () => {
    assert.throws(() => loadDump(sealed('07 81 0000000000000001 00')), {
      constructor: UnsupportedTypeError,
      message: 'unsupported type module value (7)',
    })
    for (const code of ['16', '18 01', '19', '63']) assert.throws(() => loadDump(sealed(code)), BAD_FORMAT)
  })
})

describe('Streams in RDB data', () => {
  it('are the same in all three forms', () => {
    const [first, second, third] = ([1, 2, 3] as const).map((form) => plain(loadDump(sealed(streamBody(form, '0501')))))
    assert.deepEqual(first, second)
    assert.deepEqual(third, second)
  })

  it('without entries are values like others', () => {
    const body = '13 00 00 0707 0000 0000 01 00'
    assert.deepEqual(plain(loadDump(sealed(body))), {
      entries: [],
      length: 0,
      last: [7, 7],
      first: [0, 0],
      maxdel: [0, 0],
      added: 1,
      groups: [],
    })
  })

  it('of a writer that never names fields in the master entry are taken', () => {
    const pack = '1f000000 0b00 0101 0001 0001 0001 0001 0001 0001 0101 816602 817602 0601 ff'
    const body = `13 01 10 00000000000000050000000000000001 1f ${pack} 01 0501 0501 0000 01 00`
    assert.deepEqual((plain(loadDump(sealed(body))) as { entries: unknown }).entries, [['5-1', ['f', 'v']]])
  })
})

const BAD_FORMAT = { constructor: RdbError, message: 'Bad data format' }

/** Bodies that no server writes. Some a real server loads all the same, and may fall over later. */
const SENSELESS: readonly (readonly [what: string, body: string])[] = [
  ['an empty list', '01 00'],
  ['an empty set', '02 00'],
  ['an empty hash', '04 00'],
  ['an empty sorted set', '05 00'],
  ['an empty intset', '0b 08 0200000000000000'],
  ['an empty listpack as hash', '10 07 07000000 0000 ff'],
  ['a list of empty nodes', '12 02 02 07 07000000 0000 ff 02 07 07000000 0000 ff'],
  ['a list of an unknown kind of node', '12 01 03 0161'],
  ['a member twice', '02 02 0161 0161'],
  ['a field twice', '04 02 0161 0162 0161 0163'],
  ['a scored member twice', '05 02 0161 000000000000f03f 0161 0000000000000040'],
  ['a score that is no number', '05 01 0161 000000000000f87f'],
  ['a score in words that is no number', '03 01 0161 fd'],
  ['a score in words that is none', '03 01 0161 03 312e78'],
  ['a field without a value', '10 0a 0a000000 0100 8161 02 ff'],
  ['a packed field twice', '10 0f 0f000000 0400 0101 0201 0101 0301 ff'],
  ['packed members out of order', '11 0f 0f000000 0400 0101 0201 0201 0101 ff'],
  ['a packed score that is no number', '11 0c 0c000000 0200 0101 8178 02 ff'],
  ['a packed member twice', '14 0b 0b000000 0200 0101 0101 ff'],
  ['a listpack that claims another length', '10 0b 0c000000 0200 0101 0201 ff'],
  ['a listpack that claims another count', '10 0b 0b000000 0100 0101 0201 ff'],
  ['an entry that reaches beyond its listpack', '10 0b 0b000000 0200 0101 8b01 ff'],
  ['an entry with a wrong length at its end', '10 0b 0b000000 0200 0102 0201 ff'],
  ['an intset out of order', '0b 0c 0200000002000000 0200 0100'],
  ['an intset of another width', '0b 0b 0300000001000000 010000'],
  ['a ziplist with a wrong tail', '0a 0d 0d000000 0b000000 0100 00f2 ff'],
  ['a ziplist with a wrong count', '0a 0d 0d000000 0a000000 0200 00f2 ff'],
  ['a ziplist with a wrong length before', '0a 0f 0f000000 0c000000 0200 00f2 01f2 ff'],
  ['a ziplist string beyond the end', '0a 0e 0e000000 0a000000 0100 000561 ff'],
  ['a ziplist integer beyond the end', '0a 0d 0d000000 0a000000 0100 00c0 ff'],
  ['a ziplist field without a value', '0d 0d 0d000000 0a000000 0100 00f2 ff'],
  ['a stream whose last id is before its last entry', streamBody(2, '0501').replace('01 0501 0501', '01 0500 0501')],
  ['a stream that claims another length', streamBody(2, '0501').replace('01 0501 0501', '02 0501 0501')],
  ['a stream with an id of fifteen bytes', '13 01 0f 000000000000000500000000000000'],
  ['an entry pending for nobody', streamBody(2, '0501').replace(/01 \w{32}$/, '00')],
  ['a zipmap with a wrong count', '09 07 02 0161 01 00 62 ff'],
  ['a zipmap value beyond the end', '09 07 01 0161 02 00 62 ff'],
  ['a zipmap with free bytes beyond the end', '09 07 01 0161 01 05 62 ff'],
  ['a zipmap without an end', '09 06 01 0161 01 00 62'],
]

describe('Payloads that are whole but senseless', () => {
  for (const [what, body] of SENSELESS)
    it(`are refused: ${what}`, () => {
      assert.throws(() => loadDump(sealed(body)), BAD_FORMAT)
    })
})

describe('Any value', () => {
  it('comes back from its payload as it was', () => {
    fc.assert(
      fc.property(someValue, fc.boolean(), (value, compress) => {
        assert.deepEqual(plain(loadDump(dumpValue(value, compress))), plain(value))
      }),
    )
  })

  it('comes back in the encoding it was in, under the usual limits', () => {
    fc.assert(
      fc.property(someCollection, (value) => {
        const once = loadDump(dumpValue(value))
        assert.equal(encodingName(loadDump(dumpValue(once))), encodingName(once))
      }),
    )
  })

  it('is refused when its payload ends too early', () => {
    fc.assert(
      fc.property(someCollection, fc.nat(), (value, cut) => {
        const body = dumpValue(value).subarray(0, -10)
        assert.throws(() => loadDump(sealed(body.subarray(0, cut % body.length))), BAD_FORMAT)
      }),
    )
  })

  it('does not share memory with what it was read from', () => {
    fc.assert(
      fc.property(someValue, (value) => {
        const payload = dumpValue(value, false)
        const loaded = loadDump(payload)
        payload.fill(0xff)
        assert.deepEqual(plain(loaded), plain(value))
      }),
    )
  })

  it('is refused or sound when its payload was damaged and sealed again', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xfe, 0xff))), {
      minLength: 1,
      maxLength: 3,
    })
    fc.assert(
      fc.property(someCollection, damage, fc.integer({ min: -3, max: 3 }), (value, changes, longer) => {
        const body = dumpValue(value, false).subarray(0, -10)
        for (const [at, byte] of changes) body[at % body.length] = byte
        assertRefusedOrSound(longer < 0 ? body.subarray(0, longer) : Buffer.concat([body, Buffer.alloc(longer)]))
      }),
      { numRuns: 500 },
    )
  })

  it('of an old or newer form is refused or sound when its payload was damaged and sealed again', () => {
    for (const { dump_hex: hex } of [...handBuilt, ...newer]) {
      const body = fromHex(hex).subarray(0, -10)
      for (let at = 0; at < Math.min(body.length, 200); at++)
        for (const byte of [0, 1, 2, 0x40, 0x80, 0xc0, 0xfe, 0xff]) {
          const damaged = Buffer.from(body)
          damaged[at] = byte
          assertRefusedOrSound(damaged)
        }
    }
  })
})

/** Loads a body; what is not refused has to be a value that all operations can rely on. */
function assertRefusedOrSound(body: Buffer): void {
  let value: Value
  try {
    value = loadDump(sealed(body))
  } catch (error) {
    assert.ok(error instanceof RdbError, String(error))
    return
  }
  assertSound(value)
  assert.deepEqual(plain(loadDump(dumpValue(value))), plain(value))
}
