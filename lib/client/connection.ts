/** A pipelined RESP client: one connection, replies in the order of the requests. */
import net from 'node:net'
import { encodeRequest } from '../resp/argv.ts'
import { Push, ReplyDecoder, ReplyError, type ReplyValue } from '../resp/decode.ts'

export interface ConnectOptions {
  readonly host?: string
  readonly port: number
  /** Gives up dialling, and waiting for any one reply, after this long. */
  readonly timeoutMs?: number
}

interface Waiting {
  resolve(value: ReplyValue): void
  reject(error: Error): void
}

export class Connection {
  readonly #socket: net.Socket
  readonly #decoder = new ReplyDecoder()
  readonly #waiting: Waiting[] = []
  #failure: Error | undefined
  /** RESP3 out-of-band data. */
  onPush: (items: readonly ReplyValue[]) => void = () => {}

  private constructor(socket: net.Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('connection closed')))
  }

  /** Dials; rejects when nobody answers. */
  static open(options: ConnectOptions): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host: options.host ?? '127.0.0.1', port: options.port, noDelay: true })
      const timeoutMs = options.timeoutMs ?? 0
      if (timeoutMs > 0)
        socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)))
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new Connection(socket))
      })
    })
  }

  /** Sends a request. Resolves with its reply; an error reply rejects with a ReplyError. */
  call(...parts: readonly (string | number | Buffer)[]): Promise<ReplyValue> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const words = parts.map((part) => (typeof part === 'number' ? String(part) : part))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#socket.write(encodeRequest(words))
    })
  }

  /** As `call`, for replies that are text. */
  async text(...parts: readonly (string | number | Buffer)[]): Promise<string> {
    const value = await this.call(...parts)
    return Buffer.isBuffer(value) ? value.toString() : String(value)
  }

  close(): void {
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    this.#decoder.feed(chunk)
    try {
      for (;;) {
        const value = this.#decoder.next()
        if (value === undefined) return
        if (value instanceof Push) this.onPush(value.items)
        else this.#answer(value)
      }
    } catch (error) {
      this.#socket.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #answer(value: ReplyValue): void {
    const waiting = this.#waiting.shift()
    if (value instanceof ReplyError) waiting?.reject(value)
    else waiting?.resolve(value)
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failure)
  }
}
