/** Pipelines of which the next requests are looked at before they are carried out. */
import assert from 'node:assert/strict'
import { InProcess } from '../support/inprocess.ts'
import { encode } from '../support/resp.ts'

const KEYS = 10_000

describe('a pipeline on many keys', () => {
  /** A server with so many keys that it is worth to look ahead. */
  function filled(): InProcess {
    const inner = new InProcess()
    const client = inner.connect()
    client.raw(Buffer.concat(Array.from({ length: KEYS }, (_, i) => encode(['SET', `key:${i}`, i]))))
    return inner
  }

  it('answers each request in its turn, with what those before it have changed', () => {
    const inner = filled()
    const client = inner.connect()
    const requests = [
      ['GET', 'key:7'],
      ['SET', 'key:7', 'new'],
      ['GET', 'key:7'],
      ['DEL', 'key:8'],
      ['GET', 'key:8'],
      ['SELECT', '1'],
      ['GET', 'key:9'],
      ['SET', 'key:9', 'other'],
      ['SELECT', '0'],
      ['GET', 'key:9'],
      ['FLUSHALL'],
      ['GET', 'key:10'],
      ['PING'],
      ['NOSUCH', 'x'.repeat(1000)],
      ['DBSIZE'],
    ]
    const text = client.raw(Buffer.concat(requests.map(encode))).toString('latin1')
    const expected = [
      '$1',
      '7',
      '+OK',
      '$3',
      'new',
      ':1',
      '$-1',
      '+OK',
      '$-1',
      '+OK',
      '+OK',
      '$1',
      '9',
      '+OK',
      '$-1',
      '+PONG',
    ]
    assert.deepEqual(text.split('\r\n').slice(0, expected.length), expected)
    assert.match(text, /-ERR unknown command 'NOSUCH'.*\r\n:0\r\n$/)
  })

  it('goes on behind a request that waits when it waits no more, with what came meanwhile behind that', () => {
    const inner = filled()
    const [client, other] = [inner.connect(), inner.connect()]
    const pipeline = [['BLPOP', 'list', '0'], ...Array.from({ length: 40 }, (_, i) => ['GET', `key:${i}`])]
    assert.equal(client.raw(Buffer.concat(pipeline.map(encode))).length, 0)
    client.raw(encode(['ECHO', 'last']))
    other.raw(Buffer.concat(Array.from({ length: 40 }, (_, i) => encode(['SET', `key:${i}`, `changed ${i}`]))))
    other.call('RPUSH', 'list', 'element')
    const values = Array.from({ length: 40 }, (_, i) => `$${`changed ${i}`.length}\r\nchanged ${i}\r\n`).join('')
    assert.equal(client.taken().toString(), `*2\r\n$4\r\nlist\r\n$7\r\nelement\r\n${values}$4\r\nlast\r\n`)
  })

  it('carries out nothing behind QUIT', () => {
    const inner = filled()
    const client = inner.connect()
    assert.equal(client.raw(Buffer.concat([encode(['QUIT']), encode(['DEL', 'key:1'])])).toString(), '+OK\r\n')
    assert.equal(inner.connect().call('EXISTS', 'key:1'), 1)
  })
})

describe('a pipeline on many members of one key', () => {
  const MEMBERS = 5000

  /** The replies to a pipeline, one after the other. */
  const replies = (inner: InProcess, requests: readonly (readonly string[])[]): string[] =>
    inner
      .connect()
      .raw(Buffer.concat(requests.map((request) => encode(request))))
      .toString('latin1')
      .replace(/\$\d+\r\n/g, '')
      .trimEnd()
      .split('\r\n')

  /** Requests and what they are answered. */
  const SCENES: Readonly<Record<string, readonly (readonly [request: string, reply: string])[]>> = {
    hash: [
      ['HGET key m7', '7'],
      ['HSET key m7 new', ':0'],
      ['HGET key m7', 'new'],
      ['HDEL key m8', ':1'],
      ['HGET key m8', '$-1'],
      ['HSET key added value', ':1'],
      ['HGET key added', 'value'],
      ['HLEN key', `:${MEMBERS}`],
      ['DEL key', ':1'],
      ['HGET key m9', '$-1'],
      ['SET key string', '+OK'],
      ['HGET key m9', '-WRONGTYPE Operation against a key holding the wrong kind of value'],
      ['GET key', 'string'],
    ],
    set: [
      ['SADD key m7', ':0'],
      ['SREM key m7', ':1'],
      ['SISMEMBER key m7', ':0'],
      ['SADD key m7 m8 added', ':2'],
      ['SCARD key', `:${MEMBERS + 1}`],
      ['RENAME key other', '+OK'],
      ['SISMEMBER key m9', ':0'],
      ['SISMEMBER other m9', ':1'],
    ],
  }

  for (const [type, scene] of Object.entries(SCENES))
    it(`answers each request in its turn, with what those before it have made of a ${type}`, () => {
      const inner = new InProcess()
      const names = Array.from({ length: MEMBERS }, (_, i) => `m${i}`)
      if (type === 'hash') inner.connect().call('HSET', 'key', ...names.flatMap((name, i) => [name, String(i)]))
      else inner.connect().call('SADD', 'key', ...names)
      assert.deepEqual(
        replies(
          inner,
          scene.map(([request]) => request.split(' ')),
        ),
        scene.map(([, reply]) => reply),
      )
    })
})
