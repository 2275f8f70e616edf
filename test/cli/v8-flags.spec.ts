import { strict as assert } from 'node:assert'
import { spawnSync } from 'node:child_process'
import { ENGINES, loadJudge } from '../../lib/cli/v8-flags.ts'
import { BIN } from '../support/process.ts'

const node = (...args: string[]) => spawnSync(process.execPath, args, { encoding: 'utf8' })

describe('what the JavaScript engine is told', () => {
  it('is understood by this version of it', () => {
    const known = new Set(
      node('--v8-options')
        .stdout.match(/^ +--[\w-]+/gm)
        ?.map((name) => name.trim().slice(2)),
    )
    assert.ok(known.has('semi-space-growth-factor'))
    const engine = ENGINES.get(Number.parseInt(process.versions.node, 10))
    const names = Object.values(engine ?? {}).flatMap((flags) => Object.keys(flags))
    assert.deepEqual(
      names.filter((name) => !known.has(name)),
      [],
    )
  })

  it('leaves nothing as the other load set it', () => {
    for (const { late, soon } of ENGINES.values()) assert.deepEqual(Object.keys(late), Object.keys(soon))
  })

  it('changes after two busy intervals on end, and a start is not busy', () => {
    const judge = loadJudge()
    const shares = [1, 1, 1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.5, 0.1, 0.5, 0.5, 0.5]
    assert.deepEqual(shares.map(judge).join(), ',,,,,,calm,,,,,busy,')
  })

  it('changes back after two seconds without a busy interval', () => {
    const judge = loadJudge()
    for (const share of [0, 0, 1]) judge(share)
    assert.equal(judge(1), 'busy')
    const calm = Array<number>(39).fill(0)
    assert.deepEqual([...calm, 1, ...calm].map(judge).filter(Boolean), [])
    assert.equal(judge(0), 'calm')
  })

  it('makes it say nothing on stderr', () => {
    const { stdout, stderr, status } = node(BIN, '--version')
    assert.deepEqual([stderr, status], ['', 0])
    assert.notEqual(stdout, '')
  })
})
