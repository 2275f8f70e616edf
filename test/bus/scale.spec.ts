/** Many nodes: a third of the primaries fails at once, and what the bus carries when nothing happens. `npm run bench:scale`
 *  does the same with up to 1000 nodes. */
import assert from 'node:assert/strict'
import { crashPrimaries, startCrowd } from '../../bus/sim/crowd.ts'

const T = 5000

describe('a large cluster', function () {
  this.timeout(120_000)

  it('of 60 shards replaces 20 primaries that crash at once, each by one election, as soon as one alone', () => {
    const crowd = startCrowd(60, 'ours', T)
    crowd.world.advance(T)
    crowd.reset()
    const victims = Array.from({ length: 20 }, (_, i) => 3 * i)
    const { detectedMs, replacedMs, knownMs } = crashPrimaries(crowd, victims, 10 * T)
    assert.ok(detectedMs > T && knownMs < T + 1000, `FAIL after ${detectedMs}, replaced after ${replacedMs} ms`)
    const { elections, denied } = crowd.counters
    assert.ok(elections <= 30, `${elections} elections`)
    assert.ok(denied <= 60 * 10, `${denied} votes denied`)
  })

  it('says less when nothing happens than by the rules of redis-server', () => {
    const [ours, redis] = (['ours', 'redis'] as const).map((rules) => {
      const { world, counters, reset } = startCrowd(50, rules, T)
      world.advance(2 * T)
      reset()
      world.advance(T)
      return { ...counters }
    })
    assert.ok(ours!.messages < redis!.messages * 0.8, `${ours!.messages} messages, not ${redis!.messages}`)
    assert.ok(ours!.bytes < redis!.bytes * 0.8, `${ours!.bytes} bytes, not ${redis!.bytes}`)
  })
})
