/** The replica's side against a primary that says what the test tells it to. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import type { Millis } from '../../lib/base/brand.ts'
import { ReplicaSide } from '../../lib/replication/replica.ts'
import type { ReplicationSettings } from '../../lib/replication/settings.ts'
import { ReplicationStream } from '../../lib/replication/stream.ts'
import { writeRdb } from '../../store/rdb/writer.ts'
import type { Value } from '../../store/value.ts'
import { asString } from '../support/values.ts'
import { Clock, FakePrimary, memoryLog, OTHER_ID, PRIMARY_ID, requests, settings, WELCOME, wordsOf } from './parts.ts'

const OWN_ID = 'e'.repeat(40)
const MARK = 'f'.repeat(40)

/** A replica of a scripted primary, with a data set of texts. */
class Bench {
  readonly clock = new Clock()
  readonly primary = new FakePrimary()
  readonly stream = new ReplicationStream(OWN_ID, 1 << 20)
  readonly lines: string[]
  readonly replica: ReplicaSide
  /** The data set: "db:key" to value. */
  data = new Map<string, string>([['0:old', 'data']])
  /** Commands applied: "db| words". */
  readonly applied: string[] = []
  historyChanges = 0
  syncs = 0
  /** A script is put aside. */
  busy = false

  constructor(changes: Partial<ReplicationSettings> = {}) {
    const { log, lines } = memoryLog(this.clock)
    this.lines = lines
    this.stream.follow()
    const parts = {
      stream: this.stream,
      config: settings(changes),
      log,
      dial: this.primary.dial,
      now: this.clock.now,
      load: () => {
        const fresh = new Map<string, string>()
        return {
          put: (item: { db: number; key: Buffer; value: Value }) =>
            void fresh.set(`${item.db}:${item.key.toString()}`, asString(item.value).bytes.toString()),
          library: () => undefined,
          commit: () => {
            this.data = fresh
          },
        }
      },
      mustWait: () => this.busy,
      apply: (argv: { count: number; text(i: number): string }, db: number) => {
        const words = Array.from({ length: argv.count }, (_, i) => argv.text(i))
        this.applied.push(`${db}| ${words.join(' ')}`)
      },
      handover: { isAsking: false, answered() {} },
      synchronised: () => {
        this.syncs++
      },
      historyChanged: () => {
        this.historyChanges++
      },
      progressed: () => this.stream.flush(),
    }
    this.replica = new ReplicaSide(parts, { host: '10.0.0.1', port: 7001 }, 0 as Millis)
  }

  /** Connects and gets through the handshake up to PSYNC. */
  greet(): void {
    this.replica.everySecond()
    this.primary.accept()
    this.primary.say(WELCOME)
  }

  /** Connects and follows from offset 100 with an empty data set. */
  synchronise(): void {
    this.greet()
    this.primary.say(`+FULLRESYNC ${PRIMARY_ID} 100\r\n`)
    this.primary.say(Buffer.concat([Buffer.from(`$${snapshot().length}\r\n`), snapshot()]))
    this.primary.heard()
  }
}

const snapshot = (keys: Readonly<Record<string, string>> = { k: 'v' }, db = 0): Buffer => {
  const entries = Object.entries(keys).map(([key, text]) => {
    const value = { type: 'string', bytes: Buffer.from(text), raw: false } as const
    return { db, key: Buffer.from(key), value, expireAt: 0 }
  })
  return Buffer.concat([...writeRdb(entries, { aux: [['repl-stream-db', String(db)]], compress: true })])
}

describe('the handshake of a replica', () => {
  it('is PING, then the introduction in one write, then PSYNC once all replies were read', () => {
    const { replica, primary } = new Bench({ masterauth: 'secret', masteruser: 'bob', replicaAnnounceIp: '1.2.3.4' })
    replica.everySecond()
    assert.deepEqual(primary.heard(), [])
    primary.accept()
    assert.deepEqual(primary.heard(), ['PING'])
    primary.say('-NOAUTH Authentication required.\r\n')
    assert.deepEqual(primary.heard(), [
      'AUTH bob secret',
      'REPLCONF listening-port 7000',
      'REPLCONF ip-address 1.2.3.4',
      'REPLCONF capa eof capa psync2',
      'REPLCONF version 9.0.0',
    ])
    primary.say('+OK\r\n+OK\r\n-ERR what is ip-address\r\n+OK\r\n')
    assert.deepEqual(primary.heard(), [])
    primary.say('-ERR Unrecognized REPLCONF option: version\r\n')
    assert.deepEqual(primary.heard(), [`PSYNC ${OWN_ID} 1`])
    assert.equal(replica.state, 'handshake')
  })

  it('asks as the captured replica did, but for a version', () => {
    const bench = new Bench()
    bench.greet()
    const asked = bench.primary.heard().filter((request) => request !== 'REPLCONF version 9.0.0')
    const heard = asked.join('\n').replace('7000', '21911').replace(`${OWN_ID} 1`, '? -1')
    const captured = readFileSync('test/fixtures/vectors/fullsync-eof-sent-7.0.15.hex', 'latin1').replace(/\s/g, '')
    assert.equal(heard, wordsOf(Buffer.from(captured, 'hex')).slice(0, 4).join('\n'))
  })

  it('announces the TLS port under tls-replication, and above all the one it is told to announce', () => {
    const port = (changes: Partial<ReplicationSettings>): string => {
      const { replica, primary } = new Bench(changes)
      replica.everySecond()
      primary.accept()
      primary.heard()
      primary.say('+PONG\r\n')
      return primary.heard()[0]!.split(' ')[2]!
    }
    assert.equal(port({ tlsPort: 7100 }), '7000')
    assert.equal(port({ tlsPort: 7100, tlsReplication: true }), '7100')
    assert.equal(port({ tlsPort: 7100, tlsReplication: true, replicaAnnouncePort: 9 }), '9')
  })

  it('ends at a wrong password, at an error to PING and when the primary cannot serve', () => {
    const replies = ['-ERR max number of clients reached\r\n', '+PONG\r\n-WRONGPASS no\r\n']
    const refusals = ['-NOMASTERLINK not connected\r\n', '-LOADING wait\r\n', '-ERR no\r\n', '+WHAT\r\n']
    for (const reply of [...replies, ...refusals.map((text) => `${WELCOME}+OK\r\n${text}`)]) {
      const { replica, primary, stream } = new Bench({ masterauth: 'x' })
      replica.everySecond()
      primary.accept()
      primary.say(reply)
      assert.equal(replica.state, 'connect', reply)
      assert.ok(!primary.isConnected)
      assert.equal(stream.replid, OWN_ID)
    }
  })

  it('reads replies and bare newlines however they are split', () => {
    const bench = new Bench()
    bench.replica.everySecond()
    bench.primary.accept()
    for (const byte of '+PONG\r\n\n\n+OK\r\n+OK\r\n\n+OK\r\n\n\n\n') bench.primary.say(byte)
    assert.equal(bench.primary.heard().at(-1), `PSYNC ${OWN_ID} 1`)
  })
})

describe('a full synchronisation', () => {
  const forms: Readonly<Record<string, (rdb: Buffer) => Buffer>> = {
    'with its length first': (rdb) => Buffer.concat([Buffer.from(`$${rdb.length}\r\n`), rdb]),
    'ended by a mark': (rdb) => Buffer.concat([Buffer.from(`$EOF:${MARK}\r\n`), rdb, Buffer.from(MARK)]),
  }

  for (const [name, form] of Object.entries(forms)) {
    it(`${name} is taken however it is split, with the stream right behind it`, () => {
      const payload = form(snapshot({ a: '1', b: 'x'.repeat(300) }))
      const all = Buffer.concat([
        Buffer.from(`+FULLRESYNC ${PRIMARY_ID} 8328\r\n\n\n`),
        payload,
        requests('SELECT 0', 'SET c 3'),
      ])
      fc.assert(
        fc.property(fc.array(fc.nat(all.length), { maxLength: 8 }), (cuts) => {
          const bench = new Bench()
          bench.greet()
          const places = [0, ...cuts.sort((a, b) => a - b), all.length]
          for (let i = 1; i < places.length; i++) bench.primary.say(all.subarray(places[i - 1], places[i]))
          assert.deepEqual(
            [...bench.data],
            [
              ['0:a', '1'],
              ['0:b', 'x'.repeat(300)],
            ],
          )
          assert.deepEqual(bench.applied, ['0| SET c 3'])
          assert.equal(bench.replica.state, 'connected')
          assert.deepEqual(
            [bench.stream.replid, bench.stream.offset],
            [PRIMARY_ID, 8328 + all.length - all.indexOf('*2')],
          )
        }),
      )
    })
  }

  it('is told once, when its data are ours', () => {
    const bench = new Bench()
    bench.greet()
    bench.primary.say(`+FULLRESYNC ${PRIMARY_ID} 100\r\n$${snapshot().length}\r\n`)
    bench.primary.say(snapshot().subarray(0, -1))
    assert.equal(bench.syncs, 0)
    bench.primary.say(snapshot().subarray(-1))
    assert.equal(bench.syncs, 1)
  })

  it('is acknowledged at once, and its own replicas must ask anew', () => {
    const bench = new Bench()
    bench.greet()
    bench.primary.heard()
    bench.primary.say(`+FULLRESYNC ${PRIMARY_ID} 100\r\n`)
    bench.primary.say(forms['ended by a mark']!(snapshot()))
    assert.equal(bench.primary.heard().at(-1), 'REPLCONF ACK 100')
    assert.equal(bench.historyChanges, 1)
  })

  it('keeps the old data set until the new one is whole', () => {
    const bench = new Bench()
    bench.greet()
    const payload = forms['ended by a mark']!(snapshot())
    bench.primary.say(`+FULLRESYNC ${PRIMARY_ID} 100\r\n`)
    bench.primary.say(payload.subarray(0, -1))
    assert.equal(bench.replica.state, 'sync')
    assert.deepEqual([...bench.data], [['0:old', 'data']])
    bench.primary.hangUp()
    assert.deepEqual([...bench.data], [['0:old', 'data']])
    assert.deepEqual([bench.stream.replid, bench.stream.offset], [OWN_ID, 0])
  })

  it('tells the primary now and then that it is still loading', () => {
    const bench = new Bench()
    bench.greet()
    bench.primary.heard()
    bench.primary.say(`+FULLRESYNC ${PRIMARY_ID} 100\r\n$500\r\n`)
    for (const byte of snapshot().subarray(0, 40)) {
      bench.clock.advance(100)
      bench.primary.say(Buffer.from([byte]))
    }
    assert.equal(bench.primary.heardBytes().toString(), '\n'.repeat(5))
    assert.equal(bench.replica.transfer?.received, 40)
    assert.equal(bench.replica.transfer?.total, 500)
  })

  it('is given up when damaged, of another length, without its mark or of a type we cannot hold', () => {
    const rdb = snapshot()
    const damaged = Buffer.from(rdb)
    damaged[rdb.length - 12]! ^= 1
    const bad: readonly (readonly [Buffer, RegExp])[] = [
      [forms['with its length first']!(damaged), /checksum/],
      [Buffer.concat([Buffer.from(`$${rdb.length + 1}\r\n`), rdb, Buffer.from('x')]), /bytes announced/],
      [Buffer.concat([Buffer.from(`$${rdb.length - 1}\r\n`), rdb]), /bytes announced/],
      [Buffer.concat([Buffer.from(`$EOF:${MARK}\r\n`), rdb, Buffer.from('0'.repeat(40))]), /mark/],
      [Buffer.from('-ERR cannot fork\r\n'), /cannot fork/],
      [Buffer.from('$12\r\nREDIS0010\x7f\x01h'), /unknown value type 127, key "h"/],
    ]
    for (const [payload, message] of bad) {
      const bench = new Bench()
      bench.greet()
      bench.primary.say(`+FULLRESYNC ${PRIMARY_ID} 100\r\n`)
      bench.primary.say(payload)
      assert.equal(bench.replica.state, 'connect', String(message))
      assert.ok(
        bench.lines.some((line) => message.test(line)),
        `${message}: ${bench.lines.join('\n')}`,
      )
      assert.deepEqual([...bench.data], [['0:old', 'data']])
    }
  })

  it('starts the stream in the database the snapshot names', () => {
    const bench = new Bench()
    bench.greet()
    bench.primary.say(`+FULLRESYNC ${PRIMARY_ID} 100\r\n`)
    bench.primary.say(forms['with its length first']!(snapshot({ k: 'v' }, 3)))
    bench.primary.say(requests('SET a 1'))
    assert.deepEqual(bench.applied, ['3| SET a 1'])
    assert.equal(bench.stream.db, 3)
  })
})

describe('following the stream', () => {
  it('carries out commands in their database and passes on the very bytes', () => {
    const bench = new Bench()
    bench.synchronise()
    const bytes = requests('ping', 'SELECT 2', 'set a 1', 'SELECT 0', 'DEL b')
    for (const byte of bytes) bench.primary.say(Buffer.from([byte]))
    assert.deepEqual(bench.applied, ['2| set a 1', '0| DEL b'])
    assert.equal(bench.stream.offset, 100 + bytes.length)
    assert.ok(Buffer.concat(bench.stream.readFrom(101)).equals(bytes))
  })

  it('counts a bare newline between commands, as a real replica does', () => {
    const bench = new Bench()
    bench.synchronise()
    const bytes = Buffer.concat([requests('SET a 1'), Buffer.from('\n\r\n'), requests('SET b 2'), Buffer.from('\n')])
    bench.primary.say(bytes)
    assert.equal(bench.stream.offset, 100 + bytes.length)
    assert.ok(Buffer.concat(bench.stream.readFrom(101)).equals(bytes))
  })

  it('carries out a transaction at EXEC, and only then moves the offset', () => {
    const bench = new Bench()
    bench.synchronise()
    const before = requests('SET z 0')
    const half = requests('MULTI', 'SELECT 1', 'SET a 1')
    bench.primary.say(Buffer.concat([before, half]))
    assert.deepEqual(bench.applied, ['0| SET z 0'])
    assert.equal(bench.stream.offset, 100 + before.length)
    assert.equal(bench.replica.readOffset, 100 + before.length + half.length)
    const end = requests('SET b 2', 'EXEC', 'SET c 3')
    bench.primary.say(end)
    assert.deepEqual(bench.applied.slice(1), ['1| SET a 1', '1| SET b 2', '1| SET c 3'])
    assert.equal(bench.stream.offset, 100 + before.length + half.length + end.length)
  })

  it('waits while the data must stay as it is, and forgets what waits with the link', () => {
    const bench = new Bench()
    const { stream, primary, replica } = bench
    bench.synchronise()
    const { offset } = stream
    bench.busy = true
    primary.say(requests('SELECT 0', 'SET a 1'))
    replica.endTurn()
    assert.deepEqual([bench.applied, stream.offset], [[], offset])
    bench.busy = false
    replica.endTurn()
    assert.deepEqual(bench.applied, ['0| SET a 1'])
    bench.busy = true
    primary.say(requests('SET a 2'))
    primary.hangUp()
    bench.busy = false
    replica.endTurn()
    assert.deepEqual(bench.applied, ['0| SET a 1'])
  })

  it('resumes at the start of a transaction that was cut off', () => {
    const bench = new Bench()
    bench.synchronise()
    bench.primary.say(requests('MULTI', 'SET a 1'))
    bench.clock.advance(5000)
    bench.primary.hangUp()
    bench.primary.accept()
    bench.primary.say(WELCOME)
    assert.equal(bench.primary.heard().at(-1), `PSYNC ${PRIMARY_ID} 101`)
    bench.primary.say('+CONTINUE\r\n')
    bench.primary.say(requests('MULTI', 'SET a 1', 'SET b 2', 'EXEC'))
    assert.deepEqual(bench.applied, ['0| SET a 1', '0| SET b 2'])
  })

  it('acknowledges every second and when it is asked; the answer does not count the question', () => {
    const bench = new Bench()
    bench.synchronise()
    const set = requests('SET a 1')
    bench.primary.say(Buffer.concat([set, requests('REPLCONF GETACK *')]))
    assert.deepEqual(bench.primary.heard(), [`REPLCONF ACK ${100 + set.length}`])
    bench.clock.advance(1000)
    bench.replica.everySecond()
    assert.deepEqual(bench.primary.heard(), [`REPLCONF ACK ${100 + set.length + 37}`])
  })

  it('takes a new id with +CONTINUE and keeps the old one as second', () => {
    const bench = new Bench()
    bench.synchronise()
    bench.clock.advance(5000)
    bench.primary.hangUp()
    bench.primary.accept()
    bench.primary.say(`${WELCOME}+CONTINUE ${OTHER_ID}\r\n`)
    const { replid, replid2, secondOffset } = bench.stream
    assert.deepEqual([replid, replid2, secondOffset], [OTHER_ID, PRIMARY_ID, 101])
    assert.equal(bench.historyChanges, 2)
    assert.equal(bench.replica.state, 'connected')
  })

  it('gives up the resume point when the stream is not made of commands', () => {
    for (const nonsense of ['SET a 1\r\n', '*1\r\n:5\r\n', '*x\r\n']) {
      const bench = new Bench()
      bench.synchronise()
      bench.clock.advance(5000)
      bench.primary.say(nonsense)
      assert.equal(bench.replica.state, 'connecting')
      bench.primary.accept()
      bench.primary.say(WELCOME)
      assert.equal(bench.primary.heard().at(-1), 'PSYNC ? -1', nonsense)
      assert.deepEqual(bench.applied, [])
    }
  })
})

describe('the link to the primary', () => {
  it('is dialled anew at once when it breaks, then once a second', () => {
    const bench = new Bench()
    bench.synchronise()
    bench.clock.advance(5000)
    bench.primary.hangUp()
    assert.equal(bench.primary.dials, 2)
    bench.primary.hangUp()
    assert.equal(bench.primary.dials, 2)
    for (let i = 3; i < 6; i++) {
      bench.clock.advance(1000)
      bench.replica.everySecond()
      assert.equal(bench.primary.dials, i)
      bench.clock.advance(10)
      bench.primary.hangUp()
    }
  })

  it('is given up when nothing comes for repl-timeout; any byte is a sign of life', () => {
    const bench = new Bench()
    bench.synchronise()
    for (let i = 0; i < 3; i++) {
      bench.clock.advance(59_000)
      bench.replica.everySecond()
      bench.primary.say('\n')
    }
    assert.ok(bench.replica.isUp)
    bench.clock.advance(60_001)
    bench.replica.everySecond()
    assert.equal(bench.replica.state, 'connecting')
    assert.equal(bench.replica.downSince, bench.clock.now())
  })

  it('says since when it is down, and 0 when it has never been up', () => {
    const bench = new Bench()
    assert.equal(bench.replica.downSince, 0)
    bench.greet()
    bench.primary.hangUp()
    assert.equal(bench.replica.downSince, 0)
  })

  it('hears nothing any more once it is stopped', () => {
    const bench = new Bench()
    bench.synchronise()
    bench.replica.stop()
    bench.primary.say(requests('SET a 1'))
    assert.deepEqual(bench.applied, [])
    assert.ok(!bench.primary.isConnected)
  })
})
