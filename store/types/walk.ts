/** A walk over the members of a large collection as they were when it began, while the collection goes on changing: how a cut reads one in
 *  slices. It does with members what the cut does with keys: nothing is copied when it begins, and whoever is about to change or to remove
 *  a member which the walk has not come to yet gives it that member first. So a change costs what it costs anyway and a copy of one member,
 *  once.
 *
 *  The road not taken is that of lists, to share chunks and to copy one before it changes. Members that come from everywhere meet another
 *  chunk each time: every write would copy 64 KiB of records, a page of the index and one of the places, and of a sorted set the leaves,
 *  for a reader who wants nothing but the members. */
import { Members, type Watcher } from './members.ts'
import { type Cut, cutBefore, type Ranked } from './ranked.ts'

/** Members are handed out when they take about this many bytes: some hundreds of short ones. */
const PART = 16 * 1024

const EVERYWHERE: Cut = { score: Number.POSITIVE_INFINITY, tie: () => true }

/** Members are named by their places, as the table has them. Who is added takes the place behind the last, and who leaves is replaced by the
 *  last: so those who were there from the beginning always have places below #end, and of those there the rest are marked. */
export class Walk implements Watcher {
  /** How many members there were when it began. */
  readonly count: number
  readonly #members: Members
  readonly #ranked: Ranked | undefined
  readonly #open: Set<Walk>
  #end: number
  /** By place, 1: who stands there was met, or given before a change, or came later. Made when it is needed first. */
  #marks: Uint8Array | undefined
  /** Of a sorted set: all from here on were met. */
  #below = EVERYWHERE
  /** What is handed out next, and the bytes in it; before it parts that changes have filled already. */
  #part = new Members()
  #bytes = 0
  readonly #full: Members[] = []

  /** `open` has the walks that are not over. `ranked`: the order in which the members come, the highest first, as who reads them can add
   *  them fastest. Members that change meanwhile come out of order. */
  constructor(members: Members, open: Set<Walk>, ranked?: Ranked) {
    this.count = members.size
    this.#members = members
    this.#ranked = ranked
    this.#open = open
    this.#end = members.size
    members.watch(this)
    open.add(this)
  }

  /** The next members, in a table that belongs to who asks; each comes once. Undefined at the end. */
  next(): Members | undefined {
    const full = this.#full.shift()
    if (full !== undefined) return full
    if (this.#ranked === undefined) this.#meetPlaces()
    else this.#meetRanks(this.#ranked)
    if (this.#end === 0) this.close()
    return this.#part.size === 0 ? undefined : this.#begin()
  }

  /** What the members were is of no interest any more. */
  close(): void {
    this.#members.unwatch(this)
    this.#open.delete(this)
  }

  changing(place: number): void {
    if (!this.#isDue(place)) return
    this.#give(place)
    this.#mark(place, 1)
  }

  removing(place: number, last: number): void {
    if (this.#isDue(place)) this.#give(place)
    if (place < this.#end) this.#mark(place, this.#isDue(last) ? 0 : 1)
    if (last < this.#end) this.#end = last
  }

  /** From the last place down: what was met needs no mark. */
  #meetPlaces(): void {
    while (this.#bytes < PART && this.#end > 0) {
      const place = this.#end - 1
      if (this.#isDue(place)) this.#give(place)
      this.#end = place
    }
  }

  #meetRanks(ranked: Ranked): void {
    let rank = ranked.count(this.#below)
    let place = -1
    while (this.#bytes < PART && rank > 0) {
      place = ranked.place(--rank)
      this.changing(place)
    }
    if (rank === 0) this.#end = 0
    else if (place >= 0) this.#below = cutBefore(this.#members.score(place), this.#members.text(place))
  }

  #isDue(place: number): boolean {
    return place < this.#end && this.#marks?.[place] !== 1
  }

  #mark(place: number, mark: 0 | 1): void {
    this.#marks ??= new Uint8Array(this.#end)
    this.#marks[place] = mark
  }

  #give(place: number): void {
    if (this.#bytes >= PART) this.#full.push(this.#begin())
    this.#bytes += this.#part.take(this.#members, place)
  }

  /** Begins another part; returns the one before. */
  #begin(): Members {
    const part = this.#part
    this.#part = new Members()
    this.#bytes = 0
    return part
  }
}
