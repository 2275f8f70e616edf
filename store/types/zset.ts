/** Sorted sets: members with scores, in order of the scores and, where those are equal, of the members' bytes. Small
 *  ones are one listpack (member, score, member ...) in that order; others are a table of scores beside a tree of
 *  ranks. Members are latin1 text. */
import { formatDouble, readDouble } from '../../lib/base/double.ts'
import { Listpack, PackedError } from './listpack.ts'
import { Names, scanStep } from './names.ts'
import type { PackedBytes } from './packed-bytes.ts'
import { type Cut, comesBefore, cutBefore, Ranked, type Visit } from './ranked.ts'
import { BUFFER, SCORE } from './weight.ts'

/** How far a sorted set stays packed: number of members, and bytes of each. Named as in the configuration. */
export interface ZSetLimits {
  readonly zsetMaxListpackEntries: number
  readonly zsetMaxListpackValue: number
}

/** What Redis ships with: for data that comes without a configuration. */
export const DEFAULT_ZSET_LIMITS: ZSetLimits = { zsetMaxListpackEntries: 128, zsetMaxListpackValue: 64 }

/** A sorted set beyond the limits: the score of the member at a place lies at the same place. */
interface Table {
  readonly members: Names
  readonly scores: number[]
  readonly ranked: Ranked
}

const emptyTable = (): Table => ({ members: new Names(), scores: [], ranked: new Ranked() })

export type Entry = readonly [member: string, score: number]

/** Scores are never NaN. */
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

  /** A sorted set of different members, packed when all of them may be. */
  static from(entries: readonly Entry[], limits: ZSetLimits): ZSetValue {
    const { zsetMaxListpackEntries: most, zsetMaxListpackValue: longest } = limits
    const fits = entries.length <= most && entries.every(([member]) => member.length <= longest)
    const zset = new ZSetValue(fits ? Listpack.empty() : emptyTable())
    for (const [member, score] of entries) zset.add(member, score, limits)
    return zset
  }

  get size(): number {
    return this.#form instanceof Listpack ? this.#form.count / 2 : this.#form.scores.length
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
    return form.members.weight + form.scores.length * SCORE
  }

  copy(): ZSetValue {
    const form = this.#form
    if (form instanceof Listpack) return new ZSetValue(form.copy())
    return new ZSetValue({ members: form.members.copy(), scores: form.scores.slice(), ranked: form.ranked.copy() })
  }

  score(member: string): number | undefined {
    const form = this.#form
    if (!(form instanceof Listpack)) return form.scores[form.members.place(member)]
    const at = find(form, member)
    return at < 0 ? undefined : scoreAt(form, at)
  }

  /** The rank from the lowest score; undefined when it is no member. */
  rank(member: string): number | undefined {
    const score = this.score(member)
    return score === undefined ? undefined : this.count(cutBefore(score, member))
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
      visit(form.text(at), scoreAt(form, at))
      at = reversed ? form.prev(form.prev(at)) : form.next(form.next(at))
    }
  }

  /** Members with their scores, in ascending order. */
  entries(from = 0, to = this.size): Entry[] {
    const entries: Entry[] = []
    this.visit(from, to, false, (member, score) => entries.push([member, score]))
    return entries
  }

  /** Adds a member or gives it another score. */
  set(member: string, score: number, limits: ZSetLimits): void {
    const old = this.score(member)
    if (old === undefined) this.add(member, score, limits)
    else this.change(member, old, score)
  }

  /** Adds what is no member yet. */
  add(member: string, score: number, limits: ZSetLimits): void {
    if (this.size >= limits.zsetMaxListpackEntries || member.length > limits.zsetMaxListpackValue) this.#unpack()
    const form = this.#form
    if (form instanceof Listpack) return insert(form, member, score)
    form.members.add(member)
    form.scores.push(score)
    form.ranked.add(score, member)
  }

  /** Gives a member of score `old` another one. */
  change(member: string, old: number, score: number): void {
    if (old === score) return
    const form = this.#form
    if (form instanceof Listpack) {
      form.delete(find(form, member), 2)
      insert(form, member, score)
    } else {
      form.scores[form.members.place(member)] = score
      form.ranked.remove(old, member)
      form.ranked.add(score, member)
    }
  }

  /** False when it is no member. */
  remove(member: string): boolean {
    const form = this.#form
    if (form instanceof Listpack) {
      const at = find(form, member)
      if (at >= 0) form.delete(at, 2)
      return at >= 0
    }
    const place = form.members.place(member)
    if (place < 0) return false
    form.ranked.remove(form.scores[place]!, member)
    form.members.remove(place)
    const last = form.scores.pop()!
    if (place < form.scores.length) form.scores[place] = last
    return true
  }

  /** Removes the members of ranks [from, to). */
  removeRange(from: number, to: number): void {
    const form = this.#form
    if (from >= to) return
    if (form instanceof Listpack) form.delete(form.seek(from * 2), (to - from) * 2)
    else for (const [member] of this.entries(from, to)) this.remove(member)
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
      elements.push(Buffer.from(form.members.at(place), 'latin1'), Buffer.from(formatDouble(form.scores[place]!)))
    return { next, elements }
  }

  #unpack(): void {
    if (!(this.#form instanceof Listpack)) return
    const table = emptyTable()
    this.visit(0, this.size, false, (member, score) => {
      table.members.add(member)
      table.scores.push(score)
      table.ranked.add(score, member)
    })
    this.#form = table
  }
}

/** Text is turned into bytes here, first a member, then a score. */
const scratch = Buffer.allocUnsafeSlow(1024)

/** The entry of a member; -1 when there is none. */
function find(pack: Listpack, member: string): number {
  if (member.length > scratch.length) return pack.find(Buffer.from(member, 'latin1'), 0, member.length, pack.first(), 2)
  return pack.find(scratch, 0, scratch.latin1Write(member), pack.first(), 2)
}

/** The score of the member at an entry. */
function scoreAt(pack: Listpack, at: number): number {
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
    const score = scoreAt(pack, at)
    if (score > cut.score || (!(score < cut.score) && !cut.tie(pack.text(at)))) break
    at = pack.next(pack.next(at))
  }
  return { at, rank }
}

function insert(pack: Listpack, member: string, score: number): void {
  const text = scoreText(score)
  const length = member.length + text.length
  const bytes = length <= scratch.length ? scratch : Buffer.allocUnsafe(length)
  const end = bytes.latin1Write(member)
  bytes.latin1Write(text, end)
  const { at } = search(pack, cutBefore(score, member))
  if (at < 0) {
    pack.append(bytes, 0, end)
    pack.append(bytes, end, length)
  } else {
    pack.insertBefore(at, bytes, end, length)
    pack.insertBefore(at, bytes, 0, end)
  }
}

/** Up to here a score without a fraction is kept as an integer, and negative zero as zero; so a real server decides. */
const MAX_INTEGER = 2 ** 62

const scoreText = (score: number): string =>
  Number.isInteger(score) && Math.abs(score) <= MAX_INTEGER ? BigInt(score).toString() : formatDouble(score)
