/** A connection for requests whose replies are large: knows when a reply is complete without reading it, so that the
 *  time is the server's, and reads it only when it is to be compared. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { encode } from '../../test/support/resp.ts'

/** What comes after every request: a PING whose reply cannot be part of another. */
const END = '<end of what was asked>'
const PING_END = encode(['PING', END])
const PONG_END = Buffer.from(`$${END.length}\r\n${END}\r\n`)

export class Timed {
  readonly #socket: Socket
  #seen: Buffer[] = []
  #tail: Buffer = Buffer.alloc(0)
  #keeps = false
  #done: (() => void) | undefined
  #failed: ((error: Error) => void) | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#read(chunk))
    socket.on('error', (error) => this.#failed?.(error))
    socket.on('close', () => this.#failed?.(new Error('the server closed the connection')))
  }

  /** Milliseconds from the request to the last byte of its reply. */
  async time(request: Buffer): Promise<number> {
    const begun = performance.now()
    await this.#exchange(request, false)
    return performance.now() - begun
  }

  /** The reply itself. */
  async reply(request: Buffer): Promise<Buffer> {
    await this.#exchange(request, true)
    const bytes = Buffer.concat(this.#seen)
    this.#seen = []
    return bytes.subarray(0, bytes.length - PONG_END.length)
  }

  close(): void {
    this.#socket.destroy()
  }

  #exchange(request: Buffer, keeps: boolean): Promise<void> {
    this.#keeps = keeps
    this.#tail = Buffer.alloc(0)
    return new Promise((done, failed) => {
      this.#done = done
      this.#failed = failed
      this.#socket.write(request)
      this.#socket.write(PING_END)
    })
  }

  #read(chunk: Buffer): void {
    if (this.#keeps) this.#seen.push(Buffer.from(chunk))
    this.#tail =
      chunk.length >= PONG_END.length
        ? Buffer.from(chunk.subarray(-PONG_END.length))
        : Buffer.concat([this.#tail, chunk]).subarray(-PONG_END.length)
    if (this.#tail.equals(PONG_END)) this.#done?.()
  }
}

export async function connectTimed(port: number): Promise<Timed> {
  const socket = createConnection({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return new Timed(socket)
}

/** What two servers' replies have in common when they mean the same: the bytes as they are; the lines in any order, for replies that
 *  have none; only the head, when chance decides about the rest; or nothing, when each has its own way to say it. */
export type Likeness = 'bytes' | 'lines' | 'head' | 'nothing'

export function digest(reply: Buffer, likeness: Likeness): string {
  if (likeness === 'nothing') return ''
  if (likeness === 'head') return reply.latin1Slice(0, reply.indexOf('\r\n'))
  const bytes =
    likeness === 'bytes' ? reply : Buffer.from(reply.latin1Slice().split('\r\n').sort().join('\n'), 'latin1')
  return createHash('sha1').update(bytes).digest('hex')
}
