/** Doubles as text, as C reads and prints them. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { formatDouble, formatFixed, parseDouble, readDouble } from '../../lib/base/double.ts'

/** Every pattern of 64 bits that is a number. */
const anyDouble = fc.double({ noNaN: true })

describe('a double', () => {
  it('is printed as by %.17g', () => {
    for (const [value, text] of [
      [0, '0'],
      [-0, '-0'],
      [3, '3'],
      [-2.5, '-2.5'],
      [0.1, '0.10000000000000001'],
      [1e-5, '1.0000000000000001e-05'],
      [0.0001, '0.0001'],
      [1e17, '1e+17'],
      [123456789012345680, '1.2345678901234568e+17'],
      [2 ** 53, '9007199254740992'],
      [1e300, '1.0000000000000001e+300'],
      [5e-324, '4.9406564584124654e-324'],
      [Number.POSITIVE_INFINITY, 'inf'],
      [Number.NEGATIVE_INFINITY, '-inf'],
      // Halfway between two texts: the even one.
      [1e15 + 0.25, '1000000000000000.2'],
      [1e15 + 0.75, '1000000000000000.8'],
    ] as const)
      assert.equal(formatDouble(value), text)
  })

  it('is the same after it was printed and read', () =>
    fc.assert(
      fc.property(anyDouble, (value) => {
        assert.ok(Object.is(parseDouble(formatDouble(value)), value))
      }),
    ))

  it('is printed as by %.4f', () => {
    for (const [value, places, text] of [
      [166274.15156960033, 4, '166274.1516'],
      [0, 4, '0.0000'],
      [-0.5, 0, '-0'],
      [0.0078125, 6, '0.007812'],
      [1e22, 2, '10000000000000000000000.00'],
      [Number.NEGATIVE_INFINITY, 6, '-inf'],
    ] as const)
      assert.equal(formatFixed(value, places), text)
  })

  it('is read in every form that strtod knows', () => {
    for (const [text, value] of [
      ['+.5', 0.5],
      ['5.', 5],
      ['1E3', 1000],
      ['0x10', 16],
      ['-0x1.8p-1', -0.75],
      ['0xAp1', 20],
      ['inf', Number.POSITIVE_INFINITY],
      ['-Infinity', Number.NEGATIVE_INFINITY],
      ['1e-310', 1e-310],
      ['0e999', 0],
    ] as const)
      assert.equal(parseDouble(text), value, text)
    for (const text of ['', ' 1', '1 ', '.', 'e5', '1e', '0x', '0x.', '--1', '1,5', 'nan', 'infin', '1_0'])
      assert.equal(readDouble(text), undefined, text)
  })

  it('is out of range when it would be infinite, or zero although it is not', () => {
    for (const [text, nearest] of [
      ['1e400', Number.POSITIVE_INFINITY],
      ['-1e400', Number.NEGATIVE_INFINITY],
      ['1e-400', 0],
      ['0x1p-2000', 0],
    ] as const) {
      assert.equal(parseDouble(text), undefined, text)
      assert.equal(readDouble(text), nearest, text)
    }
  })
})
