/** Consumer groups of a stream: how far each has read, and what was delivered to whom without being acknowledged. */

import type { StreamId } from './stream-id.ts'
import { PendingList } from './stream-pending.ts'

/** A delivered entry that was not acknowledged: in the list of its group and in that of its consumer. */
export interface Pending {
  readonly id: StreamId
  consumer: Consumer
  /** Unix milliseconds. */
  deliveredAt: number
  deliveries: number
}

export class Consumer {
  /** Latin1: one character a byte. */
  readonly name: string
  /** When it last asked for something, in Unix milliseconds. */
  seenAt: number
  /** When it last got an entry that it is to acknowledge; undefined: never. */
  activeAt: number | undefined
  readonly pending = new PendingList<Pending>()

  constructor(name: string, seenAt: number, activeAt?: number) {
    this.name = name
    this.seenAt = seenAt
    this.activeAt = activeAt
  }
}

export class Group {
  /** Latin1. */
  readonly name: string
  /** Id of the last entry delivered. */
  lastId: StreamId
  /** How many entries of all ever added it has read; undefined when that cannot be known. */
  entriesRead: number | undefined
  readonly pending = new PendingList<Pending>()
  readonly consumers = new ByName<Consumer>()

  constructor(name: string, lastId: StreamId, entriesRead: number | undefined) {
    this.name = name
    this.lastId = lastId
    this.entriesRead = entriesRead
  }

  /** Takes note of a sign of life of a consumer, which may be its first. */
  hearFrom(name: string, now: number): Consumer {
    const consumer = this.consumers.get(name) ?? this.consumers.add(new Consumer(name, now))
    consumer.seenAt = now
    return consumer
  }

  /** Takes note that a consumer, if there is one of that name, has asked for something. */
  askedBy(name: string, now: number): void {
    const consumer = this.consumers.get(name)
    if (consumer !== undefined) consumer.seenAt = now
  }

  /** Notes a delivery. What was pending already is now this consumer's, delivered for the first time. */
  deliver(id: StreamId, consumer: Consumer, now: number): Pending {
    const pending = this.claim(id, consumer)
    consumer.activeAt = now
    pending.deliveredAt = now
    pending.deliveries = 1
    return pending
  }

  /** Makes an entry pending for a consumer, whether or not it was so for another. */
  claim(id: StreamId, consumer: Consumer): Pending {
    const known = this.pending.get(id)
    if (known?.consumer === consumer) return known
    known?.consumer.pending.delete(id)
    const pending = known ?? { id, consumer, deliveredAt: 0, deliveries: 1 }
    pending.consumer = consumer
    if (known === undefined) this.pending.add(pending)
    consumer.pending.add(pending)
    return pending
  }

  /** Forgets a delivery; false when there was none. */
  acknowledge(id: StreamId): boolean {
    const pending = this.pending.delete(id)
    pending?.consumer.pending.delete(id)
    return pending !== undefined
  }

  /** Removes a consumer with all that is pending for it; returns how much that was, or undefined when there is no such one. */
  removeConsumer(name: string): number | undefined {
    const consumer = this.consumers.get(name)
    if (consumer === undefined) return undefined
    for (const { id } of consumer.pending) this.pending.delete(id)
    this.consumers.delete(name)
    return consumer.pending.size
  }
}

/** Things found by their name, and listed in the order of the names' bytes, as a real server lists them. */
export class ByName<T extends { readonly name: string }> {
  readonly #all = new Map<string, T>()
  #sorted: readonly T[] | undefined

  get size(): number {
    return this.#all.size
  }

  get(name: string): T | undefined {
    return this.#all.get(name)
  }

  add(thing: T): T {
    this.#all.set(thing.name, thing)
    this.#sorted = undefined
    return thing
  }

  /** False when there is none of that name. */
  delete(name: string): boolean {
    this.#sorted = undefined
    return this.#all.delete(name)
  }

  [Symbol.iterator](): Iterator<T> {
    this.#sorted ??= [...this.#all.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    return this.#sorted[Symbol.iterator]()
  }
}
