/** A small client for tests: pipelining, messages to subscribers, and the very bytes of each reply. */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { type Argument, decode, encode, ReplyError, type Value } from './resp.ts'

interface Reply {
  readonly value: Value
  readonly raw: Buffer
}

interface Waiter {
  readonly timer: NodeJS.Timeout
  resolve(reply: Reply): void
  reject(error: Error): void
}

const PUSH = '>'.charCodeAt(0)
const REPLY_LIMIT_MS = 15_000

/** One connection. Replies answer requests in order; a push, or whatever arrives while nothing is asked, is a message. */
export class Client {
  readonly port: number
  private readonly socket: Socket
  private readonly patienceMs: number
  private readonly asked: Waiter[] = []
  private readonly listening: Waiter[] = []
  private readonly messages: Reply[] = []
  private received: Buffer = Buffer.alloc(0)
  private ended: Error | undefined

  constructor(port: number, socket: Socket, patienceMs: number) {
    this.port = port
    this.patienceMs = patienceMs
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes) => this.read(bytes))
    socket.on('error', (error) => this.end(error))
    socket.on('close', () => this.end(new Error(`connection to ${port} closed`)))
  }

  /** Sends one command and returns what its reply means; an error reply is thrown. */
  async call(...argv: readonly Argument[]): Promise<Value> {
    const { value } = await this.exchange(encode(argv))
    if (value instanceof ReplyError) throw value
    return value
  }

  /** As `call`, for replies that are text or a number: their text form ("OK", "3"; null is ""). */
  async text(...argv: readonly Argument[]): Promise<string> {
    const value = await this.call(...argv)
    return value === null ? '' : String(value)
  }

  /** As `text`, with an error reply returned like any other: for tests about errors. */
  async outcome(...argv: readonly Argument[]): Promise<string> {
    const { value } = await this.exchange(encode(argv))
    if (value instanceof ReplyError) return value.message
    return value === null ? '' : String(value)
  }

  /** Sends all commands in one write and returns the meanings of their replies in order; errors are values here. */
  async pipeline(commands: readonly (readonly Argument[])[]): Promise<Value[]> {
    const replies = commands.map(() => this.next(this.asked, this.patienceMs))
    this.socket.write(Buffer.concat(commands.map(encode)))
    return (await Promise.all(replies)).map((reply) => reply.value)
  }

  /** Sends bytes as they are and returns the bytes of the next reply. */
  async raw(bytes: Buffer | string): Promise<Buffer> {
    return (await this.exchange(bytes)).raw
  }

  /** Sends bytes and expects nothing. */
  send(bytes: Buffer | string): void {
    this.socket.write(bytes)
  }

  /** The next message, its bytes and meaning; rejects when none comes in time. */
  async message(withinMs = 5000): Promise<Reply> {
    return this.messages.shift() ?? this.next(this.listening, withinMs)
  }

  /** Resolves when the connection has ended, from whichever side. */
  async untilClosed(): Promise<void> {
    if (!this.ended) await once(this.socket, 'close', { signal: AbortSignal.timeout(REPLY_LIMIT_MS) })
  }

  close(): void {
    this.socket.destroy()
  }

  private exchange(bytes: Buffer | string): Promise<Reply> {
    const reply = this.next(this.asked, this.patienceMs)
    this.socket.write(bytes)
    return reply
  }

  private next(queue: Waiter[], withinMs: number): Promise<Reply> {
    if (this.ended) return Promise.reject(this.ended)
    return new Promise((resolve, reject) => {
      const giveUp = (): void => void this.socket.destroy(new Error(`nothing from ${this.port} in ${withinMs} ms`))
      queue.push({ timer: setTimeout(giveUp, withinMs), resolve, reject })
    })
  }

  private read(bytes: Buffer): void {
    this.received = this.received.length === 0 ? bytes : Buffer.concat([this.received, bytes])
    try {
      for (let found = decode(this.received, 0); found; found = decode(this.received, 0)) {
        const reply = { value: found.value, raw: this.received.subarray(0, found.end) }
        this.received = this.received.subarray(found.end)
        this.take(reply)
      }
    } catch (error) {
      this.socket.destroy(error as Error)
    }
  }

  private take(reply: Reply): void {
    const answered = reply.raw[0] === PUSH ? undefined : this.asked.shift()
    const waiter = answered ?? this.listening.shift()
    if (!waiter) return void this.messages.push(reply)
    clearTimeout(waiter.timer)
    waiter.resolve(reply)
  }

  private end(error: Error): void {
    this.ended ??= error
    for (const waiter of [...this.asked.splice(0), ...this.listening.splice(0)]) {
      clearTimeout(waiter.timer)
      waiter.reject(this.ended)
    }
  }
}

const open = new Set<Client>()

/** Connects to a local server; rejects when nobody listens. A reply that takes longer than `patienceMs` ends the connection. */
export async function connect(port: number, patienceMs = REPLY_LIMIT_MS): Promise<Client> {
  const socket = createConnection({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  const client = new Client(port, socket, patienceMs)
  open.add(client)
  socket.once('close', () => open.delete(client))
  return client
}

/** Closes what tests left open: a failing test does not reach its own `close`. */
export function closeClients(): void {
  for (const client of open) client.close()
}

/** One command on a connection of its own; an error reply is thrown. */
export async function ask(port: number, ...argv: readonly Argument[]): Promise<Value> {
  const client = await connect(port)
  try {
    return await client.call(...argv)
  } finally {
    client.close()
  }
}

/** As `ask`, as text, with an error reply returned like any other. */
export async function outcome(port: number, ...argv: readonly Argument[]): Promise<string> {
  const client = await connect(port)
  try {
    return await client.outcome(...argv)
  } finally {
    client.close()
  }
}

/** The `name:value` lines of INFO or CLUSTER INFO. */
export async function fields(port: number, ...argv: readonly Argument[]): Promise<Readonly<Record<string, string>>> {
  const lines = String(await ask(port, ...argv)).split('\r\n')
  return Object.fromEntries(lines.filter((line) => line.includes(':')).map((line) => split(line, ':')))
}

function split(line: string, mark: string): [string, string] {
  const at = line.indexOf(mark)
  return [line.slice(0, at), line.slice(at + 1)]
}
