/** A node that can do nothing but replicate: our replication over real sockets, a keyspace, and the few commands the specs need. */
import { once } from 'node:events'
import net from 'node:net'
import type { Millis } from '../../lib/base/brand.ts'
import { wallClock } from '../../lib/base/clock.ts'
import { createLog } from '../../lib/base/log.ts'
import { systemRandom } from '../../lib/base/random.ts'
import type { Command } from '../../lib/commands/define.ts'
import { replicationCommands } from '../../lib/commands/replication.ts'
import { ClientError } from '../../lib/errors.ts'
import { dialer } from '../../lib/replication/dial.ts'
import { type InfoSettings, replicationRows } from '../../lib/replication/info.ts'
import { Replication } from '../../lib/replication/role.ts'
import type { ReplicationSettings } from '../../lib/replication/settings.ts'
import type { Argv } from '../../lib/resp/argv.ts'
import { RequestParser } from '../../lib/resp/parser.ts'
import { Reply } from '../../lib/resp/reply.ts'
import type { Call } from '../../lib/server/call.ts'
import { Keyspace } from '../../store/keyspace.ts'
import { freePort } from '../support/ports.ts'
import { asString } from '../support/values.ts'
import { settings } from './parts.ts'

/** What rows of the command table touch of a call. */
interface TestCall {
  readonly server: Node
  readonly client: { writeOffset: number; readonly wire: { readonly buffered: number } }
  readonly reply: Reply
  readonly now: Millis
  readonly db: Keyspace['databases'][number]
}

type Row = (call: TestCall, argv: Argv) => void

const INFO_SETTINGS: InfoSettings = {
  replicaPriority: 100,
  replicaReadOnly: true,
  replicaAnnounced: true,
  minReplicasToWrite: 1,
  minReplicasMaxLag: 10,
}

const DATA_COMMANDS: Readonly<Record<string, Row>> = {
  ping: ({ reply }) => reply.simple('PONG'),
  get({ db, reply }, argv) {
    const value = db.peek(argv.key(1))
    if (value === undefined) reply.nil()
    else reply.bulk(asString(value).bytes)
  },
  set({ server, client, db, reply }, argv) {
    const expireAt = argv.count > 4 && argv.word(3) === 'pxat' ? argv.integer(4) : 0
    db.write(argv.key(1), { type: 'string', bytes: argv.own(2), raw: false }, expireAt)
    server.replication.sink.append(db.index, argv.buffer, argv.rawStart, argv.rawEnd)
    client.writeOffset = server.replication.offset
    reply.ok()
  },
  info({ server, reply }) {
    const rows = replicationRows(server.replication, INFO_SETTINGS, wallClock())
    reply.text(`# Replication\r\n${rows.map(([name, value]) => `${name}:${value}\r\n`).join('')}`)
  },
}

const open = new Set<Node>()

export class Node {
  readonly port: number
  readonly keyspace = new Keyspace({ databases: 16 })
  readonly replication: Replication
  readonly lines: string[] = []
  readonly host = { requestEndTurn: () => void setImmediate(() => this.replication.flush()) }
  readonly stats = { replicationInputBytes: 0, replicationOutputBytes: 0 }
  readonly scripting = { busy: false }
  readonly pause = { pauseForFailover() {}, resumeFailover() {} }
  /** As the rows expect it. */
  readonly cluster = undefined
  readonly log
  readonly #rows = new Map<string, Row>(Object.entries(DATA_COMMANDS))
  readonly #sockets = new Set<net.Socket>()
  readonly #listener = net.createServer((socket) => this.#accept(socket))
  readonly #timers: NodeJS.Timeout[] = []

  constructor(port: number, changes: Partial<ReplicationSettings>) {
    this.port = port
    this.log = createLog({ pid: process.pid, now: wallClock, level: 'debug', sink: (line) => this.lines.push(line) })
    // A row sees of the call what TestCall has, and nothing else of the server.
    for (const { name, run } of replicationCommands)
      this.#rows.set(name, (call, argv) => (run as Command['run'])!(call as unknown as Call, argv))
    this.replication = new Replication({
      config: settings({ port, ...changes }),
      log: this.log,
      keyspace: this.keyspace,
      random: systemRandom,
      dial: dialer(() => undefined),
      server: () => this,
    })
    open.add(this)
  }

  async start(): Promise<void> {
    this.#listener.listen(this.port, '127.0.0.1')
    await once(this.#listener, 'listening')
    this.replication.start()
    this.#timers.push(setInterval(() => this.replication.everySecond(), 1000))
  }

  stop(): void {
    open.delete(this)
    for (const timer of this.#timers) clearInterval(timer)
    this.replication.stop()
    this.#listener.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  /** The value of a key, as latin1 text. */
  get(key: string, db = 0): string | undefined {
    for (const entry of this.keyspace.databases[db]!.entries())
      if (entry.key === key) return asString(entry.value).bytes.toString('latin1')
    return undefined
  }

  // --- what replication and the command rows ask of a server --------------------------------------------------------------

  apply(argv: Argv, db: number): void {
    const database = this.keyspace.databases[db]!
    const row = this.#rows.get(argv.word(0))
    if (row === undefined) throw new Error(`the stream has ${argv.text(0)}`)
    const client = { writeOffset: 0, wire: { buffered: 0 } }
    row({ server: this, client, reply: new Reply(), now: wallClock(), db: database }, argv)
  }

  demoted(): void {}

  block(client: { blocked?: unknown }, wait: unknown): void {
    client.blocked = wait
  }

  unblock(client: { flush(): void }): void {
    client.flush()
  }

  #accept(socket: net.Socket): void {
    this.#sockets.add(socket)
    const reply = new Reply()
    const wire = {
      write: (bytes: Buffer): boolean => {
        if (socket.writable) socket.write(bytes)
        return false
      },
      get buffered(): number {
        return socket.writableLength
      },
      whenWritten: (done: () => void) => void socket.write('', done),
      destroy: () => socket.destroy(),
    }
    const flush = (): void => reply.take((bytes) => wire.write(bytes))
    const client = {
      id: this.#sockets.size,
      address: `127.0.0.1:${socket.remotePort}`,
      wire,
      lastSeenAt: wallClock(),
      replica: false,
      multi: undefined,
      writeOffset: 0,
      flush,
    }
    const parser = new RequestParser({ maxBulkLength: 1 << 29, unauthenticated: false })
    socket.on('data', (chunk) => {
      client.lastSeenAt = wallClock()
      parser.feed(chunk as Buffer)
      while (parser.next()) {
        const { argv } = parser
        const call = { server: this, client, reply, now: wallClock(), db: this.keyspace.databases[0]! }
        try {
          this.#rows.get(argv.word(0))?.(call, argv)
        } catch (error) {
          if (!(error instanceof ClientError)) throw error
          reply.error(error.text)
        }
      }
      parser.settle()
      this.replication.flush()
      flush()
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.replication.replicaLeft(client)
    })
  }
}

/** A node that listens, and follows whom `changes` name. */
export async function startNode(changes: Partial<ReplicationSettings> = {}): Promise<Node> {
  const node = new Node(await freePort(), changes)
  await node.start()
  return node
}

export function stopNodes(): void {
  for (const node of open) node.stop()
}
