/** The primary's side: what each kind of replica is sent, when it counts, and when it is dropped. */
import assert from 'node:assert/strict'
import { PrimarySide } from '../../lib/replication/primary.ts'
import type { ReplicationSettings } from '../../lib/replication/settings.ts'
import { NO_ID, ReplicationStream } from '../../lib/replication/stream.ts'
import type { Snapshot } from '../../lib/replication/supply.ts'
import { RdbReader } from '../../store/rdb/reader.ts'
import { writeRdb } from '../../store/rdb/writer.ts'
import { MemoryDisk } from '../support/memory-disk.ts'
import { Clock, FakeReplica, memoryLog, OTHER_ID, random, requests, settings, wordsOf } from './parts.ts'

/** A snapshot of one key, or a longer one whose slices a test hands out. */
class FakeSnapshot implements Snapshot {
  readonly #slices: Buffer[]
  isAbandoned = false

  constructor(slices: readonly Buffer[]) {
    this.#slices = [...slices]
  }

  get isDone(): boolean {
    return this.#slices.length === 0
  }

  slice(): Buffer[] {
    return this.#slices.splice(0, 1)
  }

  abandon(): void {
    this.isAbandoned = true
  }
}

const KEY = {
  db: 0,
  key: Buffer.from('k'),
  value: { type: 'string', bytes: Buffer.from('v'), raw: false } as const,
  expireAt: 0,
}

class Bench {
  readonly clock = new Clock()
  readonly stream = new ReplicationStream(NO_ID, 1 << 20)
  readonly primary: PrimarySide
  readonly lines: string[]
  readonly disk = new MemoryDisk()
  readonly snapshots: FakeSnapshot[] = []
  /** What the next snapshot consists of, if not of one key. */
  slices: readonly Buffer[] | undefined
  turnsWanted = 0
  sent = 0
  #ids = 0

  constructor(changes: Partial<ReplicationSettings> = {}) {
    const { log, lines } = memoryLog(this.clock)
    this.lines = lines
    this.primary = new PrimarySide({
      stream: this.stream,
      config: settings(changes),
      log,
      random: random(),
      sent: (bytes) => {
        this.sent += bytes
      },
      snapshot: (options) => {
        const rdb = Buffer.concat([...writeRdb([KEY], options)])
        const snapshot = new FakeSnapshot(this.slices ?? [rdb])
        this.snapshots.push(snapshot)
        return snapshot
      },
      disk: this.disk,
      spoolPath: () => '/spool.rdb',
      requestEndTurn: () => {
        this.turnsWanted++
      },
    })
  }

  /** A replica that has introduced itself. */
  replica(capabilities: readonly ('eof' | 'psync2')[] = ['eof', 'psync2']): FakeReplica {
    const replica = new FakeReplica(++this.#ids, this.clock)
    const facts = this.primary.factsOf(replica)
    facts.listeningPort = 7000 + this.#ids
    for (const capability of capabilities) facts[capability] = true
    return replica
  }

  /** As WAIT does it. */
  whenAcknowledged(offset: number, replicas: number, done: () => void): () => void {
    return this.primary.whenMet(() => this.primary.acknowledged(offset) >= replicas, done)
  }

  /** A replica that follows the stream. */
  online(): FakeReplica {
    const replica = this.replica()
    this.primary.psync(replica, '?', -1, this.clock.now())
    this.primary.endTurn()
    replica.taken()
    this.primary.acknowledge(replica, this.stream.offset)
    return replica
  }

  write(...texts: readonly string[]): void {
    for (const text of texts) this.stream.append(0, requests(text))
  }

  /** Lets seconds pass, in each of which these replicas say something. */
  pass(seconds: number, ...speaking: readonly FakeReplica[]): void {
    for (let i = 0; i < seconds; i++) {
      this.clock.advance(1000)
      for (const replica of speaking) replica.speaks()
      this.primary.everySecond(this.clock.now())
    }
  }

  stateOf(replica: FakeReplica): string | undefined {
    return this.primary.replicas.find(({ client }) => client === replica)?.state
  }
}

/** Turn after turn, as long as one is asked for. */
async function settled(bench: Bench): Promise<void> {
  bench.primary.endTurn()
  for (let idle = 0; idle < 5; idle++) {
    await new Promise((done) => setImmediate(done))
    if (bench.turnsWanted === 0) continue
    bench.turnsWanted = 0
    idle = 0
    bench.primary.endTurn()
  }
}

/** Keys and facts of a snapshot, and what is behind it. */
function read(rdb: Buffer): { keys: string[]; aux: Map<string, string>; rest: Buffer } {
  const reader = new RdbReader()
  const keys: string[] = []
  const aux = new Map<string, string>()
  for (const item of reader.feed(rdb)) {
    if (item.type === 'key') keys.push(item.key.toString())
    else if (item.type === 'aux') aux.set(item.name, item.value)
  }
  assert.ok(reader.done)
  return { keys, aux, rest: reader.rest() }
}

describe('a full synchronisation as the primary gives it', () => {
  it('has a mark and no stream behind it until the replica acknowledges, for who understands marks', () => {
    const bench = new Bench()
    const replica = bench.replica()
    bench.primary.psync(replica, '?', -1, bench.clock.now())
    assert.equal(bench.stateOf(replica), 'wait_bgsave')
    bench.primary.endTurn()
    const [, replid, offset, mark, rdb] = /^\+FULLRESYNC (\w{40}) (\d+)\r\n\$EOF:(\w{40})\r\n(.*)$/s.exec(
      replica.taken().toString('latin1'),
    )!
    assert.deepEqual([replid, offset], [bench.stream.replid, '0'])
    const { keys, aux, rest } = read(Buffer.from(rdb!, 'latin1'))
    assert.deepEqual(keys, ['k'])
    assert.equal(rest.toString(), mark)
    assert.deepEqual(
      [...aux],
      [
        ['repl-stream-db', '0'],
        ['repl-id', replid],
        ['repl-offset', '0'],
      ],
    )
    bench.write('SET a 1')
    bench.primary.endTurn()
    assert.equal(replica.taken().length, 0)
    assert.equal(bench.stateOf(replica), 'send_bulk')
    bench.primary.acknowledge(replica, 0)
    assert.equal(bench.stateOf(replica), 'online')
    const { sent } = bench
    bench.write('SET b 2')
    bench.primary.endTurn()
    const stream = replica.taken()
    assert.deepEqual(wordsOf(stream), ['SELECT 0', 'SET a 1', 'SET b 2'])
    assert.equal(bench.sent - sent, requests('SET b 2').length)
  })

  it('has its length first, and the stream right behind it, for who does not or when disk form is asked for', async () => {
    for (const [changes, capabilities] of [
      [{}, ['psync2']],
      [{ replDisklessSync: false }, ['eof', 'psync2']],
    ] as const) {
      const bench = new Bench(changes)
      const replica = bench.replica(capabilities)
      bench.primary.psync(replica, '?', -1, bench.clock.now())
      bench.primary.endTurn()
      bench.write('SET a 1')
      await settled(bench)
      const [, length, rest] = /^\+FULLRESYNC \w{40} 0\r\n\$(\d+)\r\n(.*)$/s.exec(replica.taken().toString('latin1'))!
      const { keys, rest: behind } = read(Buffer.from(rest!, 'latin1'))
      assert.equal(rest!.length - behind.length, Number(length))
      assert.deepEqual(keys, ['k'])
      assert.deepEqual(wordsOf(behind), ['SELECT 0', 'SET a 1'])
      assert.deepEqual([...bench.disk.files], [])
    }
  })

  it('is given without a word to SYNC', async () => {
    const bench = new Bench()
    const replica = bench.replica([])
    bench.primary.sync(replica, bench.clock.now())
    await settled(bench)
    assert.match(replica.taken().toString('latin1'), /^\$\d+\r\nREDIS0010/)
  })

  it('without a stream is given to who wants only the snapshot', async () => {
    const bench = new Bench()
    const replica = bench.replica([])
    bench.primary.factsOf(replica).rdbOnly = true
    bench.primary.sync(replica, bench.clock.now())
    await settled(bench)
    replica.taken()
    bench.write('SET a 1')
    bench.primary.everySecond(bench.clock.now())
    assert.equal(replica.taken().length, 0)
    assert.equal(bench.stateOf(replica), 'send_bulk')
  })

  it('is one snapshot for all who come in a turn, at the offset of the end of that turn', async () => {
    const bench = new Bench()
    bench.online()
    const [first, second] = [bench.replica(), bench.replica([])]
    bench.primary.psync(first, '?', -1, bench.clock.now())
    bench.write('SET a 1')
    bench.primary.psync(second, OTHER_ID, 77, bench.clock.now())
    bench.primary.endTurn()
    assert.equal(bench.snapshots.length, 2)
    await settled(bench)
    for (const replica of [first, second])
      assert.ok(
        replica.taken().toString('latin1').startsWith(`+FULLRESYNC ${bench.stream.replid} ${bench.stream.offset}\r\n`),
      )
  })

  it('is made slice by slice, while the stream is kept back for its replica', async () => {
    const bench = new Bench()
    bench.slices = [Buffer.from('one'), Buffer.from('two'), Buffer.from('three')]
    const replica = bench.replica()
    bench.primary.psync(replica, '?', -1, bench.clock.now())
    bench.primary.endTurn()
    assert.match(replica.taken().toString(), /^\+FULLRESYNC \w{40} 0\r\n\$EOF:\w{40}\r\none$/)
    bench.write('SET a 1')
    await settled(bench)
    assert.match(replica.taken().toString(), /^twothree\w{40}$/)
    bench.primary.acknowledge(replica, 0)
    assert.deepEqual(wordsOf(replica.taken()), ['SELECT 0', 'SET a 1'])
  })

  it('waits for a replica that does not read, and ends with the last one that wants it', async () => {
    const bench = new Bench()
    bench.slices = Array.from({ length: 5 }, () => Buffer.alloc(1024 * 1024))
    const replica = bench.replica()
    replica.stuck = true
    bench.primary.psync(replica, '?', -1, bench.clock.now())
    await settled(bench)
    assert.ok(replica.taken().length < 3 * 1024 * 1024)
    replica.unstick()
    await settled(bench)
    assert.ok(replica.taken().length >= 2 * 1024 * 1024)
    assert.ok(bench.snapshots[0]!.isDone)
    bench.slices = [Buffer.from('one'), Buffer.from('two')]
    const leaving = bench.replica()
    bench.primary.psync(leaving, '?', -1, bench.clock.now())
    bench.primary.endTurn()
    bench.primary.detach(leaving)
    await settled(bench)
    assert.deepEqual([bench.snapshots[1]!.isAbandoned, bench.snapshots[1]!.isDone], [true, false])
  })

  it('is shared by who comes before any of it was sent; who comes later gets the next one', async () => {
    const bench = new Bench({ replDisklessSync: false })
    bench.online()
    await settled(bench)
    bench.slices = [Buffer.from('one'), Buffer.from('two')]
    const [first, second, third] = [bench.replica(), bench.replica(), bench.replica()]
    bench.primary.psync(first, '?', -1, bench.clock.now())
    bench.primary.endTurn()
    bench.write('SET a 1')
    bench.primary.endTurn()
    bench.primary.psync(second, '?', -1, bench.clock.now())
    bench.primary.endTurn()
    await settled(bench)
    assert.equal(bench.snapshots.length, 2)
    const given = first.taken()
    assert.deepEqual(second.taken(), given)
    assert.match(given.toString(), /\$6\r\nonetwo\*2/)
    bench.primary.psync(third, '?', -1, bench.clock.now())
    await settled(bench)
    assert.equal(bench.snapshots.length, 3)
    assert.match(third.taken().toString(), new RegExp(`^\\+FULLRESYNC \\w{40} ${bench.stream.offset}\r\n`))
  })

  it('on a disk that refuses is not given: the replica has to ask again', async () => {
    const bench = new Bench({ replDisklessSync: false })
    bench.disk.isFull = true
    const replica = bench.replica()
    bench.primary.psync(replica, '?', -1, bench.clock.now())
    await settled(bench)
    assert.ok(replica.closed && bench.primary.replicas.length === 0 && bench.snapshots[0]!.isAbandoned)
    assert.match(bench.lines.join('\n'), /no snapshot for it: No space left on device/)
  })

  it('begins a history when it is the first one, and names the database anew in any case', () => {
    const bench = new Bench()
    bench.write('SET unheard 1')
    bench.online()
    assert.notEqual(bench.stream.replid, NO_ID)
    assert.equal(bench.stream.offset, 0)
    bench.write('SET a 1')
    const second = bench.online()
    bench.write('SET b 2')
    bench.primary.endTurn()
    assert.deepEqual(wordsOf(second.taken()), ['SELECT 0', 'SET b 2'])
  })
})

describe('a partial synchronisation as the primary gives it', () => {
  it('is +CONTINUE, what is missing, and the stream', () => {
    for (const capabilities of [['psync2'], []] as const) {
      const bench = new Bench()
      bench.online()
      bench.write('SET a 1', 'SET b 2')
      const { replid } = bench.stream
      const next = 1 + requests('SELECT 0', 'SET a 1').length
      const replica = bench.replica(capabilities)
      bench.primary.psync(replica, replid, next, bench.clock.now())
      const reply = capabilities.length > 0 ? `+CONTINUE ${replid}` : '+CONTINUE'
      assert.equal(replica.taken().toString(), `${reply}\r\n${requests('SET b 2')}`)
      assert.equal(bench.stateOf(replica), 'online')
      bench.stream.appendControl(['ping'])
      bench.primary.endTurn()
      assert.deepEqual(wordsOf(replica.taken()), ['ping'])
      assert.deepEqual(bench.primary.stats, { full: 1, partialOk: 1, partialRefused: 0 })
    }
  })

  it('is refused to other histories and for bytes that are gone, which then get a snapshot', () => {
    const bench = new Bench()
    bench.online()
    const { replid, offset } = bench.stream
    for (const [id, next] of [
      [OTHER_ID, 1],
      [replid, offset + 2],
      [replid, 0],
    ] as const) {
      const replica = bench.replica()
      bench.primary.psync(replica, id, next, bench.clock.now())
      bench.primary.endTurn()
      assert.match(replica.taken().toString('latin1'), /^\+FULLRESYNC /)
    }
    assert.deepEqual(bench.primary.stats, { full: 4, partialOk: 0, partialRefused: 3 })
  })

  it('is not begun twice by one connection', () => {
    const bench = new Bench()
    const replica = bench.online()
    bench.primary.psync(replica, '?', -1, bench.clock.now())
    bench.primary.sync(replica, bench.clock.now())
    bench.primary.endTurn()
    assert.equal(replica.taken().length, 0)
  })
})

describe('acknowledgements', () => {
  it('are counted by offset, and never go back', () => {
    const bench = new Bench()
    const [a, b] = [bench.online(), bench.online()]
    bench.primary.acknowledge(a, 100)
    bench.primary.acknowledge(a, 50)
    bench.primary.acknowledge(b, 99)
    assert.deepEqual(
      [99, 100, 101].map((offset) => bench.primary.acknowledged(offset)),
      [2, 1, 0],
    )
  })

  it('are asked for once a turn, and end the wait of who waits for enough of them', () => {
    const bench = new Bench()
    const [a, b] = [bench.online(), bench.online()]
    let ended = ''
    bench.whenAcknowledged(10, 1, () => {
      ended += 'one '
    })
    bench.whenAcknowledged(10, 2, () => {
      ended += 'two '
    })
    const leave = bench.whenAcknowledged(10, 2, () => {
      ended += 'gone '
    })
    bench.primary.endTurn()
    bench.primary.endTurn()
    assert.deepEqual(wordsOf(a.taken()), ['REPLCONF GETACK *'])
    bench.primary.acknowledge(a, 9)
    assert.equal(ended, '')
    bench.primary.acknowledge(a, 10)
    assert.equal(ended, 'one ')
    leave()
    bench.primary.acknowledge(b, 11)
    assert.equal(ended, 'one two ')
  })

  it('make a good replica, as long as it is heard from', () => {
    const bench = new Bench()
    const replica = bench.online()
    bench.clock.advance(10_999)
    assert.equal(bench.primary.good(bench.clock.now(), 10), 1)
    bench.clock.advance(1)
    assert.equal(bench.primary.good(bench.clock.now(), 10), 0)
    replica.speaks()
    assert.equal(bench.primary.good(bench.clock.now(), 10), 1)
  })
})

describe('as time passes', () => {
  it('replicas are pinged every repl-ping-replica-period, unless a manual failover holds the offset still', () => {
    const bench = new Bench()
    const replica = bench.online()
    const pings = (): number => wordsOf(replica.taken()).filter((text) => text === 'ping').length
    const pass = (seconds: number): number => {
      bench.pass(seconds, replica)
      return pings()
    }
    pass(1)
    assert.equal(pass(30), 3)
    bench.primary.pingsPaused = true
    assert.equal(pass(30), 0)
  })

  it('a replica that says nothing for repl-timeout is dropped; who only loads says so', () => {
    const bench = new Bench()
    const silent = bench.online()
    const loading = bench.replica()
    bench.primary.psync(loading, '?', -1, bench.clock.now())
    bench.primary.endTurn()
    bench.pass(61, loading)
    assert.deepEqual([silent.closed, loading.closed], [true, false])
    assert.equal(bench.primary.replicas.length, 1)
  })

  it('a replica that does not read is dropped by the limits of its output, which the snapshot does not touch', () => {
    const limits = { replica: { hard: 100_000, soft: 1000, softSeconds: 10 } }
    const bench = new Bench({ clientOutputBufferLimit: limits })
    const pass = (seconds: number, replica: FakeReplica): boolean => {
      bench.pass(seconds, replica)
      return replica.closed
    }
    const patient = bench.replica()
    patient.stuck = true
    bench.primary.psync(patient, '?', -1, bench.clock.now())
    bench.primary.endTurn()
    assert.equal(pass(20, patient), false)
    bench.write(`SET a ${'x'.repeat(1100)}`)
    bench.primary.endTurn()
    assert.equal(pass(10, patient), false)
    assert.equal(pass(2, patient), true)
    const flooded = bench.online()
    flooded.stuck = true
    bench.write(`SET a ${'x'.repeat(100_000)}`)
    bench.primary.endTurn()
    assert.equal(pass(1, flooded), true)
  })

  it('the backlog is freed, and the history ends, when nobody has read for repl-backlog-ttl', () => {
    const bench = new Bench({ replBacklogTtl: 100 })
    const replica = bench.online()
    const { replid } = bench.stream
    bench.primary.detach(replica)
    bench.pass(100)
    assert.equal(bench.stream.replid, replid)
    bench.pass(2)
    assert.ok(!bench.stream.hasBacklog)
    assert.notEqual(bench.stream.replid, replid)
  })

  it('the backlog of a replica stays, and after a promotion the time begins anew: others will want to resume', () => {
    const bench = new Bench({ replBacklogTtl: 100 })
    bench.primary.detach(bench.online())
    bench.pass(50)
    bench.stream.follow()
    bench.pass(500)
    bench.stream.becomePrimary(OTHER_ID)
    bench.pass(100)
    assert.equal(bench.stream.replid, OTHER_ID)
    bench.pass(2)
    assert.notEqual(bench.stream.replid, OTHER_ID)
  })
})
