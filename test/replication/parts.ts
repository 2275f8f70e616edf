/** What the replication specs put in place of sockets, clocks and servers. */
import type { Millis } from '../../lib/base/brand.ts'
import { createLog, type Log } from '../../lib/base/log.ts'
import { type Random, seededRandom } from '../../lib/base/random.ts'
import type { ReplicaClient } from '../../lib/replication/attached.ts'
import type { Dial, LinkEvents } from '../../lib/replication/replica.ts'
import type { ReplicationSettings } from '../../lib/replication/settings.ts'
import { encodeRequest } from '../../lib/resp/argv.ts'
import { DEFAULT_LIMITS } from '../../store/rdb/types.ts'

export const PRIMARY_ID = 'a'.repeat(40)
export const OTHER_ID = 'b'.repeat(40)

export const settings = (changes: Partial<ReplicationSettings> = {}): { values: ReplicationSettings } => ({
  values: {
    replicaof: undefined,
    ...DEFAULT_LIMITS,
    dir: '/tmp',
    port: 7000,
    tlsPort: 0,
    tlsReplication: false,
    masterauth: '',
    masteruser: '',
    replicaAnnounceIp: '',
    replicaAnnouncePort: 0,
    replBacklogSize: 1 << 20,
    replBacklogTtl: 3600,
    replPingReplicaPeriod: 10,
    replTimeout: 60,
    replDisklessSync: true,
    rdbcompression: true,
    minReplicasMaxLag: 10,
    clientOutputBufferLimit: { replica: { hard: 4096, soft: 1024, softSeconds: 60 } },
    ...changes,
  },
})

/** A clock that stands until it is moved. */
export class Clock {
  #now = 1_000_000
  readonly now = (): Millis => this.#now as Millis
  advance(ms: number): void {
    this.#now += ms
  }
}

/** A log whose lines a test can look at. */
export function memoryLog(clock: Clock): { log: Log; lines: string[] } {
  const lines: string[] = []
  return { lines, log: createLog({ pid: 1, now: clock.now, sink: (line) => lines.push(line) }) }
}

export const random = (): Random => seededRandom(7)

/** Requests one after the other, as RESP: words separated by blanks. */
export const requests = (...texts: readonly string[]): Buffer =>
  Buffer.concat(texts.map((text) => encodeRequest(text.split(' '))))

/** RESP requests as lines of words, for comparing. */
export function wordsOf(bytes: Buffer): string[] {
  return bytes
    .toString('latin1')
    .split(/\*\d+\r\n/)
    .filter((text) => text !== '')
    .map((text) =>
      text
        .replaceAll(/\$\d+\r\n/g, '')
        .trimEnd()
        .replaceAll('\r\n', ' '),
    )
}

/** A replica's connection as its primary sees it. */
export class FakeReplica implements ReplicaClient {
  readonly id: number
  readonly address = '127.0.0.1:50000'
  lastSeenAt: Millis
  replica = false
  closed = false
  readonly #clock: Clock
  #output: Buffer[] = []
  #buffered = 0
  #waiting: (() => void)[] = []
  /** Whether what is written leaves at once. */
  stuck = false

  constructor(id: number, clock: Clock) {
    this.id = id
    this.#clock = clock
    this.lastSeenAt = clock.now()
  }

  get wire(): ReplicaClient['wire'] {
    return {
      write: (bytes) => {
        this.#output.push(bytes)
        if (this.stuck) this.#buffered += bytes.length
        return false
      },
      buffered: this.#buffered,
      whenWritten: (done) => void this.#waiting.push(done),
      destroy: () => {
        this.closed = true
      },
    }
  }

  /** It sent something. */
  speaks(): void {
    this.lastSeenAt = this.#clock.now()
  }

  /** It reads again: all that waited has left. */
  unstick(): void {
    this.stuck = false
    this.#buffered = 0
    for (const done of this.#waiting.splice(0)) done()
  }

  /** What was sent to it since the last time. */
  taken(): Buffer {
    const output = Buffer.concat(this.#output)
    this.#output = []
    return output
  }
}

/** What a primary answers until PSYNC comes. */
export const WELCOME = `+PONG\r\n${'+OK\r\n'.repeat(3)}`

/** A primary as its replica's link sees it: it says what a test tells it to. */
export class FakePrimary {
  dials = 0
  #events: LinkEvents | undefined
  #received: Buffer[] = []

  readonly dial: Dial = (_host, _port, events) => {
    this.dials++
    this.#events = events
    this.#received = []
    return {
      write: (bytes) => void this.#received.push(bytes),
      close: () => {
        if (this.#events === events) this.#events = undefined
      },
    }
  }

  get isConnected(): boolean {
    return this.#events !== undefined
  }

  accept(): void {
    this.#events?.opened()
  }

  say(bytes: Buffer | string): void {
    this.#events?.received(Buffer.from(bytes))
  }

  hangUp(): void {
    this.#events?.closed('connection closed')
  }

  /** Requests of the replica since the last time. */
  heard(): string[] {
    return wordsOf(this.heardBytes())
  }

  heardBytes(): Buffer {
    const bytes = Buffer.concat(this.#received)
    this.#received = []
    return bytes
  }
}
