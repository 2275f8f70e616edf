/** The commands that are being carried out: one, or one within another (EXEC, a script). Messages for the client that is being served
 *  wait here until its reply is complete. */
import type { CommandEntry } from '../commands/table.ts'
import { ClientError, fail } from '../errors.ts'
import { type Argv, encodeRequest } from '../resp/argv.ts'
import type { Call } from './call.ts'
import type { Client } from './client.ts'
import type { Server } from './server.ts'

/** A frame of the stack: the object commands see as `call`. Reused: there are as many as calls are nested. */
export class Frame implements Call {
  readonly server: Server
  client!: Client
  entry!: CommandEntry
  argv!: Argv
  effects: Buffer[] | undefined
  forced = false
  /** Where this call's reply begins. */
  mark = 0

  constructor(server: Server) {
    this.server = server
  }

  get db(): Call['db'] {
    return this.server.keyspace.databases[this.client.db]!
  }
  get reply(): Call['reply'] {
    return this.client.reply
  }
  get now(): Call['now'] {
    return this.server.now
  }

  propagate(...commands: readonly (readonly (Buffer | string)[])[]): void {
    this.effects ??= []
    if (this.server.propagation.wanted) for (const command of commands) this.effects.push(encodeRequest(command))
  }

  forcePropagate(): void {
    this.forced = true
  }

  /** Turns what a command threw into its reply. Only our own bugs are not ClientErrors: the client is told, the log gets
   *  the stack, and the other clients are served on. */
  failed(error: unknown): void {
    this.reply.rewind(this.mark)
    if (error instanceof ClientError) return this.server.replyError(this.client, error)
    // A data set of which a part is missing must not be served, nor written over the whole one.
    if (this.server.loading) throw error
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.server.log.warning(`Internal error in '${this.entry.fullName}': ${text}`)
    this.server.replyError(this.client, fail(`internal error in '${this.entry.fullName}', see the server log`))
  }
}

export class CallStack {
  readonly #server: Server
  readonly #frames: Frame[] = []
  #depth = 0
  /** Messages for the client that is being served. */
  #pushes: { readonly client: Client; readonly message: Buffer }[] = []

  constructor(server: Server) {
    this.#server = server
  }

  /** A command begins. */
  enter(client: Client, entry: CommandEntry, argv: Argv): Frame {
    let frame = this.#frames[this.#depth]
    if (frame === undefined) {
      frame = new Frame(this.#server)
      this.#frames.push(frame)
    }
    this.#depth++
    frame.client = client
    frame.entry = entry
    frame.argv = argv
    frame.effects = undefined
    frame.forced = false
    frame.mark = client.reply.length
    return frame
  }

  /** It has ended. */
  leave(): void {
    this.#depth--
    if (this.#depth === 0 && this.#pushes.length > 0 && this.#frames[0]!.client.replyMode === 'on') this.sendPushes()
  }

  // --- who is being served ---------------------------------------------------------------------------------------------

  /** A command is being carried out. */
  get busy(): boolean {
    return this.#depth > 0
  }

  /** A command is being carried out by another one: a transaction or a script. */
  get nested(): boolean {
    return this.#depth > 1
  }

  /** The client that is being served: the one that sent the request, whatever that leads to. */
  get current(): Client | undefined {
    return this.#depth === 0 ? undefined : this.#frames[0]!.client
  }

  /** The client as whom the innermost command is carried out: in a script, that of scripts. */
  get actor(): Client | undefined {
    return this.#frames[this.#depth - 1]?.client
  }

  /** The request of a client that is being served, the innermost one of a transaction. */
  requestOf(client: Client): Frame {
    let depth = this.#depth - 1
    while (depth > 0 && this.#frames[depth]!.client !== client) depth--
    return this.#frames[depth]!
  }

  // --- messages --------------------------------------------------------------------------------------------------------

  /** Writes a message to a client. One for the client whose own reply is being put together, or will be taken back, waits. */
  push(client: Client, message: Buffer): void {
    if (this.#depth > 1 || client.replyMode !== 'on') return this.pushAfterReply(client, message)
    client.reply.raw(message)
    this.#server.flushLater(client)
  }

  /** As `push`, from within a command that has not replied yet. */
  pushAfterReply(client: Client, message: Buffer): void {
    if (this.current === client) this.#pushes.push({ client, message })
    else client.reply.raw(message)
    this.#server.flushLater(client)
  }

  /** The reply is complete, or was taken back: what had to wait for that follows. */
  sendPushes(): void {
    for (const { client, message } of this.#pushes) client.reply.raw(message)
    this.#pushes = []
  }
}
