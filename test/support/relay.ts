/** A relay in front of a port, to be cut like a cable: what a firewall that drops packets, or one dead connection, does to those who
 *  talk through it. Bytes that are held back are delivered when the cut is healed, as TCP would repeat them. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** One connection through the relay. */
interface Wire {
  /** Where it came from. */
  readonly source: string
  readonly near: Socket
  /** Undefined as long as the relay has not dialled: the connection came in during a cut. */
  far: Socket | undefined
  /** Held back for itself alone, whatever is cut. */
  stalled: boolean
}

export class Relay {
  readonly #target: number
  readonly #server: Server
  readonly #wires = new Set<Wire>()
  readonly #cut = new Set<string>()
  #cutAll = false
  #accepted = 0

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer({ pauseOnConnect: true }, (near) => this.#accept(near))
    relays.add(this)
  }

  /** A relay to a local port, on a port of its own. */
  static async open(target: number): Promise<Relay> {
    const relay = new Relay(target)
    relay.#server.listen(0, '127.0.0.1')
    await once(relay.#server, 'listening')
    relay.#server.unref()
    return relay
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** How many connections came in so far. */
  get accepted(): number {
    return this.#accepted
  }

  /** Drops everything from and to `source` (an address), or from and to everybody, on connections old and new. */
  cut(source?: string): void {
    if (source === undefined) this.#cutAll = true
    else this.#cut.add(source)
    this.#update()
  }

  /** Holds back the connections there are now, for good; new ones pass. */
  stall(source?: string): void {
    for (const wire of this.#wires) if (source === undefined || wire.source === source) wire.stalled = true
    this.#update()
  }

  /** Breaks the connections there are now; what they held back is lost. */
  sever(): void {
    for (const { near } of this.#wires) near.destroy()
  }

  /** Ends every cut. */
  heal(): void {
    this.#cutAll = false
    this.#cut.clear()
    this.#update()
  }

  close(): void {
    this.#server.close()
    this.sever()
    relays.delete(this)
  }

  #accept(near: Socket): void {
    this.#accepted++
    const wire: Wire = { source: near.remoteAddress ?? '', near, far: undefined, stalled: false }
    this.#wires.add(wire)
    near.on('error', () => near.destroy())
    near.on('close', () => {
      this.#wires.delete(wire)
      wire.far?.destroy()
    })
    this.#set(wire)
  }

  #update(): void {
    for (const wire of this.#wires) this.#set(wire)
  }

  #set(wire: Wire): void {
    if (this.#cutAll || wire.stalled || this.#cut.has(wire.source)) {
      wire.near.pause()
      wire.far?.pause()
      return
    }
    wire.far ??= this.#dial(wire.near)
    wire.near.resume()
    wire.far.resume()
  }

  #dial(near: Socket): Socket {
    const far = connect({ port: this.#target, host: '127.0.0.1', noDelay: true })
    near.setNoDelay(true)
    near.on('data', (bytes) => far.write(bytes))
    far.on('data', (bytes) => near.write(bytes))
    far.on('error', () => near.destroy())
    far.on('close', () => near.destroy())
    return far
  }
}

const relays = new Set<Relay>()

/** Closes every relay: for the end of a suite. */
export function closeRelays(): void {
  for (const relay of [...relays]) relay.close()
}
