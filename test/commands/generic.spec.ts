/** Keys as such: what a real server answers. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Differential, requests, someInteger, someKey, someValue } from '../support/differential.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const someDb = fc.oneof(fc.constantFrom('0', '1', '2', '15', '16', '-1', '99999999999'), someInteger)

const KEYS = requests([
  ['set', someKey, someValue],
  ['set', someKey, someValue],
  ['set', someKey, someValue, 'EX', '100'],
  ['set', someKey, someValue, 'PXAT', '1'],
  ['append', someKey, someValue],
  ['get', someKey],
  ['del', someKey, someKey],
  ['unlink', someKey],
  ['exists', someKey, someKey, someKey],
  ['touch', someKey, someKey],
  ['type', someKey],
  ['rename', someKey, someKey],
  ['renamenx', someKey, someKey],
  ['copy', someKey, someKey],
  ['copy', someKey, someKey, 'replace'],
  ['copy', someKey, someKey, 'DB', someDb],
  ['copy', someKey, someKey, 'db', someDb, 'REPLACE'],
  ['copy', someKey, someKey, 'foo'],
  ['move', someKey, someDb],
  ['select', fc.constantFrom('0', '1')],
  ['dbsize'],
  ['ttl', someKey],
  ['keys', fc.constantFrom('*', '?', '[ab]', '*x', '\\a', '[', '{a}*', '')],
  ['object', 'encoding', someKey],
  ['object', 'freq', someKey],
  ['object', 'foo', someKey],
])

const someCursor = fc.oneof(fc.constantFrom('0', '', '-0', '+0', '00', '18446744073709551616', 'x', '1x'))

const SCANS = requests([
  ['randomkey'],
  ['set', someKey, someValue],
  ['set', someKey, someValue, 'PXAT', '1'],
  ['scan', someCursor],
  [
    'scan',
    '0',
    'COUNT',
    fc.oneof(
      fc.constantFrom<string>('1000', '0', '-1'),
      someInteger.filter((n) => !(Number(n) > 0 && Number(n) < 7)),
    ),
  ],
  ['scan', '0', 'match', fc.constantFrom('*', 'a', '?'), 'count', '100'],
  ['scan', '0', 'TYPE', fc.constantFrom('string', 'STRING', 'list', 'foo')],
  ['scan', '0', 'TYPE', 'string', 'MATCH', 'a', 'COUNT', '10'],
  ['scan', '0', 'MATCH'],
  ['scan', '0', 'foo', 'bar'],
  ['del', someKey],
])

describeBeside('key commands answer like redis-server 7.0', function () {
  this.timeout(60_000)
  let both: Differential
  before(async () => {
    both = await Differential.start()
  })
  after(stopEverything)

  it('presence, names, databases', () => both.agree(KEYS, 120))
  it('SCAN', () => both.agree(SCANS, 60))
  it('OBJECT HELP', () =>
    both.compare([['OBJECT', 'HELP'], ['OBJECT'], ['OBJECT', 'HELP', 'x'], ['object', 'nothing']]))
})

describe('SCAN', () => {
  /** All names a whole scan gives, with something done between its steps. */
  function scanAll(call: (...words: string[]) => unknown, count: number, between: (step: number) => void): string[] {
    const found: string[] = []
    let cursor = '0'
    for (let step = 0; step === 0 || cursor !== '0'; step++) {
      const [next, names] = call('SCAN', cursor, 'COUNT', String(count)) as [string, string[]]
      found.push(...names)
      cursor = next
      assert.ok(step < 1000, 'the scan ends')
      between(step)
    }
    return found
  }

  it('names every key that was there from its beginning to its end, whatever comes and goes meanwhile', () => {
    const names = fc.uniqueArray(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 100 })
    const changes = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 400 })), { maxLength: 200 })
    fc.assert(
      fc.property(names, changes, fc.integer({ min: 1, max: 20 }), (initial, toDo, count) => {
        const connection = new InProcess().connect()
        const call = (...words: string[]): unknown => connection.call(...words)
        for (const n of initial) call('SET', `k${n}`, 'v')
        const constant = new Set(initial.map((n) => `k${n}`))
        const found = scanAll(call, count, (step) => {
          for (const [adds, n] of toDo.slice(step * 5, step * 5 + 5)) {
            call(adds ? 'SET' : 'DEL', `k${n}`, ...(adds ? ['v'] : []))
            if (!adds) constant.delete(`k${n}`)
          }
        })
        for (const name of constant) assert.ok(found.includes(name), `${name} is named`)
      }),
      { numRuns: 50 },
    )
  })

  it('names about as many keys a step as its COUNT says, also when all are in one slot', () => {
    const connection = new InProcess().connect()
    for (let i = 0; i < 100; i++) connection.call('SET', `{tag}${i}`, 'v')
    const [cursor, names] = connection.call('SCAN', '0', 'COUNT', '7') as [string, string[]]
    assert.notEqual(cursor, '0')
    assert.ok(names.length >= 7 && names.length < 40, String(names.length))
  })
})
