/** How long things take: LATENCY, percentiles in INFO; and the fields of MEMORY STATS. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Millis } from '../../lib/base/brand.ts'
import { Histogram } from '../../lib/base/histogram.ts'
import { sparkline } from '../../lib/server/sparkline.ts'
import { disk } from '../../store/disk.ts'
import { newFolder, removeFolders } from '../store/disks.ts'
import { Beside } from '../support/beside-redis.ts'
import { ask } from '../support/client.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

describe('a histogram', () => {
  it('knows every percentile to better than one percent', () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 1_000_000_000 }), { minLength: 1 }),
        fc.double({ min: 0, max: 100, noNaN: true }),
        (values, percent) => {
          const histogram = new Histogram()
          for (const value of values) histogram.record(value)
          const rank = Math.max(1, Math.floor((percent / 100) * values.length + 0.5))
          const exact = values.sort((a, b) => a - b)[rank - 1]!
          const found = histogram.percentile(percent)
          assert.ok(found >= exact && found <= exact * 1.01, `${found} for ${exact}`)
        },
      ),
    ))

  it('has the bounds and counts of HdrHistogram, as redis-server shows them', () => {
    const histogram = new Histogram()
    for (const micros of [8, 10_020, 5, 346]) histogram.record(micros * 1000)
    assert.deepEqual(
      [...histogram.doublings(1024)].map(([most, count]) => [Math.floor(most / 1000), count]),
      [
        [8, 2],
        [528, 3],
        [16908, 4],
      ],
    )
    assert.deepEqual(
      [50, 99].map((percent) => histogram.percentile(percent)),
      [8031, 10027007],
    )
  })
})

describe('a sparkline', () => {
  it('is drawn as redis-server draws it', () =>
    assert.equal(
      sparkline(
        [
          { value: 20, label: '1s' },
          { value: 50, label: '0s' },
        ],
        80,
        4,
      ),
      ' #\n |\n |\n_|\n  \n10\nss\n',
    ))

  it('goes on below when it is too wide', () =>
    assert.equal(
      sparkline(
        Array.from({ length: 3 }, () => ({ value: 1, label: 'x' })),
        2,
        1,
      ),
      '__\n  \nxx\n\n_\n \nx\n',
    ))
})

describeBeside('LATENCY', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  for (const protocol of ['2', '3'])
    it(`tells of spikes what a real server tells (RESP${protocol})`, () =>
      beside.session(
        [
          `HELLO ${protocol}`,
          'CONFIG SET latency-monitor-threshold 0',
          'LATENCY RESET',
          'LATENCY DOCTOR',
          'DEBUG SLEEP 0.02',
          'LATENCY LATEST',
          'CONFIG SET latency-monitor-threshold 20',
          'LATENCY DOCTOR',
          'DEBUG SLEEP 0.001',
          'LATENCY LATEST',
          'DEBUG SLEEP 0.03',
          'LATENCY LATEST',
          'LATENCY HISTORY command',
          'LATENCY HISTORY nope',
          'LATENCY GRAPH command',
          'LATENCY GRAPH nope',
          'LATENCY DOCTOR',
          'LATENCY RESET nope command',
          'LATENCY HISTORY command',
          'LATENCY RESET',
          'LATENCY HISTOGRAM nope',
          'LATENCY',
          'LATENCY FOO',
          'LATENCY GRAPH',
          'LATENCY LATEST x',
          'LATENCY HELP',
        ],
        {
          mask: [
            [/\$6\r\n7\.0\.15|\$5\r\n7\.2\.4/g, '<version>'],
            [/(\$2\r\nid\r\n):\d+/g, '$1:<id>'],
            [/:\d{10}\r\n/g, ':<time>\r\n'],
            [/[3-9]\d ms|[3-9]\dms|:[3-9]\d\r\n/g, '<30 ms>'],
            [/period 0\.00|period 1\.00/g, 'period <p>'],
            [/\n[01]\ns\n/g, '\n<age>\n'],
          ],
        },
      ))

  it('tells of the file and of eviction, by the names of a real server', async () => {
    const conf = { dir: newFolder(), appendonly: 'yes', appendfsync: 'always', 'latency-monitor-threshold': '1' }
    const ours = new InProcess(conf, disk)
    const { latency, persistence, config } = ours.server
    await persistence?.open()
    const seen: string[] = []
    latency.note = (event) => void (event.endsWith('command') || seen.push(event))
    const one = ours.connect()
    one.call('SET', 'k', 'v'.repeat(1000))
    config.set([
      ['maxmemory', '100'],
      ['maxmemory-policy', 'allkeys-random'],
    ])
    one.call('DBSIZE')
    assert.deepEqual(new Set(seen), new Set(['aof-write-alone', 'aof-write', 'aof-fsync-always', 'eviction-cycle']))
    await persistence?.close()
    removeFolders()
  })

  it('keeps the worst of each second, and so many seconds', () => {
    const ours = new InProcess({ 'latency-monitor-threshold': '1' })
    const { latency } = ours.server
    for (let second = 1; second <= 200; second++) {
      ours.server.now = (second * 1000) as Millis
      latency.note('command', 5000 + second)
      latency.note('command', 7000)
      latency.note('command', 999)
    }
    const { last, worst } = latency.events.get('command')!
    assert.equal(worst, 7)
    assert.equal(last.length, 160)
    assert.deepEqual(last.at(-1), { time: 200, ms: 7 })
    assert.equal(last[0]!.time, 41)
  })

  it('counts calls by how long they took, subcommands with their container', () => {
    const ours = new InProcess()
    const one = ours.connect()
    one.call('CONFIG', 'RESETSTAT')
    one.call('DEBUG', 'SLEEP', '0.012')
    one.call('CONFIG', 'GET', 'port')
    // It slept so long at least: the next cells end at 16.9, 33.8, 67.6 ms and so on.
    assert.match(
      one.outcome('LATENCY', 'HISTOGRAM', 'debug'),
      /^debug,calls,1,histogram_usec,(16908|33816|67633|\d{6,}),1$/,
    )
    assert.match(
      one.outcome('LATENCY', 'HISTOGRAM', 'config', 'get'),
      /^config\|get,calls,1,histogram_usec,\d+,1,config\|resetstat,/,
    )
    assert.match(
      one.outcome('INFO', 'latencystats'),
      /\r\nlatency_percentiles_usec_debug:p50=(\d{5,}\.\d{3}),p99=\1,p99\.9=\1/,
    )
    one.call('CONFIG', 'SET', 'latency-tracking-info-percentiles', '50 100')
    assert.match(one.outcome('INFO', 'latencystats'), /_debug:p50=(\d{5,}\.\d{3}),p100=\1\r\n/)
    one.call('CONFIG', 'SET', 'latency-tracking', 'no')
    one.call('CONFIG', 'RESETSTAT')
    one.call('PING')
    assert.equal(one.outcome('INFO', 'latencystats'), '# Latencystats\r\n')
  })

  it('MEMORY STATS has every field that a real server has, in its order', async () => {
    const one = new InProcess().connect()
    one.call('SET', 'k', 'v')
    await ask(beside.redis.port, 'SET', 'k', 'v')
    const namesOf = (stats: unknown): unknown[] => (stats as unknown[]).filter((_, i) => i % 2 === 0)
    assert.deepEqual(namesOf(one.call('MEMORY', 'STATS')), namesOf(await ask(beside.redis.port, 'MEMORY', 'STATS')))
    assert.equal(one.call('MEMORY', 'PURGE'), 'OK')
    assert.match(one.outcome('MEMORY', 'MALLOC-STATS'), /old_space: size \d+/)
  })
})
