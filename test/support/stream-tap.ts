/** Listening to what a real primary tells its replicas. */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { eventually } from './eventually.ts'
import { decode, encode } from './resp.ts'

/** The words of one command of the stream, as latin1 text. */
export type Words = readonly string[]

/** A connection that claims to be a replica and only listens. It ends with the primary. */
export class StreamTap {
  #received: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
    })
    socket.on('error', () => {})
  }

  /** Resolves when the snapshot is over: from here on everything the primary changes is heard. */
  static async open(port: number): Promise<StreamTap> {
    const socket = createConnection({ port, host: '127.0.0.1' })
    await once(socket, 'connect')
    const tap = new StreamTap(socket)
    socket.write('PSYNC ? -1\r\n')
    await eventually(() => tap.#skipSnapshot(), { what: `a snapshot from ${port}`, withinMs: 10_000 })
    return tap
  }

  /** All commands since the last call, up to and including `SET <marker> ''`. */
  async until(marker: string): Promise<readonly Words[]> {
    const last = encode(['SET', marker, ''])
    await eventually(() => this.#received.includes(last), { what: `SET ${marker} in the stream`, withinMs: 5000 })
    const commands = commandsOf(this.#received)
    this.#received = Buffer.alloc(0)
    return commands
  }

  #skipSnapshot(): boolean {
    const found = /\$(\d+)\r\n/.exec(this.#received.latin1Slice())
    if (found === null) return false
    const end = found.index + found[0].length + Number(found[1])
    if (this.#received.length < end) return false
    this.#received = this.#received.subarray(end)
    return true
  }
}

/** The commands in stream bytes, PINGs left out. */
export function commandsOf(bytes: Buffer): readonly Words[] {
  const commands: Words[] = []
  for (let at = 0; at < bytes.length; ) {
    const command = decode(bytes, at)
    if (command === undefined) break
    at = command.end
    const words = command.value as readonly string[]
    if (words[0] !== 'ping') commands.push(words)
  }
  return commands
}
