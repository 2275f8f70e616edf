/** The short way between a client's socket and the kernel: past Node's stream layer, whose work around each read and write costs as
 *  much as a small command. All sockets read into one buffer, so that no chunk is allocated, and replies go straight to the handle.
 *
 *  Whatever is not the common case (a paused client, the end of the connection, an error, a reply the kernel did not take whole) is
 *  left to the stream, which stays the owner of the socket. This is the one file that depends on Node's internals; they have been
 *  the same from Node 12 on, and where one of them is missing there is no raw path.
 *
 *  Server CPU per command, redis-benchmark -c 50 -d 64, this path / the plain one: GET 6.7 / 7.6 us and SET 7.3 / 8.2 us at
 *  pipeline 1, GET 0.97 / 1.07 us and SET 1.18 / 1.51 us at pipeline 16 (`npm run bench` with and without ROOKERY_SOCKETS=plain). */
import type { Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { NOTHING, plainPath, type SocketPath, type Wire } from './socket-wire.ts'

/** The native side of a TCP or unix socket: what of it is used here. */
interface Handle {
  /** Called for each read; how much was read is in the stream state. Must return undefined: a result would become the next buffer. */
  onread: (chunk: ArrayBuffer | undefined) => void
  /** Reads go to this buffer from now on. It is not kept alive by the handle. */
  useUserBuffer(buffer: Uint8Array): void
  /** Writes what the kernel takes at once. Only when some is left, `request` is used, and must be new. Gives 0 or a negative errno. */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number
}

interface WriteRequest {
  /** Keeps the bytes alive until they are written. */
  buffer?: Uint8Array
  oncomplete?: (status: number) => void
}

interface Binding {
  readonly WriteWrap: new () => WriteRequest
  /** Results of the last native call, at the indexes below. */
  readonly streamBaseState: Int32Array
  readonly kReadBytesOrError: number
  readonly kLastWriteWasAsync: number
}

/** What one `read` of the event loop asks for, as Node itself does. */
const READ_SIZE = 64 * 1024

let shared: SocketPath | undefined

/** The one raw path of the process where there is one; ROOKERY_SOCKETS=plain keeps a process off it. */
export function defaultPath(): SocketPath {
  shared ??= (process.env['ROOKERY_SOCKETS'] === 'plain' ? undefined : openRawPath()) ?? plainPath
  return shared
}

/** The raw path for TCP and unix sockets (not TLS), or undefined where Node does not offer what it needs. A single socket whose
 *  handle lacks something takes the plain path inside it. */
export function openRawPath(): SocketPath | undefined {
  const binding = streamBinding()
  if (binding === undefined) return undefined
  const received = Buffer.allocUnsafeSlow(READ_SIZE)
  const spare: Spare = { request: new binding.WriteWrap() }
  return {
    wireOf(socket) {
      const handle = handleOf(socket)
      return handle === undefined ? plainPath.wireOf(socket) : new RawWire(socket, handle, binding, spare)
    },
    listen(socket, receive) {
      plainPath.listen(socket, receive)
      const handle = handleOf(socket)
      if (handle !== undefined) readInto(received, socket, handle, binding, receive)
    },
  }
}

function streamBinding(): Binding | undefined {
  // Absent from Node's types because it is not for everybody; throws under the permission model and in other runtimes.
  const { binding } = process as { binding?: (name: string) => Partial<Binding> }
  try {
    const found = binding?.call(process, 'stream_wrap')
    const usable =
      typeof found?.WriteWrap === 'function' &&
      found.streamBaseState instanceof Int32Array &&
      typeof found.kReadBytesOrError === 'number' &&
      typeof found.kLastWriteWasAsync === 'number'
    return usable ? (found as Binding) : undefined
  } catch {
    return undefined
  }
}

function handleOf(socket: Socket): Handle | undefined {
  const handle = (socket as { _handle?: Partial<Handle> | null })._handle
  const usable =
    typeof handle?.useUserBuffer === 'function' &&
    typeof handle.writeBuffer === 'function' &&
    typeof handle.onread === 'function'
  return usable ? (handle as Handle) : undefined
}

/** Reads into the shared buffer and lends it out. While the stream is paused, or still holds what came during a pause, it gets a
 *  copy instead and decides as ever: how much to hold, when to stop reading, what order things come in. */
function readInto(
  received: Buffer,
  socket: Socket,
  handle: Handle,
  { streamBaseState, kReadBytesOrError }: Binding,
  receive: (chunk: Buffer) => void,
): void {
  const byStream = handle.onread
  let chunk = received
  handle.onread = (unused) => {
    const length = streamBaseState[kReadBytesOrError]!
    if (length <= 0) byStream.call(handle, unused)
    else if (socket.readableFlowing === true && socket.readableLength === 0) {
      // A client's requests are often of one length: its view serves again.
      if (chunk.length !== length) chunk = received.subarray(0, length)
      receive(chunk)
    } else byStream.call(handle, new Uint8Array(received.subarray(0, length)).buffer)
  }
  handle.useUserBuffer(received)
}

/** The request of the next write, of whatever socket: only a write that has to wait uses it up. */
interface Spare {
  request: WriteRequest
}

class RawWire implements Wire {
  readonly #socket: Socket
  readonly #handle: Handle
  readonly #binding: Binding
  readonly #spare: Spare
  /** Bytes of our own write that the kernel has not taken whole; what comes after it goes through the stream, and stays in order
   *  because both end in the handle's one queue. */
  #waiting = 0

  constructor(socket: Socket, handle: Handle, binding: Binding, spare: Spare) {
    this.#socket = socket
    this.#handle = handle
    this.#binding = binding
    this.#spare = spare
  }

  write(bytes: Buffer): boolean {
    const socket = this.#socket
    if (!socket.writable) return false
    if (this.#waiting > 0 || socket.writableLength > 0) {
      socket.write(bytes)
      return false
    }
    const status = this.#handle.writeBuffer(this.#spare.request, bytes)
    if (status !== 0) {
      this.#spare.request = new this.#binding.WriteWrap()
      this.#fail(status)
      return false
    }
    if (this.#binding.streamBaseState[this.#binding.kLastWriteWasAsync] === 0) return true
    this.#wait(bytes)
    return false
  }

  get buffered(): number {
    return this.#waiting + this.#socket.writableLength
  }

  whenWritten(done: () => void): void {
    this.#socket.write(NOTHING, done)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** The stream shuts the handle down, which waits for the handle's queue: what waits here leaves before. */
  end(): void {
    this.#socket.end(() => this.#socket.destroy())
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** The last write goes on without us. */
  #wait(bytes: Buffer): void {
    const { request } = this.#spare
    this.#spare.request = new this.#binding.WriteWrap()
    this.#waiting = bytes.length
    request.buffer = bytes
    request.oncomplete = (status) => {
      this.#waiting = 0
      if (status !== 0 && !this.#socket.destroyed) this.#fail(status)
    }
  }

  /** What the stream does when it sees a write fail. */
  #fail(status: number): void {
    const code = getSystemErrorName(status)
    this.#socket.destroy(Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: 'write' }))
  }
}
