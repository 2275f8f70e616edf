/** A server of ours without sockets or timers: bytes go in by a call and come out of a fake wire. */
import { wallClock } from '../../lib/base/clock.ts'
import { createLog } from '../../lib/base/log.ts'
import { systemRandom } from '../../lib/base/random.ts'
import type { Wire } from '../../lib/base/socket-wire.ts'
import { FAMILIES } from '../../lib/commands/families.ts'
import { CommandTable } from '../../lib/commands/table.ts'
import { createConfig } from '../../lib/config.ts'
import { Persistence } from '../../lib/persistence.ts'
import type { Dial } from '../../lib/replication/replica.ts'
import { Replication } from '../../lib/replication/role.ts'
import type { Client } from '../../lib/server/client.ts'
import { Server } from '../../lib/server/server.ts'
import type { Disk } from '../../store/disk.ts'
import { Keyspace } from '../../store/keyspace.ts'
import { MemoryDisk } from './memory-disk.ts'
import { type Argument, decode, encode, ReplyError, type Value } from './resp.ts'

/** One connection to an in-process server. */
export class Wired {
  readonly client: Client
  closed = false
  /** Bytes would be read from it. */
  isRead = true
  readonly #inner: InProcess
  #received: Buffer[] = []

  constructor(inner: InProcess, address: string) {
    this.#inner = inner
    const wire: Wire = {
      write: (bytes) => {
        this.#received.push(Buffer.from(bytes))
        return true
      },
      buffered: 0,
      whenWritten: (done) => done(),
      pause: () => {
        this.isRead = false
      },
      resume: () => {
        this.isRead = true
      },
      end: () => {
        this.closed = true
        inner.server.disconnect(this.client)
      },
      destroy: () => {
        this.closed = true
      },
    }
    this.client = inner.server.connect(wire, { address, localAddress: '127.0.0.1:6379', tls: false })
  }

  /** Sends bytes and returns all that came back on this connection since it was last asked. */
  raw(bytes: Buffer): Buffer {
    this.#inner.server.receive(this.client, Buffer.from(bytes))
    this.#inner.settle()
    return this.taken()
  }

  /** What came by itself: messages to subscribers, late replies. */
  taken(): Buffer {
    const bytes = Buffer.concat(this.#received)
    this.#received = []
    return bytes
  }

  /** Sends one command and returns what its reply means; an error reply is thrown. */
  call(...argv: readonly Argument[]): Value {
    const bytes = this.raw(encode(argv))
    const value = decode(bytes, 0)?.value
    if (value instanceof ReplyError) throw value
    if (value === undefined) throw new Error(`no reply to ${argv.join(' ')}`)
    return value
  }

  /** As `call`, as text, with an error reply returned like any other. */
  outcome(...argv: readonly Argument[]): string {
    const value = decode(this.raw(encode(argv)), 0)?.value
    return value instanceof ReplyError ? value.message : String(value)
  }
}

const nobody: Dial = () => {
  throw new Error('this in-process server has no primary')
}

export class InProcess {
  readonly server: Server
  readonly log: string[] = []
  /** SHUTDOWN was accepted. */
  stopped = false
  #turnWanted = false
  #nextPort = 50_000

  /** `conf`: directives given by a file, which may set immutable ones too. Nothing is loaded unless `persistence` is opened. */
  constructor(conf: Readonly<Record<string, string>> = {}, disk: Disk = new MemoryDisk(), dial: Dial = nobody) {
    const config = createConfig('/')
    for (const [name, value] of Object.entries({ 'enable-debug-command': 'yes', ...conf })) {
      const given = config.give(name, [value])
      if (given !== 'given') throw new Error(`${name} ${value}: ${JSON.stringify(given)}`)
    }
    const log = createLog({ level: 'debug', pid: 1, now: wallClock, sink: (line) => this.log.push(line) })
    const keyspace = new Keyspace({ databases: config.values.databases })
    const replication = new Replication({
      config,
      log,
      keyspace,
      random: systemRandom,
      dial,
      server: () => this.server,
      disk,
    })
    this.server = new Server({ config, log, commands: new CommandTable(FAMILIES), keyspace, replication })
    this.server.persistence = new Persistence({
      config,
      log,
      keyspace,
      replication,
      random: systemRandom,
      server: () => this.server,
      pid: 1,
      disk,
    })
    this.server.host = {
      requestEndTurn: () => {
        this.#turnWanted = true
      },
      wakeAt() {},
      expectRequest() {},
      shutdown: () => {
        this.stopped = true
      },
    }
  }

  connect(address = `127.0.0.1:${this.#nextPort++}`): Wired {
    return new Wired(this, address)
  }

  /** From here on collects what is replicated: call it for the commands so far, each as its words. */
  replicated(): () => string[] {
    const { stream } = this.server.replication
    stream.open('f'.repeat(40))
    const chunks: Buffer[] = []
    stream.subscribe((bytes) => chunks.push(Buffer.from(bytes)))
    return () => {
      const bytes = Buffer.concat(chunks)
      const commands: string[] = []
      for (let at = 0; at < bytes.length; ) {
        const { value, end } = decode(bytes, at)!
        commands.push((value as readonly string[]).join(' '))
        at = end
      }
      return commands
    }
  }

  /** Ends turns until nothing is left to do. */
  settle(): void {
    while (this.#turnWanted) {
      this.#turnWanted = false
      this.server.endTurn()
      // A script that was put aside has a slice in each turn, for as long as it takes.
      if (this.server.scripting.busy) return
    }
  }
}
