/** Hashes: fields and their values. Small ones are one listpack (field, value, field ...) that is searched from the start. */
import { type Key, keyFromText, keyOf } from '../../lib/base/key.ts'
import { FieldDeadlines } from './field-deadlines.ts'
import { type BulkSink, Listpack, PackedError } from './listpack.ts'
import { Members } from './members.ts'
import { scanStep } from './names.ts'
import type { PackedBytes } from './packed-bytes.ts'
import { Walk } from './walk.ts'
import { BUFFER } from './weight.ts'

/** How far a hash stays packed: number of fields, and bytes of each field and value. Named as in the configuration. */
export interface HashLimits {
  readonly hashMaxListpackEntries: number
  readonly hashMaxListpackValue: number
}

/** What Redis ships with: for data that comes without a configuration. */
export const DEFAULT_HASH_LIMITS: HashLimits = { hashMaxListpackEntries: 512, hashMaxListpackValue: 64 }

/** A pair is named by its spot, a number that holds until a pair is set or deleted; -1 is no pair. */
export class HashValue {
  readonly type = 'hash'
  #form: Listpack | Members
  /** Undefined while no field has one. */
  deadlines: FieldDeadlines | undefined = undefined

  constructor(form: Listpack | Members = Listpack.empty()) {
    this.#form = form
  }

  /** A hash over a listpack made elsewhere; the bytes now belong to it. Throws PackedError when they are none, when a field
   *  lacks its value and when one comes twice. */
  static fromPacked(bytes: Buffer): HashValue {
    const pack = Listpack.from(bytes)
    if (pack.count % 2 !== 0) throw new PackedError('hash field without value')
    const hash = new HashValue(pack)
    const fields = new Set<string>()
    for (const [field] of hash) fields.add(field.latin1Slice())
    if (fields.size !== hash.size) throw new PackedError('hash field twice')
    return hash
  }

  get size(): number {
    return this.#form instanceof Listpack ? this.#form.count / 2 : this.#form.size
  }

  /** The name OBJECT ENCODING answers. */
  get encoding(): string {
    if (!(this.#form instanceof Listpack)) return 'hashtable'
    return this.deadlines === undefined ? 'listpack' : 'listpackex'
  }

  /** The listpack of a packed hash, as it is until it changes. */
  get packedBytes(): Buffer | undefined {
    return this.#form instanceof Listpack ? this.#form.bytes : undefined
  }

  /** The form of a packed hash, of which it is all: there are no deadlines beside it. */
  get packed(): PackedBytes | undefined {
    return this.#form instanceof Listpack && this.deadlines === undefined ? this.#form : undefined
  }

  /** Makes the bytes of a packed one its own (see PackedBytes). */
  detach(): void {
    if (this.#form instanceof Listpack) this.#form.detach()
  }

  /** Bytes in memory, an estimate. */
  get weight(): number {
    const form = this.#form
    return (form instanceof Listpack ? BUFFER + form.size : form.weight) + (this.deadlines?.weight ?? 0)
  }

  copy(): HashValue {
    const copy = new HashValue(this.#form.copy())
    copy.deadlines = this.deadlines?.copy()
    return copy
  }

  /** Begins a walk over the fields and values; undefined for a packed hash. A table it hands out is good for another hash. */
  walk(open: Set<Walk>): Walk | undefined {
    return this.#form instanceof Members ? new Walk(this.#form, open) : undefined
  }

  /** See Members. */
  warm(fields: readonly Key[], count: number): void {
    if (this.#form instanceof Members) this.#form.warm(fields, count)
  }

  /** The spot of a field. */
  find(field: Key): number {
    const form = this.#form
    if (!(form instanceof Listpack)) return form.find(field)
    return form.find(field.bytes, field.start, field.end, form.first(), 2)
  }

  /** The spot of a place below `size`. */
  spot(place: number): number {
    return this.#form instanceof Listpack ? this.#form.seek(place * 2) : place
  }

  /** The first of all spots; -1 when there is none. */
  first(): number {
    return this.size === 0 ? -1 : this.spot(0)
  }

  next(spot: number): number {
    const form = this.#form
    if (form instanceof Listpack) return form.next(form.next(spot))
    return spot + 1 < form.size ? spot + 1 : -1
  }

  /** A copy of the field. */
  field(spot: number): Buffer {
    const form = this.#form
    return form instanceof Listpack ? form.get(spot) : form.own(spot)
  }

  /** A copy of the value. */
  value(spot: number): Buffer {
    const form = this.#form
    return form instanceof Listpack ? form.get(form.next(spot)) : form.ownRest(spot)
  }

  /** Bytes of the value. */
  valueLength(spot: number): number {
    const form = this.#form
    return form instanceof Listpack ? form.length(form.next(spot)) : form.restLength(spot)
  }

  /** Writes the field as a bulk string. */
  putField(spot: number, out: BulkSink): void {
    this.#form.put(spot, out)
  }

  /** Writes the value as a bulk string. */
  putValue(spot: number, out: BulkSink): void {
    const form = this.#form
    if (form instanceof Listpack) form.put(form.next(spot), out)
    else form.putRest(spot, out)
  }

  /** Copies of all fields and values. */
  *[Symbol.iterator](): Generator<readonly [field: Buffer, value: Buffer]> {
    for (let spot = this.first(); spot >= 0; spot = this.next(spot)) yield [this.field(spot), this.value(spot)]
  }

  /** Sets a field to a copy of value[start, end); true when the field is new. A deadline it had is gone. */
  set(field: Key, value: Buffer, limits: HashLimits, start = 0, end = value.length): boolean {
    const most = limits.hashMaxListpackValue
    if (field.length > most || end - start > most) this.#form = this.#unpacked()
    const spot = this.find(field)
    const form = this.#form
    if (form instanceof Listpack) {
      if (spot >= 0) form.replace(form.next(spot), value, start, end)
      else {
        form.append(field.bytes, field.start, field.end)
        form.append(value, start, end)
      }
      if (this.size > limits.hashMaxListpackEntries) this.#form = this.#unpacked()
    } else {
      // As good as always both come from one request.
      const data = value === field.bytes ? field.data : undefined
      if (spot >= 0) form.setRest(spot, value, start, end, data)
      else form.add(field, value, start, end, data)
    }
    if (this.deadlines !== undefined) this.setDeadline(field.text(), 0)
    return spot < 0
  }

  /** False when there is no such field. */
  delete(field: Key): boolean {
    const spot = this.find(field)
    if (spot < 0) return false
    const form = this.#form
    if (form instanceof Listpack) form.delete(spot, 2)
    else form.remove(spot)
    if (this.deadlines !== undefined) this.setDeadline(field.text(), 0)
    return true
  }

  // --- deadlines -------------------------------------------------------------------------------------------------------

  /** The deadline of a field (latin1), in Unix milliseconds; 0 = none. */
  deadlineOf(field: string): number {
    return this.deadlines === undefined ? 0 : this.deadlines.of(field)
  }

  /** Gives a field that is there a deadline, or with 0 takes it away. */
  setDeadline(field: string, at: number): void {
    if (at !== 0) {
      this.deadlines ??= new FieldDeadlines()
      this.deadlines.set(field, at)
      return
    }
    this.deadlines?.delete(field)
    if (this.deadlines?.size === 0) this.deadlines = undefined
  }

  /** Removes the fields whose time has come, and names them (latin1). */
  expire(now: number): readonly string[] {
    const due = this.deadlines?.due(now) ?? []
    for (const field of due) this.delete(keyFromText(field))
    return due
  }

  /** One step of HSCAN: about `count` pairs, field and value in turn, and the cursor to go on with. 0 begins and 0 ends. Every
   *  field that is there from the first step to the last comes at least once; a packed hash comes at once. */
  scan(cursor: number, count: number): { next: number; elements: Buffer[] } {
    if (this.#form instanceof Listpack) return { next: 0, elements: [...this].flat() }
    const { from, next } = scanStep(this.size, cursor, count)
    const elements: Buffer[] = []
    for (let spot = from - 1; spot >= next; spot--) elements.push(this.field(spot), this.value(spot))
    return { next, elements }
  }

  #unpacked(): Members {
    if (this.#form instanceof Members) return this.#form
    const members = new Members()
    for (const [field, value] of this) members.add(keyOf(field), value)
    return members
  }
}
