/** Hashes: fields and their values. Small ones are one listpack (field, value, field ...) that is searched from the start. */
import type { Key } from '../../lib/base/key.ts'
import { type BulkSink, Listpack, PackedError } from './listpack.ts'
import { Names, putText, scanStep } from './names.ts'
import type { PackedBytes } from './packed-bytes.ts'
import { BUFFER, TEXT } from './weight.ts'

/** How far a hash stays packed: number of fields, and bytes of each field and value. Named as in the configuration. */
export interface HashLimits {
  readonly hashMaxListpackEntries: number
  readonly hashMaxListpackValue: number
}

/** What Redis ships with: for data that comes without a configuration. */
export const DEFAULT_HASH_LIMITS: HashLimits = { hashMaxListpackEntries: 512, hashMaxListpackValue: 64 }

/** A hash beyond the limits: the value of the field at a place lies at the same place. Latin1 text takes a third of the memory
 *  that as many Buffers would. */
interface Table {
  readonly fields: Names
  readonly values: string[]
  /** Characters of all values. */
  valueCharacters: number
}

/** A pair is named by its spot, a number that holds until a pair is set or deleted; -1 is no pair. */
export class HashValue {
  readonly type = 'hash'
  #form: Listpack | Table

  constructor(form: Listpack | Table = Listpack.empty()) {
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
    return this.#form instanceof Listpack ? this.#form.count / 2 : this.#form.values.length
  }

  /** The name OBJECT ENCODING answers. */
  get encoding(): string {
    return this.#form instanceof Listpack ? 'listpack' : 'hashtable'
  }

  /** The listpack of a packed hash, as it is until it changes. */
  get packedBytes(): Buffer | undefined {
    return this.#form instanceof Listpack ? this.#form.bytes : undefined
  }

  /** The form of a packed hash. */
  get packed(): PackedBytes | undefined {
    return this.#form instanceof Listpack ? this.#form : undefined
  }

  /** Makes the bytes of a packed one its own (see PackedBytes). */
  detach(): void {
    this.packed?.detach()
  }

  /** Bytes in memory, an estimate. */
  get weight(): number {
    const form = this.#form
    if (form instanceof Listpack) return BUFFER + form.size
    return form.fields.weight + form.values.length * TEXT + form.valueCharacters
  }

  copy(): HashValue {
    const form = this.#form
    if (form instanceof Listpack) return new HashValue(form.copy())
    const { fields, values, valueCharacters } = form
    return new HashValue({ fields: fields.copy(), values: values.slice(), valueCharacters })
  }

  /** The spot of a field. */
  find(field: Key): number {
    const form = this.#form
    if (!(form instanceof Listpack)) return form.fields.place(field.text())
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
    return spot + 1 < form.values.length ? spot + 1 : -1
  }

  /** A copy of the field. */
  field(spot: number): Buffer {
    const form = this.#form
    return form instanceof Listpack ? form.get(spot) : Buffer.from(form.fields.at(spot), 'latin1')
  }

  /** A copy of the value. */
  value(spot: number): Buffer {
    const form = this.#form
    return form instanceof Listpack ? form.get(form.next(spot)) : Buffer.from(form.values[spot]!, 'latin1')
  }

  /** Bytes of the value. */
  valueLength(spot: number): number {
    const form = this.#form
    return form instanceof Listpack ? form.length(form.next(spot)) : form.values[spot]!.length
  }

  /** Writes the field as a bulk string. */
  putField(spot: number, out: BulkSink): void {
    if (this.#form instanceof Listpack) this.#form.put(spot, out)
    else putText(this.#form.fields.at(spot), out)
  }

  /** Writes the value as a bulk string. */
  putValue(spot: number, out: BulkSink): void {
    const form = this.#form
    if (form instanceof Listpack) form.put(form.next(spot), out)
    else putText(form.values[spot]!, out)
  }

  /** Copies of all fields and values. */
  *[Symbol.iterator](): Generator<readonly [field: Buffer, value: Buffer]> {
    for (let spot = this.first(); spot >= 0; spot = this.next(spot)) yield [this.field(spot), this.value(spot)]
  }

  /** Sets a field to a copy of value[start, end); true when the field is new. */
  set(field: Key, value: Buffer, limits: HashLimits, start = 0, end = value.length): boolean {
    const most = limits.hashMaxListpackValue
    if (this.#form instanceof Listpack && (field.length > most || end - start > most)) this.#unpack()
    const spot = this.find(field)
    const form = this.#form
    if (form instanceof Listpack) {
      if (spot >= 0) form.replace(form.next(spot), value, start, end)
      else {
        form.append(field.bytes, field.start, field.end)
        form.append(value, start, end)
      }
      if (this.size > limits.hashMaxListpackEntries) this.#unpack()
    } else if (spot >= 0) {
      form.valueCharacters += end - start - form.values[spot]!.length
      form.values[spot] = value.latin1Slice(start, end)
    } else addPair(form, field.text(), value.latin1Slice(start, end))
    return spot < 0
  }

  /** False when there is no such field. */
  delete(field: Key): boolean {
    const spot = this.find(field)
    if (spot < 0) return false
    const form = this.#form
    if (form instanceof Listpack) form.delete(spot, 2)
    else {
      form.fields.remove(spot)
      form.valueCharacters -= form.values[spot]!.length
      const last = form.values.pop()!
      if (spot < form.values.length) form.values[spot] = last
    }
    return true
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

  #unpack(): void {
    const table: Table = { fields: new Names(), values: [], valueCharacters: 0 }
    for (const [field, value] of this) addPair(table, field.latin1Slice(), value.latin1Slice())
    this.#form = table
  }
}

/** Adds a field that is not there yet. */
function addPair(table: Table, field: string, value: string): void {
  table.fields.add(field)
  table.values.push(value)
  table.valueCharacters += value.length
}
