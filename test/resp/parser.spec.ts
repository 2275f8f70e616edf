import assert from 'node:assert/strict'
import fc from 'fast-check'
import { encodeRequest } from '../../lib/resp/argv.ts'
import { Ahead, ProtocolError, RequestParser } from '../../lib/resp/parser.ts'

const limits = { maxBulkLength: 512 * 1024 * 1024, unauthenticated: false }

/** Feeds `bytes` in the given pieces, as a socket would, and returns the requests found. At most `most` are taken ahead. */
function parse(bytes: Buffer, cuts: readonly number[] = [], options = limits, most = 0): string[][] {
  const { requests, feed } = reader(options, most)
  for (const piece of split(bytes, cuts)) feed(piece)
  return requests
}

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const edges = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge))
}

/** A parser, what takes a piece of its stream, and the requests it found. */
function reader(options = limits, most = 0): { requests: string[][]; feed: (piece: Buffer) => void } {
  const parser = new RequestParser(options)
  const ahead = new Ahead(most)
  const requests: string[][] = []
  const feed = (piece: Buffer): void => {
    // A chunk of its own, destroyed afterwards: nothing may be kept of it.
    const chunk = Buffer.from(piece)
    parser.feed(chunk)
    for (;;) {
      if (!parser.isAhead) parser.lookAhead(ahead)
      if (!parser.next()) break
      const { argv } = parser
      requests.push(Array.from({ length: argv.count }, (_, n) => argv.text(n)))
      if (argv.rawEnd > 0) {
        const again = encodeRequest(Array.from({ length: argv.count }, (_, n) => argv.own(n)))
        assert.deepEqual(argv.buffer.subarray(argv.rawStart, argv.rawEnd), again)
      }
    }
    parser.settle()
    chunk.fill(0x21)
  }
  return { requests, feed }
}

const asBytes = (requests: readonly (readonly Uint8Array[])[]): Buffer =>
  Buffer.concat(requests.map((parts) => encodeRequest(parts.map((part) => Buffer.from(part)))))
const asTexts = (requests: readonly (readonly Uint8Array[])[]): string[][] =>
  requests.map((parts) => parts.map((part) => Buffer.from(part).toString('latin1')))

const refused = (text: string, options = limits): string => {
  try {
    parse(Buffer.from(text, 'latin1'), [], options)
  } catch (error) {
    if (error instanceof ProtocolError) return error.message
    throw error
  }
  return ''
}

const request = fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 6 })

describe('the request parser', () => {
  it('gives the same arguments however the bytes are split', () => {
    fc.assert(
      fc.property(
        fc.array(request, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        fc.nat(5),
        (requests, cuts, most) => {
          assert.deepEqual(parse(asBytes(requests), cuts, limits, most), asTexts(requests))
        },
      ),
      { numRuns: 500 },
    )
  })

  it('gives each client its own, though what comes in pieces is put together in buffers that go round', () => {
    const client = fc.record({
      requests: fc.array(request, { maxLength: 6 }),
      cuts: fc.array(fc.nat(), { maxLength: 8 }),
    })
    fc.assert(
      fc.property(fc.array(client, { minLength: 2, maxLength: 4 }), fc.infiniteStream(fc.nat()), (clients, order) => {
        const talks = clients.map(({ requests, cuts }) => ({ ...reader(), pieces: split(asBytes(requests), cuts) }))
        for (let left = talks; left.length > 0; left = left.filter(({ pieces }) => pieces.length > 0)) {
          const { feed, pieces } = left[order.next().value! % left.length]!
          if (pieces.length > 0) feed(pieces.shift()!)
        }
        for (const [i, { requests }] of clients.entries()) assert.deepEqual(talks[i]!.requests, asTexts(requests))
      }),
      { numRuns: 500 },
    )
  })

  it('takes one byte at a time', () => {
    const bytes = Buffer.concat([
      encodeRequest(['SET', 'k', 'x'.repeat(300)]),
      Buffer.from('PING\r\n'),
      encodeRequest(['GET', 'k']),
    ])
    const cuts = Array.from(bytes, (_, i) => i)
    assert.deepEqual(parse(bytes, cuts), [['SET', 'k', 'x'.repeat(300)], ['PING'], ['GET', 'k']])
  })

  it('takes large arguments in many chunks', () => {
    const big = 'y'.repeat(3_000_000)
    const bytes = encodeRequest(['SET', 'k', big])
    const cuts = Array.from({ length: Math.floor(bytes.length / 65536) }, (_, i) => (i + 1) * 65536)
    assert.deepEqual(parse(bytes, cuts), [['SET', 'k', big]])
  })

  it('knows the inline form with its quoting', () => {
    assert.deepEqual(parse(Buffer.from('SET a "b\\x41\\n c" \'d e\'\r\n\r\n\nPING\n')), [
      ['SET', 'a', 'bA\n c', 'd e'],
      ['PING'],
    ])
  })

  it('has what was taken ahead, and not asked for, when the next bytes come', () => {
    const parser = new RequestParser(limits)
    const request = (i: number): Buffer => encodeRequest(['ECHO', String(i)])
    const chunk = Buffer.concat([0, 1, 2, 3, 4].map(request))
    const found: string[] = []
    const take = (count: number): void => {
      for (let i = 0; i < count && parser.next(); i++) found.push(parser.argv.text(1))
    }
    parser.feed(chunk)
    assert.equal(parser.lookAhead(new Ahead(4)), 4)
    take(2)
    assert.deepEqual([parser.isAhead, parser.hasMore, parser.pending], [true, true, 3 * request(0).length])
    parser.settle()
    chunk.fill(0x21)
    assert.deepEqual([parser.isAhead, parser.hasMore, parser.pending], [false, true, 3 * request(0).length])
    parser.feed(request(5))
    take(10)
    assert.deepEqual(found, ['0', '1', '2', '3', '4', '5'])
  })

  it('has nothing to do with what another takes ahead by the same means', () => {
    const ahead = new Ahead(4)
    const [one, other] = [new RequestParser(limits), new RequestParser(limits)]
    for (const parser of [one, other]) {
      parser.feed(Buffer.concat([encodeRequest(['ECHO', 'first']), encodeRequest(['ECHO', 'second'])]))
      parser.lookAhead(ahead)
      assert.ok(parser.next())
      if (parser === one) assert.ok(parser.next())
      if (parser === one) parser.settle()
    }
    assert.deepEqual([one.isAhead, one.hasMore, one.pending, one.next()], [false, false, 0, false])
    assert.deepEqual([other.isAhead, other.next(), other.argv.text(1)], [true, true, 'second'])
  })

  it('takes nothing ahead from a large buffer, which would be held', () => {
    const parser = new RequestParser(limits)
    parser.feed(Buffer.concat([encodeRequest(['ECHO', 'x'.repeat(9000)]), encodeRequest(['PING'])]))
    assert.equal(parser.lookAhead(new Ahead(4)), 2)
    const large = new RequestParser(limits)
    large.feed(Buffer.concat(Array.from({ length: 40 }, () => encodeRequest(['ECHO', 'x'.repeat(9000)]))))
    assert.equal(large.lookAhead(new Ahead(4)), 0)
    assert.ok(large.next())
  })

  it('leaves it to `next` to find the error behind what was taken ahead', () => {
    const parser = new RequestParser(limits)
    parser.feed(Buffer.concat([encodeRequest(['PING']), Buffer.from('PING\r\n*1\r\n!')]))
    assert.equal(parser.lookAhead(new Ahead(4)), 1)
    assert.deepEqual([parser.next(), parser.next()], [true, true])
    assert.throws(() => parser.next(), ProtocolError)
  })

  it('skips empty requests', () => {
    assert.deepEqual(parse(Buffer.from('*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n')), [['PING']])
  })

  const errors: [string, string][] = [
    ['*1\r\nPING\r\n', "Protocol error: expected '$', got 'P'"],
    ['*x\r\n', 'Protocol error: invalid multibulk length'],
    ['*2147483648\r\n', 'Protocol error: invalid multibulk length'],
    ['*1\r\n$-1\r\n', 'Protocol error: invalid bulk length'],
    ['*1\r\n$536870913\r\n', 'Protocol error: invalid bulk length'],
    ['*1\r\n$x\r\n', 'Protocol error: invalid bulk length'],
    ['SET "a\r\n', 'Protocol error: unbalanced quotes in request'],
    [`*${'1'.repeat(70_000)}`, 'Protocol error: too big mbulk count string'],
    [`*1\r\n$${'1'.repeat(70_000)}`, 'Protocol error: too big bulk count string'],
    ['a'.repeat(70_000), 'Protocol error: too big inline request'],
  ]
  for (const [text, message] of errors)
    it(`refuses ${JSON.stringify(text.slice(0, 24))}: ${message}`, () => assert.equal(refused(text), message))

  it('grants strangers small requests only', () => {
    const stranger = { ...limits, unauthenticated: true }
    assert.equal(refused('*11\r\n', stranger), 'Protocol error: unauthenticated multibulk length')
    assert.equal(refused('*1\r\n$16385\r\n', stranger), 'Protocol error: unauthenticated bulk length')
    assert.equal(refused('*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n', stranger), '')
  })

  it('never does worse than a ProtocolError, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('*', '$', '1', '2', '0', '-', '\r\n', 'a', '"', "'", '\\x', '\n'), { maxLength: 60 }),
        (parts) => {
          refused(parts.join(''))
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('does not hand out memory for what was only announced', () => {
    const parser = new RequestParser(limits)
    const before = process.memoryUsage().arrayBuffers
    parser.feed(Buffer.from('*1\r\n$500000000\r\nabc'))
    assert.equal(parser.next(), false)
    parser.settle()
    assert.ok(process.memoryUsage().arrayBuffers - before < 8 << 20)
  })
})
