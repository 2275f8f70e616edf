/** Sorted sets: members with scores, in order of the scores and, where those are equal, of the members' bytes. Small
 *  ones are one listpack (member, score, member ...) in that order; others are a table of members with their scores beside a
 *  tree of ranks. */
import { formatDouble, readDouble } from '../../lib/base/double.ts'
import type { Key } from '../../lib/base/key.ts'
import { Listpack, PackedError } from './listpack.ts'
import { Members } from './members.ts'
import { keyOfText, scanStep } from './names.ts'
import type { PackedBytes } from './packed-bytes.ts'
import { type Cut, comesBefore, cutBefore, Ranked, type Visit } from './ranked.ts'
import { ranking } from './ranking.ts'
import { Walk } from './walk.ts'
import { BUFFER } from './weight.ts'

/** How far a sorted set stays packed: number of members, and bytes of each. Named as in the configuration. */
export interface ZSetLimits {
  readonly zsetMaxListpackEntries: number
  readonly zsetMaxListpackValue: number
}

/** What Redis ships with: for data that comes without a configuration. */
export const DEFAULT_ZSET_LIMITS: ZSetLimits = { zsetMaxListpackEntries: 128, zsetMaxListpackValue: 64 }

/** A sorted set beyond the limits. */
interface Table {
  readonly members: Members
  readonly ranked: Ranked
}

function emptyTable(): Table {
  const members = new Members()
  return { members, ranked: new Ranked(members) }
}

/** The scored members of a table, which come in no order. */
function ranked(members: Members): Table {
  const ranked = new Ranked(members)
  for (const place of ranking(members)) ranked.add(members.score(place), members.key(place), place)
  return { members, ranked }
}

/** A member as it arrives: a range of a request, or latin1 text. */
export type Member = Key | string

const keyFor = (member: Member): Key => (typeof member === 'string' ? keyOfText(member) : member)

/** From this share on it takes less to lay the members that stay anew than to remove those that go: half of a million in 0.3 s
 *  instead of 1.1. */
const MUCH = 1 / 4

export type Entry = readonly [member: string, score: number]

/** Scores are never NaN. A member is found at a spot, a number that holds until one is added, changed or removed; -1 is none. */
export class ZSetValue {
  readonly type = 'zset'
  #form: Listpack | Table

  constructor(form: Listpack | Table = Listpack.empty()) {
    this.#form = form
  }

  /** A sorted set over a listpack made elsewhere; the bytes now belong to it. Throws PackedError when they are none,
   *  when a member lacks its score or comes twice, and when the order is wrong. */
  static fromPacked(bytes: Buffer): ZSetValue {
    const pack = Listpack.from(bytes)
    if (pack.count % 2 !== 0) throw new PackedError('sorted set member without score')
    const members = new Set<string>()
    let last: Cut = { score: -Infinity, tie: () => false }
    for (let at = pack.first(); at >= 0; at = pack.next(pack.next(at))) {
      const member = pack.text(at)
      const score = readDouble(pack.text(pack.next(at)))
      if (score === undefined) throw new PackedError('sorted set score')
      if (members.has(member) || comesBefore(last, score, member)) throw new PackedError('sorted set order')
      members.add(member)
      last = cutBefore(score, member)
    }
    return new ZSetValue(pack)
  }

  /** A sorted set of the scored members of a table, which now belongs to it; packed when all of them may be, by the limits if there are
   *  any. */
  static of(members: Members, limits?: ZSetLimits): ZSetValue {
    if (limits === undefined || !mayBePacked(members, limits)) return new ZSetValue(ranked(members))
    const zset = new ZSetValue()
    for (const place of ranking(members)) zset.add(members.key(place), members.score(place), limits)
    return zset
  }

  get size(): number {
    return this.#form instanceof Listpack ? this.#form.count / 2 : this.#form.members.size
  }

  /** The name OBJECT ENCODING answers. */
  get encoding(): string {
    return this.#form instanceof Listpack ? 'listpack' : 'skiplist'
  }

  /** The listpack of a packed sorted set, as it is until it changes. */
  get packedBytes(): Buffer | undefined {
    return this.#form instanceof Listpack ? this.#form.bytes : undefined
  }

  /** The form of a packed sorted set. */
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
    return form.members.weight + form.ranked.weight
  }

  copy(): ZSetValue {
    const form = this.#form
    if (form instanceof Listpack) return new ZSetValue(form.copy())
    const members = form.members.copy()
    return new ZSetValue({ members, ranked: form.ranked.copy(members) })
  }

  /** Begins a walk over the scored members; undefined for a packed set. A table it hands out is good for another sorted set (see `of`). */
  walk(open: Set<Walk>): Walk | undefined {
    return this.#form instanceof Listpack ? undefined : new Walk(this.#form.members, open, this.#form.ranked)
  }

  /** The spot of a member. */
  find(member: Member): number {
    const form = this.#form
    const key = keyFor(member)
    return form instanceof Listpack ? find(form, key) : form.members.find(key)
  }

  /** The score at a spot; undefined where none is. */
  scoreAt(spot: number): number | undefined {
    const form = this.#form
    if (spot < 0) return undefined
    return form instanceof Listpack ? packedScore(form, spot) : form.members.score(spot)
  }

  /** Undefined when it is no member. */
  score(member: Member): number | undefined {
    return this.scoreAt(this.find(member))
  }

  /** The rank from the lowest score; undefined when it is no member. */
  rank(member: Member): number | undefined {
    const spot = this.find(member)
    const score = this.scoreAt(spot)
    if (score === undefined) return undefined
    const form = this.#form
    const key = keyFor(member)
    if (form instanceof Listpack) return search(form, cutBefore(score, key.text())).rank
    return form.ranked.rank(score, key, spot)
  }

  /** How many members come before a place in the order. */
  count(cut: Cut): number {
    const form = this.#form
    return form instanceof Listpack ? search(form, cut).rank : form.ranked.count(cut)
  }

  /** Visits the members of ranks [from, to), in descending order if `reversed`. The set must not change meanwhile. */
  visit(from: number, to: number, reversed: boolean, visit: Visit): void {
    const form = this.#form
    if (!(form instanceof Listpack)) return form.ranked.visit(from, to, reversed, visit)
    let at = form.seek(2 * (reversed ? to - 1 : from))
    for (let left = to - from; left > 0; left--) {
      visit(form.text(at), packedScore(form, at))
      at = reversed ? form.prev(form.prev(at)) : form.next(form.next(at))
    }
  }

  /** Visits the member at a place below `size`. Places are in no order: for drawing one at random. */
  visitAt(place: number, visit: Visit): void {
    const form = this.#form
    if (form instanceof Listpack) this.visit(place, place + 1, false, visit)
    else visit(form.members.text(place), form.members.score(place))
  }

  /** Members with their scores, in ascending order. */
  entries(from = 0, to = this.size): Entry[] {
    const entries: Entry[] = []
    this.visit(from, to, false, (member, score) => entries.push([member, score]))
    return entries
  }

  /** Adds a member or gives it another score. */
  set(member: Member, score: number, limits: ZSetLimits): void {
    const spot = this.find(member)
    if (spot < 0) this.add(member, score, limits)
    else this.change(member, spot, score)
  }

  /** Adds what is no member yet. */
  add(member: Member, score: number, limits: ZSetLimits): void {
    if (this.size >= limits.zsetMaxListpackEntries || member.length > limits.zsetMaxListpackValue)
      this.#form = this.#unpacked()
    const form = this.#form
    const key = keyFor(member)
    if (form instanceof Listpack) insert(form, key, score)
    else addTo(form, key, score)
  }

  /** Gives the member at a spot another score. */
  change(member: Member, spot: number, score: number): void {
    const form = this.#form
    const old = this.scoreAt(spot)!
    if (old === score) return
    const key = keyFor(member)
    if (form instanceof Listpack) {
      form.delete(spot, 2)
      insert(form, key, score)
      return
    }
    form.ranked.remove(old, key, spot)
    form.ranked.add(score, key, spot)
    form.members.setScore(spot, score)
  }

  /** False when it is no member. */
  remove(member: Member): boolean {
    const form = this.#form
    const key = keyFor(member)
    if (form instanceof Listpack) {
      const at = find(form, key)
      if (at >= 0) form.delete(at, 2)
      return at >= 0
    }
    const { members, ranked } = form
    const place = members.find(key)
    if (place < 0) return false
    ranked.remove(members.score(place), key, place)
    const last = members.size - 1
    if (place < last) ranked.move(members.score(last), members.key(last), last, place)
    members.remove(place)
    return true
  }

  /** Removes the members of ranks [from, to). */
  removeRange(from: number, to: number): void {
    const form = this.#form
    if (from >= to) return
    if (form instanceof Listpack) form.delete(form.seek(from * 2), (to - from) * 2)
    else if (to - from > form.members.size * MUCH) this.#form = this.#without(form, from, to)
    else for (const [member] of this.entries(from, to)) this.remove(member)
  }

  /** A new table of all but the members of ranks [from, to). */
  #without({ ranked }: Table, from: number, to: number): Table {
    const rest = emptyTable()
    const keep: Visit = (member, score) => addTo(rest, keyOfText(member), score)
    ranked.visit(0, from, false, keep)
    ranked.visit(to, this.size, false, keep)
    return rest
  }

  /** One step of ZSCAN: about `count` members, each followed by its score, and the cursor to go on with. 0 begins
   *  and 0 ends. Every member that is there from the first step to the last comes at least once; a packed set comes
   *  at once. */
  scan(cursor: number, count: number): { next: number; elements: Buffer[] } {
    const form = this.#form
    const elements: Buffer[] = []
    if (form instanceof Listpack) {
      for (let at = form.first(); at >= 0; at = form.next(at)) elements.push(form.get(at))
      return { next: 0, elements }
    }
    const { from, next } = scanStep(this.size, cursor, count)
    for (let place = from - 1; place >= next; place--)
      elements.push(form.members.own(place), Buffer.from(formatDouble(form.members.score(place))))
    return { next, elements }
  }

  #unpacked(): Table {
    if (!(this.#form instanceof Listpack)) return this.#form
    const table = emptyTable()
    this.visit(0, this.size, false, (member, score) => addTo(table, keyOfText(member), score))
    return table
  }
}

function mayBePacked(members: Members, { zsetMaxListpackEntries, zsetMaxListpackValue }: ZSetLimits): boolean {
  if (members.size > zsetMaxListpackEntries) return false
  for (let place = 0; place < members.size; place++) if (members.key(place).length > zsetMaxListpackValue) return false
  return true
}

function addTo({ members, ranked }: Table, key: Key, score: number): void {
  members.addScored(key, score)
  ranked.add(score, key, members.size - 1)
}

/** The entry of a member; -1 when there is none. */
const find = (pack: Listpack, { bytes, start, end }: Key): number => pack.find(bytes, start, end, pack.first(), 2)

/** The score of the member at an entry. */
function packedScore(pack: Listpack, at: number): number {
  const after = pack.next(at)
  const integer = pack.integer(after)
  // A score that came from elsewhere was looked at when it came.
  return integer === undefined ? readDouble(pack.text(after))! : Number(integer)
}

/** The first entry that does not come before, -1 when all do, and its rank. */
function search(pack: Listpack, cut: Cut): { at: number; rank: number } {
  let rank = 0
  let at = pack.first()
  for (; at >= 0; rank++) {
    const score = packedScore(pack, at)
    if (score > cut.score || (!(score < cut.score) && !cut.tie(pack.text(at)))) break
    at = pack.next(pack.next(at))
  }
  return { at, rank }
}

/** The bytes of a score. */
const scratch = Buffer.allocUnsafeSlow(64)

function insert(pack: Listpack, { bytes, start, end }: Key, score: number): void {
  const length = scratch.latin1Write(scoreText(score))
  const { at } = search(pack, cutBefore(score, bytes.latin1Slice(start, end)))
  if (at < 0) {
    pack.append(bytes, start, end)
    pack.append(scratch, 0, length)
  } else {
    pack.insertBefore(at, scratch, 0, length)
    pack.insertBefore(at, bytes, start, end)
  }
}

/** Up to here a score without a fraction is kept as an integer, and negative zero as zero; so a real server decides. */
const MAX_INTEGER = 2 ** 62

const scoreText = (score: number): string =>
  Number.isInteger(score) && Math.abs(score) <= MAX_INTEGER ? BigInt(score).toString() : formatDouble(score)
