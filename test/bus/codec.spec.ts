import assert from 'node:assert/strict'
import fc from 'fast-check'
import { decode, encode, isRefusal, messageName, type Refusal } from '../../bus/codec.ts'
import { MESSAGE_NAMES, type Message, type PingBody } from '../../bus/message.ts'
import { readSection } from '../../bus/section.ts'
import { bitmap, message, type Vector, type VectorGossip, vector, vectors } from '../support/messages.ts'

/** Captured frames with the full header: all but Valkey's light message. */
const FULL = vectors().filter(({ decoded }) => decoded.type < 0x8000)

describe('bus/codec', () => {
  describe('captured frames', () => {
    for (const { name, file, decoded } of FULL) {
      it(`${name} decodes to the fields in the index`, () => {
        const { header, body } = accepted(vector(file))
        assert.deepEqual(header, expectedHeader(decoded))
        assert.equal(body.type, MESSAGE_NAMES[decoded.type])
        switch (body.type) {
          case 'ping':
          case 'pong':
          case 'meet':
            assert.deepEqual(readSection(body.gossip), decoded.gossip?.map(expectedGossip))
            assert.equal(body.extensions.length, decoded.ext?.length)
            break
          case 'fail':
            assert.equal(body.node, decoded.about)
            break
          case 'update':
            assert.deepEqual([body.configEpoch, body.node], [decoded.u_epoch, decoded.u_name])
            assert.deepEqual(body.slots, bitmap(decoded.u_slots ?? []))
            break
          case 'publish':
          case 'publishshard':
            assert.deepEqual([String(body.channel), String(body.message)], [decoded.channel, decoded.message])
        }
      })

      it(`${name} is encoded byte for byte`, () => {
        assert.equal(encode(accepted(vector(file))).toString('hex'), vector(file).toString('hex'))
      })
    }
  })

  describe('any message', () => {
    it('survives the wire unchanged', () => {
      fc.assert(fc.property(message, (m) => assert.deepEqual(decode(encode(m)), m)))
    })

    it('is counted under its own name', () => {
      fc.assert(fc.property(message, (m) => assert.equal(messageName(encode(m)), m.body.type)))
    })

    it('states its own length', () => {
      fc.assert(
        fc.property(message, (m) => {
          const frame = encode(m)
          assert.equal(frame.readUInt32BE(4), frame.length)
        }),
      )
    })
  })

  describe('hostile bytes', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(0xff)), { minLength: 1, maxLength: 8 })

    it('are refused, or are a message that can be encoded again', () => {
      fc.assert(
        fc.property(message, damage, (m, changes) => {
          const frame = encode(m)
          for (const [at, byte] of changes) frame[at % frame.length] = byte
          proveHarmless(frame)
        }),
        { numRuns: 500 },
      )
    })

    it('at the places that count or measure are refused or harmless too', () => {
      const places = fc.constantFrom(4, 6, 12, 14, 2214, 2253, 2256, 2258, 2260, 2262, 2264)
      fc.assert(
        fc.property(message, places, fc.nat(0xffff), (m, at, value) => {
          const frame = encode(m)
          if (at + 2 <= frame.length) frame.writeUInt16BE(value, at)
          proveHarmless(frame)
        }),
        { numRuns: 500 },
      )
    })

    it('cut short or prolonged never make a message', () => {
      fc.assert(
        fc.property(message, fc.nat(), fc.boolean(), (m, n, honest) => {
          const whole = encode(m)
          const frame =
            n % 2 === 0
              ? Buffer.from(whole.subarray(0, n % whole.length))
              : Buffer.concat([whole, Buffer.alloc(n % 300)])
          if (frame.length === whole.length) return
          if (honest && frame.length >= 8) frame.writeUInt32BE(frame.length, 4)
          assert.ok(isRefusal(decode(frame)))
        }),
      )
    })
  })

  describe('refuses', () => {
    const ping = () => vector('ping-7.0.15.hex')

    it('another protocol version, without a word', () => {
      const frame = ping()
      frame.writeUInt16BE(2, 8)
      assert.equal(refused(frame).fate, 'ignore')
    })

    it('a length that is not that of the content, in the words of Redis', () => {
      const frame = Buffer.concat([vector('fail-7.0.15.hex'), Buffer.alloc(4)])
      frame.writeUInt32BE(frame.length, 4)
      assert.deepEqual(refused(frame), {
        refused: 'Received invalid fail packet of length 2300 but expected length 2296',
        fate: 'log',
      })
    })

    it('an unknown type, which is counted as unknown', () => {
      const frame = ping()
      frame.writeUInt16BE(11, 12)
      assert.deepEqual(refused(frame), { refused: 'Received unknown packet type: 11', fate: 'log' })
      assert.equal(messageName(frame), 'unknown')
    })

    it('a sender that is not 40 of [0-9a-z]', () => {
      for (const byte of [0x41, 0x00, 0x20, 0x2f, 0x3a, 0x60, 0x7b, 0xff]) {
        const frame = ping()
        frame[80 - 1] = byte
        assert.match(refused(frame).refused, /^Received invalid ping packet with a node id/)
      }
    })

    it('a gossip count beyond the end', () => {
      const frame = ping()
      frame.writeUInt16BE(4, 14)
      assert.match(refused(frame).refused, /ping packet with gossip count 4 that exceeds total packet length \(2568\)$/)
    })

    it('an epoch that would leave no room for another', () => {
      const frame = ping()
      frame.fill(0xff, 16, 24)
      assert.match(refused(frame).refused, /64-bit field/)
    })

    it('an address that could forge a line of nodes.conf', () => {
      const frame = ping()
      frame.write('1.2.3.4\nevil', 2168, 'latin1')
      assert.match(refused(frame).refused, /text/)
    })

    it("Valkey's light messages, and drops the link: we never asked for them", () => {
      const small = vector('constructed-publish-light-valkey8.hex')
      assert.match(refused(small).refused, /light message/)
      assert.equal(refused(small).fate, 'drop')
      assert.equal(refused(Buffer.concat([small, Buffer.alloc(4000)])).fate, 'drop')
    })
  })

  describe('tolerates', () => {
    it('unknown flag bits, kept as they are', () => {
      const frame = vector('ping-7.0.15.hex')
      frame.writeUInt16BE(0xffff, 2250)
      frame.writeUInt16BE(0xf00f, 2256 + 98)
      assert.deepEqual(encode(accepted(frame)), frame)
    })

    it('an extension count without the flag, which 7.0 nodes are known to read as garbage', () => {
      const frame = vector('ping-7.0.15.hex')
      frame.writeUInt16BE(3, 2214)
      assert.deepEqual(pingOf(frame).extensions, [])
    })

    it('the extension flag without extensions: Valkey 8 sends it to whoever has not set it yet', () => {
      const frame = vector('ping-7.0.15.hex')
      frame[2253] = 4
      assert.deepEqual(pingOf(frame).extensions, [])
      assert.deepEqual(encode(accepted(frame)), frame)
    })

    for (const [what, at] of [
      ['id', 0],
      ['address', 40 + 4 + 4],
    ] as const) {
      it(`a gossip entry with a bad ${what} by forgetting the section: its sender may be sound`, () => {
        const frame = vector('ping-hostname-ext-7.0.15.hex')
        frame.write('../ /etc', 2256 + 104 + at, 'latin1')
        const { gossip, extensions } = pingOf(frame)
        assert.deepEqual([gossip.length, extensions.length], [0, 1])
      })
    }
  })

  it('borrows the frame instead of copying what may be half a gigabyte', () => {
    const frame = vector('publish-7.0.15.hex')
    const { body } = accepted(frame)
    assert.ok(body.type === 'publish' && body.message.buffer === frame.buffer)
  })

  it('leaves the gossip where it is, whatever its length', () => {
    const frame = vector('ping-7.0.15.hex')
    const { gossip } = pingOf(frame)
    assert.ok(gossip.length > 0 && gossip.buffer === frame.buffer)
  })

  it('sets the extension flag when a body has extensions, whatever the header says', () => {
    const { header, body } = accepted(vector('ping-hostname-ext-7.0.15.hex'))
    const frame = encode({ header: { ...header, messageFlags: 1 }, body })
    assert.equal(accepted(frame).header.messageFlags, 1 | 4)
  })
})

function accepted(frame: Buffer): Message {
  const decoded = decode(frame)
  assert.ok(!isRefusal(decoded), JSON.stringify(decoded))
  return decoded
}

function refused(frame: Buffer): Refusal {
  const decoded = decode(frame)
  assert.ok(isRefusal(decoded))
  return decoded
}

function pingOf(frame: Buffer): PingBody {
  const { body } = accepted(frame)
  assert.ok('gossip' in body)
  return body
}

/** Whatever passes must be sound enough to be sent on: otherwise one bad peer could stop its neighbours. */
function proveHarmless(frame: Buffer): void {
  const decoded = decode(frame)
  if (!isRefusal(decoded)) assert.deepEqual(decode(encode(decoded)), decoded)
}

function expectedHeader(decoded: Vector['decoded']): object {
  return {
    sender: decoded.sender,
    replicaOf: decoded.slaveof === '' ? undefined : decoded.slaveof,
    currentEpoch: decoded.currentEpoch,
    configEpoch: decoded.configEpoch,
    offset: decoded.offset,
    slots: bitmap(decoded.slots),
    ip: decoded.myip,
    port: decoded.port,
    otherPort: decoded.pport,
    busPort: decoded.cport,
    flags: decoded.flags,
    state: decoded.state === 0 ? 'ok' : 'fail',
    messageFlags: decoded.mflags[0],
  }
}

function expectedGossip(entry: VectorGossip): object {
  return {
    id: entry.name,
    pingSentSec: entry.ping_sent,
    pongReceivedSec: entry.pong_received,
    ip: entry.ip,
    port: entry.port,
    busPort: entry.cport,
    flags: entry.flags,
    otherPort: entry.pport,
  }
}
