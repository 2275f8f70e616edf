/** How much memory a key takes: estimates, for MEMORY USAGE. */
import { unreachable } from '../lib/base/assert.ts'
import { LONGEST_INSIDE } from './entries.ts'
import type { Value } from './value.ts'

/** The head of an entry, its places in the table, and what rounding costs. */
const ENTRY = 32
/** A deadline, and a place among the keys that have one. */
const DEADLINE = 16
/** A Buffer and what it stands on. */
const BYTES = 120

/** An element in a table: the head of a text and its place in an array and a map. */
const ELEMENT = 60
/** A score beside a table, and the place of its member in a tree of ranks. */
const SCORE = 32
/** An entry that was delivered, with its id, and its places in two lists. */
const PENDING = 120

/** Elements of a large collection that are looked at when nobody says how many. */
const SAMPLES = 5

/** Bytes of a key with its value. Of a collection that is not packed `samples` elements stand for all; 0: all are looked at. */
export function sizeOf(keyLength: number, value: Value, expires: boolean, samples = SAMPLES): number {
  return ENTRY + keyLength + (expires ? DEADLINE : 0) + Math.ceil(valueSize(value, samples))
}

function valueSize(value: Value, samples: number): number {
  switch (value.type) {
    case 'string':
      return value.bytes.length <= LONGEST_INSIDE ? value.bytes.length : bufferSize(value.bytes)
    case 'list':
      return total(value.nodes(), bufferSize)
    case 'hash':
      return packedSize(value) ?? value.size * (2 * ELEMENT + average(value, pairLength, samples))
    case 'set':
      return packedSize(value) ?? value.size * (ELEMENT + average(value, (member) => member.length, samples))
    case 'zset': {
      const some = value.entries(0, samples === 0 ? value.size : Math.min(samples, value.size))
      return packedSize(value) ?? value.size * (ELEMENT + SCORE + average(some, ([member]) => member.length, samples))
    }
    case 'stream':
      return (
        total(value.nodes(), ({ listpack }) => bufferSize(listpack)) +
        total(value.groups, ({ pending }) => pending.size * PENDING)
      )
    default:
      return unreachable(value)
  }
}

const bufferSize = (bytes: Buffer): number => BYTES + bytes.length
const pairLength = ([field, value]: readonly [Buffer, Buffer]): number => field.length + value.length

/** A small collection is one piece. */
const packedSize = ({ packedBytes }: { readonly packedBytes: Buffer | undefined }): number | undefined =>
  packedBytes && bufferSize(packedBytes)

function total<T>(things: Iterable<T>, sizeOfOne: (thing: T) => number): number {
  let size = 0
  for (const thing of things) size += sizeOfOne(thing)
  return size
}

/** The average length of the first `samples` things, or of all. */
function average<T>(things: Iterable<T>, lengthOf: (thing: T) => number, samples: number): number {
  let length = 0
  let seen = 0
  for (const thing of things) {
    length += lengthOf(thing)
    if (++seen === samples) break
  }
  return seen === 0 ? 0 : length / seen
}
