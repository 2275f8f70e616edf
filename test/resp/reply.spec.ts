import assert from 'node:assert/strict'
import { Reply } from '../../lib/resp/reply.ts'

function written(resp3: boolean, write: (reply: Reply) => void): string {
  const reply = new Reply()
  reply.resp3 = resp3
  write(reply)
  const parts: Buffer[] = []
  reply.take((bytes) => {
    parts.push(Buffer.from(bytes))
    return true
  })
  assert.equal(reply.length, 0)
  return Buffer.concat(parts).toString('latin1')
}

const table: [string, (reply: Reply) => void, string, string][] = [
  ['ok', (r) => r.ok(), '+OK\r\n', '+OK\r\n'],
  ['an error', (r) => r.error('ERR a\r\nb'), '-ERR a  b\r\n', '-ERR a  b\r\n'],
  ['a small integer', (r) => r.integer(7), ':7\r\n', ':7\r\n'],
  ['a negative integer', (r) => r.integer(-12), ':-12\r\n', ':-12\r\n'],
  ['a big integer', (r) => r.integer(2n ** 62n), ':4611686018427387904\r\n', ':4611686018427387904\r\n'],
  ['a bulk string', (r) => r.bulk(Buffer.from('héllo')), '$6\r\nh\xc3\xa9llo\r\n', '$6\r\nh\xc3\xa9llo\r\n'],
  ['a name', (r) => r.name('h\xe9llo'), '$5\r\nh\xe9llo\r\n', '$5\r\nh\xe9llo\r\n'],
  [
    'a long name',
    (r) => r.name('\xe9'.repeat(1000)),
    `$1000\r\n${'\xe9'.repeat(1000)}\r\n`,
    `$1000\r\n${'\xe9'.repeat(1000)}\r\n`,
  ],
  ['an empty bulk string', (r) => r.bulk(Buffer.alloc(0)), '$0\r\n\r\n', '$0\r\n\r\n'],
  ['null', (r) => r.nil(), '$-1\r\n', '_\r\n'],
  ['a null array', (r) => r.nilArray(), '*-1\r\n', '_\r\n'],
  ['a map', (r) => r.map(12), '*24\r\n', '%12\r\n'],
  ['a set', (r) => r.set(3), '*3\r\n', '~3\r\n'],
  ['a push', (r) => r.push(3), '*3\r\n', '>3\r\n'],
  ['a boolean', (r) => r.boolean(true), ':1\r\n', '#t\r\n'],
  ['a double', (r) => r.double('1.5'), '$3\r\n1.5\r\n', ',1.5\r\n'],
  ['verbatim text', (r) => r.verbatim('ab'), '$2\r\nab\r\n', '=6\r\ntxt:ab\r\n'],
]

describe('replies', () => {
  for (const [name, write, resp2, resp3] of table)
    it(`write ${name} in both protocols`, () => {
      assert.equal(written(false, write), resp2)
      assert.equal(written(true, write), resp3)
    })

  it('keep large strings in order without copying them', () => {
    const large = Buffer.alloc(100_000, 'z')
    const text = written(false, (r) => {
      r.integer(1)
      r.bulk(large)
      r.integer(2)
    })
    assert.equal(text, `:1\r\n$100000\r\n${large.toString()}\r\n:2\r\n`)
  })

  it('can be taken back to a mark, also across a large string', () => {
    for (const size of [10, 100_000]) {
      const text = written(false, (r) => {
        r.simple('keep')
        const mark = r.length
        r.bulk(Buffer.alloc(size))
        r.simple('gone')
        r.rewind(mark)
        r.simple('end')
      })
      assert.equal(text, '+keep\r\n+end\r\n')
    }
  })

  const numbers = (r: Reply, count: number): string => {
    for (let i = 0; i < count; i++) r.integer(i)
    return Array.from({ length: count }, (_, i) => `:${i}\r\n`).join('')
  }

  it('are a row of parts when they are long, none of which was copied to a larger place', () => {
    const reply = new Reply()
    const whole = numbers(reply, 200_000)
    const parts: string[] = []
    reply.take((bytes) => {
      assert.ok(bytes.buffer.byteLength <= 128 * 1024)
      parts.push(bytes.latin1Slice())
      return true
    })
    assert.equal(parts.join(''), whole)
  })

  it('get the head of an array when its elements have been counted, wherever they lie by then', () => {
    for (const before of [0, 5, 30_000])
      for (const count of [0, 3, 50_000]) {
        let expected = ''
        const text = written(true, (r) => {
          const first = numbers(r, before)
          const mark = r.length
          const elements = numbers(r, count)
          r.arrayFrom(mark, count)
          r.setFrom(mark, 1)
          r.ok()
          expected = `${first}~1\r\n*${count}\r\n${elements}+OK\r\n`
          assert.equal(r.length, expected.length)
        })
        assert.equal(text, expected)
      }
  })

  it('are counted but not kept when they are too long to be sent', () => {
    const reply = new Reply()
    reply.isTooLong = (bytes) => bytes >= 500_000
    const mark = reply.length
    const whole = numbers(reply, 200_000)
    reply.arrayFrom(mark, 200_000)
    assert.equal(reply.length, whole.length + '*200000\r\n'.length)
    let kept = 0
    reply.take((bytes) => {
      kept += bytes.length
      return true
    })
    assert.ok(kept < 128 * 1024)
  })
})
