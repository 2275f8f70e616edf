/** The deadlines of a hash's fields. Few hashes have any: they stand beside the fields, not with them. */
import { BUFFER, TEXT } from './weight.ts'

/** Bytes of one in its durable form, without the field: the deadline, then the length of the field. */
const HEAD = 8 + 4

export class FieldDeadlines {
  /** Unix milliseconds by field, latin1. */
  readonly #times: Map<string, number>
  /** None is earlier. */
  #earliest = Number.POSITIVE_INFINITY

  constructor(times: Iterable<readonly [field: string, at: number]> = []) {
    this.#times = new Map(times)
    this.#look()
  }

  get size(): number {
    return this.#times.size
  }

  /** Bytes in memory, an estimate. */
  get weight(): number {
    return BUFFER + this.#times.size * TEXT * 2
  }

  /** 0 = none. */
  of(field: string): number {
    return this.#times.get(field) ?? 0
  }

  set(field: string, at: number): void {
    this.#times.set(field, at)
    this.#earliest = Math.min(this.#earliest, at)
  }

  delete(field: string): void {
    this.#times.delete(field)
  }

  /** Whether it is worth asking for those whose time has come: the earliest of all may have been deleted since. */
  mayBeDue(now: number): boolean {
    return this.#earliest <= now
  }

  /** Fields whose time has come, latin1. */
  due(now: number): string[] {
    const fields: string[] = []
    for (const [field, at] of this.#times) if (at <= now) fields.push(field)
    if (fields.length === 0) this.#look()
    return fields
  }

  /** The fields, latin1, of each deadline. */
  byTime(): ReadonlyMap<number, readonly string[]> {
    const byTime = new Map<number, string[]>()
    for (const [field, at] of this.#times) {
      const fields = byTime.get(at)
      if (fields === undefined) byTime.set(at, [field])
      else fields.push(field)
    }
    return byTime
  }

  copy(): FieldDeadlines {
    return new FieldDeadlines(this.#times)
  }

  /** The durable form: for each field the deadline (f64), the length of the field (u32), both little-endian, and the field. */
  encode(): Buffer {
    const parts: Buffer[] = []
    for (const [field, at] of this.#times) {
      const head = Buffer.alloc(HEAD)
      head.writeDoubleLE(at, 0)
      head.writeUInt32LE(field.length, 8)
      parts.push(head, Buffer.from(field, 'latin1'))
    }
    return Buffer.concat(parts)
  }

  /** Reads what `encode` wrote; undefined when it is something else. */
  static decode(bytes: Buffer): FieldDeadlines | undefined {
    const times: (readonly [string, number])[] = []
    for (let at = 0; at < bytes.length; ) {
      if (at + HEAD > bytes.length) return undefined
      const end = at + HEAD + bytes.readUInt32LE(at + 8)
      if (end > bytes.length) return undefined
      times.push([bytes.latin1Slice(at + HEAD, end), bytes.readDoubleLE(at)])
      at = end
    }
    return new FieldDeadlines(times)
  }

  #look(): void {
    this.#earliest = Number.POSITIVE_INFINITY
    for (const at of this.#times.values()) this.#earliest = Math.min(this.#earliest, at)
  }
}
