/** CLIENT TRACKING: which clients keep copies of which keys, and telling them when a copy is out of date. In the default mode a client
 *  is told of keys it has read, each once; with BCAST of every key that begins with one of its prefixes, whoever reads it. */
import type { Touch } from '../../store/keyspace.ts'
import type { Key } from '../base/key.ts'
import { keyIndexes } from '../commands/keys.ts'
import type { CommandEntry } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'
import type { Client } from './client.ts'
import { encodeMessage } from './pubsub.ts'
import type { Server } from './server.ts'

/** How a client is tracked. */
export interface Tracking {
  readonly bcast: boolean
  readonly optin: boolean
  readonly optout: boolean
  /** It does not want to hear of what it changes itself. */
  readonly noloop: boolean
  /** Of BCAST, latin1. */
  readonly prefixes: string[]
  /** The id of the client that is told in its place; 0 = itself. */
  readonly redirect: number
  /** That client is gone. */
  redirectBroken: boolean
  /** CLIENT CACHING was said before this command: yes with OPTIN, no with OPTOUT. */
  caching: boolean
}

/** Who listens to a prefix, and the keys that changed in this turn, each with the client all of whose own doing it was: undefined where
 *  that is nobody. What a script does is not its client's own. */
interface Prefix {
  readonly clients: Set<Client>
  readonly changed: Map<string, Client | undefined>
}

const INVALIDATE = 'invalidate'
/** Where RESP2 clients listen. */
const CHANNEL = '__redis__:invalidate'
/** All keys are out of date. */
const EVERYTHING = undefined

/** What they call decides whether they read. */
const SCRIPTS: ReadonlySet<string> = new Set(['eval_ro', 'evalsha_ro', 'fcall_ro'])

const scratch: number[] = []

export class TrackingTable {
  readonly #server: Server
  /** Clients that are tracked. */
  readonly #clients = new Set<Client>()
  /** Ids of clients that have read a key, by its latin1 name, those read first in front. A client that has gone is noticed when
   *  it is to be told. */
  readonly #readers = new Map<string, Set<number>>()
  readonly #prefixes = new Map<string, Prefix>()
  #items = 0
  #somethingChanged = false
  /** Somebody is tracked: otherwise nothing has to be told. */
  on = false

  constructor(server: Server) {
    this.#server = server
  }

  /** For INFO. `items`: readers, summed over the keys. */
  get counts() {
    return {
      clients: this.#clients.size,
      keys: this.#readers.size,
      items: this.#items,
      prefixes: this.#prefixes.size,
    }
  }

  /** CLIENT TRACKING ON; prefixes add to those it has. */
  enable(client: Client, mode: Tracking): void {
    const before = client.tracking?.prefixes ?? []
    const wanted = mode.bcast && mode.prefixes.length === 0 ? [''] : mode.prefixes
    client.tracking = { ...mode, prefixes: [...new Set([...before, ...wanted])].sort() }
    this.#clients.add(client)
    this.on = true
    for (const prefix of wanted) {
      const old = this.#prefixes.get(prefix)
      if (old === undefined) this.#prefixes.set(prefix, { clients: new Set([client]), changed: new Map() })
      else old.clients.add(client)
    }
  }

  /** CLIENT TRACKING OFF, RESET, or the client is gone. */
  disable(client: Client): void {
    for (const name of client.tracking?.prefixes ?? []) {
      const prefix = this.#prefixes.get(name)
      prefix?.clients.delete(client)
      if (prefix?.clients.size === 0) this.#prefixes.delete(name)
    }
    client.tracking = undefined
    this.#clients.delete(client)
    this.on = this.#clients.size > 0
  }

  /** A command is over: what it read is remembered for the client that is being served. Of a script that reads something all keys
   *  are that it was given. */
  executed(by: Client, entry: CommandEntry, argv: Argv): void {
    const server = this.#server
    const client = server.calls.current
    const mode = client?.tracking
    if (client === undefined || mode === undefined) return
    const request = by === client ? { entry, argv } : server.calls.requestOf(client)
    // With OPTIN only what CACHING asked for, with OPTOUT all but that.
    if (entry.isReadonly && !SCRIPTS.has(entry.fullName) && !mode.bcast && mode.optin === mode.caching) {
      const count = request.entry.command.keys?.channels === true ? 0 : keyIndexes(request.entry, request.argv, scratch)
      for (let i = 0; i < count; i++) this.#remember(request.argv.text(scratch[i]!), client.id)
    }
    // CLIENT CACHING is for one command, or one transaction.
    if (!server.calls.nested && client.multi === undefined && entry.parent?.fullName !== 'client') mode.caching = false
  }

  #remember(name: string, id: number): void {
    const readers = this.#readers.get(name)
    if (readers?.has(id)) return
    if (readers === undefined) this.#readers.set(name, new Set([id]))
    else readers.add(id)
    this.#items++
    const most = this.#server.config.values.trackingTableMaxKeys
    // Whoever is told for lack of room reads anew.
    for (const oldest of this.#readers.keys()) {
      if (most === 0 || this.#readers.size <= most) return
      this.#invalidate(oldest)
    }
  }

  /** A key was created, changed or removed. */
  touched(key: Key, what: Touch): void {
    if (what === 'replaced') return
    const name = key.text()
    const { actor } = this.#server.calls
    for (const [text, prefix] of this.#prefixes)
      if (name.startsWith(text)) {
        const isOthersToo = prefix.changed.has(name) && prefix.changed.get(name) !== actor
        prefix.changed.set(name, isOthersToo ? undefined : actor)
        this.#somethingChanged = true
      }
    this.#invalidate(name)
    this.#server.host.requestEndTurn()
  }

  #invalidate(name: string): void {
    const readers = this.#readers.get(name)
    if (readers === undefined) return
    this.#readers.delete(name)
    this.#items -= readers.size
    for (const id of readers) {
      const client = this.#server.clients.get(id)
      const mode = client?.tracking
      if (client === undefined || mode === undefined || mode.bcast) continue
      if (!mode.noloop || client !== this.#server.calls.current) this.#tell(client, mode, [name])
    }
  }

  /** All keys are gone: every tracked client is told so, by a null in place of names. */
  flushed(): void {
    this.#readers.clear()
    this.#items = 0
    for (const client of this.#clients) this.#tell(client, client.tracking!, EVERYTHING)
  }

  /** The end of a turn: what has changed below each prefix, in one message. */
  endTurn(): void {
    if (!this.#somethingChanged) return
    this.#somethingChanged = false
    for (const name of [...this.#prefixes.keys()].sort()) {
      const { clients, changed } = this.#prefixes.get(name)!
      const all = [...changed.keys()].sort()
      for (const client of clients) {
        const mode = client.tracking!
        const names = mode.noloop ? all.filter((one) => changed.get(one) !== client) : all
        if (names.length > 0) this.#tell(client, mode, names)
      }
      changed.clear()
    }
  }

  /** Tells a client, or the one it names, which names are out of date. A RESP2 connection can only be told in a subscription,
   *  so there has to be one of another client. */
  #tell(client: Client, mode: Tracking, names: readonly string[] | typeof EVERYTHING): void {
    const to = mode.redirect === 0 ? client : this.#server.clients.get(mode.redirect)
    if (to === undefined) {
      mode.redirectBroken = true
      if (client.reply.resp3) this.#push(client, ['tracking-redir-broken', mode.redirect])
    } else if (to.reply.resp3) this.#push(to, [INVALIDATE, names])
    else if (to !== client && to.subscriber) this.#push(to, ['message', CHANNEL, names])
  }

  #push(to: Client, parts: Parameters<typeof encodeMessage>[1]): void {
    this.#server.calls.pushAfterReply(to, encodeMessage(to.reply.resp3, parts))
  }
}
