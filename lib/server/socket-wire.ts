/** A client's socket as the server sees it, by the public means of Node: works everywhere, for TLS too. */
import type { Socket } from 'node:net'
import type { Wire } from './client.ts'

/** How bytes get from a socket to the server and back. */
export interface SocketPath {
  /** What the server writes to. */
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
