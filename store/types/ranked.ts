/** Members in order of their scores, and of their bytes where scores are equal, with ranks: a B-tree whose inner
 *  nodes know how many members lie below each child. Finding, adding and removing by order or by rank take
 *  logarithmic time. */
import type { Key } from '../../lib/base/key.ts'
import { CAPACITY, type Leaf, type Mark as LeafMark, Leaves } from './leaves.ts'
import type { Members } from './members.ts'

/** Children of an inner node at most. */
const MOST = 64
/** What is smaller than a quarter is joined with a neighbour. */
const LEAST_MEMBERS = CAPACITY / 4
const LEAST_CHILDREN = MOST / 4
/** Bytes of an inner node for each child, with what separates it from the one before: an estimate. */
const CHILD = 80

/** Children, the number of members below each, and as score and member of child i what separates it from the one before: all
 *  members of child i come after that, all of child i - 1 do not. Those of child 0 mean nothing. */
interface Inner {
  readonly scores: number[]
  readonly members: string[]
  readonly children: Node[]
  readonly sizes: number[]
}

type Node = Leaf | Inner

const isLeaf = (node: Node): node is Leaf => typeof node === 'number'

/** A place between members: those of lower scores come before it, and of those with its score the ones that `tie` says.
 *  With the score NaN members alone decide. */
export interface Cut {
  readonly score: number
  readonly tie: (member: string) => boolean
}

export type Visit = (member: string, score: number) => void

/** A place in the order, as the search asks for it: who of those with its score comes before it. */
interface Mark extends LeafMark {
  hasText(member: string): boolean
}

/** The place before a member. */
class MemberMark implements Mark {
  readonly #members: Members
  score = 0
  #key!: Key
  #place = 0

  constructor(members: Members) {
    this.#members = members
  }

  set(score: number, key: Key, place: number): this {
    this.score = score
    this.#key = key
    this.#place = place
    return this
  }

  has(place: number): boolean {
    // Found itself: the bytes need not be looked at.
    return place !== this.#place && this.#members.compare(place, this.#key) < 0
  }

  hasText(member: string): boolean {
    const { data, start, length } = this.#key
    for (let i = 0; i < member.length && i < length; i++) {
      const difference = member.charCodeAt(i) - data.getUint8(start + i)
      if (difference !== 0) return difference < 0
    }
    return member.length < length
  }
}

/** A tree over members of a table, which must be there as long as they are here. */
export class Ranked {
  readonly #members: Members
  readonly #leaves: Leaves
  readonly #mark: MemberMark
  #root: Node
  /** A leaf that has been emptied. */
  #emptied: Leaf | undefined

  constructor(members: Members, leaves = new Leaves(), root: Node = leaves.open()) {
    this.#members = members
    this.#leaves = leaves
    this.#mark = new MemberMark(members)
    this.#root = root
  }

  /** The same tree over a copy of the table. */
  copy(members: Members): Ranked {
    return new Ranked(members, this.#leaves.copy(), copyNode(this.#root))
  }

  /** Bytes in memory, an estimate. */
  get weight(): number {
    return this.#leaves.weight + this.#leaves.count * CHILD
  }

  /** Adds the member at a place, which is not here yet. */
  add(score: number, member: Key, place: number): void {
    const root = this.#root
    const right = this.#addTo(root, this.#mark.set(score, member, place), place)
    if (right === undefined) return
    const { node } = right
    this.#root = {
      scores: [0, right.score],
      members: ['', right.member],
      children: [root, node],
      sizes: [this.#sizeOf(root), this.#sizeOf(node)],
    }
  }

  /** Removes the member at a place, which is here. */
  remove(score: number, member: Key, place: number): void {
    const root = this.#root
    this.#removeFrom(root, this.#mark.set(score, member, place))
    if (!isLeaf(root) && root.children.length === 1) this.#root = root.children[0]!
    if (this.#emptied === undefined) return
    this.#renumber(this.#leaves.close(this.#emptied), this.#emptied)
    this.#emptied = undefined
  }

  /** A member has another place in the table. */
  move(score: number, member: Key, from: number, to: number): void {
    const mark = this.#mark.set(score, member, from)
    let node = this.#root
    while (!isLeaf(node)) node = node.children[childFor(node, mark)]!
    this.#leaves.move(node, this.#leaves.search(node, mark), to)
  }

  /** How many members come before a place. */
  count({ score, tie }: Cut): number {
    const members = this.#members
    return this.#count({ score, has: (place) => tie(members.text(place)), hasText: tie })
  }

  /** How many come before the member at a place. */
  rank(score: number, member: Key, place: number): number {
    return this.#count(this.#mark.set(score, member, place))
  }

  #count(mark: Mark): number {
    let count = 0
    let node = this.#root
    while (!isLeaf(node)) {
      const at = childFor(node, mark)
      for (let i = 0; i < at; i++) count += node.sizes[i]!
      node = node.children[at]!
    }
    return count + this.#leaves.search(node, mark)
  }

  /** The place in the table of the member of a rank. */
  place(rank: number): number {
    let node = this.#root
    let left = rank
    while (!isLeaf(node)) {
      const { children, sizes } = node
      let at = 0
      while (left >= sizes[at]!) left -= sizes[at++]!
      node = children[at]!
    }
    return this.#leaves.place(node, left)
  }

  /** Visits the members of ranks [from, to), in descending order if `reversed`. Nothing may change meanwhile. */
  visit(from: number, to: number, reversed: boolean, visit: Visit): void {
    if (from < to) this.#visit(this.#root, from, to, reversed, visit)
  }

  #visit(node: Node, from: number, to: number, reversed: boolean, visit: Visit): void {
    if (isLeaf(node)) {
      if (reversed) for (let i = to - 1; i >= from; i--) this.#visitMember(node, i, visit)
      else for (let i = from; i < to; i++) this.#visitMember(node, i, visit)
      return
    }
    const { children, sizes } = node
    let start = reversed ? this.#sizeOf(node) : 0
    for (let k = 0; k < children.length; k++) {
      const i = reversed ? children.length - 1 - k : k
      if (reversed) start -= sizes[i]!
      const [low, high] = [Math.max(0, from - start), Math.min(sizes[i]!, to - start)]
      if (low < high) this.#visit(children[i]!, low, high, reversed, visit)
      if (!reversed) start += sizes[i]!
    }
  }

  #visitMember(leaf: Leaf, i: number, visit: Visit): void {
    visit(this.#members.text(this.#leaves.place(leaf, i)), this.#leaves.score(leaf, i))
  }

  #sizeOf(node: Node): number {
    return isLeaf(node) ? this.#leaves.size(node) : sum(node.sizes)
  }

  // --- adding ----------------------------------------------------------------------------------------------------------

  #addTo(node: Node, mark: Mark, place: number): Split | undefined {
    if (isLeaf(node)) {
      const leaves = this.#leaves
      const at = leaves.search(node, mark)
      leaves.add(node, at, mark.score, place)
      if (leaves.size(node) < CAPACITY) return undefined
      // Who comes last is as good as always one of many who come in order: then leaves are to be full, not half empty.
      const isLast = at === CAPACITY - 1
      return this.#splitLeaf(node, leaves.open(), isLast ? CAPACITY - 1 : CAPACITY >>> 1)
    }
    const at = childFor(node, mark)
    node.sizes[at]!++
    const right = this.#addTo(node.children[at]!, mark, place)
    if (right === undefined) return undefined
    this.#insertChild(node, at + 1, right)
    return node.children.length > MOST ? splitInner(node) : undefined
  }

  /** Shares members with the leaf to the right so that `count` stay. Between them stands the last member that did. */
  #splitLeaf(left: Leaf, right: Leaf, count: number): Split {
    const leaves = this.#leaves
    leaves.share(left, right, count)
    const member = this.#members.text(leaves.place(left, count - 1))
    return { node: right, score: leaves.score(left, count - 1), member }
  }

  /** Puts what was split off a child beside it. */
  #insertChild(node: Inner, at: number, { node: child, score, member }: Split): void {
    const size = this.#sizeOf(child)
    node.children.splice(at, 0, child)
    node.scores.splice(at, 0, score)
    node.members.splice(at, 0, member)
    node.sizes.splice(at, 0, size)
    node.sizes[at - 1]! -= size
  }

  // --- removing --------------------------------------------------------------------------------------------------------

  #removeFrom(node: Node, mark: Mark): void {
    if (isLeaf(node)) return this.#leaves.remove(node, this.#leaves.search(node, mark))
    const at = childFor(node, mark)
    const child = node.children[at]!
    node.sizes[at]!--
    this.#removeFrom(child, mark)
    const isSmall = isLeaf(child) ? node.sizes[at]! < LEAST_MEMBERS : child.children.length < LEAST_CHILDREN
    if (isSmall && node.children.length > 1) this.#join(node, Math.max(1, at))
  }

  /** Joins child `at` with the one before; what is too large then is split in halves. */
  #join(node: Inner, at: number): void {
    const [right] = node.children.splice(at, 1) as [Node]
    const left = node.children[at - 1]!
    const [score] = node.scores.splice(at, 1) as [number]
    const [member] = node.members.splice(at, 1) as [string]
    const size = node.sizes.splice(at, 1)[0]! + node.sizes[at - 1]!
    node.sizes[at - 1] = size
    if (isLeaf(left) && isLeaf(right)) {
      if (size >= CAPACITY) return this.#insertChild(node, at, this.#splitLeaf(left, right, size >>> 1))
      this.#leaves.share(left, right, size)
      this.#emptied = right
    } else if (!isLeaf(left) && !isLeaf(right)) {
      // What stood at its child 0 meant nothing; from here on it does.
      right.scores[0] = score
      right.members[0] = member
      left.children.push(...right.children)
      left.scores.push(...right.scores)
      left.members.push(...right.members)
      left.sizes.push(...right.sizes)
      if (left.children.length > MOST) this.#insertChild(node, at, splitInner(left))
    }
  }

  /** A leaf has another number. Its first member leads to it. */
  #renumber(from: Leaf, to: Leaf): void {
    const place = this.#leaves.place(to, 0)
    const mark = this.#mark.set(this.#leaves.score(to, 0), this.#members.key(place), place)
    let node = this.#root
    if (node === from) this.#root = to
    while (!isLeaf(node)) {
      const { children } = node
      const at = childFor(node, mark)
      if (children[at] === from) children[at] = to
      node = children[at]!
    }
  }
}

/** The place before a member. Latin1 text compares as its bytes do. */
export const cutBefore = (score: number, member: string): Cut => ({ score, tie: (other) => other < member })

/** Whether a member comes before a place. */
export const comesBefore = (cut: Cut, score: number, member: string): boolean =>
  score < cut.score || (!(score > cut.score) && cut.tie(member))

const copyNode = (node: Node): Node =>
  isLeaf(node)
    ? node
    : {
        scores: node.scores.slice(),
        members: node.members.slice(),
        children: node.children.map(copyNode),
        sizes: node.sizes.slice(),
      }

function sum(sizes: readonly number[]): number {
  let sum = 0
  for (const size of sizes) sum += size
  return sum
}

/** The child in which those that come before end. */
function childFor({ scores, members }: Inner, mark: Mark): number {
  const { score } = mark
  let low = 1
  let high = scores.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const other = scores[middle]!
    if (other < score || (!(other > score) && mark.hasText(members[middle]!))) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** The right part of a node that grew too large; `score` and `member` separate it from the left part. */
interface Split {
  readonly node: Node
  readonly score: number
  readonly member: string
}

/** Between the halves stands what separated the children there. */
function splitInner(node: Inner): Split {
  const middle = node.children.length >>> 1
  const right = {
    scores: node.scores.splice(middle),
    members: node.members.splice(middle),
    children: node.children.splice(middle),
    sizes: node.sizes.splice(middle),
  }
  return { node: right, score: right.scores[0]!, member: right.members[0]! }
}
