/** Filling a server as fast as it reads: batches of commands whose replies have as many lines each. */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'

const BATCH = 1000
const LF = 0x0a
const DASH = 0x2d
/** How an error begins; an id that a chunk is cut in may begin with a dash too. */
const ERROR = /^-[A-Z]/
const isError = (chunk: Buffer, at: number): boolean => ERROR.test(chunk.latin1Slice(at, at + 2))

/** Sends the commands `command(0)` to `command(count - 1)`, whose replies have `lines` lines. Rejects when one is answered with an error. */
export async function fill(
  port: number,
  count: number,
  command: (i: number) => readonly string[],
  lines = 1,
): Promise<void> {
  const socket = createConnection({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  const replies = new ReplyCount(socket)
  for (let i = 0; i < count; i += BATCH) {
    let text = ''
    const end = Math.min(count, i + BATCH)
    for (let n = i; n < end; n++) text += request(command(n))
    socket.write(text, 'latin1')
    // Two batches are on their way at a time.
    await replies.atLeast(i * lines)
  }
  await replies.atLeast(count * lines)
  socket.destroy()
}

/** RESP of a command in latin1. */
function request(words: readonly string[]): string {
  let text = `*${words.length}\r\n`
  for (const word of words) text += `$${word.length}\r\n${word}\r\n`
  return text
}

class ReplyCount {
  #lines = 0
  #wanted = 0
  #done: (() => void) | undefined
  #failed: ((error: Error) => void) | undefined

  constructor(socket: Socket) {
    socket.on('data', (chunk) => {
      let error = isError(chunk, 0) ? 0 : -1
      for (let i = chunk.indexOf(LF); i >= 0; i = chunk.indexOf(LF, i + 1)) {
        this.#lines++
        if (chunk[i + 1] === DASH && isError(chunk, i + 1)) error = i + 1
      }
      if (error >= 0) this.#failed?.(new Error(chunk.toString('latin1', error, error + 200)))
      if (this.#lines >= this.#wanted) this.#done?.()
    })
    socket.on('close', () => this.#failed?.(new Error('the server closed the connection')))
    socket.on('error', (error) => this.#failed?.(error))
  }

  atLeast(lines: number): Promise<void> {
    if (this.#lines >= lines) return Promise.resolve()
    return new Promise((done, failed) => {
      this.#wanted = lines
      this.#done = done
      this.#failed = failed
    })
  }
}
