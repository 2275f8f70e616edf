/** The arena against what a list of owners knows: blocks never overlap, keep what is in them, and memory is used again. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { seededRandom } from '../../lib/base/random.ts'
import { type Address, Arena, byteIndex } from '../../store/arena.ts'

interface Block {
  readonly at: Address
  readonly bytes: number
  readonly mark: number
}

const view = (arena: Arena, { at, bytes }: Pick<Block, 'at' | 'bytes'>): Buffer => {
  const from = byteIndex(at)
  return arena.bytesAt(at).subarray(from, from + bytes)
}

/** Writes its mark into the first and last bytes of a block. */
function sign(arena: Arena, block: Block): void {
  const bytes = view(arena, block)
  bytes.subarray(0, 64).fill(block.mark)
  bytes.subarray(-64).fill(block.mark)
}

function check(arena: Arena, block: Block): void {
  const bytes = view(arena, block)
  assert.equal(bytes.length, block.bytes)
  assert.equal(bytes[0], block.mark)
  assert.equal(bytes.at(-1), block.mark)
}

/** Small ones mostly, some of every kind there is: in a slab, a run of slabs, a run of segments. */
const size = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 1, max: 600 }) },
  { weight: 4, arbitrary: fc.integer({ min: 600, max: 70_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 70_000, max: 3_000_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 3_000_000, max: 10_000_000 }) },
)

describe('the arena', () => {
  it('gives out blocks that keep their content until they are freed', () => {
    const step = fc.record({ allocate: fc.boolean(), size, pick: fc.nat() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
        const arena = new Arena()
        const blocks: Block[] = []
        steps.forEach(({ allocate, size, pick }, i) => {
          if (allocate || blocks.length === 0) {
            const block = { at: arena.allocate(size), bytes: size, mark: i + 1 }
            sign(arena, block)
            blocks.push(block)
          } else {
            const [block] = blocks.splice(pick % blocks.length, 1)
            check(arena, block!)
            arena.free(block!.at, block!.bytes)
          }
        })
        for (const block of blocks) check(arena, block)
        for (const { at, bytes } of blocks) arena.free(at, bytes)
        assert.equal(arena.report.used, 0)
        assert.ok(arena.report.held <= 4 << 20, 'at most one segment is kept')
      }),
      { numRuns: 60 },
    )
  })

  it('hands freed blocks out again', () => {
    const arena = new Arena()
    const random = seededRandom(1)
    const blocks = Array.from({ length: 50_000 }, () => arena.allocate(96))
    const { held } = arena.report
    for (let i = 0; i < 200_000; i++) {
      const place = random.below(blocks.length)
      arena.free(blocks[place]!, 96)
      blocks[place] = arena.allocate(90)
    }
    assert.equal(arena.report.held, held)
  })

  it('uses the memory of blocks of one size for blocks of another', () => {
    const arena = new Arena()
    let peak = 0
    for (const size of [24, 96, 104, 480, 2000, 16, 40_000]) {
      const blocks = Array.from({ length: Math.floor(20_000_000 / size) }, () => arena.allocate(size))
      peak = Math.max(peak, arena.report.held)
      for (const at of blocks) arena.free(at, size)
    }
    assert.ok(peak < 36_000_000, `${peak} bytes held for 20 MB`)
  })

  it('rounds small blocks up to 8 bytes, others by an eighth at most', () => {
    const arena = new Arena()
    for (let size = 1; size <= 32 * 1024; size += 7) {
      const before = arena.report.used
      arena.allocate(size)
      const taken = arena.report.used - before
      assert.ok(taken - size < Math.max(8, size / 8 + 8), `${size}: ${taken}`)
    }
  })

  it('says when what is in one block may become another in place', () => {
    const arena = new Arena()
    assert.ok(arena.sameSize(89, 96))
    assert.ok(!arena.sameSize(96, 97))
    assert.ok(!arena.sameSize(100_000, 30_000))
  })
})
