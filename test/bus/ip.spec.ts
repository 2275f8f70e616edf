import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import fc from 'fast-check'
import { normalizeIp } from '../../bus/ip.ts'

describe('IP addresses', () => {
  const spellings: Readonly<Record<string, string | undefined>> = {
    '127.0.0.1': '127.0.0.1',
    '255.255.255.255': '255.255.255.255',
    '256.0.0.1': undefined,
    '01.2.3.4': undefined,
    '1.2.3': undefined,
    localhost: undefined,
    '': undefined,
    '::': '::',
    '::1': '::1',
    '0:0:0:0:0:0:0:1': '::1',
    'FE80::00AB:1': 'fe80::ab:1',
    '2001:db8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '1:0:2:3:4:5:6:7': '1:0:2:3:4:5:6:7',
    '::ffff:1.2.3.4': '::ffff:1.2.3.4',
    '::ffff:102:304': '::ffff:1.2.3.4',
    '1:2:3:4:5:6:7': undefined,
    '1:2:3:4:5:6:7:8:9': undefined,
    '1::2::3': undefined,
    '1:2:3:4:5:6:7::8': undefined,
    '::12345': undefined,
    'fe80::1%eth0': undefined,
    ':::': undefined,
    '1:': undefined,
  }
  for (const [text, canonical] of Object.entries(spellings)) {
    it(`${JSON.stringify(text)} is ${canonical ?? 'none'}`, () => assert.equal(normalizeIp(text), canonical))
  }

  it('are accepted as the system accepts them, and one spelling stays as it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ unit: fc.constantFrom(...'0:1f.') })), (text) => {
        const canonical = normalizeIp(text)
        assert.equal(canonical !== undefined, isIP(text) !== 0)
        if (canonical !== undefined) assert.equal(normalizeIp(canonical), canonical)
      }),
    )
  })
})
