/** Values of every type in RDB data, without a server: the captured payloads, old forms, round trips, and damage. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { dumpValue, loadDump } from '../../store/rdb/dump.ts'
import { type RdbItem, RdbReader } from '../../store/rdb/reader.ts'
import { RdbError, UnsupportedTypeError } from '../../store/rdb/source.ts'
import { writeRdb } from '../../store/rdb/writer.ts'
import { encodingName } from '../../store/value.ts'
import { InProcess } from '../support/inprocess.ts'
import type { Argument } from '../support/resp.ts'
import { plain, sealed, someCollection, someValue, stringValue } from './rdb-values.ts'

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

  it('are kept in the encoding they were kept in there', () => {
    for (const { name, encoding, dump_hex: hex } of vectors)
      if (name !== 'str:append') assert.equal(encodingName(loadDump(fromHex(hex))), encoding, name)
  })

  it('are written again byte for byte, unless compressed or of no order', () => {
    let same = 0
    for (const { name, rdb_type: type, dump_hex: hex } of vectors) {
      const written = dumpValue(loadDump(fromHex(hex)), name !== 'str:nocompress')
      assert.equal(written[0], type, name)
      assert.deepEqual(plain(loadDump(written)), plain(loadDump(fromHex(hex))), name)
      if (written.toString('hex') === hex) same++
      else assert.ok(hex.includes('c3') || type === 2 || type === 4, name)
    }
    assert.ok(same > 35, `${same}`)
  })

  it('are what the commands that made them make here', () => {
    const client = new InProcess().connect()
    for (const { name, key, make, make_all: all, dump_hex: hex } of vectors) {
      for (const words of all ?? [make!]) client.call(...words.map(argument))
      client.call('RESTORE', 'restored', 0, fromHex(hex), 'REPLACE')
      assert.deepEqual(
        client.call('DEBUG', 'DIGEST-VALUE', 'restored'),
        client.call('DEBUG', 'DIGEST-VALUE', key),
        name,
      )
      assert.equal(client.call('OBJECT', 'ENCODING', 'restored'), client.call('OBJECT', 'ENCODING', key), name)
    }
  })

  it('that were built by hand are taken or refused as there', () => {
    for (const { name, dump_hex: hex, rdb_type: type, ...vector } of handBuilt) {
      const client = new InProcess().connect()
      // What Redis 7.2 writes we read.
      const isNewer = name.includes('v11') || type === 20 || type === 21
      const reply = isNewer ? 'OK' : vector['restore_reply_7.0.15'].replace(/^-/, '')
      assert.equal(client.outcome('RESTORE', 'key', 0, fromHex(hex)), reply, name)
      if (reply === 'OK' && !isNewer)
        assert.equal(client.call('OBJECT', 'ENCODING', 'key'), vector.encoding_after_restore, name)
    }
  })
})
