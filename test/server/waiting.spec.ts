/** A client that waits is read on until it has sent its next request: most send none, and to stop and go on reading costs more than a
 *  short wait. */
import assert from 'node:assert/strict'
import { InProcess } from '../support/inprocess.ts'
import { encode } from '../support/resp.ts'

const BLPOP = encode(['BLPOP', 'list', '0'])
const PING = encode(['PING'])
const REPLIES = '*2\r\n$4\r\nlist\r\n$1\r\nx\r\n+PONG\r\n'

describe('a client that waits', () => {
  it('is read on until its next request is here, which is served when the wait is over', () => {
    const inner = new InProcess()
    const client = inner.connect()
    client.raw(BLPOP)
    assert.ok(client.isRead)
    client.raw(PING.subarray(0, 5))
    assert.ok(!client.isRead)
    // What was on its way.
    client.raw(PING.subarray(5))
    inner.connect().call('RPUSH', 'list', 'x')
    assert.equal(client.taken().toString(), REPLIES)
    assert.ok(client.isRead)
  })

  it('is not read on when its next request came at once', () => {
    const inner = new InProcess()
    const client = inner.connect()
    client.raw(Buffer.concat([BLPOP, PING, BLPOP, PING]))
    assert.ok(!client.isRead)
    const other = inner.connect()
    other.call('RPUSH', 'list', 'x')
    assert.equal(client.taken().toString(), REPLIES)
    assert.ok(!client.isRead)
    other.call('RPUSH', 'list', 'x')
    assert.equal(client.taken().toString(), REPLIES)
    assert.ok(client.isRead)
  })
})
