import assert from 'node:assert/strict'
import fc from 'fast-check'
import { decode, isRefusal } from '../../bus/codec.ts'
import { Malformed, Reader, Writer } from '../../bus/cursor.ts'
import { extensionSize, readExtension, writeExtension } from '../../bus/extensions.ts'
import type { Extension } from '../../bus/message.ts'
import { extension, vector } from '../support/messages.ts'

const ID = 'c'.repeat(40)
const SHARD = '0123456789abcdef0123456789abcdef01234567'

describe('bus/extensions', () => {
  it('reads the four kinds of a 7.2 node, in its order', () => {
    assert.deepEqual(extensionsIn('constructed-ping-7.2-style-extensions.hex'), [
      { type: 'hostname', text: 'node-one.example' },
      { type: 'human-nodename', text: 'human name' },
      { type: 'forgotten-node', id: ID, ttlSec: 57 },
      { type: 'shard-id', id: SHARD },
    ])
  })

  it('reads the six kinds of a Valkey 8 node, in its order', () => {
    assert.deepEqual(extensionsIn('constructed-ping-valkey8-extensions.hex'), [
      { type: 'hostname', text: 'node-one.example' },
      { type: 'human-nodename', text: 'human name' },
      { type: 'client-ipv4', text: '203.0.113.7' },
      { type: 'client-ipv6', text: '2001:db8::7' },
      { type: 'forgotten-node', id: ID, ttlSec: 57 },
      { type: 'shard-id', id: SHARD },
    ])
  })

  it('takes round_up_8(length + 1) + 8 bytes for a text', () => {
    for (const [length, size] of [
      [0, 16],
      [7, 16],
      [8, 24],
      [16, 32],
    ] as const) {
      assert.equal(extensionSize({ type: 'hostname', text: 'h'.repeat(length) }), size)
    }
  })

  it('come back as they were written, padded to 8 bytes', () => {
    fc.assert(
      fc.property(extension, (e) => {
        const frame = written(e)
        assert.equal(frame.length % 8, 0)
        assert.deepEqual(readExtension(new Reader(frame)), e)
      }),
    )
  })

  it('of unknown types are kept as they are', () => {
    const data = Buffer.from('16 bytes of news')
    assert.deepEqual(readExtension(new Reader(raw(99, data))), { type: 'unknown', code: 99, data })
  })

  it('of known types in another form count as unknown', () => {
    const odd: readonly (readonly [number, Buffer])[] = [
      [0, Buffer.from('line\nend\0\0\0\0\0\0\0\0')],
      [0, Buffer.concat([Buffer.alloc(256, 'h'), Buffer.alloc(8)])],
      [2, Buffer.alloc(8, 'c')],
      [2, Buffer.alloc(40, 'c')],
      [2, Buffer.concat([Buffer.alloc(40, 'C'), Buffer.alloc(8)])],
      [2, Buffer.concat([Buffer.alloc(40, 'c'), Buffer.alloc(8, 0xff)])],
      [3, Buffer.alloc(0)],
      [3, Buffer.alloc(8, 'c')],
      [3, Buffer.alloc(48, 'c')],
      [3, Buffer.alloc(40, 'C')],
    ]
    for (const [code, data] of odd) {
      assert.deepEqual(readExtension(new Reader(raw(code, data))), { type: 'unknown', code, data })
    }
  })

  it('never throw anything but a refusal, whatever their bytes are', () => {
    const hostile = fc.tuple(fc.nat(8), fc.nat(80), fc.uint8Array({ maxLength: 80 }))
    fc.assert(
      fc.property(hostile, ([code, length, bytes]) => {
        const frame = raw(code, Buffer.from(bytes))
        frame.writeUInt32BE(length, 0)
        try {
          readExtension(new Reader(frame))
        } catch (error) {
          assert.ok(error instanceof Malformed)
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('are refused when a length is short, unaligned or beyond the end', () => {
    for (const length of [0, 4, 7, 12, 24, 0x10000, 0xfffffff8]) {
      const frame = raw(0, Buffer.alloc(8))
      frame.writeUInt32BE(length, 0)
      assert.throws(() => readExtension(new Reader(frame)), Malformed, `length ${length}`)
    }
  })

  it('are refused when a text does not end', () => {
    assert.throws(() => readExtension(new Reader(raw(0, Buffer.alloc(8, 'a')))), /missing null terminator/)
  })

  it('are told from those that have the same number with Redis 7.4 and later', () => {
    const secret = Buffer.from('0123456789abcdef'.repeat(3).slice(0, 40))
    const holed = Buffer.from(secret)
    holed[17] = 0
    for (const data of [secret, holed])
      for (const code of [4, 5])
        assert.deepEqual(readExtension(new Reader(raw(code, data))), { type: 'unknown', code, data })
  })

  it('that would not be read by others are our own bug', () => {
    assert.throws(() => written({ type: 'unknown', code: 9, data: Buffer.alloc(0x10000) }), /assertion/)
  })
})

function extensionsIn(file: string): readonly Extension[] {
  const decoded = decode(vector(file))
  assert.ok(!isRefusal(decoded) && 'extensions' in decoded.body)
  return decoded.body.extensions
}

function written(e: Extension): Buffer {
  const out = new Writer(extensionSize(e))
  writeExtension(out, e)
  assert.equal(out.left, 0)
  return out.buffer
}

function raw(code: number, data: Buffer): Buffer {
  const frame = Buffer.concat([Buffer.alloc(8), data])
  frame.writeUInt32BE(frame.length, 0)
  frame.writeUInt16BE(code, 4)
  return frame
}
