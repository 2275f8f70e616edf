/** Filling a server as fast as it reads: batches of commands whose replies have one line each. */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'

const BATCH = 1000
const LF = 0x0a

/** Sends the commands `command(0)` to `command(count - 1)`. Rejects when one is answered with an error. */
export async function fill(port: number, count: number, command: (i: number) => readonly string[]): Promise<void> {
  const socket = createConnection({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  const replies = new ReplyCount(socket)
  for (let i = 0; i < count; i += BATCH) {
    let text = ''
    const end = Math.min(count, i + BATCH)
    for (let n = i; n < end; n++) text += request(command(n))
    socket.write(text, 'latin1')
    // Two batches are on their way at a time.
    await replies.atLeast(i)
  }
  await replies.atLeast(count)
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
      for (let i = chunk.indexOf(LF); i >= 0; i = chunk.indexOf(LF, i + 1)) this.#lines++
      if (chunk[0] === 0x2d) this.#failed?.(new Error(chunk.toString('latin1', 0, 200)))
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
