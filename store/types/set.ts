/** Sets of byte strings. Integers alone are an intset, few short strings a listpack, and all others members in a table. */
import { type Key, keyFromText } from '../../lib/base/key.ts'
import { type Int64, Intset } from './intset.ts'
import { Listpack, PackedError } from './listpack.ts'
import { canonicalInteger } from './listpack-entry.ts'
import { Members } from './members.ts'
import { keyOfText, scanStep } from './names.ts'
import type { PackedBytes } from './packed-bytes.ts'
import { Walk } from './walk.ts'
import { BUFFER } from './weight.ts'

/** How far a set stays an intset. Named as in the configuration. */
export interface SetLimits {
  readonly setMaxIntsetEntries: number
}

/** What Redis ships with: for data that comes without a configuration. */
export const DEFAULT_SET_LIMITS: SetLimits = { setMaxIntsetEntries: 512 }

/** How far other sets are packed. That is nobody's business but ours: Redis 7.0 knows no packed set of strings, and OBJECT
 *  ENCODING says hashtable. The figures are those of 7.2, which does. */
const MAX_PACKED_ENTRIES = 128
const MAX_PACKED_VALUE = 64

/** A member as it arrives: a range of a request, or the latin1 text that comes out of another set. */
export type Member = Key | string

const bytesOf = (member: Member): Key => (typeof member === 'string' ? keyOfText(member) : member)

function integerOf(member: Member): Int64 | undefined {
  const { bytes, start, end } = bytesOf(member)
  return canonicalInteger(bytes, start, end)
}

export class SetValue {
  readonly type = 'set'
  #form: Intset | Listpack | Members

  constructor(form: Intset | Listpack | Members = Intset.empty()) {
    this.#form = form
  }

  /** A set over an intset or a listpack made elsewhere; the bytes now belong to it. Throws PackedError when they are neither,
   *  and when a member comes twice. */
  static fromPacked(bytes: Buffer): SetValue {
    const set = new SetValue(isIntset(bytes) ? Intset.from(bytes) : Listpack.from(bytes))
    if (new Set(set).size !== set.size) throw new PackedError('set members')
    return set
  }

  get size(): number {
    return this.#form instanceof Members ? this.#form.size : this.#form.count
  }

  /** The name OBJECT ENCODING answers. */
  get encoding(): string {
    return this.#form instanceof Intset ? 'intset' : 'hashtable'
  }

  /** The intset, or the listpack when `encoding` is not intset, of a packed set, as it is until it changes. */
  get packedBytes(): Buffer | undefined {
    return this.#form instanceof Members ? undefined : this.#form.bytes
  }

  /** The form of a packed set. */
  get packed(): PackedBytes | undefined {
    return this.#form instanceof Members ? undefined : this.#form
  }

  /** Makes the bytes of a packed one its own (see PackedBytes). */
  detach(): void {
    this.packed?.detach()
  }

  /** Bytes in memory, an estimate. */
  get weight(): number {
    const form = this.#form
    return form instanceof Members ? form.weight : BUFFER + form.size
  }

  copy(): SetValue {
    return new SetValue(this.#form.copy())
  }

  /** Begins a walk over the members; undefined for a packed set. A table it hands out is good for another set. */
  walk(open: Set<Walk>): Walk | undefined {
    return this.#form instanceof Members ? new Walk(this.#form, open) : undefined
  }

  /** The members as latin1 text. Do not change the set meanwhile. */
  *[Symbol.iterator](): Generator<string> {
    const form = this.#form
    if (form instanceof Members) yield* form
    else if (form instanceof Intset) for (let i = 0; i < form.count; i++) yield String(form.at(i))
    else for (let at = form.first(); at >= 0; at = form.next(at)) yield form.text(at)
  }

  /** The members, each borrowed until the next. Do not change the set meanwhile. */
  *keys(): Generator<Key> {
    const form = this.#form
    if (!(form instanceof Members)) for (const text of this) yield keyFromText(text)
    else for (let place = 0; place < form.size; place++) yield form.key(place)
  }

  /** The member at a place below `size`, borrowed until the set changes or the next is asked for: for drawing one at random. */
  at(place: number): Key {
    const form = this.#form
    if (form instanceof Members) return form.key(place)
    return keyFromText(form instanceof Intset ? String(form.at(place)) : form.text(form.seek(place)))
  }

  /** Removes the member at a place. */
  removeAt(place: number): void {
    const form = this.#form
    if (form instanceof Members) form.remove(place)
    else if (form instanceof Intset) form.remove(form.at(place))
    else form.delete(form.seek(place))
  }

  /** See Members. */
  warm(members: readonly Key[], count: number): void {
    if (this.#form instanceof Members) this.#form.warm(members, count)
  }

  has(member: Member): boolean {
    const form = this.#form
    if (form instanceof Members) return form.find(bytesOf(member)) >= 0
    if (form instanceof Listpack) return find(form, member) >= 0
    const integer = integerOf(member)
    return integer !== undefined && form.has(integer)
  }

  /** False when it is a member already. */
  add(member: Member, limits: SetLimits): boolean {
    if (this.has(member)) return false
    this.#form = this.#formWith(member, limits)
    const form = this.#form
    if (form instanceof Intset) form.add(integerOf(member)!)
    else if (form instanceof Members) form.add(bytesOf(member))
    else {
      const { bytes, start, end } = bytesOf(member)
      form.append(bytes, start, end)
    }
    return true
  }

  /** False when it is no member. */
  remove(member: Member): boolean {
    const form = this.#form
    if (form instanceof Intset) {
      const integer = integerOf(member)
      return integer !== undefined && form.remove(integer)
    }
    const place = form instanceof Members ? form.find(bytesOf(member)) : find(form, member)
    if (place < 0) return false
    if (form instanceof Members) form.remove(place)
    else form.delete(place)
    return true
  }

  /** One step of SSCAN: about `count` members and the cursor to go on with. 0 begins and 0 ends. Every member that is there from
   *  the first step to the last comes at least once; a packed set comes at once. */
  scan(cursor: number, count: number): { next: number; elements: Buffer[] } {
    const form = this.#form
    if (!(form instanceof Members))
      return { next: 0, elements: Array.from(this, (text) => Buffer.from(text, 'latin1')) }
    const { from, next } = scanStep(form.size, cursor, count)
    const elements: Buffer[] = []
    for (let place = from - 1; place >= next; place--) elements.push(form.own(place))
    return { next, elements }
  }

  /** The form that has room for one more member: as it is, or the next looser one with the members of this. */
  #formWith(member: Member, limits: SetLimits): Intset | Listpack | Members {
    const form = this.#form
    if (form instanceof Members) return form
    if (form instanceof Intset && form.count < limits.setMaxIntsetEntries && integerOf(member) !== undefined)
      return form
    if (form.count >= MAX_PACKED_ENTRIES || member.length > MAX_PACKED_VALUE) return this.#unpacked()
    if (form instanceof Listpack) return form
    const pack = Listpack.empty()
    for (const text of this) pack.append(Buffer.from(text, 'latin1'))
    return pack
  }

  #unpacked(): Members {
    if (this.#form instanceof Members) return this.#form
    const members = new Members()
    for (const text of this) members.add(keyOfText(text))
    return members
  }
}

function find(pack: Listpack, member: Member): number {
  const { bytes, start, end } = bytesOf(member)
  return pack.find(bytes, start, end)
}

/** Intsets begin with the width of an element: 2, 4 or 8. Listpacks begin with their length, and have none of those. */
const isIntset = (bytes: Buffer): boolean => bytes.length >= 4 && [2, 4, 8].includes(bytes.readUInt32LE(0))
