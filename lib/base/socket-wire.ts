/** A socket as its user sees it, by the public means of Node: works everywhere, for TLS too. */
import type { Socket } from 'node:net'

/** What bytes are written to; tests fake it. */
export interface Wire {
  /** Sends bytes; true when the buffer may be reused at once. */
  write(bytes: Buffer): boolean
  /** Bytes accepted by `write` that have not left the process. */
  readonly buffered: number
  /** Calls back once what was written so far has left the process, or the connection is gone. */
  whenWritten(done: () => void): void
  /** Stop and go on reading. */
  pause(): void
  resume(): void
  /** Sends what is buffered, then closes. */
  end(): void
  /** Closes now. */
  destroy(): void
}

/** How bytes get from a socket to its user and back. */
export interface SocketPath {
  /** What is written to. */
  wireOf(socket: Socket): Wire
  /** Calls `receive` with what comes in, in order; a chunk is only lent for the call. Once for each socket, when it is new. */
  listen(socket: Socket, receive: (chunk: Buffer) => void): void
}

/** Has its turn, like anything that is written. */
export const NOTHING = Buffer.alloc(0)

/** `data` events and `socket.write`. */
export const plainPath: SocketPath = {
  wireOf: (socket) => ({
    write(bytes) {
      if (!socket.writable) return false
      socket.write(bytes)
      // Nothing is left in the stream: the kernel has taken the bytes, so their buffer is free again.
      return socket.writableLength === 0
    },
    get buffered() {
      return socket.writableLength
    },
    whenWritten: (done) => void socket.write(NOTHING, done),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(() => socket.destroy()),
    destroy: () => void socket.destroy(),
  }),
  listen: (socket, receive) => void socket.on('data', receive),
}
