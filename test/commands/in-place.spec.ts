/** Strings that are written into where they lie: SETBIT, BITFIELD, SETRANGE, APPEND. */
import assert from 'node:assert/strict'
import { Beside } from '../support/beside-redis.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { decode, encode, type Value } from '../support/resp.ts'
import { describeBeside } from '../support/tools.ts'

/** Everything a pipeline answers. */
function pipeline(node: InProcess, ...requests: readonly (readonly string[])[]): Value[] {
  const bytes = node.connect().raw(Buffer.concat(requests.map((request) => encode(request))))
  const values: Value[] = []
  for (let at = 0; at < bytes.length; ) {
    const { value, end } = decode(bytes, at)!
    values.push(value)
    at = end
  }
  return values
}

describeBeside('a string that is written into', () => {
  after(stopEverything)

  // Small, outside the arena, and so large that replies refer to it.
  for (const size of [100, 5000, 100_000])
    it(`leaves replies on their way as they were: ${size} bytes`, () => {
      const node = new InProcess()
      const before = 'a'.repeat(size)
      pipeline(node, ['SET', 's', before])
      const [first, , second, , third, , fourth] = pipeline(
        node,
        ['GET', 's'],
        ['SETBIT', 's', '7', '0'],
        ['GET', 's'],
        ['SETRANGE', 's', '1', 'xyz'],
        ['GET', 's'],
        ['APPEND', 's', 'end'],
        ['GET', 's'],
      )
      assert.equal(String(first), before)
      assert.equal(String(second), `\`${before.slice(1)}`)
      assert.equal(String(third), `\`xyz${before.slice(4)}`)
      assert.equal(String(fourth), `${String(third)}end`)
    })

  it('leaves what was copied or saved as it was', () => {
    const node = new InProcess()
    const before = 'a'.repeat(50_000)
    const cut = (): string => {
      pipeline(node, ['SET', 's', before])
      const open = node.server.keyspace.openCut()
      pipeline(node, ['SETRANGE', 's', '10', 'changed'])
      const [entry] = open.read(100)
      assert.ok(entry?.value?.type === 'string')
      return entry.value.bytes.toString()
    }
    assert.equal(cut(), before)
    pipeline(node, ['SET', 's', before], ['APPEND', 's', '!'], ['COPY', 's', 'copy'], ['SETRANGE', 'copy', '0', 'b'])
    assert.equal(String(pipeline(node, ['GET', 's'])[0]), `${before}!`)
    pipeline(node, ['SETRANGE', 's', '0', 'c'])
    assert.equal(String(pipeline(node, ['GET', 'copy'])[0]), `b${before.slice(1)}!`)
  })

  it('is raw from then on, even when nothing changed, as on a real server', async () => {
    const both = await Beside.start()
    const encoding = ['OBJECT', 'ENCODING', 's']
    for (const change of [
      ['SETBIT', 's', '1', '1'],
      ['SETBIT', 's', '1', '0'],
      ['BITFIELD', 's', 'GET', 'u8', '0'],
      ['BITFIELD', 's', 'SET', 'u8', '0', '104'],
      ['BITFIELD', 's', 'OVERFLOW', 'FAIL', 'INCRBY', 'u8', '0', '255'],
      ['SETRANGE', 's', '0', ''],
      ['SETRANGE', 's', '0', 'h'],
      ['APPEND', 's', ''],
      ['APPEND', 's', 'x'],
    ])
      await both.session([
        ['SET', 's', 'hello'],
        change,
        encoding,
        ['GET', 's'],
        ['DEL', 's'],
        change,
        encoding,
        ['GET', 's'],
        ['STRLEN', 's'],
      ])
  })
})
