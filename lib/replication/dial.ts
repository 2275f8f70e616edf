/** The sockets of replication: one outgoing connection to a primary, plain or TLS. */
import net from 'node:net'
import tls from 'node:tls'
import type { Dial } from './replica.ts'

/** Dials plain TCP, or TLS while `secure` gives its options (tls-replication). */
export const dialer =
  (secure: () => tls.ConnectionOptions | undefined): Dial =>
  (host, port, events) => {
    const options = secure()
    const socket =
      options === undefined
        ? net.connect({ host, port, noDelay: true })
        : tls.connect({ ...options, host, port }).setNoDelay(true)
    let why = 'connection closed'
    socket.once(options === undefined ? 'connect' : 'secureConnect', () => events.opened())
    socket.on('data', (chunk: Buffer) => events.received(chunk))
    socket.on('error', (error) => {
      why = error.message
    })
    socket.once('close', () => events.closed(why))
    return {
      write: (bytes) => void socket.write(bytes),
      close: () => void socket.destroy(),
    }
  }
