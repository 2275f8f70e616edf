import assert from 'node:assert/strict'
import keySlot from 'cluster-key-slot'
import fc from 'fast-check'
import { parseInt64, parseInteger } from '../../lib/base/bytes.ts'
import { globMatch } from '../../lib/base/glob.ts'
import { logLine } from '../../lib/base/log.ts'
import { seededRandom, systemRandom } from '../../lib/base/random.ts'
import { crc16, slotOf } from '../../lib/base/slot.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

describe('the hash slot of a key', () => {
  it('is CRC16 XMODEM modulo 16384', () => {
    assert.equal(crc16(bytes('123456789'), 0, 9), 0x31c3)
    const known = { foo: 12182, hello: 866, __last__: 15700, '123456789': 12739 }
    for (const [key, slot] of Object.entries(known)) assert.equal(slotOf(bytes(key)), slot, key)
  })

  it('hashes only the first hash tag, and the whole key when that tag is empty', () => {
    assert.equal(slotOf(bytes('this{foo}key')), slotOf(bytes('another{foo}key')))
    assert.equal(slotOf(bytes('foo{}{bar}')), 8363)
    assert.equal(slotOf(bytes('foo{{bar}}zap')), 4015)
    assert.equal(slotOf(bytes('foo{bar}{zap}')), 5061)
    assert.equal(slotOf(bytes('no{close')), crc16(bytes('no{close'), 0, 8) & 16383)
  })

  it('agrees with cluster-key-slot wherever there is no empty tag', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (raw) => {
        const key = Buffer.from(raw)
        fc.pre(!key.includes('{}'))
        assert.equal(slotOf(key), keySlot(key))
      }),
    )
  })
})

describe('integers', () => {
  it('are read in the strict form only', () => {
    for (const [text, value] of [
      ['0', 0],
      ['-1', -1],
      ['9007199254740991', 9007199254740991],
    ] as const)
      assert.equal(parseInteger(bytes(text)), value)
    for (const text of ['', '-', '+1', '01', '-0', '1 ', ' 1', '1.0', '9007199254740992', 'x', '1e3'])
      assert.equal(parseInteger(bytes(text)), undefined, JSON.stringify(text))
  })

  it('cover the signed 64-bit range as bigint', () => {
    assert.equal(parseInt64(bytes('9223372036854775807')), 2n ** 63n - 1n)
    assert.equal(parseInt64(bytes('-9223372036854775808')), -(2n ** 63n))
    assert.equal(parseInt64(bytes('9223372036854775808')), undefined)
    fc.assert(fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (n) => parseInt64(bytes(String(n))) === n))
  })
})

describe('glob patterns', () => {
  const cases: [string, string, boolean][] = [
    ['*', '', true],
    ['h?llo', 'hello', true],
    ['h?llo', 'hllo', false],
    ['h*llo', 'heeeello', true],
    ['h[ae]llo', 'hallo', true],
    ['h[^e]llo', 'hello', false],
    ['h[a-c]llo', 'hbllo', true],
    ['h[c-a]llo', 'hbllo', true],
    ['\\*', '*', true],
    ['\\*', 'x', false],
    ['a\\', 'a\\', true],
    ['[abc', 'c', true],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false],
    ['', '', true],
    ['', 'x', false],
  ]
  for (const [pattern, text, expected] of cases)
    it(`${JSON.stringify(pattern)} ${expected ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () => {
      assert.equal(globMatch(bytes(pattern), bytes(text)), expected)
    })

  it('cannot be made to take exponential time', () => {
    assert.equal(globMatch(bytes('a*'.repeat(50)), bytes('a'.repeat(5000).concat('b')), false), true)
    assert.equal(globMatch(bytes(`${'a*'.repeat(50)}c`), bytes('a'.repeat(5000)), false), false)
  })
})

describe('log lines', () => {
  it("look like Redis's", () => {
    const line = logLine(12, 'M', 1_700_000_000_123 as never, 'notice', 'Ready to accept connections')
    assert.match(line, /^12:M \d\d \w{3} 2023 \d\d:\d\d:\d\d\.123 \* Ready to accept connections$/)
  })
})

describe('seeded randomness', () => {
  it('R45: names nodes by 40 hexadecimal characters, none twice in 10,000', () => {
    const names = new Set(Array.from({ length: 10_000 }, () => systemRandom.hex(40)))
    assert.equal(names.size, 10_000)
    for (const name of names) assert.match(name, /^[0-9a-f]{40}$/)
  })

  it('repeats itself for a seed and differs between seeds', () => {
    const draw = (seed: number): string => seededRandom(seed).hex(40)
    assert.equal(draw(7), draw(7))
    assert.notEqual(draw(7), draw(8))
    const random = seededRandom(1)
    for (let i = 0; i < 1000; i++) assert.ok(random.below(10) < 10)
  })
})
