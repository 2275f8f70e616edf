/** Commands of a pipeline are timed together, but each is counted, and none is lost to the slow log. */
import assert from 'node:assert/strict'
import { InProcess, type Wired } from '../support/inprocess.ts'
import { encode } from '../support/resp.ts'

const pipeline = (wired: Wired, ...requests: readonly (readonly string[])[]): void =>
  void wired.raw(Buffer.concat(requests.map((words) => encode(words))))

const repeat = (times: number, ...words: string[]): string[][] => Array.from({ length: times }, () => words)

describe('the time commands take', () => {
  it('is counted for each command, however they follow each other', () => {
    const inner = new InProcess()
    pipeline(inner.connect(), ...repeat(300, 'GET', 'a'), ...repeat(3, 'SET', 'a', '1'), ['GET', 'a'], ['KEYS', '*'])
    const calls = (name: string): number | undefined => inner.server.commands.get(name)?.stats.calls
    assert.deepEqual([calls('get'), calls('set'), calls('keys')], [301, 3, 1])
    const get = inner.server.commands.get('get')!
    assert.ok(get.stats.micros > 0)
  })

  it('is told of every command to a slow log that wants to know of fast ones', () => {
    const inner = new InProcess({ 'slowlog-log-slower-than': '0' })
    pipeline(inner.connect(), ...repeat(20, 'GET', 'a'))
    assert.deepEqual(
      inner.server.slowlog.newest(30).map(({ args }) => args.join(' ')),
      Array.from({ length: 20 }, () => 'GET a'),
    )
  })
})
