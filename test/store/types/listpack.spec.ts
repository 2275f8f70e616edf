/** Listpacks against an array, and against the bytes a real server makes. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Listpack, PackedError } from '../../../store/types/listpack.ts'
import { Slab } from '../../../store/types/slab.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Elements at every seam of the coding. */
const element: fc.Arbitrary<Buffer> = fc.oneof(
  fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array)),
  fc.integer({ min: -5000, max: 5000 }).map((i) => bytes(String(i))),
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map((i) => bytes(String(i))),
  fc
    .tuple(fc.constantFrom(0, 7, 12, 13, 15, 16, 23, 24, 31, 32, 53, 63), fc.integer({ min: -1, max: 1 }), fc.boolean())
    .map(([bits, by, negative]) => bytes(String((negative ? -1n : 1n) * 2n ** BigInt(bits) + BigInt(by)))),
  fc.constantFrom('007', '-0', '+1', ' 1', '1.0', '').map(bytes),
  fc
    .constantFrom(20, 21, 63, 64, 125, 126, 127, 192, 193, 4095, 4096, 16_378, 16_381, 16_384)
    .map((length) => Buffer.alloc(length, 'x')),
)

const contents = (pack: Listpack): Buffer[] => {
  const all: Buffer[] = []
  for (let at = pack.first(); at >= 0; at = pack.next(at)) all.push(pack.get(at))
  return all
}

function check(pack: Listpack, model: readonly Buffer[]): void {
  assert.equal(pack.count, model.length)
  assert.equal(pack.size, pack.bytes.length)
  assert.deepEqual(contents(pack), model)
  const backwards: Buffer[] = []
  for (let at = pack.last(); at >= 0; at = pack.prev(at)) backwards.unshift(pack.get(at))
  assert.deepEqual(backwards, model)
  assert.deepEqual(contents(Listpack.from(Buffer.from(pack.bytes))), model)
}

type Action = (pack: Listpack, model: Buffer[]) => void

const place = fc.nat({ max: 1000 })
const action: fc.Arbitrary<Action> = fc.oneof(
  element.map((e) => (pack: Listpack, model: Buffer[]) => {
    assert.deepEqual(pack.get(pack.append(e)), e)
    model.push(e)
  }),
  element.map((e) => (pack: Listpack, model: Buffer[]) => {
    assert.equal(pack.prepend(e), pack.first())
    model.unshift(e)
  }),
  fc.tuple(place, element).map(([at, e]) => (pack: Listpack, model: Buffer[]) => {
    if (model.length === 0) return
    assert.deepEqual(pack.get(pack.insertBefore(pack.seek(at % model.length), e)), e)
    model.splice(at % model.length, 0, e)
  }),
  fc.tuple(place, element).map(([at, e]) => (pack: Listpack, model: Buffer[]) => {
    if (model.length === 0) return
    assert.deepEqual(pack.get(pack.replace(pack.seek(at % model.length), e)), e)
    model[at % model.length] = e
  }),
  fc.tuple(place, fc.nat({ max: 3 })).map(([at, n]) => (pack: Listpack, model: Buffer[]) => {
    if (model.length === 0) return
    const from = at % model.length
    const next = pack.delete(pack.seek(from), n)
    model.splice(from, n)
    assert.equal(next, pack.seek(from))
  }),
)

describe('a listpack', () => {
  it('holds what an array would, read from either end and read back from its bytes', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60, size: 'max' }), (actions) => {
        const pack = Listpack.empty()
        const model: Buffer[] = []
        for (const act of actions) act(pack, model)
        check(pack, model)
      }),
      { numRuns: 150 },
    )
  })

  it('finds elements by their bytes, by index from both ends, and says how long they are', () => {
    fc.assert(
      fc.property(fc.array(element, { minLength: 1, maxLength: 20 }), element, (all, other) => {
        const pack = Listpack.empty()
        for (const e of all) pack.append(e)
        all.forEach((e, i) => {
          const at = pack.seek(i)
          assert.equal(pack.seek(i - all.length), at)
          assert.equal(pack.length(at), e.length)
          assert.equal(pack.text(at), e.latin1Slice())
          assert.ok(pack.equals(at, e))
          assert.equal(pack.equals(at, other), e.equals(other))
          const framed = Buffer.concat([bytes('<<'), e, bytes('>')])
          assert.ok(pack.equals(at, framed, 2, 2 + e.length))
          assert.equal(pack.find(e), pack.seek(all.findIndex((one) => one.equals(e))))
        })
        assert.equal(pack.seek(all.length), -1)
        assert.equal(pack.seek(-all.length - 1), -1)
        const keys = all.findIndex((one, i) => i % 2 === 0 && one.equals(other))
        assert.equal(pack.find(other, 0, other.length, pack.first(), 2), keys < 0 ? -1 : pack.seek(keys))
      }),
    )
  })

  it('is the bytes that a real server makes', () => {
    const pack = Listpack.empty()
    assert.equal(pack.bytes.toString('hex'), '070000000000ff')
    for (const text of ['a', '1', '-1', '128', '4096', '32768', '8388608', '2147483648', 'x'.repeat(64)])
      pack.append(bytes(text))
    // From DUMP of a list on redis-server 7.0.15.
    assert.equal(
      pack.bytes.toString('hex'),
      `6e00000009008161020101dfff02c08002f1001003f200800004f30000800005f4000000800000000009e040${'78'.repeat(64)}42ff`,
    )
  })

  it('keeps integers as such', () => {
    const pack = Listpack.empty()
    const kept = (text: string) => pack.integer(pack.append(bytes(text)))
    assert.equal(kept('-4096'), -4096)
    assert.equal(kept('9007199254740991'), Number.MAX_SAFE_INTEGER)
    assert.equal(kept('9007199254740992'), 2n ** 53n)
    assert.equal(kept('-9223372036854775808'), -(2n ** 63n))
    assert.equal(kept('9223372036854775808'), undefined)
    assert.equal(kept('01'), undefined)
  })

  it('finds an integer that another writer kept as text', () => {
    const pack = Listpack.from(Buffer.from('0a000000010081350' + '2ff', 'hex'))
    assert.equal(pack.find(bytes('5')), pack.first())
  })

  it('does not know its count in the header beyond 65534 entries, and counts', () => {
    const pack = Listpack.empty()
    for (let i = 0; i < 65_536; i++) pack.append(bytes('1'))
    assert.equal(pack.bytes.readUInt16LE(4), 65_535)
    assert.equal(Listpack.from(pack.bytes).count, 65_536)
    pack.delete(pack.first(), 2)
    assert.equal(pack.bytes.readUInt16LE(4), 65_534)
  })

  it('refuses bytes that are damaged in any place', () => {
    const pack = Listpack.empty()
    for (const text of ['abc', '7', '-300', '70000', 'y'.repeat(200), '9999999999999']) pack.append(bytes(text))
    const whole = Buffer.from(pack.bytes)
    const good = contents(pack)
    fc.assert(
      fc.property(fc.nat({ max: whole.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(whole)
        damaged[at]! ^= flip
        try {
          // What is still a listpack has other elements, or only a count that says "unknown".
          const read = Listpack.from(damaged)
          assert.ok(at === 4 || at === 5 || contents(read).some((e, i) => !e.equals(good[i]!)))
        } catch (cause) {
          assert.ok(cause instanceof PackedError)
        }
      }),
      { numRuns: 2000 },
    )
    for (let length = 0; length < whole.length; length++)
      assert.throws(() => Listpack.from(whole.subarray(0, length)), PackedError)
  })

  it('has the same bytes whichever end it has grown at, and shrunk', () =>
    fc.assert(
      fc.property(fc.array(element, { maxLength: 40 }), fc.nat(40), (elements, gone) => {
        const slab = new Slab(8192)
        const neighbour = Listpack.cut(slab, 4096, false)
        const [appended, prepended, reserved] = [Listpack.empty(), Listpack.empty(), Listpack.cut(slab, 4096, true)]
        for (const e of elements) appended.append(e)
        for (const e of elements.toReversed()) {
          prepended.prepend(e)
          reserved.prepend(e, 0, e.length, new DataView(e.buffer, e.byteOffset, e.length))
        }
        const whole = Buffer.from(appended.bytes)
        for (const pack of [appended, prepended, reserved]) {
          check(pack, elements)
          assert.deepEqual(pack.bytes, whole)
          if (pack.count > 0) pack.delete(pack.first(), gone)
          check(pack, elements.slice(gone))
          for (const e of elements) pack.append(e)
          check(pack, [...elements.slice(gone), ...elements])
        }
        check(neighbour, [])
      }),
    ))

  it('leaves a copy alone', () => {
    const pack = Listpack.empty()
    pack.append(bytes('a'))
    const copy = pack.copy()
    pack.replace(pack.first(), bytes('b'))
    assert.deepEqual(contents(copy), [bytes('a')])
  })
})
