/** The order SORT brings elements in, and those of them that are wanted. Elements are latin1 text, whose order is that of the bytes. */
import type { BulkSink } from '../../store/types/listpack.ts'
import { putText } from '../../store/types/names.ts'
import type { Value } from '../../store/value.ts'
import { parseDigits, parseDouble } from '../base/double.ts'
import { ascending } from '../base/order.ts'
import { fail, WRONG_TYPE } from '../errors.ts'

/** What orders an element: text, or nothing. */
export type Weigh = (element: string) => string | undefined

/** What is asked for. */
export interface Wish {
  readonly descending: boolean
  readonly alphabetical: boolean
  /** Undefined: by the elements themselves. 'nothing': do not sort. */
  readonly by: Weigh | 'nothing' | undefined
  /** The result is stored: it cannot be left to chance. */
  readonly stored: boolean
  /** Leave this many out, then give so many; negative: all. */
  readonly offset: number
  readonly count: number
}

/** The elements that are wanted. */
export interface Ordered {
  readonly size: number
  at(i: number): string
}

/** Throws WRONG_TYPE for what has no elements to sort, and an error when they are to be numbers and are not. */
export function inOrder(value: Value | undefined, wish: Wish): Ordered {
  const { descending, alphabetical, by } = wish
  if (value === undefined) return { size: 0, at: () => '' }
  if (!isSortable(value)) throw WRONG_TYPE
  const { from, to } = wanted(value.size, wish)
  if (by === 'nothing' && !(value.type === 'set' && wish.stored)) return asTheyAre(value, from, to, descending)
  const integers = by === undefined && !alphabetical ? integersOf(value) : undefined
  if (integers !== undefined) {
    integers.sort()
    if (descending) integers.reverse()
    return { size: to - from, at: (i) => String(integers[from + i]) }
  }
  const ordered = sorted(elementsOf(value), by, alphabetical, descending)
  return { size: to - from, at: (i) => ordered[from + i]! }
}

function sorted(elements: string[], by: Wish['by'], alphabetical: boolean, descending: boolean): string[] {
  if (typeof by === 'function' && alphabetical) return byTexts(elements, by, descending ? -1 : 1)
  // Without a comparator strings are compared natively, by their characters.
  const ascending = by === 'nothing' || alphabetical ? elements.sort() : byNumbers(elements, by)
  return descending ? ascending.reverse() : ascending
}

type Sortable = Extract<Value, { readonly type: 'list' | 'set' | 'zset' }>

const isSortable = (value: Value): value is Sortable => ['list', 'set', 'zset'].includes(value.type)

function wanted(size: number, { offset, count }: Wish): { from: number; to: number } {
  const from = Math.min(Math.max(0, offset), size)
  return { from, to: count < 0 ? size : Math.min(from + count, size) }
}

/** In the order they have, from either end; those of a set have none. */
function asTheyAre(value: Sortable, from: number, to: number, descending: boolean): Ordered {
  const elements: string[] = []
  if (value.type === 'list')
    value.put(collector(elements), descending ? value.size - 1 - from : from, to - from, descending ? -1 : 1)
  else if (value.type === 'set') for (let i = from; i < to; i++) elements.push(value.at(i).text())
  else {
    const [first, end] = descending ? [value.size - to, value.size - from] : [from, to]
    value.visit(first, end, descending, (member) => void elements.push(member))
  }
  return { size: elements.length, at: (i) => elements[i]! }
}

const collector = (elements: string[]): BulkSink => ({
  bulkRange: (bytes, start, end) => void elements.push(bytes.latin1Slice(start, end)),
})

function elementsOf(value: Sortable): string[] {
  const elements: string[] = []
  each(value, collector(elements))
  return elements
}

/** Hands over the bytes of all elements. */
function each(value: Sortable, to: BulkSink): void {
  if (value.type === 'list') value.put(to, 0, value.size)
  else if (value.type === 'set')
    for (const { bytes, start, end, data } of value.keys()) to.bulkRange(bytes, start, end, data)
  else value.visit(0, value.size, false, (member) => putText(member, to))
}

/** The elements as numbers, when all are integers as JavaScript would write them: then nothing else need be remembered of them. */
function integersOf(value: Sortable): Float64Array | undefined {
  const integers = new Float64Array(value.size)
  let count = 0
  each(value, {
    bulkRange(bytes, start, end) {
      const integer = count < 0 ? undefined : parseDigits(bytes, start, end)
      if (integer === undefined || isPadded(bytes, start, end)) count = -1
      else integers[count++] = integer
    },
  })
  return count < 0 ? undefined : integers
}

const ZERO = 0x30
const MINUS = 0x2d

/** `007`, and `-0`. */
const isPadded = (bytes: Buffer, start: number, end: number): boolean =>
  bytes[start] === MINUS ? bytes[start + 1] === ZERO : bytes[start] === ZERO && end - start > 1

/** Those of equal weight by themselves. */
function byNumbers(elements: readonly string[], weigh: Weigh = (element) => element): string[] {
  const weights = Float64Array.from(elements, (element) => numberOf(weigh(element)))
  const order = ascending(weights)
  const ordered: string[] = []
  for (let from = 0, to = 0; from < order.length; from = to) {
    const weight = weights[order[from]!]!
    while (to < order.length && weights[order[to]!] === weight) ordered.push(elements[order[to++]!]!)
    if (to - from > 1) for (const [i, element] of ordered.slice(from).sort().entries()) ordered[from + i] = element
  }
  return ordered
}

/** A number as most people write it. */
const PLAIN = /^-?\d{1,15}(\.\d{1,15})?$/

/** As C's strtod reads it: after blanks, up to a zero byte. What is not there counts as 0, and so does what is empty. */
function numberOf(text: string | undefined): number {
  if (text !== undefined && PLAIN.test(text)) return Number(text)
  const [read = ''] = text?.split('\0', 1) ?? []
  if (read === '') return 0
  const number = parseDouble(read.replace(/^[ \t-\r]+/, ''))
  if (number === undefined) throw fail("One or more scores can't be converted into double")
  return number
}

/** Those of equal weight as they came, in either direction. */
function byTexts(elements: readonly string[], weigh: Weigh, sign: 1 | -1): string[] {
  const weighed = elements.map((element) => ({ element, weight: weigh(element) }))
  return weighed.sort((a, b) => sign * compareWeights(a.weight, b.weight)).map(({ element }) => element)
}

/** What is not there comes first. */
const compareWeights = (a: string | undefined, b: string | undefined): number =>
  a === undefined || b === undefined ? Number(a !== undefined) - Number(b !== undefined) : compare(a, b)

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
