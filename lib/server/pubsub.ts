/** Channels, patterns and shard channels: who listens, and delivery to those connected to this node. */
import { globMatch } from '../base/glob.ts'
import { keyFromText } from '../base/key.ts'
import type { Client } from './client.ts'
import type { Server } from './server.ts'

/** A kind of subscription: its words in messages, and where a client keeps its own. */
interface Kind {
  readonly subscribe: string
  readonly unsubscribe: string
  readonly of: (client: Client) => Set<string>
  /** The number a confirmation ends with: shard channels are counted by themselves. */
  readonly count: (client: Client) => number
}

const plainCount = (client: Client): number => client.channels.size + client.patterns.size

export const KINDS = {
  channel: { subscribe: 'subscribe', unsubscribe: 'unsubscribe', of: (c) => c.channels, count: plainCount },
  pattern: { subscribe: 'psubscribe', unsubscribe: 'punsubscribe', of: (c) => c.patterns, count: plainCount },
  shard: {
    subscribe: 'ssubscribe',
    unsubscribe: 'sunsubscribe',
    of: (c) => c.shardChannels,
    count: (c) => c.shardChannels.size,
  },
} as const satisfies Record<string, Kind>

export type SubscriptionKind = keyof typeof KINDS

export class PubSub {
  /** Listeners in the order in which they subscribed, by the latin1 name of what they listen to. */
  readonly #listeners: Readonly<Record<SubscriptionKind, Map<string, Set<Client>>>> = {
    channel: new Map(),
    pattern: new Map(),
    shard: new Map(),
  }

  /** Names somebody listens to. */
  names(kind: SubscriptionKind): IterableIterator<string> {
    return this.#listeners[kind].keys()
  }

  /** How many different names somebody listens to. */
  size(kind: SubscriptionKind): number {
    return this.#listeners[kind].size
  }

  /** How many clients listen to a name. */
  listeners(kind: SubscriptionKind, name: string): number {
    return this.#listeners[kind].get(name)?.size ?? 0
  }

  /** Adds a subscription and confirms it, also when it is an old one. */
  subscribe(client: Client, kind: SubscriptionKind, name: string): void {
    const { subscribe, of, count } = KINDS[kind]
    const own = of(client)
    if (!own.has(name)) {
      own.add(name)
      const listeners = this.#listeners[kind]
      const clients = listeners.get(name)
      if (clients === undefined) listeners.set(name, new Set([client]))
      else clients.add(client)
    }
    confirm(client, subscribe, name, count(client))
  }

  /** Ends a subscription and confirms it, also when there was none. */
  unsubscribe(client: Client, kind: SubscriptionKind, name: string): void {
    const { unsubscribe, of, count } = KINDS[kind]
    if (of(client).delete(name)) this.#remove(client, kind, name)
    confirm(client, unsubscribe, name, count(client))
  }

  /** Ends all subscriptions of a kind; without any, one confirmation with a null name says so. */
  unsubscribeAll(client: Client, kind: SubscriptionKind): void {
    const { unsubscribe, of, count } = KINDS[kind]
    const names = [...of(client)]
    for (const name of names) this.unsubscribe(client, kind, name)
    if (names.length === 0) confirm(client, unsubscribe, undefined, count(client))
  }

  /** Ends everything without a word: the client is gone, or was RESET. */
  forget(client: Client): void {
    if (!client.subscriber) return
    for (const kind of ['channel', 'pattern', 'shard'] as const) {
      const own = KINDS[kind].of(client)
      for (const name of own) this.#remove(client, kind, name)
      own.clear()
    }
  }

  /** Hands a message to those who listen to the channel, then to those with a matching pattern.
   *  Returns to how many; one client can count several times. */
  deliver(server: Server, channel: Uint8Array, message: Uint8Array): number {
    let receivers = send(server, this.#listeners.channel.get(nameOf(channel)), ['message', channel, message])
    for (const [pattern, clients] of this.#listeners.pattern) {
      const bytes = Buffer.from(pattern, 'latin1')
      if (globMatch(bytes, channel)) receivers += send(server, clients, ['pmessage', bytes, channel, message])
    }
    return receivers
  }

  /** The same for a shard channel: patterns do not see it. */
  deliverSharded(server: Server, channel: Uint8Array, message: Uint8Array): number {
    return send(server, this.#listeners.shard.get(nameOf(channel)), ['smessage', channel, message])
  }

  /** This node no longer serves these slots: their shard channels end, and the clients are told. */
  dropSlots(server: Server, slots: readonly number[]): void {
    const lost = new Set(slots)
    for (const [name, clients] of this.#listeners.shard) {
      if (!lost.has(keyFromText(name).slot())) continue
      for (const client of clients) {
        this.unsubscribe(client, 'shard', name)
        server.flushLater(client)
      }
    }
  }

  #remove(client: Client, kind: SubscriptionKind, name: string): void {
    const listeners = this.#listeners[kind]
    const clients = listeners.get(name)
    clients?.delete(client)
    if (clients?.size === 0) listeners.delete(name)
  }
}

const nameOf = (channel: Uint8Array): string =>
  Buffer.from(channel.buffer, channel.byteOffset, channel.length).latin1Slice()

/** One message to many: it is encoded once for each protocol version. */
function send(
  server: Server,
  clients: ReadonlySet<Client> | undefined,
  parts: readonly (string | Uint8Array)[],
): number {
  if (clients === undefined) return 0
  const encoded: (Buffer | undefined)[] = [undefined, undefined]
  for (const client of clients) {
    const { reply } = client
    const version = reply.resp3 ? 1 : 0
    encoded[version] ??= encodeMessage(reply.resp3, parts)
    server.calls.push(client, encoded[version])
  }
  return clients.size
}

function confirm(client: Client, word: string, name: string | undefined, count: number): void {
  const { reply } = client
  reply.push(3)
  reply.text(word)
  if (name === undefined) reply.nil()
  else reply.bulk(Buffer.from(name, 'latin1'))
  reply.integer(count)
}

/** A part of a message: text or bytes, a number, latin1 names, or nothing. */
type Part = string | Uint8Array | number | readonly string[] | undefined

/** A message as it goes to a client: a push in RESP3, an array in RESP2. */
export function encodeMessage(resp3: boolean, parts: readonly Part[]): Buffer {
  const chunks: Uint8Array[] = [Buffer.from(`${resp3 ? '>' : '*'}${parts.length}\r\n`)]
  for (const part of parts) encodePart(chunks, resp3, part)
  return Buffer.concat(chunks)
}

function encodePart(chunks: Uint8Array[], resp3: boolean, part: Part): void {
  if (part === undefined) chunks.push(Buffer.from(resp3 ? '_\r\n' : '$-1\r\n'))
  else if (typeof part === 'number') chunks.push(Buffer.from(`:${part}\r\n`))
  else if (typeof part === 'string') encodePart(chunks, resp3, Buffer.from(part))
  else if (part instanceof Uint8Array) chunks.push(Buffer.from(`$${part.length}\r\n`), part, CRLF)
  else {
    chunks.push(Buffer.from(`*${part.length}\r\n`))
    for (const name of part) encodePart(chunks, resp3, Buffer.from(name, 'latin1'))
  }
}

const CRLF = Buffer.from('\r\n')
