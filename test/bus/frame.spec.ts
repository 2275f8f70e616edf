import assert from 'node:assert/strict'
import fc from 'fast-check'
import { encode } from '../../bus/codec.ts'
import { FrameSplitter } from '../../bus/frame.ts'
import { HEADER_SIZE } from '../../bus/layout.ts'
import { message, vector } from '../support/messages.ts'

describe('bus/frame', () => {
  const streams = fc.array(message.map(encode), { minLength: 1, maxLength: 6 })

  it('gives the same frames however the stream is split', () => {
    fc.assert(
      fc.property(streams, fc.array(fc.nat(), { maxLength: 30 }), (frames, cuts) => {
        assert.deepEqual(split(pieces(Buffer.concat(frames), cuts)), frames)
      }),
    )
  })

  it('gives the same frames byte by byte', () => {
    const frames = [vector('ping-7.0.15.hex'), vector('publish-7.0.15.hex'), vector('update-7.0.15.hex')]
    const stream = Buffer.concat(frames)
    assert.deepEqual(split([...stream.keys()].map((i) => stream.subarray(i, i + 1))), frames)
  })

  it('never writes to a frame it has given away, so messages may borrow it', () => {
    fc.assert(
      fc.property(streams, fc.array(fc.nat(), { maxLength: 10 }), (frames, cuts) => {
        const chunks = pieces(Buffer.concat(frames), cuts)
        const taken = split(chunks)
        const memory = taken.map((frame) => Buffer.from(frame))
        split(chunks)
        assert.deepEqual(taken, memory)
      }),
    )
  })

  it('copies nothing when a frame lies within a chunk', () => {
    const chunk = Buffer.concat([vector('ping-7.0.15.hex'), vector('fail-7.0.15.hex')])
    for (const frame of split([chunk])) assert.equal(frame.buffer, chunk.buffer)
  })

  it('breaks off at bytes that are no bus message, and stays broken', () => {
    for (const prefix of ['GET / HT', 'RCmc\0\0\x08\xd0', 'RCmb\0\0\x08\xcf', 'RCmb\0\0\0\0', 'RCmb\xff\xff\xff\xff']) {
      const frames = new FrameSplitter()
      frames.feed(Buffer.concat([vector('fail-7.0.15.hex'), Buffer.from(prefix, 'latin1'), Buffer.alloc(100)]))
      assert.deepEqual(frames.next(), vector('fail-7.0.15.hex'))
      const broken = { refused: 'Bad message length or signature received from Cluster bus.', fate: 'drop' }
      assert.deepEqual(frames.next(), broken, prefix)
      frames.feed(vector('fail-7.0.15.hex'))
      assert.deepEqual(frames.next(), broken)
    }
  })

  it('judges a message by its first 8 bytes, not later', () => {
    const frames = new FrameSplitter()
    frames.feed(Buffer.from('RCmb\0\0\0', 'latin1'))
    assert.equal(frames.next(), undefined)
    frames.feed(Buffer.from('\x10', 'latin1'))
    assert.ok(frames.next() !== undefined)
  })

  it('refuses what exceeds the limit it was given', () => {
    const frames = new FrameSplitter(HEADER_SIZE)
    frames.feed(vector('auth-req-7.0.15.hex'))
    assert.ok(Buffer.isBuffer(frames.next()))
    frames.feed(vector('fail-7.0.15.hex'))
    assert.ok(!Buffer.isBuffer(frames.next()))
  })

  it('does not take memory for a claimed length, only for bytes that came', () => {
    const before = process.memoryUsage().arrayBuffers
    const open = Array.from({ length: 50 }, () => {
      const frames = new FrameSplitter()
      const start = Buffer.alloc(3000)
      start.write('RCmb')
      start.writeUInt32BE(2 ** 30, 4)
      frames.feed(start)
      assert.equal(frames.next(), undefined)
      return frames
    })
    assert.ok(process.memoryUsage().arrayBuffers - before < open.length * 64 * 1024)
  })
})

function split(chunks: readonly Buffer[]): Buffer[] {
  const frames = new FrameSplitter()
  const taken: Buffer[] = []
  for (const chunk of chunks) {
    frames.feed(chunk)
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      assert.ok(Buffer.isBuffer(frame))
      taken.push(frame)
    }
  }
  return taken
}

/** The stream cut at arbitrary places; empty pieces may occur. */
function pieces(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((n) => n % (stream.length + 1)).sort((a, b) => a - b), stream.length]
  return places.slice(1).map((end, i) => stream.subarray(places[i], end))
}
