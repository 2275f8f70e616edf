/** Keyspace notifications: what has become of a key, published on the channels `__keyspace@<db>__:<key>` and
 *  `__keyevent@<db>__:<event>`. The keyspace says which keys a command touched; the table of `events.ts` gives that the event's name. */
import type { Touch } from '../../store/keyspace.ts'
import type { Key } from '../base/key.ts'
import type { CommandEntry } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'
import { EVENTS, type EventClass, eventsOf, type Touched } from './events.ts'
import type { Server } from './server.ts'

export class Notifications {
  readonly #server: Server
  /** The letters of notify-keyspace-events. */
  #classes: ReadonlySet<string> = new Set()
  /** What the command that is being carried out has touched so far. */
  #touched: Touched[] = []

  /** Somebody may be told: at least one of K and E, and a class. */
  on = false

  constructor(server: Server) {
    this.#server = server
  }

  /** notify-keyspace-events was set. */
  configure(classes: ReadonlySet<string>): void {
    this.#classes = classes
    this.on = classes.size > 1 && (classes.has('K') || classes.has('E'))
    this.#server.keyspace.tellMisses = this.on && classes.has('m')
  }

  /** A key was touched. Outside of commands that is told at once: only time, memory and slots that go away do it. */
  note(db: number, key: Key, what: Touch): void {
    const { pubsub } = this.#server
    if (pubsub.size('channel') + pubsub.size('pattern') === 0) return
    const touched: Touched = { db, name: key.own(), what }
    if (this.#server.calls.busy) this.#touched.push(touched)
    else eventsOf(touched, undefined, this.#raise)
  }

  /** Something waits for the end of its command. */
  get pending(): boolean {
    return this.#touched.length > 0
  }

  /** Raises the events of a command that has been carried out, in the order in which it touched its keys. */
  tell(entry: CommandEntry, argv: Argv): void {
    const all = this.#touched
    this.#touched = []
    const row = EVENTS.get(entry.fullName)
    if (typeof row === 'function') row(all, argv, this.#raise)
    else for (const touched of all) eventsOf(touched, row, this.#raise)
  }

  readonly #raise = (letter: EventClass, event: string, { db, name }: Touched): void => {
    if (!this.#classes.has(letter)) return
    const { pubsub } = this.#server
    if (this.#classes.has('K'))
      pubsub.deliver(this.#server, Buffer.concat([Buffer.from(`__keyspace@${db}__:`), name]), Buffer.from(event))
    if (this.#classes.has('E')) pubsub.deliver(this.#server, Buffer.from(`__keyevent@${db}__:${event}`), name)
  }
}
